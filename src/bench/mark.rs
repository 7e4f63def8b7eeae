//! What the invisible mark costs, how it looks, and how often chance makes its score: measured on footage without one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opencv::core::{Rect, Size};
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, resize};
use serde::Serialize;

use crate::capture::{self, RawFrame, Read, SourceOptions, SourceSpec};
use crate::clock::MonotonicClock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::mark::{Detector, Embedder, Key, Message, NormalMap};
use crate::verify::luma_of;

/// Part of the pictures whose scores the tail is fitted to.
const TAIL_SHARE: f64 = 0.01;
/// What a threshold is asked for: false alarms a picture.
const WANTED: f64 = 1e-6;
/// Resamples of the clips for the interval.
const N_RESAMPLES: usize = 1000;
/// Pictures made of each frame of a clip.
const PER_FRAME: usize = 3;
/// The side that pictures are marked at, to say how they look.
const SIDE_PX: usize = 512;

/// How often unmarked pictures reach a score.
#[derive(Clone, Debug, Serialize)]
pub struct Tail {
    /// Pictures looked at.
    pub n_pictures: usize,
    /// Files they came from.
    pub n_files: usize,
    /// Scores that half, a tenth, a hundredth, a thousandth, a ten-thousandth, and one of the pictures exceed or reach.
    pub quantiles: Vec<(f64, f32)>,
    /// The score that a hundredth exceeds.
    pub from: f64,
    /// By how much those exceed it in the mean: beyond it, the number falls to 1/e with each such step.
    pub mean_excess: f64,
    /// Where the fitted tail has one in a million.
    pub threshold: f64,
    /// Its 95 % interval, by resampling files.
    pub threshold_interval: (f64, f64),
    /// Expected false alarms a picture at the threshold that the program has, and the interval.
    pub at_own_threshold: f64,
    /// See [`Self::at_own_threshold`].
    pub at_own_threshold_interval: (f64, f64),
    /// Pictures at or beyond the program's threshold.
    pub n_beyond: usize,
    /// Pictures for each tenth of a score.
    pub histogram: Vec<(f32, usize)>,
}

/// What the mark does to pictures, and what it costs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Price {
    /// PSNR of marked against unmarked pictures of 512 x 512, least and median, in dB.
    pub psnr_db: (f64, f64),
    /// SSIM of their brightness, windows of 8 x 8, least and median.
    pub ssim: (f64, f64),
    /// Marking one picture of 512 and of 1024 a side, median, in milliseconds.
    pub mark_ms: (f64, f64),
    /// Evening out one picture of 1280 x 720, median, in milliseconds: what each picture of a clip costs.
    pub map_ms: f64,
    /// Looking for the mark in it, median, in milliseconds: once a second of a clip.
    pub look_ms: f64,
}

/// The clips and pictures in `folders`, in order.
///
/// # Errors
/// [`ErrorKind::Io`] when a folder cannot be read; [`ErrorKind::Config`] when there is none in it.
pub fn files_in(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        let about = || format!("cannot read the folder {}", folder.display());
        for entry in std::fs::read_dir(folder).or_error(ErrorKind::Io, about)? {
            let path = entry.or_error(ErrorKind::Io, about)?.path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if ["mp4", "mkv", "webm", "jpg", "jpeg", "png"].contains(&extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Config, "expected folders with clips or pictures, found none in them"));
    }
    Ok(files)
}

/// Looks for the mark in `n_pictures` made of `files`, none of which has one: cut, scaled, turned, mirrored, brightened.
///
/// # Errors
/// As [`capture::open`].
pub fn unmarked(files: &[PathBuf], n_pictures: usize, mut progress: impl FnMut(usize)) -> Result<Tail> {
    let mut random = Random(0x5eed);
    let mut detector = Detector::new(Key::PUBLIC);
    let mut scores: Vec<Vec<f32>> = vec![Vec::new(); files.len()];
    let (mut map, mut luma, mut changed) = (NormalMap::default(), Vec::new(), Vec::new());
    let mut n = 0;
    while n < n_pictures {
        let before = n;
        for (file, scores) in files.iter().zip(&mut scores) {
            frames(file, |picture| {
                luma_of(picture, &mut luma);
                let size = (picture.width_px(), picture.height_px());
                for _ in 0..PER_FRAME {
                    let size = change(&luma, size, &mut random, &mut changed);
                    if n < n_pictures && detector.map(&changed, size, &mut map) {
                        scores.push(detector.look(&map).score);
                        n += 1;
                    }
                }
                progress(n);
                n < n_pictures
            })?;
            if n >= n_pictures {
                break;
            }
        }
        if n == before {
            return Err(Error::new(ErrorKind::Io, "the clips hold no picture"));
        }
    }
    Ok(tail(&scores, &mut random))
}

/// Measures what the mark does to the first picture of each file, and what it costs.
///
/// # Errors
/// As [`capture::open`].
pub fn price(files: &[PathBuf]) -> Result<Price> {
    let mut embedder = Embedder::new(SIDE_PX, Message::of_run(0x5a5a), Key::PUBLIC);
    let (mut psnrs, mut ssims) = (Vec::new(), Vec::new());
    for file in files {
        let mut square = Rgb::new(SIDE_PX, SIDE_PX);
        let mut outcome = Ok(());
        frames(file, |picture| {
            outcome = cut_square(picture, &mut square);
            false
        })?;
        outcome?;
        let plain: Vec<[u8; 4]> = square.data().as_chunks::<3>().0.iter().map(|p| [p[0], p[1], p[2], 255]).collect();
        let mut marked = plain.clone();
        embedder.mark(&mut marked);
        let squared =
            |(a, b): (&[u8; 4], &[u8; 4])| (0..3).map(|c| (f64::from(a[c]) - f64::from(b[c])).powi(2)).sum::<f64>();
        let mse = plain.iter().zip(&marked).map(squared).sum::<f64>() / (3 * plain.len()) as f64;
        psnrs.push(10.0 * (255.0 * 255.0 / mse.max(1e-9)).log10());
        ssims.push(ssim(&plain, &marked));
    }
    let mut picture = vec![[120, 110, 100, 255]; 1024 * 1024];
    let mut time_mark = |size: usize| {
        let mut embedder = Embedder::new(size, Message::of_run(1), Key::PUBLIC);
        median_ms(|| embedder.mark(&mut picture[..size * size]))
    };
    let mark_ms = (time_mark(512), time_mark(1024));
    let luma: Vec<u8> = (0..1280 * 720_usize).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
    let (mut detector, mut map) = (Detector::new(Key::PUBLIC), NormalMap::default());
    let map_ms = median_ms(|| {
        detector.map(&luma, (1280, 720), &mut map);
    });
    let look_ms = median_ms(|| {
        detector.look(&map);
    });
    Ok(Price { psnr_db: least_and_median(psnrs), ssim: least_and_median(ssims), mark_ms, map_ms, look_ms })
}

fn least_and_median(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values.first().copied().unwrap_or(0.0), values.get(values.len() / 2).copied().unwrap_or(0.0))
}

fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Gives every picture of a file to `look`, until that says false.
fn frames(file: &Path, mut look: impl FnMut(&Rgb) -> bool) -> Result<()> {
    let options = SourceOptions { paced: false, ..SourceOptions::default() };
    let mut source = capture::open(&SourceSpec::File(file.to_owned()), &options)?;
    let (mut frame, clock) = (RawFrame::default(), MonotonicClock::new());
    loop {
        match source.read(&mut frame, &clock)? {
            Read::Fresh if look(frame.picture()) => {}
            Read::Idle => {}
            Read::Fresh | Read::Ended => return Ok(()),
        }
    }
}

fn cut_square(picture: &Rgb, square: &mut Rgb) -> Result<()> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let side = width.min(height);
    let mat = picture.as_mat()?;
    let middle = Rect::new(((width - side) / 2) as i32, ((height - side) / 2) as i32, side as i32, side as i32);
    let method = if side > SIDE_PX { INTER_AREA } else { INTER_CUBIC };
    let size = Size::new(SIDE_PX as i32, SIDE_PX as i32);
    resize(&opencv::core::Mat::roi(&mat, middle)?, &mut square.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(())
}

/// The mean structural similarity of two pictures' brightness, over windows of 8 x 8, every fourth pixel.
fn ssim(a: &[[u8; 4]], b: &[[u8; 4]]) -> f64 {
    let luma = |p: &[u8; 4]| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2]);
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let (mut sum, mut n) = (0.0, 0.0);
    for top in (0..=SIDE_PX - 8).step_by(4) {
        for left in (0..=SIDE_PX - 8).step_by(4) {
            let mut sums = [0.0; 5];
            for y in top..top + 8 {
                for x in left..left + 8 {
                    let (p, q) = (luma(&a[y * SIDE_PX + x]), luma(&b[y * SIDE_PX + x]));
                    for (sum, value) in sums.iter_mut().zip([p, q, p * p, q * q, p * q]) {
                        *sum += value / 64.0;
                    }
                }
            }
            let [p, q, pp, qq, pq] = sums;
            let (vp, vq, vpq) = (pp - p * p, qq - q * q, pq - p * q);
            sum += (2.0 * p * q + c1) * (2.0 * vpq + c2) / ((p * p + q * q + c1) * (vp + vq + c2));
            n += 1.0;
        }
    }
    sum / n
}

/// Cuts, scales, turns, mirrors and brightens a picture by chance; answers the new size.
fn change(luma: &[u8], (width, height): (usize, usize), random: &mut Random, out: &mut Vec<u8>) -> (usize, usize) {
    let share = random.between(0.6, 1.0);
    let (cut_width, cut_height) = (width as f32 * share, height as f32 * share);
    let lines = random.between(220.0, 540.0);
    let scale = cut_height / lines;
    let (to_width, to_height) = ((cut_width / scale) as usize, lines as usize);
    let angle = if random.unit() < 0.5 { random.between(-0.1, 0.1) } else { 0.0 };
    let (sin, cos) = angle.sin_cos();
    let mirror = if random.unit() < 0.5 { -1.0 } else { 1.0 };
    let middle = (
        cut_width / 2.0 + random.unit() * (width as f32 - cut_width),
        cut_height / 2.0 + random.unit() * (height as f32 - cut_height),
    );
    let (gamma, gain) = (random.between(0.8, 1.25), random.between(0.8, 1.2));
    let table: [u8; 256] =
        std::array::from_fn(|i| ((i as f32 / 255.0).powf(gamma) * gain * 255.0).clamp(0.0, 255.0) as u8);
    let at = |x: usize, y: usize| f32::from(luma[y.min(height - 1) * width + x.min(width - 1)]);
    out.clear();
    for y in 0..to_height {
        let v = (y as f32 + 0.5 - to_height as f32 / 2.0) * scale;
        for x in 0..to_width {
            let u = (x as f32 + 0.5 - to_width as f32 / 2.0) * scale * mirror;
            let from_x = (middle.0 + cos * u - sin * v - 0.5).clamp(0.0, (width - 1) as f32);
            let from_y = (middle.1 + sin * u + cos * v - 0.5).clamp(0.0, (height - 1) as f32);
            let (x0, y0) = (from_x as usize, from_y as usize);
            let (ax, ay) = (from_x - x0 as f32, from_y - y0 as f32);
            let upper = at(x0, y0) + (at(x0 + 1, y0) - at(x0, y0)) * ax;
            let lower = at(x0, y0 + 1) + (at(x0 + 1, y0 + 1) - at(x0, y0 + 1)) * ax;
            out.push(table[(upper + (lower - upper) * ay).round() as usize & 255]);
        }
    }
    (to_width, to_height)
}

/// Fits the tail to scores of files.
fn tail(files: &[Vec<f32>], random: &mut Random) -> Tail {
    let mut all: Vec<f32> = files.iter().flatten().copied().collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let n = all.len();
    let own = f64::from(crate::mark::THRESHOLD);
    let rank = |share: f64| all[((share * n as f64) as usize).min(n - 1)];
    let quantiles = [0.5, 0.1, 0.01, 1e-3, 1e-4, 0.0].map(|share| (share, rank(share))).to_vec();
    let (from, mean_excess) = fit(&all);
    let mut resampled: Vec<(f64, f64)> = (0..N_RESAMPLES)
        .map(|_| {
            let pick = |random: &mut Random| ((random.unit() * files.len() as f32) as usize).min(files.len() - 1);
            let mut scores: Vec<f32> = (0..files.len()).flat_map(|_| files[pick(random)].iter().copied()).collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            let (from, mean) = fit(&scores);
            (threshold(from, mean), at(own, from, mean))
        })
        .collect();
    let mut interval = |by: fn(&(f64, f64)) -> f64| {
        resampled.sort_by(|a, b| by(a).total_cmp(&by(b)));
        (by(&resampled[N_RESAMPLES / 40]), by(&resampled[N_RESAMPLES - 1 - N_RESAMPLES / 40]))
    };
    let (threshold_interval, at_own_threshold_interval) = (interval(|r| r.0), interval(|r| r.1));
    let mut histogram: Vec<(f32, usize)> = Vec::new();
    for &score in all.iter().rev() {
        let bin = (score * 10.0).floor() / 10.0;
        match histogram.last_mut() {
            Some((last, count)) if *last == bin => *count += 1,
            _ => histogram.push((bin, 1)),
        }
    }
    Tail {
        n_pictures: n,
        n_files: files.iter().filter(|scores| !scores.is_empty()).count(),
        quantiles,
        from,
        mean_excess,
        threshold: threshold(from, mean_excess),
        threshold_interval,
        at_own_threshold: at(own, from, mean_excess),
        at_own_threshold_interval,
        n_beyond: all.iter().filter(|&&score| f64::from(score) >= own).count(),
        histogram,
    }
}

/// Where the tail begins and how far it reaches in the mean; `falling` scores. An exponential tail: the true one, that of the
/// largest of many sums of angles, falls faster, so that this errs to the safe side.
fn fit(falling: &[f32]) -> (f64, f64) {
    let n = ((falling.len() as f64 * TAIL_SHARE) as usize).clamp(1, falling.len().max(1));
    let from = f64::from(falling.get(n).or(falling.last()).copied().unwrap_or(0.0));
    let excess: f64 = falling.iter().take(n).map(|&score| f64::from(score) - from).sum();
    (from, (excess / n as f64).max(1e-6))
}

fn threshold(from: f64, mean_excess: f64) -> f64 {
    from + mean_excess * (TAIL_SHARE / WANTED).ln()
}

fn at(score: f64, from: f64, mean_excess: f64) -> f64 {
    TAIL_SHARE * ((from - score) / mean_excess).exp()
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "unmarked pictures          {} of {} files", self.n_pictures, self.n_files)?;
        for (share, score) in &self.quantiles {
            let name = if *share == 0.0 { "highest score".to_owned() } else { format!("score of the top {share}") };
            writeln!(f, "{name:<26} {score:.2}")?;
        }
        let (low, high) = self.threshold_interval;
        writeln!(f, "tail                       0.01 e^-((score - {:.3}) / {:.3})", self.from, self.mean_excess)?;
        writeln!(f, "one in a million at        {:.2} (95 % interval {low:.2} to {high:.2})", self.threshold)?;
        let (low, high) = self.at_own_threshold_interval;
        let own = crate::mark::THRESHOLD;
        writeln!(f, "at the program's {own:.2}      {:.1e} ({low:.1e} to {high:.1e})", self.at_own_threshold)?;
        writeln!(f, "pictures beyond that       {}", self.n_beyond)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "PSNR, least and median     {:.1} dB, {:.1} dB", self.psnr_db.0, self.psnr_db.1)?;
        writeln!(f, "SSIM, least and median     {:.4}, {:.4}", self.ssim.0, self.ssim.1)?;
        writeln!(f, "marking 512 x 512          {:.2} ms", self.mark_ms.0)?;
        writeln!(f, "marking 1024 x 1024        {:.2} ms", self.mark_ms.1)?;
        writeln!(f, "evening out 1280 x 720     {:.2} ms", self.map_ms)?;
        writeln!(f, "looking for the mark       {:.2} ms", self.look_ms)
    }
}

/// Random numbers that are the same in each run: xorshift.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_known_scores_is_found() {
        let mut random = Random(7);
        // Exponential beyond 4 with a mean of 0.2: one in a million at 4 + 0.2 ln 1e6 = 6.76.
        let files: Vec<Vec<f32>> =
            (0..50).map(|_| (0..2000).map(|_| 4.0 - 0.2 * (1.0 - random.unit()).max(1e-7).ln()).collect()).collect();
        let tail = tail(&files, &mut random);
        assert!((tail.threshold - 6.76).abs() < 0.15, "{tail}");
        let (low, high) = tail.threshold_interval;
        assert!(low < 6.76 && 6.76 < high && high - low < 0.5, "{tail}");
    }

    #[test]
    fn changed_pictures_keep_to_their_range() {
        let mut random = Random(3);
        let (luma, mut out) = (vec![255; 40 * 30], Vec::new());
        for _ in 0..50 {
            let (width, height) = change(&luma, (40, 30), &mut random, &mut out);
            assert_eq!(out.len(), width * height);
            assert!(out.iter().all(|&v| v >= 200));
        }
    }
}

//! What the invisible mark costs and how far it changes pictures, measured on footage without one.
//!
//! How often chance makes its score, and what it survives, `scripts/mark_bench.py` measures.

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

/// Times each work is done.
const N_TIMES: usize = 101;
/// The side that pictures are marked at, to say how they look.
const SIDE_PX: usize = 512;

/// What the mark does to pictures, and what it costs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Price {
    /// PSNR of marked against unmarked pictures of 512 x 512, least and median, in dB.
    pub psnr_db: (f64, f64),
    /// SSIM of their brightness, windows of 8 x 8, least and median.
    pub ssim: (f64, f64),
    /// What marking adds to one picture of 512 x 512, 1024 x 1024 and 1920 x 1080, in milliseconds: the medians of copying a picture with and
    /// without marking it, taken in turns.
    pub mark_ms: [f64; 3],
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
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            if ["mp4", "mkv", "webm", "jpg", "jpeg", "png"].contains(&extension.as_str()) {
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

/// Measures what the mark does to the first picture of each file, and what it costs.
///
/// # Errors
/// As [`capture::open`].
pub fn price(files: &[PathBuf]) -> Result<Price> {
    let mut embedder = Embedder::new((SIDE_PX, SIDE_PX), Message::of_run(0x5a5a), Key::PUBLIC);
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
    let mark_ms = [(512, 512), (1024, 1024), (1920, 1080)].map(added_ms);
    let luma: Vec<u8> = (0..1280 * 720_usize).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
    let (mut detector, mut map) = (Detector::new(Key::PUBLIC), NormalMap::default());
    let mut map_once = || {
        time(|| {
            detector.map(&luma, (1280, 720), &mut map);
        })
    };
    let map_ms = median_ms((0..N_TIMES).map(|_| map_once()).collect());
    let mut look_once = || {
        time(|| {
            detector.look(&map);
        })
    };
    let look_ms = median_ms((0..N_TIMES).map(|_| look_once()).collect());
    Ok(Price { psnr_db: least_and_median(psnrs), ssim: least_and_median(ssims), mark_ms, map_ms, look_ms })
}

fn least_and_median(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values.first().copied().unwrap_or(0.0), values.get(values.len() / 2).copied().unwrap_or(0.0))
}

/// What marking adds to the making of a picture, in milliseconds.
fn added_ms(size: (usize, usize)) -> f64 {
    let grain = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
    let source: Vec<[u8; 4]> = (0..size.0 * size.1).map(|i| [grain(i), grain(i + 1), grain(i + 2), 255]).collect();
    let mut picture = source.clone();
    let mut embedder = Embedder::new(size, Message::of_run(1), Key::PUBLIC);
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for _ in 0..N_TIMES {
        off.push(time(|| picture.copy_from_slice(&source)));
        on.push(time(|| {
            picture.copy_from_slice(&source);
            embedder.mark(&mut picture);
        }));
    }
    median_ms(on) - median_ms(off)
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
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

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "PSNR, least and median     {:.1} dB, {:.1} dB", self.psnr_db.0, self.psnr_db.1)?;
        writeln!(f, "SSIM, least and median     {:.4}, {:.4}", self.ssim.0, self.ssim.1)?;
        for (size, ms) in ["512 x 512  ", "1024 x 1024", "1920 x 1080"].iter().zip(self.mark_ms) {
            writeln!(f, "marking {size}        {ms:.2} ms")?;
        }
        writeln!(f, "evening out 1280 x 720     {:.2} ms", self.map_ms)?;
        writeln!(f, "looking for the mark       {:.2} ms", self.look_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_by_their_ending_in_any_case() {
        let folder = std::env::temp_dir().join(format!("effigy-mark-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["b.MP4", "a.JPG", "c.webm", "notes.txt", "jpg"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let files = files_in(std::slice::from_ref(&folder)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files, ["a.JPG", "b.MP4", "c.webm"].map(|name| folder.join(name)));
    }
}

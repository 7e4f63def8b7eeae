//! Recordings of motion become what the models of motion learn from; how near idle motion is to people's.

use std::path::Path;

use effigy_base::random::Rng;
use effigy_training::motion::living::{quiet_windows, windows};

use super::eval::frechet::{FeatureSet, frechet_distance};
use crate::capture::recorded;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::motion::MotionSample;
use crate::motion::living::{Breath, Idle, Living, N_CHANNELS, RATE_HZ};

pub use effigy_training::motion::{MotionOptions, Track, teach};

/// How far a step from one sample to the next may be from the middle one of its stretch, as a share of that.
const MAX_UNEVEN: f64 = 0.3;

/// Reads the recordings of a folder (`*.jsonl`, in the order of their names); stretches of less than two seconds are left out,
/// and where a frame was dropped another stretch begins.
///
/// # Errors
/// [`ErrorKind::Io`] when a file is torn; [`ErrorKind::Config`] when the folder has none that can be learned from.
pub fn tracks(folder: &Path) -> Result<Vec<Track>> {
    let about = || format!("cannot read the recordings in {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).or_error(ErrorKind::Io, about)? {
        let path = entry.or_error(ErrorKind::Io, about)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl")) {
            paths.push(path);
        }
    }
    paths.sort();
    let (mut tracks, mut secs) = (Vec::new(), 0.0);
    for path in &paths {
        for stretch in recorded(path)? {
            secs += stretch.last().zip(stretch.first()).map_or(0.0, |(last, first)| last.secs - first.secs);
            tracks.extend(even_parts(&stretch).filter_map(Track::new));
        }
    }
    let left_out_secs = secs - tracks.iter().map(|track: &Track| f64::from(track.secs())).sum::<f64>();
    if left_out_secs >= 1.0 {
        log::info!(
            "{left_out_secs:.0} of {secs:.0} s of {} are left out: stretches of less than two seconds, and dropped frames",
            folder.display()
        );
    }
    if tracks.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "{}: no recording of two seconds of one face; make some with `effigy run --source talk.mp4 --every-frame \
                 --sink motion:{}/talk.jsonl`",
                about(),
                folder.display()
            ),
        ));
    }
    Ok(tracks)
}

/// The parts of a stretch whose samples follow each other evenly.
fn even_parts(stretch: &[MotionSample]) -> impl Iterator<Item = &[MotionSample]> {
    let mut steps_secs: Vec<f64> = stretch.windows(2).map(|pair| pair[1].secs - pair[0].secs).collect();
    steps_secs.sort_by(f64::total_cmp);
    let middle_secs = steps_secs.get(steps_secs.len() / 2).copied().unwrap_or_default();
    stretch.chunk_by(move |a, b| (b.secs - a.secs - middle_secs).abs() <= MAX_UNEVEN * middle_secs)
}

/// Moments of a window that motion is compared over: two seconds.
const WINDOW: usize = 50;
/// Upper ends of the bands, in waves of a window: 0.5, 1.5, 4 and 12.5 Hz.
const BANDS: [usize; 4] = [1, 3, 8, 25];
/// Pairs of channels whose correlation is a feature: turns with each other, with their shifts, with gaze and lids.
const PAIRS: [(usize, usize); 8] = [(0, 1), (1, 2), (0, 4), (1, 3), (1, 7), (0, 6), (6, 8), (6, 9)];

/// How far motion is from that of people who rest, by what makes it.
#[derive(Clone, Debug)]
pub struct IdleFigures {
    /// Windows of each set.
    pub n_windows: usize,
    /// What makes the motion, and the Fréchet distance over the features of [`bands`]: over all of them, and over those of the
    /// head's turns alone.
    pub distances: Vec<(&'static str, [f64; 2])>,
}

/// Compares the idle motion of `model` and of the formula with windows of people at rest that nothing was learned from.
/// `learned_from` says how far other people's motion is.
///
/// # Errors
/// [`ErrorKind::Config`] when nobody rests for two seconds.
pub fn compare_idle(model: &Living, at_rest: &[Track], learned_from: &[Track]) -> Result<IdleFigures> {
    let truth: Vec<Vec<f32>> = at_rest.iter().flat_map(|track| quiet_windows(track, WINDOW, 1)).collect();
    if truth.len() < 2 {
        return Err(Error::new(ErrorKind::Config, "nobody rests for two seconds in the recordings to compare with"));
    }
    let scale = model.range().map(|range| range / 4.5);
    let mut rng = Rng::new(3, 0);
    let set = |windows: &mut dyn Iterator<Item = Vec<f32>>| {
        let mut sets = [FeatureSet::default(), FeatureSet::default()];
        windows.take(truth.len()).for_each(|window| {
            let features = bands(&window, &scale);
            sets[1].push(&features[..3 * BANDS.len()]);
            sets[0].push(&features);
        });
        sets
    };
    let still = set(&mut truth.iter().cloned());
    let mut breath = Breath::default();
    let mut made = |of: &mut dyn FnMut(f64) -> Idle| {
        let mut windows = std::iter::repeat_with(|| {
            let from_secs = f64::from(rng.range(0.0, 3000.0));
            let rows: Vec<_> = (0..WINDOW).map(|i| of(from_secs + i as f64 / RATE_HZ).channels()).collect();
            (0..N_CHANNELS).flat_map(|channel| rows.iter().map(|row| row[channel]).collect::<Vec<_>>()).collect()
        });
        set(&mut windows)
    };
    let learned = made(&mut |secs| model.at(1, secs, &mut breath));
    let formula = made(&mut Idle::swaying);
    let nothing = made(&mut |_| Idle::default());
    let mut others: Vec<Vec<f32>> = learned_from.iter().flat_map(|track| windows(track, WINDOW, 4)).collect();
    (1..others.len()).rev().for_each(|i| others.swap(i, rng.below(i + 1)));
    let others = set(&mut others.into_iter());
    let sets = [("learned", learned), ("formula", formula), ("no motion", nothing), ("other people, speaking", others)];
    let apart = |set: &[FeatureSet; 2]| {
        let of = |i: usize| frechet_distance(&set[i], &still[i]);
        Some([of(0)?, of(1)?])
    };
    let distances = sets.into_iter().filter_map(|(name, set)| Some((name, apart(&set)?))).collect();
    Ok(IdleFigures { n_windows: truth.len(), distances })
}

/// Features of a window of two seconds (10 channels, each 50 moments in a row), called "motion bands": for each channel, in
/// units of `scale`, the logarithm of its energy in four bands, and eight correlations between channels.
pub fn bands(window: &[f32], scale: &[f32; N_CHANNELS]) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = window
        .chunks_exact(WINDOW)
        .zip(scale)
        .map(|(row, scale)| {
            let mean = row.iter().sum::<f32>() / WINDOW as f32;
            row.iter().map(|x| (x - mean) / scale.max(1e-6)).collect()
        })
        .collect();
    let mut features = Vec::with_capacity(N_CHANNELS * BANDS.len() + PAIRS.len());
    for row in &rows {
        let wave = |k: usize| {
            let (mut real, mut imaginary) = (0.0_f32, 0.0_f32);
            for (i, x) in row.iter().enumerate() {
                let angle = std::f32::consts::TAU * (i * k) as f32 / WINDOW as f32;
                real += x * angle.cos();
                imaginary += x * angle.sin();
            }
            (real * real + imaginary * imaginary) / (WINDOW * WINDOW) as f32
        };
        let mut from = 1;
        for to in BANDS {
            features.push(((from..=to).map(wave).sum::<f32>() + 1e-4).log10());
            from = to + 1;
        }
    }
    for (a, b) in PAIRS {
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / WINDOW as f32;
        let (a, b) = (&rows[a], &rows[b]);
        features.push(product(a, b) / (product(a, a) * product(b, b) + 1e-4).sqrt());
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_frame_parts_a_recording_and_loses_no_more_than_itself() {
        let sample = |i: usize| MotionSample { secs: 7.0 + i as f64 * 0.04, ..MotionSample::default() };
        let even: Vec<MotionSample> = (0..200).map(sample).collect();
        assert_eq!(even_parts(&even).count(), 1);
        let holed = [&even[..100], &even[101..]].concat();
        let tracks: Vec<Track> = even_parts(&holed).filter_map(Track::new).collect();
        let secs: Vec<f32> = tracks.iter().map(Track::secs).collect();
        assert!(secs.len() == 2 && (secs[0] - 3.96).abs() < 1e-3 && (secs[1] - 3.92).abs() < 1e-3, "{secs:?}");
        assert_eq!(even_parts(&[]).count(), 0);
        assert_eq!(even_parts(&even[..1]).count(), 1);
    }

    #[test]
    fn bands_tell_slow_from_fast_and_together_from_apart() {
        let wave = |hz: f32| (0..WINDOW).map(move |i| (std::f32::consts::TAU * hz * i as f32 / 25.0).sin());
        let window = |first: f32, second: f32| -> Vec<f32> {
            wave(first).chain(wave(second)).chain(std::iter::repeat_n(0.0, 8 * WINDOW)).collect()
        };
        let scale = [1.0; N_CHANNELS];
        let together = bands(&window(1.0, 1.0), &scale);
        assert_eq!(together.len(), 48);
        assert!(together[1] > -0.7 && together[0] < -3.5 && together[2] < -3.5, "{together:?}");
        assert!(together[40] > 0.99);
        let apart = bands(&window(6.0, 1.0), &scale);
        assert!(apart[3] > -0.7 && apart[1] < -3.5 && apart[40].abs() < 0.01, "{apart:?}");
        assert!(together[8..40].iter().all(|x| (*x + 4.0).abs() < 1e-3), "what stands still has no energy");
    }
}

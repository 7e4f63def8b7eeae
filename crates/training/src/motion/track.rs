//! What one clip's face did, part by part: the motion, and the tracker's noise over it.

use effigy_base::geometry::N_COEFFICIENTS;
use effigy_network::motion::{MotionSample, Part};

/// A track is at least so long, in samples.
const LEAST_SAMPLES: usize = 40;
/// Half the width of the window that motion and noise are told apart by, in samples.
const REACH: isize = 4;
/// Its standard deviation, in samples.
const SPREAD: f32 = 0.8;

/// One face's motion at a constant rate, without gaps.
#[derive(Clone, Debug)]
pub struct Track {
    rate_hz: f32,
    /// For each part, rows of numbers: the motion, and what the tracker added to it.
    motion: [Vec<Vec<f32>>; Part::N],
    noise: [Vec<Vec<f32>>; Part::N],
}

impl Track {
    /// Takes samples of a clip, all of one face, in order; `None` when they are too few, have gaps, or hold what is no number.
    pub fn new(samples: &[MotionSample]) -> Option<Self> {
        let n = samples.len();
        if n < LEAST_SAMPLES || !samples.iter().all(MotionSample::is_finite) {
            return None;
        }
        let step_secs = (samples[n - 1].secs - samples[0].secs) / (n - 1) as f64;
        let is_steady =
            samples.windows(2).all(|pair| (pair[1].secs - pair[0].secs - step_secs).abs() < 0.3 * step_secs);
        if !(step_secs > 1e-3 && is_steady) {
            return None;
        }
        let (mut motion, mut noise) = (<[Vec<Vec<f32>>; Part::N]>::default(), <[Vec<Vec<f32>>; Part::N]>::default());
        for part in Part::ALL {
            let raw: Vec<Vec<f32>> = samples.iter().map(|sample| numbers(sample, part)).collect();
            let smooth = smoothed(&raw);
            let apart = |(raw, smooth): (&Vec<f32>, &Vec<f32>)| raw.iter().zip(smooth).map(|(a, b)| a - b).collect();
            noise[part.index()] = raw.iter().zip(&smooth).map(apart).collect();
            motion[part.index()] = smooth;
        }
        Some(Self { rate_hz: (1.0 / step_secs) as f32, motion, noise })
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> f32 {
        self.rate_hz
    }

    /// How long it is, in seconds.
    pub fn secs(&self) -> f32 {
        (self.motion[0].len() - 1) as f32 / self.rate_hz
    }

    /// The motion of a part at any time, between samples by a cubic.
    pub fn motion(&self, part: Part, secs: f32) -> Vec<f32> {
        let rows = &self.motion[part.index()];
        let place = (secs * self.rate_hz).clamp(0.0, (rows.len() - 1) as f32);
        let i = (place.floor() as usize).min(rows.len() - 2);
        let t = place - i as f32;
        let row = |offset: isize| &rows[(i as isize + offset).clamp(0, rows.len() as isize - 1) as usize];
        let (a, b, c, d) = (row(-1), row(0), row(1), row(2));
        let at = |k: usize| {
            let (a, b, c, d) = (a[k], b[k], c[k], d[k]);
            b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
        };
        (0..b.len()).map(at).collect()
    }

    /// What the tracker added to a part in the sample nearest to this time.
    pub fn noise(&self, part: Part, secs: f32) -> &[f32] {
        let rows = &self.noise[part.index()];
        &rows[((secs * self.rate_hz).round().max(0.0) as usize).min(rows.len() - 1)]
    }

    /// The size of the tracker's noise in a part: the root of the mean square.
    pub fn noise_size(&self, part: Part) -> f32 {
        let rows = &self.noise[part.index()];
        (rows.iter().flatten().map(|value| value * value).sum::<f32>() / rows.len() as f32).sqrt()
    }
}

/// The numbers of a part, rotations as axes as long as their angles.
pub(super) fn numbers(sample: &MotionSample, part: Part) -> Vec<f32> {
    match part {
        Part::Turn => {
            let turn = if sample.turn.w < 0.0 { -sample.turn } else { sample.turn };
            turn.to_scaled_axis().to_array().to_vec()
        }
        Part::Place => sample.place.to_array().to_vec(),
        _ => (1..N_COEFFICIENTS).filter(|&c| Part::of_coefficient(c) == part).map(|c| sample.coefficients[c]).collect(),
    }
}

/// Rows smoothed over time by a Gaussian; at the ends they go on as they came.
fn smoothed(rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let weights: Vec<f32> = (-REACH..=REACH).map(|x| (-0.5 * (x as f32 / SPREAD).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let last = rows.len() as isize - 1;
    let row = |i: isize, k: usize| rows[i.clamp(0, last) as usize][k];
    let at = |i: isize, k: usize| match i {
        ..0 => 2.0 * row(0, k) - row(-i, k),
        _ if i > last => 2.0 * row(last, k) - row(2 * last - i, k),
        _ => row(i, k),
    };
    (0..=last)
        .map(|i| {
            let mean =
                |k: usize| (-REACH..=REACH).zip(&weights).map(|(x, weight)| weight * at(i + x, k)).sum::<f32>() / sum;
            (0..rows[i as usize].len()).map(mean).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    fn nodding(n: usize) -> Vec<MotionSample> {
        let sample = |i: usize| MotionSample {
            secs: i as f64 * 0.04,
            turn: Quat::from_rotation_x(0.02 * i as f32 + if i.is_multiple_of(2) { 1e-3 } else { -1e-3 }),
            ..MotionSample::default()
        };
        (0..n).map(sample).collect()
    }

    #[test]
    fn motion_and_noise_are_told_apart_and_add_up() {
        let samples = nodding(60);
        let track = Track::new(&samples).unwrap();
        assert!((track.rate_hz() - 25.0).abs() < 1e-3 && (track.secs() - 2.36).abs() < 1e-3);
        for i in [0, 1, 30, 58, 59] {
            let secs = i as f32 * 0.04;
            let sum = track.motion(Part::Turn, secs)[0] + track.noise(Part::Turn, secs)[0];
            assert!((sum - numbers(&samples[i], Part::Turn)[0]).abs() < 1e-5, "{i}");
            // At the ends there is nothing to tell noise from motion by.
            let play = if i == 30 { 5e-4 } else { 1.1e-3 };
            assert!((track.motion(Part::Turn, secs)[0] - 0.02 * i as f32).abs() < play, "{i}");
        }
        assert!((5e-4..1.2e-3).contains(&track.noise_size(Part::Turn)), "{}", track.noise_size(Part::Turn));
    }

    #[test]
    fn what_is_short_or_has_gaps_is_no_track() {
        assert!(Track::new(&nodding(39)).is_none());
        let mut gap = nodding(60);
        gap.iter_mut().skip(30).for_each(|sample| sample.secs += 0.2);
        assert!(Track::new(&gap).is_none());
        let mut torn = nodding(60);
        torn[10].place.x = f32::NAN;
        assert!(Track::new(&torn).is_none());
    }
}

//! What the tracker sees in random renders, against what was rendered.

use std::fmt;
use std::ops::Range;

use glam::{Mat3, Quat, Vec3};

use super::motion::{LOOP_SECS, Motion};
use super::person::{Person, Studio};
use super::random::Rng;
use super::render::{Frame, Quality, Renderer};
use super::scene::Scene;
use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::face::{FaceTracker, TrackerOptions};
use crate::frame::Rgb;
use crate::geometry::{COEFFICIENT_NAMES, FaceObservation};

/// Expressions that are compared, each with the coefficients whose mean it is.
const EXPRESSIONS: [(&str, &[&str]); 5] = [
    ("jawOpen", &["jawOpen"]),
    ("mouthSmile", &["mouthSmileLeft", "mouthSmileRight"]),
    ("mouthPucker", &["mouthPucker"]),
    ("eyeBlink", &["eyeBlinkLeft", "eyeBlinkRight"]),
    ("browInnerUp", &["browInnerUp"]),
];
/// Size of the renders, in pixels a side.
const SIDE_PX: usize = 512;

/// How well the tracker agrees with the truth.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Renders looked at.
    pub n_renders: usize,
    /// Renders in which the face was found where it is.
    pub n_found: usize,
    /// Mean distance of the points from the truth, in pixels at 512.
    pub landmark_error_px: f64,
    /// Mean angle between the head's rotations, in degrees, without `frame_offset_degs`.
    pub pose_error_degs: f64,
    /// Constant turn between the tracker's canonical head and ICT's, which are no one's truth about "frontal".
    pub frame_offset_degs: f64,
    /// Correlation of each expression, by name.
    pub correlations: Vec<(&'static str, f64)>,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.n_found as f64 / self.n_renders.max(1) as f64;
        writeln!(f, "| measured | value |\n|---|---|")?;
        writeln!(f, "| face found | {} of {} ({share:.2} %) |", self.n_found, self.n_renders)?;
        writeln!(f, "| points, mean distance | {:.2} px at 512 |", self.landmark_error_px)?;
        write!(
            f,
            "| head rotation, mean error | {:.2} degrees, beside a constant {:.2} between the two heads' axes |",
            self.pose_error_degs, self.frame_offset_degs
        )?;
        for (name, correlation) in &self.correlations {
            write!(f, "\n| {name}, correlation | {correlation:.3} |")?;
        }
        Ok(())
    }
}

/// Renders random instants of random people in random scenes and compares; `progress` is told how many are done.
///
/// # Errors
/// When the tracker's models cannot be opened.
pub fn compare(studio: &Studio, people: Range<u64>, n_frames: u64, mut progress: impl FnMut(u64)) -> Result<Agreement> {
    let mut tracker = FaceTracker::new(TrackerOptions::default())?;
    let mut seen = FaceObservation::default();
    let (mut n_renders, mut n_found) = (0, 0);
    let mut landmark_error = 0.0;
    let mut turns = Vec::new();
    let mut pairs: [Vec<(f64, f64)>; EXPRESSIONS.len()] = Default::default();
    for seed in people {
        let person = Person::sample(seed, studio);
        let motion = Motion::sample(seed);
        let quality = Quality { side_px: SIDE_PX, samples: 2 };
        let mut renderer = Renderer::new(studio, &person, Scene::sample(seed), quality);
        let mut random = Rng::new(seed, 99);
        for i in 0..n_frames {
            let frame = renderer.render(&motion.at(random.range(0.0, LOOP_SECS)), i);
            n_renders += 1;
            // Each render stands alone: the face must be found, not followed.
            tracker.reset();
            let picture = Rgb::from_data(SIDE_PX, SIDE_PX, frame.rgb.clone())?;
            let mut shot = RawFrame::new(picture, Timestamp::default());
            let mut is_seen = tracker.observe(&shot, &mut seen)?;
            // Seen again where it was found, as every frame after the first is.
            shot.set_captured(Timestamp::from_nanos(33_333_333));
            is_seen = is_seen && tracker.observe(&shot, &mut seen)?;
            let distance = landmark_distance_px(&frame, &seen);
            // A face found elsewhere is none.
            if is_seen && distance < 0.1 * SIDE_PX as f64 {
                n_found += 1;
                landmark_error += distance;
                turns.push(turn_rads(&frame, &seen));
                for ((_, names), pairs) in EXPRESSIONS.iter().zip(&mut pairs) {
                    pairs.push((mean_of(names, &frame.truth.coefficients), mean_of(names, &seen.coefficients)));
                }
            }
            progress(n_renders as u64);
        }
    }
    let n = f64::max(n_found as f64, 1.0);
    let offset = turns.iter().sum::<Vec3>() / n as f32;
    let degs = |turn: Vec3| f64::from(turn.length()).to_degrees();
    Ok(Agreement {
        n_renders,
        n_found,
        landmark_error_px: landmark_error / n,
        pose_error_degs: turns.iter().map(|turn| degs(*turn - offset)).sum::<f64>() / n,
        frame_offset_degs: degs(offset),
        correlations: EXPRESSIONS.iter().zip(&pairs).map(|((name, _), pairs)| (*name, correlation(pairs))).collect(),
    })
}

fn landmark_distance_px(frame: &Frame, seen: &FaceObservation) -> f64 {
    let distance = |(truth, seen): (&[f32; 3], &Vec3)| f64::from((truth[0] - seen.x).hypot(truth[1] - seen.y));
    frame.truth.landmarks.iter().zip(&seen.landmarks_px).map(distance).sum::<f64>() / frame.truth.landmarks.len() as f64
}

/// The turn from the true head to the one seen, in the head's own axes: axis times angle in radians.
fn turn_rads(frame: &Frame, seen: &FaceObservation) -> Vec3 {
    // The truth's camera looks along -z with y up, the tracker's along z with y down.
    let flip = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    let rows = frame.truth.rotation;
    let truth = flip * Mat3::from_cols(rows[0].into(), rows[1].into(), rows[2].into()).transpose();
    Quat::from_mat3(&(truth.transpose() * seen.pose.camera_from_head)).to_scaled_axis()
}

fn mean_of(names: &[&str], coefficients: &[f32]) -> f64 {
    let sum: f32 =
        COEFFICIENT_NAMES.iter().zip(coefficients).filter(|(name, _)| names.contains(name)).map(|(_, c)| c).sum();
    f64::from(sum) / names.len() as f64
}

/// Pearson's correlation.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len().max(1) as f64;
    let (mean_x, mean_y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / n, y + pair.1 / n));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (dx, dy) = (x - mean_x, y - mean_y);
        (xy, xx, yy) = (xy + dx * dy, xx + dx * dx, yy + dy * dy);
    }
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_of_a_line_is_one_and_of_its_mirror_minus_one() {
        let line: Vec<_> = (0..10).map(|i| (f64::from(i), 3.0 * f64::from(i) + 1.0)).collect();
        let mirror: Vec<_> = line.iter().map(|(x, y)| (*x, -y)).collect();
        assert!((correlation(&line) - 1.0).abs() < 1e-12 && (correlation(&mirror) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[(1.0, 2.0)]), 0.0);
    }
}

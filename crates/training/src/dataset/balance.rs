//! How often each frame is to be drawn, so that rare people, poses and expressions are seen enough.

use std::collections::HashMap;

use super::{Clip, Frame, Split};
use effigy_base::geometry::COEFFICIENT_NAMES;

/// A frame is drawn at most this many times as often as the mean of its split, and at least one of so many.
const MAX_RATIO: f32 = 6.0;

/// Sets all weights: the product, over person and over what the face does, of one over the root of how frequent that
/// is. The root is half way between taking frames as they come and making all classes equal: a person with a single
/// photo must not weigh as much as one with three thousand frames.
pub(super) fn set_weights(clips: &mut [Clip]) {
    for split in [Split::Train, Split::Validation] {
        let mut of_person: HashMap<String, f32> = HashMap::new();
        let mut of_bin: HashMap<Bin, f32> = HashMap::new();
        let mut n_frames = 0.0_f32;
        for clip in clips.iter().filter(|clip| clip.split == split) {
            *of_person.entry(clip.person.clone()).or_default() += clip.frames.len() as f32;
            for frame in &clip.frames {
                *of_bin.entry(bin(frame)).or_default() += 1.0;
                n_frames += 1.0;
            }
        }
        let mut in_split: Vec<&mut Clip> = clips.iter_mut().filter(|clip| clip.split == split).collect();
        for clip in &mut in_split {
            let person = of_person.get(&clip.person).map_or(1.0, |n| n.powf(-0.5));
            for frame in &mut clip.frames {
                frame.weight = person * of_bin.get(&bin(frame)).map_or(1.0, |n| n.powf(-0.5));
            }
        }
        // Clamped, then brought to a mean of one; a few rounds, since each moves the other.
        for _ in 0..4 {
            let sum: f32 = in_split.iter().flat_map(|clip| &clip.frames).map(|frame| frame.weight).sum();
            let scale = if sum > 0.0 { n_frames / sum } else { 1.0 };
            for frame in in_split.iter_mut().flat_map(|clip| &mut clip.frames) {
                frame.weight = (frame.weight * scale).clamp(1.0 / MAX_RATIO, MAX_RATIO);
            }
        }
    }
}

type Bin = [i8; 5];

/// What the face does, in coarse steps.
fn bin(frame: &Frame) -> Bin {
    let [yaw, pitch, _] = frame.pose.yaw_pitch_roll_rads().map(f32::to_degrees);
    let of = |names: &[&str]| {
        let found = COEFFICIENT_NAMES.iter().zip(&frame.coefficients).filter(|(name, _)| names.contains(name));
        let sum: f32 = found.map(|(_, value)| value).sum();
        sum / names.len() as f32
    };
    let step = |value: f32, limits: &[f32]| limits.iter().filter(|limit| value >= **limit).count() as i8;
    [
        step(yaw, &[-25.0, -12.0, -4.0, 4.0, 12.0, 25.0]),
        step(pitch, &[-12.0, -4.0, 4.0, 12.0]),
        step(of(&["jawOpen"]), &[0.08, 0.25, 0.5]),
        step(of(&["eyeBlinkLeft", "eyeBlinkRight"]), &[0.35, 0.6]),
        step(of(&["mouthSmileLeft", "mouthSmileRight"]), &[0.3]) + 2 * step(of(&["mouthPucker"]), &[0.5]),
    ]
}

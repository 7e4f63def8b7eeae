//! Whether a face would do as a portrait: from the front, at rest, eyes open.

use super::{COEFFICIENT_NAMES, FaceObservation};

/// A calm head is turned at most this far, in radians.
#[cfg(feature = "train")]
const MAX_TURN_RADS: f32 = 0.17;
/// A calm expression is at most this strong, in each coefficient that shows.
#[cfg(feature = "train")]
const MAX_EXPRESSION: f32 = 0.3;
/// Coefficients that show: a smile, an open mouth, shut or lowered eyes.
const SHOWS: [&str; 5] = ["jaw", "mouth", "cheekPuff", "eyeBlink", "eyeLookDown"];

/// Whether the face would do as a portrait.
#[cfg(feature = "train")]
pub(crate) fn is_calm(face: &FaceObservation) -> bool {
    face.pose.yaw_pitch_roll_rads().iter().all(|angle| angle.abs() <= MAX_TURN_RADS)
        && shown_expressions(face).all(|value| value <= MAX_EXPRESSION)
}

/// How far the face is from a portrait's; 0 is perfect.
pub(crate) fn unrest(face: &FaceObservation) -> f32 {
    let turned: f32 = face.pose.yaw_pitch_roll_rads().iter().map(|angle| angle.abs()).sum();
    shown_expressions(face).sum::<f32>() + 2.0 * turned
}

fn shown_expressions(face: &FaceObservation) -> impl Iterator<Item = f32> {
    let shows = |name: &str| SHOWS.iter().any(|prefix| name.starts_with(prefix));
    COEFFICIENT_NAMES.iter().zip(face.coefficients).filter(move |(name, _)| shows(name)).map(|(_, value)| value)
}

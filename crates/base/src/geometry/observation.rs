//! What one frame says about a face.

use glam::Vec3;

use super::{HeadPose, Landmarks, MouthContents, N_LANDMARKS};
use crate::clock::Timestamp;

/// Expression coefficients.
pub const N_COEFFICIENTS: usize = 52;

/// What one frame says about the face in it.
#[derive(Clone, Debug)]
pub struct FaceObservation {
    /// When the frame was taken.
    pub captured: Timestamp,
    /// Size of the frame, (width, height) in pixels.
    pub frame_size_px: (usize, usize),
    /// The points, in pixels of the frame.
    pub landmarks_px: Landmarks,
    /// How sure the network is that there is a face, 0..1.
    pub presence: f32,
    /// Strength of each expression, 0..1, in the order of [`COEFFICIENT_NAMES`].
    pub coefficients: [f32; N_COEFFICIENTS],
    /// Position and orientation of the head.
    pub pose: HeadPose,
    /// What is seen between the lips.
    pub mouth: MouthContents,
    /// How much of the face lies behind something, 0..1: a hand, a cup. What lies there is where it was last seen. 0 where the
    /// tracker does not look for it.
    pub covered: f32,
}

impl Default for FaceObservation {
    fn default() -> Self {
        Self {
            captured: Timestamp::default(),
            frame_size_px: (0, 0),
            landmarks_px: [Vec3::ZERO; N_LANDMARKS],
            presence: 0.0,
            coefficients: [0.0; N_COEFFICIENTS],
            pose: HeadPose::default(),
            mouth: MouthContents::UNKNOWN,
            covered: 0.0,
        }
    }
}

/// Names of the expression coefficients, in order.
pub const COEFFICIENT_NAMES: [&str; N_COEFFICIENTS] = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
];

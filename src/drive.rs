//! What moves, not who moves: from observed faces to a driving signal.

use glam::{Quat, Vec2, Vec3};

use crate::face::{N_COEFFICIENTS, N_LANDMARKS};

/// What the portrait shall do in one frame. Carries no picture.
///
/// Head space is the identity's own: x to the picture's right, y down, z away from the camera
/// when the head looks into the camera; lengths are in face widths (the distance of the outer
/// eye corners, seen frontally).
#[derive(Clone, Debug)]
pub struct DrivingSignal {
    /// Rotation of the head. Relative motion: from its pose in the portrait. Absolute: from frontal.
    pub rotation: Quat,
    /// Position of the head. Relative: shift from its place in the portrait, in face widths.
    /// Absolute: its centre in the picture, 0..1.
    pub translation: Vec2,
    /// Size of the head. Relative: ratio to the portrait. Absolute: face width / picture width.
    pub scale: f32,
    /// Whether rotation, translation and scale are relative to the portrait.
    pub is_relative: bool,
    /// How far each point is displaced in head space from the portrait's own shape.
    pub displacement: [Vec3; N_LANDMARKS],
    /// Opening of the driver's right and left eye, ratio to neutral: 0 shut, 1 as in neutral.
    pub eye_openness: [f32; 2],
    /// Opening of the mouth between the inner lips, in face widths.
    pub mouth_openness: f32,
    /// Strength of each expression, 0..1.
    pub coefficients: [f32; N_COEFFICIENTS],
}

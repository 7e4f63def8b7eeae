//! Where the face is and what it does: 478 points, 52 expression coefficients, the head's pose.

use glam::{Mat3, Vec3};

use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::Result;

#[cfg(feature = "train")]
pub(crate) use calm::is_calm;
pub(crate) use calm::unrest;
pub(crate) use crop::resample;
pub(crate) use expression::EXPRESSION_POINTS;
#[cfg(feature = "train")]
pub(crate) use expression::Expression;
#[cfg(test)]
pub(crate) use expression::read_expression;
pub use matte::Matter;
pub use mesh::{MESH_POINTS_CM, MESH_TRIANGLES, N_MESH_TRIANGLES};
pub use photo::FoundFace;
pub use pose::head_pose;
pub use shape::{FaceShape, rotation_from_frontal};
pub use smooth::{OneEuro, Smoothable, filter_all};
#[cfg(feature = "train")]
pub(crate) use tracker::is_other_face;
pub use tracker::{FaceTracker, TrackerOptions};

mod calm;
mod crop;
mod detector;
mod expression;
mod landmarker;
mod matte;
mod mesh;
mod mirror;
mod photo;
mod pose;
mod shape;
mod smooth;
mod tracker;

/// Points of the face mesh with irises.
pub const N_LANDMARKS: usize = 478;
/// Points of the canonical mesh, which has no irises.
pub const N_MESH_POINTS: usize = 468;
/// Expression coefficients.
pub const N_COEFFICIENTS: usize = 52;

/// The points of one face: x to the right and y down in pixels from the corner of the picture's first pixel (so that a
/// point keeps its share of the picture at any size), z away from the camera in the same unit, relative to the head's
/// centre.
pub type Landmarks = [Vec3; N_LANDMARKS];

/// Where the head is.
///
/// Camera space is x right, y down, z away from the camera; head space is the canonical mesh's:
/// x to the head's left, y up, z out of the face, in centimetres.
/// `p_in_camera = camera_from_head * p_in_head + translation_cm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadPose {
    /// Rotation, including the half turn about x between the two conventions.
    pub camera_from_head: Mat3,
    /// Position of the head's origin in camera space, for a camera of [`CAMERA_FOV_RADS`].
    pub translation_cm: Vec3,
}

/// The vertical field of view that pose estimation assumes of every camera.
pub const CAMERA_FOV_RADS: f32 = 63.0 * std::f32::consts::PI / 180.0;

impl Default for HeadPose {
    fn default() -> Self {
        Self {
            camera_from_head: Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0)),
            translation_cm: Vec3::new(0.0, 0.0, 50.0),
        }
    }
}

impl HeadPose {
    /// Yaw (to the picture's right), pitch (up), roll (clockwise in the picture), in radians;
    /// all zero for a head that looks into the camera.
    pub fn yaw_pitch_roll_rads(&self) -> [f32; 3] {
        // Rows of the rotation from the frontal head.
        let r = self.camera_from_head * Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
        // Where the face looks, in camera space (frontal: towards the camera).
        let look = r * Vec3::new(0.0, 0.0, -1.0);
        let right = r * Vec3::X;
        [look.x.atan2(-look.z), (-look.y).clamp(-1.0, 1.0).asin(), right.y.atan2(right.x)]
    }
}

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

/// What finds a face in a frame: [`FaceTracker`], or in tests a script.
pub trait Tracker: Send {
    /// Looks for the face and writes what it finds; `false` when there is none.
    ///
    /// # Errors
    /// When the tracker cannot go on, not when there is no face.
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool>;
}

impl Tracker for FaceTracker {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        Self::observe(self, frame, face)
    }
}

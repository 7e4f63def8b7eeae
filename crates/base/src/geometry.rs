//! Where a face is, as numbers: points, shape, pose, mesh. No picture, no device.
//!
//! The stages share these types, so that none of them has to name another: `face` measures them, `drive` changes them,
//! `generate` draws by them.

use glam::{Mat3, Vec3};

pub use fine_mesh::{FINE_MESH, FineMesh, MIRRORED_FINE_POINTS, N_FINE_POINTS};
pub use mesh::{MESH_POINTS_CM, MESH_TRIANGLES, N_MESH_TRIANGLES};
pub use mirror::{MIRRORED_COEFFICIENTS, MIRRORED_POINTS};
pub use mouth::{MouthContents, N_MOUTH_LINES};
pub use observation::{COEFFICIENT_NAMES, FaceObservation, N_COEFFICIENTS};
pub use openness::{eye_openness, mouth_openness};
pub use placement::HeadPlacement;
pub use pose::head_pose;
pub use shape::{FaceShape, rotation_from_frontal};
pub use similarity::Similarity;

mod fine_mesh;
mod mesh;
mod mirror;
mod mouth;
mod observation;
mod openness;
mod placement;
mod pose;
mod shape;
mod similarity;

/// Points of the face mesh with irises.
pub const N_LANDMARKS: usize = 478;
/// Points of the canonical mesh, which has no irises.
pub const N_MESH_POINTS: usize = 468;

/// The face's outline, as a closed line that begins at the top and runs clockwise in a frontal picture.
pub const FACE_OVAL: [usize; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];

/// The points that say the expression, in the order in which its network takes them: contours of brows, eyes, lips, nose and face, and irises.
#[rustfmt::skip]
pub const EXPRESSION_POINTS: [usize; 146] = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
];

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

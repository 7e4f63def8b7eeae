//! Where the face is and what it does: 478 points, 52 expression coefficients, the head's pose.

use crate::capture::RawFrame;
use crate::error::Result;
pub use crate::geometry::{
    CAMERA_FOV_RADS, COEFFICIENT_NAMES, FaceObservation, FaceShape, HeadPose, Landmarks, MESH_POINTS_CM,
    MESH_TRIANGLES, N_COEFFICIENTS, N_LANDMARKS, N_MESH_POINTS, N_MESH_TRIANGLES, head_pose, rotation_from_frontal,
};

#[cfg(feature = "train")]
pub(crate) use calm::is_calm;
pub(crate) use calm::unrest;
pub(crate) use crop::resample;
#[cfg(feature = "train")]
pub(crate) use expression::Expression;
#[cfg(test)]
pub(crate) use expression::read_expression;
pub use matte::Matter;
pub(crate) use mouth::{read_mouth, whites};
pub use photo::FoundFace;
pub use smooth::{OneEuro, Smoothable, filter_all};
#[cfg(feature = "train")]
pub(crate) use tracker::is_other_face;
pub use tracker::{FaceTracker, TrackerOptions};

mod calm;
mod crop;
mod detector;
mod expression;
mod hidden;
mod landmarker;
mod matte;
mod mirror;
mod mouth;
mod occlusion;
mod pair;
mod photo;
mod smooth;
mod tracker;

/// What finds a face in a frame: [`FaceTracker`], or in tests a script.
pub trait Tracker: Send {
    /// Looks for the face and writes what it finds; `false` when there is none.
    ///
    /// # Errors
    /// When the tracker cannot go on, not when there is no face.
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool>;

    /// Looks for two faces, each of which stays the same one from frame to frame; says which of them are there. Who cannot
    /// tell two apart sees the first one alone.
    ///
    /// # Errors
    /// As [`Tracker::observe`].
    fn observe_two(&mut self, frame: &RawFrame, faces: [&mut FaceObservation; 2]) -> Result<[bool; 2]> {
        let [first, _] = faces;
        Ok([self.observe(frame, first)?, false])
    }

    /// Forgets where the face was: the next frame is another camera's.
    fn reset(&mut self) {}
}

impl Tracker for FaceTracker {
    fn reset(&mut self) {
        Self::reset(self);
    }

    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        Self::observe(self, frame, face)
    }

    fn observe_two(&mut self, frame: &RawFrame, faces: [&mut FaceObservation; 2]) -> Result<[bool; 2]> {
        Self::observe_two(self, frame, faces)
    }
}

//! A face made of numbers: what another program says of a driver becomes what the face stage would have seen.
//!
//! A face at rest is moved along the modes of faces' motion until it expresses the numbers, as a portrait is. From there on
//! everything is as with a camera: rest, strengths, limits, what is shown while nobody is seen.

use glam::{Mat3, Vec2, Vec3};

use super::expression::{PuppetFace, RestingPortrait};
use crate::capture::RawFrame;
use crate::error::Result;
use crate::face::Tracker;
use crate::geometry::{CAMERA_FOV_RADS, FaceObservation, FaceShape, HeadPose, MESH_POINTS_CM, MouthContents};
use crate::identity::Identity;
use crate::motion_link::MotionFrame;

/// The frame that the face is put into, (width, height) in pixels.
const FRAME_PX: (usize, usize) = (640, 480);
/// Steps of the solver in a frame: a driver's numbers may jump.
const N_STEPS: usize = 6;
/// Heads are taken to be within this distance from the camera, in centimetres.
const DISTANCES_CM: (f32, f32) = (15.0, 300.0);

/// Sees the face that a frame's motion describes.
pub struct MotionTracker {
    face: PuppetFace,
}

impl MotionTracker {
    /// Takes the identity's face at rest as the driver's: whose numbers they are is not known.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn expression space.
    pub fn new(identity: &Identity) -> Result<Self> {
        let resting = RestingPortrait::new(&identity.shape.points, None, 0.0)?;
        Ok(Self { face: PuppetFace::new(resting.base(), N_STEPS)? })
    }

    /// What the face stage would have seen of a face that does this.
    pub fn see(&mut self, motion: &MotionFrame, face: &mut FaceObservation) {
        let z_cm = motion.head_cm.z.clamp(DISTANCES_CM.0, DISTANCES_CM.1);
        let focal_px = 0.5 * FRAME_PX.1 as f32 / (0.5 * CAMERA_FOV_RADS).tan();
        let middle_px = Vec2::new(FRAME_PX.0 as f32, FRAME_PX.1 as f32) / 2.0;
        let shape = FaceShape {
            centre_px: middle_px + motion.head_cm.truncate() * focal_px / z_cm,
            width_px: MESH_POINTS_CM[33].distance(MESH_POINTS_CM[263]) * focal_px / z_cm,
            rotation: motion.head_rotation,
            points: *self.face.express(&motion.coefficients),
        };
        face.frame_size_px = FRAME_PX;
        face.landmarks_px = shape.landmarks_px();
        face.presence = 1.0;
        face.mouth = MouthContents::UNKNOWN;
        face.coefficients = motion.coefficients;
        face.pose = HeadPose {
            camera_from_head: Mat3::from_quat(motion.head_rotation) * Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0)),
            translation_cm: motion.head_cm,
        };
    }
}

impl Tracker for MotionTracker {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        let Some(motion) = frame.motion().filter(|motion| motion.is_seen) else {
            self.face.reset();
            return Ok(false);
        };
        face.captured = frame.captured();
        self.see(motion, face);
        Ok(true)
    }
}

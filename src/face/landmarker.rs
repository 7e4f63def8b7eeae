//! 478 points in the crop of one face.

use glam::{Vec2, Vec3};

use crate::error::Result;
use crate::frame::Rgb;
use crate::models::Model;
use crate::onnx::Session;

use super::crop::{Crop, Cropper};
use super::{Landmarks, N_LANDMARKS};

/// Width and height of the network's picture.
pub(super) const SIZE_PX: usize = 256;

/// The landmark network.
#[derive(Debug)]
pub(super) struct Landmarker {
    session: Session,
    cropper: Cropper,
    /// Where it looked last.
    crop: Crop,
}

impl Landmarker {
    pub(super) fn new(n_threads: usize) -> Result<Self> {
        Ok(Self {
            session: Model::FaceLandmarks.open(n_threads)?,
            cropper: Cropper::new(SIZE_PX)?,
            crop: Crop::NOWHERE,
        })
    }

    /// Finds the points of the face in `crop`, in pixels of the picture, and says how sure the network is that
    /// there is one (0..1; the points mean nothing when it is not).
    pub(super) fn find(&mut self, picture: &Rgb, crop: &Crop, out_px: &mut Landmarks) -> Result<f32> {
        if !crop.is_usable() || picture.data().is_empty() {
            return Ok(0.0);
        }
        self.cropper.cut(picture, crop, 1.0 / 255.0, 0.0, self.session.input_mut(0))?;
        self.crop = *crop;
        self.session.run()?;
        let points = self.session.output(0);
        debug_assert_eq!(points.len(), 3 * N_LANDMARKS, "the model's hash is checked");
        for (out, point) in out_px.iter_mut().zip(points.chunks_exact(3)) {
            let in_frame = crop.frame_from_sampled(Vec2::new(point[0], point[1]) / SIZE_PX as f32, SIZE_PX);
            *out = Vec3::new(in_frame.x, in_frame.y, point[2] * crop.side_px / SIZE_PX as f32);
        }
        let presence = 1.0 / (1.0 + (-self.session.output(1)[0]).exp());
        let is_finite = presence.is_finite() && out_px.iter().all(|point| point.is_finite());
        Ok(if is_finite { presence } else { 0.0 })
    }

    /// What it was shown last, (256, 256, 3) of 0..1, and where that lies in the frame.
    pub(super) fn seen(&mut self) -> (&[f32], Crop) {
        (self.session.input_mut(0), self.crop)
    }
}

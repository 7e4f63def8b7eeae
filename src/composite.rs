//! What may leave: the portrait over its background, badged, at the output's size.
//!
//! [`OutFrame`] can be made here only, from a generated portrait or the placeholder card. That is
//! how the promise is kept that the camera's picture never leaves.

use glam::Vec2;

use crate::face::N_LANDMARKS;
use crate::frame::Rgba;
use crate::trace::Trace;

/// A picture that may leave the program.
#[derive(Clone, Debug)]
pub struct OutFrame {
    picture: Rgba,
    /// What happened to the frame so far.
    pub trace: Trace,
    /// The driver's points, for a window that draws them as lines; `None` without a face.
    /// In 0..1 of the driver's frame.
    pub driver_landmarks: Option<[Vec2; N_LANDMARKS]>,
}

impl OutFrame {
    /// Makes an empty (black, transparent) picture, as a spare for slots and sinks.
    pub fn blank(width_px: usize, height_px: usize) -> Self {
        Self { picture: Rgba::new(width_px, height_px), trace: Trace::default(), driver_landmarks: None }
    }

    /// Makes a frame from any picture, for tests of sinks.
    #[cfg(test)]
    pub(crate) fn from_picture_for_test(picture: Rgba, trace: Trace) -> Self {
        Self { picture, trace, driver_landmarks: None }
    }

    /// The picture. Alpha is below 255 only where a transparent background was asked for.
    pub fn picture(&self) -> &Rgba {
        &self.picture
    }
}

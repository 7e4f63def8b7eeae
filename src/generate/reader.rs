//! What reads the driver's picture for a generator that is driven by numbers of it.

use crate::error::Result;
use crate::signal::{Composition, N_NUMBERS};

/// Reads numbers off the driver's picture. It goes to the face thread, where that picture is; only this crate can make one, so
/// that no other sees the picture.
pub struct DriverReader(Box<dyn Reads>);

impl DriverReader {
    pub(super) fn new(reads: impl Reads + 'static) -> Self {
        Self(Box::new(reads))
    }

    /// Side of the square that it looks at, in pixels.
    pub(crate) fn size_px(&self) -> usize {
        self.0.size_px()
    }

    /// What its numbers are.
    pub(crate) fn composition(&self) -> Composition {
        self.0.composition()
    }

    /// Reads a square, given as planes of 0..1. Numbers beyond those that it has stay as they are.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub(crate) fn read(&mut self, planes: &[f32], numbers: &mut [f32; N_NUMBERS]) -> Result<()> {
        self.0.read(planes, numbers)
    }
}

/// What [`DriverReader`] does.
pub(super) trait Reads: Send {
    fn size_px(&self) -> usize;
    fn composition(&self) -> Composition;
    fn read(&mut self, planes: &[f32], numbers: &mut [f32; N_NUMBERS]) -> Result<()>;
}

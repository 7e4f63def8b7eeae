//! What the virtual cameras have in common: packing, fitting, pacing, and a thread that may block.

#[cfg(feature = "window")]
pub(super) use fit::Scaler;
pub(super) use fit::{Fitter, beside};
pub(super) use pace::{Due, Pacer};
pub(super) use pack::Packing;
pub(super) use worker::Worker;

mod fit;
mod pace;
mod pack;
mod worker;

/// The sides that a virtual camera's picture may have, in pixels; even, since two pixels share a colour.
pub(super) const SIDES_PX: std::ops::RangeInclusive<usize> = 64..=4096;

/// What is asked of a virtual camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraOptions {
    /// (width, height); both even.
    pub size_px: (usize, usize),
    /// Frames a second.
    pub rate_hz: f64,
}

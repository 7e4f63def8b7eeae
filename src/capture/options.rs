//! What a source can be asked for.

use super::{CameraFormat, FormatPreference};

/// How a source is to deliver.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Begins a clip again at its end. The test pattern always does while it is paced.
    pub looped: bool,
    /// Delivers a clip at its own rate, like a camera, instead of as fast as it is read.
    pub paced: bool,
    /// The camera's pixel format.
    pub format: FormatPreference,
    /// The size to ask a camera for, (width, height); it takes the nearest it has.
    pub size_px: (usize, usize),
    /// The rate to ask a camera for, in frames a second.
    pub rate_hz: f64,
}

impl SourceOptions {
    /// Asks a camera for exactly this; for what was asked already without one.
    pub(super) fn with_format(&self, format: Option<CameraFormat>) -> Self {
        let Some(format) = format else { return self.clone() };
        Self {
            format: FormatPreference::Only(format.pixels),
            size_px: (format.width_px, format.height_px),
            rate_hz: f64::from(format.rate_hz),
            ..self.clone()
        }
    }
}

impl Default for SourceOptions {
    /// A camera at 640 x 480, 30 frames a second, any format; a clip paced, once.
    fn default() -> Self {
        Self { looped: false, paced: true, format: FormatPreference::Auto, size_px: (640, 480), rate_hz: 30.0 }
    }
}

//! What a source can be asked for.

use super::FormatPreference;

/// Which camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CameraChoice {
    /// The first that works.
    #[default]
    First,
    /// The one with this number: on Linux that of `/dev/videoN`.
    Index(u32),
    /// The first whose name contains this, whatever the case.
    Name(String),
}

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

impl Default for SourceOptions {
    /// A camera at 640 x 480, 30 frames a second, any format; a clip paced, once.
    fn default() -> Self {
        Self { looped: false, paced: true, format: FormatPreference::Auto, size_px: (640, 480), rate_hz: 30.0 }
    }
}

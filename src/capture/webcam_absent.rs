//! Stands in for the webcam in a build without the feature `webcam`.

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

use super::{CameraChoice, CameraEntry, RawFrame, Read, Source, SourceOptions};

/// Lists the cameras of this machine.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`]: this build has no cameras.
pub fn cameras() -> Result<Vec<CameraEntry>> {
    Err(Error::new(
        ErrorKind::BackendUnavailable,
        "this build has no cameras; build it with `--features webcam`, or use `--source pattern` or a clip",
    ))
}

/// A camera, which this build has not.
pub struct WebcamSource(std::convert::Infallible);

impl WebcamSource {
    /// Fails.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`]: this build has no cameras.
    pub fn open(_: &CameraChoice, _: &SourceOptions) -> Result<Self> {
        cameras().and_then(|_| Err(Error::new(ErrorKind::NoDevice, "no camera")))
    }
}

impl Source for WebcamSource {
    fn name(&self) -> &str {
        match self.0 {}
    }

    fn read(&mut self, _: &mut RawFrame, _: &dyn Clock) -> Result<Read> {
        match self.0 {}
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        match self.0 {}
    }
}

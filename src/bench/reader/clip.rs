//! A video file: what is in it, and what is missing. Reading it says nothing about age.

use std::path::Path;

use opencv::core::{Mat, MatTraitConst as _};
use opencv::imgproc;
use opencv::prelude::VideoCaptureTrait as _;
use opencv::videoio::VideoCapture;

use super::{Arrival, Look, Reader};
use crate::capture::clip_file::ClipFile;
use crate::clock::Clock;
use crate::error::Result;
use crate::frame::Grey;

/// The pictures of a video file, one after the other.
pub struct ClipReader {
    name: String,
    capture: VideoCapture,
    bgr: Mat,
    // After the capture, so that the file is closed before it is removed.
    _file: ClipFile,
}

impl ClipReader {
    /// Opens the file. A pipe is read to its end first; `-` is standard input.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be read or is no video.
    pub fn open(path: &Path) -> Result<Self> {
        let file = ClipFile::open(path)?;
        let capture = file.open_capture()?;
        Ok(Self { name: file.shown().display().to_string(), capture, bgr: Mat::default(), _file: file })
    }
}

impl Reader for ClipReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        if !self.capture.read(&mut self.bgr)? || self.bgr.empty() {
            return Ok(Look::Ended);
        }
        picture.reshape(self.bgr.cols() as usize, self.bgr.rows() as usize);
        imgproc::cvt_color_def(&self.bgr, &mut picture.as_mat_mut()?, imgproc::COLOR_BGR2GRAY)?;
        Ok(Look::At(Arrival { since: None, at: clock.now() }))
    }

    fn is_live(&self) -> bool {
        false
    }
}

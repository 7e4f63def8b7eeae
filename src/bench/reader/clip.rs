//! A video file: what is in it, and what is missing. Reading it says nothing about age.

use std::path::Path;

use opencv::core::{Mat, MatTraitConst as _};
use opencv::imgproc;
use opencv::prelude::{VideoCaptureTrait as _, VideoCaptureTraitConst as _};
use opencv::videoio::{self, VideoCapture};

use super::{Arrival, Look, Reader};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;

/// The pictures of a video file, one after the other.
pub struct ClipReader {
    name: String,
    capture: VideoCapture,
    bgr: Mat,
}

impl ClipReader {
    /// Opens the file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read or is no video.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("cannot read the video {}", path.display());
        // An absolute path cannot be taken for a network address or a pattern of numbered pictures.
        let absolute = path.canonicalize().or_error(ErrorKind::Io, context)?;
        let api = if cfg!(target_os = "linux") { videoio::CAP_FFMPEG } else { videoio::CAP_ANY };
        let capture = VideoCapture::from_file(&absolute, api).or_error(ErrorKind::Io, context)?;
        if !capture.is_opened()? {
            return Err(Error::new(ErrorKind::Io, format!("{} is no video that can be played", path.display())));
        }
        Ok(Self { name: path.display().to_string(), capture, bgr: Mat::default() })
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

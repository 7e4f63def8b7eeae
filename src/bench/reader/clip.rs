//! A video file: what is in it, and what is missing. Reading it says nothing about age.

use std::path::Path;

use opencv::imgproc;

use super::{Arrival, Look, Reader};
use crate::capture::clip_file::ClipFile;
use crate::clock::Clock;
use crate::error::Result;
use crate::frame::{Grey, Rgb};
use crate::video::reader::VideoReader;

/// The pictures of a video file, one after the other.
pub struct ClipReader {
    name: String,
    video: VideoReader,
    picture: Rgb,
    // After the video, so that the file is closed before it is removed.
    _file: ClipFile,
}

impl ClipReader {
    /// Opens the file. A pipe is read to its end first; `-` is standard input.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be read or is no video.
    pub fn open(path: &Path) -> Result<Self> {
        let file = ClipFile::open(path)?;
        let video = file.open_reader()?;
        Ok(Self { name: file.shown().display().to_string(), video, picture: Rgb::default(), _file: file })
    }
}

impl Reader for ClipReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        if !self.video.grab()? {
            return Ok(Look::Ended);
        }
        self.video.retrieve(&mut self.picture)?;
        picture.reshape(self.picture.width_px(), self.picture.height_px());
        imgproc::cvt_color_def(&self.picture.as_mat()?, &mut picture.as_mat_mut()?, imgproc::COLOR_RGB2GRAY)?;
        Ok(Look::At(Arrival { since: None, at: clock.now() }))
    }

    fn is_live(&self) -> bool {
        false
    }
}

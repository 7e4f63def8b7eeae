//! A video of rendered frames, with a line of truth for each.

use std::path::{Path, PathBuf};

use super::render::Frame;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::sink::{RateMode, Recorder, RecorderOptions, Sink as _};

/// Writes rendered frames to `NAME.mp4` and their [`super::truth::Truth`] to `NAME.jsonl`.
pub struct ClipWriter {
    video: Recorder,
    side_px: usize,
    truth: String,
    truth_path: PathBuf,
}

impl ClipWriter {
    /// Opens the video for pictures of `side_px` (even) a side.
    ///
    /// # Errors
    /// When the file cannot be written, or no video has this size or rate.
    pub fn create(path: &Path, side_px: usize, rate_hz: f64) -> Result<Self> {
        let options =
            RecorderOptions { mode: RateMode::OneForOne, ..RecorderOptions::new((side_px, side_px), rate_hz) };
        let video = Recorder::open(path, &options)?;
        Ok(Self { video, side_px, truth: String::new(), truth_path: path.with_extension("jsonl") })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a frame of another size, [`ErrorKind::Io`] when the disk is full.
    pub fn write(&mut self, frame: &Frame) -> Result<()> {
        if frame.side_px != self.side_px {
            let message = format!("a frame of {} pixels was given for a clip of {}", frame.side_px, self.side_px);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let line = serde_json::to_string(&frame.truth.clone().rounded())
            .or_error(ErrorKind::Internal, || "cannot write the truth".to_owned())?;
        self.truth += &line;
        self.truth.push('\n');
        self.video.push(&Rgb::from_data(self.side_px, self.side_px, frame.rgb.clone())?)
    }

    /// Completes both files.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when one of them cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.video.finish()?;
        let about = || format!("cannot write {}", self.truth_path.display());
        std::fs::write(&self.truth_path, &self.truth).or_error(ErrorKind::Io, about)
    }
}

//! One picture as the driver, delivered again and again.

use std::path::Path;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::frame::Rgb;
use crate::photo;

use super::clip_file::ClipFile;
use super::pace::Pace;
use super::{RawFrame, Read, Source, SourceOptions};

/// How often a still is delivered, a second.
const RATE_HZ: f64 = 30.0;
/// A picture file, turned upright as its EXIF data say.
///
/// Paced, it is delivered 30 times a second without end; else once, unless it is looped.
pub struct StillSource {
    name: String,
    picture: Rgb,
    pace: Pace,
    endless: bool,
    next_index: u64,
}

impl StillSource {
    /// Reads the picture.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Photo`] when it cannot be read, is torn, too large, or no PNG, JPEG or WebP.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        Ok(Self::of_picture(path, photo::read(path)?, options))
    }

    /// Reads a picture that was found.
    pub(super) fn of_file(file: &ClipFile, options: &SourceOptions) -> Result<Self> {
        let about = |error: Error| {
            Error::new(error.kind(), format!("cannot use the picture {}", file.shown().display())).because(error)
        };
        let picture = photo::read_bytes(file.path()).and_then(|bytes| photo::decode(&bytes)).map_err(about)?;
        Ok(Self::of_picture(file.shown(), picture, options))
    }

    fn of_picture(shown: &Path, picture: Rgb, options: &SourceOptions) -> Self {
        Self {
            name: format!("{}, {}x{} still", shown.display(), picture.width_px(), picture.height_px()),
            picture,
            pace: Pace::new(RATE_HZ, options.paced),
            endless: options.paced || options.looped,
            next_index: 0,
        }
    }
}

impl Source for StillSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if !self.endless && self.next_index > 0 {
            return Ok(Read::Ended);
        }
        self.next_index += self.pace.overdue(self.next_index, clock);
        let Some(captured) = self.pace.wait(self.next_index, clock) else { return Ok(Read::Idle) };
        self.next_index += 1;
        frame.picture_mut().copy_from(&self.picture);
        frame.set_captured(captured);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(RATE_HZ)
    }
}

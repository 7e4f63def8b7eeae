//! The test pattern: a clip that the program carries with it, with number and time in every picture.

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgba;
use crate::latency::{self, Origin, Stamp};

use super::clip_file::ClipFile;
use super::{ClipSource, RawFrame, Read, Source, SourceOptions};

/// A clip that is held in memory, played without end unless it is read as fast as it goes.
pub struct PatternSource {
    clip: ClipSource,
    name: String,
    n_read: u32,
}

impl PatternSource {
    /// Plays the video file whose content is `mp4`.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: `mp4` is empty, as in a build without a test pattern.
    /// - [`ErrorKind::Io`]: the temporary file cannot be written, or is no video.
    pub fn open(mp4: &[u8], options: &SourceOptions) -> Result<Self> {
        if mp4.is_empty() {
            return Err(Error::new(
                ErrorKind::NoDevice,
                "this build carries no test pattern; give a clip instead: `--source FILE`",
            ));
        }
        let looped = options.looped || options.paced;
        let file = ClipFile::of_bytes("test pattern", mp4)?;
        let clip = ClipSource::of_file(file, &SourceOptions { looped, ..options.clone() })?;
        let rate_hz = clip.frame_rate_hz().unwrap_or_default();
        Ok(Self { name: format!("test pattern, {rate_hz}/s"), n_read: 0, clip })
    }
}

impl Source for PatternSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        let read = self.clip.read(frame, clock)?;
        if read == Read::Fresh {
            self.n_read = self.n_read.wrapping_add(1);
            let stamp = Stamp { origin: Origin::Pattern, frame_id: self.n_read, time: frame.captured() };
            latency::draw(&stamp, frame.picture_mut());
        }
        Ok(read)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        self.clip.frame_rate_hz()
    }
}

/// The pattern as something to show: what other programs are given to be measured with.
///
/// It plays the clip that the program carries with it and nothing else, so that no camera's picture can leave here.
pub struct PatternPlayer {
    source: PatternSource,
    frame: RawFrame,
    size_px: usize,
}

impl PatternPlayer {
    /// Plays [`crate::demo::DRIVER_MP4`] without end, `size_px` pixels a side, without the code: the compositor draws
    /// that.
    ///
    /// # Errors
    /// As [`PatternSource::open`].
    pub fn open(size_px: usize) -> Result<Self> {
        let source = PatternSource::open(crate::demo::DRIVER_MP4, &SourceOptions::default())?;
        Ok(Self { source, frame: RawFrame::default(), size_px })
    }

    /// Pictures a second.
    pub fn rate_hz(&self) -> f64 {
        self.source.frame_rate_hz().unwrap_or_default()
    }

    /// Waits for the next picture, at most [`super::MAX_READ_WAIT`]; when it was due.
    ///
    /// # Errors
    /// When the clip can no longer be read.
    pub fn read(&mut self, to: &mut Rgba, clock: &dyn Clock) -> Result<Option<Timestamp>> {
        if self.source.clip.read(&mut self.frame, clock)? != Read::Fresh {
            return Ok(None);
        }
        let picture = self.frame.picture();
        // The middle square, at the size asked for.
        let side = picture.width_px().min(picture.height_px());
        let (left, top) = ((picture.width_px() - side) / 2, (picture.height_px() - side) / 2);
        to.reshape(self.size_px, self.size_px);
        for y in 0..self.size_px {
            let row = picture.row(top + y * side / self.size_px);
            let out = &mut to.data_mut()[y * self.size_px * 4..][..self.size_px * 4];
            for (x, pixel) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let at = (left + x * side / self.size_px) * 3;
                *pixel = [row[at], row[at + 1], row[at + 2], 255];
            }
        }
        Ok(Some(self.frame.captured()))
    }
}

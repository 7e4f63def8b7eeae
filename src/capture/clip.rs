//! A video file as the driver: paced like a camera, or as fast as it is read.

use std::path::Path;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;
use crate::video::reader::VideoReader;
use crate::video::sound::ClipSound;

use super::clip_file::{ClipFile, no_video};
use super::pace::Pace;
use super::{RawFrame, Read, Source, SourceOptions};

/// Fewer pictures than this share of what the index states came out of a torn file.
const WHOLE_SHARE: f64 = 0.9;

/// A video file, read through FFmpeg.
///
/// Pictures stand upright, with square pixels, in sRGB by the file's own matrix and range. The driver's time is the clip's
/// own: each picture is taken when the file says, counted from the first. A paced clip waits for that time and leaves
/// pictures out when its reader is late; an unpaced one delivers all of them without waiting, the first at zero, whatever the
/// clock says.
pub struct ClipSource {
    name: String,
    reader: VideoReader,
    pace: Pace,
    looped: bool,
    /// When this round of the clip began.
    round_at: Duration,
    /// Pictures taken from the file since its beginning.
    n_in_this_round: u64,
    /// Decoded, waiting for its time.
    grabbed: bool,
    n_skipped: u64,
    /// For what records the clip's sound beside what the clip drives.
    sound: Option<ClipSound>,
    // After the reader, so that the file is closed before it is removed.
    file: ClipFile,
}

impl ClipSource {
    /// Opens the clip and decodes its first picture. A pipe is read to its end first; `-` is standard input.
    ///
    /// # Errors
    /// - [`ErrorKind::Io`]: it does not exist, is empty, or is no video that FFmpeg can decode.
    /// - [`ErrorKind::PermissionDenied`]: it may not be read.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        Self::of_file(ClipFile::open(path)?, options)
    }

    /// Opens a clip that was found.
    pub(super) fn of_file(file: ClipFile, options: &SourceOptions) -> Result<Self> {
        let reader = file.open_reader()?;
        Self::of_reader(file, reader, options)
    }

    /// Plays a clip that was opened.
    pub(super) fn of_reader(file: ClipFile, reader: VideoReader, options: &SourceOptions) -> Result<Self> {
        let mut clip = Self {
            name: String::new(),
            pace: Pace::new(reader.rate_hz(), options.paced),
            reader,
            looped: options.looped,
            round_at: Duration::ZERO,
            n_in_this_round: 0,
            grabbed: false,
            n_skipped: 0,
            sound: None,
            file,
        };
        if !clip.grab()? {
            return Err(no_video(clip.file.shown(), "no picture in it can be decoded"));
        }
        if clip.file.is_local() {
            clip.sound = Some(ClipSound::new(clip.file.path().to_owned(), clip.reader.start_secs()));
        }
        let (width_px, height_px) = clip.reader.size_px();
        let rate_hz = (clip.reader.rate_hz() * 100.0).round() / 100.0;
        clip.name = format!("{}, {width_px}x{height_px} {rate_hz}/s", clip.file.shown().display());
        Ok(clip)
    }

    /// Pictures left out so far because the reader was late.
    pub fn n_skipped(&self) -> u64 {
        self.n_skipped
    }

    /// Pictures that the file's index states, or an estimate by its length; `None` where it states neither.
    pub fn n_frames_stated(&self) -> Option<u64> {
        self.reader.n_frames_stated().0
    }

    /// Reads single pictures out of a clip's file: those shown at `times_secs`, which must rise.
    ///
    /// A time beyond the end gives the last picture.
    ///
    /// # Errors
    /// As [`ClipSource::open`]; [`ErrorKind::Io`] when the file is torn.
    pub fn pictures_at(path: &Path, times_secs: &[f64]) -> Result<Vec<Rgb>> {
        let mut clip = Self::open(path, &SourceOptions { paced: false, ..SourceOptions::default() })?;
        let half = Duration::from_secs_f64(0.5 / clip.pace.rate_hz());
        let mut picture = Rgb::default();
        clip.reader.retrieve(&mut picture)?;
        clip.grabbed = false;
        let mut pictures = Vec::new();
        for time_secs in times_secs {
            let until = Duration::from_secs_f64(*time_secs) + half;
            while clip.grab()? && clip.reader.time() <= until {
                clip.grabbed = false;
                clip.reader.retrieve(&mut picture)?;
            }
            pictures.push(picture.clone());
        }
        Ok(pictures)
    }

    /// Notes when a picture was taken that is shown `since` the clip's beginning.
    fn take(&self, frame: &mut RawFrame, captured: Timestamp, since: Duration) {
        frame.set_captured(captured);
        if let Some(sound) = &self.sound {
            let zero = captured.as_nanos().saturating_sub(since.as_nanos() as u64);
            sound.set(captured, Timestamp::from_nanos(zero));
        }
    }

    /// Decodes the next picture of the file; false at its end.
    fn grab(&mut self) -> Result<bool> {
        if !self.grabbed {
            self.grabbed = self.reader.grab()?;
            self.n_in_this_round += u64::from(self.grabbed);
        }
        Ok(self.grabbed)
    }

    /// Decodes the next picture, from the beginning again if the clip is looped; false at the end.
    fn grab_or_loop(&mut self) -> Result<bool> {
        if self.grab()? {
            return Ok(true);
        }
        self.check_whole()?;
        if !self.looped {
            return Ok(false);
        }
        self.round_at += self.reader.time() + self.reader.length();
        // Opened again rather than sought: seeking lands on a wrong picture in files without a
        // key frame at the very start.
        self.reader = self.file.open_reader()?;
        self.n_in_this_round = 0;
        self.grab()
    }

    /// Tells a torn file from one that is over.
    fn check_whole(&self) -> Result<()> {
        let (Some(stated), is_exact) = self.reader.n_frames_stated() else { return Ok(()) };
        let found = self.n_in_this_round;
        if found as f64 >= stated as f64 * WHOLE_SHARE {
            return Ok(());
        }
        let message = format!(
            "{} is torn: {found} pictures could be decoded and its index states {stated}; copy or record it again",
            self.file.shown().display()
        );
        if is_exact {
            return Err(Error::new(ErrorKind::Io, message));
        }
        log::debug!("{message}");
        Ok(())
    }
}

impl Source for ClipSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn n_frames(&self) -> Option<u64> {
        if self.looped { None } else { self.n_frames_stated() }
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        // Decoded before it is due: a camera's picture is there at its time, and the price of
        // this stand-in's video format is no part of the picture's age.
        loop {
            if !self.grab_or_loop()? {
                return Ok(Read::Ended);
            }
            let time = self.round_at + self.reader.time();
            if !self.pace.is_overdue(time, self.reader.length(), clock) {
                let Some(captured) = self.pace.wait_for(time, clock) else { return Ok(Read::Idle) };
                self.grabbed = false;
                self.reader.retrieve(frame.picture_mut())?;
                self.take(frame, captured, self.reader.time());
                return Ok(Read::Fresh);
            }
            // It has been shown for as long as the file says, if that is said. Whether there is a later one is seen
            // by looking.
            let round_at = self.round_at;
            self.grabbed = false;
            let is_same_round = self.grab_or_loop()? && self.round_at == round_at;
            if is_same_round && !self.pace.is_due(round_at + self.reader.time(), clock) {
                let since = self.reader.retrieve_before(frame.picture_mut())?;
                let Some(captured) = self.pace.wait_for(time, clock) else { return Ok(Read::Idle) };
                self.take(frame, captured, since);
                return Ok(Read::Fresh);
            }
            self.n_skipped += 1;
        }
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(self.pace.rate_hz())
    }

    fn sound(&self) -> Option<ClipSound> {
        self.sound.clone()
    }
}

/// Whether the file's name ends in one of `extensions` (lower case, without the dot).
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.iter().any(|x| e.eq_ignore_ascii_case(x)))
}

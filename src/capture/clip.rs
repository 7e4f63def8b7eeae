//! A video file as the driver: paced like a camera, or as fast as it is read.

use std::io::Read as _;
use std::path::Path;

use opencv::core::{Mat, MatTraitConst as _};
use opencv::prelude::{VideoCaptureTrait as _, VideoCaptureTraitConst as _};
use opencv::videoio::{self, VideoCapture};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;

use super::clip_file::{ClipFile, no_video};
use super::decode::rgb_from_bgr;
use super::pace::Pace;
use super::{RawFrame, Read, Source, SourceOptions};

/// The rate of a clip that does not state a believable one.
const FALLBACK_RATE_HZ: f64 = 30.0;
/// Above this a "rate" is the unit of the container's time stamps (WebM states 1000).
const MAX_RATE_HZ: f64 = 240.0;
/// Fewer pictures than this share of what the index states came out of a torn file.
const WHOLE_SHARE: f64 = 0.9;

/// A video file, read through OpenCV.
///
/// Pictures are turned as the file's rotation says. The driver's time is the clip's own: picture
/// `n` is taken `n` / rate after the first. A paced clip waits for that time and leaves pictures
/// out when its reader is late; an unpaced one delivers all of them without waiting, the first at
/// zero, whatever the clock says.
pub struct ClipSource {
    name: String,
    capture: VideoCapture,
    /// As it is in the file.
    stored: Mat,
    /// Upright.
    bgr: Mat,
    /// How to turn the stored picture, as OpenCV's code; `None` when it is upright.
    turn: Option<i32>,
    pace: Pace,
    looped: bool,
    /// Counts on through repetitions.
    next_index: u64,
    /// Pictures taken from the file since its beginning.
    n_in_this_round: u64,
    /// Decoded, waiting for its time.
    grabbed: bool,
    n_skipped: u64,
    // After the capture, so that the file is closed before it is removed.
    file: ClipFile,
}

impl ClipSource {
    /// Opens the clip and decodes its first picture. A pipe is read to its end first; `-` is standard input.
    ///
    /// # Errors
    /// - [`ErrorKind::Io`]: it does not exist, is empty, or is no video that OpenCV can decode.
    /// - [`ErrorKind::PermissionDenied`]: it may not be read.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        Self::of_file(ClipFile::open(path)?, options)
    }

    /// Opens a clip that was found.
    pub(super) fn of_file(file: ClipFile, options: &SourceOptions) -> Result<Self> {
        let capture = file.open_capture()?;
        let path = file.shown().to_owned();
        let stated_hz = capture.get(videoio::CAP_PROP_FPS)?;
        let rate_hz = believable_rate_hz(stated_hz).unwrap_or_else(|| {
            log::warn!("{} states {stated_hz} pictures a second; {FALLBACK_RATE_HZ} are assumed", path.display());
            FALLBACK_RATE_HZ
        });
        let mut clip = Self {
            name: String::new(),
            turn: turn(&capture)?,
            capture,
            stored: Mat::default(),
            bgr: Mat::default(),
            pace: Pace::new(rate_hz, options.paced),
            looped: options.looped,
            next_index: 0,
            n_in_this_round: 0,
            grabbed: false,
            n_skipped: 0,
            file,
        };
        if !clip.grab()? || !clip.retrieve()? {
            return Err(no_video(&path, "no picture in it can be decoded"));
        }
        clip.name = format!("{}, {}x{} {}/s", path.display(), clip.bgr.cols(), clip.bgr.rows(), round_rate(rate_hz));
        Ok(clip)
    }

    /// Pictures left out so far because the reader was late.
    pub fn n_skipped(&self) -> u64 {
        self.n_skipped
    }

    /// Pictures that the file's index states; `None` where it states none.
    pub fn n_frames_stated(&self) -> Option<u64> {
        let count = self.capture.get(videoio::CAP_PROP_FRAME_COUNT).ok()?;
        (count.is_finite() && count >= 1.0).then_some(count as u64)
    }

    /// Reads single pictures out of a clip's file: those shown at `times_secs`, which must rise.
    ///
    /// A time beyond the end gives the last picture.
    ///
    /// # Errors
    /// As [`ClipSource::open`]; [`ErrorKind::Io`] when the file is torn.
    pub fn pictures_at(path: &Path, times_secs: &[f64]) -> Result<Vec<Rgb>> {
        let mut clip = Self::open(path, &SourceOptions { paced: false, ..SourceOptions::default() })?;
        let mut picture = Rgb::default();
        rgb_from_bgr(&clip.bgr, &mut picture)?;
        let mut pictures = Vec::new();
        let mut n_read = 0;
        for time_secs in times_secs {
            let wanted = (time_secs * clip.pace.rate_hz()).round() as u64 + 1;
            while n_read < wanted && clip.grab()? {
                clip.grabbed = false;
                n_read += 1;
                if n_read == wanted || clip.n_frames_stated() == Some(n_read) {
                    clip.capture.retrieve(&mut clip.bgr, 0)?;
                    rgb_from_bgr(&clip.bgr, &mut picture)?;
                }
            }
            pictures.push(picture.clone());
        }
        Ok(pictures)
    }

    /// Decodes the next picture of the file; false at its end.
    fn grab(&mut self) -> Result<bool> {
        if !self.grabbed {
            self.grabbed = self.capture.grab()?;
            self.n_in_this_round += u64::from(self.grabbed);
        }
        Ok(self.grabbed)
    }

    /// Takes the decoded picture and turns it upright; false when there is none.
    fn retrieve(&mut self) -> Result<bool> {
        let Some(code) = self.turn else { return Ok(self.capture.retrieve(&mut self.bgr, 0)? && !self.bgr.empty()) };
        if !self.capture.retrieve(&mut self.stored, 0)? || self.stored.empty() {
            return Ok(false);
        }
        opencv::core::rotate(&self.stored, &mut self.bgr, code)?;
        Ok(true)
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
        // Opened again rather than sought: seeking lands on a wrong picture in files without a
        // key frame at the very start.
        self.capture = self.file.open_capture()?;
        self.n_in_this_round = 0;
        self.grab()
    }

    /// Tells a torn file from one that is over.
    fn check_whole(&self) -> Result<()> {
        let Some(stated) = self.n_frames_stated() else { return Ok(()) };
        let found = self.n_in_this_round;
        if found as f64 >= stated as f64 * WHOLE_SHARE {
            return Ok(());
        }
        let message = format!(
            "{} is torn: {found} pictures could be decoded and its index states {stated}; copy or record it again",
            self.file.shown().display()
        );
        // Other containers state an estimate.
        if states_its_count(&self.file) {
            return Err(Error::new(ErrorKind::Io, message));
        }
        log::warn!("{message}");
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
        if !self.grab_or_loop()? {
            return Ok(Read::Ended);
        }
        for _ in 0..self.pace.overdue(self.next_index, clock) {
            self.grabbed = false;
            self.next_index += 1;
            self.n_skipped += 1;
            if !self.grab_or_loop()? {
                return Ok(Read::Ended);
            }
        }
        let Some(captured) = self.pace.wait(self.next_index, clock) else { return Ok(Read::Idle) };
        self.grabbed = false;
        self.next_index += 1;
        if !self.retrieve()? {
            return Err(no_video(self.file.shown(), "a picture in it cannot be decoded"));
        }
        rgb_from_bgr(&self.bgr, frame.picture_mut())?;
        frame.set_captured(captured);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(self.pace.rate_hz())
    }
}

/// How the file's pictures must be turned to stand upright, as OpenCV's code.
fn turn(capture: &VideoCapture) -> Result<Option<i32>> {
    let clockwise_degrees = capture.get(videoio::CAP_PROP_ORIENTATION_META)?;
    // OpenCV 4.6 states the opposite angle: https://github.com/opencv/opencv/issues/22088
    let is_reversed = (opencv::core::get_version_major(), opencv::core::get_version_minor()) == (4, 6);
    Ok(match (clockwise_degrees as i32, is_reversed) {
        (90, false) | (270, true) => Some(opencv::core::ROTATE_90_CLOCKWISE),
        (180, _) => Some(opencv::core::ROTATE_180),
        (270, false) | (90, true) => Some(opencv::core::ROTATE_90_COUNTERCLOCKWISE),
        _ => None,
    })
}

/// Whether the file is of a kind whose index states how many pictures there are: by its name, or what came through a pipe by
/// its first bytes.
fn states_its_count(file: &ClipFile) -> bool {
    let mut head = Vec::new();
    // Without a head it is none of them.
    let _ = std::fs::File::open(file.path()).and_then(|file| file.take(12).read_to_end(&mut head));
    let is_avi = head.starts_with(b"RIFF") && head.ends_with(b"AVI ");
    is_avi || head.get(4..8) == Some(b"ftyp") || has_extension(file.shown(), &["mp4", "mov", "m4v", "avi"])
}

/// Whether the file's name ends in one of `extensions` (lower case, without the dot).
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.iter().any(|x| e.eq_ignore_ascii_case(x)))
}

/// The stated rate, if it can be one.
fn believable_rate_hz(stated_hz: f64) -> Option<f64> {
    (stated_hz.is_finite() && stated_hz > 0.0 && stated_hz <= MAX_RATE_HZ).then_some(stated_hz)
}

fn round_rate(rate_hz: f64) -> f64 {
    (rate_hz * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_rates_are_not_believed() {
        let table = [(25.0, true), (29.97, true), (240.0, true), (0.0, false), (-1.0, false), (1000.0, false)];
        for (stated, believed) in table.into_iter().chain([(f64::NAN, false), (f64::INFINITY, false)]) {
            assert_eq!(believable_rate_hz(stated).is_some(), believed, "{stated}");
        }
    }
}

//! A video file, by the times at which its pictures were taken; what a kill or a full disk leaves behind plays.
//!
//! What is left of 10 s at 30 pictures a second, 512 x 512, after `kill -9`: all but the last half second of .mp4, .mov and
//! .mkv; of .avi, which knows constant rates only, about as much, without an index.

use std::fs::OpenOptions;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::composite::OutFrame;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
#[cfg(feature = "train")]
use crate::frame::Rgb;
use crate::microphone::Microphone;
use crate::trace::{Stage, Trace};
use crate::video::codec::Codec;
use crate::video::sound::{ClipSound, Moment};
use crate::video::writer::{TICKS_PER_SEC, Trouble, VideoOptions, VideoWriter};

use super::{Delivery, Sink};
pub(super) use disk::cannot_write;
use disk::{check_space, free_bytes};
use rate::{Place, RateMap};
use time::TimeMap;

mod disk;
mod rate;
#[cfg(test)]
mod tests;
mod time;

/// What the file's name may end in.
pub(super) const CONTAINERS: [&str; 4] = ["mp4", "mkv", "mov", "avi"];
/// Frames that may wait to be written.
const QUEUE: usize = 8;
/// Space that is left free, so that the file's index still fits behind its pictures.
const RESERVE_BYTES: u64 = 32 << 20;

/// Rates that a file can have, in frames a second: also those of slides and of time lapse.
pub(super) const RATES_HZ: RangeInclusive<f64> = 0.01..=240.0;

/// Refuses a disk that is nearly full, for a file beside recordings.
pub(super) fn check_room(path: &Path) -> Result<()> {
    check_space(path.parent().unwrap_or(path), RESERVE_BYTES, free_bytes)
}

/// How frames become the file's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateMode {
    /// By the time they were captured: repeated or left out, so that the file plays at true speed.
    Constant,
    /// One for one, each at its own time where it has one: a clip's, whatever its rate.
    OneForOne,
    /// Each with the time at which it was captured. Not for .avi.
    Variable,
}

/// How a video is written.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// The size of all frames, (width, height). Where the coding requires it, an odd size is made even by repeating its
    /// last row or column.
    pub size_px: (usize, usize),
    /// The file's rate in frames a second, 0.01..=240.
    pub rate_hz: f64,
    /// How frames become the file's pictures.
    pub mode: RateMode,
    /// How the pictures are coded.
    pub codec: Codec,
    /// The sound to copy along: that of the clip that drives.
    pub sound: Option<ClipSound>,
    /// The microphone to record instead, by when its sound was heard and the pictures were taken. Not for .avi.
    pub microphone: Option<Microphone>,
    /// Space to leave free on the disk; with less the file is ended.
    pub reserve_bytes: u64,
}

impl RecorderOptions {
    /// At a constant rate.
    pub fn new(size_px: (usize, usize), rate_hz: f64) -> Self {
        Self {
            size_px,
            rate_hz,
            mode: RateMode::Constant,
            codec: Codec::Auto,
            sound: None,
            microphone: None,
            reserve_bytes: RESERVE_BYTES,
        }
    }
}

/// Writes a video file. Transparent parts are written over black where the coding has no alpha.
pub struct Recorder {
    path: PathBuf,
    name: String,
    options: RecorderOptions,
    video: VideoWriter,
    map: RateMap,
    times: TimeMap,
    n_written: u64,
    n_dropped: u64,
    /// Whether who drives hides.
    is_muted: bool,
    /// Whether there was no such file before.
    is_new: bool,
    is_finished: bool,
    /// Bytes left on the disk of a path, where that can be told; replaced in tests.
    free_bytes: fn(&Path) -> Option<u64>,
}

impl Recorder {
    /// Opens the file, so that a wrong path is found before the run starts.
    ///
    /// # Errors
    /// - [`ErrorKind::Io`]: the folder is missing, the path is a folder, or the disk is full.
    /// - [`ErrorKind::PermissionDenied`]: the file may not be written.
    /// - [`ErrorKind::Config`]: a size or rate that no video can have, a variable rate in an .avi, or a coding that the
    ///   file's kind cannot hold.
    /// - [`ErrorKind::BackendUnavailable`]: this machine's FFmpeg has no such encoder.
    pub fn open(path: &Path, options: &RecorderOptions) -> Result<Self> {
        let (width_px, height_px) = options.size_px;
        if !(2..=8192).contains(&width_px) || !(2..=8192).contains(&height_px) {
            let message = format!("a video of {width_px}x{height_px} was asked for; give a size from 2 to 8192");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if !RATES_HZ.contains(&options.rate_hz) {
            let message = format!("a video of {} frames a second was asked for; give 0.01 to 240", options.rate_hz);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let is_new = !path.exists();
        files::check_regular(path).map_err(|error| cannot_write(path, error))?;
        OpenOptions::new().create(true).append(true).open(path).map_err(|error| cannot_write(path, error))?;
        let opened = check_space(path, options.reserve_bytes, free_bytes).and_then(|()| open_video(path, options));
        let video = opened.inspect_err(|_| {
            if is_new {
                let _ = std::fs::remove_file(path);
            }
        })?;
        let (width_px, height_px) = video.size_px;
        let rate = match options.mode {
            RateMode::Variable => "variable rate".to_owned(),
            _ => format!("{}/s", (options.rate_hz * 100.0).round() / 100.0),
        };
        Ok(Self {
            path: path.to_owned(),
            name: format!("{}, {} {width_px}x{height_px} {rate}", path.display(), video.made_by),
            video,
            map: RateMap::new(options.rate_hz),
            times: TimeMap::new(options.rate_hz, options.mode != RateMode::OneForOne),
            options: options.clone(),
            n_written: 0,
            n_dropped: 0,
            is_muted: false,
            is_new,
            is_finished: false,
            free_bytes,
        })
    }

    /// Pictures in the file so far, repeated ones included.
    pub fn n_written(&self) -> u64 {
        self.n_written
    }

    /// Frames left out so far, because their place in the file was taken.
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    /// Writes a rendered picture as the next one. Not for what a camera saw.
    #[cfg(feature = "train")]
    pub(crate) fn push(&mut self, picture: &Rgb) -> Result<()> {
        self.video.load(|y, row| {
            let pixels = picture.row(y.min(picture.height_px() - 1)).as_chunks::<3>().0;
            fill(row, pixels.iter().map(|[r, g, b]| [*r, *g, *b, 255]));
        });
        self.write(None)
    }

    /// Writes the picture in hand, taken at `time`; looks about once a second whether there is space for more.
    fn write(&mut self, time: Option<Timestamp>) -> Result<()> {
        if self.n_written.is_multiple_of(self.options.rate_hz.ceil() as u64)
            && let Err(error) = check_space(&self.path, self.options.reserve_bytes, self.free_bytes)
        {
            return Err(self.cut_short(error));
        }
        let ticks = match self.options.mode {
            _ if self.video.is_constant_rate() => self.n_written as i64,
            RateMode::Constant => {
                (self.n_written as f64 * f64::from(TICKS_PER_SEC) / self.options.rate_hz).round() as i64
            }
            RateMode::OneForOne | RateMode::Variable => self.times.ticks(time),
        };
        let moment = Moment {
            clip_secs: self.options.sound.as_ref().and_then(|sound| sound.clip_secs(time?)),
            taken_secs: time.map(Timestamp::as_secs_f64),
            is_muted: self.is_muted,
        };
        match self.video.write(ticks, moment) {
            Ok(()) => self.n_written += 1,
            Err(trouble) => {
                let error = explain(&self.path, &self.options, trouble);
                return Err(self.cut_short(error));
            }
        }
        Ok(())
    }

    /// Completes the file early and says what it holds.
    fn cut_short(&mut self, error: Error) -> Error {
        match self.finish() {
            Ok(()) if self.n_written == 0 => {
                let message = format!("nothing was recorded to {}", self.path.display());
                Error::new(error.kind(), message).because(error)
            }
            Ok(()) => {
                let secs = self.video.whole_secs();
                let message = format!("the recording ends; {} holds the first {secs:.1} s", self.path.display());
                Error::new(error.kind(), message).because(error)
            }
            // It says itself what the file holds.
            Err(incomplete) => incomplete.because(error),
        }
    }
}

impl Sink for Recorder {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Every(QUEUE)
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let size_px = (frame.picture().width_px(), frame.picture().height_px());
        if self.is_finished || size_px != self.options.size_px {
            let (expected, path) = (self.options.size_px, self.path.display());
            let message = format!("{path}: a frame of {size_px:?} came, expected are {expected:?} before the end");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let place = match self.options.mode {
            RateMode::Constant => self.map.place(time(&frame.trace)),
            RateMode::OneForOne | RateMode::Variable => Place::After(0),
        };
        match place {
            Place::Dropped => self.n_dropped += 1,
            Place::After(n_repeats) => {
                for _ in 0..n_repeats {
                    self.write(None)?;
                }
                // Who hides shall not be heard either.
                self.is_muted = frame.shown.is_card_asked;
                let has_alpha = self.video.has_alpha;
                self.video.load(|y, row| row_of(frame, has_alpha, y, row));
                self.write(time(&frame.trace))?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        let outcome = match self.video.finish() {
            // A full disk has no room for the end either; the file plays without.
            Err(Trouble::Disk(error)) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            outcome => outcome.map_err(|trouble| explain(&self.path, &self.options, trouble)),
        };
        if self.n_written == 0 && self.is_new {
            // A video without pictures cannot be played. One of before was not touched.
            return std::fs::remove_file(&self.path).map_err(|error| cannot_write(&self.path, error));
        }
        outcome
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Completed already, unless what it recorded broke down, and said so.
        let _ = self.finish();
    }
}

/// Begins the file.
fn open_video(path: &Path, options: &RecorderOptions) -> Result<VideoWriter> {
    let is_avi = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("avi"));
    if is_avi && options.mode == RateMode::Variable {
        let message = format!("{} cannot have a variable rate; name it .mp4 or .mkv", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    if is_avi && options.microphone.is_some() {
        let message = format!("{} takes no live sound; name it .mp4, .mkv or .mov", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    let video = VideoOptions {
        path,
        codec: &options.codec,
        size_px: options.size_px,
        rate_hz: options.rate_hz,
        is_live: options.mode != RateMode::OneForOne,
        is_timed: options.mode != RateMode::Constant,
    };
    VideoWriter::create(&video, options.sound.clone(), options.microphone.as_ref())
        .map_err(|trouble| explain(path, options, trouble))
}

/// Why the file cannot be written, and what to do.
fn explain(path: &Path, options: &RecorderOptions, trouble: Trouble) -> Error {
    let shown = path.display();
    match trouble {
        Trouble::NoEncoder(tried) => {
            let (codec, (width_px, height_px)) = (&options.codec, options.size_px);
            let message = format!(
                "no encoder here makes {codec} of {width_px}x{height_px} for {shown}: tried {tried}; give another \
                 `--codec`, or `--sink file:FOLDER/` for pictures"
            );
            Error::new(ErrorKind::BackendUnavailable, message)
        }
        Trouble::Container(what) => {
            let message = format!("{shown} cannot hold {what}; name it .mkv, or give another `--codec`");
            Error::new(ErrorKind::Config, message)
        }
        Trouble::Disk(error) => cannot_write(path, error),
        Trouble::Other(error) => Error::new(ErrorKind::Io, format!("cannot write to {shown}")).because(error),
    }
}

/// When the frame was captured; the placeholder card has only the time it was made, at best.
fn time(trace: &Trace) -> Option<Timestamp> {
    let time = if trace.frame_id > 0 { trace.captured } else { trace.span(Stage::Composite).end };
    (trace.frame_id > 0 || time > Timestamp::default()).then_some(time)
}

/// Row `y` of the file's picture: the frame's, over black unless alpha is kept, its last one once more where the file is
/// higher.
fn row_of(frame: &OutFrame, has_alpha: bool, y: usize, row: &mut [[u8; 4]]) {
    let picture = frame.picture();
    let pixels = picture.row(y.min(picture.height_px() - 1)).as_chunks::<4>().0;
    let over_black = |[r, g, b, alpha]: &[u8; 4]| match alpha {
        _ if has_alpha => [*r, *g, *b, *alpha],
        255 => [*r, *g, *b, 255],
        _ => [r, g, b, &255].map(|sample| (u16::from(*sample) * u16::from(*alpha) / 255) as u8),
    };
    fill(row, pixels.iter().map(over_black));
}

/// Fills a row, its last pixel repeated where the file is wider.
fn fill(row: &mut [[u8; 4]], pixels: impl Iterator<Item = [u8; 4]>) {
    let mut last = [0; 4];
    let mut pixels = pixels;
    for to in row {
        last = pixels.next().unwrap_or(last);
        *to = last;
    }
}

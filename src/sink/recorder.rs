//! A video file: H.264 at a constant rate, or JPEG pictures with their own times in a file that survives a kill.
//!
//! What is left of 10 s at 30 pictures a second, 512 x 512, after `kill -9`: nothing of an .mp4, whose index is
//! written last; about 6 s of .mkv and .avi as OpenCV writes them; all but the picture in hand of an .mkv of ours.

use std::fs::OpenOptions;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::composite::OutFrame;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::frame::Rgb;
use crate::jpeg::{self, Order};
use crate::trace::{Stage, Trace};

use super::{Delivery, Sink};
pub(super) use disk::cannot_write;
use disk::{check_space, free_bytes};
use encoder::EncodedVideo;
use matroska::MatroskaWriter;
use rate::{Place, RateMap};
use time::TimeMap;

mod disk;
mod encoder;
mod matroska;
mod rate;
#[cfg(test)]
mod tests;
mod time;

/// What the file's name may end in.
pub(super) const CONTAINERS: [&str; 3] = ["mp4", "mkv", "avi"];
/// Frames that may wait to be written.
const QUEUE: usize = 8;
/// Space that is left free, so that the file's index still fits behind its pictures.
const RESERVE_BYTES: u64 = 32 << 20;
/// Of 100; fine lines of a portrait stay free of blocks.
const JPEG_QUALITY: i32 = 92;

/// How frames become the file's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateMode {
    /// By the time they were captured: repeated or left out, so that the file plays at true speed.
    Constant,
    /// One for one.
    OneForOne,
    /// Each with the time at which it was captured. For .mkv only; the file is playable at every moment, also after a
    /// kill, and about ten times as large as H.264.
    Variable,
}

/// How a video is written.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// The size of all frames, (width, height). An odd size is made even by repeating its last
    /// row or column, as H.264 requires.
    pub size_px: (usize, usize),
    /// The file's rate in frames a second, 1..=240.
    pub rate_hz: f64,
    /// How frames become the file's pictures.
    pub mode: RateMode,
    /// Space to leave free on the disk; with less the file is ended.
    pub reserve_bytes: u64,
}

impl RecorderOptions {
    /// At a constant rate.
    pub fn new(size_px: (usize, usize), rate_hz: f64) -> Self {
        Self { size_px, rate_hz, mode: RateMode::Constant, reserve_bytes: RESERVE_BYTES }
    }
}

/// What writes the pictures.
enum Output {
    Encoded(EncodedVideo),
    Pictures { file: MatroskaWriter, times: TimeMap, jpeg: jpeg::Encoder },
}

/// Writes a video file. Transparent parts are written over black.
pub struct Recorder {
    path: PathBuf,
    name: String,
    options: RecorderOptions,
    output: Output,
    /// What was written last, at the file's size.
    bgr: Rgb,
    map: RateMap,
    n_written: u64,
    n_dropped: u64,
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
    /// - [`ErrorKind::Config`]: a size or rate that no video can have, or a variable rate in another file than .mkv.
    /// - [`ErrorKind::BackendUnavailable`]: this machine's OpenCV encodes none of the formats tried.
    pub fn open(path: &Path, options: &RecorderOptions) -> Result<Self> {
        let (width_px, height_px) = options.size_px;
        if !(2..=8192).contains(&width_px) || !(2..=8192).contains(&height_px) {
            let message = format!("a video of {width_px}x{height_px} was asked for; give a size from 2 to 8192");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if !(1.0..=240.0).contains(&options.rate_hz) {
            let message = format!("a video of {} frames a second was asked for; give 1 to 240", options.rate_hz);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let is_new = !path.exists();
        files::check_regular(path).map_err(|error| cannot_write(path, error))?;
        OpenOptions::new().create(true).append(true).open(path).map_err(|error| cannot_write(path, error))?;
        let even = (width_px.next_multiple_of(2), height_px.next_multiple_of(2));
        let opened =
            check_space(path, options.reserve_bytes, free_bytes).and_then(|()| open_output(path, even, options));
        let output = opened.inspect_err(|_| {
            if is_new {
                let _ = std::fs::remove_file(path);
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            name: match &output {
                Output::Encoded(video) => {
                    format!("{}, {} {}x{} {}/s", path.display(), video.encoding, even.0, even.1, options.rate_hz)
                }
                Output::Pictures { .. } => {
                    format!("{}, MJPEG {}x{} variable rate", path.display(), even.0, even.1)
                }
            },
            options: options.clone(),
            output,
            bgr: Rgb::new(even.0, even.1),
            map: RateMap::new(options.rate_hz),
            n_written: 0,
            n_dropped: 0,
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
        for (bgr, rgb) in self.bgr.data_mut().chunks_exact_mut(3).zip(picture.data().chunks_exact(3)) {
            bgr.copy_from_slice(&[rgb[2], rgb[1], rgb[0]]);
        }
        self.write(None)
    }

    /// Writes the picture in hand, taken at `time`; looks about once a second whether there is space for more.
    fn write(&mut self, time: Option<Timestamp>) -> Result<()> {
        if self.n_written.is_multiple_of(self.options.rate_hz.ceil() as u64)
            && let Err(error) = check_space(&self.path, self.options.reserve_bytes, self.free_bytes)
        {
            return Err(self.cut_short(error));
        }
        let outcome = match &mut self.output {
            Output::Encoded(video) => video.write(&self.bgr, &self.path),
            Output::Pictures { file, times, jpeg } => {
                let place_ms = times.place_ms(time);
                file.write(jpeg.encode(&self.bgr, Order::Bgr)?, place_ms)
                    .map_err(|error| cannot_write(&self.path, error))
            }
        };
        match outcome {
            Ok(()) => self.n_written += 1,
            Err(error) => return Err(self.cut_short(error)),
        }
        Ok(())
    }

    /// Completes the file early and says what it holds.
    fn cut_short(&mut self, error: Error) -> Error {
        let secs = self.n_written as f64 / self.options.rate_hz;
        match self.finish() {
            Ok(()) => {
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
                bgr_from_frame(frame, &mut self.bgr);
                self.write(time(&frame.trace))?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        let outcome = match &mut self.output {
            Output::Encoded(video) => video.finish(&self.path, self.n_written),
            // A full disk has no room for the index either; the file plays without.
            Output::Pictures { file, times, .. } => match file.finish(times.interval_ms()) {
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
                outcome => outcome.map_err(|error| cannot_write(&self.path, error)),
            },
        };
        if self.n_written == 0 {
            // A video without pictures cannot be played.
            return std::fs::remove_file(&self.path).map_err(|error| cannot_write(&self.path, error));
        }
        outcome
    }
}

/// Opens what the mode asks for.
fn open_output(path: &Path, size_px: (usize, usize), options: &RecorderOptions) -> Result<Output> {
    if options.mode != RateMode::Variable {
        return EncodedVideo::open(path, size_px, options).map(Output::Encoded);
    }
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mkv")) {
        let message = format!("{} cannot have a variable rate; name it .mkv", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    let file = MatroskaWriter::create(path, size_px).map_err(|error| cannot_write(path, error))?;
    Ok(Output::Pictures { file, times: TimeMap::new(options.rate_hz), jpeg: jpeg::Encoder::new(JPEG_QUALITY)? })
}

/// When the frame was captured; the placeholder card has only the time it was made, at best.
fn time(trace: &Trace) -> Option<Timestamp> {
    let time = if trace.frame_id > 0 { trace.captured } else { trace.span(Stage::Composite).end };
    (time > Timestamp::default()).then_some(time)
}

/// Copies the picture over black, and its last column and row once more where the file is larger.
fn bgr_from_frame(frame: &OutFrame, bgr: &mut Rgb) {
    let picture = frame.picture();
    let row_bytes = bgr.width_px() * 3;
    for (y, row) in bgr.data_mut().chunks_exact_mut(row_bytes).enumerate() {
        let rgba_row = picture.row(y.min(picture.height_px() - 1));
        let rgba_last = &rgba_row[rgba_row.len() - 4..];
        let rgba_pixels = rgba_row.chunks_exact(4).chain(std::iter::repeat(rgba_last));
        for (bgr, rgba) in row.chunks_exact_mut(3).zip(rgba_pixels) {
            let over_black = |sample: u8| (u16::from(sample) * u16::from(rgba[3]) / 255) as u8;
            bgr.copy_from_slice(&[over_black(rgba[2]), over_black(rgba[1]), over_black(rgba[0])]);
        }
    }
}

//! The sound of a file, sample by sample, for what listens to it.

use std::fs::File;
use std::path::{Path, PathBuf};

use ffmpeg::codec::{Context, decoder};
use ffmpeg::format::context::Input;
use ffmpeg::format::sample::Sample;
use ffmpeg::{Packet, frame, media};
use ffmpeg_next as ffmpeg;

use super::reader::open_input;
use crate::error::{Error, ErrorKind, Result};

/// Samples that are missing are silence where the file's times say so by more than this, and no more than so much is believed.
const GAP_SECS: (f64, f64) = (0.03, 600.0);
/// So many unreadable packets in a row are no damage that ends.
const MAX_UNREADABLE: u32 = 10_000;
/// The most that one reading gives: sounds of any coding come in pieces that can be heard as they are read.
const MAX_SAMPLES: usize = 1024;

/// Decodes the best sound of a file, all channels mixed into one.
pub(crate) struct SoundReader {
    shown: PathBuf,
    input: Input,
    decoder: decoder::Audio,
    stream: usize,
    secs_per_tick: f64,
    rate_hz: u32,
    stated_secs: Option<f64>,
    frame: frame::Audio,
    /// Decoded, and from where on not handed out yet.
    mixed: Vec<f32>,
    n_given: usize,
    /// Samples of silence that come before them.
    n_silent: u64,
    n_decoded: u64,
    /// The file's time of the first sample.
    start_secs: f64,
    is_draining: bool,
    n_unreadable: u32,
}

impl SoundReader {
    /// Opens a file that is called `shown` and decodes its first sound.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read or holds no sound that can be decoded.
    pub(crate) fn open(path: &Path, shown: &Path) -> Result<Self> {
        super::init();
        let cannot = |why: &str| {
            Error::new(
                ErrorKind::Io,
                format!(
                    "cannot hear {}: {why}; give a file with sound, such as a .wav, an .mp3 or a clip",
                    shown.display()
                ),
            )
        };
        let file = File::open(path).map_err(|error| cannot("it cannot be read").because(error))?;
        let input = open_input(file).map_err(|error| match error {
            ffmpeg::Error::InvalidData | ffmpeg::Error::Eof => cannot("it has another format or is torn"),
            error => cannot(&error.to_string()),
        })?;
        let stream = input.streams().best(media::Type::Audio).ok_or_else(|| cannot("it holds no sound"))?;
        let parameters = stream.parameters();
        let name = parameters.id().name();
        let codec = decoder::find(parameters.id());
        let codec = codec.ok_or_else(|| cannot(&format!("this FFmpeg cannot decode its sound, which is {name}")))?;
        let undecoded = |error: ffmpeg::Error| cannot(&format!("its sound, {name}, cannot be decoded: {error}"));
        let mut decoder = Context::from_parameters(parameters).map_err(undecoded)?.decoder();
        decoder.set_packet_time_base(stream.time_base());
        let decoder = decoder.open_as(codec).and_then(decoder::Opened::audio).map_err(undecoded)?;
        let secs_per_tick = f64::from(stream.time_base());
        let duration_secs = match stream.duration() {
            ticks @ 1.. => ticks as f64 * secs_per_tick,
            _ => input.duration() as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE),
        };
        let mut reader = Self {
            shown: shown.to_owned(),
            stream: stream.index(),
            secs_per_tick,
            input,
            decoder,
            rate_hz: 0,
            stated_secs: (duration_secs > 0.0).then_some(duration_secs),
            frame: frame::Audio::empty(),
            mixed: Vec::new(),
            n_given: 0,
            n_silent: 0,
            n_decoded: 0,
            start_secs: 0.0,
            is_draining: false,
            n_unreadable: 0,
        };
        if !reader.decode()? {
            return Err(cannot("no sound in it can be decoded"));
        }
        Ok(reader)
    }

    /// Samples a second.
    pub(crate) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// How long it is, as the file says.
    pub(crate) fn stated_secs(&self) -> Option<f64> {
        self.stated_secs
    }

    /// The file's time of the first sample, in seconds.
    pub(crate) fn start_secs(&self) -> f64 {
        self.start_secs
    }

    /// Replaces `samples` by the next, -1..1, of all channels together; false at the end. What is damaged is passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when reading failed.
    pub(crate) fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        samples.clear();
        while self.n_silent == 0 && self.n_given == self.mixed.len() {
            if !self.decode()? {
                return Ok(false);
            }
        }
        if self.n_silent > 0 {
            let n = self.n_silent.min(MAX_SAMPLES as u64);
            self.n_silent -= n;
            samples.resize(n as usize, 0.0);
        } else {
            let end = self.mixed.len().min(self.n_given + MAX_SAMPLES);
            samples.extend_from_slice(&self.mixed[self.n_given..end]);
            self.n_given = end;
        }
        Ok(true)
    }

    /// Decodes what comes next; false at the end.
    fn decode(&mut self) -> Result<bool> {
        loop {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) if self.frame.samples() > 0 => {
                    self.n_unreadable = 0;
                    return self.take().map(|()| true);
                }
                Ok(()) => continue,
                Err(ffmpeg::Error::Eof) => return Ok(false),
                Err(_) if self.is_draining => return Ok(false),
                // More data are needed, or a piece is damaged.
                Err(_) => {}
            }
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => {
                    if let Err(error) = self.decoder.send_packet(&packet) {
                        log::debug!("{}: damaged sound: {error}", self.shown.display());
                    }
                }
                Ok(()) => {}
                Err(ffmpeg::Error::InvalidData) if self.n_unreadable < MAX_UNREADABLE => self.n_unreadable += 1,
                Err(ffmpeg::Error::Eof | ffmpeg::Error::InvalidData) => {
                    self.is_draining = true;
                    // What is left in the decoder comes out now.
                    let _ = self.decoder.send_eof();
                }
                Err(error) => return Err(self.cannot_go_on("it cannot be read").because(error)),
            }
        }
    }

    /// Takes over what was decoded, and where it lies.
    fn take(&mut self) -> Result<()> {
        let rate_hz = self.frame.rate();
        let is_first = self.n_decoded == 0;
        if is_first {
            self.rate_hz = rate_hz;
        }
        if rate_hz != self.rate_hz || rate_hz == 0 {
            let why = format!("its sound changes from {} to {rate_hz} samples a second", self.rate_hz);
            return Err(self.cannot_go_on(&why));
        }
        if let Some(ticks) = self.frame.timestamp() {
            let secs = ticks as f64 * self.secs_per_tick;
            if is_first {
                self.start_secs = secs;
            }
            let missing_secs = secs - self.start_secs - self.n_decoded as f64 / f64::from(rate_hz);
            if (GAP_SECS.0..GAP_SECS.1).contains(&missing_secs) {
                self.n_silent = (missing_secs * f64::from(rate_hz)) as u64;
            }
        }
        self.mixed.clear();
        self.n_given = 0;
        mix(&self.frame, &mut self.mixed)
            .ok_or_else(|| self.cannot_go_on("its samples are in a format that nothing here knows"))?;
        self.n_decoded += self.n_silent + self.mixed.len() as u64;
        Ok(())
    }

    fn cannot_go_on(&self, why: &str) -> Error {
        Error::new(ErrorKind::Io, format!("cannot hear {} any further: {why}", self.shown.display()))
    }
}

/// The mean of all channels, -1..1; `None` for samples of an unknown kind.
fn mix(frame: &frame::Audio, mixed: &mut Vec<f32>) -> Option<()> {
    match frame.format() {
        Sample::U8(_) => channels::<u8>(frame, mixed, |x| (f32::from(x) - 128.0) / 128.0),
        Sample::I16(_) => channels::<i16>(frame, mixed, |x| f32::from(x) / 32_768.0),
        Sample::I32(_) => channels::<i32>(frame, mixed, |x| (f64::from(x) / 2_147_483_648.0) as f32),
        Sample::F32(_) => channels::<f32>(frame, mixed, |x| x),
        Sample::F64(_) => channels::<f64>(frame, mixed, |x| x as f32),
        Sample::I64(_) | Sample::None => return None,
    }
    Some(())
}

fn channels<T: frame::audio::Sample + Copy>(frame: &frame::Audio, mixed: &mut Vec<f32>, value: impl Fn(T) -> f32) {
    let n_channels = usize::from(frame.channels()).max(1);
    let share = 1.0 / n_channels as f32;
    if frame.is_packed() {
        let samples = frame.plane::<T>(0).chunks_exact(n_channels);
        mixed.extend(samples.map(|all| share * all.iter().map(|x| value(*x)).sum::<f32>()));
        return;
    }
    mixed.resize(frame.samples(), 0.0);
    for plane in 0..frame.planes() {
        mixed.iter_mut().zip(frame.plane::<T>(plane)).for_each(|(sum, x)| *sum += share * value(*x));
    }
}

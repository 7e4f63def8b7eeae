//! A video file or stream, picture by picture.

use std::fs::File;
use std::time::Duration;

use ffmpeg::codec::packet::side_data::Type as SideData;
use ffmpeg::codec::{Context, decoder, threading};
use ffmpeg::format::context::{Input, StreamIo};
use ffmpeg::{Dictionary, Packet, Rational, frame, media};
use ffmpeg_next as ffmpeg;

use super::deadline::Deadline;
use super::unpack::Unpacker;
use super::upright::{Orientation, Upright, deinterlace};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;

/// Above this a "rate" is the unit of the container's time stamps (WebM states 1000).
const MAX_RATE_HZ: f64 = 240.0;
/// The rate of a file that does not state a believable one.
const FALLBACK_RATE_HZ: f64 = 30.0;
/// The most pixels of a picture; with more, a small file would fill the memory.
const MAX_PIXELS: usize = 8192 * 8192;
/// An index that states this much more pictures than fit its length counts some that are not shown: a part of a clip that was
/// cut without coding it anew begins at the key picture before.
const MAX_HIDDEN_SHARE: f64 = 0.05;
/// So many unreadable packets in a row are no damage that ends.
const MAX_UNREADABLE: u32 = 10_000;
/// What is read of a file at a time.
const READ_BYTES: usize = 256 << 10;

/// Decodes the pictures of the best video stream and shows them in sRGB, upright, with square pixels.
pub(crate) struct VideoReader {
    shown: String,
    input: Input,
    /// What ends a wait for a network, and how long one may be.
    bound: Option<(Deadline, Duration)>,
    decoder: decoder::Video,
    stream: usize,
    secs_per_tick: f64,
    rate_hz: f64,
    n_frames_stated: Option<u64>,
    n_frames_exact: bool,
    frame: frame::Video,
    /// The picture before that, and its time; then the next.
    other: frame::Video,
    time_before: Duration,
    stored: Rgb,
    unpacker: Unpacker,
    upright: Upright,
    is_draining: bool,
    n_grabbed: u64,
    start_ticks: Option<i64>,
    time: Duration,
    length: Duration,
    has_said_fields: bool,
}

impl VideoReader {
    /// Opens a file that is called `shown`. On failure says what is wrong with it, as in "it has another format".
    pub(crate) fn open_file(file: File, shown: &str) -> std::result::Result<Self, String> {
        super::init();
        let input = open_input(file).map_err(|error| match error {
            ffmpeg::Error::InvalidData | ffmpeg::Error::Eof => "it has another format or is torn".to_owned(),
            error => format!("{error}"),
        })?;
        Self::of_input(input, shown, None)
    }

    /// Opens an address; `deadline`, which bounds this, then bounds each wait for a packet to `silence`. `options` are
    /// FFmpeg's.
    pub(crate) fn open_url(
        url: &str,
        shown: &str,
        options: Dictionary,
        deadline: &Deadline,
        silence: Duration,
    ) -> std::result::Result<Self, String> {
        super::init();
        let asked = deadline.clone();
        let input = ffmpeg::format::input_with_interrupt_and_dictionary(url, move || asked.is_over(), options)
            .map_err(|error| match error {
                ffmpeg::Error::Exit => "it does not answer".to_owned(),
                ffmpeg::Error::ProtocolNotFound => "this FFmpeg does not know such addresses".to_owned(),
                ffmpeg::Error::InvalidData => "what it sends is no video".to_owned(),
                error => format!("{error}"),
            })?;
        Self::of_input(input, shown, Some((deadline.clone(), silence)))
    }

    fn of_input(input: Input, shown: &str, bound: Option<(Deadline, Duration)>) -> std::result::Result<Self, String> {
        let stream = input.streams().best(media::Type::Video).ok_or("it holds no pictures")?;
        let id = stream.parameters().id();
        let codec = decoder::find(id).ok_or_else(|| match id {
            ffmpeg::codec::Id::None => "its pictures are in a coding that this FFmpeg does not know".to_owned(),
            id => format!("this FFmpeg cannot decode its pictures, which are {}", id.name()),
        })?;
        // Threads that each have a picture in hand would make a live one older.
        let is_file = bound.is_none() || input.duration() > 0;
        let kind = if is_file { threading::Type::Frame } else { threading::Type::Slice };
        let open = |options: Dictionary| {
            let mut context = Context::from_parameters(stream.parameters())?;
            context.set_threading(threading::Config { kind, count: 0, ..threading::Config::default() });
            let mut decoder = context.decoder();
            decoder.set_packet_time_base(stream.time_base());
            decoder.open_as_with(codec, options).and_then(decoder::Opened::video)
        };
        // Holds for pictures that turn out larger than the container says, too.
        let mut bounds = Dictionary::new();
        bounds.set("max_pixels", &MAX_PIXELS.to_string());
        let decoder = open(bounds).map_err(|error| match open(Dictionary::new()) {
            Ok(large) => format!(
                "its pictures are {}x{}; at most {} million pixels are read",
                large.width(),
                large.height(),
                MAX_PIXELS / 1_000_000
            ),
            Err(_) => format!("its pictures, {}, cannot be decoded: {error}", id.name()),
        })?;

        let secs_per_tick = secs(stream.time_base()).unwrap_or(1.0);
        let stated = [stream.avg_frame_rate(), stream.rate()].into_iter().filter_map(secs).find(|hz| believable(*hz));
        let rate_hz = stated.unwrap_or_else(|| {
            log::warn!("{shown} states no believable rate; {FALLBACK_RATE_HZ} pictures a second are assumed");
            FALLBACK_RATE_HZ
        });
        let counted = u64::try_from(stream.frames()).ok().filter(|n| *n > 0);
        let duration_secs = if stream.duration() > 0 {
            stream.duration() as f64 * secs_per_tick
        } else {
            input.duration() as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE)
        };
        let estimated = (duration_secs > 0.0).then(|| (duration_secs * rate_hz).round() as u64).filter(|n| *n > 0);
        let is_shown = |n: &u64| estimated.is_none_or(|length| *n as f64 <= length as f64 * (1.0 + MAX_HIDDEN_SHARE));
        let counted = counted.filter(is_shown);
        let pixel_aspect = secs(decoder.aspect_ratio()).unwrap_or(1.0);
        let upright = Upright::new(orientation(&stream), pixel_aspect);
        let stream = stream.index();
        Ok(Self {
            shown: shown.to_owned(),
            input,
            bound,
            decoder,
            stream,
            secs_per_tick,
            rate_hz,
            n_frames_stated: counted.or(estimated),
            n_frames_exact: counted.is_some(),
            frame: frame::Video::empty(),
            other: frame::Video::empty(),
            time_before: Duration::ZERO,
            stored: Rgb::default(),
            unpacker: Unpacker::new(),
            upright,
            is_draining: false,
            n_grabbed: 0,
            start_ticks: None,
            time: Duration::ZERO,
            length: Duration::ZERO,
            has_said_fields: false,
        })
    }

    /// Pictures a second as stated, in the mean where the rate varies.
    pub(crate) fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// Pictures that the index states, or an estimate; and whether it is no estimate.
    pub(crate) fn n_frames_stated(&self) -> (Option<u64>, bool) {
        (self.n_frames_stated, self.n_frames_exact)
    }

    /// Whether there is an end that is known.
    pub(crate) fn has_end(&self) -> bool {
        self.n_frames_stated.is_some()
    }

    /// Size at which pictures are shown, (width, height).
    pub(crate) fn size_px(&self) -> (usize, usize) {
        self.upright.size_px((self.decoder.width() as usize, self.decoder.height() as usize))
    }

    /// The time of the grabbed picture, from the first one on.
    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    /// How long the grabbed picture is shown.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// The container's time of the first picture, in seconds.
    pub(crate) fn start_secs(&self) -> f64 {
        self.start_ticks.unwrap_or_default() as f64 * self.secs_per_tick
    }

    /// Decodes the next picture; false at the end. What is damaged is passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when reading failed or took too long.
    pub(crate) fn grab(&mut self) -> Result<bool> {
        let (mut n_unreadable, mut n_undecodable) = (0, 0);
        if let Some((deadline, silence)) = &self.bound {
            deadline.set(*silence);
        }
        loop {
            match self.decoder.receive_frame(&mut self.other) {
                Ok(()) => {
                    std::mem::swap(&mut self.frame, &mut self.other);
                    self.time_before = self.time;
                    self.note_time();
                    return Ok(true);
                }
                Err(ffmpeg::Error::Eof) => return Ok(false),
                // One that is damaged; those behind it come out still.
                Err(_) if self.is_draining && n_undecodable < MAX_UNREADABLE => {
                    n_undecodable += 1;
                    continue;
                }
                Err(_) if self.is_draining => return Ok(false),
                // More data are needed, or a picture is damaged.
                Err(_) => {}
            }
            // Also while other packets come: a stream's sound may outlive its picture.
            if self.bound.as_ref().is_some_and(|(deadline, _)| deadline.is_over()) {
                return Err(self.silent());
            }
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                // A packet that the decoder refuses is damaged; the next key picture goes on.
                Ok(()) if packet.stream() == self.stream => {
                    if let Err(error) = self.decoder.send_packet(&packet) {
                        log::debug!("{}: a damaged picture: {error}", self.shown);
                    }
                }
                Ok(()) => {}
                Err(ffmpeg::Error::InvalidData) if n_unreadable < MAX_UNREADABLE => n_unreadable += 1,
                Err(ffmpeg::Error::Eof | ffmpeg::Error::InvalidData) => {
                    self.is_draining = true;
                    // What is left in the decoder comes out now.
                    let _ = self.decoder.send_eof();
                }
                Err(ffmpeg::Error::Exit) => return Err(self.silent()),
                Err(error) => {
                    let message = format!("{} cannot be read on", self.shown);
                    return Err(Error::new(ErrorKind::Io, message).because(error));
                }
            }
        }
    }

    fn silent(&self) -> Error {
        Error::new(ErrorKind::Io, format!("{} has been silent for too long", self.shown))
    }

    /// Shows the picture before the grabbed one; its time. Only right after a picture was grabbed.
    ///
    /// # Errors
    /// As [`Self::retrieve`].
    pub(crate) fn retrieve_before(&mut self, picture: &mut Rgb) -> Result<Duration> {
        std::mem::swap(&mut self.frame, &mut self.other);
        let outcome = self.retrieve(picture);
        std::mem::swap(&mut self.frame, &mut self.other);
        outcome.map(|()| self.time_before)
    }

    /// Shows the grabbed picture.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when its pixels are in a format that nothing here knows.
    pub(crate) fn retrieve(&mut self, picture: &mut Rgb) -> Result<()> {
        self.unpacker.unpack(&self.frame, &mut self.stored, &self.shown).map_err(|error| {
            let name = self.frame.format().descriptor().map_or("unknown", |format| format.name());
            let message = format!("the pixels of {} are {name}, which cannot be read", self.shown);
            Error::new(ErrorKind::Io, message).because(error)
        })?;
        if self.frame.is_interlaced() {
            if !std::mem::replace(&mut self.has_said_fields, true) {
                log::warn!("{} is interlaced; of each picture's two fields the first is shown", self.shown);
            }
            deinterlace(&mut self.stored, self.frame.is_top_first());
        }
        self.upright.show(&mut self.stored, picture)
    }

    fn note_time(&mut self) {
        let interval_secs = 1.0 / self.rate_hz;
        let ticks = self.frame.timestamp();
        let before = (self.n_grabbed > 0).then_some((self.time, self.length));
        let duration = self.frame.packet().duration;
        self.length = Duration::from_secs_f64(match duration {
            ..=0 => interval_secs,
            ticks => (ticks as f64 * self.secs_per_tick).min(3600.0),
        });
        self.n_grabbed += 1;
        let next = before.map_or(Duration::ZERO, |(time, length)| time + length);
        let Some(ticks) = ticks else {
            self.time = next;
            return;
        };
        let start = *self.start_ticks.get_or_insert(ticks);
        let secs = (ticks - start) as f64 * self.secs_per_tick;
        // A container with coarse times rounds those of a steady series.
        let steady_secs = (secs / interval_secs).round() / self.rate_hz;
        let secs = if (secs - steady_secs).abs() <= self.secs_per_tick * 0.51 { steady_secs } else { secs };
        let time = Duration::try_from_secs_f64(secs).unwrap_or(next);
        // Times that go back are a damaged or joined file's.
        self.time = match before {
            Some((before, _)) if time <= before => next,
            _ => time,
        };
    }
}

/// Opens what is in a file. It may lead FFmpeg to no other file and no address.
pub(crate) fn open_input(
    file: impl std::io::Read + std::io::Seek + Send + 'static,
) -> std::result::Result<Input, ffmpeg::Error> {
    let io = StreamIo::from_read_seek_with_capacity(file, READ_BYTES)?;
    let mut options = Dictionary::new();
    options.set("protocol_whitelist", "none");
    ffmpeg::format::input_from_stream(io, None, Some(options))
}

/// A rational number, where it is one above zero.
fn secs(value: Rational) -> Option<f64> {
    (value.numerator() > 0 && value.denominator() > 0)
        .then(|| f64::from(value.numerator()) / f64::from(value.denominator()))
}

/// Whether a stated rate can be one.
fn believable(stated_hz: f64) -> bool {
    stated_hz.is_finite() && stated_hz > 0.0 && stated_hz <= MAX_RATE_HZ
}

/// How the pictures are to be mirrored and turned, by the stream's display matrix.
fn orientation(stream: &ffmpeg::Stream<'_>) -> Orientation {
    let matrix = stream.side_data().find(|data| data.kind() == SideData::DisplayMatrix);
    let Some(matrix) = matrix else { return Orientation::default() };
    let number = |index: usize| {
        let bytes = matrix.data().get(index * 4..index * 4 + 4)?;
        Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
    };
    // The third of each row of three is no part of what turns.
    match [0, 1, 3, 4].map(number) {
        [Some(a), Some(b), Some(c), Some(d)] => Orientation::of_matrix([a, b], [c, d]),
        _ => Orientation::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_rates_are_not_believed() {
        let table = [(25.0, true), (29.97, true), (240.0, true), (0.0, false), (-1.0, false), (1000.0, false)];
        for (stated, believed) in table.into_iter().chain([(f64::NAN, false), (f64::INFINITY, false)]) {
            assert_eq!(believable(stated), believed, "{stated}");
        }
    }
}

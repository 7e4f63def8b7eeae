//! A video file: pictures with their times in, H.264 or another coding out, playable at every moment.
//!
//! MP4 and MOV are written in fragments, Matroska in clusters, of half a second: what a kill or a full disk leaves behind
//! plays up to there.

use std::path::Path;

use ffmpeg::codec::{Context, Flags as CodecFlags, threading};
use ffmpeg::format::Pixel;
use ffmpeg::format::context::{Output, StreamIo};
use ffmpeg::util::color::{Primaries, Range, Space, TransferCharacteristic};
use ffmpeg::{Dictionary, Packet, Rational, encoder, frame};
use ffmpeg_next as ffmpeg;

use super::codec::{Candidate, Codec};
use super::file::MuxedFile;
use super::live_sound::LiveSound;
use super::pack::{Packer, Planes};
use super::sound::{ClipSound, MAX_DRIFT_SECS, Moment, SoundCopy};
use super::track::Track;
use crate::microphone::Microphone;

/// Times are counted in this share of a second: whole for 24, 25, 29.97, 30, 50, 60 and more pictures a second.
pub(crate) const TICKS_PER_SEC: i32 = 60_000;
/// What a crash may take along.
const FRAGMENT_MILLIS: u32 = 500;
/// Seconds from one picture that stands for itself to the next.
const KEY_SECS: f64 = 2.0;

/// What a file is to be.
pub(crate) struct VideoOptions<'a> {
    /// The file; what it ends in is its container.
    pub(crate) path: &'a Path,
    pub(crate) codec: &'a Codec,
    /// Of the pictures; the file's may be larger by a row or column.
    pub(crate) size_px: (usize, usize),
    pub(crate) rate_hz: f64,
    /// Whether it is written beside a live run.
    pub(crate) is_live: bool,
    /// Whether pictures keep their own times, rather than those of a steady rate.
    pub(crate) is_timed: bool,
}

/// Why a file cannot be written.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// This FFmpeg has none of these encoders, or they do not work here.
    NoEncoder(String),
    /// The container does not take the coding.
    Container(String),
    /// The disk.
    Disk(std::io::Error),
    /// FFmpeg's own.
    Other(ffmpeg::Error),
}

impl From<ffmpeg::Error> for Trouble {
    fn from(error: ffmpeg::Error) -> Self {
        Self::Other(error)
    }
}

/// Writes the file.
pub(crate) struct VideoWriter {
    output: Output,
    encoder: encoder::video::Encoder,
    encoder_ticks: Rational,
    stream_ticks: Rational,
    frame: frame::Video,
    packer: Packer,
    file: MuxedFile,
    sound: Option<Track>,
    /// What it makes and who, for the user.
    pub(crate) made_by: String,
    pub(crate) has_alpha: bool,
    pub(crate) size_px: (usize, usize),
    interval_ticks: i64,
    n_packets: u64,
    /// Where the last picture ends that was handed to the muxer, and the last one that plays whatever happens now.
    end_secs: f64,
    whole_secs: f64,
    is_constant_rate: bool,
    is_finished: bool,
}

impl VideoWriter {
    /// Begins the file, replacing what is there with its first picture; with what a microphone hears, else with the sound of
    /// `sound`'s clip.
    pub(crate) fn create(
        options: &VideoOptions<'_>,
        sound: Option<ClipSound>,
        microphone: Option<&Microphone>,
    ) -> Result<Self, Trouble> {
        super::init();
        let extension = options.path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let container = match &*extension {
            "mkv" => "matroska",
            "mov" => "mov",
            "avi" => "avi",
            _ => "mp4",
        };
        let is_constant_rate = container == "avi";
        let rate = rational(options.rate_hz);
        let encoder_ticks = if is_constant_rate { rate.invert() } else { Rational::new(1, TICKS_PER_SEC) };
        let (candidate, encoder) = open_encoder(options, rate, encoder_ticks)?;
        let planes = Planes::of(candidate.format).ok_or(ffmpeg::Error::Bug)?;
        let size_px = planes.file_size_px(options.size_px);

        let file = MuxedFile::create(options.path).map_err(Trouble::Disk)?;
        let io = StreamIo::from_write_seek(file.clone())?;
        let mut output = ffmpeg::format::output_to_stream(io, None, Some(container))?;
        let mut stream = output.add_stream_with(&encoder.0.0.0)?;
        stream.set_time_base(encoder_ticks);
        stream.set_avg_frame_rate(rate);
        let sound = match (microphone, sound) {
            (Some(microphone), _) => {
                let max_drift_secs =
                    if options.is_timed { MAX_DRIFT_SECS } else { MAX_DRIFT_SECS + 1.0 / options.rate_hz };
                Some(Track::Live(LiveSound::open(microphone.feed(), max_drift_secs, &mut output)?))
            }
            (None, Some(sound)) => SoundCopy::open(sound, container, &mut output).map(Track::Copied),
            (None, None) => None,
        };
        let mut header = Dictionary::new();
        // The same pictures give the same file; nothing waits in a buffer; tags of other containers are replaced.
        header.set("fflags", "bitexact");
        header.set("flush_packets", "1");
        match container {
            "matroska" => header.set("cluster_time_limit", &FRAGMENT_MILLIS.to_string()),
            "mp4" | "mov" => {
                header.set("movflags", "empty_moov+default_base_moof+frag_keyframe+write_colr");
                header.set("frag_duration", &(FRAGMENT_MILLIS * 1000).to_string());
            }
            _ => {}
        }
        if let Err(error) = output.write_header_with(header) {
            file.close();
            return Err(Trouble::Container(format!("{} ({error})", candidate.makes)));
        }
        let stream_ticks = output.stream(0).ok_or(ffmpeg::Error::Bug)?.time_base();
        let mut frame = frame::Video::new(candidate.format, size_px.0 as u32, size_px.1 as u32);
        frame.set_color_space(Space::BT709);
        frame.set_color_range(Range::MPEG);
        frame.set_color_primaries(Primaries::BT709);
        frame.set_color_transfer_characteristic(TransferCharacteristic::BT709);
        let interval_ticks = (f64::from(TICKS_PER_SEC) / options.rate_hz).round() as i64;
        Ok(Self {
            output,
            encoder,
            encoder_ticks,
            stream_ticks,
            frame,
            packer: Packer::new(planes),
            file,
            sound,
            made_by: format!("{} by {}", candidate.makes, candidate.encoder),
            has_alpha: planes.has_alpha,
            size_px,
            interval_ticks: if is_constant_rate { 1 } else { interval_ticks },
            n_packets: 0,
            end_secs: 0.0,
            whole_secs: 0.0,
            is_constant_rate,
            is_finished: false,
        })
    }

    /// Whether pictures follow each other at one rate, so that times are numbers of pictures.
    pub(crate) fn is_constant_rate(&self) -> bool {
        self.is_constant_rate
    }

    /// Seconds that play whatever happens now.
    pub(crate) fn whole_secs(&self) -> f64 {
        self.whole_secs
    }

    /// Takes the picture that is to be written; `read` gives its rows, in RGBA.
    pub(crate) fn load(&mut self, read: impl Fn(usize, &mut [[u8; 4]])) {
        self.packer.pack(&mut self.frame, read);
    }

    /// Writes the loaded picture at `ticks`, which rise; the sound up to there goes along.
    pub(crate) fn write(&mut self, ticks: i64, moment: Moment) -> Result<(), Trouble> {
        self.frame.set_pts(Some(ticks));
        if let Some(sound) = &mut self.sound {
            sound.follow(ticks as f64 * f64::from(self.encoder_ticks), moment);
        }
        let outcome = self.encoder.send_frame(&self.frame).map_err(Trouble::from).and_then(|()| self.drain());
        outcome.map_err(|trouble| self.cut_back(trouble))
    }

    /// Completes the file.
    pub(crate) fn finish(&mut self) -> Result<(), Trouble> {
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        let mut outcome = self.encoder.send_eof().map_err(Trouble::from).and_then(|()| self.drain());
        if let (Ok(()), Some(sound)) = (&outcome, &mut self.sound) {
            let picture_secs = self.interval_ticks as f64 * f64::from(self.encoder_ticks);
            outcome = sound.write_rest(picture_secs, &mut self.output).map_err(Trouble::from);
        }
        let outcome = outcome.and_then(|()| self.output.write_trailer().map_err(Trouble::from));
        let outcome = outcome.and_then(|()| match self.n_packets {
            // Without a picture it is no video: what is there stays.
            0 => Ok(false),
            _ => self.file.commit().map_err(Trouble::Disk),
        });
        if outcome.is_ok() {
            self.whole_secs = self.end_secs;
        }
        outcome.map(|_| ()).map_err(|trouble| self.cut_back(trouble))
    }

    /// Writes what the encoder has ready.
    fn drain(&mut self) -> Result<(), Trouble> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::util::error::EAGAIN }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            packet.set_stream(0);
            packet.set_duration(self.interval_ticks);
            packet.rescale_ts(self.encoder_ticks, self.stream_ticks);
            let end_ticks = packet.pts().unwrap_or_default() + packet.duration();
            if let Some(sound) = &mut self.sound {
                let secs = packet.pts().unwrap_or_default() as f64 * f64::from(self.stream_ticks);
                sound.write_until(secs, &mut self.output)?;
            }
            packet.write(&mut self.output)?;
            // A fragment or cluster is written when the first picture behind it comes.
            if self.file.commit().map_err(Trouble::Disk)? {
                self.whole_secs = self.end_secs;
            }
            self.n_packets += 1;
            self.end_secs = self.end_secs.max(end_ticks as f64 * f64::from(self.stream_ticks));
        }
    }

    /// After a failure: leaves what is whole, and says why.
    fn cut_back(&mut self, trouble: Trouble) -> Trouble {
        self.is_finished = true;
        self.file.close();
        self.file.failure().map_or(trouble, Trouble::Disk)
    }
}

/// Opens the first candidate that works.
fn open_encoder(
    options: &VideoOptions<'_>,
    rate: Rational,
    ticks: Rational,
) -> Result<(Candidate, encoder::video::Encoder), Trouble> {
    let candidates = options.codec.candidates(options.is_live);
    let mut tried = Vec::new();
    for candidate in candidates {
        let Some(codec) = encoder::find_by_name(&candidate.encoder) else {
            tried.push(format!("{} (not in this FFmpeg)", candidate.encoder));
            continue;
        };
        // Of an encoder that was asked for by its name nothing else is known.
        let takes: Vec<_> = codec.video().ok().and_then(|video| video.formats()).into_iter().flatten().collect();
        let can = |format: &Pixel| (takes.is_empty() || takes.contains(format)) && Planes::of(*format).is_some();
        let Some(format) = [candidate.format].into_iter().chain(takes.iter().copied()).find(can) else {
            tried.push(format!("{} (takes pictures in a graphics card's memory only)", candidate.encoder));
            continue;
        };
        let candidate = Candidate { format, ..candidate };
        let planes = Planes::of(format).ok_or(ffmpeg::Error::Bug)?;
        let (width_px, height_px) = planes.file_size_px(options.size_px);
        let mut context = Context::new_with_codec(codec);
        // Headers stand once, at the beginning of the file; one thread gives the same file on every machine.
        context.set_flags(CodecFlags::GLOBAL_HEADER);
        context.set_threading(threading::Config { count: 1, ..threading::Config::default() });
        let mut video = context.encoder().video()?;
        video.set_width(width_px as u32);
        video.set_height(height_px as u32);
        video.set_format(candidate.format);
        video.set_time_base(ticks);
        video.set_frame_rate(Some(rate));
        video.set_aspect_ratio(Rational::new(1, 1));
        video.set_gop((options.rate_hz * KEY_SECS).round().max(1.0) as u32);
        video.set_colorspace(Space::BT709);
        video.set_color_range(Range::MPEG);
        video.set_color_primaries(Primaries::BT709);
        video.set_color_transfer_characteristic(TransferCharacteristic::BT709);
        let mut settings = Dictionary::new();
        candidate.options.iter().for_each(|(name, value)| settings.set(name, value));
        match video.open_as_with(codec, settings) {
            Ok(encoder) => return Ok((candidate, encoder)),
            Err(error) => tried.push(format!("{} ({error})", candidate.encoder)),
        }
    }
    Err(Trouble::NoEncoder(tried.join(", ")))
}

/// A rate as a fraction: whole, or of the American kind.
fn rational(rate_hz: f64) -> Rational {
    let ntsc = rate_hz * 1.001;
    if (rate_hz - rate_hz.round()).abs() > 1e-3 && (ntsc - ntsc.round()).abs() < 2e-3 {
        Rational::new((ntsc.round() * 1000.0) as i32, 1001)
    } else {
        Rational::new((rate_hz * 1000.0).round() as i32, 1000).reduce()
    }
}

//! A clip's own sound, copied into a recording in step with the pictures that the clip drives.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ffmpeg::codec::Id;
use ffmpeg::format::context::{Input, Output};
use ffmpeg::{Packet, media};
use ffmpeg_next as ffmpeg;

use super::reader::open_input;
use crate::clock::Timestamp;

/// Pictures and sound may drift apart by so much before the sound is set anew: rounded times of a container.
pub(super) const MAX_DRIFT_SECS: f64 = 0.02;
/// Rounds of a looped clip that are remembered: more than pictures are on their way.
const N_ROUNDS: usize = 16;
/// A packet may begin this early before its piece: rounded times again.
const SLACK_SECS: f64 = 0.002;

/// From when on the clip's beginning lies where on the source's clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round {
    from: Timestamp,
    zero: Timestamp,
}

/// Where a clip's sound is, and which moment of the clip a picture shows; the source keeps it up to date.
#[derive(Clone, Debug)]
pub struct ClipSound {
    path: PathBuf,
    /// The container's time of the first picture.
    start_secs: f64,
    rounds: Arc<Mutex<VecDeque<Round>>>,
}

impl ClipSound {
    pub(crate) fn new(path: PathBuf, start_secs: f64) -> Self {
        Self { path, start_secs, rounds: Arc::default() }
    }

    /// Says that the picture taken at `captured` shows the clip's moment whose beginning was at `zero`.
    pub(crate) fn set(&self, captured: Timestamp, zero: Timestamp) {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if rounds.back().is_none_or(|round| round.zero != zero) {
            if rounds.len() == N_ROUNDS {
                rounds.pop_front();
            }
            rounds.push_back(Round { from: captured, zero });
        }
    }

    /// The moment of the clip that a picture taken at `captured` shows, in seconds from its first picture.
    pub(crate) fn clip_secs(&self, captured: Timestamp) -> Option<f64> {
        let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let round = rounds.iter().rev().find(|round| round.from <= captured)?;
        Some(captured.since(round.zero).as_secs_f64())
    }
}

/// A piece of the file that shows the clip without a jump.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its begin in the file, and in the clip.
    at_secs: f64,
    clip_secs: f64,
}

/// Copies packets of sound; nothing is decoded.
pub(crate) struct SoundCopy {
    input: Input,
    stream: usize,
    secs_per_tick: f64,
    start_secs: f64,
    pieces: VecDeque<Piece>,
    /// Read, not written yet.
    next: Option<Packet>,
    is_over: bool,
    written_ticks: Option<i64>,
    until_secs: f64,
}

/// The recording's second stream.
pub(super) const STREAM: usize = 1;

/// What is known of a picture that is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// The moment of its clip that it shows; `None` for a card or an idle picture.
    pub(crate) clip_secs: Option<f64>,
    /// When it was taken, by the pipeline's clock; `None` for one that repeats the one before.
    pub(crate) taken_secs: Option<f64>,
    /// Whether who drives wants to be neither seen nor heard.
    pub(crate) is_muted: bool,
}

impl SoundCopy {
    /// Adds a stream for the clip's sound to a file whose header is not written yet; `None`, with a message where it
    /// matters, when the clip has none or the container cannot hold it.
    pub(crate) fn open(sound: ClipSound, container: &str, output: &mut Output) -> Option<Self> {
        let input = File::open(&sound.path).ok().and_then(|file| open_input(file).ok())?;
        let stream = input.streams().best(media::Type::Audio)?;
        let mut parameters = stream.parameters();
        let id = parameters.id();
        if !holds(container, id) {
            let name = id.name();
            log::warn!(
                "the clip's sound is {name}, which {container} does not hold here; for its sound record to .mkv"
            );
            return None;
        }
        #[expect(unsafe_code, reason = "the binding has no other way to a stream's tag")]
        // SAFETY: `parameters` keeps the input alive that the pointer leads into, and nothing else reads it now. A tag is one
        // container's number for a codec; zero lets the other container choose its own.
        unsafe {
            (*parameters.as_mut_ptr()).codec_tag = 0;
        }
        let (index, time_base) = (stream.index(), stream.time_base());
        let mut added = output.add_stream(ffmpeg::encoder::find(Id::None)).ok()?;
        added.set_parameters(parameters);
        added.set_time_base(time_base);
        Some(Self {
            stream: index,
            secs_per_tick: f64::from(time_base),
            start_secs: sound.start_secs,
            input,
            pieces: VecDeque::new(),
            next: None,
            is_over: false,
            written_ticks: None,
            until_secs: 0.0,
        })
    }

    /// Says which moment of the clip the picture at `at_secs` of the file shows; `None` for a card or an idle picture.
    pub(crate) fn follow(&mut self, at_secs: f64, clip_secs: Option<f64>) {
        let Some(clip_secs) = clip_secs else { return };
        let drift = self.pieces.back().map(|piece| (at_secs - piece.at_secs) - (clip_secs - piece.clip_secs));
        if drift.is_none_or(|drift| drift.abs() > MAX_DRIFT_SECS) {
            self.pieces.push_back(Piece { at_secs, clip_secs });
            if self.pieces.len() == 1 {
                self.begin(clip_secs);
            }
        }
    }

    /// Writes what is heard before the picture at `until_secs` of the file.
    pub(crate) fn write_until(&mut self, until_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        self.until_secs = until_secs;
        while let Some(piece) = self.pieces.front().copied() {
            let end_secs = self.pieces.get(1).map_or(f64::INFINITY, |next| next.at_secs);
            while let Some((packet, clip_secs)) = self.read() {
                let at_secs = piece.at_secs + (clip_secs - piece.clip_secs);
                if at_secs >= until_secs.min(end_secs) {
                    self.next = Some(packet);
                    break;
                }
                if clip_secs >= piece.clip_secs - SLACK_SECS {
                    self.write(packet, at_secs, output)?;
                }
            }
            if end_secs > until_secs {
                break;
            }
            self.pieces.pop_front();
            if let Some(piece) = self.pieces.front() {
                self.begin(piece.clip_secs);
            }
        }
        Ok(())
    }

    /// Writes what is heard while the last picture is shown.
    pub(crate) fn write_rest(&mut self, picture_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        self.write_until(self.until_secs + picture_secs, output)
    }

    /// Goes to a moment of the clip.
    fn begin(&mut self, clip_secs: f64) {
        self.next = None;
        self.is_over = false;
        let micros = ((self.start_secs + (clip_secs - 1.0).max(0.0)) * 1e6) as i64;
        // Where it cannot be sought, reading goes on from where it is, and what is too early is left out.
        if let Err(error) = self.input.seek(micros, ..micros.saturating_add(1)) {
            log::debug!("the clip's sound cannot be sought: {error}");
        }
    }

    /// The next packet and its moment of the clip.
    fn read(&mut self) -> Option<(Packet, f64)> {
        let packet = match self.next.take() {
            Some(packet) => packet,
            None => loop {
                if self.is_over {
                    return None;
                }
                let mut packet = Packet::empty();
                match packet.read(&mut self.input) {
                    Ok(()) if packet.stream() == self.stream && packet.pts().or(packet.dts()).is_some() => {
                        break packet;
                    }
                    Ok(()) => {}
                    Err(_) => self.is_over = true,
                }
            },
        };
        let ticks = packet.pts().or(packet.dts())?;
        let secs = ticks as f64 * self.secs_per_tick - self.start_secs;
        Some((packet, secs))
    }

    fn write(&mut self, mut packet: Packet, at_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        let out_base = output.stream(STREAM).ok_or(ffmpeg::Error::Bug)?.time_base();
        let ticks = (at_secs / f64::from(out_base)).round() as i64;
        if ticks < 0 || self.written_ticks.is_some_and(|written| ticks <= written) {
            return Ok(());
        }
        self.written_ticks = Some(ticks);
        packet.set_duration((packet.duration() as f64 * self.secs_per_tick / f64::from(out_base)).round() as i64);
        packet.set_pts(Some(ticks));
        packet.set_dts(Some(ticks));
        packet.set_position(-1);
        packet.set_stream(STREAM);
        packet.write(output).map(|_| ())
    }
}

/// Whether a container holds a coding of sound, as it is written here.
fn holds(container: &str, id: Id) -> bool {
    let is_pcm = matches!(id, Id::PCM_S16LE | Id::PCM_S24LE | Id::PCM_S16BE | Id::PCM_S24BE | Id::PCM_F32LE);
    match container {
        "matroska" => !matches!(id, Id::PCM_S16BE | Id::PCM_S24BE),
        "mov" => is_pcm || matches!(id, Id::AAC | Id::ALAC | Id::MP3),
        "avi" => matches!(id, Id::MP3 | Id::AC3 | Id::PCM_S16LE),
        _ => matches!(id, Id::AAC | Id::ALAC | Id::MP3 | Id::OPUS | Id::FLAC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pictures_moment_follows_the_rounds_of_its_clip() {
        let sound = ClipSound::new("a.mp4".into(), 0.0);
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        assert_eq!(sound.clip_secs(at(5000)), None);
        for captured in [5000, 5040, 5080] {
            sound.set(at(captured), at(5000));
        }
        // The clip begins again; a picture of the round before is still on its way.
        sound.set(at(6000), at(6000));
        let table = [(5000, 0.0), (5080, 0.08), (5999, 0.999), (6000, 0.0), (6040, 0.04)];
        for (captured, secs) in table {
            assert!((sound.clip_secs(at(captured)).unwrap() - secs).abs() < 1e-9, "{captured}");
        }
        (0..100).for_each(|round| sound.set(at(7000 + round), at(7000 + round)));
        assert_eq!(sound.rounds.lock().unwrap().len(), N_ROUNDS);
    }
}

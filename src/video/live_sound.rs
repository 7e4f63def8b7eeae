//! A microphone's sound, coded into a recording in step with the pictures.
//!
//! A picture is as old as its way through the program was long; the sound is not. Each has the moment at which it was taken
//! or heard, and a sample is written where the picture of its moment is: so it waits for as long as that picture took.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ffmpeg::format::context::Output;
use ffmpeg::format::sample::{Sample, Type};
use ffmpeg::{ChannelLayout, Dictionary, Packet, Rational, codec, encoder, frame};
use ffmpeg_next as ffmpeg;

use super::sound::{Moment, STREAM};
use crate::microphone::{SoundFeed, SoundTimeline, Stereo};

/// Samples a second in the file.
const RATE_HZ: i32 = 48_000;
/// Bits a second of a voice that is not to be told from the original.
const BIT_RATE: usize = 128_000;
/// Sound that comes later than this behind its picture is not waited for.
const MAX_WAIT_SECS: f64 = 1.0;
/// The same when the file ends.
const MAX_END_WAIT: Duration = Duration::from_millis(500);

/// A piece of the file whose pictures were taken without a jump.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its begin in the file, and on the clock; `None` where nobody shall be heard.
    at_secs: f64,
    clock_secs: Option<f64>,
}

/// Codes what a microphone hears, as AAC.
pub(crate) struct LiveSound {
    feed: SoundFeed,
    timeline: SoundTimeline,
    encoder: encoder::audio::Encoder,
    heard: Vec<Stereo>,
    pieces: VecDeque<Piece>,
    /// Pictures at a constant rate stand beside their own moments by up to half a picture.
    max_drift_secs: f64,
    /// Samples that were given to the encoder.
    n_coded: i64,
    until_secs: f64,
}

impl LiveSound {
    /// Adds a stream for the sound to a file whose header is not written yet.
    pub(super) fn open(feed: SoundFeed, max_drift_secs: f64, output: &mut Output) -> Result<Self, ffmpeg::Error> {
        let found = encoder::find(codec::Id::AAC).ok_or(ffmpeg::Error::EncoderNotFound)?;
        let mut context = codec::Context::new_with_codec(found);
        context.set_flags(codec::Flags::GLOBAL_HEADER);
        let mut audio = context.encoder().audio()?;
        audio.set_rate(RATE_HZ);
        audio.set_channel_layout(ChannelLayout::STEREO);
        audio.set_format(Sample::F32(Type::Planar));
        audio.set_time_base(Rational::new(1, RATE_HZ));
        audio.set_bit_rate(BIT_RATE);
        let audio = audio.open_as_with(found, Dictionary::new())?;
        output.add_stream_with(&audio.0.0.0)?.set_time_base(Rational::new(1, RATE_HZ));
        let n_frames = (audio.frame_size() as usize).max(1);
        Ok(Self {
            feed,
            timeline: SoundTimeline::default(),
            encoder: audio,
            heard: vec![[0.0; 2]; n_frames],
            pieces: VecDeque::new(),
            max_drift_secs,
            n_coded: 0,
            until_secs: 0.0,
        })
    }

    /// Says what is known of the picture at `at_secs` of the file.
    pub(super) fn follow(&mut self, at_secs: f64, moment: Moment) {
        let last = self.pieces.back();
        if moment.is_muted {
            // Once is enough.
            if last.is_none_or(|piece| piece.clock_secs.is_some()) {
                self.pieces.push_back(Piece { at_secs, clock_secs: None });
            }
            return;
        }
        let Some(taken_secs) = moment.taken_secs else { return };
        let last = last.and_then(|piece| Some((piece.at_secs, piece.clock_secs?)));
        let drift = last.map(|(at, taken)| (at_secs - at) - (taken_secs - taken));
        if drift.is_none_or(|drift| drift.abs() > self.max_drift_secs) {
            self.pieces.push_back(Piece { at_secs, clock_secs: Some(taken_secs) });
        }
    }

    /// Writes what was heard before the picture at `until_secs` of the file, as far as it has come.
    pub(super) fn write_until(&mut self, until_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        self.until_secs = self.until_secs.max(until_secs);
        self.listen();
        while self.end_secs() <= self.until_secs && self.is_known() {
            self.code(output)?;
        }
        Ok(())
    }

    /// Writes what is heard while the last picture is shown, `picture_secs` long.
    pub(super) fn write_rest(&mut self, picture_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        self.until_secs += picture_secs;
        let begin = Instant::now();
        // The last packet may begin before the end and reach over it.
        while self.secs(self.n_coded) < self.until_secs {
            if !self.is_known() && begin.elapsed() < MAX_END_WAIT {
                match self.feed.recv_timeout(MAX_END_WAIT) {
                    Ok(block) => self.timeline.add(&block),
                    Err(_) => break,
                }
                continue;
            }
            self.code(output)?;
        }
        self.encoder.send_eof()?;
        self.drain(output)
    }

    /// Takes what came since.
    fn listen(&mut self) {
        while let Ok(block) = self.feed.try_recv() {
            self.timeline.add(&block);
        }
    }

    fn secs(&self, n_samples: i64) -> f64 {
        n_samples as f64 / f64::from(RATE_HZ)
    }

    /// The end of the next packet in the file.
    fn end_secs(&self) -> f64 {
        self.secs(self.n_coded + self.heard.len() as i64)
    }

    /// Whether what the next packet holds has come, or is waited for no longer.
    fn is_known(&self) -> bool {
        let end_secs = self.end_secs();
        let piece = self.pieces.iter().rev().find(|piece| piece.at_secs < end_secs);
        let clock_secs = piece.and_then(|piece| Some(piece.clock_secs? + end_secs - piece.at_secs));
        let has_come = clock_secs.is_none_or(|secs| self.timeline.end_secs() > secs + 2.0 / f64::from(RATE_HZ));
        has_come || self.until_secs - end_secs > MAX_WAIT_SECS
    }

    /// Codes one packet.
    fn code(&mut self, output: &mut Output) -> Result<(), ffmpeg::Error> {
        let mut heard = std::mem::take(&mut self.heard);
        self.fill(&mut heard);
        // The encoder may still hold the one before.
        let mut frame = frame::Audio::new(self.encoder.format(), heard.len(), ChannelLayout::STEREO);
        frame.set_rate(RATE_HZ as u32);
        for channel in 0..2 {
            for (to, heard) in frame.plane_mut::<f32>(channel).iter_mut().zip(&heard) {
                *to = heard[channel];
            }
        }
        frame.set_pts(Some(self.n_coded));
        self.n_coded += heard.len() as i64;
        self.heard = heard;
        self.encoder.send_frame(&frame)?;
        self.drain(output)
    }

    /// What is heard in the file from the next sample on.
    fn fill(&mut self, heard: &mut [Stereo]) {
        let mut done = 0;
        while done < heard.len() {
            let at_secs = self.secs(self.n_coded + done as i64);
            while self.pieces.get(1).is_some_and(|next| next.at_secs <= at_secs) {
                self.pieces.pop_front();
            }
            let Some(piece) = self.pieces.front().copied() else { break };
            let until = self.pieces.get(1).map_or(f64::INFINITY, |next| next.at_secs - at_secs);
            let n = ((until * f64::from(RATE_HZ)).ceil().max(1.0)).min((heard.len() - done) as f64) as usize;
            let part = &mut heard[done..done + n];
            match piece.clock_secs {
                Some(begin_secs) => {
                    let clock_secs = begin_secs + at_secs - piece.at_secs;
                    self.timeline.read(clock_secs, f64::from(RATE_HZ), part);
                    // What follows may have been heard a little before, where pictures jump.
                    self.timeline.forget_before(clock_secs - MAX_WAIT_SECS);
                }
                None => part.fill([0.0; 2]),
            }
            done += n;
        }
        heard[done..].fill([0.0; 2]);
    }

    /// Writes what the encoder has ready.
    fn drain(&mut self, output: &mut Output) -> Result<(), ffmpeg::Error> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::util::error::EAGAIN }) => return Ok(()),
                Err(error) => return Err(error),
            }
            // What a coder says before the beginning would move everything back.
            if packet.pts().is_none_or(|pts| pts < 0) {
                continue;
            }
            packet.set_stream(STREAM);
            let base = output.stream(STREAM).ok_or(ffmpeg::Error::Bug)?.time_base();
            packet.rescale_ts(Rational::new(1, RATE_HZ), base);
            packet.write(output)?;
        }
    }
}

//! The sound of a file, as a face that speaks it.

use std::path::Path;
use std::time::Duration;

use super::SPOKEN_RATE_HZ as RATE_HZ;
use super::talker::Talker;
use crate::capture::clip_file::ClipFile;
use crate::capture::pace::Pace;
use crate::capture::{ClipSound, RawFrame, Read, Source, SourceOptions};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::speech::SpeechListener;
use crate::video::hear::SoundReader;

/// Plays the sound of a file as the motion of a face that says it, 30 frames a second in the file's own time.
pub struct SoundSource {
    name: String,
    reader: SoundReader,
    listener: SpeechListener,
    talker: Talker,
    samples: Vec<f32>,
    /// Samples that were heard, of the file and of the silence behind it.
    n_heard: u64,
    /// Samples of the file, when its end was reached.
    n_samples: Option<u64>,
    pace: Pace,
    looped: bool,
    /// The next frame of this round, and frames of rounds before it.
    next: u64,
    n_before: u64,
    sound: ClipSound,
    // After the reader, so that the file is closed before it is removed.
    file: ClipFile,
}

impl SoundSource {
    /// Opens a file that FFmpeg reads: a recording of sound, or a clip with sound.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Io`]: it does not exist, or holds no sound that can be decoded.
    /// - [`crate::ErrorKind::PermissionDenied`]: it may not be read.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        let file = ClipFile::open(path)?;
        let reader = SoundReader::open(file.path(), file.shown())?;
        Ok(Self {
            name: format!("the sound of {}, {} Hz", file.shown().display(), reader.rate_hz()),
            listener: SpeechListener::new(reader.rate_hz())?,
            talker: Talker::new()?,
            samples: Vec::new(),
            n_heard: 0,
            n_samples: None,
            pace: Pace::new(RATE_HZ, options.paced),
            looped: options.looped,
            next: 0,
            n_before: 0,
            sound: ClipSound::new(file.path().to_owned(), reader.start_secs()),
            reader,
            file,
        })
    }

    /// Listens until it is known what the mouth does at `secs`; false where the file has ended before.
    fn hear_until(&mut self, secs: f64) -> Result<bool> {
        let rate_hz = f64::from(self.reader.rate_hz());
        while self.n_samples.is_none_or(|n| n as f64 > secs * rate_hz) {
            if self.listener.known_secs().is_some_and(|known| known >= secs) && self.n_heard as f64 > secs * rate_hz {
                return Ok(true);
            }
            if self.n_samples.is_none() && !self.reader.read(&mut self.samples)? {
                self.n_samples = Some(self.n_heard);
            }
            if self.n_samples.is_some() {
                // What the mouth does at the end is known when nothing more is heard.
                self.samples.clear();
                self.samples.resize(256, 0.0);
            }
            self.listener.hear(&self.samples);
            self.n_heard += self.samples.len() as u64;
        }
        Ok(false)
    }

    /// Begins the file again.
    fn begin_again(&mut self) -> Result<()> {
        self.reader = SoundReader::open(self.file.path(), self.file.shown())?;
        self.listener = SpeechListener::new(self.reader.rate_hz())?;
        (self.n_heard, self.n_samples) = (0, None);
        self.n_before += self.next;
        self.next = 0;
        Ok(())
    }
}

impl Source for SoundSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        loop {
            let secs = self.next as f64 / RATE_HZ;
            if !self.hear_until(secs)? {
                if !self.looped || self.next == 0 {
                    return Ok(Read::Ended);
                }
                self.begin_again()?;
                continue;
            }
            let place = self.n_before + self.next;
            let n_late = self.pace.overdue(place, clock);
            if n_late > 0 {
                // The next one is due too: this one would only make it later.
                self.next += 1;
                continue;
            }
            let Some(captured) = self.pace.wait(place, clock) else { return Ok(Read::Idle) };
            self.next += 1;
            frame.set_captured(captured);
            // Idle motion goes on where the file begins again.
            let motion = self.talker.face(&self.listener.mouth(secs), place as f64 / RATE_HZ);
            frame.set_motion(motion);
            let since = Duration::from_secs_f64(secs).as_nanos() as u64;
            self.sound.set(captured, Timestamp::from_nanos(captured.as_nanos().saturating_sub(since)));
            return Ok(Read::Fresh);
        }
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(RATE_HZ)
    }

    fn sound(&self) -> Option<ClipSound> {
        Some(self.sound.clone())
    }

    fn n_frames(&self) -> Option<u64> {
        self.reader.stated_secs().map(|secs| (secs * RATE_HZ).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// Two seconds in which somebody says "mama, papa".
    const MAMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mama.wav");

    #[test]
    fn a_file_is_heard_frame_by_frame_in_its_own_time_and_again() {
        let options = SourceOptions { paced: false, ..SourceOptions::default() };
        let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
        let mut source = SoundSource::open(Path::new(MAMA), &options).unwrap();
        assert_eq!(source.n_frames(), Some(60));
        let mut jaws = Vec::new();
        let jaw = crate::geometry::COEFFICIENT_NAMES.iter().position(|name| *name == "jawOpen").unwrap();
        while source.read(&mut frame, &clock).unwrap() == Read::Fresh {
            assert!((frame.captured().as_secs_f64() - jaws.len() as f64 / RATE_HZ).abs() < 1e-6);
            jaws.push(frame.motion().unwrap().coefficients[jaw]);
        }
        assert_eq!(jaws.len(), 60);
        // Paced and again and again, with a reader that is late now and then.
        let options = SourceOptions { paced: true, looped: true, ..SourceOptions::default() };
        let mut source = SoundSource::open(Path::new(MAMA), &options).unwrap();
        let sound = source.sound().unwrap();
        let mut n_frames = 0;
        for step in 0..400 {
            if source.read(&mut frame, &clock).unwrap() == Read::Fresh {
                n_frames += 1;
                let secs = sound.clip_secs(frame.captured()).unwrap();
                let place = (secs * RATE_HZ).round() as usize;
                assert!((secs * RATE_HZ - place as f64).abs() < 1e-3);
                assert_eq!(frame.motion().unwrap().coefficients[jaw], jaws[place], "the same in every round");
            }
            clock.advance(Duration::from_millis(if step % 100 == 50 { 200 } else { 20 }));
        }
        // Nearly ten seconds: five rounds, and what was left out.
        assert!((240..=276).contains(&n_frames), "{n_frames}");
    }
}

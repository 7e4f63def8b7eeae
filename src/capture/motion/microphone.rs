//! A microphone's sound, as a face that speaks it.

use std::time::{Duration, Instant};

use super::SPOKEN_RATE_HZ as RATE_HZ;
use super::talker::Talker;
use crate::capture::{MAX_READ_WAIT, RawFrame, Read, Source};
use crate::clock::{Clock, MonotonicClock, Timestamp};
use crate::error::Result;
use crate::microphone::{Listening, Microphone, MicrophoneSpec, SoundBlock, SoundFeed, listen};
use crate::speech::SpeechListener;

/// Sound whose own time is further off than this did not follow what was heard before.
const MAX_DRIFT_SECS: f64 = 0.05;
/// How much of a block's own time counts against those before: drivers' times tremble, and two clocks drift slowly.
const TRUST: f64 = 0.004;

/// What a microphone hears, as the motion of a face that says it, 30 frames a second.
///
/// A frame was taken when its sound was heard: its age holds what the network looks ahead.
pub struct MicrophoneSource {
    name: String,
    microphone: Microphone,
    feed: SoundFeed,
    /// What gave the sound its times.
    clock: MonotonicClock,
    talker: Talker,
    heard: Option<Heard>,
    mono: Vec<f32>,
    // After what reads it.
    _listening: Option<Listening>,
}

/// Sound that was heard without a gap.
struct Heard {
    listener: SpeechListener,
    /// When the first sample was heard, as all blocks' times say together.
    first_secs: f64,
    n_samples: u64,
    /// The next frame.
    next: u64,
}

impl Heard {
    fn end_secs(&self) -> f64 {
        self.first_secs + self.n_samples as f64 / f64::from(self.listener.rate_hz())
    }
}

impl MicrophoneSource {
    /// Begins to listen.
    ///
    /// # Errors
    /// As [`listen`]: no such microphone, or it may not be used.
    pub fn open(spec: &MicrophoneSpec) -> Result<Self> {
        let clock = MonotonicClock::new();
        let listening = listen(spec, clock)?;
        let microphone = listening.microphone().clone();
        log::info!("microphone: what {} hears moves the mouth", microphone.name());
        Self::of(&microphone, Some(listening), clock)
    }

    /// Follows a microphone whose sound has its times by `clock`.
    fn of(microphone: &Microphone, listening: Option<Listening>, clock: MonotonicClock) -> Result<Self> {
        Ok(Self {
            name: format!("microphone {}", microphone.name()),
            microphone: microphone.clone(),
            feed: microphone.feed(),
            clock,
            talker: Talker::new()?,
            heard: None,
            mono: Vec::new(),
            _listening: listening,
        })
    }

    /// Takes a block of sound.
    fn take(&mut self, block: &SoundBlock) -> Result<()> {
        let heard_secs = block.heard.as_secs_f64();
        let is_next = |heard: &Heard| {
            heard.listener.rate_hz() == block.rate_hz && (heard_secs - heard.end_secs()).abs() < MAX_DRIFT_SECS
        };
        if !self.heard.as_ref().is_some_and(is_next) {
            let listener = SpeechListener::new(block.rate_hz)?;
            self.heard = Some(Heard { listener, first_secs: heard_secs, n_samples: 0, next: 0 });
        }
        if let Some(heard) = &mut self.heard {
            heard.first_secs += (heard_secs - heard.end_secs()) * TRUST;
            self.mono.clear();
            self.mono.extend(block.frames().iter().map(|[left, right]| 0.5 * (left + right)));
            heard.listener.hear(&self.mono);
            heard.n_samples += self.mono.len() as u64;
        }
        Ok(())
    }

    /// The newest frame that is known by now and was not given yet, in seconds from the first sample.
    fn newest(&mut self) -> Option<f64> {
        let heard = self.heard.as_mut()?;
        let newest = (heard.listener.known_secs()? * RATE_HZ + 1e-6) as u64;
        (newest >= heard.next).then(|| {
            heard.next = newest + 1;
            newest as f64 / RATE_HZ
        })
    }
}

impl Source for MicrophoneSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn microphone(&self) -> Option<(&Microphone, MonotonicClock)> {
        Some((&self.microphone, self.clock))
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        let begin = Instant::now();
        loop {
            // What waits already is heard first: the newest counts. A device that gives sound faster than time passes, as ALSA's
            // `null` does, would keep this busy for ever.
            while begin.elapsed() < MAX_READ_WAIT
                && let Ok(block) = self.feed.try_recv()
            {
                self.take(&block)?;
            }
            if let Some(secs) = self.newest()
                && let Some(heard) = &self.heard
            {
                let at_secs = heard.first_secs + secs;
                let age = self.clock.now().since(Timestamp::from_nanos((at_secs.max(0.0) * 1e9) as u64));
                frame.set_captured(Timestamp::from_nanos(clock.now().as_nanos().saturating_sub(age.as_nanos() as u64)));
                frame.set_motion(self.talker.face(&heard.listener.mouth(secs), at_secs));
                return Ok(Read::Fresh);
            }
            let wait = MAX_READ_WAIT.saturating_sub(begin.elapsed());
            if wait == Duration::ZERO {
                return Ok(Read::Idle);
            }
            match self.feed.recv_timeout(wait) {
                Ok(block) => self.take(&block)?,
                // One that has gone is looked for again by who listens to it.
                Err(_) => return Ok(Read::Idle),
            }
        }
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(RATE_HZ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microphone::SoundInlet;

    const RATE_HZ: u32 = 48_000;

    /// Sound of ten milliseconds: harmonics of a voice at 120 Hz, loud where those of an "ah" are.
    fn say(inlet: &mut SoundInlet, n: u64, is_loud: bool, rate_hz: u32) {
        let n_samples = u64::from(rate_hz) / 100;
        let sample = |i: u64| {
            let t = (n * n_samples + i) as f64 / f64::from(rate_hz);
            let part = |hz: f64| {
                let near = |formant: f64| (-((hz - formant) / 150.0).powi(2)).exp();
                (near(730.0) + 0.5 * near(1090.0) + 0.1 * near(2440.0) + 0.05) * (std::f64::consts::TAU * hz * t).sin()
            };
            let voice = (1..40).map(|i| part(120.0 * f64::from(i))).sum::<f64>();
            [if is_loud { 0.05 * voice as f32 } else { 0.0 }; 2]
        };
        inlet.push(Timestamp::from_nanos(5_000_000_000 + n * 10_000_000), rate_hz, (0..n_samples).map(sample));
    }

    fn hear(source: &mut MicrophoneSource) -> Option<f64> {
        while let Ok(block) = source.feed.try_recv() {
            source.take(&block).unwrap();
        }
        source.newest()
    }

    #[test]
    fn a_frame_comes_a_tenth_of_a_second_after_its_sound_and_goes_on_after_a_gap() {
        let (microphone, mut inlet) = Microphone::new("test".to_owned());
        let mut source = MicrophoneSource::of(&microphone, None, MonotonicClock::new()).unwrap();
        let mut frames = Vec::new();
        // Half a second of silence, half of a vowel, half of silence; nothing for a second; the same of another rate.
        for n in (0..150).chain(250..400) {
            say(&mut inlet, n, (50..100).contains(&(n % 250)), if n < 200 { RATE_HZ } else { 16_000 });
            if let Some(secs) = hear(&mut source) {
                let heard = source.heard.as_ref().unwrap();
                frames.push((heard.first_secs + secs - 5.0, heard.end_secs() - 5.0, heard.listener.mouth(secs)[0]));
            }
        }
        assert!((84..=90).contains(&frames.len()), "{} frames of three seconds", frames.len());
        let lags = frames.iter().map(|(at, end, _)| end - at);
        let (least, most) = lags.fold((f64::MAX, f64::MIN), |(a, b), lag| (a.min(lag), b.max(lag)));
        assert!(least > 0.08 && most < 0.125, "{least} to {most} s from the sound to the frame");
        for round_secs in [0.0, 2.5] {
            let jaw = |from: f64, to: f64| {
                let within = |(at, _, _): &&(f64, f64, f32)| (from..to).contains(&(at - round_secs));
                frames.iter().filter(within).map(|(_, _, jaw)| *jaw).fold(0.0, f32::max)
            };
            assert!(jaw(0.0, 0.35) < 0.05 && jaw(1.2, 1.5) < 0.05, "shut while nobody speaks");
            assert!(jaw(0.6, 0.95) > 0.15, "open in the vowel: {}", jaw(0.6, 0.95));
        }
    }

    #[test]
    fn a_flood_of_sound_does_not_keep_a_reading_from_its_end() {
        let (microphone, mut inlet) = Microphone::new("test".to_owned());
        let mut source = MicrophoneSource::of(&microphone, None, MonotonicClock::new()).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begin = Instant::now();
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(20) {
                    (0..400).for_each(|n| say(&mut inlet, n, true, RATE_HZ));
                }
            });
            let (mut frame, begin) = (RawFrame::default(), Instant::now());
            let read = (0..3).try_for_each(|_| source.read(&mut frame, &MonotonicClock::new()).map(drop));
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            read.unwrap();
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        });
    }

    #[test]
    fn a_microphone_that_is_gone_is_waited_for() {
        let (microphone, _inlet) = Microphone::new("test".to_owned());
        let mut source = MicrophoneSource::of(&microphone, None, MonotonicClock::new()).unwrap();
        let (mut frame, begin) = (RawFrame::default(), Instant::now());
        assert_eq!(source.read(&mut frame, &MonotonicClock::new()).unwrap(), Read::Idle);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}

//! What was heard, to be read at any moment and rate.

use std::collections::VecDeque;

use super::{SoundBlock, Stereo};

/// Sound is kept this long for pictures that are on their way.
const MAX_SECS: f64 = 5.0;
/// A block whose own time is further off than this did not follow the one before without a gap.
const MAX_DRIFT_SECS: f64 = 0.05;
/// A longer gap is no silence in between: what was before is forgotten.
const MAX_GAP_SECS: f64 = 2.0;
/// How much of a block's own time counts against those before: drivers' times tremble, and two clocks drift slowly.
const TRUST: f64 = 0.004;
/// The reading looks at so many samples around a moment.
const N_TAPS: usize = 4;

/// Samples in a row, and when they were heard by the pipeline's clock.
#[derive(Debug, Default)]
pub(crate) struct SoundTimeline {
    frames: VecDeque<Stereo>,
    rate_hz: f64,
    /// When the first of them was heard, as all blocks' times say together.
    first_secs: f64,
}

impl SoundTimeline {
    /// Adds what follows.
    pub(crate) fn add(&mut self, block: &SoundBlock) {
        let (heard_secs, rate_hz) = (block.heard.as_secs_f64(), f64::from(block.rate_hz.max(1)));
        let late_secs = heard_secs - self.end_secs();
        let is_new = self.frames.is_empty() || rate_hz != self.rate_hz;
        if is_new || !(-MAX_DRIFT_SECS..MAX_GAP_SECS).contains(&late_secs) {
            self.frames.clear();
            (self.rate_hz, self.first_secs) = (rate_hz, heard_secs);
        } else if late_secs > MAX_DRIFT_SECS {
            // Samples are missing: a device that was unplugged, or a machine that was too slow.
            let n_missing = (late_secs * rate_hz).round() as usize;
            self.frames.extend(std::iter::repeat_n([0.0; 2], n_missing));
        } else {
            self.first_secs += late_secs * TRUST;
        }
        self.frames.extend(block.frames());
        let n_over = self.frames.len().saturating_sub((MAX_SECS * rate_hz) as usize);
        self.forget(n_over);
    }

    /// Until when it is known what was heard.
    pub(crate) fn end_secs(&self) -> f64 {
        if self.frames.is_empty() {
            return f64::NEG_INFINITY;
        }
        self.first_secs + self.frames.len() as f64 / self.rate_hz
    }

    /// Reads what was heard from `at_secs` on, at `rate_hz`; silence where nothing is known.
    pub(crate) fn read(&self, at_secs: f64, rate_hz: f64, out: &mut [Stereo]) {
        let step = self.rate_hz / rate_hz;
        let begin = (at_secs - self.first_secs) * self.rate_hz;
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.at(begin + i as f64 * step);
        }
    }

    /// Forgets what was heard before `secs`.
    pub(crate) fn forget_before(&mut self, secs: f64) {
        let n = ((secs - self.first_secs) * self.rate_hz).floor() - N_TAPS as f64;
        if n > 0.0 {
            self.forget((n as usize).min(self.frames.len()));
        }
    }

    fn forget(&mut self, n: usize) {
        self.frames.drain(..n);
        self.first_secs += n as f64 / self.rate_hz.max(1.0);
    }

    /// Between the samples, by a cubic through four of them.
    fn at(&self, place: f64) -> Stereo {
        let before = place.floor();
        let t = (place - before) as f32;
        let frame = |offset: i64| {
            let index = usize::try_from(before as i64 + offset).ok();
            index.and_then(|index| self.frames.get(index)).copied().unwrap_or_default()
        };
        if !(-1.0..self.frames.len() as f64 + 1.0).contains(&before) {
            return [0.0; 2];
        }
        let [a, b, c, d] = [frame(-1), frame(0), frame(1), frame(2)];
        std::array::from_fn(|i| {
            let (a, b, c, d) = (a[i], b[i], c[i], d[i]);
            let value = b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)));
            value.clamp(-1.0, 1.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::microphone::{Microphone, SoundFeed, SoundInlet};

    const RATE_HZ: u32 = 48_000;

    struct Room {
        inlet: SoundInlet,
        feed: SoundFeed,
        timeline: SoundTimeline,
    }

    impl Room {
        fn new() -> Self {
            let (microphone, inlet) = Microphone::new("test".to_owned());
            Self { feed: microphone.feed(), inlet, timeline: SoundTimeline::default() }
        }

        /// A device of `rate_hz` says that it heard `n` samples of a tone of `hz` at `secs`, which it did at `true_secs`.
        fn hear(&mut self, secs: f64, true_secs: f64, n: usize, rate_hz: f64, hz: f64) {
            let tone = |i: usize| ((true_secs + i as f64 / rate_hz) * hz * std::f64::consts::TAU).sin() as f32 * 0.5;
            let at = Timestamp::from_nanos((secs * 1e9) as u64);
            self.inlet.push(at, rate_hz.round() as u32, (0..n).map(|i| [tone(i); 2]));
            self.feed.try_iter().for_each(|block| self.timeline.add(&block));
        }

        /// Root of the mean squared difference from the tone, over 20 ms from `secs`.
        fn error(&self, secs: f64, hz: f64) -> f64 {
            let mut out = [[0.0; 2]; 960];
            self.timeline.read(secs, f64::from(RATE_HZ), &mut out);
            let tone = |i: usize| ((secs + i as f64 / f64::from(RATE_HZ)) * hz * std::f64::consts::TAU).sin() * 0.5;
            let sum: f64 = out.iter().enumerate().map(|(i, out)| (f64::from(out[1]) - tone(i)).powi(2)).sum();
            (sum / out.len() as f64).sqrt()
        }
    }

    #[test]
    fn a_tone_is_read_where_it_was_heard_whatever_the_devices_rate() {
        for rate_hz in [48_000.0, 44_100.0, 16_000.0, 96_000.0] {
            let mut room = Room::new();
            for i in 0..100 {
                let secs = 7.0 + i as f64 * 0.01;
                room.hear(secs, secs, (rate_hz / 100.0) as usize, rate_hz, 440.0);
            }
            for secs in [7.1, 7.512_345, 7.9] {
                let error = room.error(secs, 440.0);
                assert!(error < 0.005, "{rate_hz} at {secs}: {error}");
            }
            assert_eq!(room.error(6.0, 0.0), 0.0, "silence before");
            assert_eq!(room.error(9.0, 0.0), 0.0, "silence behind");
        }
    }

    #[test]
    fn trembling_times_and_a_clock_that_drifts_do_not_move_the_tone() {
        let mut room = Room::new();
        // A device whose clock is slow by 200 in a million, for a minute and a half.
        let (true_rate_hz, mut n) = (48_000.0 * (1.0 - 200e-6), 0);
        let mut secs = 0.0;
        while secs < 90.0 {
            secs = 1.0 + n as f64 / true_rate_hz;
            let tremble = ((n / 480) as f64 * 12.9898).sin() * 0.004;
            let tone =
                |i: usize| (((n + i) as f64 / true_rate_hz + 1.0) * 100.0 * std::f64::consts::TAU).sin() as f32 * 0.5;
            let at = Timestamp::from_nanos(((secs + tremble) * 1e9) as u64);
            room.inlet.push(at, RATE_HZ, (0..480).map(|i| [tone(i); 2]));
            room.feed.try_iter().for_each(|block| room.timeline.add(&block));
            n += 480;
        }
        // A millisecond off would be an error of 0.22 in this tone.
        let error = room.error(secs - 0.5, 100.0);
        assert!(error < 0.12, "{error}");
        assert!(room.timeline.frames.len() <= 5 * 48_000, "it grows: {}", room.timeline.frames.len());
    }

    #[test]
    fn what_is_missing_is_silent_and_what_follows_is_in_its_place() {
        let mut room = Room::new();
        room.hear(3.0, 3.0, 24_000, 48_000.0, 440.0);
        room.hear(3.8, 3.8, 24_000, 48_000.0, 440.0);
        assert!(room.error(3.2, 440.0) < 0.005);
        assert!(room.error(3.6, 0.0) < 1e-6, "a gap of 0.3 s");
        assert!(room.error(4.0, 440.0) < 0.005);
        // Much later, and back in time: only what is new is known.
        for secs in [60.0, 10.0] {
            room.hear(secs, secs, 24_000, 48_000.0, 440.0);
            assert!(room.error(secs + 0.2, 440.0) < 0.005, "{secs}");
        }
        room.timeline.forget_before(10.25);
        assert!(room.error(10.26, 440.0) < 0.005);
        assert_eq!(room.error(10.1, 0.0), 0.0);
    }
}

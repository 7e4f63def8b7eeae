//! The last samples of a motion, with their own times.

use super::MotionSample;

/// How far back the past says something, in seconds.
const MEMORY_SECS: f64 = 0.62;
/// After such a gap the past says nothing, in seconds: what was in between is not known.
const MAX_GAP_SECS: f64 = 0.25;
/// A sample takes the place of the newest one when it is nearer than this to the one before that, in seconds: 120 a second are
/// enough.
const MIN_STEP_SECS: f64 = 0.008;
/// No head turns faster, in radians a second, and so far from one sample to the next, in radians: it is a cut.
const CUT_TURN: (f32, f32) = (14.0, 0.25);
/// No head moves so far from one sample to the next, in face widths, or grows so much, as a logarithm.
const CUT_SHIFT: f32 = 0.3;
const CUT_SIZE: f32 = 0.14;

/// The samples of the last half second, the newest last. Takes no memory after it was made.
#[derive(Clone, Debug)]
pub struct History {
    samples: Box<[MotionSample; Self::CAPACITY]>,
    /// Where the newest is, and how many there are.
    newest: usize,
    n: usize,
}

impl History {
    /// Samples that it holds: more than half a second at 120 a second.
    pub const CAPACITY: usize = 96;

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.n = 0;
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Takes a sample and gives the slot that it is in, 0..[`Self::CAPACITY`]. What a gap, a step back in time or a cut
    /// separates from it is forgotten. One that holds what is no number must not come here.
    pub fn push(&mut self, sample: &MotionSample) -> usize {
        if let Some(last) = self.at(0) {
            let elapsed_secs = sample.secs - last.secs;
            if !(0.0..=MAX_GAP_SECS).contains(&elapsed_secs) || is_cut(last, sample, elapsed_secs) {
                self.clear();
            } else if elapsed_secs < 1e-6 || self.at(1).is_some_and(|before| sample.secs - before.secs < MIN_STEP_SECS)
            {
                self.samples[self.newest] = *sample;
                return self.newest;
            }
        }
        self.newest = (self.newest + 1) % Self::CAPACITY;
        self.samples[self.newest] = *sample;
        self.n = (self.n + 1).min(Self::CAPACITY);
        while self.n > 2 && self.at(self.n - 2).is_some_and(|second| sample.secs - second.secs > MEMORY_SECS) {
            self.n -= 1;
        }
        self.newest
    }

    /// Counts places sideways and down in another unit, of which so many make one of that before; sizes, which are logarithms
    /// of any unit, stay.
    pub fn scale_places(&mut self, factor: f32) {
        for sample in self.samples.iter_mut() {
            sample.place = (sample.place.truncate() * factor).extend(sample.place.z);
        }
    }

    /// The sample `age` places before the newest one.
    pub fn at(&self, age: usize) -> Option<&MotionSample> {
        (age < self.n).then(|| &self.samples[self.slot(age)])
    }

    /// The slot of that sample; anything beyond the oldest means nothing.
    pub fn slot(&self, age: usize) -> usize {
        (self.newest + Self::CAPACITY - age % Self::CAPACITY) % Self::CAPACITY
    }

    /// The time from the oldest sample to the newest, in seconds.
    pub fn span_secs(&self) -> f64 {
        match (self.at(0), self.at(self.n.saturating_sub(1))) {
            (Some(newest), Some(oldest)) => newest.secs - oldest.secs,
            _ => 0.0,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { samples: Box::new([MotionSample::default(); Self::CAPACITY]), newest: 0, n: 0 }
    }
}

fn is_cut(last: &MotionSample, sample: &MotionSample, elapsed_secs: f64) -> bool {
    let turned = last.turn.angle_between(sample.turn);
    let moved = sample.place - last.place;
    (turned > CUT_TURN.1 && f64::from(turned) > f64::from(CUT_TURN.0) * elapsed_secs)
        || moved.truncate().length() > CUT_SHIFT
        || moved.z.abs() > CUT_SIZE
}

#[cfg(test)]
mod tests {
    use glam::{Quat, Vec3};

    use super::*;

    fn at(secs: f64) -> MotionSample {
        MotionSample { secs, ..MotionSample::default() }
    }

    #[test]
    fn half_a_second_is_kept_at_any_rate() {
        for rate_hz in [15.0, 25.0, 30.0, 60.0, 120.0, 1000.0] {
            let mut history = History::default();
            for i in 0..3000 {
                history.push(&at(f64::from(i) / rate_hz));
            }
            let span = history.span_secs();
            assert!((0.5..0.75).contains(&span), "{rate_hz}: {span}");
            assert!(history.len() < History::CAPACITY);
        }
    }

    #[test]
    fn what_a_gap_a_step_back_or_a_cut_separates_is_forgotten() {
        let turned = MotionSample { turn: Quat::from_rotation_y(0.8), ..at(0.44) };
        let moved = MotionSample { place: Vec3::new(0.4, 0.0, 0.0), ..at(0.44) };
        let grown = MotionSample { place: Vec3::new(0.0, 0.0, 0.2), ..at(0.44) };
        for (next, n) in [(at(0.44), 12), (at(0.9), 1), (at(0.1), 1), (turned, 1), (moved, 1), (grown, 1)] {
            let mut history = History::default();
            (0..11).for_each(|i| {
                history.push(&at(f64::from(i) * 0.04));
            });
            history.push(&next);
            assert_eq!(history.len(), n, "{next:?}");
        }
    }

    #[test]
    fn places_in_another_unit_are_the_same_places() {
        let mut history = History::default();
        for (secs, x) in [(0.0, 2.0), (0.04, 2.1)] {
            history.push(&MotionSample { place: Vec3::new(x, -1.0, 4.0), ..at(secs) });
        }
        history.scale_places(0.5);
        let places = [1, 0].map(|age| history.at(age).unwrap().place);
        assert_eq!(places, [Vec3::new(1.0, -0.5, 4.0), Vec3::new(1.05, -0.5, 4.0)]);
        history.push(&MotionSample { place: Vec3::new(1.1, -0.5, 4.0), ..at(0.08) });
        assert_eq!(history.len(), 3, "what follows in the new unit is no cut");
    }

    #[test]
    fn dropped_frames_and_a_fast_turn_are_no_cut() {
        let mut history = History::default();
        // 500 degrees a second, at 15 frames a second, and three frames in a row that are not there.
        for i in [0, 1, 2, 3, 7, 8] {
            let secs = f64::from(i) / 15.0;
            history.push(&MotionSample {
                turn: Quat::from_rotation_y(if i < 4 { 8.7 * secs as f32 } else { 1.745 }),
                ..at(secs)
            });
        }
        assert_eq!(history.len(), 2, "a gap of four frames at 15 a second is one");
        let mut history = History::default();
        for i in [0, 1, 2, 3, 6, 7] {
            let secs = f64::from(i) / 30.0;
            history.push(&MotionSample { turn: Quat::from_rotation_y(8.7 * secs as f32), ..at(secs) });
        }
        assert_eq!(history.len(), 6);
    }
}

//! Which picture of a steady series is due, seen from a camera's point of view; or a series with a time of its own.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};

use super::MAX_READ_WAIT;

/// A reader later than this was asleep, not slow: the series is moved instead of skipped.
const MAX_CATCH_UP_SECS: f64 = 1.0;

/// The times at which the pictures of a series are due: picture `n` at start + `n` / rate.
///
/// A paced series starts on the clock, with the first question. One that is not has nothing to do with the clock: it starts
/// at zero, so that what is made of it is the same each time.
#[derive(Debug)]
pub(super) struct Pace {
    rate_hz: f64,
    paced: bool,
    start: Option<Timestamp>,
}

impl Pace {
    /// Pictures at `rate_hz`, waited for when `paced`, else due whenever they are asked for.
    pub(super) fn new(rate_hz: f64, paced: bool) -> Self {
        Self { rate_hz, paced, start: None }
    }

    /// Pictures a second.
    pub(super) fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// When picture `index` is taken.
    fn due(&mut self, index: u64, clock: &dyn Clock) -> Timestamp {
        self.due_after(Duration::from_secs_f64(index as f64 / self.rate_hz), clock)
    }

    /// When the picture `time` after the first is taken.
    fn due_after(&mut self, time: Duration, clock: &dyn Clock) -> Timestamp {
        let paced = self.paced;
        let start = *self.start.get_or_insert_with(|| if paced { clock.now() } else { Timestamp::default() });
        start + time
    }

    /// Whether the picture `time` after the first, which is shown for `length`, is too late, because a later one is due.
    pub(super) fn is_overdue(&mut self, time: Duration, length: Duration, clock: &dyn Clock) -> bool {
        let due = self.due_after(time, clock);
        if !self.paced {
            return false;
        }
        let late = clock.now().since(due);
        if late.as_secs_f64() > MAX_CATCH_UP_SECS.max(length.as_secs_f64()) {
            self.start = self.start.map(|start| start + late);
            return false;
        }
        // A hair is added so that a clock exactly on a due time counts that picture as due.
        late + Duration::from_nanos(1000) >= length
    }

    /// Whether the picture `time` after the first is due.
    pub(super) fn is_due(&mut self, time: Duration, clock: &dyn Clock) -> bool {
        // A hair, as above.
        self.due_after(time, clock) <= clock.now() + Duration::from_nanos(1000)
    }

    /// Waits for the picture `time` after the first, at most [`MAX_READ_WAIT`]; its time when it has come.
    pub(super) fn wait_for(&mut self, time: Duration, clock: &dyn Clock) -> Option<Timestamp> {
        let due = self.due_after(time, clock);
        (!self.paced || clock.wait_until(due, MAX_READ_WAIT)).then_some(due)
    }

    /// How many pictures from `index` on are too late to be shown, because a later one is due.
    pub(super) fn overdue(&mut self, index: u64, clock: &dyn Clock) -> u64 {
        let due = self.due(index, clock);
        if !self.paced {
            return 0;
        }
        let late_secs = clock.now().since(due).as_secs_f64();
        if late_secs > MAX_CATCH_UP_SECS {
            self.start = self.start.map(|start| start + Duration::from_secs_f64(late_secs));
            return 0;
        }
        // A hair is added so that a clock exactly on a due time counts that picture as due.
        (late_secs * self.rate_hz + 1e-6) as u64
    }

    /// Waits for picture `index`, at most [`MAX_READ_WAIT`]; its time when it has come.
    pub(super) fn wait(&mut self, index: u64, clock: &dyn Clock) -> Option<Timestamp> {
        self.wait_for(Duration::from_secs_f64(index as f64 / self.rate_hz), clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn pictures_are_due_in_steps_and_late_ones_are_overdue() {
        let clock = ManualClock::new();
        let mut pace = Pace::new(10.0, true);
        assert_eq!(pace.wait(0, &clock), Some(Timestamp::default()));
        assert_eq!(pace.wait(1, &clock), None, "picture 1 came before its time");
        clock.advance(Duration::from_millis(350));
        assert_eq!(pace.overdue(1, &clock), 2, "picture 3 is due at 300 ms");
        assert_eq!(pace.wait(3, &clock), Some(Timestamp::from_nanos(300_000_000)));
    }

    #[test]
    fn a_long_sleep_moves_the_series() {
        let clock = ManualClock::new();
        let mut pace = Pace::new(10.0, true);
        pace.due(0, &clock);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(pace.overdue(1, &clock), 0);
        assert_eq!(pace.wait(1, &clock), Some(clock.now()));
    }

    #[test]
    fn an_unpaced_series_keeps_its_own_time_and_never_waits() {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(7));
        let mut pace = Pace::new(25.0, false);
        assert_eq!(pace.wait(0, &clock), Some(Timestamp::default()));
        assert_eq!(pace.wait(50, &clock), Some(Timestamp::from_nanos(2_000_000_000)));
        assert_eq!(pace.overdue(50, &clock), 0);
    }
}

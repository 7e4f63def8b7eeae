//! The time of each picture in a file of variable rate.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::video::writer::TICKS_PER_SEC;

/// A longer gap in a live recording is left out: the program was paused, or the machine slept.
const MAX_GAP: Duration = Duration::from_secs(10);

/// Frames of a source that had stopped may be older than the last picture by so much: the time from capture to the stage that
/// makes a picture without one. More is another clock.
const MAX_STEP_BACK: Duration = Duration::from_millis(250);

/// Gives each picture its time from the file's beginning; times rise.
#[derive(Debug)]
pub(super) struct TimeMap {
    interval: Duration,
    max_gap: Duration,
    is_live: bool,
    last: Option<Last>,
}

/// The picture before.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Its own time, where it had one.
    time: Option<Timestamp>,
    /// Its time from the file's beginning, kept exactly so that rounding does not add up.
    place: Duration,
    ticks: i64,
}

impl TimeMap {
    /// For pictures that come at about `rate_hz`, from a camera or, with their own times whatever they are, from a file.
    pub(super) fn new(rate_hz: f64, is_live: bool) -> Self {
        let max_gap = if is_live { MAX_GAP } else { Duration::MAX };
        Self { interval: Duration::from_secs_f64(1.0 / rate_hz), max_gap, is_live, last: None }
    }

    /// The time of a picture taken at `time`, in the file's ticks; `None` follows the one before.
    pub(super) fn ticks(&mut self, time: Option<Timestamp>) -> i64 {
        let Some(last) = self.last else {
            self.last = Some(Last { time, place: Duration::ZERO, ticks: 0 });
            return 0;
        };
        let gap = match (last.time, time) {
            (Some(before), Some(time)) if time > before => Some(time.since(before)).filter(|gap| *gap <= self.max_gap),
            // Another clock, or none.
            _ => None,
        };
        let place = match (last.time, time) {
            // What a source that had stopped shows first was taken before the pictures that filled the gap were made.
            (Some(before), Some(time)) if self.is_live && time < before && before.since(time) <= MAX_STEP_BACK => {
                last.place.saturating_sub(before.since(time))
            }
            _ => last.place + gap.unwrap_or(self.interval),
        };
        let rounded = (place.as_nanos() * TICKS_PER_SEC as u128 + 500_000_000) / 1_000_000_000;
        let ticks = (rounded as i64).max(last.ticks + 1);
        self.last = Some(Last { time, place, ticks });
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds.
    fn places(map: &mut TimeMap, times_ms: &[Option<u64>]) -> Vec<i64> {
        let time = |ms: u64| Timestamp::from_nanos(ms * 1_000_000 + 7);
        times_ms.iter().map(|ms| map.ticks(ms.map(time)) / (i64::from(TICKS_PER_SEC) / 1000)).collect()
    }

    fn live(times_ms: &[Option<u64>]) -> Vec<i64> {
        places(&mut TimeMap::new(30.0, true), times_ms)
    }

    #[test]
    fn pictures_keep_their_own_distances() {
        assert_eq!(live(&[Some(500), Some(517), Some(600), Some(2600)]), [0, 17, 100, 2100]);
    }

    #[test]
    fn a_source_that_stopped_and_comes_back_lengthens_nothing() {
        assert_eq!(live(&[Some(500), Some(700), Some(733), Some(715), Some(748)]), [0, 200, 233, 233, 248]);
    }

    #[test]
    fn long_gaps_another_clock_and_no_clock_take_one_interval() {
        assert_eq!(live(&[Some(500), Some(60_000), Some(60_010)]), [0, 33, 43]);
        assert_eq!(live(&[Some(500), Some(100), Some(110)]), [0, 33, 43]);
        assert_eq!(live(&[Some(500), Some(500)]), [0, 33]);
        assert_eq!(live(&[None, None, Some(9), Some(10)]), [0, 33, 66, 67]);
        let mut of_file = TimeMap::new(30.0, false);
        assert_eq!(places(&mut of_file, &[Some(500), Some(60_500)]), [0, 60_000], "a file's pauses are its own");
    }

    #[test]
    fn rounding_does_not_add_up() {
        let times: Vec<_> = (0..300_u64).map(|i| Timestamp::from_nanos(1 + i * 1_000_000_000 / 30)).collect();
        let mut map = TimeMap::new(30.0, true);
        let last = times.iter().map(|time| map.ticks(Some(*time))).last().unwrap();
        assert_eq!(last, 299 * 2000);
    }
}

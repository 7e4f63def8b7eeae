//! The time of each picture in a file of variable rate.

use std::time::Duration;

use crate::clock::Timestamp;

/// A longer gap is left out of the file: the program was paused, or the machine slept.
const MAX_GAP: Duration = Duration::from_secs(10);

/// Gives each picture its time from the file's beginning; times rise.
#[derive(Debug)]
pub(super) struct TimeMap {
    interval: Duration,
    last: Option<Last>,
}

/// The picture before.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Its own time, where it had one.
    time: Option<Timestamp>,
    /// Its time from the file's beginning, kept exactly so that rounding does not add up.
    place: Duration,
    place_ms: u64,
}

impl TimeMap {
    /// For pictures that come at about `rate_hz`.
    pub(super) fn new(rate_hz: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate_hz), last: None }
    }

    /// How long a picture is shown that nothing follows, in milliseconds.
    pub(super) fn interval_ms(&self) -> u64 {
        (self.interval.as_millis() as u64).max(1)
    }

    /// The time of a picture taken at `time`, in milliseconds; `None` follows the one before.
    pub(super) fn place_ms(&mut self, time: Option<Timestamp>) -> u64 {
        let Some(last) = self.last else {
            self.last = Some(Last { time, place: Duration::ZERO, place_ms: 0 });
            return 0;
        };
        let gap = match (last.time, time) {
            (Some(before), Some(time)) if time >= before => Some(time.since(before)).filter(|gap| *gap <= MAX_GAP),
            // Another clock, or none.
            _ => None,
        };
        let place = last.place + gap.unwrap_or(self.interval);
        let rounded_ms = ((place.as_micros() + 500) / 1000) as u64;
        let place_ms = rounded_ms.max(last.place_ms + 1);
        self.last = Some(Last { time, place, place_ms });
        place_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(times_ms: &[Option<u64>]) -> Vec<u64> {
        let mut map = TimeMap::new(30.0);
        times_ms.iter().map(|ms| map.place_ms(ms.map(|ms| Timestamp::from_nanos(ms * 1_000_000 + 7)))).collect()
    }

    #[test]
    fn pictures_keep_their_own_distances() {
        assert_eq!(places(&[Some(500), Some(517), Some(600), Some(2600)]), [0, 17, 100, 2100]);
    }

    #[test]
    fn long_gaps_another_clock_and_no_clock_take_one_interval() {
        assert_eq!(places(&[Some(500), Some(60_000), Some(60_010)]), [0, 33, 43]);
        assert_eq!(places(&[Some(500), Some(100), Some(110)]), [0, 33, 43]);
        assert_eq!(places(&[None, None, Some(9), Some(10)]), [0, 33, 67, 68]);
    }

    #[test]
    fn rounding_does_not_add_up() {
        let times: Vec<_> = (0..300_u64).map(|i| Timestamp::from_nanos(1 + i * 1_000_000_000 / 30)).collect();
        let mut map = TimeMap::new(30.0);
        let last = times.iter().map(|time| map.place_ms(Some(*time))).last().unwrap();
        assert!(last.abs_diff(9967) <= 1, "{last}");
    }
}

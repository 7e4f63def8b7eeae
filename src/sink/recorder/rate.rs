//! From pictures taken at uneven times to a file of constant rate.

use std::time::Duration;

use crate::clock::Timestamp;

/// How far from its place, in places, a picture may be: a camera's jitter neither repeats nor drops.
const SLACK: f64 = 0.75;
/// A longer gap is left out of the file: the program was paused, or the machine slept.
const MAX_GAP_SECS: f64 = 10.0;

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Left out: its place is taken.
    Dropped,
    /// Written, after the picture before it was repeated so often.
    After(u64),
}

/// Gives each picture its place in the file.
#[derive(Debug)]
pub(super) struct RateMap {
    rate_hz: f64,
    /// The time of place 0.
    origin: Option<Timestamp>,
    n_places: u64,
}

impl RateMap {
    pub(super) fn new(rate_hz: f64) -> Self {
        Self { rate_hz, origin: None, n_places: 0 }
    }

    /// The place of a picture taken at `time`; `None` takes the next one.
    pub(super) fn place(&mut self, time: Option<Timestamp>) -> Place {
        let n_repeats = match time {
            Some(time) => self.repeats(time),
            None => Some(0),
        };
        match n_repeats {
            Some(n) => {
                self.n_places += n + 1;
                Place::After(n)
            }
            None => Place::Dropped,
        }
    }

    fn repeats(&mut self, time: Timestamp) -> Option<u64> {
        let origin = *self.origin.get_or_insert(time);
        let secs = if time >= origin { time.since(origin).as_secs_f64() } else { -origin.since(time).as_secs_f64() };
        // In places; below zero when the picture's place is taken.
        let late = secs * self.rate_hz - self.n_places as f64;
        if late.abs() > MAX_GAP_SECS * self.rate_hz {
            let length = Duration::from_secs_f64(self.n_places as f64 / self.rate_hz);
            self.origin = Some(Timestamp::from_nanos(time.as_nanos().saturating_sub(length.as_nanos() as u64)));
            return Some(0);
        }
        match late {
            _ if late < -SLACK => None,
            _ if late > SLACK => Some(late.round() as u64),
            _ => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which picture is at each place, for pictures taken at `times` seconds.
    fn file(rate_hz: f64, times: impl IntoIterator<Item = f64>) -> Vec<usize> {
        let mut map = RateMap::new(rate_hz);
        let mut file = Vec::new();
        for (index, secs) in times.into_iter().enumerate() {
            if let Place::After(n) = map.place(Some(Timestamp::from_nanos(((secs + 100.0) * 1e9) as u64))) {
                file.extend(std::iter::repeat_n(index.saturating_sub(1), n as usize));
                file.push(index);
            }
        }
        file
    }

    #[test]
    fn slow_pictures_are_repeated_and_fast_ones_left_out() {
        assert_eq!(file(30.0, (0..4).map(|i| f64::from(i) / 15.0)), [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!(file(30.0, (0..8).map(|i| f64::from(i) / 60.0)), [0, 1, 3, 5, 7]);
        assert_eq!(file(30.0, (0..300).map(|i| f64::from(i) / 30.0)), (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn the_length_is_that_of_the_clock_whatever_the_rate() {
        for input_hz in [7.5, 14.99, 24.0, 29.97, 31.0, 59.94] {
            let n = (input_hz * 20.0) as u32;
            let length = file(30.0, (0..n).map(|i| f64::from(i) / input_hz)).len();
            assert!(length.abs_diff(600) <= 5, "{input_hz} pictures a second became {length} places");
        }
    }

    #[test]
    fn jitter_neither_repeats_nor_drops() {
        // Every place in turn, 10 ms early and late, at the worst phase.
        let times = (0..200).map(|i| f64::from(i) / 30.0 + if i % 2 == 0 { 0.0 } else { 0.02 });
        assert_eq!(file(30.0, times), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_gap_is_left_out() {
        assert_eq!(file(30.0, [0.0, 1.0 / 30.0, 3600.0, 3600.0 + 1.0 / 30.0]), [0, 1, 2, 3]);
        assert_eq!(file(30.0, [50.0, 0.0, 1.0 / 30.0]), [0, 1, 2], "another clock");
    }

    #[test]
    fn a_picture_without_a_time_takes_the_next_place() {
        let mut map = RateMap::new(30.0);
        assert_eq!(map.place(None), Place::After(0));
        assert_eq!(map.place(None), Place::After(0));
    }
}

//! Watching a far end: what arrives, how old it is, what is missing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reader::{Arrival, Look, Reader};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::frame::Grey;
use crate::latency::{self, Place, Stamp};
use crate::report::Times;

/// A stamp that was read, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// What the picture said.
    pub stamp: Stamp,
    /// When it was there.
    pub at: Timestamp,
    /// When the last leg of its way began, where the reader knows.
    pub since: Option<Timestamp>,
    /// How long it then waited for being decoded and took to be read.
    pub reading: Duration,
}

/// What was seen at a far end.
#[derive(Debug, Default)]
pub struct Watch {
    /// Every new frame that was read, in the order of arrival.
    pub sightings: Vec<Sighting>,
    n_pictures: u64,
    n_unread: u64,
    n_duplicates: u64,
    n_backward: u64,
    place: Option<Place>,
    /// Ages of the sightings.
    ages: Times,
}

/// Age in percentiles, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ages {
    /// Median.
    pub p50: f64,
    /// 9 of 10 are younger.
    pub p90: f64,
    /// 99 of 100 are younger.
    pub p99: f64,
    /// 999 of 1000 are younger.
    pub p999: f64,
    /// The oldest.
    pub max: f64,
}

impl Ages {
    /// Reads the percentiles off.
    pub fn of(times: &Times) -> Self {
        Self {
            p50: times.quantile_ms(0.5),
            p90: times.quantile_ms(0.9),
            p99: times.quantile_ms(0.99),
            p999: times.quantile_ms(0.999),
            max: times.max_ms(),
        }
    }
}

/// Figures of a far end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchFigures {
    /// What was watched.
    pub reader: String,
    /// Pictures that arrived; looks, for a reader that polls.
    pub pictures: u64,
    /// Pictures without a code that can be read.
    pub unread: u64,
    /// Frames that were read, each once.
    pub frames: u64,
    /// Frames that never arrived, between the first and the last that did.
    pub lost: u64,
    /// Pictures that arrived again; not counted for a reader that polls.
    pub duplicates: u64,
    /// Pictures older than one before.
    pub backward: u64,
    /// New frames a second.
    pub fps: f64,
    /// Intervals longer than 1.5 of the median one.
    pub stutters: u64,
    /// Age on arrival; `None` for a file.
    pub age_ms: Option<Ages>,
    /// How much the age differs from one frame to the next (RFC 3550: D).
    pub jitter_ms: Option<Ages>,
    /// From arrival until the code had been read, decoding included; no part of any age. `None` for a file.
    #[serde(default)]
    pub reading_ms: Option<Ages>,
}

impl Watch {
    /// Takes what one picture said, when it was there, and how long after that it had been read.
    pub fn see(&mut self, stamp: Option<Stamp>, Arrival { since, at }: Arrival, reading: Duration) {
        self.n_pictures += 1;
        let Some(stamp) = stamp else {
            self.n_unread += 1;
            return;
        };
        match self.sightings.last() {
            Some(last) if last.stamp == stamp => self.n_duplicates += 1,
            // A source that was started again counts from 1, with later times.
            Some(last) if stamp.time < last.stamp.time => self.n_backward += 1,
            _ => {
                self.ages.record(stamp.age(at));
                self.sightings.push(Sighting { stamp, at, since, reading });
            }
        }
    }

    /// Looks once at what `reader` has; says whether there can be more.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn look(&mut self, reader: &mut dyn Reader, picture: &mut Grey, clock: &dyn Clock) -> Result<bool> {
        match reader.read(picture, clock)? {
            Look::Idle => Ok(true),
            Look::Ended => Ok(false),
            Look::At(arrival) => {
                let had_place = self.place.is_some();
                let stamp = match self.place {
                    // A reader that polls shows only the part with the code.
                    Some(place) if reader.is_polled() => latency::read_at(picture, &place).map(|(stamp, _)| stamp),
                    _ => latency::read(picture, &mut self.place),
                };
                if stamp.is_none() && reader.is_polled() {
                    self.place = None;
                }
                // One that polls may have lost its part of the picture in a look that failed.
                if reader.is_polled() || had_place != self.place.is_some() {
                    reader.focus(self.place.as_ref());
                }
                self.see(stamp, arrival, clock.now().since(arrival.at));
                Ok(true)
            }
        }
    }

    /// Forgets what was seen so far, as after a warm-up.
    pub fn restart(&mut self) {
        *self = Self { place: self.place, ..Self::default() };
    }

    /// Ages on arrival so far, without a pass over all that was seen; `None` before the first.
    pub fn ages_so_far(&self) -> Option<Ages> {
        (self.ages.count() > 0).then(|| Ages::of(&self.ages))
    }

    /// The figures, from all that was seen.
    pub fn figures(&self, reader: &dyn Reader) -> WatchFigures {
        let frames = &self.sightings;
        let (mut age, mut jitter, mut reading) = (Times::default(), Times::default(), Times::default());
        let mut intervals: Vec<Duration> = Vec::with_capacity(frames.len());
        let mut n_lost = 0;
        for sighting in frames {
            age.record(sighting.stamp.age(sighting.at));
            reading.record(sighting.reading);
        }
        for pair in frames.windows(2) {
            let (last, next) = (&pair[0], &pair[1]);
            jitter.record(next.stamp.age(next.at).abs_diff(last.stamp.age(last.at)));
            intervals.push(next.at.since(last.at));
            n_lost += u64::from(next.stamp.frame_id.saturating_sub(last.stamp.frame_id).saturating_sub(1));
        }
        let mut sorted = intervals.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let span_secs = match (frames.first(), frames.last()) {
            (Some(first), Some(last)) if reader.is_live() => last.at.since(first.at).as_secs_f64(),
            (Some(first), Some(last)) => last.stamp.time.since(first.stamp.time).as_secs_f64(),
            _ => 0.0,
        };
        let is_live = reader.is_live() && !frames.is_empty();
        WatchFigures {
            reader: reader.name().to_owned(),
            pictures: self.n_pictures,
            unread: self.n_unread,
            frames: frames.len() as u64,
            lost: n_lost,
            duplicates: if reader.is_polled() { 0 } else { self.n_duplicates },
            backward: self.n_backward,
            fps: if span_secs > 0.0 { (frames.len() - 1) as f64 / span_secs } else { 0.0 },
            stutters: if reader.is_live() {
                intervals.iter().filter(|interval| **interval > usual * 3 / 2).count() as u64
            } else {
                0
            },
            age_ms: is_live.then(|| Ages::of(&age)),
            jitter_ms: is_live.then(|| Ages::of(&jitter)),
            reading_ms: is_live.then(|| Ages::of(&reading)),
        }
    }
}

impl WatchFigures {
    /// The figures in words, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} frames, {:.1} a second; {} lost, {} twice, {} backward, {} stutters; {} of {} pictures without code",
            self.reader,
            self.frames,
            self.fps,
            self.lost,
            self.duplicates,
            self.backward,
            self.stutters,
            self.unread,
            self.pictures
        )];
        if let (Some(age), Some(jitter)) = (&self.age_ms, &self.jitter_ms) {
            lines.push(format!(
                "age on arrival: p50 {:.1} ms, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}; jitter p50 {:.1}, p99 {:.1}",
                age.p50, age.p90, age.p99, age.p999, age.max, jitter.p50, jitter.p99
            ));
            lines.push(format!("audio delay: {:.0} ms bring the sound to this picture", age.p50));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonotonicClock;
    use crate::latency::{Origin, draw};

    struct Nothing;
    impl Reader for Nothing {
        fn name(&self) -> &str {
            "nothing"
        }
        fn read(&mut self, _: &mut Grey, _: &dyn Clock) -> Result<Look> {
            Ok(Look::Ended)
        }
    }

    #[test]
    fn loss_repetition_order_and_age_are_counted() {
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let stamp = |frame_id: u32, millis: u64| Some(Stamp { origin: Origin::Output, frame_id, time: at(millis) });
        let mut watch = Watch::default();
        // Frames 3 and 4 are lost, 2 comes twice, 1 comes back, one picture has no code, 6 is late.
        let seen = [
            (stamp(1, 0), 20),
            (stamp(2, 33), 53),
            (stamp(2, 33), 60),
            (None, 70),
            (stamp(5, 133), 153),
            (stamp(1, 0), 160),
            (stamp(6, 166), 300),
        ];
        for (stamp, millis) in seen {
            watch.see(stamp, Arrival { since: None, at: at(millis) }, Duration::from_millis(3));
        }
        let figures = watch.figures(&Nothing);
        assert_eq!((figures.pictures, figures.unread, figures.frames), (7, 1, 4));
        assert_eq!((figures.lost, figures.duplicates, figures.backward), (2, 1, 1));
        let age = figures.age_ms.unwrap();
        assert!((age.p50 - 20.0).abs() < 0.1 && (age.max - 134.0).abs() < 0.2, "{age:?}");
        assert!((figures.reading_ms.unwrap().max - 3.0).abs() < 0.1, "reading is told apart from age");
        assert_eq!(figures.stutters, 0, "the median interval is 100 ms");
        assert!((figures.fps - 3.0 / 0.28).abs() < 0.01, "{}", figures.fps);
        assert_eq!(watch.ages_so_far(), Some(age), "kept beside and gone through are one");
        watch.restart();
        assert_eq!(watch.ages_so_far(), None);
    }

    /// A window that shows one picture with a code, and cannot be read in every third look.
    struct Window {
        picture: Grey,
        n_looks: u32,
        is_focused: bool,
    }
    impl Reader for Window {
        fn name(&self) -> &str {
            "window"
        }
        fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
            self.n_looks += 1;
            if self.n_looks.is_multiple_of(3) {
                self.is_focused = false;
                return Ok(Look::Idle);
            }
            picture.clone_from(&self.picture);
            Ok(Look::At(Arrival { since: None, at: clock.now() }))
        }
        fn is_polled(&self) -> bool {
            true
        }
        fn focus(&mut self, place: Option<&Place>) {
            self.is_focused = place.is_some();
        }
    }

    #[test]
    fn a_window_that_could_not_be_read_for_a_moment_is_read_in_part_again() {
        let mut picture = Grey::from_data(320, 240, vec![90; 320 * 240]).unwrap();
        let stamp = Stamp { origin: Origin::Output, frame_id: 7, time: Timestamp::from_nanos(5_000_000) };
        assert!(draw(&stamp, &mut picture));
        let (mut window, mut watch) = (Window { picture, n_looks: 0, is_focused: false }, Watch::default());
        let (mut seen, clock) = (Grey::default(), MonotonicClock::new());
        for expected in [true, true, false, true, true, false, true] {
            assert!(watch.look(&mut window, &mut seen, &clock).unwrap());
            assert_eq!(window.is_focused, expected, "look {}", window.n_looks);
        }
        assert_eq!(watch.sightings.len(), 1);
        // The code goes, and all of the window is looked at until it is back.
        window.picture.data_mut().fill(90);
        assert!(watch.look(&mut window, &mut seen, &clock).unwrap() && !window.is_focused);
    }
}

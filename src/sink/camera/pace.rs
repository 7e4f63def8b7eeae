//! When a virtual camera delivers: at its rate at most, and the last picture again when nothing comes.

use std::time::{Duration, Instant};

/// How early a picture may be, in intervals: a camera's jitter neither holds up nor drops.
const SLACK: f64 = 0.4;
/// How far the schedule goes back for a picture that it held up although no other had come, in intervals.
const PULL: f64 = 0.05;
/// Without a new picture for so many intervals, the last one is delivered again.
const REPEAT_INTERVALS: u32 = 3;
/// Readers give a camera up that is silent for long: the last picture comes again at least so often.
const MAX_SILENCE: Duration = Duration::from_millis(200);

/// Decides when to deliver.
#[derive(Debug)]
pub(in crate::sink) struct Pacer {
    interval: Duration,
    /// When the next picture is due by the rate.
    next: Option<Instant>,
    last: Option<Instant>,
    is_fresh: bool,
    /// Pictures that came since the last delivery.
    n_offers: u32,
}

/// What to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Due {
    /// The newest picture, not delivered before.
    Fresh,
    /// The last one again.
    Repeat,
}

impl Pacer {
    /// At `rate_hz` pictures a second.
    pub(in crate::sink) fn new(rate_hz: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate_hz), next: None, last: None, is_fresh: false, n_offers: 0 }
    }

    /// A new picture is there.
    pub(in crate::sink) fn offer(&mut self) {
        self.is_fresh = true;
        self.n_offers = self.n_offers.saturating_add(1);
    }

    /// What is due at `now`; it counts as delivered.
    pub(in crate::sink) fn take(&mut self, now: Instant) -> Option<Due> {
        let due = if self.is_fresh && self.wait_fresh(now).is_zero() {
            Due::Fresh
        } else if !self.is_fresh && self.last.is_some() && self.wait_repeat(now).is_zero() {
            Due::Repeat
        } else {
            return None;
        };
        // One late picture moves the schedule, and those behind it, on time again, would wait for it forever. A source
        // that is really faster brings two where one is due.
        let is_early = self.next.is_some_and(|next| now < next);
        let pull = if due == Due::Fresh && self.n_offers == 1 && is_early { PULL } else { 0.0 };
        (self.is_fresh, self.n_offers) = (false, 0);
        self.last = Some(now);
        // Counted from the schedule, so that jitter does not add up; a long pause starts a new one.
        let slack = self.interval.mul_f64(SLACK);
        self.next = Some(match self.next {
            Some(next) if now <= next + slack => next + self.interval.mul_f64(1.0 - pull),
            _ => now + self.interval,
        });
        Some(due)
    }

    /// How long after `now` something is due at the latest.
    pub(in crate::sink) fn wait(&self, now: Instant) -> Duration {
        if self.is_fresh { self.wait_fresh(now) } else { self.wait_repeat(now) }
    }

    fn wait_fresh(&self, now: Instant) -> Duration {
        let early = self.next.map(|next| next.saturating_duration_since(now));
        early.unwrap_or_default().saturating_sub(self.interval.mul_f64(SLACK))
    }

    fn wait_repeat(&self, now: Instant) -> Duration {
        let silence = (self.interval * REPEAT_INTERVALS).min(MAX_SILENCE.max(self.interval));
        self.last.map_or(silence, |last| (last + silence).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of deliveries in ms for pictures at `offers_ms`, asked every millisecond.
    fn deliveries(rate_hz: f64, offers_ms: &[u64], until_ms: u64) -> Vec<(u64, Due)> {
        let start = Instant::now();
        let mut pacer = Pacer::new(rate_hz);
        let mut delivered = Vec::new();
        for ms in 0..until_ms {
            for _ in offers_ms.iter().filter(|offer| **offer == ms) {
                pacer.offer();
            }
            let now = start + Duration::from_millis(ms);
            if let Some(due) = pacer.take(now) {
                delivered.push((ms, due));
            }
        }
        delivered
    }

    #[test]
    fn pictures_at_the_rate_pass_at_once_whatever_their_jitter() {
        let offers: Vec<u64> = (0..90).map(|i| i * 100 / 3 + [0, 11, 3, 8][i as usize % 4]).collect();
        let found: Vec<_> = deliveries(30.0, &offers, 3000);
        assert_eq!(found, offers.iter().map(|ms| (*ms, Due::Fresh)).collect::<Vec<_>>());
    }

    #[test]
    fn one_late_picture_does_not_hold_up_those_behind_it() {
        // The third is late by 22 ms, all others come on time.
        let offers: Vec<u64> = (0..60).map(|i| i * 100 / 3 + if i == 2 { 22 } else { 0 }).collect();
        let found = deliveries(30.0, &offers, 2000);
        let waits: Vec<u64> = found.iter().zip(&offers).map(|((at, _), offer)| at - offer).collect();
        assert_eq!(found.len(), offers.len());
        assert!(waits[3] <= 10, "{waits:?}");
        assert!(waits[12..].iter().all(|wait| *wait == 0), "{waits:?}");
    }

    #[test]
    fn a_source_that_is_a_little_faster_passes_no_faster_than_one_in_twenty() {
        let offers: Vec<u64> = (0..450).map(|i| i * 1000 / 45).collect();
        let found = deliveries(30.0, &offers, 10_000);
        assert!((300..=316).contains(&found.len()), "{} in ten seconds", found.len());
    }

    #[test]
    fn faster_pictures_are_thinned_to_the_rate() {
        let offers: Vec<u64> = (0..600).map(|i| i * 1000 / 60).collect();
        let found = deliveries(30.0, &offers, 10_000);
        assert!(found.len().abs_diff(300) <= 2, "{} in ten seconds", found.len());
        assert!(found.iter().all(|(_, due)| *due == Due::Fresh));
    }

    #[test]
    fn the_last_picture_comes_again_while_nothing_new_does() {
        let found = deliveries(30.0, &[0, 33, 1000], 1200);
        assert_eq!(found[..3], [(0, Due::Fresh), (33, Due::Fresh), (133, Due::Repeat)]);
        assert!(found.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 101), "{found:?}");
        assert!(found.contains(&(1000, Due::Fresh)), "a new picture does not wait for the repeated: {found:?}");
        assert_eq!(deliveries(1.0, &[0], 3500).len(), 4, "a slow camera repeats at its own rate");
    }

    #[test]
    fn before_the_first_picture_there_is_nothing() {
        assert_eq!(deliveries(30.0, &[], 1000), []);
    }
}

//! What happens while no face is seen: hold, then idle, then the card. Never a jump.

use super::DrivingSignal;
use crate::clock::Timestamp;

/// The last picture stands this long.
const HOLD_SECS: f32 = 0.5;
/// The portrait takes this long to come to rest.
const EASE_SECS: f32 = 0.8;
/// After this long without a face the placeholder card is shown.
const CARD_SECS: f32 = 8.0;
/// A face that comes back takes over within this long; within less, in proportion, when it was lost for less than the last
/// picture stands.
const RETURN_SECS: f32 = 0.25;

/// How sure the driver is of the face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Presence {
    /// A face is seen. `ease` rises from 0 to 1 after it was lost.
    Tracking {
        /// How far the live signal has taken over from what was shown, 0..1.
        ease: f32,
    },
    /// The face was lost a moment ago: what it did last stands.
    Holding,
    /// The portrait comes to rest and moves a little by itself.
    Idle {
        /// Share of the idle motion in what is shown, 0..1.
        ease: f32,
    },
    /// No face for long, or none yet: the placeholder card is due.
    Lost,
}

/// Keeps the time since a face was seen.
#[derive(Debug, Default)]
pub(super) struct PresenceTimer {
    /// Whether the portrait is shown also while nobody was seen for long, and not the card.
    is_always_shown: bool,
    last_seen: Option<Timestamp>,
    /// The last frame without a face since then. Where there is none no face was lost, however far apart frames are.
    unseen: Option<Timestamp>,
    /// Since when a face is back, and within how many seconds it takes over.
    returned: Option<(Timestamp, f32)>,
    /// Whether that was not told yet.
    has_returned: bool,
}

impl PresenceTimer {
    pub(super) fn new(is_always_shown: bool) -> Self {
        Self { is_always_shown, ..Self::default() }
    }

    pub(super) fn update(&mut self, is_seen: bool, now: Timestamp) -> Presence {
        let away_secs = self.away_secs(now);
        if is_seen {
            if let Some(unseen) = self.unseen.take()
                && (away_secs < CARD_SECS || self.is_always_shown)
            {
                let share = (self.away_secs(unseen) / HOLD_SECS).min(1.0);
                self.returned = Some((unseen, RETURN_SECS * share));
                self.has_returned = true;
            }
            self.last_seen = Some(now);
            let ease = self.returned.map_or(1.0, |(at, secs)| now.since(at).as_secs_f32() / secs.max(1e-3));
            if ease >= 1.0 {
                self.returned = None;
            }
            return Presence::Tracking { ease: ease.min(1.0) };
        }
        self.unseen = Some(now);
        if away_secs <= HOLD_SECS {
            Presence::Holding
        } else if away_secs < CARD_SECS {
            Presence::Idle { ease: smooth((away_secs - HOLD_SECS) / EASE_SECS) }
        } else {
            Presence::Lost
        }
    }

    /// Since when a face is back that is to be eased in, and within how many seconds. Tells of each return once.
    pub(super) fn take_return(&mut self) -> Option<(Timestamp, f32)> {
        self.returned.filter(|_| std::mem::take(&mut self.has_returned))
    }

    /// Seconds from when a face was last seen; without end where none was.
    fn away_secs(&self, now: Timestamp) -> f32 {
        self.last_seen.map_or(f32::INFINITY, |seen| now.since(seen).as_secs_f32())
    }
}

/// The signal while no face is seen, from what was last shown and what the portrait does by itself.
pub(super) fn unseen(presence: Presence, last: &DrivingSignal, idle: impl FnOnce() -> DrivingSignal) -> DrivingSignal {
    match presence {
        Presence::Holding => last.clone(),
        Presence::Idle { ease } => last.lerp(&idle(), ease),
        Presence::Tracking { .. } | Presence::Lost => idle(),
    }
}

/// From 0 to 1 without a jolt at either end.
pub(super) fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn is_eased(presence: Presence, by: f32) -> bool {
        matches!(presence, Presence::Tracking { ease } if (ease - by).abs() < 1e-3)
    }

    #[test]
    fn a_lost_face_is_held_then_idles_then_gives_way_to_the_card() {
        let mut timer = PresenceTimer::default();
        assert_eq!(timer.update(false, at(0)), Presence::Lost, "no face was ever seen");
        assert_eq!(timer.update(true, at(100)), Presence::Tracking { ease: 1.0 });
        assert_eq!(timer.update(false, at(600)), Presence::Holding);
        assert!(matches!(timer.update(false, at(1000)), Presence::Idle { ease } if ease > 0.0 && ease < 1.0));
        assert_eq!(timer.update(false, at(3000)), Presence::Idle { ease: 1.0 });
        assert_eq!(timer.update(false, at(8200)), Presence::Lost);
    }

    #[test]
    fn who_comes_where_a_portrait_is_shown_already_is_eased_in() {
        let mut timer = PresenceTimer::new(true);
        assert_eq!(timer.update(false, at(0)), Presence::Lost);
        assert!(is_eased(timer.update(true, at(100)), 0.4));
        assert_eq!(timer.take_return(), Some((at(0), RETURN_SECS)));
        assert_eq!(timer.update(true, at(600)), Presence::Tracking { ease: 1.0 });
        assert_eq!(timer.update(false, at(60_000)), Presence::Lost);
        assert!(is_eased(timer.update(true, at(60_025)), 0.1));
        assert_eq!(timer.take_return(), Some((at(60_000), RETURN_SECS)));
    }

    #[test]
    fn a_face_that_comes_back_is_eased_in() {
        let mut timer = PresenceTimer::default();
        let _ = timer.update(true, at(0));
        let _ = timer.update(false, at(3000));
        assert!(is_eased(timer.update(true, at(3025)), 0.1));
        assert_eq!(timer.take_return(), Some((at(3000), RETURN_SECS)));
        assert!(is_eased(timer.update(true, at(3100)), 0.4));
        assert_eq!(timer.take_return(), None, "each return is told once");
        assert_eq!(timer.update(true, at(3400)), Presence::Tracking { ease: 1.0 });
    }

    #[test]
    fn who_was_lost_for_less_is_eased_in_within_less() {
        for (unseen_millis, secs) in [(100, 0.05), (200, 0.1), (500, 0.25)] {
            let mut timer = PresenceTimer::default();
            let _ = timer.update(true, at(0));
            assert_eq!(timer.update(false, at(unseen_millis)), Presence::Holding);
            let _ = timer.update(true, at(unseen_millis + 10));
            let (since, within_secs) = timer.take_return().unwrap();
            assert!(since == at(unseen_millis) && (within_secs - secs).abs() < 1e-4, "{unseen_millis}: {within_secs}");
        }
    }

    #[test]
    fn frames_that_are_far_apart_are_no_loss() {
        let mut timer = PresenceTimer::default();
        for i in 0..20 {
            assert_eq!(timer.update(true, at(1000 * i)), Presence::Tracking { ease: 1.0 });
            assert_eq!(timer.take_return(), None);
        }
    }
}

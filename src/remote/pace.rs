//! How long the server usually takes, and from when on it is late.

use std::time::Duration;

/// Answers that are remembered.
const N_KEPT: usize = 15;

/// By how much an answer may be later than answers usually are, half of that within these bounds: with the time of a picture
/// made here, 100 ms.
const SLACK: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(80));

/// The longest that a live run waits for a picture. A server that usually takes longer is done without.
const MOST: Duration = Duration::from_secs(2);

/// Times of the last answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    kept: [Duration; N_KEPT],
    n: usize,
}

impl Pace {
    /// Takes one more. Allocates nothing.
    pub(super) fn record(&mut self, time: Duration) {
        self.kept[self.n % N_KEPT] = time;
        self.n += 1;
    }

    /// Whether nothing was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The median of the last ones.
    pub(super) fn usual(&self) -> Duration {
        let mut sorted = self.kept;
        let known = &mut sorted[..self.n.min(N_KEPT)];
        known.sort_unstable();
        known.get(known.len() / 2).copied().unwrap_or_default()
    }

    /// How long an answer is waited for.
    pub(super) fn patience(&self) -> Duration {
        let usual = self.usual();
        (usual + (usual / 2).clamp(SLACK.0, SLACK.1)).min(MOST)
    }

    /// Whether the server is too slow for a live run.
    pub(super) fn is_slow(&self) -> bool {
        self.usual() > MOST
    }
}

/// When to try again a server that was lost: at once, and later and later when it is lost again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    next: Duration,
}

impl Hold {
    /// The first wait and the longest.
    const BOUNDS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));
    /// After so long without a loss all is forgotten.
    pub(super) const CALM: Duration = Duration::from_secs(20);

    pub(super) const fn new() -> Self {
        Self { next: Self::BOUNDS.0 }
    }

    /// The wait after a loss; the server had been there for `lasted`.
    pub(super) fn after_loss(&mut self, lasted: Duration) -> Duration {
        if lasted >= Self::CALM {
            *self = Self::new();
        }
        let hold = self.next;
        self.next = (2 * hold).min(Self::BOUNDS.1);
        hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_that_of_most_of_the_last_answers() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.usual(), ms(0));
        pace.record(ms(20));
        assert_eq!((pace.usual(), pace.patience()), (ms(20), ms(80)));
        [ms(400), ms(22), ms(21)].into_iter().for_each(|time| pace.record(time));
        assert_eq!(pace.usual(), ms(22));
        (0..8).for_each(|_| pace.record(ms(200)));
        assert_eq!(pace.patience(), ms(280));
        assert_eq!(pace.usual(), ms(200), "a server that became slow is slow, not lost");
    }

    #[test]
    fn a_server_that_becomes_slower_and_slower_is_waited_for_no_longer_than_two_seconds() {
        let mut pace = Pace::default();
        let mut became_slow_at = None;
        for ms in (20..4000).step_by(20) {
            pace.record(Duration::from_millis(ms));
            assert!(pace.patience() <= Duration::from_secs(2), "{:?} after {ms} ms", pace.patience());
            became_slow_at = became_slow_at.or(pace.is_slow().then_some(ms));
        }
        // The median of fifteen is the eighth from the end.
        assert_eq!(became_slow_at, Some(2020 + 7 * 20));
    }

    #[test]
    fn a_server_that_comes_and_goes_is_tried_more_and_more_seldom() {
        let mut hold = Hold::new();
        let holds: Vec<u128> = (0..7).map(|_| hold.after_loss(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(holds, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(hold.after_loss(Duration::from_secs(60)).as_millis(), 250);
    }
}

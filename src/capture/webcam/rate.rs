//! The rate that a camera really keeps.

use std::time::Instant;

/// How many arrivals are looked at: about a second.
const N_ARRIVALS: usize = 32;
/// How many are enough for a first answer.
const MIN_ARRIVALS: usize = 8;

/// Measures a rate over the last arrivals.
#[derive(Debug, Default)]
pub(super) struct RateMeter {
    arrivals: [Option<Instant>; N_ARRIVALS],
    n_seen: usize,
}

impl RateMeter {
    /// Notes an arrival; the rate in hertz once there are enough of them.
    pub(super) fn measure(&mut self, arrival: Instant) -> Option<f64> {
        self.arrivals[self.n_seen % N_ARRIVALS] = Some(arrival);
        self.n_seen += 1;
        let n_known = self.n_seen.min(N_ARRIVALS);
        let oldest = self.arrivals[(self.n_seen - n_known) % N_ARRIVALS]?;
        let secs = arrival.saturating_duration_since(oldest).as_secs_f64();
        (n_known >= MIN_ARRIVALS && secs > 0.0).then(|| (n_known - 1) as f64 / secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_rate_is_that_of_the_last_arrivals() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let mut at = start;
        let mut feed = |n: usize, millis: u64| {
            let mut last = None;
            for _ in 0..n {
                at += Duration::from_millis(millis);
                last = meter.measure(at);
            }
            last
        };
        assert_eq!(feed(7, 40), None);
        assert!((feed(40, 40).unwrap() - 25.0).abs() < 1e-6);
        assert!((feed(40, 100).unwrap() - 10.0).abs() < 1e-6, "it dimmed and the camera slowed down");
    }
}

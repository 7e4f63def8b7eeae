//! Whether the machine keeps up.

/// Whether the machine keeps up, from second to second.
#[derive(Debug, Default)]
pub(super) struct Load {
    is_late: bool,
    /// Seconds in a row that said the other thing.
    n_against: u32,
}

impl Load {
    /// A call feels an older picture as delay (ITU-T G.114 asks for 150 ms one way, the network's included).
    const MAX_AGE_MS: f64 = 120.0;
    /// Fewer pictures a second are seen as jerks; a faster camera may drop down to it.
    const MIN_RATE_HZ: f64 = 20.0;
    /// So many seconds in a row must say the same.
    const N_SECS: u32 = 3;

    /// Takes in a second: frames shown and dropped in it, and the median age.
    pub(super) fn is_late(&mut self, rate_hz: f64, dropped_hz: f64, age_ms: f64) -> bool {
        let is_short = rate_hz < Self::MIN_RATE_HZ && dropped_hz > 0.2 * rate_hz;
        let now = is_short || age_ms > Self::MAX_AGE_MS;
        self.n_against = if now == self.is_late { 0 } else { self.n_against + 1 };
        if self.n_against >= Self::N_SECS {
            self.is_late = now;
            self.n_against = 0;
        }
        self.is_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_told_after_three_bad_seconds_and_withdrawn_after_three_good_ones() {
        let mut load = Load::default();
        let mut seconds = |n: u32, rate_hz, dropped_hz, age_ms| {
            (0..n).map(|_| load.is_late(rate_hz, dropped_hz, age_ms)).last().unwrap()
        };
        assert!(!seconds(10, 30.0, 0.0, 20.0));
        // A fast camera of which every second frame is shown is no trouble, nor is a slow camera.
        assert!(!seconds(10, 30.0, 30.0, 40.0));
        assert!(!seconds(10, 12.0, 0.0, 40.0));
        assert!(!seconds(2, 9.0, 21.0, 100.0));
        assert!(seconds(1, 9.0, 21.0, 100.0));
        assert!(seconds(2, 30.0, 0.0, 20.0));
        assert!(!seconds(1, 30.0, 0.0, 20.0));
        assert!(seconds(3, 30.0, 0.0, 300.0));
    }
}

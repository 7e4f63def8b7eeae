//! How bright the whites of a driver's eyes are against their skin.

use crate::clock::Timestamp;

/// An estimate over all that was seen of one driver: what nine of ten readings stay below. Glances and lids make readings
/// darker; glints, which are rare, brighter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RestingWhites {
    /// 1 is the skin's; 0 before the first reading.
    value: f32,
    /// How long it was read, and when last.
    secs: f32,
    last: Option<Timestamp>,
}

impl RestingWhites {
    /// How far readings move the estimate, in shares of it a second: those above it nine times as far as those below.
    const RATE: f32 = 0.06;
    /// The first readings below it move it further: the very first may have been a glint. Divided by how long it was read.
    const FIRST: f32 = 0.3;
    /// The first reading counts as if it had been seen for so long.
    const FIRST_SECS: f32 = 1.0 / 30.0;
    /// No reading counts for longer than this: the eyes may have been shut before it.
    const MAX_STEP_SECS: f32 = 0.1;

    /// Takes the reading of one frame, 0 where there is none, and gives the estimate.
    pub(super) fn update(&mut self, seen: f32, now: Timestamp) -> f32 {
        if seen > 0.0 {
            if let Some(last) = self.last.replace(now) {
                let step_secs = now.since(last).as_secs_f32().min(Self::MAX_STEP_SECS);
                self.secs += step_secs;
                let down = Self::RATE.max(Self::FIRST / self.secs) * step_secs;
                self.value *= if seen > self.value { (9.0 * Self::RATE * step_secs).exp() } else { (-down).exp() };
            } else {
                (self.value, self.secs) = (seen, Self::FIRST_SECS);
            }
        }
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a frame is seen.
    fn at(frame: u64, rate_hz: u64) -> Timestamp {
        Timestamp::from_nanos(frame * 1_000_000_000 / rate_hz)
    }

    #[test]
    fn glances_lids_and_glints_leave_the_estimate_where_it_is() {
        let mut whites = RestingWhites::default();
        assert_eq!(whites.update(0.0, at(0, 30)), 0.0);
        for i in 0..600 {
            let seen = match i % 20 {
                0 => 3.0,
                1..5 => 0.9,
                _ => 1.4 + 0.01 * (i % 7) as f32,
            };
            whites.update(seen, at(i, 30));
        }
        let known = whites.update(1.43, at(600, 30));
        assert!((1.35..1.55).contains(&known), "{known}");
        for i in 601..3601 {
            whites.update(0.0, at(i, 30));
        }
        assert_eq!(whites.update(0.0, at(3601, 30)), known, "eyes that are shut tell nothing");
    }

    #[test]
    fn the_same_readings_say_the_same_at_any_rate() {
        // After two seconds of bright readings, and after eighteen of dark ones.
        let known = [15, 30, 60].map(|rate_hz| {
            let mut whites = RestingWhites::default();
            let values = (0..=20 * rate_hz).map(|i| {
                let seen = match i {
                    0 => 0.5,
                    _ if i <= 2 * rate_hz => 2.0,
                    _ => 0.4,
                };
                whites.update(seen, at(i, rate_hz))
            });
            let values: Vec<f32> = values.collect();
            [values[2 * rate_hz as usize], values[20 * rate_hz as usize]]
        });
        assert!((1.3..1.7).contains(&known[1][0]) && (0.4..0.5).contains(&known[1][1]), "{known:?}");
        for (i, values) in known.into_iter().enumerate() {
            let is_alike = values.iter().zip(known[1]).all(|(found, expected)| (found / expected - 1.0).abs() < 0.02);
            assert!(is_alike, "{i}: {known:?}");
        }
    }
}

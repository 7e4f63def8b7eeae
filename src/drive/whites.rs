//! How bright the whites of a driver's eyes are against their skin.

/// An estimate over all that was seen of one driver: what nine of ten readings stay below. Glances and lids make readings
/// darker; glints, which are rare, brighter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RestingWhites {
    /// 1 is the skin's; 0 before the first reading.
    value: f32,
    n_readings: u16,
}

impl RestingWhites {
    /// How far a reading moves the estimate, in shares of it: one above it nine times as far as one below.
    const STEP: f32 = 0.002;
    /// The first readings below it move it further: the very first may have been a glint. Divided by how many there were.
    const FIRST_STEP: f32 = 0.3;

    /// Takes the reading of one frame, 0 where there is none, and gives the estimate.
    pub(super) fn update(&mut self, seen: f32) -> f32 {
        if seen > 0.0 {
            self.n_readings = self.n_readings.saturating_add(1);
            let down = Self::STEP.max(Self::FIRST_STEP / f32::from(self.n_readings));
            self.value *= if seen > self.value { 1.0 + 9.0 * Self::STEP } else { 1.0 - down };
            if self.n_readings == 1 {
                self.value = seen;
            }
        }
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glances_lids_and_glints_leave_the_estimate_where_it_is() {
        let mut whites = RestingWhites::default();
        assert_eq!(whites.update(0.0), 0.0);
        for i in 0..600 {
            whites.update(match i % 20 {
                0 => 3.0,
                1..5 => 0.9,
                _ => 1.4 + 0.01 * (i % 7) as f32,
            });
        }
        let known = whites.update(1.43);
        assert!((1.35..1.55).contains(&known), "{known}");
        for _ in 0..3000 {
            whites.update(0.0);
        }
        assert_eq!(whites.update(0.0), known, "eyes that are shut tell nothing");
    }
}

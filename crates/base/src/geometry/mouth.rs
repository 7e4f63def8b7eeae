//! What an open mouth shows, as numbers.

/// Lines from the upper lip to the lower one.
pub const N_MOUTH_LINES: usize = 12;

/// What the middle of a driver's open mouth shows, line by line from the upper lip's inner edge to the lower one's.
///
/// All is relative to the same face's skin, so that it can be asked of another face. Carries no picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MouthContents {
    /// How sure it is, 0..1: 0 where the mouth is shut, small in the picture, or not seen at all.
    pub certainty: f32,
    /// Brightness, 1 is the skin's.
    pub light: [f32; N_MOUTH_LINES],
    /// Green over red, 1 is the skin's: lips and tongue have less, teeth more.
    pub paleness: [f32; N_MOUTH_LINES],
    /// How much of the line is teeth, 0..1.
    pub teeth: [f32; N_MOUTH_LINES],
    /// Brightness of the whites of the eyes, 1 is the skin's: they and teeth are much the same on dark skin and on pale. 0
    /// where nothing is known.
    pub whites: f32,
}

impl MouthContents {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        certainty: 0.0,
        light: [0.0; N_MOUTH_LINES],
        paleness: [1.0; N_MOUTH_LINES],
        teeth: [0.0; N_MOUTH_LINES],
        whites: 0.0,
    };

    /// What lies between two: `t` = 0 is `self`, 1 is `other`. What one of them does not know is the other's.
    #[must_use]
    pub fn lerp(&self, other: &Self, t: f32) -> Self {
        let (of_self, of_other) = ((1.0 - t) * self.certainty, t * other.certainty);
        let certainty = of_self + of_other;
        let whites = match [self.whites, other.whites] {
            [0.0, known] | [known, 0.0] => known,
            [a, b] => a + (b - a) * t,
        };
        // A certainty that is not a number is none.
        if certainty.is_nan() || certainty <= 0.0 {
            return Self { whites, ..Self::UNKNOWN };
        }
        let share = of_other / certainty;
        let mix =
            |a: &[f32; N_MOUTH_LINES], b: &[f32; N_MOUTH_LINES]| std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share);
        Self {
            certainty,
            light: mix(&self.light, &other.light),
            paleness: mix(&self.paleness, &other.paleness),
            teeth: mix(&self.teeth, &other.teeth),
            whites,
        }
    }

    /// How much of both is teeth, as far as they show equally much, and how much more one of both shows, 0..1; 0 where one is
    /// not known.
    pub fn teeth_alike_and_other(&self, other: &Self) -> [f32; 2] {
        let share = |contents: &Self| contents.teeth.iter().sum::<f32>() / N_MOUTH_LINES as f32;
        let (a, b) = (share(self), share(other));
        [a.min(b), (a - b).abs()].map(|share| share * self.certainty * other.certainty)
    }

    /// The value of one of its rows of numbers at `t`, 0 at the upper lip and 1 at the lower.
    #[inline]
    pub fn at(values: &[f32; N_MOUTH_LINES], t: f32) -> f32 {
        let line = (t * N_MOUTH_LINES as f32 - 0.5).clamp(0.0, (N_MOUTH_LINES - 1) as f32);
        let first = (line as usize).min(N_MOUTH_LINES - 2);
        values[first] + (values[first + 1] - values[first]) * (line - first as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_does_not_know_is_the_others() {
        let known = MouthContents { certainty: 0.8, light: [0.5; N_MOUTH_LINES], ..MouthContents::UNKNOWN };
        let between = MouthContents::UNKNOWN.lerp(&known, 0.25);
        assert_eq!((between.light, between.certainty), (known.light, 0.2));
        assert_eq!(MouthContents::UNKNOWN.lerp(&MouthContents::UNKNOWN, 0.5), MouthContents::UNKNOWN);
        let seen = MouthContents { whites: 1.3, ..MouthContents::UNKNOWN };
        assert_eq!([MouthContents::UNKNOWN.lerp(&seen, 0.1).whites, seen.lerp(&known, 0.9).whites], [1.3; 2]);
        let torn = MouthContents { certainty: f32::NAN, ..known };
        assert_eq!(known.lerp(&torn, 0.5), MouthContents::UNKNOWN);
    }

    #[test]
    fn lines_are_read_between_and_beyond_their_middles() {
        let values = std::array::from_fn(|i| i as f32);
        assert_eq!([0.0, 1.0 / 24.0, 0.5, 1.0].map(|t| MouthContents::at(&values, t)), [0.0, 0.0, 5.5, 11.0]);
    }
}

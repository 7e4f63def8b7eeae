//! How numbers read off the driver's pictures change: what drives a founding family (`vae`, `vae-gan`) or a pack.

use super::composition::{Composition, N_NUMBERS};

/// What an encoder made of a picture of the driver: at most 200 numbers, of which a decoder could make that picture again.
///
/// Nobody can read them: [`LatentMotion::between`] answers with the change from one to another, and that is all that can be
/// had.
///
/// ```compile_fail,E0616
/// fn driver(latent: &effigy::drive::DriverLatent) -> &[f32; 200] {
///     &latent.values
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DriverLatent {
    /// Latents of one number are of the same square of the camera's picture: only those can be compared.
    reference: u32,
    composition: Composition,
    values: [f32; N_NUMBERS],
}

impl Default for DriverLatent {
    fn default() -> Self {
        Self::NONE
    }
}

impl DriverLatent {
    /// That of nobody.
    pub const NONE: Self = Self { reference: 0, composition: Composition::Differences, values: [0.0; N_NUMBERS] };

    /// Whether somebody was seen.
    pub fn is_some(&self) -> bool {
        self.reference != Self::NONE.reference
    }

    /// Takes over what an encoder wrote; `reference` is not 0.
    pub(crate) fn set(&mut self, reference: u32, composition: Composition, values: &[f32]) {
        self.reference = reference;
        self.composition = composition;
        for (to, value) in self.values.iter_mut().zip(values) {
            *to = *value;
        }
    }

    /// Whether two are of the same square, by the same encoder.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.reference == other.reference && self.composition == other.composition
    }
}

/// How far the driver's latent is from the driver's at rest: the sum of all differences from frame to frame since. Carries
/// no picture.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentMotion {
    values: [f32; N_NUMBERS],
}

impl LatentMotion {
    /// The driver rests.
    pub const NONE: Self = Self { values: [0.0; N_NUMBERS] };

    /// From one latent to another, `strength` times; nothing where they cannot be compared.
    #[must_use]
    pub fn between(rest: &DriverLatent, now: &DriverLatent, strength: f32) -> Self {
        if !rest.is_some() || !rest.is_like(now) {
            return Self::NONE;
        }
        Self { values: now.composition.change(&rest.values, &now.values, strength) }
    }

    /// The motion between two others: `t` = 0 is `self`, 1 is `other`.
    #[must_use]
    pub(super) fn lerp(&self, other: &Self, t: f32) -> Self {
        Self { values: std::array::from_fn(|i| self.values[i] + (other.values[i] - self.values[i]) * t) }
    }

    /// What is added to the portrait's latent; for a pack what its points change by.
    pub fn values(&self) -> &[f32; N_NUMBERS] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_add_up_to_the_way_from_rest() {
        let latent = |reference, at: f32| {
            let mut latent = DriverLatent::NONE;
            latent.set(reference, Composition::Differences, &[at; N_NUMBERS]);
            latent
        };
        let frames = [latent(1, 0.5), latent(1, 0.8), latent(1, -0.2), latent(1, 0.1)];
        let steps: f32 = frames.windows(2).map(|pair| LatentMotion::between(&pair[0], &pair[1], 1.0).values()[7]).sum();
        let whole = LatentMotion::between(&frames[0], &frames[3], 1.0);
        assert!((whole.values()[7] - steps).abs() < 1e-6 && (steps + 0.4).abs() < 1e-6);
        assert!((LatentMotion::between(&frames[0], &frames[1], 0.5).values()[0] - 0.15).abs() < 1e-6);
        // Another square, and nobody: nothing to compare.
        assert_eq!(LatentMotion::between(&latent(2, 9.0), &frames[0], 1.0), LatentMotion::NONE);
        assert_eq!(LatentMotion::between(&DriverLatent::NONE, &DriverLatent::NONE, 1.0), LatentMotion::NONE);
        assert_eq!(LatentMotion::NONE.lerp(&whole, 0.25).values()[0], 0.25 * whole.values()[0]);
    }
}

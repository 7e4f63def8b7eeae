//! What the motion of a latent counts from.

use crate::signal::{DriverLatent, LatentMotion};

/// The latent of the driver at rest: of the first frame that was seen of a square, or of one that was asked for.
pub(super) struct RestingLatent {
    rest: Box<DriverLatent>,
    now: Box<DriverLatent>,
    is_asked: bool,
}

impl Default for RestingLatent {
    fn default() -> Self {
        Self { rest: Box::new(DriverLatent::NONE), now: Box::new(DriverLatent::NONE), is_asked: false }
    }
}

impl RestingLatent {
    /// Takes the next latent for that at rest.
    pub(super) fn calibrate(&mut self) {
        self.is_asked = true;
    }

    /// Begins anew with what is seen now: somebody else drives.
    pub(super) fn reset(&mut self) {
        self.rest.clone_from(&self.now);
    }

    /// Takes a frame's latent; says whether motion begins anew with it, since it is of another square than those before.
    pub(super) fn see(&mut self, latent: &DriverLatent) -> bool {
        if !latent.is_some() {
            return false;
        }
        (*self.now).clone_from(latent);
        let is_other = !self.rest.is_like(latent);
        let begins_anew = is_other && self.rest.is_some();
        if std::mem::take(&mut self.is_asked) || is_other {
            (*self.rest).clone_from(latent);
        }
        begins_anew
    }

    /// How far the frame's latent is from rest.
    pub(super) fn motion(&self, strength: f32) -> LatentMotion {
        LatentMotion::between(&self.rest, &self.now, strength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Composition;

    #[test]
    fn motion_counts_from_the_first_frame_of_a_square_until_another_is_asked_for() {
        let latent = |reference, at: f32| {
            let mut latent = DriverLatent::NONE;
            latent.set(reference, Composition::Differences, &[at; 200]);
            latent
        };
        let mut resting = RestingLatent::default();
        assert_eq!(resting.motion(1.0), LatentMotion::NONE, "nobody was seen");
        let mut at = |latent: &DriverLatent, is_asked: bool| {
            if is_asked {
                resting.calibrate();
            }
            let begins_anew = resting.see(latent);
            (resting.motion(2.0).values()[9], begins_anew)
        };
        let found = [
            at(&latent(1, 0.25), false),
            at(&latent(1, 0.5), false),
            at(&DriverLatent::NONE, false),
            at(&latent(1, 0.75), true),
            at(&latent(1, 0.5), false),
            at(&latent(2, 0.5), false),
        ];
        assert_eq!(found.map(|(motion, _)| motion), [0.0, 0.5, 0.5, 0.0, -0.5, 0.0]);
        assert_eq!(found.map(|(_, begins_anew)| begins_anew), [false, false, false, false, false, true]);
    }
}

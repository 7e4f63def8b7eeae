//! The portrait by itself: it breathes, blinks and glances while nobody drives it.

use glam::Quat;

use super::expression::{Points, PuppetFace, RestingPortrait, SHUT_BLINK_RANGE};
use super::retarget::Room;
use super::{DrivingSignal, Motion};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::geometry::N_COEFFICIENTS;
use crate::motion::living::{Breath, Idle, IdlePlaces, Living};

/// What it does follows from this and the time alone: a clip that is rendered twice idles the same.
const SEED: u64 = 1;
/// Steps of the solver in a frame: lids, gaze and brows move little from one to the next.
const N_STEPS: usize = 2;
/// After so long it begins anew, far from where anybody looks: numbers of seconds stay exact.
const PERIOD_SECS: f64 = 1e7;

/// A portrait that moves by itself.
pub(super) struct IdleFace {
    model: &'static Living,
    breath: Breath,
    face: PuppetFace,
    /// The portrait's points at rest as the face makes them, and what they express.
    still: Box<Points>,
    rest: [f32; N_COEFFICIENTS],
    places: IdlePlaces,
}

impl IdleFace {
    /// Takes a portrait at rest.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn file.
    pub(super) fn new(portrait: &RestingPortrait) -> Result<Self> {
        let mut new = Self {
            model: Living::built_in()?,
            breath: Breath::default(),
            face: PuppetFace::new(portrait.base(), N_STEPS)?,
            still: Box::new(*portrait.base()),
            rest: *portrait.coefficients(),
            places: IdlePlaces::default(),
        };
        new.settle(portrait);
        Ok(new)
    }

    /// Takes another rest of the same portrait. Allocates nothing.
    pub(super) fn settle(&mut self, portrait: &RestingPortrait) {
        self.face.rest_as(portrait.base());
        self.rest = *portrait.coefficients();
        *self.still = *self.face.express(&self.rest);
    }

    /// What the portrait does at this moment; `rest` is the signal that shows it at rest.
    pub(super) fn signal(&mut self, rest: &DrivingSignal, room: Room, motion: Motion, now: Timestamp) -> DrivingSignal {
        let idle = self.model.at(SEED, now.as_secs_f64() % PERIOD_SECS, &mut self.breath);
        let mut signal = rest.clone();
        signal.rotation = (Quat::from_scaled_axis(idle.turn) * rest.rotation).normalize();
        let shift = room.keep(idle.place.truncate());
        signal.translation += shift * if motion == Motion::Relative { 1.0 } else { rest.scale };
        signal.scale *= room.keep_scale(idle.place.z.exp());
        if motion == Motion::Relative {
            self.move_face(&idle, &mut signal);
        }
        signal
    }

    /// Moves lids, eyes and brows from where they rest.
    fn move_face(&mut self, idle: &Idle, signal: &mut DrivingSignal) {
        let mut asked = self.rest;
        self.places.add(idle, &mut asked);
        let points = self.face.express(&asked);
        for ((shift, point), still) in signal.displacement.iter_mut().zip(points).zip(self.still.iter()) {
            *shift += *point - *still;
        }
        let blinks = self.places.blinks;
        let shut = |coefficient: f32| {
            let [open, shut] = SHUT_BLINK_RANGE;
            ((coefficient - open) / (shut - open)).clamp(0.0, 1.0)
        };
        signal.eye_openness = std::array::from_fn(|eye| {
            signal.eye_openness[eye] * (1.0 - shut(asked[blinks[eye]])) / (1.0 - shut(self.rest[blinks[eye]])).max(0.1)
        });
        signal.coefficients = asked;
    }
}

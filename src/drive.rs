//! What moves, not who moves: from observed faces to a driving signal.
//!
//! [`Driver`] is told what the face stage saw, frame by frame, and answers with a
//! [`DrivingSignal`] in the identity's own proportions. The arithmetic is in pure functions:
//! `retarget` for motion and proportions, [`Presence`] for what happens while no face is seen.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::geometry::{FaceObservation, FaceShape, MouthContents};
use crate::identity::Identity;
pub use crate::signal::{DenseMotion, DriverLatent, DrivingSignal, LatentMotion, Motion};

pub(crate) use person::PersonShape;
pub use presence::Presence;
pub use puppet::MotionTracker;

mod ahead;
mod dense;
mod expression;
mod filter;
mod idle;
mod latent;
mod neutral;
mod person;
mod presence;
mod puppet;
mod rehearsal;
mod retarget;
#[cfg(test)]
mod tests;
mod whites;

use ahead::LookAhead;
pub use ahead::MAX_PREDICT_MS;
use dense::DenseMean;
pub(crate) use expression::default_emphasis;
use expression::{EyeContact, Noticed, RestingDriver, RestingPortrait, Retargeter};
#[cfg(feature = "train")]
pub(crate) use expression::{N_MODES, gaze_of};
use filter::SignalFilter;
pub(crate) use filter::pose_filter;
use idle::IdleFace;
use latent::RestingLatent;
use neutral::RestingPose;
use presence::PresenceTimer;
pub(crate) use rehearsal::Actor;
#[cfg(feature = "train")]
pub(crate) use rehearsal::rehearsed;
use retarget::Room;
use whites::RestingWhites;

/// How strongly each part of relative motion is carried over: 0 not at all, 1 as it is, up to 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strengths {
    /// All of it; multiplies the others.
    pub whole: f32,
    /// Turns, place and size of the head.
    pub head: f32,
    /// Where the eyes look.
    pub gaze: f32,
    /// Lids, and the folds around the eyes.
    pub lids: f32,
    /// Brows.
    pub brows: f32,
    /// Mouth, jaw and cheeks.
    pub mouth: f32,
}

/// What [`Strengths`] has a strength for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrengthPart {
    /// All of it.
    #[default]
    Whole,
    /// Turns, place and size of the head.
    Head,
    /// Where the eyes look.
    Gaze,
    /// Lids, and the folds around the eyes.
    Lids,
    /// Brows.
    Brows,
    /// Mouth, jaw and cheeks.
    Mouth,
}

impl Strengths {
    /// How strongly a part is carried over, all in all.
    fn of(&self, part: StrengthPart) -> f32 {
        self.whole
            * match part {
                StrengthPart::Whole => 1.0,
                StrengthPart::Head => self.head,
                StrengthPart::Gaze => self.gaze,
                StrengthPart::Lids => self.lids,
                StrengthPart::Brows => self.brows,
                StrengthPart::Mouth => self.mouth,
            }
    }

    fn part_mut(&mut self, part: StrengthPart) -> &mut f32 {
        match part {
            StrengthPart::Whole => &mut self.whole,
            StrengthPart::Head => &mut self.head,
            StrengthPart::Gaze => &mut self.gaze,
            StrengthPart::Lids => &mut self.lids,
            StrengthPart::Brows => &mut self.brows,
            StrengthPart::Mouth => &mut self.mouth,
        }
    }
}

impl Default for Strengths {
    fn default() -> Self {
        Self { whole: 1.0, head: 1.0, gaze: 1.0, lids: 1.0, brows: 1.0, mouth: 1.0 }
    }
}

/// How motion is carried over.
#[derive(Clone, Copy, Debug)]
pub struct DriveOptions {
    /// Relative or absolute.
    pub motion: Motion,
    /// How strongly each part of the motion is carried over.
    pub strengths: Strengths,
    /// How much of the photo's own expression stays when the driver rests, 0..1.
    pub keep_expression: f32,
    /// How far the gaze is drawn to the viewer, 0..1.
    pub eye_contact: f32,
    /// How far ahead of the driver's frame the portrait shall be, in milliseconds, 0..[`MAX_PREDICT_MS`]; 0 shows what was seen.
    pub predict_ms: f32,
    /// Whether the driver may change: else nobody is taken for somebody else, however the face jumps.
    pub may_change: bool,
    /// Whether the portrait is shown also while nobody was seen for long, so that who comes then is eased in.
    pub is_always_shown: bool,
    /// Whether jitter is filtered out. Not where every frame must be exactly what was seen.
    pub is_filtered: bool,
    /// Whether what moves beside the mesh is followed, where the generator can make something of it.
    pub is_dense: bool,
}

impl Default for DriveOptions {
    fn default() -> Self {
        Self {
            motion: Motion::Relative,
            strengths: Strengths::default(),
            keep_expression: 0.0,
            eye_contact: 0.0,
            predict_ms: 0.0,
            may_change: true,
            is_always_shown: false,
            is_filtered: true,
            is_dense: true,
        }
    }
}

/// Somebody who takes the driver's place takes the portrait over within so long.
const TAKE_OVER_SECS: f32 = 0.3;

/// Turns observations into signals for one identity.
pub struct Driver {
    options: DriveOptions,
    identity: Arc<Identity>,
    room: Room,
    portrait: RestingPortrait,
    resting: RestingDriver,
    pose: RestingPose,
    retargeter: Retargeter,
    filter: SignalFilter,
    presence: PresenceTimer,
    dense_mean: DenseMean,
    ahead: LookAhead,
    idle: IdleFace,
    latent: RestingLatent,
    whites: RestingWhites,
    /// Since when something else drives than before (somebody else, a face that is back), within how many seconds it takes
    /// over, and what was shown then.
    taken_over: Option<(Timestamp, f32)>,
    before: Box<DrivingSignal>,
    /// What was last asked of the portrait.
    shown: Box<DrivingSignal>,
    /// What the face that was seen last did.
    held: Box<DrivingSignal>,
}

impl Driver {
    /// Starts without a driver: what people are at rest is where the estimate of theirs begins.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn expression space.
    pub fn new(options: DriveOptions, identity: Arc<Identity>) -> Result<Self> {
        let rest = DrivingSignal::rest(&identity.shape, identity.size_px(), options.motion);
        let portrait =
            RestingPortrait::new(&identity.shape.points, identity.emphasis.as_deref(), options.keep_expression)?;
        Ok(Self {
            options,
            room: Room::of(&identity.matte),
            idle: IdleFace::new(&portrait)?,
            portrait,
            resting: RestingDriver::new()?,
            pose: RestingPose::default(),
            retargeter: Retargeter::new()?,
            filter: SignalFilter::default(),
            presence: PresenceTimer::new(options.is_always_shown),
            dense_mean: DenseMean::default(),
            ahead: LookAhead::new(options.predict_ms)?,
            latent: RestingLatent::default(),
            whites: RestingWhites::default(),
            taken_over: None,
            before: Box::new(rest.clone()),
            shown: Box::new(rest.clone()),
            held: Box::new(rest),
            identity,
        })
    }

    /// Drives another identity from the next signal on. What is known of the driver stays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn expression space.
    pub fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.room = Room::of(&identity.matte);
        self.portrait =
            RestingPortrait::new(&identity.shape.points, identity.emphasis.as_deref(), self.options.keep_expression)?;
        self.idle.settle(&self.portrait);
        self.retargeter.reset();
        self.identity = identity;
        *self.held = self.rest();
        *self.shown = (*self.held).clone();
        self.filter = SignalFilter::default();
        // What was shown before another camera is of the portrait that goes.
        self.taken_over = None;
        Ok(())
    }

    /// Takes the next frame with a face as the driver's rest, whatever it shows.
    pub fn calibrate(&mut self) {
        self.resting.calibrate();
        self.pose.calibrate();
        self.latent.calibrate();
    }

    /// Forgets what was measured in pixels: the next frame is another camera's, or the same one's with another format. The
    /// expression at rest is the driver's own, and stays.
    pub fn meet_camera(&mut self, now: Timestamp) {
        self.pose.reset();
        self.latent.reset();
        self.whites = RestingWhites::default();
        self.ahead.reset();
        self.take_over(now, TAKE_OVER_SECS);
    }

    /// Sees the latent of the frame that the next [`Self::drive`] is about, at that frame's own time; only generators that are
    /// driven by it need this.
    pub fn see_latent(&mut self, latent: &DriverLatent, now: Timestamp) {
        if self.latent.see(latent) {
            self.take_over(now, TAKE_OVER_SECS);
        }
    }

    /// Sets how strongly a part of the motion is carried over, kept within 0..2.
    pub fn set_strength(&mut self, part: StrengthPart, strength: f32) {
        *self.options.strengths.part_mut(part) = strength.clamp(0.0, 2.0);
    }

    /// How strongly motion is carried over.
    pub fn strengths(&self) -> Strengths {
        self.options.strengths
    }

    /// Sets how much of the photo's own expression stays when the driver rests, 0..1.
    pub fn set_keep_expression(&mut self, kept: f32) {
        self.options.keep_expression = kept.clamp(0.0, 1.0);
        self.portrait.keep_expression(self.options.keep_expression);
        self.idle.settle(&self.portrait);
    }

    /// How much of the photo's own expression stays, 0..1.
    pub fn keep_expression(&self) -> f32 {
        self.options.keep_expression
    }

    /// Sets how far the gaze is drawn to the viewer, 0..1: at 1 the portrait always looks at them.
    pub fn set_eye_contact(&mut self, share: f32) {
        self.options.eye_contact = share.clamp(0.0, 1.0);
    }

    /// How far the gaze is drawn to the viewer, 0..1.
    pub fn eye_contact(&self) -> f32 {
        self.options.eye_contact
    }

    /// Sets how far ahead of the driver's frame the portrait is, in milliseconds, kept within 0..[`MAX_PREDICT_MS`].
    pub fn set_predict_ms(&mut self, ahead_ms: f32) {
        self.ahead.set_ahead_ms(ahead_ms);
    }

    /// How far ahead of the driver's frame the portrait is, in milliseconds.
    pub fn predict_ms(&self) -> f32 {
        self.ahead.ahead_ms()
    }

    /// Writes the signal for this moment and says how sure it is of the face.
    ///
    /// `observation` is `None` when no face was seen, `dense` when nothing but the mesh is followed; `now` is the frame's own
    /// time, or the present moment when no frame came.
    pub fn drive(
        &mut self,
        observation: Option<&FaceObservation>,
        dense: Option<&DenseMotion>,
        now: Timestamp,
        signal: &mut DrivingSignal,
    ) -> Presence {
        let dense = dense.filter(|_| self.options.is_dense);
        let presence = self.presence.update(observation.is_some(), now);
        if let Some(seen) = observation {
            let shape = FaceShape::new(&seen.landmarks_px, &seen.pose);
            *signal = match self.options.motion {
                Motion::Relative => self.relative(&shape, seen, now),
                Motion::Absolute => {
                    let (shape, coefficients) =
                        self.ahead.look(&shape, seen, now).unwrap_or((&shape, &seen.coefficients));
                    DrivingSignal::absolute(&self.identity.shape, shape, seen.frame_size_px, coefficients)
                }
            };
            if let Some(dense) = dense {
                let is_of_portrait = dense.reference == DenseMotion::PORTRAIT;
                let from = if is_of_portrait { &DenseMotion::NONE } else { self.dense_mean.update(dense, now) };
                let is_weakened = !is_of_portrait && self.options.motion == Motion::Relative;
                let strength = if is_weakened { self.options.strengths.whole.min(1.0) } else { 1.0 };
                signal.dense.take(dense, from, strength);
            }
            signal.mouth = MouthContents { whites: self.whites.update(seen.mouth.whites, now), ..seen.mouth };
            if self.options.motion == Motion::Relative {
                // A mouth that shall not move shall not show the driver's teeth.
                signal.mouth.certainty *= self.options.strengths.of(StrengthPart::Mouth).clamp(0.0, 1.0);
            }
            signal.latent = self.latent.motion(self.options.strengths.whole);
            if self.options.is_filtered {
                self.filter.smooth(signal, dense.is_some(), now);
            }
            // What the face does: what was shown before has no part in it.
            (*self.held).clone_from(signal);
            if let Some((since, secs)) = self.presence.take_return() {
                // What was being taken over already does not come sooner for it.
                let left_secs = self.taken_over.map_or(0.0, |(at, all_secs)| all_secs - since.since(at).as_secs_f32());
                self.take_over(since, secs.max(left_secs));
            }
        } else {
            let rest = self.rest();
            let (room, motion) = (self.room, self.options.motion);
            *signal = presence::unseen(presence, &self.held, || self.idle.signal(&rest, room, motion, now));
        }
        self.hand_over(now, signal);
        (*self.shown).clone_from(signal);
        presence
    }

    /// Lets what comes take over from what was shown last, within so many seconds.
    fn take_over(&mut self, since: Timestamp, secs: f32) {
        (*self.before).clone_from(&self.shown);
        self.taken_over = Some((since, secs));
    }

    /// Mixes what was shown before into a signal that is taking over, also while the face is away for a moment.
    fn hand_over(&mut self, now: Timestamp, signal: &mut DrivingSignal) {
        let Some((since, secs)) = self.taken_over else { return };
        let t = now.since(since).as_secs_f32() / secs.max(1e-3);
        // A clip that begins again goes back in time.
        if now >= since && t < 1.0 {
            *signal = self.before.lerp(signal, presence::smooth(t));
        } else {
            self.taken_over = None;
        }
    }

    /// What is shown when nobody drives: the portrait at rest, without more of the photo's expression than is kept.
    fn rest(&self) -> DrivingSignal {
        let own = &self.identity.shape.points;
        let mut rest = DrivingSignal::rest(&self.identity.shape, self.identity.size_px(), self.options.motion);
        if self.options.motion == Motion::Relative {
            for (shift, (base, own)) in rest.displacement.iter_mut().zip(self.portrait.base().iter().zip(own)) {
                *shift = *base - *own;
            }
        }
        rest
    }

    /// Motion from the driver's rest, carried over to the portrait's.
    fn relative(&mut self, shape: &FaceShape, seen: &FaceObservation, now: Timestamp) -> DrivingSignal {
        if self.resting.update(shape, self.options.may_change, now) == Noticed::Other {
            self.retargeter.reset();
            self.meet_camera(now);
        }
        self.pose.update(shape, self.resting.calm(), now);
        // Rest is what was seen; what is shown is what comes.
        let (shape, coefficients) = match self.ahead.look(shape, seen, now) {
            Some((shape, coefficients)) => {
                self.resting.express(&shape.points);
                (shape, coefficients)
            }
            None => (shape, &seen.coefficients),
        };
        let strengths = &self.options.strengths;
        let head = strengths.of(StrengthPart::Head);
        let mut signal = retarget::relative(&self.identity.shape, self.room, &self.pose, shape, coefficients, head);
        let contact =
            EyeContact { share: self.options.eye_contact, head: signal.rotation * self.identity.shape.rotation };
        let driven = self.retargeter.drive(&self.portrait, &self.resting, strengths, &shape.points, contact);
        retarget::express(&self.identity.shape, driven, &mut signal);
        signal
    }
}

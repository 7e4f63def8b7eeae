//! What moves, not who moves: from observed faces to a driving signal.
//!
//! [`Driver`] is told what the face stage saw, frame by frame, and answers with a
//! [`DrivingSignal`] in the identity's own proportions. The arithmetic is in pure functions:
//! `retarget` for motion and proportions, [`Presence`] for what happens while no face is seen.

use std::sync::Arc;

use glam::{Quat, Vec2, Vec3};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::face::{FaceObservation, FaceShape, N_COEFFICIENTS, N_LANDMARKS};
use crate::identity::Identity;

pub use dense::DenseMotion;
pub use dense_tracker::DenseTracker;
pub use presence::Presence;
pub use puppet::MotionTracker;

mod dense;
mod dense_tracker;
mod expression;
mod filter;
mod neutral;
mod presence;
mod puppet;
pub(crate) mod retarget;

use dense::DenseMean;
use expression::{Noticed, RestingDriver, RestingPortrait, Retargeter};
use filter::SignalFilter;
use neutral::RestingPose;
use presence::PresenceTimer;
use retarget::Room;

/// What the portrait shall do in one frame. Carries no picture.
///
/// Head space is the identity's own: x to the picture's right, y down, z away from the camera
/// when the head looks into the camera; lengths are in face widths (the distance of the outer
/// eye corners, seen frontally).
#[derive(Clone, Debug, PartialEq)]
pub struct DrivingSignal {
    /// Rotation of the head. Relative motion: from its pose in the portrait. Absolute: from frontal.
    pub rotation: Quat,
    /// Position of the head. Relative: shift from its place in the portrait, in face widths.
    /// Absolute: its centre in the picture, 0..1.
    pub translation: Vec2,
    /// Size of the head. Relative: ratio to the portrait. Absolute: face width / picture width.
    pub scale: f32,
    /// Whether rotation, translation and scale are relative to the portrait.
    pub is_relative: bool,
    /// How far each point is displaced in head space from the portrait's own shape, in face widths.
    pub displacement: [Vec3; N_LANDMARKS],
    /// Opening of the right and left eye, ratio to the portrait's: 0 shut, 1 as on the portrait.
    pub eye_openness: [f32; 2],
    /// Opening of the mouth between the inner lips, in face widths.
    pub mouth_openness: f32,
    /// Strength of each expression of the driver, 0..1.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// What moves beside the mesh.
    pub dense: DenseMotion,
}

impl DrivingSignal {
    /// The signal that shows the portrait as it was taken.
    pub fn rest(identity: &FaceShape, size_px: usize, motion: Motion) -> Self {
        let size_px = size_px as f32;
        let (rotation, translation, scale) = match motion {
            Motion::Relative => (Quat::IDENTITY, Vec2::ZERO, 1.0),
            Motion::Absolute => (identity.rotation, identity.centre_px / size_px, identity.width_px / size_px),
        };
        Self {
            rotation,
            translation,
            scale,
            is_relative: motion == Motion::Relative,
            displacement: [Vec3::ZERO; N_LANDMARKS],
            eye_openness: [1.0; 2],
            mouth_openness: retarget::mouth_openness(&identity.points),
            coefficients: [0.0; N_COEFFICIENTS],
            dense: DenseMotion::NONE,
        }
    }

    /// The signal between two others: `t` = 0 is `self`, 1 is `other`.
    #[must_use]
    pub fn lerp(&self, other: &Self, t: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * t;
        Self {
            rotation: self.rotation.slerp(other.rotation, t),
            translation: self.translation.lerp(other.translation, t),
            scale: mix(self.scale, other.scale),
            is_relative: other.is_relative,
            displacement: std::array::from_fn(|i| self.displacement[i].lerp(other.displacement[i], t)),
            eye_openness: std::array::from_fn(|i| mix(self.eye_openness[i], other.eye_openness[i])),
            mouth_openness: mix(self.mouth_openness, other.mouth_openness),
            coefficients: std::array::from_fn(|i| mix(self.coefficients[i], other.coefficients[i])),
            dense: self.dense.lerp(&other.dense, t),
        }
    }
}

/// Whether the driver's pose is taken as it is or from where the driver began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Motion {
    /// The portrait moves from its own pose as the driver moves from neutral.
    #[default]
    Relative,
    /// The portrait takes the driver's pose and geometry as they are: for the same person, or to measure.
    Absolute,
}

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
    /// Since when somebody else drives, and what was shown then.
    taken_over: Option<Timestamp>,
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
        Ok(Self {
            options,
            room: Room::of(&identity.matte),
            portrait: RestingPortrait::new(&identity.shape.points, options.keep_expression)?,
            resting: RestingDriver::new()?,
            pose: RestingPose::default(),
            retargeter: Retargeter::new()?,
            filter: SignalFilter::default(),
            presence: PresenceTimer::default(),
            dense_mean: DenseMean::default(),
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
        self.portrait = RestingPortrait::new(&identity.shape.points, self.options.keep_expression)?;
        self.retargeter.reset();
        self.identity = identity;
        *self.held = self.rest();
        *self.shown = (*self.held).clone();
        self.filter = SignalFilter::default();
        Ok(())
    }

    /// Takes the next frame with a face as the driver's rest, whatever it shows.
    pub fn calibrate(&mut self) {
        self.resting.calibrate();
        self.pose.calibrate();
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
    }

    /// How much of the photo's own expression stays, 0..1.
    pub fn keep_expression(&self) -> f32 {
        self.options.keep_expression
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
                    retarget::absolute(&self.identity.shape, &shape, seen.frame_size_px, &seen.coefficients)
                }
            };
            if let Some(dense) = dense {
                let is_of_portrait = dense.reference == DenseMotion::PORTRAIT;
                let from = if is_of_portrait { &DenseMotion::NONE } else { self.dense_mean.update(dense, now) };
                let is_weakened = !is_of_portrait && self.options.motion == Motion::Relative;
                let strength = if is_weakened { self.options.strengths.whole.min(1.0) } else { 1.0 };
                signal.dense.take(dense, from, strength);
            }
            if self.options.is_filtered {
                self.filter.smooth(signal, dense.is_some(), now);
            }
        } else {
            let rest = self.rest();
            *signal = presence::unseen(presence, &self.held, &rest, now);
        }
        if let Presence::Tracking { ease } = presence {
            // A face that comes back is eased in from what was shown.
            if ease < 1.0 {
                *signal = self.shown.lerp(signal, ease);
            }
            if let Some(since) = self.taken_over {
                let t = now.since(since).as_secs_f32() / TAKE_OVER_SECS;
                if t < 1.0 {
                    *signal = self.before.lerp(signal, t);
                } else {
                    self.taken_over = None;
                }
            }
            *self.held = signal.clone();
        }
        *self.shown = signal.clone();
        presence
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
        if self.resting.update(shape, now) == Noticed::Other {
            self.pose.reset();
            self.retargeter.reset();
            *self.before = (*self.shown).clone();
            self.taken_over = Some(now);
        }
        self.pose.update(shape, self.resting.calm(), now);
        let strengths = &self.options.strengths;
        let head = strengths.whole * strengths.head;
        let mut signal = retarget::relative(&self.identity.shape, self.room, &self.pose, shape, seen, head);
        let driven = self.retargeter.drive(&self.portrait, &self.resting, strengths, &shape.points);
        retarget::express(&self.identity.shape, driven, &mut signal);
        signal
    }
}

//! The driver's face at rest, as far as it is known: an estimate over all that was seen.

use glam::{Vec2, Vec3};

use super::solver::{Goal, Solver, keep_finite};
use super::{N_FIRST_STEPS, Points, Prior, features};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::geometry::{FaceShape, N_COEFFICIENTS, N_LANDMARKS};

/// Steps of the solver in a frame.
const N_STEPS: usize = 1;
/// Before anything was seen, people's mean counts as if it had been seen for so long.
const PRIOR_SECS: f32 = 3.0;
/// What was seen longer ago than this is forgotten.
const MEMORY_SECS: f32 = 60.0;
/// A frame whose expression is this far from rest, in standard deviations of the modes, counts a third.
const CALM: f32 = 3.0;
/// One frame moves the estimate of a coefficient as if it were at most so far away.
const MAX_SURPRISE: f32 = 0.15;
/// Faces at rest whose points are this far apart in the mean (root of squares, face widths) are two people's: medians of
/// two filmed or rendered people are 0.020 apart in three of four pairs, those of one person's clips 0.011 at most in 95 of
/// 100, and single frames 0.035.
const OTHER_PERSON: f32 = 0.05;
/// The same right after a gap or a cut, when it may well be somebody else.
const OTHER_AFTER_CUT: f32 = 0.018;
/// For so long, so that no single bad frame starts anew, and none counts for longer than this: the first one after a pause is
/// the least certain.
const OTHER_SECS: f32 = 0.2;
const MAX_OTHER_STEP_SECS: f32 = 0.05;
/// How long after a gap or a cut somebody else is expected.
const SUSPICION_SECS: f32 = 0.5;
/// A face unseen for so long may come back as another.
const GAP_SECS: f32 = 0.5;
/// No head moves so far, in face widths, or grows by such a factor from one frame to the next.
const CUT_SHIFT: f32 = 0.3;
const CUT_SCALE: f32 = 1.15;

/// A driver's face at rest.
pub(in crate::drive) struct RestingDriver {
    prior: Prior,
    solver: Solver,
    goal: Goal,
    /// What the driver expresses in this frame, 0..1.
    expressed: [f32; N_COEFFICIENTS],
    /// The estimate, and how long it was looked at.
    shape: Box<Points>,
    rest: [f32; N_COEFFICIENTS],
    secs: f32,
    last: Option<Timestamp>,
    /// This frame's face without its expression.
    calmed: Box<Points>,
    other_secs: f32,
    /// What is left of the time in which somebody else is expected.
    suspicion_secs: f32,
    /// Where the face was in the frame before: its middle and its width, in pixels.
    place: (Vec2, f32),
    is_asked: bool,
}

/// What came of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drive) enum Noticed {
    /// The same driver.
    Same,
    /// Somebody else: the estimate began anew.
    Other,
}

impl RestingDriver {
    pub(in crate::drive) fn new() -> Result<Self> {
        let prior = Prior::new();
        Ok(Self {
            rest: prior.rest,
            goal: Goal::default(),
            solver: Solver::new()?,
            prior,
            expressed: [0.0; N_COEFFICIENTS],
            shape: Box::new([Vec3::ZERO; N_LANDMARKS]),
            secs: 0.0,
            last: None,
            calmed: Box::new([Vec3::ZERO; N_LANDMARKS]),
            other_secs: 0.0,
            suspicion_secs: 0.0,
            place: (Vec2::ZERO, 1.0),
            is_asked: false,
        })
    }

    /// Takes the next frame as it is for the face at rest.
    pub(in crate::drive) fn calibrate(&mut self) {
        self.is_asked = true;
    }

    /// Takes what these points express for what the driver does, without learning from them: a face that was not seen yet.
    pub(in crate::drive) fn express(&mut self, points: &Points) {
        self.expressed = self.solver.read(points);
    }

    /// Looks at a frame's face. Unless the driver `may_change` it is the same person's.
    pub(in crate::drive) fn update(&mut self, shape: &FaceShape, may_change: bool, now: Timestamp) -> Noticed {
        let points = &shape.points;
        if !points.iter().all(|point| point.is_finite()) {
            return Noticed::Same;
        }
        let elapsed_secs = self.last.map_or(0.04, |last| now.since(last).as_secs_f32().min(0.2));
        let is_first = self.last.is_none();
        self.suspect(shape, now, elapsed_secs);
        self.last = Some(now);
        self.expressed = self.solver.read(points);
        self.goal.coefficients = self.rest;
        self.goal.importance[0] = 0.0;
        for feature in features::LIPS {
            self.goal.features[feature] = super::SHUT_MOUTH * 0.5;
            self.goal.feature_importance[feature] = super::LIP_IMPORTANCE;
        }
        *self.calmed = *points;
        self.solver.solve(&self.goal, if is_first { N_FIRST_STEPS } else { N_STEPS }, &mut self.calmed);
        keep_finite(&mut self.calmed, points);
        if std::mem::take(&mut self.is_asked) {
            // What the user chose holds until much more was seen.
            *self.shape = *points;
            self.rest = self.expressed;
            self.secs = MEMORY_SECS;
            return Noticed::Same;
        }
        let noticed = if may_change { self.notice(is_first, elapsed_secs) } else { Noticed::Same };
        if is_first || noticed == Noticed::Other {
            *self.shape = *self.calmed;
            self.rest = self.prior.rest;
            self.secs = 0.0;
        }
        self.learn(elapsed_secs);
        noticed
    }

    /// Expects somebody else after a gap, and after a jump that no head makes.
    fn suspect(&mut self, shape: &FaceShape, now: Timestamp, elapsed_secs: f32) {
        let (centre_px, width_px) = std::mem::replace(&mut self.place, (shape.centre_px, shape.width_px));
        let is_gap = self.last.is_some_and(|last| now.since(last).as_secs_f32() > GAP_SECS);
        let grown = shape.width_px / width_px.max(1e-3);
        let is_cut = centre_px.distance(shape.centre_px) > CUT_SHIFT * shape.width_px
            || !(1.0 / CUT_SCALE..=CUT_SCALE).contains(&grown);
        self.suspicion_secs =
            if is_gap || is_cut { SUSPICION_SECS } else { (self.suspicion_secs - elapsed_secs).max(0.0) };
    }

    /// Whether the face at rest is another than the estimate's.
    fn notice(&mut self, is_first: bool, elapsed_secs: f32) -> Noticed {
        let square = |(a, b): (&Vec3, &Vec3)| (*a - *b).truncate().length_squared();
        let apart = (self.shape.iter().zip(self.calmed.iter()).map(square).sum::<f32>() / N_LANDMARKS as f32).sqrt();
        let limit = if self.suspicion_secs > 0.0 { OTHER_AFTER_CUT } else { OTHER_PERSON };
        self.other_secs =
            if !is_first && apart > limit { self.other_secs + elapsed_secs.min(MAX_OTHER_STEP_SECS) } else { 0.0 };
        if self.other_secs < OTHER_SECS {
            return Noticed::Same;
        }
        (self.other_secs, self.suspicion_secs) = (0.0, 0.0);
        Noticed::Other
    }

    fn learn(&mut self, elapsed_secs: f32) {
        let count = elapsed_secs * self.calm();
        self.secs = (self.secs + count).min(MEMORY_SECS);
        let share = count / self.secs.max(1e-3);
        for (point, seen) in self.shape.iter_mut().zip(self.calmed.iter()) {
            *point = point.lerp(*seen, share);
        }
        let share = count / (self.secs + PRIOR_SECS);
        // In the others a person's rest is people's mean, unless it was chosen.
        for c in (0..N_COEFFICIENTS).filter(|&c| self.prior.is_personal[c]) {
            self.rest[c] += (self.expressed[c] - self.rest[c]).clamp(-MAX_SURPRISE, MAX_SURPRISE) * share;
        }
    }

    /// What the driver expresses in the last frame, 0..1.
    pub(in crate::drive) fn expressed(&self) -> &[f32; N_COEFFICIENTS] {
        &self.expressed
    }

    /// What the driver expresses at rest.
    pub(in crate::drive) fn rest(&self) -> &[f32; N_COEFFICIENTS] {
        &self.rest
    }

    /// The driver's points at rest, in head space.
    pub(in crate::drive) fn shape(&self) -> &Points {
        &self.shape
    }

    /// How calm the last frame was, 0..1.
    pub(in crate::drive) fn calm(&self) -> f32 {
        let unrest: f32 = self.solver.weights.iter().map(|weight| weight * weight).sum();
        1.0 / (1.0 + 2.0 * unrest / (CALM * CALM))
    }
}

//! The portrait's face at rest: its own shape without what the photo happens to express.

use super::solver::{Goal, Solver, keep_finite};
use super::{Points, Prior};
use crate::error::Result;
use crate::geometry::N_COEFFICIENTS;

/// Steps of the solver; done once.
const N_STEPS: usize = 24;
/// How far a person's own rest may be from people's mean in what people differ in: more is the photo's expression.
const MAX_PERSONAL: f32 = 0.15;

/// A portrait's face at rest, with as much of the photo's expression as is wanted.
pub(in crate::drive) struct RestingPortrait {
    own: Box<Points>,
    own_coefficients: [f32; N_COEFFICIENTS],
    neutral: Box<Points>,
    neutral_coefficients: [f32; N_COEFFICIENTS],
    base: Box<Points>,
    coefficients: [f32; N_COEFFICIENTS],
    emphasis: [f32; N_COEFFICIENTS],
}

impl RestingPortrait {
    /// Takes the photo's points in head space, and what was found of its emphasis when it was enrolled.
    pub(in crate::drive) fn new(own: &Points, emphasis: Option<&[f32; N_COEFFICIENTS]>, kept: f32) -> Result<Self> {
        let prior = Prior::new();
        let mut solver = Solver::new()?;
        let own_coefficients = solver.read(own);
        let mut goal = Goal::default();
        for (c, own) in own_coefficients.into_iter().enumerate() {
            let personal = (own - prior.rest[c]).clamp(-MAX_PERSONAL, MAX_PERSONAL);
            goal.coefficients[c] = (prior.rest[c] + if prior.is_personal[c] { personal } else { 0.0 }).clamp(0.0, 1.0);
        }
        goal.importance[0] = 0.0;
        // Lips that are apart in the photo meet at rest; how far eyes are open is the person's own.
        for feature in super::features::LIPS {
            goal.feature_importance[feature] = super::LIP_IMPORTANCE;
        }
        let mut neutral = Box::new(*own);
        solver.solve(&goal, N_STEPS, &mut neutral);
        keep_finite(&mut neutral, own);
        let mut portrait = Self {
            base: neutral.clone(),
            coefficients: goal.coefficients,
            own: Box::new(*own),
            own_coefficients,
            neutral,
            neutral_coefficients: goal.coefficients,
            emphasis: *emphasis.unwrap_or(&prior.emphasis),
        };
        portrait.keep_expression(kept);
        Ok(portrait)
    }

    /// Keeps this share, 0..1, of the photo's expression at rest.
    pub(in crate::drive) fn keep_expression(&mut self, kept: f32) {
        for (base, (own, neutral)) in self.base.iter_mut().zip(self.own.iter().zip(self.neutral.iter())) {
            *base = neutral.lerp(*own, kept);
        }
        for (c, value) in self.coefficients.iter_mut().enumerate() {
            *value = self.neutral_coefficients[c] + (self.own_coefficients[c] - self.neutral_coefficients[c]) * kept;
        }
    }

    /// The points at rest.
    pub(in crate::drive) fn base(&self) -> &Points {
        &self.base
    }

    /// How much more of each expression is asked of this portrait than shall be seen.
    pub(in crate::drive) fn emphasis(&self) -> &[f32; N_COEFFICIENTS] {
        &self.emphasis
    }

    /// Takes another emphasis.
    pub(in crate::drive) fn set_emphasis(&mut self, emphasis: &[f32; N_COEFFICIENTS]) {
        self.emphasis = *emphasis;
    }

    /// What they express.
    pub(in crate::drive) fn coefficients(&self) -> &[f32; N_COEFFICIENTS] {
        &self.coefficients
    }
}

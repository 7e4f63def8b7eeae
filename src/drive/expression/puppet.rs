//! A face at rest that takes on an expression given in numbers.

use super::solver::{Goal, Solver, keep_finite};
use super::{LID_IMPORTANCE, LIP_IMPORTANCE, N_FIRST_STEPS, Points, SHUT_EYE, SHUT_MOUTH, features};
use crate::error::Result;
use crate::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};

/// A lid is open as at rest up to this strength of its blink, and shut from [`SHUT_BLINK`] on.
const OPEN_BLINK: f32 = 0.12;
const SHUT_BLINK: f32 = 0.65;
/// Both of them.
pub(in crate::drive) const SHUT_BLINK_RANGE: [f32; 2] = [OPEN_BLINK, SHUT_BLINK];
/// Lips may touch while the jaw is open by less than this.
const SHUT_JAW: f32 = 0.08;

/// A face that is moved by numbers.
pub(in crate::drive) struct PuppetFace {
    solver: Solver,
    goal: Goal,
    resting: Box<Points>,
    points: Box<Points>,
    n_steps: usize,
    is_new: bool,
    /// Where the numbers that say more than strengths stand.
    blinks: [usize; 2],
    jaw: usize,
}

impl PuppetFace {
    /// Takes a face at rest, in head space. In a frame the solver goes on from the frame before, in `n_steps`: each costs as
    /// much as reading the expressions' network and its slopes.
    pub(in crate::drive) fn new(resting: &Points, n_steps: usize) -> Result<Self> {
        let place = |name: &str| COEFFICIENT_NAMES.iter().position(|known| *known == name).unwrap_or_default();
        let mut goal = Goal::default();
        // The network's first answer is how neutral a face is, which the others say better.
        goal.importance[0] = 0.0;
        Ok(Self {
            solver: Solver::new()?,
            goal,
            resting: Box::new(*resting),
            points: Box::new(*resting),
            n_steps,
            is_new: true,
            blinks: [place("eyeBlinkRight"), place("eyeBlinkLeft")],
            jaw: place("jawOpen"),
        })
    }

    /// Begins anew after a gap.
    pub(in crate::drive) fn reset(&mut self) {
        self.solver.weights.fill(0.0);
        self.is_new = true;
    }

    /// Takes another face at rest, in head space.
    pub(in crate::drive) fn rest_as(&mut self, resting: &Points) {
        *self.resting = *resting;
        self.reset();
    }

    /// The points in head space of a face that expresses this.
    pub(in crate::drive) fn express(&mut self, coefficients: &[f32; N_COEFFICIENTS]) -> &Points {
        self.goal.coefficients = *coefficients;
        for (&feature, blink) in features::LIDS.iter().zip(self.blinks) {
            let shut = ((coefficients[blink] - OPEN_BLINK) / (SHUT_BLINK - OPEN_BLINK)).clamp(0.0, 1.0);
            let open = features::measure(feature, &self.resting).max(0.0);
            self.goal.features[feature] = open * (1.0 - shut * (1.0 - SHUT_EYE));
            // How wide an eye is beyond rest the coefficients say.
            self.goal.feature_importance[feature] = LID_IMPORTANCE * shut;
        }
        let shut = 1.0 - (coefficients[self.jaw] / SHUT_JAW).min(1.0);
        for feature in features::LIPS {
            self.goal.features[feature] = 0.5 * SHUT_MOUTH;
            self.goal.feature_importance[feature] = 0.3 * LIP_IMPORTANCE * shut;
        }
        *self.points = *self.resting;
        let n_steps = if std::mem::take(&mut self.is_new) { N_FIRST_STEPS } else { self.n_steps };
        self.solver.solve(&self.goal, n_steps, &mut self.points);
        keep_finite(&mut self.points, &self.resting);
        &self.points
    }
}

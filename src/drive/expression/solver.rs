//! Moves a face along its modes until it expresses what it shall.

use super::space::{ExpressionSpace, N_MODES, Reading, strength};
use super::{Points, features};
use crate::error::Result;
use crate::geometry::N_COEFFICIENTS;

/// How dear a standard deviation of a mode is, against a squared difference of coefficients.
const DAMPING: f32 = 0.006;
/// The price of staying away from the modes' middle, in units of [`DAMPING`], in each step.
const PULL: f32 = 0.3;
/// No mode goes further than this many standard deviations.
const MAX_WEIGHT: f32 = 4.0;
/// What a coefficient that is far from its goal still counts, as a slope of the sigmoid.
const MIN_SLOPE: f32 = 0.01;

/// What a face shall express.
#[derive(Clone, Debug)]
pub(in crate::drive) struct Goal {
    /// Strength of each expression, 0..1.
    pub(in crate::drive) coefficients: [f32; N_COEFFICIENTS],
    /// How much each counts.
    pub(in crate::drive) importance: [f32; N_COEFFICIENTS],
    /// Distances that coefficients do not say, in face widths, in the order of [`features::FEATURES`].
    pub(in crate::drive) features: [f32; features::N],
    /// How much each counts, for a face width; 0 leaves it free.
    pub(in crate::drive) feature_importance: [f32; features::N],
}

impl Default for Goal {
    fn default() -> Self {
        Self {
            coefficients: [0.0; N_COEFFICIENTS],
            importance: [1.0; N_COEFFICIENTS],
            features: [0.0; features::N],
            feature_importance: [0.0; features::N],
        }
    }
}

/// A damped Gauss-Newton solver that goes on from where it was in the frame before.
pub(in crate::drive) struct Solver {
    space: &'static ExpressionSpace,
    feature_modes: Vec<[f32; N_MODES]>,
    reading: Box<Reading>,
    normal: Box<[[f32; N_MODES]; N_MODES]>,
    /// How far the face went along each mode, in standard deviations.
    pub(in crate::drive) weights: [f32; N_MODES],
}

impl Solver {
    pub(in crate::drive) fn new() -> Result<Self> {
        let space = ExpressionSpace::built_in()?;
        let along = |feature: usize| std::array::from_fn(|k| features::measure(feature, &space.modes()[k]));
        Ok(Self {
            space,
            feature_modes: (0..features::N).map(along).collect(),
            reading: Box::default(),
            normal: Box::new([[0.0; N_MODES]; N_MODES]),
            weights: [0.0; N_MODES],
        })
    }

    /// Reads what points in head space express: strengths 0..1.
    pub(in crate::drive) fn read(&mut self, points: &Points) -> [f32; N_COEFFICIENTS] {
        self.space.read(points, &mut self.reading);
        self.reading.logits.map(strength)
    }

    /// Moves `points` in `n_steps` towards `goal`. [`Self::weights`] are where it begins and how far it went.
    pub(in crate::drive) fn solve(&mut self, goal: &Goal, n_steps: usize, points: &mut Points) {
        let start = *points;
        self.place(&start, points);
        for _ in 0..n_steps {
            self.step(goal, points);
            self.place(&start, points);
        }
    }

    fn place(&self, start: &Points, points: &mut Points) {
        *points = *start;
        for (mode, &weight) in self.space.modes().iter().zip(&self.weights) {
            for (point, way) in points.iter_mut().zip(mode) {
                *point += *way * weight;
            }
        }
    }

    fn step(&mut self, goal: &Goal, points: &Points) {
        self.space.read(points, &mut self.reading);
        self.space.differentiate(&mut self.reading);
        for (k, row) in self.normal.iter_mut().enumerate() {
            *row = [0.0; N_MODES];
            row[k] = DAMPING;
        }
        let mut gradient = self.weights.map(|weight| -PULL * DAMPING * weight);
        for c in 0..N_COEFFICIENTS {
            let logit = self.reading.logits[c];
            let missing = goal.coefficients[c] - strength(logit);
            // The slope of the chord from here to the goal, so that one step reaches it where logits are linear.
            let goal_logit = logit_of(goal.coefficients[c]);
            let way = goal_logit - logit;
            let tangent = strength(logit) * (1.0 - strength(logit));
            let slope = if way.abs() > 0.05 { missing / way } else { tangent };
            let slope = slope.max(MIN_SLOPE) * goal.importance[c];
            let row = self.reading.jacobian[c].map(|value| value * slope);
            self.count(&row, missing * goal.importance[c], &mut gradient);
        }
        for f in 0..features::N {
            let importance = goal.feature_importance[f];
            if importance > 0.0 {
                let row = self.feature_modes[f].map(|value| value * importance);
                let missing = goal.features[f] - features::measure(f, points);
                self.count(&row, missing * importance, &mut gradient);
            }
        }
        if solve_in_place(&mut self.normal, &mut gradient) {
            for (weight, step) in self.weights.iter_mut().zip(gradient) {
                *weight = (*weight + step).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            }
        }
    }

    /// Adds one equation to the normal ones; of the symmetric matrix the lower half.
    fn count(&mut self, row: &[f32; N_MODES], missing: f32, gradient: &mut [f32; N_MODES]) {
        for a in 0..N_MODES {
            gradient[a] += row[a] * missing;
            let factor = row[a];
            for (sum, value) in self.normal[a][..=a].iter_mut().zip(row) {
                *sum += factor * value;
            }
        }
    }
}

fn logit_of(strength: f32) -> f32 {
    let strength = strength.clamp(0.005, 0.995);
    (strength / (1.0 - strength)).ln()
}

/// Solves `a x = b` for a positive definite `a`, given by its lower half, by Cholesky's decomposition; `b` becomes `x`.
/// `false` where `a` is not positive definite, or a number is none.
fn solve_in_place(a: &mut [[f32; N_MODES]; N_MODES], b: &mut [f32; N_MODES]) -> bool {
    for i in 0..N_MODES {
        for j in 0..=i {
            let (above, below) = a.split_at(i);
            let row = &below[0];
            let other = if j == i { row } else { &above[j] };
            let sum = row[j] - row[..j].iter().zip(&other[..j]).map(|(p, q)| p * q).sum::<f32>();
            if i == j {
                if sum.is_nan() || sum <= 1e-12 {
                    return false;
                }
                a[i][i] = sum.sqrt();
            } else {
                a[i][j] = sum / a[j][j];
            }
        }
    }
    for i in 0..N_MODES {
        let sum: f32 = a[i][..i].iter().zip(&b[..i]).map(|(p, q)| p * q).sum();
        b[i] = (b[i] - sum) / a[i][i];
    }
    for i in (0..N_MODES).rev() {
        let sum: f32 = (i + 1..N_MODES).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i][i];
    }
    b.iter().all(|value| value.is_finite())
}

/// Where a face in head space can be at all: points that are not numbers become those of `rest`.
pub(in crate::drive) fn keep_finite(points: &mut Points, rest: &Points) {
    for (point, rest) in points.iter_mut().zip(rest) {
        if !point.is_finite() || (*point - *rest).length_squared() > 4.0 {
            *point = *rest;
        }
    }
}

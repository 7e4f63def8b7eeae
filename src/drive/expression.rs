//! Expression carried over from one face to another: what the driver's face expresses is what the portrait's shall.
//!
//! Both faces are read by one function of their points ([`ExpressionSpace`]). The portrait's points begin where its face
//! at rest would be with the driver's displacements, and are moved along the modes of faces' motion until they express
//! what the driver's do ([`Solver`]), in the portrait's own anatomy.

use glam::Vec3;

pub(super) use driver::{Noticed, RestingDriver};
pub(super) use gaze::EyeContact;
#[cfg(feature = "train")]
pub(crate) use gaze::gaze_of;
pub(super) use portrait::RestingPortrait;
pub(super) use puppet::{PuppetFace, SHUT_BLINK_RANGE};

use self::solver::{Goal, Solver, keep_finite};
use super::{StrengthPart, Strengths};
use crate::error::Result;
use crate::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS, N_LANDMARKS};

mod driver;
mod features;
mod gaze;
mod portrait;
mod puppet;
mod solver;
mod space;
#[cfg(test)]
mod tests;
mod touch;

pub(crate) use space::N_MODES;

pub(super) type Points = [Vec3; N_LANDMARKS];

/// Steps of the solver in a frame: it goes on from the frame before.
const N_STEPS: usize = 3;
/// Steps where it begins anew.
const N_FIRST_STEPS: usize = 10;
/// How much lids, lips and irises count for a face width, where a coefficient counts 1.
const LID_IMPORTANCE: f32 = 3.0;
const LIP_IMPORTANCE: f32 = 3.0;
const GAZE_IMPORTANCE: f32 = 2.0;
/// How much further eyes are asked to look than they shall be seen to.
const GAZE_EMPHASIS: f32 = 1.45;
/// Lips closer than this touch, in face widths: the tracker's resolution.
pub(super) const SHUT_MOUTH: f32 = 0.012;
/// An eye that is open by no more than this share of rest is shut: the tracker never reports less for a closed lid.
pub(super) const SHUT_EYE: f32 = 0.35;

/// What is asked for beyond what the driver does follows the driver with so much play, so that the tracker's noise is not
/// made larger with the expression: in strengths, and in widths of the eye for where it looks.
const PLAY: f32 = 0.06;
const GAZE_PLAY: f32 = 0.01;

/// The part that a coefficient belongs to.
fn part_of(name: &str) -> StrengthPart {
    if name.starts_with("brow") {
        StrengthPart::Brows
    } else if name.starts_with("eyeLook") {
        StrengthPart::Gaze
    } else if name.starts_with("eye") || name.starts_with("cheekSquint") {
        StrengthPart::Lids
    } else {
        StrengthPart::Mouth
    }
}

/// What is known of one coefficient before any face.
struct Known {
    /// Its strength at rest in the mean of people.
    rest: f32,
    /// Whether people differ in it so much that it counts from a person's own rest.
    is_personal: bool,
    /// How much more of it is asked for than shall be seen: a tracker sees less of it in a finished picture than the
    /// points behind the picture say.
    emphasis: f32,
}

/// Means at rest over filmed speakers' medians and public portraits. Emphasis was measured on nine public portraits, each
/// driven by another filmed or rendered person, and then set by up to a fifth more after the public test clips.
fn known(name: &str) -> Known {
    let stem = name.strip_suffix("Left").or_else(|| name.strip_suffix("Right")).unwrap_or(name);
    let (rest, is_personal, emphasis) = match stem {
        "browDown" => (0.25, true, 1.1),
        "browInnerUp" => (0.02, true, 1.8),
        "browOuterUp" => (0.04, true, 1.6),
        "eyeSquint" => (0.40, true, 1.5),
        "noseSneer" | "cheekSquint" => (0.0, true, 1.0),
        "eyeBlink" => (0.12, false, 1.35),
        "eyeLookDown" => (0.14, false, GAZE_EMPHASIS),
        "eyeLookUp" => (0.08, false, GAZE_EMPHASIS),
        "eyeLookIn" | "eyeLookOut" => (0.10, false, GAZE_EMPHASIS),
        "mouthPress" | "mouthRollUpper" => (0.06, false, 1.0),
        "jawOpen" => (0.03, false, 1.4),
        "mouthPucker" => (0.02, false, 2.0),
        "mouthFunnel" => (0.005, false, 1.5),
        "mouthDimple" => (0.02, false, 1.0),
        "mouthShrugLower" => (0.005, false, 1.2),
        "_neutral" => (0.0, false, 1.0),
        _ => (0.005, false, 1.0),
    };
    Known { rest, is_personal, emphasis }
}

/// What is known of each coefficient before any face.
#[derive(Debug)]
struct Prior {
    rest: [f32; N_COEFFICIENTS],
    is_personal: [bool; N_COEFFICIENTS],
    emphasis: [f32; N_COEFFICIENTS],
    part: [StrengthPart; N_COEFFICIENTS],
}

impl Prior {
    fn new() -> Self {
        Self {
            rest: COEFFICIENT_NAMES.map(|name| known(name).rest),
            is_personal: COEFFICIENT_NAMES.map(|name| known(name).is_personal),
            emphasis: COEFFICIENT_NAMES.map(|name| known(name).emphasis),
            part: COEFFICIENT_NAMES.map(part_of),
        }
    }
}

/// The emphasis for a portrait of which nothing is known.
pub(crate) fn default_emphasis() -> [f32; N_COEFFICIENTS] {
    Prior::new().emphasis
}

/// Moves a face along the modes, by so many standard deviations of each.
///
/// # Errors
/// [`crate::ErrorKind::Model`] when the program was built from a torn expression space.
pub(super) fn pose(weights: &[f32; N_MODES], points: &mut Points) -> Result<()> {
    for (mode, &weight) in space::ExpressionSpace::built_in()?.modes().iter().zip(weights) {
        for (point, way) in points.iter_mut().zip(mode) {
            *point += *way * weight;
        }
    }
    Ok(())
}

/// What one frame asks of the portrait.
pub(super) struct Driven {
    /// The portrait's points in head space.
    pub(super) points: Box<Points>,
    /// Opening of the right and left eye, ratio to rest: 0 shut.
    pub(super) eye_openness: [f32; 2],
}

/// Carries a driver's expression over to one portrait.
pub(super) struct Retargeter {
    prior: Prior,
    solver: Solver,
    goal: Goal,
    is_new: bool,
    /// What is known of each coefficient's change, and of each place of an iris, without their noise.
    steady: [f32; N_COEFFICIENTS],
    steady_gaze: [[f32; 2]; 2],
    driven: Driven,
}

impl Retargeter {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            prior: Prior::new(),
            solver: Solver::new()?,
            goal: Goal::default(),
            is_new: true,
            steady: [0.0; N_COEFFICIENTS],
            steady_gaze: [[0.0; 2]; 2],
            driven: Driven { points: Box::new([Vec3::ZERO; N_LANDMARKS]), eye_openness: [1.0; 2] },
        })
    }

    /// Begins anew: another portrait, another driver, or a gap.
    pub(super) fn reset(&mut self) {
        self.solver.weights.fill(0.0);
        self.is_new = true;
    }

    /// Finds the portrait's points for what the driver's points in head space express.
    pub(super) fn drive(
        &mut self,
        portrait: &RestingPortrait,
        driver: &RestingDriver,
        strengths: &Strengths,
        points: &Points,
        contact: EyeContact,
    ) -> &Driven {
        let base = portrait.base();
        if !points.iter().all(|point| point.is_finite()) {
            if self.is_new {
                *self.driven.points = *base;
            }
            return &self.driven;
        }
        let rest = portrait.coefficients();
        let seen = *driver.expressed();
        for c in 0..N_COEFFICIENTS {
            let change = seen[c] - driver.rest()[c];
            let steady = follow(&mut self.steady[c], change, PLAY, self.is_new);
            let change = change + (portrait.emphasis()[c] - 1.0) * steady;
            let strength = strengths.of(self.prior.part[c]);
            self.goal.coefficients[c] = (rest[c] + strength * change).clamp(0.0, 1.0);
            // The network's first answer is how neutral a face is, which the others say better.
            self.goal.importance[c] = f32::from(COEFFICIENT_NAMES[c] != "_neutral");
        }
        self.driven.eye_openness = self.aim_features(portrait, driver, strengths, points);
        gaze::meet_viewer(&mut self.goal, portrait, contact);
        let resting = driver.shape();
        for (i, point) in self.driven.points.iter_mut().enumerate() {
            let strength = strengths.at(&base[i]);
            *point = base[i] + (points[i] - resting[i]) * strength;
        }
        let n_steps = if std::mem::take(&mut self.is_new) { N_FIRST_STEPS } else { N_STEPS };
        self.solver.solve(&self.goal, n_steps, &mut self.driven.points);
        keep_finite(&mut self.driven.points, base);
        touch::close_lids(base, self.driven.eye_openness, &mut self.driven.points);
        touch::close_lips(base, resting, points, strengths.of(StrengthPart::Mouth), &mut self.driven.points);
        &self.driven
    }

    /// Sets how far lids and lips shall be apart and where the eyes shall look; gives the opening of the eyes.
    fn aim_features(
        &mut self,
        portrait: &RestingPortrait,
        driver: &RestingDriver,
        strengths: &Strengths,
        points: &Points,
    ) -> [f32; 2] {
        let (base, resting) = (portrait.base(), driver.shape());
        let mut aim = |feature: usize, value: f32, importance: f32| {
            self.goal.features[feature] = value;
            self.goal.feature_importance[feature] = importance;
        };
        let mut openness = [1.0; 2];
        let lids = strengths.of(StrengthPart::Lids);
        for (eye, &feature) in features::LIDS.iter().enumerate() {
            let ratio = features::measure(feature, points) / features::measure(feature, resting).max(1e-3);
            let open = ((ratio - SHUT_EYE) / (1.0 - SHUT_EYE)).clamp(0.0, 1.6);
            openness[eye] = (1.0 + lids * (open - 1.0)).clamp(0.0, 1.8);
            aim(feature, features::measure(feature, base).max(0.0) * openness[eye], LID_IMPORTANCE);
        }
        let size = (features::mouth_width(base) / features::mouth_width(resting)).clamp(0.5, 2.0);
        let mouth = strengths.of(StrengthPart::Mouth);
        for feature in features::LIPS {
            let gap = (features::measure(feature, points) - SHUT_MOUTH).max(0.0) * size;
            let own = features::measure(feature, base);
            aim(feature, own + mouth * (gap - own), LIP_IMPORTANCE);
        }
        let gaze = strengths.of(StrengthPart::Gaze);
        let emphasis = gaze::emphasis(portrait);
        let (widths, driver_widths) = (features::eye_widths(base), features::eye_widths(resting));
        for (eye, pair) in features::GAZE.iter().enumerate() {
            for (axis, &feature) in pair.iter().enumerate() {
                let change = features::measure(feature, points) - features::measure(feature, resting);
                let change = change / driver_widths[eye];
                let steady = follow(&mut self.steady_gaze[eye][axis], change, GAZE_PLAY, self.is_new);
                let change = (change + (emphasis[eye][axis] - 1.0) * steady) * widths[eye];
                aim(feature, features::measure(feature, base) + gaze * change, GAZE_IMPORTANCE);
            }
        }
        openness
    }
}

/// Follows a value with some play: stays where it is while the value is no further away.
fn follow(steady: &mut f32, value: f32, play: f32, is_new: bool) -> f32 {
    *steady = if is_new { value } else { steady.max(value - play).min(value + play) };
    *steady
}

impl Strengths {
    /// The strength at a place of the face in head space: brows above the eyes, lids around them, the mouth below.
    fn at(&self, place: &Vec3) -> f32 {
        // Eyes are 0.1 above the middle of the points that do not move, brows 0.25, the mouth's corners 0.45 below.
        let ramp = |from: f32, to: f32| ((place.y - from) / (to - from)).clamp(0.0, 1.0);
        let (below_brows, below_eyes) = (ramp(-0.24, -0.16), ramp(0.02, 0.14));
        let upper = self.brows + (self.lids - self.brows) * below_brows;
        self.whole * (upper + (self.mouth - upper) * below_eyes)
    }
}

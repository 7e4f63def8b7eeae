//! Where the eyes look: as the driver's do relative to the camera, whatever way both heads are turned.

use glam::{Quat, Vec2, Vec3};

use super::{GAZE_EMPHASIS, GAZE_IMPORTANCE, Goal, Points, RestingDriver, RestingPortrait, features};
use crate::face::N_COEFFICIENTS;
#[cfg(feature = "train")]
use crate::face::{FaceObservation, FaceShape};

/// How far an iris goes for a sine of the eye's turn, in widths of the eye: measured on rendered people, and on portraits of
/// people who look into the camera with their heads turned (there 0.44 and 0.14).
const IRIS_WAY: Vec2 = Vec2::new(0.40, 0.15);
/// How far coefficients go for a sine of the eye's turn, inwards less outwards and down less up: measured likewise (sideways
/// 1.88 and 1.89).
const COEFFICIENT_WAY: Vec2 = Vec2::new(1.88, 1.11);
/// How much of the difference between two heads is one, sideways and up and down: in portraits the eyes make up for all of a
/// turn, and for a quarter of a nod, since most of what a tracker takes for a nod is the face's shape.
const TRUE_SHARE: Vec2 = Vec2::new(1.0, 0.25);
/// Eyes make up for no more than this sine between the heads, and turn by no more towards the viewer.
const MAX_TURN: f32 = 0.4;

/// Coefficients of the right and the left eye: inwards, outwards, down, up.
const EYES: [[usize; 4]; 2] = [[14, 16, 12, 18], [13, 15, 11, 17]];

/// How the two heads stand, and whose eyes are sought.
#[derive(Clone, Copy, Debug)]
pub(in crate::drive) struct Heads {
    /// Rotation of the driver's head from looking into the camera.
    pub(in crate::drive) driver: Quat,
    /// The same of the portrait's head, as it will be shown.
    pub(in crate::drive) portrait: Quat,
    /// How far the gaze is drawn to the viewer, 0..1.
    pub(in crate::drive) eye_contact: f32,
}

/// Aims the irises and the eyes' coefficients; `strength` is the gaze's.
pub(super) fn aim(
    goal: &mut Goal,
    portrait: &RestingPortrait,
    driver: &RestingDriver,
    strength: f32,
    points: &Points,
    heads: Heads,
) {
    let (base, resting) = (portrait.base(), driver.shape());
    // Of each eye, in widths of the eye, as far as the iris went from rest: to the picture's right, and down.
    let (driver_widths, widths) = (features::eye_widths(resting), features::eye_widths(base));
    let moved: [Vec2; 2] = std::array::from_fn(|eye| {
        let change =
            features::GAZE[eye].map(|feature| features::measure(feature, points) - features::measure(feature, resting));
        Vec2::from(change) / driver_widths[eye]
    });
    let changes: [f32; N_COEFFICIENTS] = std::array::from_fn(|c| driver.expressed()[c] - driver.rest()[c]);
    let inwards = EYES.map(|[inner, outer, ..]| changes[inner] - changes[outer]);
    let down = EYES.map(|[.., down, up]| 0.5 * (changes[down] - changes[up]));
    // Inwards is to the picture's right for the right eye and to its left for the left one.
    let by_coefficients = Vec2::new(0.5 * (inwards[0] - inwards[1]), down[0] + down[1]) / COEFFICIENT_WAY;
    let by_irises = 0.5 * (moved[0] + moved[1]) / IRIS_WAY;
    let looks = (0.5 * (by_coefficients + by_irises)).clamp_length_max(0.9);

    let share = heads.eye_contact.clamp(0.0, 1.0);
    let driven = strength * (1.0 - share);
    let turn = heads.portrait.inverse() * heads.driver;
    let wanted = (turn * direction(looks)).truncate();
    let at_viewer = (heads.portrait.inverse() * Vec3::NEG_Z).truncate();
    let more = driven.min(1.0) * ((wanted - looks) * TRUE_SHARE).clamp_length_max(MAX_TURN)
        + share * (at_viewer * TRUE_SHARE).clamp_length_max(MAX_TURN);

    // Eyes cross as far as the driver's do: what is more is asked of both alike.
    let crossed = moved[0].x - moved[1].x;
    for (eye, pair) in features::GAZE.iter().enumerate() {
        let side = if eye == 0 { 1.0 } else { -1.0 };
        let together = moved[eye] - Vec2::new(0.5 * side * crossed, 0.0);
        let change = GAZE_EMPHASIS * (driven * together + more * IRIS_WAY);
        let change = (change + Vec2::new(0.5 * driven * side * crossed, 0.0)) * widths[eye];
        for (&feature, change) in pair.iter().zip(change.to_array()) {
            goal.features[feature] = features::measure(feature, base) + change;
            goal.feature_importance[feature] = GAZE_IMPORTANCE;
        }
    }
    let crossed = 0.5 * (inwards[0] + inwards[1]);
    for (eye, [inner, outer, down, up]) in EYES.into_iter().enumerate() {
        let side = if eye == 0 { 1.0 } else { -1.0 };
        for c in [inner, outer, down, up] {
            goal.coefficients[c] = portrait.coefficients()[c] + driven * GAZE_EMPHASIS * changes[c];
        }
        let more = GAZE_EMPHASIS * more * COEFFICIENT_WAY;
        let inwards = side * more.x - driven * (GAZE_EMPHASIS - 1.0) * crossed;
        shift(&mut goal.coefficients, [inner, outer], inwards);
        shift(&mut goal.coefficients, [down, up], more.y);
    }
}

/// Where a face looks in camera space, as far as a tracker can tell; straight ahead is off by what is the person's own.
///
/// Measured on rendered people: 2.2 degrees of error sideways and 3.4 up and down in the mean, a person's own zero aside.
#[cfg(feature = "train")]
pub(crate) fn gaze_of(face: &FaceObservation) -> Vec3 {
    let shape = FaceShape::new(&face.landmarks_px, &face.pose);
    let widths = features::eye_widths(&shape.points);
    let mut irises = Vec2::ZERO;
    for (pair, width) in features::GAZE.iter().zip(widths) {
        irises += 0.5 * Vec2::from(pair.map(|feature| features::measure(feature, &shape.points))) / width;
    }
    let seen = &face.coefficients;
    let inwards = EYES.map(|[inner, outer, ..]| seen[inner] - seen[outer]);
    let down = EYES.map(|[.., down, up]| seen[down] - seen[up]);
    let coefficients = 0.5 * Vec2::new(inwards[0] - inwards[1], down[0] + down[1]);
    let sines = Vec2::new(0.515, 0.69) * coefficients + Vec2::new(0.086, 1.56) * irises;
    shape.rotation * direction(sines.clamp_length_max(0.9))
}

/// Whether a coefficient says where an eye looks.
pub(super) fn is_gaze(coefficient: usize) -> bool {
    EYES.iter().flatten().any(|&c| c == coefficient)
}

/// Puts the irises of `shape` where they are between the corners of the eyes of `rested`.
pub(super) fn rest_irises(rested: &Points, shape: &mut Points) {
    for (eye, (irises, corners)) in [(468..473, [33, 133]), (473..478, [362, 263])].into_iter().enumerate() {
        let middle = |points: &Points| (points[corners[0]] + points[corners[1]]) * 0.5;
        let scale = features::eye_widths(shape)[eye] / features::eye_widths(rested)[eye];
        let (from, to) = (middle(rested), middle(shape));
        for i in irises {
            shape[i] = to + (rested[i] - from) * scale;
        }
    }
}

/// Where an eye looks in head space whose sines to the picture's right and down are these.
fn direction(sines: Vec2) -> Vec3 {
    sines.extend(-(1.0 - sines.length_squared()).max(0.0).sqrt())
}

/// Lets the first of two opposites gain on the second: the second gives way first, as far as it can.
fn shift(coefficients: &mut [f32; N_COEFFICIENTS], [first, second]: [usize; 2], by: f32) {
    let (rising, falling) = if by >= 0.0 { (first, second) } else { (second, first) };
    let fall = (0.5 * by.abs()).min(coefficients[falling].max(0.0));
    coefficients[falling] -= fall;
    coefficients[rising] += by.abs() - fall;
    for c in [rising, falling] {
        coefficients[c] = coefficients[c].clamp(0.0, 1.0);
    }
}

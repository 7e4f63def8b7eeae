//! Where eyes look: drawing a portrait's to the viewer, and reading anybody's.

use glam::{Quat, Vec2, Vec3};

use super::{GAZE_EMPHASIS, Goal, RestingPortrait, features};
use crate::geometry::N_COEFFICIENTS;
#[cfg(feature = "train")]
use crate::geometry::{FaceObservation, FaceShape};

/// How far an iris goes for a sine of the eye's turn, in widths of the eye: measured on rendered people, and on portraits of
/// people who look into the camera with their heads turned (there 0.44 and 0.14).
const IRIS_WAY: Vec2 = Vec2::new(0.40, 0.15);
/// How far coefficients go for a sine of the eye's turn, inwards less outwards and down less up: measured likewise (sideways
/// 1.88 and 1.89).
const COEFFICIENT_WAY: Vec2 = Vec2::new(1.88, 1.11);
/// How much of a head's turn is one, sideways and up and down: in portraits the eyes make up for all of a turn, and for a
/// quarter of a nod, since most of what a tracker takes for a nod is the face's shape.
const TRUE_SHARE: Vec2 = Vec2::new(1.0, 0.25);
/// Eyes turn by no more than this sine towards the viewer.
const MAX_TURN: f32 = 0.4;

/// Coefficients of the right and the left eye: inwards, outwards, down, up.
const EYES: [[usize; 4]; 2] = [[14, 16, 12, 18], [13, 15, 11, 17]];

/// How far the gaze is drawn to the viewer, and from where.
#[derive(Clone, Copy, Debug)]
pub(in crate::drive) struct EyeContact {
    /// 0: eyes look where the driver's make them look. 1: always at the viewer.
    pub(in crate::drive) share: f32,
    /// Rotation of the portrait's head from looking into the camera, as it will be shown.
    pub(in crate::drive) head: Quat,
}

/// How much further each eye is asked to look than it shall be seen to, sideways, and up and down; right eye, left eye.
pub(super) fn emphasis(portrait: &RestingPortrait) -> [[f32; 2]; 2] {
    let of = |[a, b]: [usize; 2]| 0.5 * (portrait.emphasis()[a] + portrait.emphasis()[b]);
    EYES.map(|[inner, outer, down, up]| [of([inner, outer]), of([down, up])])
}

/// Draws the irises and the eyes' coefficients from where they are aimed to the viewer; does nothing without a share.
pub(super) fn meet_viewer(goal: &mut Goal, portrait: &RestingPortrait, contact: EyeContact) {
    let share = contact.share.clamp(0.0, 1.0);
    // A share that is not a number is none.
    if share.is_nan() || share == 0.0 {
        return;
    }
    let base = portrait.base();
    let viewer = (contact.head.inverse() * Vec3::NEG_Z).truncate();
    let turn = share * GAZE_EMPHASIS * (viewer * TRUE_SHARE).clamp_length_max(MAX_TURN);
    let iris = turn * IRIS_WAY;
    for (pair, width) in features::GAZE.iter().zip(features::eye_widths(base)) {
        for (&feature, way) in pair.iter().zip(iris.to_array()) {
            let rest = features::measure(feature, base);
            goal.features[feature] = rest + (1.0 - share) * (goal.features[feature] - rest) + way * width;
        }
    }
    let by = turn * COEFFICIENT_WAY;
    for (eye, [inner, outer, down, up]) in EYES.into_iter().enumerate() {
        for c in [inner, outer, down, up] {
            let rest = portrait.coefficients()[c];
            goal.coefficients[c] = rest + (1.0 - share) * (goal.coefficients[c] - rest);
        }
        // Inwards is to the picture's right for the right eye and to its left for the left one.
        let inwards = if eye == 0 { by.x } else { -by.x };
        shift(&mut goal.coefficients, [inner, outer], inwards);
        shift(&mut goal.coefficients, [down, up], by.y);
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
    let sines = sines.clamp_length_max(0.9);
    shape.rotation * sines.extend(-(1.0 - sines.length_squared()).max(0.0).sqrt())
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

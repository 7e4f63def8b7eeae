//! From the driver's face to the identity's: pose, displacement, and the two things that people see
//! at once when they are wrong, lids and lips.

use glam::{Quat, Vec2, Vec3};

use super::{DenseMotion, DrivingSignal, Neutral};
use crate::face::{FaceObservation, FaceShape, N_COEFFICIENTS, N_LANDMARKS};
use crate::frame::Grey;

type Points = [Vec3; N_LANDMARKS];

/// How far a portrait's head may turn from frontal, in radians: beyond, a photo has nothing to show.
const MAX_YAW_RADS: f32 = 0.70;
/// How far it may nod.
const MAX_PITCH_RADS: f32 = 0.50;
/// How far it may tilt from its own tilt.
const MAX_ROLL_RADS: f32 = 0.60;
/// How much larger the head may become: beyond, a portrait of 512 pixels looks soft.
const MAX_SCALE: f32 = 1.5;
/// How far a point may be displaced, in face widths: an open jaw moves the chin by 0.5.
const MAX_DISPLACEMENT: f32 = 0.7;
/// A driver's eye that is open by no more than this share of neutral is shut: the tracker never
/// reports less for a closed lid.
const SHUT_EYE: f32 = 0.35;
/// Inner lips closer than this touch, in face widths: the tracker's resolution.
const SHUT_MOUTH: f32 = 0.012;

/// How far a portrait's head can go without tearing itself off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    /// To either side, in face widths.
    sideways: f32,
    /// Up and down, in face widths.
    up: f32,
    down: f32,
    /// The smallest ratio of sizes.
    min_scale: f32,
}

impl Room {
    /// The room of a head that a neck joins to shoulders at rest.
    pub(super) fn of(matte: &Grey) -> Self {
        let top = matte.row(0);
        let n_person = top.iter().filter(|alpha| **alpha > 127).count();
        // Hair that the picture's border cuts off must stay there: beyond it there is nothing to show.
        let is_cut_off = n_person * 50 > top.len();
        let (down, min_scale) = if is_cut_off { (0.04, 0.97) } else { (0.30, 0.75) };
        Self { sideways: 0.45, up: 0.25, down, min_scale }
    }

    fn keep(&self, shift: Vec2) -> Vec2 {
        let vertical = if shift.y < 0.0 { self.up } else { self.down };
        Vec2::new(soft_limit(shift.x, self.sideways), soft_limit(shift.y, vertical))
    }
}

/// Columns of a lid: (upper, lower) rim, (upper, lower) fold; right eye, then left, as the person
/// has them.
const LIDS: [[[usize; 4]; 7]; 2] = [
    [
        [246, 7, 247, 25],
        [161, 163, 30, 110],
        [160, 144, 29, 24],
        [159, 145, 27, 23],
        [158, 153, 28, 22],
        [157, 154, 56, 26],
        [173, 155, 190, 112],
    ],
    [
        [466, 249, 467, 255],
        [388, 390, 260, 339],
        [387, 373, 259, 254],
        [386, 374, 257, 253],
        [385, 380, 258, 252],
        [384, 381, 286, 256],
        [398, 382, 414, 341],
    ],
];

/// Columns of the lips between the corners, from the inner rim outwards: upper lip, lower lip.
const LIPS: [[[usize; 4]; 2]; 9] = [
    [[191, 183, 184, 185], [95, 96, 77, 146]],
    [[80, 42, 74, 40], [88, 89, 90, 91]],
    [[81, 41, 73, 39], [178, 179, 180, 181]],
    [[82, 38, 72, 37], [87, 86, 85, 84]],
    [[13, 12, 11, 0], [14, 15, 16, 17]],
    [[312, 268, 302, 267], [317, 316, 315, 314]],
    [[311, 271, 303, 269], [402, 403, 404, 405]],
    [[310, 272, 304, 270], [318, 319, 320, 321]],
    [[415, 407, 408, 409], [324, 325, 307, 375]],
];

/// Mean opening of the right and left eye, in face widths.
pub(super) fn eye_openness(points: &Points) -> [f32; 2] {
    LIDS.map(|lids| lids[2..5].iter().map(|&[up, low, ..]| (points[low].y - points[up].y).max(0.0)).sum::<f32>() / 3.0)
}

/// Opening between the inner lips at the middle, in face widths.
pub(super) fn mouth_openness(points: &Points) -> f32 {
    LIPS[3..6].iter().map(|[up, low]| (points[low[0]].y - points[up[0]].y).max(0.0)).sum::<f32>() / 3.0
}

/// Motion from the driver's neutral, carried over to the identity.
pub(super) fn relative(
    identity: &FaceShape,
    room: Room,
    neutral: &Neutral,
    shape: &FaceShape,
    seen: &FaceObservation,
    strength: f32,
) -> DrivingSignal {
    let turn = shape.rotation * neutral.shape.rotation.inverse();
    let turn = Quat::IDENTITY.slerp(turn, strength.min(1.0)) * Quat::IDENTITY.slerp(turn, (strength - 1.0).max(0.0));
    let rotation = clamp_rotation(turn * identity.rotation) * identity.rotation.inverse();
    let shift = (shape.centre_px - neutral.shape.centre_px) / neutral.shape.width_px;
    let displacement: Points = std::array::from_fn(|i| (shape.points[i] - neutral.shape.points[i]) * strength);

    let mut signal = DrivingSignal {
        rotation: rotation.normalize(),
        translation: room.keep(shift),
        scale: (shape.width_px / neutral.shape.width_px).clamp(room.min_scale, MAX_SCALE),
        is_relative: true,
        displacement,
        eye_openness: [1.0; 2],
        mouth_openness: 0.0,
        coefficients: seen.coefficients,
        dense: DenseMotion::NONE,
    };
    let open = eye_openness(&shape.points);
    signal.eye_openness = std::array::from_fn(|eye| {
        let ratio = open[eye] / neutral.eye_openness[eye].max(1e-3);
        ((ratio - SHUT_EYE) / (1.0 - SHUT_EYE)).clamp(0.0, 1.6)
    });
    signal.mouth_openness = mouth_openness(&shape.points);
    fit_lids(identity, &mut signal);
    fit_lips(identity, &shape.points, &mut signal);
    limit(&mut signal);
    signal
}

/// The driver's pose and geometry as they are.
pub(crate) fn absolute(
    identity: &FaceShape,
    shape: &FaceShape,
    frame_size_px: (usize, usize),
    coefficients: &[f32; N_COEFFICIENTS],
) -> DrivingSignal {
    let (width, height) = (frame_size_px.0.max(1) as f32, frame_size_px.1.max(1) as f32);
    // A frame that is not square is cut to the square in its middle, as enrolment does.
    let side = width.min(height);
    let margin = (Vec2::new(width, height) - side) / 2.0;
    let open = eye_openness(&shape.points);
    let own = eye_openness(&identity.points);
    DrivingSignal {
        rotation: shape.rotation,
        translation: (shape.centre_px - margin.floor()) / side,
        scale: shape.width_px / side,
        is_relative: false,
        displacement: std::array::from_fn(|i| shape.points[i] - identity.points[i]),
        eye_openness: std::array::from_fn(|eye| (open[eye] / own[eye].max(1e-3)).clamp(0.0, 1.6)),
        mouth_openness: mouth_openness(&shape.points),
        coefficients: *coefficients,
        dense: DenseMotion::NONE,
    }
}

/// Moves the identity's lids so far that they are open as asked, whatever the two eyes' proportions.
fn fit_lids(identity: &FaceShape, signal: &mut DrivingSignal) {
    for (lids, openness) in LIDS.iter().zip(signal.eye_openness) {
        for &[up, low, up_fold, low_fold] in lids {
            let own = identity.points[low].y - identity.points[up].y;
            let is = own + signal.displacement[low].y - signal.displacement[up].y;
            let missing = own.max(0.0) * openness - is;
            // The upper lid does most of the way.
            signal.displacement[up].y -= 0.85 * missing;
            signal.displacement[low].y += 0.15 * missing;
            signal.displacement[up_fold].y -= 0.35 * missing;
            signal.displacement[low_fold].y += 0.05 * missing;
        }
    }
}

/// Moves the identity's lips so that they are as far apart as the driver's, and touch when those do.
fn fit_lips(identity: &FaceShape, driver: &Points, signal: &mut DrivingSignal) {
    let mouth_width = |p: &Points| p[61].distance(p[291]).max(1e-3);
    let ratio = (mouth_width(&identity.points) / mouth_width(driver)).clamp(0.5, 2.0);
    for [up, low] in LIPS {
        let wanted = ((driver[low[0]].y - driver[up[0]].y) - SHUT_MOUTH).max(0.0) * ratio;
        let is = identity.points[low[0]].y + signal.displacement[low[0]].y
            - identity.points[up[0]].y
            - signal.displacement[up[0]].y;
        let missing = wanted - is;
        // A lip moves whole, so that it keeps its thickness; the lower one follows the jaw.
        for i in up {
            signal.displacement[i].y -= 0.3 * missing;
        }
        for i in low {
            signal.displacement[i].y += 0.7 * missing;
        }
    }
}

/// Keeps what a portrait cannot carry away from it.
fn limit(signal: &mut DrivingSignal) {
    for point in &mut signal.displacement {
        // A point that is not a number must not reach the warp.
        *point = if point.is_finite() { point.clamp_length_max(MAX_DISPLACEMENT) } else { Vec3::ZERO };
    }
}

/// Bends a rotation back into what a portrait can show, softly, so that nothing stops with a jolt.
fn clamp_rotation(rotation: Quat) -> Quat {
    let (yaw, pitch, roll) = rotation.to_euler(glam::EulerRot::YXZ);
    Quat::from_euler(
        glam::EulerRot::YXZ,
        soft_limit(yaw, MAX_YAW_RADS),
        soft_limit(pitch, MAX_PITCH_RADS),
        soft_limit(roll, MAX_ROLL_RADS),
    )
}

/// Equal to `x` up to three quarters of `limit`, and never beyond `limit`.
fn soft_limit(x: f32, limit: f32) -> f32 {
    let knee = 0.75 * limit;
    let room = limit - knee;
    let beyond = x.abs() - knee;
    if beyond <= 0.0 { x } else { x.signum() * (knee + room * (beyond / room).tanh()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::HeadPose;

    /// A face with eyes and lips open by the given amounts; all other points spread out.
    fn face(eye: f32, mouth: f32) -> FaceShape {
        let mut points: Points = std::array::from_fn(|i| {
            let t = i as f32;
            Vec3::new((t * 0.7).sin() * 0.5, (t * 1.3).cos() * 0.7, 0.1)
        });
        for lids in LIDS {
            for [up, low, ..] in lids {
                (points[up].y, points[low].y) = (-0.1 - eye / 2.0, -0.1 + eye / 2.0);
            }
        }
        for [up, low] in LIPS {
            for i in up {
                points[i].y = 0.5 - mouth / 2.0;
            }
            for i in low {
                points[i].y = 0.5 + mouth / 2.0;
            }
        }
        (points[61], points[291]) = (Vec3::new(-0.25, 0.5, 0.0), Vec3::new(0.25, 0.5, 0.0));
        FaceShape { centre_px: Vec2::new(320.0, 240.0), width_px: 100.0, rotation: Quat::IDENTITY, points }
    }

    fn seen() -> FaceObservation {
        FaceObservation { frame_size_px: (640, 480), pose: HeadPose::default(), ..FaceObservation::default() }
    }

    fn driven(identity: &FaceShape, neutral: &FaceShape, now: &FaceShape) -> (DrivingSignal, Points) {
        let room = Room::of(&Grey::new(8, 8));
        let signal = relative(identity, room, &Neutral::new(neutral, &seen(), None), now, &seen(), 1.0);
        let points = std::array::from_fn(|i| identity.points[i] + signal.displacement[i]);
        (signal, points)
    }

    #[test]
    fn a_smiling_portrait_closes_its_mouth_when_the_driver_does() {
        let (signal, points) = driven(&face(0.1, 0.15), &face(0.1, 0.0), &face(0.1, 0.0));
        assert!(mouth_openness(&points) < 1e-3, "still open by {}", mouth_openness(&points));
        assert!(signal.mouth_openness < 1e-3);
    }

    #[test]
    fn a_mouth_opens_as_far_as_the_drivers() {
        let (_, points) = driven(&face(0.1, 0.0), &face(0.1, 0.0), &face(0.1, 0.3));
        assert!((mouth_openness(&points) - 0.3).abs() < 0.02, "open by {}", mouth_openness(&points));
    }

    #[test]
    fn wide_eyes_shut_fully_when_narrow_ones_blink() {
        let (signal, points) = driven(&face(0.2, 0.0), &face(0.1, 0.0), &face(0.025, 0.0));
        assert_eq!(signal.eye_openness, [0.0; 2]);
        assert!(eye_openness(&points).iter().all(|open| *open < 1e-3));
    }

    #[test]
    fn a_still_driver_leaves_the_portrait_as_it_is() {
        let (signal, _) = driven(&face(0.12, 0.0), &face(0.1, 0.0), &face(0.1, 0.0));
        assert!(signal.displacement.iter().all(|d| d.length() < 1e-4));
        assert_eq!((signal.translation, signal.scale), (Vec2::ZERO, 1.0));
    }

    #[test]
    fn absolute_motion_gives_the_drivers_points() {
        let (identity, driver) = (face(0.2, 0.1), face(0.1, 0.3));
        let signal = absolute(&identity, &driver, (640, 480), &seen().coefficients);
        for i in 0..N_LANDMARKS {
            assert!((identity.points[i] + signal.displacement[i]).distance(driver.points[i]) < 1e-5);
        }
        assert_eq!(signal.translation, Vec2::new((320.0 - 80.0) / 480.0, 0.5));
    }

    #[test]
    fn a_head_stays_on_its_shoulders_and_cut_hair_at_the_border() {
        let cut_off = Grey::from_data(8, 8, vec![255; 64]).unwrap();
        for (matte, down) in [(Grey::new(8, 8), 0.30), (cut_off, 0.04)] {
            let room = Room::of(&matte);
            for shift in [Vec2::new(3.0, 3.0), Vec2::new(-3.0, -3.0)] {
                let kept = room.keep(shift);
                assert!(kept.x.abs() <= 0.45 && kept.y <= down && kept.y >= -0.25, "{kept}");
            }
            assert_eq!(room.keep(Vec2::new(0.1, 0.02)), Vec2::new(0.1, 0.02), "small motion is as it is");
        }
    }

    #[test]
    fn limits_are_soft_and_hold() {
        assert_eq!(soft_limit(0.3, 0.7), 0.3);
        assert!(soft_limit(2.0, 0.7) <= 0.7 && soft_limit(-2.0, 0.7) >= -0.7);
        assert!((soft_limit(0.526, 0.7) - 0.526).abs() < 1e-3, "no step at the knee");
    }
}

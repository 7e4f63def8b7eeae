//! Faces of the demo, driven by each other: what is expressed, and what must never happen to lids and lips.

use glam::{Quat, Vec2};

use super::space::{ExpressionSpace, N_MODES, Reading, strength};
use super::touch::{LIDS, LIPS};
use super::*;
use crate::clock::Timestamp;
use crate::face::{FaceTracker, read_expression};
use crate::geometry::FaceShape;
use crate::photo;

const JAW_OPEN: usize = 25;
const SMILE: [usize; 2] = [44, 45];

/// Eyes look where the driver's make them look.
const NO_CONTACT: EyeContact = EyeContact { share: 0.0, head: Quat::IDENTITY };

/// The points of a demo portrait in head space.
fn face(name: &str) -> Box<Points> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name);
    let picture = photo::read(&path).unwrap();
    let mut tracker = FaceTracker::new(Default::default()).unwrap();
    let seen = tracker.find_faces(&picture).unwrap().remove(0).observation;
    Box::new(FaceShape::new(&seen.landmarks_px, &seen.pose).points)
}

/// A face moved along the modes until it expresses `wanted`, everything else at rest.
fn with(points: &Points, wanted: &[(usize, f32)]) -> Box<Points> {
    let prior = Prior::new();
    let mut goal = Goal { coefficients: prior.rest, ..Goal::default() };
    goal.importance[0] = 0.0;
    for &(coefficient, value) in wanted {
        goal.coefficients[coefficient] = value;
    }
    let mut moved = Box::new(*points);
    Solver::new().unwrap().solve(&goal, 20, &mut moved);
    moved
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// A face that looks into the camera, with its middle at `x_px`.
fn shape(points: &Points, x_px: f32) -> FaceShape {
    FaceShape { centre_px: Vec2::new(x_px, 240.0), width_px: 100.0, rotation: Quat::IDENTITY, points: *points }
}

/// Drives a portrait with the given faces, 40 ms apart, and gives its points for the last.
fn driven(portrait: &Points, faces: &[&Points]) -> Box<Points> {
    let portrait = RestingPortrait::new(portrait, None, 0.0).unwrap();
    let mut driver = RestingDriver::new().unwrap();
    let mut retargeter = Retargeter::new().unwrap();
    let mut last = Box::new(*portrait.base());
    for (i, face) in faces.iter().enumerate() {
        let _ = driver.update(&shape(face, 320.0), true, at(i as u64 * 40));
        *last = *retargeter.drive(&portrait, &driver, &Strengths::default(), face, NO_CONTACT).points;
    }
    last
}

#[test]
fn the_distilled_network_says_what_the_network_says() {
    let space = ExpressionSpace::built_in().unwrap();
    let mut reading = Box::<Reading>::default();
    for name in ["portrait_a.png", "portrait_b.png", "portrait_c.png"] {
        let rest = face(name);
        for points in [rest.clone(), with(&rest, &[(JAW_OPEN, 0.6)]), with(&rest, &[(SMILE[0], 0.9), (SMILE[1], 0.9)])]
        {
            space.read(&points, &mut reading);
            let truth = read_expression(&points.map(|p| p * 150.0 + Vec3::new(256.0, 256.0, 0.0))).unwrap();
            let apart = reading.logits.map(strength).iter().zip(truth).map(|(a, b)| (a - b).abs()).sum::<f32>() / 52.0;
            assert!(apart < 0.015, "{name}: {apart} apart in the mean");
        }
    }
}

#[test]
fn the_derivative_is_that_of_finite_differences() {
    let space = ExpressionSpace::built_in().unwrap();
    let points = face("portrait_b.png");
    let mut reading = Box::<Reading>::default();
    space.read(&points, &mut reading);
    space.differentiate(&mut reading);
    let mut other = Box::<Reading>::default();
    const STEP: f32 = 0.02;
    for k in (0..N_MODES).step_by(3) {
        let moved =
            |way: f32| -> Box<Points> { Box::new(std::array::from_fn(|i| points[i] + space.modes()[k][i] * way)) };
        space.read(&moved(STEP), &mut other);
        let ahead = other.logits;
        space.read(&moved(-STEP), &mut other);
        for (c, (ahead, behind)) in ahead.iter().zip(other.logits).enumerate() {
            if reading.logits[c].abs() > 6.5 {
                continue;
            }
            let numeric = (ahead - behind) / (2.0 * STEP);
            let exact = reading.jacobian[c][k];
            assert!((numeric - exact).abs() < 0.02 + 0.03 * numeric.abs(), "{c}, mode {k}: {exact}, numeric {numeric}");
        }
    }
}

#[test]
fn a_smile_arrives_on_another_face_and_a_smiling_photo_rests() {
    let (driver, portrait) = (face("portrait_a.png"), face("portrait_b.png"));
    let rest = with(&driver, &[]);
    let smile = with(&driver, &[(SMILE[0], 0.8), (SMILE[1], 0.8)]);
    let photo = with(&portrait, &[(SMILE[0], 0.9), (SMILE[1], 0.9), (JAW_OPEN, 0.2)]);
    let mut solver = Solver::new().unwrap();
    assert!(solver.read(&photo)[SMILE[0]] > 0.6, "the photo smiles");
    let resting = solver.read(&driven(&photo, &[&*rest; 8]));
    assert!(SMILE.iter().all(|&c| resting[c] < 0.15), "still smiles: {:?}", SMILE.map(|c| resting[c]));
    let frames: Vec<&Points> = (0..12).map(|i| if i < 6 { &*rest } else { &*smile }).collect();
    let smiling = solver.read(&driven(&photo, &frames));
    assert!(SMILE.iter().all(|&c| smiling[c] > 0.6), "no smile: {:?}", SMILE.map(|c| smiling[c]));
}

#[test]
fn a_clip_that_begins_with_an_open_mouth_is_right_at_once() {
    let (driver, portrait) = (face("portrait_c.png"), face("portrait_a.png"));
    let open = with(&driver, &[(JAW_OPEN, 0.6)]);
    let mut solver = Solver::new().unwrap();
    let expressed = solver.read(&driven(&portrait, &[&open]));
    assert!(expressed[JAW_OPEN] > 0.45, "the jaw is open by {}", expressed[JAW_OPEN]);
    let rest = with(&driver, &[]);
    let expressed = solver.read(&driven(&portrait, &[&open, &open, &open, &rest, &rest, &rest, &rest, &rest]));
    assert!(expressed[JAW_OPEN] < 0.12, "the jaw stays open by {}", expressed[JAW_OPEN]);
}

#[test]
fn lips_that_touch_touch_and_lids_that_shut_shut() {
    let (driver, portrait) = (face("portrait_b.png"), face("portrait_c.png"));
    let mut shut = with(&driver, &[]);
    for lids in LIDS {
        for [up, low, ..] in lids {
            shut[up].y = shut[low].y - 0.01;
        }
    }
    for [up, low] in LIPS {
        shut[low[0]].y = shut[up[0]].y;
    }
    let rest = with(&driver, &[]);
    let points = driven(&portrait, &[&rest, &rest, &rest, &rest, &shut, &shut]);
    for eye in features::LIDS {
        assert!(features::measure(eye, &points) < 0.01, "a lid is open by {}", features::measure(eye, &points));
    }
    for lips in features::LIPS {
        assert!(features::measure(lips, &points).abs() < 0.01, "lips gape by {}", features::measure(lips, &points));
    }
}

#[test]
fn a_part_without_strength_stays_at_rest() {
    let (driver, photo) = (face("portrait_a.png"), face("portrait_b.png"));
    let (rest, open) = (with(&driver, &[]), with(&driver, &[(JAW_OPEN, 0.6)]));
    let portrait = RestingPortrait::new(&photo, None, 0.0).unwrap();
    let mut solver = Solver::new().unwrap();
    let mut jaw = |mouth: f32| {
        let (mut resting, mut retargeter) = (RestingDriver::new().unwrap(), Retargeter::new().unwrap());
        let strengths = Strengths { mouth, ..Strengths::default() };
        let mut opened = 0.0;
        for (i, face) in [&rest, &rest, &open, &open, &open].into_iter().enumerate() {
            let _ = resting.update(&shape(face, 320.0), true, at(i as u64 * 40));
            opened = solver.read(&retargeter.drive(&portrait, &resting, &strengths, face, NO_CONTACT).points)[JAW_OPEN];
        }
        opened
    };
    let (none, half, all) = (jaw(0.0), jaw(0.5), jaw(1.0));
    assert!(none < 0.1 && half > none + 0.1 && all > half + 0.1, "{none}, {half}, {all}");
}

#[test]
fn the_photos_expression_is_kept_as_far_as_is_asked() {
    let photo = with(&face("portrait_b.png"), &[(SMILE[0], 0.9), (SMILE[1], 0.9)]);
    let mut portrait = RestingPortrait::new(&photo, None, 1.0).unwrap();
    let apart = |a: &Points, b: &Points| a.iter().zip(b).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
    assert!(apart(portrait.base(), &photo) < 1e-5);
    portrait.keep_expression(0.0);
    assert!(Solver::new().unwrap().read(portrait.base())[SMILE[0]] < 0.15);
}

#[test]
fn somebody_else_is_noticed_within_half_a_second_and_a_grimace_is_not() {
    let (one, other) = (face("portrait_a.png"), face("portrait_b.png"));
    let grimace = with(&one, &[(JAW_OPEN, 0.8), (SMILE[0], 0.7), (SMILE[1], 0.7)]);
    let mut driver = RestingDriver::new().unwrap();
    let mut millis = 0;
    let mut see = |driver: &mut RestingDriver, face: &Points, x_px: f32| {
        millis += 40;
        driver.update(&shape(face, x_px), true, at(millis))
    };
    for i in 0..60 {
        let face = if i % 20 < 8 { &grimace } else { &one };
        assert_eq!(see(&mut driver, face, 320.0), Noticed::Same, "frame {i}");
    }
    // The clip cuts: the face is elsewhere from one frame to the next.
    for _ in 0..20 {
        assert_eq!(see(&mut driver, &one, 240.0), Noticed::Same, "a cut alone is nobody else");
    }
    let noticed = (0..12).position(|_| see(&mut driver, &other, 400.0) == Noticed::Other);
    assert!(noticed.is_some(), "another face is taken for the same");
    let apart = |driver: &RestingDriver| {
        driver.shape().iter().zip(other.iter()).map(|(a, b)| a.distance_squared(*b)).sum::<f32>() / N_LANDMARKS as f32
    };
    assert!(apart(&driver).sqrt() < 0.03, "the estimate began anew: {}", apart(&driver).sqrt());
}

#[test]
fn a_driver_who_smiles_at_rest_can_say_so() {
    let (driver, photo) = (face("portrait_a.png"), face("portrait_b.png"));
    let smiling = with(&driver, &[(SMILE[0], 0.4), (SMILE[1], 0.4)]);
    let portrait = RestingPortrait::new(&photo, None, 0.0).unwrap();
    let (mut resting, mut retargeter) = (RestingDriver::new().unwrap(), Retargeter::new().unwrap());
    let mut solver = Solver::new().unwrap();
    let mut smile = |is_chosen: bool| {
        if is_chosen {
            resting.calibrate();
        }
        for i in 0..6 {
            let _ = resting.update(&shape(&smiling, 320.0), true, at(i * 40));
            let _ = retargeter.drive(&portrait, &resting, &Strengths::default(), &smiling, NO_CONTACT);
        }
        solver.read(&retargeter.driven.points)[SMILE[0]]
    };
    let (before, after) = (smile(false), smile(true));
    assert!(before > 0.25 && after < 0.15, "{before} before C, {after} after");
}

#[test]
fn points_that_are_no_numbers_do_no_harm() {
    let (driver, portrait) = (face("portrait_a.png"), face("portrait_b.png"));
    let mut torn = driver.clone();
    torn[14] = Vec3::NAN;
    let points = driven(&portrait, &[&*driver, &torn, &torn, &driver, &driver]);
    assert!(points.iter().all(|point| point.is_finite()));
    let calm = driven(&portrait, &[&*driver; 5]);
    let apart = points.iter().zip(calm.iter()).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
    assert!(apart < 0.1, "a torn frame is remembered: {apart}");
}

/// Where the irises of a portrait lie between the corners of the eyes, sideways in widths of the eye: of a driver who looks
/// straight, then to the picture's right, first as it is and then with as much eye contact.
fn irises(portrait: &Points, driver: &Points, contact: EyeContact) -> f32 {
    let portrait = RestingPortrait::new(portrait, None, 0.0).unwrap();
    let aside = with(driver, &[(14, 0.7), (15, 0.7), (13, 0.0), (16, 0.0)]);
    let (mut resting, mut retargeter) = (RestingDriver::new().unwrap(), Retargeter::new().unwrap());
    for (i, face) in [driver, driver, &aside, &aside, &aside, &aside].into_iter().enumerate() {
        let _ = resting.update(&shape(face, 320.0), true, at(i as u64 * 40));
        let _ = retargeter.drive(&portrait, &resting, &Strengths::default(), face, contact);
    }
    let points = &retargeter.driven.points;
    let change = |eye: usize| {
        let sideways = features::GAZE[eye][0];
        let moved = features::measure(sideways, points) - features::measure(sideways, portrait.base());
        moved / features::eye_widths(portrait.base())[eye]
    };
    0.5 * (change(0) + change(1))
}

#[test]
fn eye_contact_draws_the_gaze_from_the_drivers_to_the_viewer() {
    let (portrait, driver) = (face("portrait_a.png"), face("portrait_b.png"));
    let of = |share: f32, head: Quat| irises(&portrait, &driver, EyeContact { share, head });
    let free = of(0.0, Quat::IDENTITY);
    assert!(free > 0.05, "the driver looks aside, the portrait with them: {free}");
    assert_eq!(free, of(0.0, Quat::from_rotation_y(0.3)), "without a share the head's turn makes no difference");
    let half = of(0.5, Quat::IDENTITY);
    assert!((0.3..0.7).contains(&(half / free)), "{half} of {free}");
    let met = of(1.0, Quat::IDENTITY);
    assert!(met.abs() < 0.25 * free, "{met} of {free}");
    // A head that is turned to one side looks at the viewer out of the other corner.
    for turn in [-0.25_f32, 0.25] {
        let head = Quat::from_rotation_y(turn);
        let viewer = (head.inverse() * Vec3::NEG_Z).x;
        let met = of(1.0, head);
        assert!((0.2..1.0).contains(&(met / viewer)), "{met} for a sine of {viewer}");
    }
}

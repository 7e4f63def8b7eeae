use super::*;
use glam::{Mat3, Vec3};

/// A frontal face of `height_px` in the middle of a picture of one grey.
fn scene(grey: u8, height_px: f32) -> (Rgb, FaceObservation) {
    let picture = Rgb::from_data(640, 480, vec![grey; 640 * 480 * 3]).unwrap();
    let mut face = FaceObservation { frame_size_px: (640, 480), presence: 0.98, ..FaceObservation::default() };
    // A head that looks into the camera.
    face.pose.camera_from_head = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    for (index, point) in face.landmarks_px.iter_mut().enumerate() {
        let angle = index as f32;
        *point = Vec3::new(320.0 + 0.4 * height_px * angle.cos(), 240.0 + 0.5 * height_px * angle.sin(), 0.0);
    }
    (picture, face)
}

/// What is said after `secs` of the same scene at 30 frames a second.
fn after(judge: &mut Judge, from: &mut f64, secs: f64, picture: &Rgb, face: Option<&FaceObservation>) -> Conditions {
    let mut conditions = Conditions::default();
    for _ in 0..(secs * 30.0) as usize {
        *from += 1.0 / 30.0;
        conditions = judge.judge(picture, face, Timestamp::from_nanos((*from * 1e9) as u64));
    }
    conditions
}

fn names(conditions: Conditions) -> Vec<&'static str> {
    conditions.troubles.iter().map(Trouble::name).collect()
}

#[test]
fn a_good_scene_is_trusted_and_nothing_is_said_of_it() {
    let (picture, face) = scene(150, 200.0);
    let conditions = after(&mut Judge::default(), &mut 0.0, 5.0, &picture, Some(&face));
    assert!(names(conditions).is_empty() && (conditions.confidence - 0.98).abs() < 1e-3, "{conditions:?}");
}

#[test]
fn each_trouble_is_named_and_costs_confidence() {
    let turned = |yaw_degrees: f32, pitch_degrees: f32| {
        let (picture, mut face) = scene(150, 200.0);
        let turn = Mat3::from_rotation_y(yaw_degrees.to_radians()) * Mat3::from_rotation_x(pitch_degrees.to_radians());
        face.pose.camera_from_head = turn * face.pose.camera_from_head;
        (picture, face)
    };
    let moved = |by_px: f32| {
        let (picture, mut face) = scene(150, 200.0);
        face.landmarks_px.iter_mut().for_each(|point| point.x += by_px);
        (picture, face)
    };
    let unsure = {
        let (picture, mut face) = scene(150, 200.0);
        face.presence = 0.55;
        (picture, face)
    };
    for ((picture, face), expected) in [
        (scene(20, 200.0), "dark"),
        (scene(255, 200.0), "glare"),
        (scene(150, 40.0), "far"),
        (moved(290.0), "cut-off"),
        (turned(55.0, 0.0), "turned"),
        (turned(-55.0, 0.0), "turned"),
        (turned(0.0, 45.0), "nodding"),
        (unsure, "covered"),
    ] {
        let conditions = after(&mut Judge::default(), &mut 0.0, 4.0, &picture, Some(&face));
        assert_eq!(names(conditions), [expected]);
        assert!(conditions.confidence < 0.6, "{expected}: {}", conditions.confidence);
    }
}

#[test]
fn a_moment_is_not_told_and_what_was_told_stays_until_it_is_mended() {
    let (mut judge, mut now) = (Judge::default(), 0.0);
    let (fine, face) = scene(150, 200.0);
    let (dark, _) = scene(20, 200.0);
    let (dim, _) = scene(45, 200.0);
    after(&mut judge, &mut now, 3.0, &fine, Some(&face));
    assert!(names(after(&mut judge, &mut now, 1.0, &dark, Some(&face))).is_empty());
    assert!(names(after(&mut judge, &mut now, 3.0, &fine, Some(&face))).is_empty());
    assert_eq!(names(after(&mut judge, &mut now, 4.0, &dark, Some(&face))), ["dark"]);
    // A little more light is not enough: a word that comes and goes helps nobody.
    assert_eq!(names(after(&mut judge, &mut now, 5.0, &dim, Some(&face))), ["dark"]);
    assert_eq!(names(after(&mut judge, &mut now, 1.0, &fine, Some(&face))), ["dark"]);
    assert!(names(after(&mut judge, &mut now, 3.0, &fine, Some(&face))).is_empty());
}

#[test]
fn darkness_is_named_where_nobody_is_seen() {
    let (dark, _) = scene(12, 200.0);
    let conditions = after(&mut Judge::default(), &mut 0.0, 4.0, &dark, None);
    assert_eq!((names(conditions), conditions.confidence), (vec!["dark"], 0.0));
    let (fine, _) = scene(150, 200.0);
    assert!(names(after(&mut Judge::default(), &mut 0.0, 4.0, &fine, None)).is_empty());
}

#[test]
fn motion_without_a_picture_is_not_judged_by_its_light() {
    let (_, face) = scene(0, 30.0);
    let conditions = after(&mut Judge::default(), &mut 0.0, 4.0, &Rgb::default(), Some(&face));
    assert_eq!((names(conditions), conditions.confidence), (vec![], 0.98));
}

#[test]
fn conditions_fit_into_one_word() {
    let troubles = Trouble::ALL.into_iter().fold(Troubles::default(), |all, one| all.with(one, true));
    for conditions in [
        Conditions::default(),
        Conditions { confidence: 1.0, troubles },
        Conditions { confidence: 0.25, troubles: Troubles::default().with(Trouble::Load, true) },
    ] {
        assert_eq!(Conditions::from_bits(conditions.to_bits()), conditions);
    }
    assert!(Trouble::ALL.iter().all(|one| one.advice().is_ascii() && !one.advice().ends_with('.')));
}

#[test]
fn points_that_are_no_numbers_or_outside_do_no_harm() {
    let (picture, mut face) = scene(150, 200.0);
    face.landmarks_px[7] = Vec3::NAN;
    face.landmarks_px[8] = Vec3::new(-1e9, 1e9, 0.0);
    let conditions = after(&mut Judge::default(), &mut 0.0, 1.0, &picture, Some(&face));
    assert!(conditions.confidence.is_finite());
}

//! What moves beside the mesh is measured: on real pictures of the demo's people, changed by hand.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use effigy::clock::Timestamp;
use effigy::drive::DenseMotion;
use effigy::face::{FaceShape, FaceTracker, TrackerOptions};
use effigy::flow::DenseTracker;
use effigy::geometry::FINE_MESH;
use effigy::{FaceObservation, RawFrame, Rgb};
use glam::Vec2;

/// A portrait, and the face in it.
struct Scene {
    picture: Rgb,
    face: FaceObservation,
    shape: FaceShape,
}

impl Scene {
    fn new(which: usize) -> Self {
        let photo = image::load_from_memory(effigy::demo::PORTRAITS[which].1).unwrap().to_rgb8();
        let picture = Rgb::from_data(photo.width() as usize, photo.height() as usize, photo.into_raw()).unwrap();
        let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
        let mut face = FaceObservation::default();
        assert!(tracker.observe(&RawFrame::new(picture.clone(), Timestamp::default()), &mut face).unwrap());
        let shape = FaceShape::new(&face.landmarks_px, &face.pose);
        Self { picture, face, shape }
    }

    /// The picture, each pixel of it from `shift` face widths beside; places are in face widths from the head's centre.
    fn moved(&self, shift: impl Fn(Vec2) -> Vec2) -> Rgb {
        let (mut out, width) = (self.picture.clone(), self.picture.width_px());
        let last = Vec2::splat((width - 2) as f32);
        for (i, pixel) in out.data_mut().as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let at = Vec2::new((i % width) as f32, (i / width) as f32);
            let place = (at + 0.5 - self.shape.centre_px) / self.shape.width_px;
            let from = (at - shift(place) * self.shape.width_px).clamp(Vec2::ZERO, last);
            let (corner, t) = (from.floor(), from - from.floor());
            let of = |x: usize, y: usize| self.picture.pixel(corner.x as usize + x, corner.y as usize + y);
            *pixel = std::array::from_fn(|c| {
                let row = |y| f32::from(of(0, y)[c]) * (1.0 - t.x) + f32::from(of(1, y)[c]) * t.x;
                (row(0) * (1.0 - t.y) + row(1) * t.y).round() as u8
            });
        }
        out
    }

    /// What is measured on a picture after the portrait itself.
    fn measured(&self, picture: Rgb) -> Box<DenseMotion> {
        let frames = [(&self.picture, &self.face), (&picture, &self.face)];
        played(&frames).pop().unwrap()
    }
}

/// What is measured on each of the frames, 40 ms apart.
fn played(frames: &[(&Rgb, &FaceObservation)]) -> Vec<Box<DenseMotion>> {
    let (mut tracker, mut motion) = (DenseTracker::new().unwrap(), Box::new(DenseMotion::NONE));
    let frames = (0..).step_by(40_000_000).zip(frames);
    let measured = frames.map(|(nanos, (picture, face))| {
        let frame = RawFrame::new((*picture).clone(), Timestamp::from_nanos(nanos));
        tracker.observe(&frame, Some(face), &mut motion).unwrap();
        motion.clone()
    });
    measured.collect()
}

/// The longest shift, in face widths.
fn longest(motion: &DenseMotion) -> f32 {
    motion.points.iter().chain(&motion.around).map(|shift| shift.length()).fold(0.0, f32::max)
}

/// The grid's mean shift in a box of places.
fn mean(motion: &DenseMotion, low: Vec2, high: Vec2) -> Vec2 {
    let cell = |i: usize| Vec2::new((i % DenseMotion::N) as f32 + 0.5, (i / DenseMotion::N) as f32 + 0.5);
    let place = |i: usize| (cell(i) / DenseMotion::N as f32 * 2.0 - 1.0) * DenseMotion::REACH;
    let inside = (0..motion.around.len()).filter(|&i| place(i).cmpge(low).all() && place(i).cmple(high).all());
    let shifts: Vec<Vec2> = inside.map(|i| motion.around[i]).collect();
    shifts.iter().sum::<Vec2>() / shifts.len() as f32
}

/// Above the eyes, where hair meets the forehead and what is behind.
const HAIR: [Vec2; 2] = [Vec2::new(-0.7, -1.4), Vec2::new(0.7, -0.8)];

#[test]
fn a_driver_who_sits_still_moves_nothing() {
    for which in 0..3 {
        let scene = Scene::new(which);
        let motion = scene.measured(scene.picture.clone());
        assert!(longest(&motion) < 0.01, "{}: {} face widths", effigy::demo::PORTRAITS[which].0, longest(&motion));
    }
}

#[test]
fn hair_that_moves_beside_the_mesh_is_followed() {
    for which in 0..3 {
        let scene = Scene::new(which);
        let true_shift = Vec2::new(0.05, 0.0);
        // In full above the forehead, not at all from the brows down.
        let motion = scene.measured(scene.moved(|place| true_shift * ((-0.4 - place.y) / 0.3).clamp(0.0, 1.0)));
        let found = mean(&motion, HAIR[0], HAIR[1]);
        let who = effigy::demo::PORTRAITS[which].0;
        assert!(found.distance(true_shift) < 0.025, "{who}: {found} is not {true_shift}");
        let cheeks = mean(&motion, Vec2::new(-0.4, 0.2), Vec2::new(0.4, 0.6));
        assert!(cheeks.length() < 0.01, "{who}: cheeks {cheeks}");
    }
}

#[test]
fn eyes_that_the_tracker_misplaces_are_put_right_by_little_and_the_mouth_is_left_to_it() {
    let scene = Scene::new(0);
    let true_shift = Vec2::new(0.0, 0.012);
    let motion = scene.measured(scene.moved(|_| true_shift));
    for lid in [159, 145, 386, 374] {
        assert!(motion.points[lid].y > 0.5 * true_shift.y, "{lid}: {}", motion.points[lid]);
    }
    let far = scene.measured(scene.moved(|_| 5.0 * true_shift));
    assert!(far.points.iter().all(|shift| shift.length() < 0.0151), "no further than the tracker errs");
    for lip in [13, 14, 61, 291] {
        assert_eq!(far.points[lip], Vec2::ZERO);
    }
}

#[test]
fn what_covers_the_hair_is_not_taken_for_its_motion() {
    let scene = Scene::new(0);
    let mut covered = scene.picture.clone();
    let width = covered.width_px();
    for (i, pixel) in covered.data_mut().as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let at = Vec2::new((i % width) as f32, (i / width) as f32);
        let place = (at - scene.shape.centre_px) / scene.shape.width_px;
        if place.cmpge(HAIR[0]).all() && place.cmple(HAIR[1]).all() {
            // Stripes that no head has.
            *pixel = if (i % width / 6) % 2 == 0 { [255, 240, 60] } else { [10, 200, 250] };
        }
    }
    let found = longest(&scene.measured(covered));
    assert!(found < 0.02, "{found}");
}

/// The middle of a cheek, in face widths from the head's centre, and how far from it a spot reaches.
const CHEEK: Vec2 = Vec2::new(0.38, 0.32);
const SPOT: f32 = 0.2;

/// The scene's picture, each level of it times `ratio` of its place.
fn lit(scene: &Scene, ratio: impl Fn(Vec2) -> f32) -> Rgb {
    let (mut out, width) = (scene.picture.clone(), scene.picture.width_px());
    for (i, pixel) in out.data_mut().as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let at = Vec2::new((i % width) as f32, (i / width) as f32);
        let ratio = ratio((at + 0.5 - scene.shape.centre_px) / scene.shape.width_px);
        *pixel = pixel.map(|level| (f32::from(level) * ratio).round().min(255.0) as u8);
    }
    out
}

/// What was measured of light at the points that are so far from the cheek's middle, in face widths.
fn light(scene: &Scene, motion: &DenseMotion, far: std::ops::Range<f32>) -> Vec<f32> {
    let place = |i: usize| (scene.shape.rotation * FINE_MESH.between(i, &scene.shape.points)).truncate();
    (0..motion.light.len()).filter(|&i| far.contains(&place(i).distance(CHEEK))).map(|i| motion.light[i]).collect()
}

fn largest(light: &[f32]) -> f32 {
    light.iter().fold(0.0, |largest, light| light.abs().max(largest))
}

#[test]
fn a_shadow_on_a_cheek_is_measured_there_and_exposure_is_no_light() {
    for which in 0..3 {
        let (scene, who) = (Scene::new(which), effigy::demo::PORTRAITS[which].0);
        let motion = scene.measured(lit(&scene, |place| if place.distance(CHEEK) < SPOT { 0.85 } else { 1.0 }));
        let spot = light(&scene, &motion, 0.0..0.1);
        let mean = spot.iter().sum::<f32>() / spot.len() as f32;
        assert!(spot.len() > 10 && (-0.17..-0.1).contains(&mean), "{who}: {mean} of {} points", spot.len());
        assert!(largest(&light(&scene, &motion, 0.4..9.0)) < 0.03, "{who}");
        let exposed = scene.measured(lit(&scene, |_| 0.85));
        // The darkest places, where a level is a large share, aside.
        assert!(largest(&light(&scene, &exposed, 0.0..0.25)) < 0.03, "{who}");
    }
}

#[test]
fn a_hand_before_the_face_is_not_taken_for_shade() {
    for which in 0..3 {
        let scene = Scene::new(which);
        // Fingers: skin, with shadows between them.
        let fingers = |place: Vec2| if (place.x * 9.0).rem_euclid(1.0) < 0.4 { 0.4 } else { 1.2 };
        let covered = lit(&scene, |place| {
            let is_covered = (place - Vec2::new(0.1, 0.35)).abs().cmplt(Vec2::new(0.7, 0.6)).all();
            if is_covered { fingers(place) } else { 1.0 }
        });
        let found = largest(&scene.measured(covered).light);
        assert!(found < 0.05, "{}: {found}", effigy::demo::PORTRAITS[which].0);
    }
}

#[test]
fn who_comes_back_after_a_second_is_measured_anew() {
    let scene = Scene::new(1);
    let (mut tracker, mut motion) = (DenseTracker::new().unwrap(), Box::new(DenseMotion::NONE));
    let mut numbers = Vec::new();
    for millis in [0, 40, 900, 2000, 2040] {
        let frame = RawFrame::new(scene.picture.clone(), Timestamp::from_nanos(millis * 1_000_000));
        tracker.observe(&frame, Some(&scene.face), &mut motion).unwrap();
        numbers.push(motion.reference);
        tracker.observe(&frame, None, &mut motion).unwrap();
    }
    assert_eq!(numbers, [1, 1, 1, 2, 2]);
}

#[test]
fn who_stays_while_frames_are_skipped_keeps_the_reference() {
    let scene = Scene::new(1);
    let (mut tracker, mut motion) = (DenseTracker::new().unwrap(), Box::new(DenseMotion::NONE));
    for tenths in 0..40 {
        let frame = RawFrame::new(scene.picture.clone(), Timestamp::from_nanos(tenths * 100_000_000));
        if (1..39).contains(&tenths) {
            tracker.skip(frame.captured());
        } else {
            tracker.observe(&frame, Some(&scene.face), &mut motion).unwrap();
            assert_eq!(motion.reference, 1);
        }
    }
}

#[test]
fn a_reference_that_does_not_fit_is_taken_anew() {
    let [scene, other] = [0, 1].map(Scene::new);
    let mut dark = scene.picture.clone();
    dark.data_mut().iter_mut().for_each(|level| *level /= 4);
    for (what, picture, face) in [("other light", &dark, &scene.face), ("somebody else", &other.picture, &other.face)] {
        let frames = [vec![(&scene.picture, &scene.face); 20], vec![(picture, face); 40]].concat();
        let motions = played(&frames);
        let references = [0, 19, 59].map(|i| motions[i].reference);
        assert_eq!(references, [1, 1, 2], "{what}");
        assert!(longest(&motions[59]) < 0.01, "{what}: once it fits again, nothing moves");
    }
}

#[test]
fn a_look_to_the_side_and_a_face_beyond_the_frame_do_not_cost_the_reference() {
    let scene = Scene::new(0);
    let mut dark = scene.picture.clone();
    dark.data_mut().iter_mut().for_each(|level| *level /= 4);
    let (mut turned, mut beyond) = (scene.face.clone(), scene.face.clone());
    turned.pose.camera_from_head *= glam::Mat3::from_rotation_y(0.6);
    beyond.landmarks_px.iter_mut().for_each(|point| point.x += 4000.0);
    for (what, face) in [("turned", &turned), ("beyond", &beyond)] {
        let first = (&scene.picture, &scene.face);
        let motions = played(&[vec![first], vec![(&dark, face); 40], vec![first]].concat());
        assert_eq!(motions[41].reference, 1, "{what}");
        assert_eq!(motions[41], motions[0], "{what}");
    }
}

#[test]
fn a_measurement_does_not_depend_on_those_before() {
    let scene = Scene::new(2);
    let [moved, other] = [0.03, -0.06].map(|shift| scene.moved(|_| Vec2::new(shift, 0.0)));
    let frame = |picture| (picture, &scene.face);
    let motions = played(&[frame(&scene.picture), frame(&moved), frame(&other), frame(&moved)]);
    assert_eq!(motions[1], motions[3]);
    assert_ne!(motions[1], motions[2]);
}

#[test]
fn a_head_that_never_looks_to_the_front_is_not_measured() {
    let mut scene = Scene::new(0);
    scene.face.pose.camera_from_head *= glam::Mat3::from_rotation_y(0.6);
    let motion = scene.measured(scene.moved(|_| Vec2::new(0.03, 0.0)));
    assert_eq!(*motion, DenseMotion::NONE);
}

//! The face stage against numbers: of the reference implementation on public portraits (when `shared/` lies beside
//! the project, or `EFFIGY_SHARED` says where), and of this program on the portraits in `models/demo`.
//!
//! `EFFIGY_BLESS=1 cargo test --test it face::` writes the stored numbers anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the differences are worth reading, and so is a skip")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::shrunk;
use effigy::clock::Timestamp;
use effigy::face::{COEFFICIENT_NAMES, FaceObservation, FaceTracker, HeadPose, Matter, TrackerOptions};
use effigy::{RawFrame, Rgb};
use glam::{Mat3, Vec2, Vec3};
use serde::{Deserialize, Serialize};

/// What is known about the face in one picture.
#[derive(Debug, Deserialize, Serialize)]
struct Numbers {
    width: usize,
    height: usize,
    landmarks_px: Vec<[f32; 3]>,
    coefficients: BTreeMap<String, f32>,
    /// Camera (x right, y up, z towards the camera) from head, rows of a 4×4 matrix, centimetres.
    transform: [[f32; 4]; 4],
}

/// How far an observation is from known numbers.
#[derive(Debug)]
struct Difference {
    /// Mean distance of the points, for a picture of 512 pixels.
    mean_px: f32,
    worst_coefficient: (f32, &'static str),
    /// Yaw, pitch, roll.
    degrees: [f32; 3],
}

impl Numbers {
    fn new(face: &FaceObservation) -> Self {
        let r = face.pose.camera_from_head;
        let t = face.pose.translation_cm;
        let row = |i: usize, sign: f32| [0, 1, 2, 3].map(|k| sign * if k < 3 { r.col(k)[i] } else { t[i] });
        Self {
            width: face.frame_size_px.0,
            height: face.frame_size_px.1,
            landmarks_px: face.landmarks_px.iter().map(|p| p.to_array().map(|v| (v * 1e3).round() / 1e3)).collect(),
            coefficients: COEFFICIENT_NAMES.iter().map(|name| (*name).to_owned()).zip(face.coefficients).collect(),
            transform: [row(0, 1.0), row(1, -1.0), row(2, -1.0), [0.0, 0.0, 0.0, 1.0]],
        }
    }

    fn pose(&self) -> HeadPose {
        let [x, y, z, _] = self.transform;
        let rows = Mat3::from_cols_array_2d(&[[x[0], x[1], x[2]], [y[0], y[1], y[2]], [z[0], z[1], z[2]]]);
        let flip = Vec3::new(1.0, -1.0, -1.0);
        HeadPose {
            camera_from_head: Mat3::from_diagonal(flip) * rows.transpose(),
            translation_cm: Vec3::new(x[3], y[3], z[3]) * flip,
        }
    }

    /// Numbers of the reference implementation, with its points where they are in the picture: it samples its crop from
    /// the middle of a pixel at the crop's edge, so that its points lie half a pixel of the crop to the lower right and
    /// half a pixel of the frame to the upper left.
    fn of_reference(mut self) -> Self {
        let extent = |k: usize| {
            let values = self.landmarks_px.iter().map(|p| p[k]);
            values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
        };
        // Its crop is one and a half times as large as the face, and 256 pixels wide.
        let crop_pixel_px = 1.5 * extent(0).max(extent(1)) / 256.0;
        for p in &mut self.landmarks_px {
            (p[0], p[1]) = (p[0] + 0.5 - 0.5 * crop_pixel_px, p[1] + 0.5 - 0.5 * crop_pixel_px);
        }
        self
    }

    fn difference(&self, face: &FaceObservation) -> Difference {
        assert_eq!((self.width, self.height), face.frame_size_px);
        let distances = self.landmarks_px.iter().zip(&face.landmarks_px).map(|(known, found)| {
            let known = Vec3::from_array(*known);
            known.truncate().distance(found.truncate())
        });
        let mean_px = distances.sum::<f32>() / self.landmarks_px.len() as f32;
        let coefficients = COEFFICIENT_NAMES
            .iter()
            .zip(face.coefficients)
            .map(|(name, found)| ((self.coefficients[*name] - found).abs(), *name));
        let (known, found) = (self.pose().yaw_pitch_roll_rads(), face.pose.yaw_pitch_roll_rads());
        Difference {
            mean_px: mean_px * 512.0 / self.width.max(self.height) as f32,
            worst_coefficient: coefficients.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap(),
            degrees: [0, 1, 2].map(|i| (known[i] - found[i]).abs().to_degrees()),
        }
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared data, where there is any.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("EFFIGY_SHARED").map_or_else(|| project().join("../shared"), PathBuf::from);
    let found = folder.join("data").is_dir();
    if !found {
        eprintln!("{} has no data: only the portraits of models/demo are tested", folder.display());
    }
    found.then_some(folder)
}

fn photo(path: &Path) -> Rgb {
    let picture = image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8();
    let (width_px, height_px) = (picture.width() as usize, picture.height() as usize);
    Rgb::from_data(width_px, height_px, picture.into_raw()).unwrap()
}

fn tracker() -> FaceTracker {
    FaceTracker::new(TrackerOptions::default()).unwrap()
}

fn only_face(tracker: &mut FaceTracker, path: &Path) -> FaceObservation {
    let faces = tracker.find_faces(&photo(path)).unwrap();
    assert_eq!(faces.len(), 1, "faces in {}", path.display());
    assert!(faces[0].score > 0.5);
    faces.into_iter().next().unwrap().observation
}

/// The reference's portraits with its numbers.
fn reference() -> Option<Vec<(PathBuf, Numbers)>> {
    #[derive(Deserialize)]
    struct File {
        pictures: BTreeMap<String, Numbers>,
    }
    let shared = shared()?;
    let text = std::fs::read_to_string(shared.join("data/models/reference_landmarks.json")).unwrap();
    let file: File = serde_json::from_str(&text).unwrap();
    let folder = shared.join("data/test/portraits");
    Some(file.pictures.into_iter().map(|(name, numbers)| (folder.join(name), numbers.of_reference())).collect())
}

/// The demo portraits.
fn demo_portraits() -> Vec<PathBuf> {
    let Ok(entries) = project().join("models/demo").read_dir() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    paths.sort();
    paths
}

#[test]
fn a_photo_gives_the_references_numbers() {
    let Some(reference) = reference() else { return };
    let mut tracker = tracker();
    for (path, numbers) in reference {
        let difference = numbers.difference(&only_face(&mut tracker, &path));
        println!("{}: {difference:?}", path.file_name().unwrap().display());
        assert!(difference.mean_px <= 0.5, "{}: {difference:?}", path.display());
        assert!(difference.worst_coefficient.0 <= 0.1, "{}: {difference:?}", path.display());
        assert!(difference.degrees.iter().all(|&degrees| degrees <= 1.0), "{}: {difference:?}", path.display());
    }
}

#[test]
fn a_demo_portrait_gives_its_stored_numbers() {
    let bless = std::env::var_os("EFFIGY_BLESS").is_some();
    let mut tracker = tracker();
    for path in demo_portraits() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let stored = project().join(format!("tests/data/face_{name}.json"));
        let face = only_face(&mut tracker, &path);
        if bless {
            std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
            std::fs::write(&stored, serde_json::to_string(&Numbers::new(&face)).unwrap()).unwrap();
        }
        let text = std::fs::read_to_string(&stored)
            .unwrap_or_else(|error| panic!("{}: {error}; run with EFFIGY_BLESS=1 to write it", stored.display()));
        let numbers: Numbers = serde_json::from_str(&text).unwrap();
        let difference = numbers.difference(&face);
        assert!(difference.mean_px <= 0.1, "{name}: {difference:?}");
        assert!(difference.worst_coefficient.0 <= 0.02, "{name}: {difference:?}");
        assert!(difference.degrees.iter().all(|&degrees| degrees <= 0.2), "{name}: {difference:?}");
    }
}

/// A portrait to move about in the tests below: any that there is.
fn some_portrait() -> Option<Rgb> {
    match demo_portraits().into_iter().next() {
        Some(path) => Some(close_up(&photo(&path))),
        None => Some(photo(&shared()?.join("data/test/portraits/congress_C001085.jpg"))),
    }
}

/// The middle of a picture at its full size, so that the face fills most of it.
fn close_up(picture: &Rgb) -> Rgb {
    let mut out = Rgb::new(picture.width_px(), picture.height_px());
    let from = |to: usize, extent: usize| (extent * 3 / 16) + to * 5 / 8;
    for (i, pixel) in out.data_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % picture.width_px(), i / picture.width_px());
        pixel.copy_from_slice(&picture.pixel(from(x, picture.width_px()), from(y, picture.height_px())));
    }
    out
}

/// Puts pictures onto a grey canvas, each with its left top corner.
fn canvas(width_px: usize, height_px: usize, pictures: &[(&Rgb, isize, isize)]) -> Rgb {
    let mut out = Rgb::new(width_px, height_px);
    out.data_mut().fill(110);
    for (picture, left, top) in pictures {
        for y in 0..picture.height_px() {
            for x in 0..picture.width_px() {
                let (to_x, to_y) = (x as isize + left, y as isize + top);
                if (0..width_px as isize).contains(&to_x) && (0..height_px as isize).contains(&to_y) {
                    let at = (to_y as usize * width_px + to_x as usize) * 3;
                    out.data_mut()[at..at + 3].copy_from_slice(&picture.pixel(x, y));
                }
            }
        }
    }
    out
}

#[test]
fn a_face_is_in_the_same_place_of_a_picture_of_any_size() {
    let mut tracker = tracker();
    let mut settled = |picture: &Rgb| {
        let mut face = tracker.find_faces(picture).unwrap().swap_remove(0).observation;
        tracker.settle(picture, &mut face).unwrap();
        face
    };
    for path in demo_portraits() {
        let picture = photo(&path);
        let (large, small) = (settled(&picture), settled(&shrunk(&picture, 2)));
        let pairs = large.landmarks_px.iter().zip(&small.landmarks_px);
        let off = pairs.map(|(a, b)| a.truncate() / 2.0 - b.truncate()).sum::<Vec2>() / 478.0;
        // Half a pixel wrongly counted would be a quarter of one here, both ways.
        assert!(off.length() < 0.15, "{}: {off} px of the smaller picture", path.display());
    }
}

#[test]
fn a_settled_face_stays_and_is_nearer_to_the_one_that_is_followed() {
    let Some(portrait) = some_portrait() else { return };
    let (mut tracker, mut finder) = (tracker(), tracker());
    let mut followed = FaceObservation::default();
    for i in 0..8 {
        let frame = RawFrame::new(portrait.clone(), Timestamp::from_nanos(i * 33_333_333));
        assert!(tracker.observe(&frame, &mut followed).unwrap());
    }
    let distance = |a: &FaceObservation, b: &FaceObservation| {
        let pairs = a.landmarks_px.iter().zip(&b.landmarks_px);
        pairs.map(|(a, b)| a.truncate().distance(b.truncate())).sum::<f32>() / 478.0
    };
    let found = finder.find_faces(&portrait).unwrap().swap_remove(0).observation;
    let mut settled = found.clone();
    finder.settle(&portrait, &mut settled).unwrap();
    let mut again = settled.clone();
    finder.settle(&portrait, &mut again).unwrap();
    let [before, after, moved] =
        [(&found, &followed), (&settled, &followed), (&again, &settled)].map(|(a, b)| distance(a, b));
    println!("{before} px apart as found, {after} px as settled, which then moves by {moved} px");
    assert!(after < 0.7 * before && moved < 0.1, "{before} {after} {moved}");
}

fn centre_x(face: &FaceObservation) -> f32 {
    face.landmarks_px.iter().map(|point| point.x).sum::<f32>() / face.landmarks_px.len() as f32
}

#[test]
fn one_face_is_followed_and_a_larger_one_does_not_take_over() {
    let Some(portrait) = some_portrait() else { return };
    let (small, smaller) = (shrunk(&portrait, 2), shrunk(&portrait, 3));
    let mut tracker = tracker();
    let mut face = FaceObservation::default();
    let mut frame = RawFrame::default();
    let mut observe = |picture: Rgb, i: u64, face: &mut FaceObservation| {
        frame.set_picture(&picture);
        frame.set_captured(Timestamp::from_nanos(i * 33_333_333));
        tracker.observe(&frame, face).unwrap()
    };
    let mut start = 0.0;
    for i in 0..10 {
        let left = 20 + 6 * i as isize;
        assert!(observe(canvas(640, 480, &[(&smaller, left, 150)]), i, &mut face), "frame {i}");
        start = if i == 0 { centre_x(&face) } else { start };
        let moved = centre_x(&face) - start;
        assert!((moved - 6.0 * i as f32).abs() < 3.0, "frame {i}: moved by {moved} px instead of {}", 6 * i);
    }
    let known = centre_x(&face);
    // A larger face comes; the one that is followed is covered for a while.
    for i in 10..15 {
        assert!(observe(canvas(640, 480, &[(&smaller, 74, 150), (&small, 350, 100)]), i, &mut face));
        assert!((centre_x(&face) - known).abs() < 5.0, "frame {i} follows the larger face");
    }
    assert!(!observe(canvas(640, 480, &[]), 15, &mut face), "an empty frame has a face");
    assert!(observe(canvas(640, 480, &[(&smaller, 74, 150), (&small, 350, 100)]), 16, &mut face));
    assert!((centre_x(&face) - known).abs() < 5.0, "the face found again is another one");
    // After the memory has faded the largest wins.
    assert!(!observe(canvas(640, 480, &[]), 17, &mut face));
    assert!(observe(canvas(640, 480, &[(&smaller, 74, 150), (&small, 350, 100)]), 200, &mut face));
    assert!(centre_x(&face) > 350.0, "the smaller face was chosen");
}

#[test]
fn a_head_that_leans_over_is_followed() {
    let Some(portrait) = some_portrait() else { return };
    let mut tracker = tracker();
    let mut face = FaceObservation::default();
    let (width_px, height_px) = (640, 480);
    let middle = glam::Vec2::new(portrait.width_px() as f32, portrait.height_px() as f32) * 0.5;
    let mut start = None;
    for i in 0..40 {
        // Two degrees a frame, clockwise.
        let angle = (2.0 * i as f32).to_radians();
        let mut frame = Rgb::new(width_px, height_px);
        for (k, pixel) in frame.data_mut().chunks_exact_mut(3).enumerate() {
            let from_middle = glam::Vec2::new((k % width_px) as f32 - 320.0, (k / width_px) as f32 - 240.0);
            let from = middle + glam::Vec2::from_angle(-angle).rotate(from_middle) * (middle.y / 220.0);
            let clamped = from.clamp(glam::Vec2::ZERO, middle * 2.0 - 1.0);
            pixel.copy_from_slice(&portrait.pixel(clamped.x as usize, clamped.y as usize));
        }
        let frame = RawFrame::new(frame, Timestamp::from_nanos(i * 33_333_333));
        assert!(tracker.observe(&frame, &mut face).unwrap(), "lost at {} degrees", 2 * i);
        let roll = face.pose.yaw_pitch_roll_rads()[2];
        let start = *start.get_or_insert(roll);
        assert!((roll - start - angle).abs() < 0.12, "leans by {angle}, seen {}", roll - start);
    }
}

#[test]
fn a_face_that_fills_the_photo_is_found() {
    let Some(portrait) = some_portrait() else { return };
    let mut tracker = tracker();
    let [left, top, right, bottom] = tracker.find_faces(&portrait).unwrap()[0].box_px;
    let (width_px, height_px) = ((right - left) as usize, (bottom - top) as usize);
    let close = canvas(width_px, height_px, &[(&portrait, -left as isize, -top as isize)]);
    assert_eq!(tracker.find_faces(&close).unwrap().len(), 1);
}

#[test]
fn a_still_face_has_still_points() {
    let Some(portrait) = some_portrait() else { return };
    let mut tracker = tracker();
    let mut faces = [FaceObservation::default(), FaceObservation::default()];
    let mut worst = 0.0_f32;
    for i in 0..20 {
        // A camera's noise: ±3 of 255, another in each frame.
        let mut picture = canvas(640, 480, &[(&portrait, 64, -16)]);
        for (k, sample) in picture.data_mut().iter_mut().enumerate() {
            let mut noise = (k as u32 ^ (i << 22)).wrapping_mul(0x9e37_79b1);
            noise = (noise ^ (noise >> 15)).wrapping_mul(0x85eb_ca6b);
            *sample = sample.saturating_add(((noise >> 16) % 7) as u8).saturating_sub(3);
        }
        let frame = RawFrame::new(picture, Timestamp::from_nanos(u64::from(i) * 33_333_333));
        faces.swap(0, 1);
        assert!(tracker.observe(&frame, &mut faces[0]).unwrap());
        if i > 3 {
            let pairs = faces[0].landmarks_px.iter().zip(&faces[1].landmarks_px);
            let distances = pairs.map(|(a, b)| a.truncate().distance(b.truncate()));
            worst = worst.max(distances.sum::<f32>() / 478.0);
        }
    }
    println!("a still face moves by {worst} px a frame in the mean");
    assert!(worst < 0.3, "{worst} px");
}

#[test]
fn a_small_face_in_a_large_photo_is_found_and_two_faces_are_two() {
    let Some(portrait) = some_portrait() else { return };
    let quarter = shrunk(&portrait, 4);
    let mut tracker = tracker();
    let large = canvas(2400, 1600, &[(&quarter, 1500, 900)]);
    let faces = tracker.find_faces(&large).unwrap();
    assert_eq!(faces.len(), 1);
    let [left, top, right, bottom] = faces[0].box_px;
    assert!(left > 1480.0 && right < 1650.0 && top > 880.0 && bottom < 1050.0, "{:?}", faces[0].box_px);
    assert_eq!(faces[0].observation.frame_size_px, (2400, 1600));

    let group = canvas(1400, 600, &[(&shrunk(&portrait, 2), 1100, 200), (&portrait, 100, 50)]);
    let faces = tracker.find_faces(&group).unwrap();
    assert_eq!(faces.len(), 2);
    assert!(faces[0].box_px[0] < 600.0 && faces[1].box_px[0] > 1000.0, "the larger one is not the first");
}

#[test]
fn the_head_turns_to_where_the_nose_is() {
    let Some(reference) = reference() else { return };
    let mut tracker = tracker();
    for (path, _) in reference {
        let face = only_face(&mut tracker, &path);
        let [yaw, _, roll] = face.pose.yaw_pitch_roll_rads();
        let p = &face.landmarks_px;
        // The nose tip between the sides of the face, along the line of the eyes.
        let across = (p[454] - p[234]).truncate();
        let nose = (p[4] - (p[234] + p[454]) * 0.5).truncate().dot(across) / across.length_squared();
        if yaw.abs() > 0.05 {
            assert_eq!(nose > 0.0, yaw > 0.0, "{}: yaw {yaw}, nose {nose}", path.display());
        }
        let eyes = (p[263] - p[33]).truncate();
        assert!((eyes.to_angle() - roll).abs() < 0.1, "{}: roll {roll}", path.display());
    }
}

#[test]
fn the_matte_holds_the_face() {
    let Some(portrait) = some_portrait() else { return };
    let face = tracker().find_faces(&portrait).unwrap().remove(0).observation;
    let matte = Matter::new(1).unwrap().matte(&portrait).unwrap();
    let nose = face.landmarks_px[4];
    assert!(matte.pixel(nose.x as usize, nose.y as usize)[0] > 200, "the nose is background");
    assert!(matte.pixel(2, 2)[0] < 60, "the corner is person");
}

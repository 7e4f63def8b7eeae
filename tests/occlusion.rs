//! What comes before the driver's face: what it covers stays as it was, and everything else goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]

use effigy::clock::Timestamp;
use effigy::demo::PORTRAITS;
use effigy::face::{COEFFICIENT_NAMES, FaceObservation, FaceTracker, TrackerOptions};
use effigy::{RawFrame, Rgb};
use glam::Vec2;

/// Frames before something comes, while it is there, and after.
const BEFORE: usize = 12;
const DURING: usize = 25;
const AFTER: usize = 18;

/// What comes before the face.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thing {
    Nothing,
    /// Four fingers of the driver's own skin.
    Hand,
    /// A cup.
    Cup,
}

/// Something before a face whose mouth is at `mouth_px`, and whose height is `height_px`; 0 is out of sight, 1 there.
fn put(picture: &mut Rgb, thing: Thing, mouth_px: Vec2, height_px: f32, skin: [f32; 3], t: f32) {
    let away = Vec2::new(0.0, (1.0 - t) * 1.3 * height_px);
    let width_px = picture.width_px();
    for i in 0..width_px * picture.height_px() {
        let p = (Vec2::new((i % width_px) as f32, (i / width_px) as f32) - mouth_px - away) / height_px;
        let colour = match thing {
            Thing::Nothing => None,
            // From below on the left, the fingertips beyond the mouth, the palm before the chin.
            Thing::Hand => {
                let along = Vec2::from_angle(-0.9);
                let (along, across) = (p.dot(along), p.dot(along.perp()));
                let finger = (0..4).find_map(|finger| {
                    let length = [0.14, 0.2, 0.18, 0.1][finger];
                    let from_axis = across - (finger as f32 - 1.5) * 0.1;
                    let round = (along - length).max(0.0).hypot(from_axis) / 0.052;
                    (round < 1.0 && along > -0.2).then(|| (1.0 - round * round).max(0.0).sqrt())
                });
                let palm = Vec2::new(along + 0.35, across).length() / 0.25;
                let facing = finger.or_else(|| (palm < 1.0).then(|| (1.0 - palm * palm).max(0.0).sqrt()));
                facing.map(|facing| skin.map(|x| x * (0.45 + 0.5 * facing)))
            }
            Thing::Cup => (p.x.abs() < 0.2 && (-0.12..0.32).contains(&p.y)).then(|| {
                let lit = 0.6 + 0.4 * (1.0 - (p.x / 0.2).powi(2)).sqrt();
                [40.0, 70.0, 150.0].map(|x| x * lit)
            }),
        };
        if let Some(colour) = colour {
            picture.data_mut()[3 * i..][..3].copy_from_slice(&colour.map(|x| x.clamp(0.0, 255.0) as u8));
        }
    }
}

/// A portrait that sways a little, and what is seen of it in each frame.
fn watched(portrait: &Rgb, thing: Thing) -> Vec<FaceObservation> {
    let mut tracker = FaceTracker::new(TrackerOptions { holds_covered: true, ..TrackerOptions::default() }).unwrap();
    let found = tracker.find_faces(portrait).unwrap().remove(0).observation;
    let at = |i: usize| found.landmarks_px[i].truncate();
    let (mouth_px, height_px) = ((at(13) + at(14)) / 2.0, at(10).distance(at(152)));
    let skin = portrait.between(at(50));
    let mut faces = Vec::new();
    for i in 0..BEFORE + DURING + AFTER {
        let sway = Vec2::new((i as f32 * 0.3).sin(), (i as f32 * 0.2).cos()) * 0.02 * height_px;
        let mut picture = Rgb::new(portrait.width_px(), portrait.height_px());
        for y in 0..picture.height_px() {
            for x in 0..picture.width_px() {
                let pixel = portrait.between(Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - sway);
                let start = 3 * (y * picture.width_px() + x);
                picture.data_mut()[start..start + 3].copy_from_slice(&pixel.map(|value| value.round() as u8));
            }
        }
        // Comes and goes within three frames.
        let since = i as f32 - BEFORE as f32 + 1.0;
        let t = (since / 3.0).min((DURING as f32 - since) / 3.0).clamp(0.0, 1.0);
        if t > 0.0 {
            put(&mut picture, thing, mouth_px + sway, height_px, skin, t);
        }
        let frame = RawFrame::new(picture, Timestamp::from_nanos(i as u64 * 40_000_000));
        let mut face = FaceObservation::default();
        assert!(tracker.observe(&frame, &mut face).unwrap(), "{thing:?}, frame {i}: the face is seen");
        faces.push(face);
    }
    faces
}

/// The largest change of a coefficient.
fn change(a: &FaceObservation, b: &FaceObservation) -> (f32, &'static str) {
    let changes = a.coefficients.iter().zip(&b.coefficients).map(|(a, b)| (a - b).abs());
    changes.zip(COEFFICIENT_NAMES).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn a_mouth_behind_a_hand_or_a_cup_stays_as_it_was() {
    for (name, bytes) in PORTRAITS {
        let portrait = effigy::photo::decode(bytes).unwrap();
        let plain = watched(&portrait, Thing::Nothing);
        assert!(plain.iter().all(|face| face.covered == 0.0), "{name}: nothing is before the face");
        for thing in [Thing::Hand, Thing::Cup] {
            let seen = watched(&portrait, thing);
            for (i, (plain, seen)) in plain.iter().zip(&seen).enumerate() {
                let about = || format!("{name}, {thing:?}, frame {i}");
                let (by, coefficient) = change(plain, seen);
                // The landmark network by itself changes one by 0.45 to 0.6 in every frame.
                assert!(by < 0.38, "{}: {coefficient} changes by {by}", about());
                let is_there = (BEFORE + 3..BEFORE + DURING - 4).contains(&i);
                if is_there {
                    assert!(seen.covered > 0.05, "{}: covered {}", about(), seen.covered);
                    assert!(seen.mouth.certainty < 0.3, "{}: nothing is known of teeth", about());
                }
                if !(BEFORE..BEFORE + DURING + 14).contains(&i) {
                    assert_eq!(seen.covered, 0.0, "{}", about());
                }
            }
        }
    }
}

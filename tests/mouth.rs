//! What an open mouth shows: read off a driver, shown by a portrait whose photo has its lips shut.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::common::open_mouth;
use effigy::capture::{ClipSource, Read, SourceOptions};
use effigy::clock::ManualClock;
use effigy::drive::{DriveOptions, Driver, Strengths};
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::weights::Weights;
use effigy::geometry::{MouthContents, N_MOUTH_LINES};
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
use effigy::signal::Motion;
use effigy::{DrivingSignal, FaceObservation, Generator, Identity, Portrait, RawFrame, Rgba, Source as _};
use glam::Vec2;

const SIZE_PX: usize = 512;

/// The first portrait of the demo, whose lips are shut.
fn portrait() -> Arc<Identity> {
    static PORTRAIT: OnceLock<Arc<Identity>> = OnceLock::new();
    let made = PORTRAIT.get_or_init(|| {
        let (name, file) = effigy::demo::PORTRAITS[0];
        let options = EnrollOptions {
            name: name.to_owned(),
            basis: Basis::Synthetic,
            consent_by: String::new(),
            framing: Framing::Keep,
            face: None,
        };
        Arc::new(Enroller::new().unwrap().enroll(file, &options).unwrap())
    });
    Arc::clone(made)
}

fn pictures(signals: &[DrivingSignal]) -> Vec<Rgba> {
    let open: effigy::generate::choose::OpenExecutor =
        |plan| Ok(Box::new(effigy::generate::cpu::CpuExecutor::new(plan, 2)?.in_f32()));
    let mut generator = NeuralGenerator::new(Weights::built_in().unwrap(), SIZE_PX, open).unwrap();
    generator.adopt(portrait()).unwrap();
    let mut portrait = Portrait::default();
    let mut shown = |signal| {
        generator.generate(signal, &mut portrait).unwrap();
        portrait.picture.clone()
    };
    signals.iter().map(&mut shown).collect()
}

fn luma(pixel: &[u8]) -> f32 {
    0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])
}

/// Where the middle of the opening of the mouth is for a portrait that does not turn, as (left, top, right, bottom), and its
/// inner edges' box.
fn opening_px(signal: &DrivingSignal) -> ([usize; 4], [usize; 4]) {
    let identity = portrait();
    let mut shape = identity.shape.clone();
    for (point, shift) in shape.points.iter_mut().zip(&signal.displacement) {
        *point += *shift;
    }
    let points = shape.landmarks_px();
    let scale = SIZE_PX as f32 / identity.size_px() as f32;
    let at = |i: usize| points[i].truncate() * scale;
    let (upper, lower) = (at(13), at(14));
    let middle = (upper + lower) / 2.0;
    let half = Vec2::new(at(308).distance(at(78)) * 0.12, upper.distance(lower) * 0.3);
    let (low, high) = (middle - half, middle + half);
    let inner = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324];
    let (left, right) = inner.iter().fold((Vec2::MAX, Vec2::MIN), |(a, b), &i| (a.min(at(i)), b.max(at(i))));
    let corners = |low: Vec2, high: Vec2| [low.x as usize, low.y as usize, high.x as usize, high.y as usize];
    (corners(low, high), corners(left - 4.0, right + 5.0))
}

fn mean_luma(picture: &Rgba, [left, top, right, bottom]: [usize; 4]) -> f32 {
    let pixels = (top..bottom).flat_map(|y| (left..right).map(move |x| luma(&picture.pixel(x, y))));
    let (sum, n) = pixels.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    sum / n as f32
}

fn open(mouth: MouthContents) -> DrivingSignal {
    let identity = portrait();
    let mut signal = DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative);
    open_mouth(&mut signal, &identity, 0.22);
    signal.mouth = mouth;
    signal
}

fn lines(light: f32, paleness: f32, teeth: f32) -> MouthContents {
    MouthContents {
        certainty: 1.0,
        light: [light; N_MOUTH_LINES],
        paleness: [paleness; N_MOUTH_LINES],
        teeth: [teeth; N_MOUTH_LINES],
        whites: 0.0,
    }
}

#[test]
fn a_mouth_shows_what_the_drivers_does_and_nothing_else_changes() {
    let (dark, white) = (lines(0.15, 0.7, 0.0), lines(1.0, 1.15, 1.0));
    let signals = [dark, white, MouthContents::UNKNOWN].map(open);
    let shown = pictures(&signals);
    let (middle, edge) = opening_px(&signals[0]);
    let [with_dark, with_white, guessed] = [0, 1, 2].map(|i| mean_luma(&shown[i], middle));
    assert!(with_dark < 60.0, "the dark of a mouth has {with_dark}");
    assert!(with_white > with_dark + 60.0, "teeth have {with_white}, the dark {with_dark}");
    assert!((with_dark..with_white).contains(&guessed), "where nothing is known: {guessed}");
    let [left, top, right, bottom] = edge;
    for (i, (a, b)) in shown[0].data().as_chunks::<4>().0.iter().zip(shown[1].data().as_chunks::<4>().0).enumerate() {
        let (x, y) = (i % SIZE_PX, i / SIZE_PX);
        let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
        assert!(is_inside || a == b, "({x}, {y}) is not the mouth: {a:?} became {b:?}");
    }
}

#[test]
fn upper_teeth_hang_from_above_and_lower_ones_stand_below() {
    let upper = MouthContents { teeth: std::array::from_fn(|i| f32::from(i < 5)), ..lines(0.5, 0.9, 0.0) };
    let lower = MouthContents { teeth: std::array::from_fn(|i| f32::from(i >= 7)), ..lines(0.5, 0.9, 0.0) };
    let signals = [upper, lower].map(|mut contents| {
        for (light, teeth) in contents.light.iter_mut().zip(&contents.teeth) {
            *light = 0.25 + 0.75 * teeth;
        }
        open(contents)
    });
    let shown = pictures(&signals);
    let ([left, top, right, bottom], _) = opening_px(&signals[0]);
    let halves = |picture| {
        let y = (top + bottom) / 2;
        mean_luma(picture, [left, top, right, y]) - mean_luma(picture, [left, y, right, bottom])
    };
    let (hanging, standing) = (halves(&shown[0]), halves(&shown[1]));
    assert!(hanging > 15.0 && standing < -15.0, "upper less lower half: {hanging} and {standing}");
}

#[test]
fn shut_lips_hide_whatever_is_behind_them() {
    let identity = portrait();
    let rest = DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative);
    let white = DrivingSignal { mouth: lines(1.0, 1.2, 1.0), ..rest.clone() };
    let shown = pictures(&[rest, white]);
    assert!(shown[0] == shown[1]);
}

/// Frames of the demo's driver, who talks: what is read between the lips goes with how far they are open.
#[test]
fn a_shut_mouth_tells_nothing_and_an_open_one_is_darker_than_skin() {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4");
    let source = SourceOptions { paced: false, looped: false, ..SourceOptions::default() };
    let mut clip = ClipSource::open(&clip, &source).unwrap();
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let (mut frame, mut face) = (RawFrame::default(), FaceObservation::default());
    let (mut n_open, mut n_shut) = (0, 0);
    // A mouth that shall not move does not show what the driver's does either.
    let still = DriveOptions { strengths: Strengths { mouth: 0.0, ..Strengths::default() }, ..DriveOptions::default() };
    let mut drivers = [DriveOptions::default(), still].map(|options| Driver::new(options, portrait()).unwrap());
    while clip.read(&mut frame, &ManualClock::new()).unwrap() == Read::Fresh {
        if !tracker.observe(&frame, &mut face).unwrap() {
            continue;
        }
        let at = |i: usize| face.landmarks_px[i].truncate();
        let gap = at(13).distance(at(14)) / at(33).distance(at(263));
        let mouth = &face.mouth;
        assert!((0.0..=1.0).contains(&mouth.certainty));
        if gap < 0.015 {
            n_shut += 1;
            assert_eq!(MouthContents { whites: 0.0, ..*mouth }, MouthContents::UNKNOWN, "lips {gap} apart");
        } else if gap > 0.15 {
            n_open += 1;
            let darkest = mouth.light.iter().copied().fold(f32::MAX, f32::min);
            assert!(mouth.certainty > 0.9 && darkest < 0.6, "{mouth:?}");
            let [moved, still] = drivers.each_mut().map(|driver| {
                let mut signal = crate::common::rest();
                driver.drive(Some(&face), None, frame.captured(), &mut signal);
                signal.mouth.certainty
            });
            assert!(moved > 0.0 && still == 0.0, "{moved} and {still}");
        }
    }
    assert!(n_open > 10 && n_shut > 10, "{n_open} open, {n_shut} shut");
}

//! A frame with a face in it, and one without, take no memory from the allocator once the trackers have started.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]

#[path = "common/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::path::Path;

use allocator::Noting;
use effigy::clock::Timestamp;
use effigy::drive::DenseMotion;
use effigy::face::{FaceObservation, FaceTracker, TrackerOptions};
use effigy::flow::DenseTracker;
use effigy::{RawFrame, Rgb};

thread_local! {
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Noting = Noting(|n_bytes| {
    if n_bytes > 0 {
        N_ALLOCATIONS.with(|n| n.set(n.get() + 1));
    }
});

fn n_allocations() -> usize {
    N_ALLOCATIONS.with(Cell::get)
}

/// A portrait of the demo, else one of the shared data, else nothing but grey.
fn portrait() -> (Rgb, bool) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        project.join("models/demo").read_dir().into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    paths.push(project.join("../shared/data/test/portraits/congress_C001085.jpg"));
    match paths.iter().find_map(|path| image::open(path).ok()) {
        Some(picture) => {
            let picture = picture.into_rgb8();
            let size = (picture.width() as usize, picture.height() as usize);
            (Rgb::from_data(size.0, size.1, picture.into_raw()).unwrap(), true)
        }
        None => (Rgb::from_data(64, 64, vec![128; 64 * 64 * 3]).unwrap(), false),
    }
}

#[test]
fn observing_allocates_nothing() {
    let (picture, has_face) = portrait();
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let mut out = FaceObservation::default();
    let mut with_face = RawFrame::new(picture.clone(), Timestamp::default());
    let mut without = RawFrame::new(Rgb::new(picture.width_px(), picture.height_px()), Timestamp::default());
    let mut time = 0;
    let mut observe = |frame: &mut RawFrame| {
        time += 33_333_333;
        frame.set_captured(Timestamp::from_nanos(time));
        tracker.observe(frame, &mut out).unwrap()
    };
    for frame in [&mut with_face, &mut without] {
        let _ = observe(frame);
    }
    let before = n_allocations();
    assert!(before > 0, "the allocator does not count");
    let mut n_faces = 0;
    for _ in 0..5 {
        // Found, followed, followed, lost, not found.
        for frame in [0, 0, 0, 1, 1] {
            n_faces += usize::from(observe(if frame == 0 { &mut with_face } else { &mut without }));
        }
    }
    assert_eq!(n_allocations() - before, 0, "allocations in 25 frames");
    assert_eq!(n_faces, if has_face { 15 } else { 0 });
}

#[test]
fn observing_two_allocates_nothing() {
    let (picture, has_face) = portrait();
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let (mut first, mut second) = (FaceObservation::default(), FaceObservation::default());
    // Both, one alone, nobody.
    let (width, height) = (picture.width_px(), picture.height_px());
    let mut frames = [2, 1, 0].map(|n| {
        let mut wide = Rgb::new(2 * width, height);
        for (row, from) in wide.data_mut().chunks_exact_mut(6 * width).zip(picture.data().chunks_exact(3 * width)) {
            (0..n).for_each(|i| row[3 * width * i..][..3 * width].copy_from_slice(from));
        }
        RawFrame::new(wide, Timestamp::default())
    });
    let mut time = 0;
    let mut observe = |frame: &mut RawFrame| {
        time += 100_000_000;
        frame.set_captured(Timestamp::from_nanos(time));
        let is_seen = tracker.observe_two(frame, [&mut first, &mut second]).unwrap();
        is_seen.into_iter().filter(|is_seen| *is_seen).count()
    };
    for frame in &mut frames {
        let _ = observe(frame);
    }
    let before = n_allocations();
    let n_faces: usize = [0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 1, 1, 1].iter().map(|&i| observe(&mut frames[i])).sum();
    assert_eq!(n_allocations() - before, 0, "allocations in 13 frames");
    assert!(n_faces >= if has_face { 13 } else { 0 }, "{n_faces}");
}

#[test]
fn measuring_what_moves_beside_the_mesh_allocates_nothing() {
    let (picture, has_face) = portrait();
    let mut frame = RawFrame::new(picture, Timestamp::default());
    let (mut eyes, mut face) = (FaceTracker::new(TrackerOptions::default()).unwrap(), FaceObservation::default());
    assert_eq!(eyes.observe(&frame, &mut face).unwrap(), has_face);
    let (mut tracker, mut motion) = (DenseTracker::new().unwrap(), Box::new(DenseMotion::NONE));
    let mut before = 0;
    for i in 0..6 {
        if i == 2 {
            before = n_allocations();
            // Somebody leans in.
            let middle = face.landmarks_px[1];
            face.landmarks_px.iter_mut().for_each(|point| *point = middle + 1.5 * (*point - middle));
        }
        frame.set_captured(Timestamp::from_nanos(i * 33_333_333));
        tracker.observe(&frame, has_face.then_some(&face), &mut motion).unwrap();
    }
    assert_eq!(n_allocations() - before, 0, "allocations in 4 frames");
    assert_eq!(motion.reference, u32::from(has_face));
}

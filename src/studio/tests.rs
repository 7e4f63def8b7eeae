//! The studio's promises: same seed, same pixels; truth that fits the picture; clips that resume.
//!
//! Tests that need the head model read it from `EFFIGY_HEAD_MODEL`, else from the shared data beside the project;
//! without it they say that they could not look.

#![allow(clippy::print_stderr, reason = "a test that could not look says so")]

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    sync::OnceLock,
};

use super::{
    dataset::{self, Plan, Record},
    landmarks::{EYE_LOWER, EYE_UPPER, N_LANDMARKS},
    motion::Motion,
    person::{Person, Studio},
    pose::FaceState,
    render::{Frame, Quality, Renderer},
    rig::{COEFFICIENTS, coefficient},
    scene::Scene,
};

fn studio() -> Option<&'static Studio> {
    static STUDIO: OnceLock<Option<Studio>> = OnceLock::new();
    STUDIO
        .get_or_init(|| {
            let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/models/ict_facekit.npz");
            let path = std::env::var_os("EFFIGY_HEAD_MODEL").map_or_else(|| PathBuf::from(shared), PathBuf::from);
            if !path.exists() {
                eprintln!("no head model at {}: the studio's pictures are not tested", path.display());
                return None;
            }
            Some(Studio::load(&path).unwrap())
        })
        .as_ref()
}

fn draw(studio: &Studio, person: u64, scene: u64, state: &FaceState, n_threads: usize) -> Frame {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| {
        let person = Person::sample(person, studio);
        Renderer::new(studio, &person, Scene::sample(scene), Quality { side_px: 128, samples: 2 }).render(state, 3)
    })
}

/// What another machine drew from the same seeds, within what its arithmetic may differ.
#[test]
fn other_machines_drew_the_same_picture() {
    let Some(studio) = studio() else { return };
    let frame = draw(studio, 11, 12, &Motion::sample(5).at(3.7), 2);
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/studio_11_12.png"));
    let picture = crate::frame::Rgb::from_data(128, 128, frame.rgb).unwrap();
    if std::env::var_os("EFFIGY_BLESS").is_some() {
        crate::photo::write_png(path, &picture).unwrap();
    }
    let stored = crate::photo::read(path).expect("run with EFFIGY_BLESS=1 to write it");
    let square = |(a, b): (&u8, &u8)| f64::from(i32::from(*a) - i32::from(*b)).powi(2);
    let mean_square = stored.data().iter().zip(picture.data()).map(square).sum::<f64>() / stored.data().len() as f64;
    let psnr = 10.0 * (255.0_f64.powi(2) / mean_square.max(1e-9)).log10();
    assert!(psnr > 38.0, "{psnr:.1} dB");
}

fn hash(frame: &Frame) -> u64 {
    let mut h = DefaultHasher::new();
    (&frame.rgb, &frame.alpha, &frame.eye_mask, &frame.mouth_mask).hash(&mut h);
    serde_json::to_string(&frame.truth).unwrap().hash(&mut h);
    h.finish()
}

#[test]
fn same_seeds_give_same_pixels_on_any_number_of_threads() {
    let Some(studio) = studio() else { return };
    let state = Motion::sample(5).at(3.7);
    let one = hash(&draw(studio, 11, 12, &state, 1));
    assert_eq!(one, hash(&draw(studio, 11, 12, &state, 2)));
    assert_ne!(one, hash(&draw(studio, 13, 12, &state, 2)));
}

#[test]
fn motion_is_in_range_smooth_and_repeatable() {
    let (a, b) = (Motion::sample(9), Motion::sample(9));
    for i in 0..600 {
        let t = i as f32 * 0.1;
        let (x, y, next) = (a.at(t), b.at(t), a.at(t + 0.001));
        assert_eq!(x.coefficients, y.coefficients);
        assert!(x.coefficients.iter().all(|c| (0.0..=1.0).contains(c)));
        assert!(x.yaw_rads.abs() <= 0.62 && x.pitch_rads.abs() <= 0.36 && x.roll_rads.abs() <= 0.27);
        assert!((x.yaw_rads - next.yaw_rads).abs() < 0.01);
        let step = x.coefficients.iter().zip(next.coefficients).map(|(p, q)| (p - q).abs()).fold(0.0, f32::max);
        assert!(step < 0.06, "coefficients jump by {step} in a millisecond at {t} s");
    }
}

#[test]
fn truth_fits_the_picture() {
    let Some(studio) = studio() else { return };
    let frame = draw(studio, 21, 22, &FaceState::default(), 2);
    let truth = &frame.truth;
    assert_eq!(truth.landmarks.len(), N_LANDMARKS);
    assert_eq!(truth.coefficients.len(), COEFFICIENTS.len());
    assert!(truth.landmarks.iter().all(|p| p[0] > 0.0 && p[0] < 128.0 && p[1] > 0.0 && p[1] < 128.0));
    // The left eye of the person is on the right of the picture, above the nose, and the iris lies between the lids.
    assert!(truth.landmarks[263][0] > truth.landmarks[33][0]);
    assert!(truth.landmarks[1][1] > truth.landmarks[168][1]);
    for (side, iris) in [(0, 473), (1, 468)] {
        let (top, bottom) = (truth.landmarks[EYE_UPPER[side][4]][1], truth.landmarks[EYE_LOWER[side][4]][1]);
        let y = truth.landmarks[iris][1];
        assert!(top < y && y < bottom, "iris {iris} at {y}, lids at {top} and {bottom}");
        let at = truth.landmarks[iris][1] as usize * 128 + truth.landmarks[iris][0] as usize;
        assert!(frame.eye_mask[at] > 128 && frame.alpha[at] == 255);
    }
    assert_eq!(frame.alpha[0], 0);
    assert_eq!(frame.depth_cm[0], 0.0);
}

#[test]
fn an_open_jaw_shows_the_mouth_and_lowers_the_chin() {
    let Some(studio) = studio() else { return };
    let mut open = FaceState::default();
    open.coefficients[coefficient("jawOpen").unwrap()] = 1.0;
    let (shut, open) = (draw(studio, 31, 32, &FaceState::default(), 2), draw(studio, 31, 32, &open, 2));
    let sum = |f: &Frame| f.mouth_mask.iter().map(|m| u32::from(*m)).sum::<u32>();
    assert!(sum(&open) > sum(&shut) + 255 * 20);
    assert!(open.truth.landmarks[152][1] > shut.truth.landmarks[152][1] + 3.0);
}

#[test]
fn another_identity_keeps_motion_light_background_and_camera() {
    let Some(studio) = studio() else { return };
    let plan = Plan { first_person: 3, n_people: 1, n_frames: 2, side_px: 64, cross_identity: true, ..Plan::default() };
    let dir = std::env::temp_dir().join(format!("effigy-studio-{}", std::process::id()));
    let mut last = None;
    dataset::write(studio, &plan, &dir, |p| {
        last = Some(p);
        true
    })
    .unwrap();
    assert_eq!(last.unwrap().n_done, 2);
    let read = |seeds: dataset::ClipSeeds| -> Vec<Record> {
        let folder = dir.join("clips").join(format!("{:06}-{:06}-{:06}", seeds.person, seeds.scene, seeds.motion));
        let text = std::fs::read_to_string(folder.join("truth.jsonl")).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let clips = dataset::clips(&plan);
    let (a, b) = (read(clips[0]), read(clips[1]));
    for (a, b) in a.iter().zip(&b) {
        assert_ne!(a.truth.person_seed, b.truth.person_seed);
        assert_eq!(a.truth.coefficients, b.truth.coefficients);
        assert_eq!(a.truth.rotation, b.truth.rotation);
        assert_eq!(a.truth.focal_px, b.truth.focal_px);
    }
    // A second run finds all clips whole and writes nothing.
    let before = std::fs::metadata(dir.join("clips")).unwrap().modified().unwrap();
    dataset::write(studio, &plan, &dir, |_| true).unwrap();
    assert_eq!(before, std::fs::metadata(dir.join("clips")).unwrap().modified().unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
}

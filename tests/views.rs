//! Several views of one person: gathered from photos and clips, kept in the file, chosen for each frame.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::common;
use crate::folder::Folder;
use effigy::capture::{ClipSource, Read, SourceOptions};
use effigy::clock::{ManualClock, Timestamp};
use effigy::drive::{DriveOptions, Driver};
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::gather::{Gathered, Gatherer};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::identity::{Basis, EnrollOptions, Framing, Signer};
use effigy::signal::Motion;
use effigy::{DrivingSignal, ErrorKind, FaceObservation, Generator, Identity, Portrait, RawFrame, Result, Source as _};

fn options() -> EnrollOptions {
    EnrollOptions {
        name: "someone".to_owned(),
        basis: Basis::Synthetic,
        consent_by: String::new(),
        framing: Framing::Keep,
        face: None,
    }
}

/// A file of the demo: three portraits, and a clip of a fourth person who talks, blinks, smiles and turns.
fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)
}

fn gather(files: &[PathBuf], max_views: usize) -> Result<Gathered> {
    Gatherer::new().unwrap().gather(files, &options(), max_views, |_| {})
}

/// The demo's driver with up to eight views.
fn many_views() -> &'static Gathered {
    static GATHERED: OnceLock<Gathered> = OnceLock::new();
    GATHERED.get_or_init(|| gather(&[demo("driver.mp4")], 8).unwrap())
}

fn signer() -> Signer {
    let folder = Folder::new("views-key");
    Signer::open_or_create_at(&folder.0.join("key")).unwrap()
}

#[test]
fn a_clip_gives_views_that_differ_and_its_file_holds_them_all() {
    let gathered = many_views();
    let identity = &gathered.enrolled.identity;
    assert!((3..=8).contains(&identity.n_views()), "{:?}", gathered.views);
    assert_eq!((gathered.views.len(), gathered.left_out.len()), (identity.n_views(), 0));
    let main = &gathered.views[0];
    assert!(
        main.yaw_pitch_roll_degrees[..2].iter().all(|angle| angle.abs() < 12.0) && main.at_secs.is_some(),
        "{main:?}"
    );
    let file = identity.to_bytes(&signer()).unwrap();
    let read = Identity::from_bytes(&file).unwrap();
    assert_eq!(read.n_views(), identity.n_views());
    for (a, b) in read.views.iter().zip(&identity.views) {
        let (a, b) = (a.identity(), b.identity());
        assert_eq!((&a.portrait, &a.matte, &a.landmarks_px), (&b.portrait, &b.matte, &b.landmarks_px));
        assert_eq!((a.pose, a.coefficients), (b.pose, b.coefficients));
    }
    assert_eq!(read.manifest.views, identity.manifest.views);
    let again = read.to_bytes(&signer()).unwrap();
    assert_eq!(again.len(), file.len(), "views are not compressed again");
    assert!(file.len() < 12 << 20, "{} bytes", file.len());
}

#[test]
fn the_signature_covers_every_view() {
    let file = many_views().enrolled.identity.to_bytes(&signer()).unwrap();
    let header_end = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..header_end]).unwrap();
    for name in ["view1_portrait", "view1_matte", "view1_landmarks_px", "view1_pose", "view2_coefficients"] {
        let at = header_end + header[name]["data_offsets"][0].as_u64().unwrap() as usize;
        let mut changed = file.clone();
        changed[at] ^= 1;
        let error = Identity::from_bytes(&changed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Identity, "{name}: {error}");
    }
}

#[test]
fn one_photo_gives_the_file_that_it_always_gave() {
    let identity = common::identity_on(Basis::Synthetic);
    let file = identity.to_bytes(&signer()).unwrap();
    let text = String::from_utf8_lossy(&file[..8192]);
    assert!(!text.contains("views") && !text.contains("view1"), "{text}");
    assert_eq!(Identity::from_bytes(&file).unwrap().n_views(), 1);
}

#[test]
fn the_same_photo_again_is_left_out_and_so_is_one_without_a_face() {
    let folder = Folder::new("views-photos");
    let blank = folder.0.join("blank.png");
    image::RgbImage::from_pixel(300, 300, image::Rgb([90, 120, 90])).save(&blank).unwrap();
    let gathered = gather(&[blank.clone(), demo("portrait_a.png"), demo("portrait_a.png")], 8).unwrap();
    assert_eq!(gathered.enrolled.identity.n_views(), 1);
    assert_eq!(gathered.views[0].file, demo("portrait_a.png"), "the first that shows a face is the main one");
    let reasons: Vec<_> = gathered.left_out.iter().map(|left| &*left.reason).collect();
    assert!(reasons.contains(&"no face was found in it"), "{reasons:?}");
    let error = gather(&[blank.clone(), blank], 8).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Photo);
    assert!(error.to_string().contains("blank.png"), "{error}");
}

/// The public portraits of five people, when `shared/` lies beside the project.
fn public_portraits() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("EFFIGY_SHARED").map_or_else(|| project.join("../shared"), PathBuf::from);
    let Ok(folder) = shared.join("data/test/portraits").read_dir() else { return Vec::new() };
    let mut portraits: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    portraits.sort();
    portraits
}

/// Not every pair is told apart; see docs/decisions/views.md.
#[test]
fn two_people_are_refused_by_name() {
    let portraits = public_portraits();
    let mut gatherer = Gatherer::new().unwrap();
    let (mut n_refused, mut n_pairs) = (0, 0);
    for (i, a) in portraits.iter().enumerate() {
        for b in &portraits[..i] {
            n_pairs += 1;
            let Err(error) = gatherer.gather(&[a.clone(), b.clone()], &options(), 8, |_| {}) else { continue };
            let (kind, text) = (error.kind(), error.to_string());
            assert_eq!(kind, ErrorKind::Photo, "{text}");
            for name in [a, b].map(|path| path.file_name().unwrap().to_string_lossy().into_owned()) {
                assert!(text.contains(&name) && text.contains("leave one of them out"), "{text}");
            }
            n_refused += 1;
        }
    }
    assert!(3 * n_refused >= n_pairs, "{n_refused} of {n_pairs} pairs refused");
}

#[test]
fn a_clip_of_nobody_is_refused() {
    let folder = Folder::new("views-nobody");
    let clip = folder.0.join("nobody.mp4");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=1", "-pix_fmt", "yuv420p"])
        .arg(&clip)
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return;
    }
    let error = gather(&[clip], 8).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Photo);
    assert!(error.to_string().contains("no face found in the clip"), "{error}");
}

/// What the demo's clip asks of an identity, frame by frame, with the time of each.
fn signals(identity: &Arc<Identity>) -> Vec<(Timestamp, DrivingSignal)> {
    let drive = DriveOptions { motion: Motion::Absolute, is_filtered: false, ..DriveOptions::default() };
    let mut driver = Driver::new(drive, Arc::clone(identity)).unwrap();
    let mut tracker = FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() }).unwrap();
    let source = SourceOptions { paced: false, looped: false, ..SourceOptions::default() };
    let mut clip = ClipSource::open(&demo("driver.mp4"), &source).unwrap();
    let (mut frame, mut face) = (RawFrame::default(), FaceObservation::default());
    let mut signals = Vec::new();
    while clip.read(&mut frame, &ManualClock::new()).unwrap() == Read::Fresh {
        let is_seen = tracker.observe(&frame, &mut face).unwrap();
        let mut signal = common::rest();
        driver.drive(is_seen.then_some(&face), None, frame.captured(), &mut signal);
        signals.push((frame.captured(), signal));
    }
    signals
}

/// Mean difference of two pictures' green over black.
fn apart(a: &Portrait, b: &Portrait) -> f64 {
    let (a, b) = (a.picture.data().as_chunks::<4>().0, b.picture.data().as_chunks::<4>().0);
    let shown = |pixel: &[u8; 4]| f64::from(pixel[1]) * f64::from(pixel[3]) / 255.0;
    a.iter().zip(b).map(|(a, b)| (shown(a) - shown(b)).abs()).sum::<f64>() / a.len() as f64
}

/// The largest step from one picture to the next, and the mean.
fn steps(identity: &Arc<Identity>, signals: &[(Timestamp, DrivingSignal)]) -> (f64, f64) {
    let mut generator = WarpGenerator::new(256);
    generator.adopt(Arc::clone(identity)).unwrap();
    let (mut before, mut now) = (Portrait::default(), Portrait::default());
    let mut steps = Vec::new();
    for (i, (time, signal)) in signals.iter().enumerate() {
        generator.set_time(*time);
        generator.generate(signal, &mut now).unwrap();
        if i > 0 {
            steps.push(apart(&before, &now));
        }
        std::mem::swap(&mut before, &mut now);
    }
    (steps.iter().copied().fold(0.0, f64::max), steps.iter().sum::<f64>() / steps.len() as f64)
}

#[test]
fn views_change_without_a_jump() {
    let identity = Arc::new(many_views().enrolled.identity.clone());
    let mut alone = (*identity).clone();
    alone.views.clear();
    alone.manifest.views.clear();
    let alone = Arc::new(alone);
    let signals = signals(&identity);
    assert!(signals.len() > 100);
    let (most_alone, mean_alone) = steps(&alone, &signals);
    let (most, mean) = steps(&identity, &signals);
    assert!(mean != mean_alone, "no view but the main one was ever shown");
    // While one view gives way to another, what both do not agree on moves: two or three pictures long.
    assert!(most <= 2.0 * most_alone, "a step of {most:.2}, without views {most_alone:.2}");
    assert!(mean <= 1.3 * mean_alone, "steps of {mean:.2}, without views {mean_alone:.2}");
}

#[test]
fn identities_with_and_without_views_give_way_to_each_other() {
    let views = many_views().enrolled.identity.clone();
    let with = Arc::new(Identity { views: views.views[..1].to_vec(), ..views });
    let without = common::identity_on(Basis::Synthetic);
    let open = |plan| Ok(Box::new(CpuExecutor::new(plan, 2)?.in_f32()) as Box<dyn effigy::generate::plan::Executor>);
    let mut generator = NeuralGenerator::new(Weights::built_in().unwrap(), 512, open).unwrap();
    let side = with.views[0].identity().shape.clone();
    let straight = DrivingSignal::rest(&with.shape, with.size_px(), Motion::Relative);
    let turned = DrivingSignal { rotation: side.rotation * with.shape.rotation.inverse(), ..straight.clone() };
    let mut pictures = Vec::new();
    for identity in [&with, &without, &with] {
        generator.adopt(Arc::clone(identity)).unwrap();
        let mut portrait = Portrait::default();
        for i in 0..8 {
            generator.set_time(Timestamp::from_nanos(i * 300_000_000));
            generator.generate(if i < 4 { &straight } else { &turned }, &mut portrait).unwrap();
        }
        pictures.push(portrait);
    }
    assert!(generator.prepare(&with).unwrap() && generator.prepare(&without).unwrap(), "both stay ready");
    assert!(apart(&pictures[0], &pictures[2]) < 0.5, "the same identity shows the same");
    assert!(apart(&pictures[0], &pictures[1]) > 5.0);
}

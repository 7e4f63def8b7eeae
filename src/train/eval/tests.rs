//! Whole evaluations: of the truth itself, of the warp, of a network.

#![allow(clippy::print_stderr, reason = "a test that could not look says so")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::capture::ClipSource;
use crate::frame::Rgb;
use crate::generate::Portrait;
use crate::generate::choose::open_on_cpu;
use crate::generate::network::Size;
use crate::generate::neural::NeuralGenerator;
use crate::generate::warp::WarpGenerator;
use crate::generate::weights::Weights;
use crate::identity::Identity;
use crate::photo;
use crate::signal::DrivingSignal;
use crate::sink::{RateMode, Recorder, RecorderOptions, Sink as _};
use crate::studio::dataset::{self, Plan};
use crate::studio::person::Studio;

/// A file that belongs to no checkout: in the folder that `EFFIGY_SHARED` names, else in `shared` beside the project.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("EFFIGY_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("data/models").join(name);
    if !path.exists() {
        eprintln!("no {}: what needs it is not tested", path.display());
        return None;
    }
    Some(path)
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("effigy_eval_{name}_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The first frames of the demo's driver as a clip of its own.
fn short_clip(folder: &Path, n_frames: usize) -> PathBuf {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4");
    let times: Vec<f64> = (0..n_frames).map(|i| i as f64 / 30.0).collect();
    let path = folder.join("short.mp4");
    let options = RecorderOptions { mode: RateMode::OneForOne, ..RecorderOptions::new((512, 512), 30.0) };
    let mut video = Recorder::open(&path, &options).unwrap();
    for picture in ClipSource::pictures_at(&driver, &times).unwrap() {
        video.push(&picture).unwrap();
    }
    video.finish().unwrap();
    path
}

fn contender(label: &str, generator: impl Generator + 'static) -> Contender {
    Contender { label: label.to_owned(), generator: Box::new(generator) }
}

/// Shows pictures one after the other, whatever is asked of it.
struct Playback(std::vec::IntoIter<Rgb>);

impl Generator for Playback {
    fn name(&self) -> &str {
        "playback"
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn adopt(&mut self, _: Arc<Identity>) -> Result<()> {
        Ok(())
    }

    fn generate(&mut self, _: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        show(&self.0.next().unwrap(), portrait);
        Ok(())
    }
}

/// Shows the portrait, whatever is asked of it.
#[derive(Default)]
struct Still(Option<Arc<Identity>>);

impl Generator for Still {
    fn name(&self) -> &str {
        "still"
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.0 = Some(identity);
        Ok(())
    }

    fn generate(&mut self, _: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        show(&self.0.as_ref().unwrap().portrait, portrait);
        Ok(())
    }
}

fn show(picture: &Rgb, portrait: &mut Portrait) {
    portrait.picture.reshape(picture.width_px(), picture.height_px());
    for (out, pixel) in portrait.picture.data_mut().chunks_exact_mut(4).zip(picture.data().chunks_exact(3)) {
        out.copy_from_slice(&[pixel[0], pixel[1], pixel[2], 255]);
    }
}

#[test]
fn the_truth_scores_perfectly_and_what_is_ignored_does_not_count() {
    let folder = folder("truth");
    let path = short_clip(&folder, 42);
    let case = ClipCase { path: path.clone(), ignore_rect: Some([0.0, 448.0, 128.0, 64.0]) };
    let suites = [Suite::SelfReenactment(vec![case])];
    let files = MetricFiles {
        features: shared(crate::train::features::FILE_NAME),
        recognition: shared("face_recognition_dlib128.onnx"),
    };
    let mut instruments = Instruments::open(&files).unwrap();
    let options = EvalOptions { size_px: 512, every: 1, is_live: false };

    // The portrait's frame is not measured: the first run says which one it is.
    let mut warp = [contender("warp", WarpGenerator::new(OUTPUT_PX))];
    let first = evaluate(&suites, &mut warp, &mut instruments, options, &mut |_| true).unwrap();
    let portrait_frame = first.suites[0].cases[0].portrait_frame;

    let measured: Vec<u64> = (0..42).filter(|i| *i != portrait_frame).collect();
    let times: Vec<f64> = measured.iter().map(|&i| i as f64 / 30.0).collect();
    let mut truth = ClipSource::pictures_at(&path, &times).unwrap();
    for picture in &mut truth {
        for y in 448..512 {
            picture.data_mut()[y * 512 * 3..][..128 * 3].fill(255);
        }
    }
    let mut contenders =
        [contender("warp", WarpGenerator::new(OUTPUT_PX)), contender("truth", Playback(truth.into_iter()))];
    let evaluation = evaluate(&suites, &mut contenders, &mut instruments, options, &mut |_| true).unwrap();
    let suite = &evaluation.suites[0];
    assert_eq!((suite.n_frames, suite.n_driver_lost), (measured.len() as u64, 0));
    let n_pairs = measured.windows(2).filter(|w| w[0] + 1 == w[1]).count() as u64;
    let [warp, truth] = suite.generators.as_slice() else { panic!("two generators were asked for") };
    assert_eq!(truth.figures["flicker"].n, n_pairs);
    for metric in METRICS.iter().filter(|metric| metric.key != "frame_ms") {
        let Some(found) = truth.figures.get(metric.key) else {
            let is_left_out = evaluation.left_out.iter().any(|left_out| left_out.metrics.contains(&metric.key));
            assert!(is_left_out, "{} was not measured", metric.key);
            continue;
        };
        let perfect = match metric.key {
            "ssim" | "identity" | "vif" | "fine_detail" => 1.0,
            "class_score" => truth.figures["class_score_truth"].mean,
            "class_score_truth" | "smile_truth" => warp.figures[metric.key].mean,
            key if key.ends_with("psnr_db") => metrics::MAX_PSNR_DB,
            _ => 0.0,
        };
        assert!((found.mean - perfect).abs() < 1e-5, "{} of the truth is {}", metric.key, found.mean);
        // The warp is good and not perfect, which shows that each metric can see a difference.
        let imperfect = warp.figures[metric.key].mean;
        if metric.key != "face_lost"
            && let (Some(found), Some(best)) = (metric.better.rank(imperfect), metric.better.rank(perfect))
        {
            assert!(found > best, "{} of the warp is {imperfect}", metric.key);
        }
    }
    if let Some(windows) = truth.figures.get("fvd_like") {
        assert!(windows.n >= 2, "{windows:?}: the portrait is of frame {portrait_frame}");
        let scores = ["class_score", "class_score_truth"].map(|key| warp.figures[key].mean);
        assert!(scores.iter().all(|score| (1.0..3.0).contains(score)), "one face is one class or few: {scores:?}");
    }
    assert!(warp.figures["psnr_db"].mean > 20.0 && warp.figures["akd_px"].mean < 3.0, "{:?}", warp.figures);
    // The same inputs give the same figures.
    for (key, figure) in first.suites[0].generators[0].figures.iter().filter(|(key, _)| **key != "frame_ms") {
        assert_eq!(warp.figures[key], *figure, "{key}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_network_is_measured_beside_the_warp_and_a_stop_keeps_what_was_played() {
    let folder = folder("network");
    let suites = [Suite::SelfReenactment(vec![ClipCase { path: short_clip(&folder, 16), ignore_rect: None }])];
    let weights = Weights::from_bytes(&Weights::random(Size::Small, 5).to_bytes().unwrap()).unwrap();
    let mut contenders = [
        contender("warp", WarpGenerator::new(OUTPUT_PX)),
        contender("random", NeuralGenerator::new(weights, OUTPUT_PX, open_on_cpu).unwrap()),
    ];
    let mut instruments = Instruments::open(&MetricFiles::default()).unwrap();
    let options = EvalOptions { size_px: 256, every: 2, is_live: true };
    let evaluation = evaluate(&suites, &mut contenders, &mut instruments, options, &mut |progress| {
        assert_eq!((progress.n_cases_done, progress.n_cases, progress.n_frames), (0, 1, Some(16)));
        progress.n_frames_read < 10
    })
    .unwrap();
    assert!(evaluation.is_cut_short);
    let suite = &evaluation.suites[0];
    assert!((4..=6).contains(&suite.n_frames), "{}", suite.n_frames);
    let [warp, network] = suite.generators.as_slice() else { panic!("two generators were asked for") };
    assert_eq!((network.generator.as_str(), &network.backend[..3]), ("small", "cpu"));
    assert!(network.figures["mouth_psnr_db"].mean < warp.figures["mouth_psnr_db"].mean);
    assert!(!network.figures.contains_key("identity") && !network.figures.contains_key("frechet"));
    assert_eq!(evaluation.left_out.len(), 2);
    assert_eq!(suite.cell_titles.len(), suite.rows[0].cells.len());
    let page = report::html(&evaluation);
    assert!(page.contains("stopped before the end") || page.contains("Stopped before the end"));
    assert!(page.contains("a frame late"), "as live");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn motion_carried_to_another_person_is_nearer_to_the_truth_than_a_still() {
    let Some(head) = shared("ict_facekit.npz") else { return };
    let folder = folder("cross");
    let plan =
        Plan { first_person: 9100, n_people: 5, n_frames: 5, side_px: 384, cross_identity: true, ..Plan::default() };
    dataset::write(&Studio::load(&head).unwrap(), &plan, &folder, |_| true).unwrap();
    let cases = pairs(&folder).unwrap();
    assert_eq!(cases.len(), 5);
    let suites = [crate::drive::Motion::Relative, crate::drive::Motion::Absolute]
        .map(|motion| Suite::CrossIdentity(cases.clone(), motion));
    let mut contenders = [contender("still", Still::default()), contender("warp", WarpGenerator::new(OUTPUT_PX))];
    let mut instruments = Instruments::open(&MetricFiles::default()).unwrap();
    let options = EvalOptions::default();
    let evaluation = evaluate(&suites, &mut contenders, &mut instruments, options, &mut |_| true).unwrap();
    for suite in &evaluation.suites {
        assert!(suite.n_frames >= 15, "{}: {} frames, {:?}", suite.name, suite.n_frames, suite.skipped);
        let [still, warp] = suite.generators.as_slice() else { panic!("two generators were asked for") };
        for key in ["akd_px", "expression", "pose_degs"] {
            let (still, warp) = (still.figures[key].mean, warp.figures[key].mean);
            assert!(warp < 0.8 * still, "{}: {key} of the warp {warp}, of a still {still}", suite.name);
        }
        // The frames are random instants: none follows another.
        assert!(!warp.figures.contains_key("flicker"));
        assert_eq!(suite.cell_titles[..3], ["portrait", "driver", "truth"]);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_same_face_mirrored_is_nearer_than_any_other() {
    let Some(recognition) = shared("face_recognition_dlib128.onnx") else { return };
    let files = MetricFiles { recognition: Some(recognition), ..MetricFiles::default() };
    let mut instruments = Instruments::open(&files).unwrap();
    let mut describe = |picture: &Rgb| {
        let face = instruments.find_face(picture).unwrap().unwrap();
        instruments.recognizer.as_mut().unwrap().describe(picture, &face).unwrap()
    };
    let people = ["a", "b", "c"].map(|letter| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/demo/portrait_{letter}.png"));
        let picture = photo::read(&path).unwrap();
        let mut mirrored = picture.clone();
        let width = picture.width_px();
        for (i, pixel) in mirrored.data_mut().chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&picture.pixel(width - 1 - i % width, i / width));
        }
        (describe(&picture), describe(&mirrored))
    });
    let distance = |a: &[f32; 128], b: &[f32; 128]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    for (i, (person, mirrored)) in people.iter().enumerate() {
        let own = distance(person, mirrored);
        // The network's own threshold for one person is 0.6.
        assert!(own < 0.4, "mirrored {own}");
        for (other, _) in people.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other) {
            assert!(own < 0.8 * distance(person, other), "{own} {}", distance(person, other));
        }
    }
}

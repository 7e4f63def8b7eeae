//! Whole runs on clips made of the demo's people.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use super::*;
use crate::capture::ClipSource;
use crate::demo;
use crate::drive::{N_MODES, rehearsed};
use crate::face::{FaceTracker, TrackerOptions};
use crate::frame::Rgb;
use crate::geometry::N_LANDMARKS;
use crate::photo;
use crate::sink::{RateMode, Recorder, RecorderOptions, Sink as _};
use crate::studio::dataset::Record;
use crate::studio::truth;
use crate::train::augment::{Augmentation, Ranges};
use crate::train::dataset::{Clip, Dataset, FLOW_SIZE, SIZE_PX, Split};
use crate::train::sample::{GroupOptions, Sampler};
use effigy_base::random::Rng;

/// Side of the clips, in pixels: the demo's faces then have 100 pixels and more.
const SIDE_PX: usize = 288;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("effigy-prepare-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn clip(&self, name: &str, rate_hz: f64, pictures: &[Rgb]) -> PathBuf {
        let path = self.file(name);
        let size = (pictures[0].width_px(), pictures[0].height_px());
        let options = RecorderOptions { mode: RateMode::OneForOne, ..RecorderOptions::new(size, rate_hz) };
        let mut video = Recorder::open(&path, &options).unwrap();
        pictures.iter().for_each(|picture| video.push(picture).unwrap());
        video.finish().unwrap();
        path
    }

    fn prepare(&self, inputs: &[PathBuf]) -> Summary {
        self.prepare_with(inputs, &options()).unwrap()
    }

    fn prepare_with(&self, inputs: &[PathBuf], options: &Options) -> Result<Summary> {
        prepare(inputs, &self.file("out"), options, &AtomicBool::new(false), &|_| {})
    }

    fn dataset(&self) -> Dataset {
        Dataset::open(&self.file("out")).unwrap()
    }
}

fn options() -> Options {
    Options { manifest: None, rights: Vec::new(), checks: Checks::default(), n_jobs: 1, shard: Shard::WHOLE }
}

fn scaled(picture: &Rgb, side_px: usize) -> Rgb {
    let mut out = Rgb::new(side_px, side_px);
    let size = Size::new(side_px as i32, side_px as i32);
    resize(&picture.as_mat().unwrap(), &mut out.as_mat_mut().unwrap(), size, 0.0, 0.0, INTER_AREA).unwrap();
    out
}

/// Pictures of the demo's driver from the given one on, 30 a second; at the very start the face rests, and its pictures
/// are duplicates.
fn driver(folder: &Folder, first: usize, n: usize) -> Vec<Rgb> {
    let path = folder.file("driver.mp4");
    std::fs::write(&path, demo::DRIVER_MP4).unwrap();
    let times: Vec<f64> = (first..first + n).map(|i| (i + 60) as f64 / 30.0).collect();
    ClipSource::pictures_at(&path, &times).unwrap().iter().map(|picture| scaled(picture, SIDE_PX)).collect()
}

/// A portrait that trembles, so that no picture is a duplicate.
fn trembling(portrait: usize, n: usize) -> Vec<Rgb> {
    let still = scaled(&photo::decode(demo::PORTRAITS[portrait].1).unwrap(), SIDE_PX);
    (0..n)
        .map(|i| {
            let mut picture = still.clone();
            picture.data_mut().rotate_left(3 * (i % 3) * 2);
            picture
        })
        .collect()
}

fn darker(picture: &Rgb) -> Rgb {
    let mut picture = picture.clone();
    picture.data_mut().iter_mut().for_each(|value| *value /= 10);
    picture
}

/// Two pictures side by side.
fn beside(left: &Rgb, right: &Rgb) -> Rgb {
    let rows = (0..left.height_px()).flat_map(|y| [left.row(y), right.row(y)].concat());
    Rgb::from_data(left.width_px() + right.width_px(), left.height_px(), rows.collect()).unwrap()
}

fn noise(n: usize) -> Vec<Rgb> {
    let mut state = 1_u32;
    (0..n)
        .map(|_| {
            let mut picture = Rgb::new(SIDE_PX, SIDE_PX);
            for value in picture.data_mut() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as u8;
            }
            picture
        })
        .collect()
}

#[test]
fn a_clip_becomes_frames_at_25_a_second_and_a_photo_one() {
    let folder = Folder::new("whole");
    let clip = folder.clip("talk.mp4", 30.0, &driver(&folder, 0, 36));
    let portrait = folder.file("ada.png");
    std::fs::write(&portrait, demo::PORTRAITS[0].1).unwrap();
    let manifest = folder.file("manifest.json");
    let text = r#"{ "clips": [ { "file": "talk.mp4", "person": "dan", "rights": "own", "ignore_rect": [0, 144, 72, 144] } ],
                    "portraits": [ { "file": "ada.png", "person": "ada", "rights": "public-domain", "note": "x" } ] }"#;
    std::fs::write(&manifest, text).unwrap();
    let checks = Checks { has_flow: true, ..Checks::default() };
    let options = Options { manifest: Some(manifest), checks, ..options() };
    let summary = folder.prepare_with(&[clip, portrait], &options).unwrap();
    assert_eq!((summary.n_clips, summary.n_frames), (2, 31), "{summary:?}");
    assert_eq!(summary.dropped.get("above 25 a second"), Some(&6));

    let dataset = folder.dataset();
    let [ada, talk] = &dataset.clips[..] else { panic!("two clips were expected: {:?}", dataset.clips.len()) };
    assert_eq!((ada.person.as_str(), ada.kind, ada.frames.len()), ("ada", Kind::Portrait, 1));
    assert_eq!((talk.person.as_str(), talk.rights.as_str(), talk.kind), ("dan", "own", Kind::Filmed));
    assert_eq!(talk.ignore_px, Some([0, 128, 64, 128]));
    assert!(talk.frames.iter().enumerate().all(|(i, frame)| frame.index == i as u64), "no gap in 25 a second");
    for clip in [ada, talk] {
        let picture = clip.picture(0).unwrap();
        let matte = clip.matte(0).unwrap();
        assert_eq!((picture.width_px(), matte.width_px()), (SIZE_PX, SIZE_PX));
        let nose = clip.frames[0].landmarks_px[4];
        assert!(matte.pixel(nose.x as usize, nose.y as usize)[0] > 200, "the nose is person");
        assert!(clip.frames[0].truth.is_none() && clip.masks(0).unwrap().is_none());
        assert!(clip.picture(clip.frames.len()).is_err());
    }
    // Flow to the next frame, and none from the last.
    let flow = talk.flow(0).unwrap().unwrap();
    assert_eq!(flow.len(), FLOW_SIZE * FLOW_SIZE);
    let nose = |i: usize| talk.frames[i].landmarks_px[4].truncate();
    let place = nose(5) / (SIZE_PX / FLOW_SIZE) as f32;
    let moved = talk.flow(5).unwrap().unwrap()[place.y as usize * FLOW_SIZE + place.x as usize];
    assert!(
        (nose(6) - nose(5)).distance(moved.into()) < 1.5,
        "{moved:?} at the nose, which went by {}",
        nose(6) - nose(5)
    );
    assert!(talk.flow(talk.frames.len() - 1).unwrap().is_none() && ada.flow(0).unwrap().is_none());
    // What is stored is what a tracker sees in the stored picture.
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let seen = tracker.find_faces(&talk.picture(0).unwrap()).unwrap().swap_remove(0).observation;
    let stored = talk.frames[0].observation();
    let distance: f32 =
        seen.landmarks_px.iter().zip(&stored.landmarks_px).map(|(a, b)| a.truncate().distance(b.truncate())).sum();
    assert!(distance / 478.0 < 2.0, "the points are {} pixels away", distance / 478.0);
    let [a, b] = [&seen, &stored].map(|face| face.pose.yaw_pitch_roll_rads());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.06), "{a:?} {b:?}");

    counts_say_what_can_be_known(talk);
    an_expression_can_be_asked_for(talk);

    let annotations = std::fs::read_to_string(folder.file("out/annotations.jsonl")).unwrap();
    assert_eq!(annotations.lines().count(), 2);
    assert!(annotations.contains(r#""reason":"above 25 a second","count":6"#), "{annotations}");
    let statistics: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.file("out/statistics.json")).unwrap()).unwrap();
    assert_eq!(statistics["frames"], 31);
    assert!(std::fs::read_to_string(folder.file("out/statistics.svg")).unwrap().ends_with("</svg>\n"));
}

/// The clip has something in its lower left corner; a portrait from elsewhere has another background.
fn counts_say_what_can_be_known(talk: &Clip) {
    let mut sampler = Sampler::new(128, 128).unwrap();
    let change = Augmentation::sample(1, &Ranges::default());
    let there = sampler.group(talk, 0, &[3, 9], [&change; 2], GroupOptions::default()).unwrap();
    assert!(there.filmed.contains(&0.0) && there.filmed.contains(&1.0));
    assert_eq!(there.counts, there.filmed);
    let other = change.elsewhere(0.35, &mut Rng::new(1, 0));
    let elsewhere = sampler.group(talk, 0, &[3, 9], [&other, &change], GroupOptions::default()).unwrap();
    assert_eq!((&elsewhere.target, &elsewhere.filmed), (&there.target, &there.filmed));
    assert_ne!(elsewhere.portrait, there.portrait);
    let person = elsewhere.matte.iter().zip(&elsewhere.filmed).map(|(alpha, filmed)| alpha * filmed);
    assert_eq!(elsewhere.counts, person.collect::<Vec<_>>());
}

/// Nobody was seen doing it: nothing counts but where the points shall be.
fn an_expression_can_be_asked_for(talk: &Clip) {
    const FOREHEAD: usize = 10;
    let mut sampler = Sampler::new(128, 128).unwrap();
    let expressions = rehearsed().unwrap();
    let asked = [[0.0; N_MODES], expressions[0], expressions[1]];
    let group = sampler.asked(talk, 0, &asked, &Augmentation::NONE).unwrap();
    assert!(group.is_asked && !group.is_sequence);
    assert!(group.counts.iter().all(|count| *count == 0.0));
    let n = 2 * N_LANDMARKS;
    let [rest, first, second] = [0, 1, 2].map(|i| &group.points[i * n..][..n]);
    let farthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(farthest(rest, first) > 0.01 && farthest(first, second) > 0.01);
    let forehead = |points: &[f32]| points[2 * FOREHEAD..][..2].to_vec();
    assert!(farthest(&forehead(rest), &forehead(first)) < 0.01, "an expression leaves the head where it is");
    let lines = group.lines[2].len() / 3;
    assert_ne!(group.lines[2][..lines], group.lines[2][lines..2 * lines]);
}

#[test]
fn what_cannot_be_learned_from_is_left_out_with_its_reason() {
    let folder = Folder::new("checks");
    let talk = driver(&folder, 0, 24);
    let whole = std::fs::read(folder.clip("whole.mp4", 25.0, &talk)).unwrap();
    std::fs::remove_file(folder.file("whole.mp4")).unwrap();
    let torn = folder.file("torn.mp4");
    std::fs::write(&torn, &whole[..600]).unwrap();
    let dark: Vec<Rgb> = talk.iter().map(darker).collect();
    let two: Vec<Rgb> = talk.iter().zip(trembling(1, 24)).map(|(a, b)| beside(a, &b)).collect();
    let small: Vec<Rgb> = talk.iter().map(|picture| scaled(picture, 160)).collect();
    let slow: Vec<Rgb> = talk.iter().flat_map(|picture| std::iter::repeat_n(picture.clone(), 5)).collect();
    let cut: Vec<Rgb> = talk[..20].iter().cloned().chain(trembling(1, 12)).collect();
    let double: Vec<Rgb> = talk.iter().flat_map(|picture| [picture.clone(), picture.clone()]).collect();
    let inputs = [
        torn,
        folder.clip("dark.mp4", 25.0, &dark),
        folder.clip("two.mp4", 25.0, &two),
        folder.clip("small.mp4", 25.0, &small),
        folder.clip("nobody.mp4", 25.0, &noise(12)),
        folder.clip("slow.mp4", 25.0, &slow),
        folder.clip("cut.mp4", 25.0, &cut),
        folder.clip("double.mp4", 25.0, &double),
    ];
    let summary = folder.prepare(&inputs);
    let reason =
        |name: &str| ClipInfo::read(&folder.file("out/clips").join(name)).unwrap().rejected.unwrap_or_default();
    assert!(reason("torn").starts_with("unreadable: "), "{}", reason("torn"));
    assert_eq!(reason("dark"), "face too dark");
    assert_eq!(reason("two"), "several faces");
    assert_eq!(reason("small"), "face too small");
    assert_eq!(reason("nobody"), "no face");
    assert!(reason("slow").starts_with("frame rate: "), "{}", reason("slow"));
    assert_eq!(summary.rejected.values().sum::<u64>(), 6, "{summary:?}");

    let dataset = folder.dataset();
    let [cut, double] = &dataset.clips[..] else { panic!("two clips were expected: {summary:?}") };
    assert_eq!(cut.frames.len(), 20, "the longer shot alone: {summary:?}");
    assert_eq!(summary.dropped.get("another shot"), Some(&12));
    // The codec's corrections make some of the second ones look new.
    assert!((24..=32).contains(&double.frames.len()), "of 24 pictures, each twice: {}", double.frames.len());
}

#[test]
fn stopped_and_started_again_it_gives_what_one_run_gives() {
    let folder = Folder::new("resume");
    let clips: Vec<PathBuf> =
        [0, 12, 24].map(|first| folder.clip(&format!("from-{first}.mp4"), 25.0, &driver(&folder, first, 12))).to_vec();
    let stop = AtomicBool::new(false);
    let out = folder.file("out");
    let summary = prepare(&clips, &out, &options(), &stop, &|_| stop.store(true, Ordering::Relaxed)).unwrap();
    assert!(summary.is_stopped);
    assert_eq!((summary.n_clips, folder.dataset().clips.len()), (1, 1));
    // Killed while it wrote: a folder without its last file is passed over, and made again.
    let half = out.join("clips/from-12");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("pictures.bin"), b"half").unwrap();
    assert_eq!(folder.dataset().clips.len(), 1);

    let summary = folder.prepare(&clips);
    assert_eq!((summary.n_clips, summary.n_resumed, summary.is_stopped), (3, 1, false));
    let whole = Folder::new("resume-whole");
    whole.prepare_with(&clips, &Options { n_jobs: 2, ..options() }).unwrap();
    for clip in ["from-0", "from-12", "from-24"] {
        for file in ["pictures.bin", "mattes.bin", "frames.jsonl", "clip.json"] {
            let read = |folder: &Folder| std::fs::read(folder.file("out/clips").join(clip).join(file)).unwrap();
            assert!(read(&folder) == read(&whole), "{clip}/{file} differs");
        }
    }
    // Other settings would mix what does not belong together.
    let checks = Checks { min_face_px: 50.0, ..Checks::default() };
    let error = folder.prepare_with(&clips, &Options { checks, ..options() }).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("other settings"), "{error}");
    // A torn line is said to be one.
    std::fs::write(half.join("frames.jsonl"), "{\"index\": 0").unwrap();
    let error = Dataset::open(&out).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("prepare again"), "{error}");
}

#[test]
fn another_file_of_a_name_is_refused_and_one_that_was_torn_is_taken_when_it_is_whole() {
    let folder = Folder::new("sources");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        [path]
    };
    let [ada, ben] = [0, 1].map(|i| demo::PORTRAITS[i].1);
    folder.prepare(&file("a/same.png", ada));
    let before = tree(&folder.file("out"));
    let other = file("b/same.png", ben);
    let error = folder.prepare_with(&other, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("another clip called same (from same.png)"), "{error}");
    assert!(tree(&folder.file("out")) == before);
    assert!(folder.dataset().clips[0].picture(0).is_ok());
    // The same file elsewhere is the same clip.
    assert_eq!(folder.prepare(&file("c/same.png", ada)).n_resumed, 1);
    // Of a data set that holds no digests a clip is known by its file's name.
    let dir = folder.file("out/clips/same");
    let info = ClipInfo { source: None, ..ClipInfo::read(&dir).unwrap() };
    put_json(&dir.join("clip.json"), &info).unwrap();
    assert_eq!(folder.prepare(&other).n_resumed, 1);

    let torn = file("torn.png", &ada[..600]);
    assert_eq!(folder.prepare(&torn).rejected.get("unreadable"), Some(&1));
    assert_eq!(folder.prepare(&torn).n_resumed, 1, "what is torn still is not looked at again");
    let summary = folder.prepare(&file("torn.png", ada));
    assert_eq!((summary.n_clips, summary.n_resumed), (1, 0), "{summary:?}");
    assert_eq!(folder.dataset().clips.len(), 2);
}

#[test]
fn a_clip_that_cannot_be_made_anew_stays_as_it_was() {
    let folder = Folder::new("stays");
    let (whole, torn) = (folder.file("ada.png"), folder.file("torn.png"));
    std::fs::write(&whole, demo::PORTRAITS[0].1).unwrap();
    std::fs::write(&torn, &demo::PORTRAITS[0].1[..600]).unwrap();
    folder.prepare(std::slice::from_ref(&whole));
    let (clips, dir) = (folder.file("out/clips"), folder.file("out/clips/ada"));
    let before = tree(&clips);
    let mut workshop = work::Workshop::new().unwrap();
    let mut make = |path: &Path, dir: &Path, checks: Checks, is_stopped: bool| {
        let job = Job {
            name: "ada".to_owned(),
            origin: Origin::Photo(path.to_owned()),
            person: "eve".to_owned(),
            rights: "own".to_owned(),
            ignore_rect: None,
            file: "ada.png".to_owned(),
        };
        workshop.make(&job, dir, &checks, &AtomicBool::new(is_stopped))
    };
    assert!(make(&whole, &dir, Checks::default(), true).unwrap().is_none());
    assert!(tree(&clips) == before, "stopped");
    let reason = make(&torn, &dir, Checks::default(), false).unwrap().unwrap().rejected.unwrap();
    assert!(reason.starts_with("unreadable: "), "{reason}");
    assert!(tree(&clips) == before, "unreadable");
    // What went wrong with a clip says which.
    let error = make(&whole, &whole.join("ada"), Checks::default(), false).unwrap_err().to_string();
    assert!(error.starts_with("cannot prepare ada.png: "), "{error}");
    // What is refused by itself is no clip any more.
    let checks = Checks { min_face_px: 9000.0, ..Checks::default() };
    assert_eq!(make(&whole, &dir, checks, false).unwrap().unwrap().rejected.as_deref(), Some("face too small"));
    assert!(!dir.join("frames.jsonl").exists());
}

/// All files below a folder, by name.
fn tree(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            files.extend(tree(&path).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn made_in_parts_and_joined_it_is_byte_for_byte_what_one_run_gives() {
    let folder = Folder::new("parts");
    let mut clips: Vec<PathBuf> =
        [0, 12, 24].map(|first| folder.clip(&format!("from-{first}.mp4"), 25.0, &driver(&folder, first, 12))).to_vec();
    // One that is left out, with its reason.
    clips.push(folder.clip("nobody.mp4", 25.0, &noise(12)));
    folder.prepare(&clips);
    let prepare_part = |i: usize, into: &str| {
        let shard = format!("{i}/2").parse().unwrap();
        let into = folder.file(into);
        prepare(&clips, &into, &Options { shard, ..options() }, &AtomicBool::new(false), &|_| {}).unwrap();
        into
    };
    let parts = [prepare_part(0, "part0"), prepare_part(1, "part1")];
    // What a killed process was writing is not taken along.
    std::fs::write(parts[0].join("clips/from-0/pictures.bin.7.part"), b"half").unwrap();
    assert!(parts.iter().all(|part| !part.join("annotations.jsonl").exists()), "a part counts nothing");
    let whole = tree(&folder.file("out"));
    assert!(whole.len() > 4 + 3 * 4, "{:?}", whole.keys());
    assert_eq!(merge(&parts, &folder.file("joined")).unwrap(), 4);
    assert!(tree(&folder.file("joined")) == whole);
    // Parts may share one folder, and a part may be joined twice.
    prepare_part(0, "shared");
    let shared = prepare_part(1, "shared");
    merge(&[shared.clone(), parts[0].clone()], &shared).unwrap();
    assert!(tree(&shared) == whole);
    // A clip that is not whole is passed over, and gives way to one that is.
    let half = folder.file("half");
    merge(&parts, &half).unwrap();
    std::fs::remove_file(half.join("clips/from-12/frames.jsonl")).unwrap();
    assert_eq!(merge(std::slice::from_ref(&half), &folder.file("of-half")).unwrap(), 3);
    assert_eq!(merge(&parts, &half).unwrap(), 4);
    assert!(tree(&half) == whole);
    // What does not belong together is not joined.
    let clip = parts[1].join("clips/from-12");
    let own = std::fs::read_to_string(clip.join("clip.json")).unwrap().replace("\"unknown\"", "\"own\"");
    for (name, other) in [("frames.jsonl", String::new()), ("clip.json", own)] {
        let before = std::fs::read(clip.join(name)).unwrap();
        std::fs::write(clip.join(name), other).unwrap();
        let error = merge(&parts, &folder.file("joined")).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("under one name"), "{error}");
        std::fs::write(clip.join(name), before).unwrap();
    }
    let error = merge(std::slice::from_ref(&folder.0), &folder.file("joined")).unwrap_err().to_string();
    assert!(error.contains("has no folder `clips`"), "{error}");
}

/// A rendered clip's folder as `effigy synth data` writes it, of one of the demo's portraits.
fn rendered(folder: &Path, seeds: [u64; 3]) -> PathBuf {
    let [person, scene, motion] = seeds;
    let dir = folder.join(format!("people/clips/{person:06}-{scene:06}-{motion:06}"));
    std::fs::create_dir_all(&dir).unwrap();
    let picture = scaled(&photo::decode(demo::PORTRAITS[0].1).unwrap(), SIZE_PX);
    let seen = FaceTracker::new(TrackerOptions::default()).unwrap().find_faces(&picture).unwrap().swap_remove(0);
    let jpeg = crate::train::dataset::encode_jpeg(&picture).unwrap();
    let mut masks = Rgb::new(SIZE_PX / 2, SIZE_PX / 2);
    masks.data_mut().chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&[255, 128, 0]));
    photo::write_png(&dir.join("masks.bin"), &masks).unwrap();
    let n_mask_bytes = std::fs::metadata(dir.join("masks.bin")).unwrap().len();
    let landmarks: Vec<[f32; 3]> = seen.observation.landmarks_px.iter().map(|p| p.to_array()).collect();
    let moved: Vec<[f32; 3]> = landmarks.iter().map(|[x, y, z]| [x + 60.0, *y, *z]).collect();
    let line = |frame: u64, landmarks: Vec<[f32; 3]>| {
        let record = Record {
            frame,
            at_secs: 0.04 * frame as f32,
            motion_seed: motion,
            picture: [frame * jpeg.len() as u64, jpeg.len() as u64],
            masks: [0, n_mask_bytes],
            truth: truth::Truth {
                person_seed: person,
                scene_seed: scene,
                coefficients: vec![0.25; 52],
                rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                translation_cm: [1.0, 2.0, -60.0],
                yaw_pitch_roll_degs: [0.0; 3],
                focal_px: 500.0,
                landmarks,
            },
        };
        serde_json::to_string(&record).unwrap() + "\n"
    };
    std::fs::write(dir.join("frames.bin"), jpeg.repeat(3)).unwrap();
    // In the second the face is elsewhere than the tracker says.
    let text = line(0, landmarks.clone()) + &line(1, moved) + &line(2, landmarks);
    std::fs::write(dir.join("truth.jsonl"), text).unwrap();
    folder.join("people")
}

#[test]
fn rendered_people_keep_their_truth() {
    let folder = Folder::new("rendered");
    let people = rendered(&folder.0, [7, 8, 9]);
    let summary = folder.prepare(&[people]);
    assert_eq!((summary.n_frames, summary.dropped.get("no face")), (2, Some(&1)), "{summary:?}");
    let dataset = folder.dataset();
    let clip = &dataset.clips[0];
    assert_eq!(
        (clip.kind, clip.person.as_str(), clip.rights.as_str()),
        (Kind::Synthetic, "synthetic-000007", "synthetic")
    );
    let seeds = clip.seeds.unwrap();
    assert_eq!((seeds.person, seeds.scene, seeds.motion), (7, 8, 9));
    assert!((clip.fps - 25.0).abs() < 0.1, "even steps of 0.04 s are 25 a second: {}", clip.fps);
    assert_eq!(clip.frames.iter().map(|frame| frame.index).collect::<Vec<_>>(), [0, 2]);
    let truth = clip.frames[0].truth.as_ref().unwrap();
    assert_eq!(truth.coefficients, [0.25; 52]);
    assert!(truth.landmarks_px[4].distance(clip.frames[0].landmarks_px[4]) < 3.0);
    // Looking into the camera, right of its axis, above, 60 cm away: y is down here.
    assert_eq!(truth.pose.yaw_pitch_roll_rads(), [0.0; 3]);
    assert_eq!(truth.pose.translation_cm.to_array(), [1.0, -2.0, 60.0]);
    let masks = clip.masks(0).unwrap().unwrap();
    let at = |mask: &crate::Grey| (mask.width_px(), mask.pixel(100, 100)[0]);
    assert_eq!((at(&clip.matte(0).unwrap()), at(&masks.eyes), at(&masks.mouth)), ((256, 255), (256, 128), (256, 0)));
}

#[test]
fn inputs_are_what_they_are_said_to_be() {
    let folder = Folder::new("inputs");
    let wrong = |inputs: &[PathBuf], options: &Options, expected: &str| {
        let error = folder.prepare_with(inputs, options).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(expected), "{error}");
    };
    wrong(&[folder.file("absent.mp4")], &options(), "does not exist");
    std::fs::write(folder.file("notes.txt"), "x").unwrap();
    wrong(&[folder.file("notes.txt")], &options(), "neither a clip");
    wrong(std::slice::from_ref(&folder.0), &options(), "no clip, photo or rendered person");
    for name in ["a", "b"] {
        std::fs::create_dir_all(folder.file(name)).unwrap();
        std::fs::write(folder.file(name).join("same.png"), demo::PORTRAITS[0].1).unwrap();
    }
    wrong(&[folder.file("a"), folder.file("b")], &options(), "same name");
    let manifest = folder.file("manifest.json");
    let with = Options { manifest: Some(manifest.clone()), rights: vec!["own".to_owned()], ..options() };
    wrong(&[], &with, "cannot read the manifest");
    std::fs::write(&manifest, r#"{"clips": [{"file": "a/same.png"}, {"file": "a/same.png"}]}"#).unwrap();
    wrong(&[], &with, "twice");

    // Of two photos that the manifest names, the one with the rights that were asked for.
    std::fs::rename(folder.file("b/same.png"), folder.file("b/other.png")).unwrap();
    let text = r#"{"portraits": [{"file": "a/same.png", "rights": "own"}, {"file": "b/other.png"}]}"#;
    std::fs::write(&manifest, text).unwrap();
    let typo = Options { rights: vec!["onw".to_owned()], ..with.clone() };
    wrong(&[], &typo, "no input has the rights onw; the manifest gives these inputs: own, unknown");
    let summary = folder.prepare_with(&[], &with).unwrap();
    assert_eq!((summary.n_clips, summary.n_other_rights), (1, 1));
    assert_eq!(folder.dataset().clips[0].name, "same");
    assert_eq!(folder.dataset().clips[0].split, Split::of_person("same"));
}

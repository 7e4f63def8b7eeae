//! `verify` reads anybody's files: whatever is in them, it says what that shows or refuses, and never falls over.
//!
//! `EFFIGY_FUZZ_RUNS` sets how many damaged photos and sealed files (and identities, see `tests/identity.rs`) are tried, `EFFIGY_FUZZ_CLIPS` how
//! many clips and whole verifications, `EFFIGY_FUZZ_SEED` which; `cargo +nightly fuzz run verify` looks for more.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;

use crate::clips::Clip;
use crate::common;
use crate::damage::{Random, damaged, n_runs};
use crate::folder::Folder;
use effigy::RawFrame;
use effigy::capture::{self, Read, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::identity::{Basis, Opener, Seal, Signer};
use effigy::mark::{Detector, Embedder, Key, Message, NormalMap};
use effigy::verify::{Subject, VerifyOptions, VerifySpec, examine};
use sha2::{Digest as _, Sha256};

/// Small photos of every kind.
fn photos() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/photo");
    let files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() >= 10, "the corpus is there");
    files
}

/// Small clips in the containers and codings that are met most.
fn small_clips(folder: &Path) -> Vec<Vec<u8>> {
    let kinds = [
        ("a.mp4", "mpeg4"),
        ("b.mp4", "libx264"),
        ("c.mkv", "libx264"),
        ("d.avi", "mjpeg"),
        ("e.mkv", "ffv1"),
        ("f.ts", "mpeg2video"),
        ("g.webm", "libvpx"),
    ];
    kinds
        .map(|(name, encoder)| {
            let format = match encoder {
                "mjpeg" => ffmpeg_next::format::Pixel::YUVJ420P,
                _ => ffmpeg_next::format::Pixel::YUV420P,
            };
            let clip = Clip { encoder, format, size_px: (48, 32), ..Clip::default() };
            let path = folder.join(name);
            clip.write(&path, &[0, 1, 2, 3, 4], |i, x, y| [(x * 5) as u8, (y * 7) as u8, (i * 40) as u8]);
            std::fs::read(path).unwrap()
        })
        .into()
}

/// The page carries the detector compiled, and the sum of what it was compiled from.
#[test]
fn the_browsers_verifier_has_the_detector_of_today() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/verify");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let detector = String::from_utf8(read("detector.rs")).unwrap();
    let included = detector.lines().filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
    let sources: Vec<_> = ["detector.rs", "page.html"].into_iter().chain(included).flat_map(read).collect();
    let sum: String = Sha256::digest(&sources).iter().map(|byte| format!("{byte:02x}")).collect();
    let page = String::from_utf8(read("index.html")).unwrap();
    assert!(page.contains(&sum), "web/verify/index.html is old: `scripts/web_verify.sh` builds it anew");
}

#[test]
fn no_damaged_photo_does_harm() {
    let (photos, mut random) = (photos(), Random::new());
    for run in 0..n_runs("EFFIGY_FUZZ_RUNS", 20_000) {
        let _ = effigy::photo::decode(&damaged(&photos[run % photos.len()], &mut random));
    }
}

#[test]
fn no_damaged_sealed_file_does_harm() {
    let (secret, public) = effigy::identity::new_key();
    let mut opener = Opener::default();
    opener.add_keys(&secret).unwrap();
    let seal = Seal::to_keys([&*public]).unwrap();
    let plain: Vec<u8> = (0..70_000).map(|i| (i % 251) as u8).collect();
    // What is sealed goes in blocks of 64 KiB: one that is short, and two.
    let sealed = [&plain[..300], &plain].map(|plain| seal.apply(plain).unwrap());
    let (mut random, mut n_refused) = (Random::new(), 0);
    let n_runs = n_runs("EFFIGY_FUZZ_RUNS", 20_000);
    for run in 0..n_runs {
        let which = usize::from(run % 50 == 0);
        let file = damaged(&sealed[which], &mut random);
        match opener.open(Path::new("x.effigy"), file.clone(), 100_000) {
            // What does not begin as a sealed file does is a file like another.
            Ok(opened) if !effigy::identity::is_sealed(&file) => assert!(opened == file, "run {run}"),
            Ok(opened) => assert!(opened == plain[..[300, 70_000][which]], "run {run}: opened, and something else"),
            Err(error) => n_refused += usize::from(!error.to_string().is_empty()),
        }
    }
    assert!(n_refused > n_runs / 2, "{n_refused} refused");
}

#[test]
fn no_damaged_clip_does_harm() {
    let folder = Folder::new("damaged-clips");
    let (clips, mut random) = (small_clips(&folder.0), Random::new());
    let path = folder.0.join("damaged");
    let options = SourceOptions { paced: false, ..SourceOptions::default() };
    let (mut frame, clock, mut n_pictures) = (RawFrame::default(), MonotonicClock::new(), 0);
    for run in 0..n_runs("EFFIGY_FUZZ_CLIPS", 700) {
        std::fs::write(&path, damaged(&clips[run % clips.len()], &mut random)).unwrap();
        let Ok(mut source) = capture::open(&SourceSpec::File(path.clone()), &options) else { continue };
        while let Ok(Read::Fresh) = source.read(&mut frame, &clock) {
            n_pictures += 1;
        }
    }
    assert!(n_pictures > 100, "most of them can be read in part; {n_pictures} pictures");
}

#[test]
fn a_gif_of_any_height_is_a_picture() {
    let folder = Folder::new("gif");
    let path = folder.0.join("a.gif");
    // The low byte of its height is where a table of JSON begins in an identity.
    for height in [123, 124] {
        image::RgbaImage::from_pixel(64, height, image::Rgba([90, 120, 60, 255])).save(&path).unwrap();
        let subject = examine(&VerifySpec::File(path.clone()), &VerifyOptions::default(), &Opener::default());
        assert!(matches!(subject, Ok(Subject::Pictures(_))), "{height} rows: {:?}", subject.err());
    }
}

#[test]
fn every_file_is_verified_or_refused() {
    let folder = Folder::new("damaged-files");
    let signer = Signer::open_or_create_at(&folder.0.join("key")).unwrap();
    let identity = common::identity_on(Basis::Synthetic).to_bytes(&signer).unwrap();
    let mut files = small_clips(&folder.0);
    files.extend(photos());
    files.push(identity);
    let mut random = Random::new();
    let (mut n_pictures, mut n_refused) = (0, 0);
    for run in 0..n_runs("EFFIGY_FUZZ_CLIPS", 700) / 4 {
        let path = folder.0.join(["file", "file.effigy"][usize::from(run % 16 == 0)]);
        std::fs::write(&path, damaged(&files[run % files.len()], &mut random)).unwrap();
        match examine(&VerifySpec::File(path), &VerifyOptions::default(), &Opener::default()) {
            Ok(Subject::Pictures(evidence)) => {
                assert!(evidence.best().is_none_or(|best| !best.is_marked()), "nothing in them is marked");
                n_pictures += evidence.n_pictures;
            }
            Ok(Subject::Identity(_)) => {}
            Err(error) => {
                assert!(!error.to_string().is_empty());
                n_refused += 1;
            }
        }
    }
    assert!(n_pictures > 20 && n_refused > 5, "{n_pictures} pictures, {n_refused} refused");
}

#[test]
fn pictures_of_any_size_and_content_are_looked_at() {
    let (mut random, mut detector) = (Random::new(), Detector::new(Key::PUBLIC));
    let (mut map, mut sum) = (NormalMap::default(), NormalMap::default());
    for run in 0..n_runs("EFFIGY_FUZZ_CLIPS", 700) / 10 {
        let (width, height) = match run % 4 {
            0 => (1 + random.below(4), 1 + random.below(2000)),
            1 => (1 + random.below(2000), 1 + random.below(4)),
            _ => (1 + random.below(400), 1 + random.below(400)),
        };
        let value = random.next() as u8;
        let luma: Vec<u8> = match run % 3 {
            0 => vec![value; width * height],
            1 => (0..width * height).map(|i| if i % 7 == 0 { 255 } else { 0 }).collect(),
            _ => (0..width * height).map(|_| random.next() as u8).collect(),
        };
        assert!(detector.map(&luma, (width, height), &mut map));
        let finding = detector.look(&map);
        assert!(finding.score.is_finite() && !finding.is_marked(), "{width}x{height}: {finding:?}");
        sum.add(&map);
        assert!(detector.look(&sum).score.is_finite());
        assert!(!detector.map(&luma, (width + 1, height), &mut map), "there are fewer samples than that");
    }
}

/// A clip whose every picture is shown twice has the same seconds as the one whose pictures are shown once.
#[test]
fn pictures_that_are_shown_again_count_and_change_nothing() {
    let folder = Folder::new("repeated");
    let size = 256;
    let mut pixels: Vec<[u8; 4]> = (0..size * size)
        .map(|i| {
            let (x, y) = ((i % size) as f32, (i / size) as f32);
            let value = 120.0 + 50.0 * (x * 0.02).sin() + 40.0 * (y * 0.03).cos();
            [value as u8, value as u8, value as u8, 255]
        })
        .collect();
    Embedder::new((size, size), Message::of_run(0x1234), Key::PUBLIC).mark(&mut pixels);
    let clip = Clip { encoder: "ffv1", size_px: (size as u32, size as u32), ..Clip::default() };
    let path = folder.0.join("clip.mkv");
    clip.write(&path, &[0, 1, 2, 3, 4, 5, 6, 7], |i, x, y| {
        let pixel = pixels[y as usize * size + x as usize];
        // Pictures 0 to 3 are alike, and the last ones.
        [pixel[0].saturating_add(u8::from(i >= 4)), pixel[1], pixel[2]]
    });
    let options = VerifyOptions { each_picture: true, ..VerifyOptions::default() };
    let Ok(Subject::Pictures(evidence)) = examine(&VerifySpec::File(path), &options, &Opener::default()) else {
        panic!("it is a clip")
    };
    assert_eq!((evidence.n_pictures, evidence.pictures.len()), (8, 8));
    let scores: Vec<f32> = evidence.pictures.iter().map(|finding| finding.score).collect();
    assert!(scores[..4].iter().all(|score| *score == scores[0]) && scores[4..].iter().all(|score| *score == scores[4]));
    assert_eq!(evidence.message(), Some(Message::of_run(0x1234)), "{scores:?}");
}

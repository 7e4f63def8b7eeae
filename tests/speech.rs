//! Sound as the driver: the program, from a recording to the motion and the pictures of who says it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::sync::OnceLock;

use crate::clips;
use crate::common;
use crate::home::Home;

/// Somebody says "Mama, papa." (espeak-ng, en-us+f2; 8 kHz, 8 bits by the mu law), with silence around it: two seconds.
const MAMA: &[u8] = include_bytes!("data/mama.wav");
/// When it is silent, when the lips meet, and when a vowel is long and open, in seconds: as espeak-ng says.
const SILENT_SECS: [f64; 4] = [0.08, 0.16, 1.8, 1.92];
const SHUT_SECS: [f64; 3] = [0.44, 0.72, 1.08];
const OPEN_SECS: [f64; 2] = [0.56, 1.24];

/// A home with the recording in it.
fn home(name: &str) -> Home {
    static MODEL: OnceLock<std::sync::Arc<effigy::Identity>> = OnceLock::new();
    let home = Home::new("speech", name, &["me"], MODEL.get_or_init(|| common::identity(512)));
    std::fs::write(home.0.join("mama.wav"), MAMA).unwrap();
    home
}

const RUN: &str = "run --identity me.effigy --no-settings --backend warp --every-frame --unsigned";

/// A file of motion: the time and the opening of the jaw of each frame.
fn jaws(path: &Path) -> Vec<(f64, f64)> {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let frame: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(frame["seen"], true);
        (frame["secs"].as_f64().unwrap(), frame["coefficients"]["jawOpen"].as_f64().unwrap())
    };
    text.lines().map(line).collect()
}

#[test]
fn a_recording_moves_the_mouth_in_its_own_time() {
    let home = home("mama");
    let told = home.says(
        &format!("{RUN} --source audio:mama.wav --sink motion:a.jsonl --sink file:a.mkv --sink file:pictures/"),
        0,
    );
    let jaws = jaws(&home.0.join("a.jsonl"));
    assert_eq!(jaws.len(), 60, "two seconds\n{told}");
    for (i, (secs, _)) in jaws.iter().enumerate() {
        assert!((secs - i as f64 / 30.0).abs() < 1e-6, "frame {i} at {secs}");
    }
    let jaw = |secs: f64| jaws[(secs * 30.0).round() as usize].1;
    for secs in SILENT_SECS {
        assert!(jaw(secs) < 0.05, "{secs} s is silent: {jaws:?}");
    }
    for secs in SHUT_SECS {
        assert!(jaw(secs) < 0.08, "lips meet at {secs} s: {jaws:?}");
    }
    for secs in OPEN_SECS {
        assert!(jaw(secs) > 0.2, "a vowel at {secs} s: {jaws:?}");
    }
    // One picture a frame, and the recording's sound beside them.
    assert_eq!(clips::pictures(&home.0.join("a.mkv")).len(), 60);
    let n_pictures = std::fs::read_dir(home.0.join("pictures")).unwrap().count();
    assert_eq!(n_pictures, 60, "and one PNG each");
    let recording = ffmpeg_next::format::input(&home.0.join("a.mkv")).unwrap();
    let sound = recording.streams().best(ffmpeg_next::media::Type::Audio).map(|sound| sound.parameters().id());
    assert_eq!(sound, Some(ffmpeg_next::codec::Id::PCM_MULAW));
}

#[test]
fn what_cannot_be_heard_is_said() {
    let home = home("wrong");
    std::fs::write(home.0.join("words.wav"), "hello").unwrap();
    for (source, code, says) in [
        ("audio:", 2, "`audio:` lacks a file or microphone; give `--source audio:FILE`"),
        ("audio:microphone:", 2, "lacks a part of the microphone's name"),
        ("audio:missing.wav", 1, "missing.wav"),
        ("audio:words.wav", 1, "cannot hear words.wav: it has another format or is torn; give a file with sound"),
        ("audio:.", 1, "is a folder"),
        ("audio:microphone", 2, "--every-frame needs a clip"),
    ] {
        let told = home.says(&format!("{RUN} --source {source} --sink file:a.mkv"), code);
        assert!(told.contains(says), "{source}: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
    let told = home.says(&format!("{RUN} --source audio:mama.wav --sink file:mama.wav"), 2);
    assert!(told.contains("mama.wav"), "{told}");
}

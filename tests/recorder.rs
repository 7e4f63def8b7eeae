//! Recordings that end badly: the program is killed, the disk is full.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "how far a long test got, and what was skipped")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::{clips, common};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::sink::{Codec, RateMode, Recorder, RecorderOptions};
use effigy::trace::Trace;
use effigy::{ErrorKind, OutFrame, Portrait, Rgba, Sink as _};

/// Nothing here takes so long unless it is broken.
const BOUND: Duration = Duration::from_secs(120);
/// Tells the second half of a test where its small disk is to be.
const SMALL_DISK: &str = "EFFIGY_TEST_SMALL_DISK";

/// What may be lost.
const LAST_SECS: f64 = 1.0;

fn effigy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_effigy"))
}

#[test]
fn a_killed_recording_plays_up_to_the_kill() {
    let folder = Folder::new("recording-kill");
    let (photo, identity) = (folder.0.join("a.png"), folder.0.join("a.effigy"));
    std::fs::write(&photo, effigy::demo::PORTRAITS[0].1).unwrap();
    let enrolled = effigy()
        .env("XDG_CONFIG_HOME", &folder.0)
        .arg("enroll")
        .args([&photo, Path::new("-o"), &identity])
        .args(["--consent", "synthetic", "--no-rehearsal"])
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    let videos = ["a.mp4", "a.mkv", "a.mov"].map(|name| folder.0.join(name));
    let mut program = effigy();
    program.env("XDG_DATA_HOME", crate::data_home::data_home());
    program.args(["run", "--source", "pattern", "--backend", "warp", "--identity"]).arg(&identity);
    for video in &videos {
        program.arg("--sink").arg(format!("file:{}", video.display()));
    }
    let (stdin, quiet) = (Stdio::null(), Stdio::null);
    let mut program = program.stdin(stdin).stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let begin = Instant::now();
    let mut recording = None;
    let mut n_bytes = 0;
    // The recording begins with the first bytes that are pictures.
    while recording.is_none_or(|recording: Instant| recording.elapsed() < Duration::from_secs(6)) {
        assert!(begin.elapsed() < BOUND && program.try_wait().unwrap().is_none(), "nothing is recorded");
        std::thread::sleep(Duration::from_millis(20));
        let length = std::fs::metadata(&videos[0]).map_or(0, |file| file.len());
        if n_bytes > 0 && length > n_bytes {
            recording.get_or_insert_with(Instant::now);
        }
        n_bytes = length;
    }
    let recorded_secs = recording.unwrap().elapsed().as_secs_f64();
    // SIGKILL: nothing can be completed.
    program.kill().unwrap();
    assert!(!program.wait().unwrap().success());
    for video in &videos {
        #[cfg(feature = "c2pa")]
        assert_eq!(effigy::credentials::read(video, true).unwrap(), None, "what is not complete is not signed");
        let pictures = clips::pictures(video);
        let last_secs = pictures.last().unwrap().secs;
        println!("{}: {} pictures, {last_secs:.2} of {recorded_secs:.2} s", video.display(), pictures.len());
        // The first half second was in the file when it was noticed.
        assert!(last_secs > recorded_secs - LAST_SECS, "{}: {last_secs} of {recorded_secs} s play", video.display());
    }
}

#[test]
fn on_a_disk_that_is_really_full_the_recording_is_kept() {
    if let Some(place) = std::env::var_os(SMALL_DISK) {
        return fill_small_disk(Path::new(&place));
    }
    let folder = Folder::new("recording-full");
    // A disk of 1 MiB that only this command sees.
    let script = format!("mount -t tmpfs -o size=1m small '{0}' && echo MOUNTED && exec \"$@\"", folder.0.display());
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "recorder::on_a_disk_that_is_really_full_the_recording_is_kept", "--nocapture"])
        .env(SMALL_DISK, &folder.0)
        .output();
    let Ok(output) = output.inspect_err(|error| eprintln!("SKIPPED: a full disk: no unshare: {error}")) else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !said.contains("MOUNTED") {
        eprintln!("SKIPPED: a full disk: this user may not mount one: {said}");
        return;
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    print!("{said}");
}

/// A picture of 1024 tiles of any colours: some seconds of them fill the small disk, and some dozens are there before.
fn mosaic(seed: u32) -> OutFrame {
    let identity = common::identity(512);
    let mut compositor = Compositor::new(CompositeOptions::default()).unwrap();
    compositor.adopt(&identity).unwrap();
    let colour = |i: usize| {
        let tile = ((i / 512 / 16 * 32 + i % 512 / 16) as u32).wrapping_add(seed << 10).wrapping_mul(2_654_435_761);
        [(tile >> 24) as u8, (tile >> 16) as u8, (tile >> 8) as u8, 255]
    };
    let picture = Rgba::from_data(512, 512, (0..512 * 512).flat_map(colour).collect()).unwrap();
    let mut frame = OutFrame::blank(512, 512);
    compositor.compose(&Portrait { picture }, Trace::default(), &mut frame).unwrap();
    frame
}

/// Records until there is no space, in all kinds of files, and plays what is there.
fn fill_small_disk(place: &Path) {
    let mut frames: [OutFrame; 7] = std::array::from_fn(|seed| mosaic(seed as u32));
    for (name, mode) in [
        ("a.mkv", RateMode::Variable),
        ("a.mp4", RateMode::Variable),
        ("b.mp4", RateMode::OneForOne),
        ("a.mov", RateMode::Variable),
    ] {
        let path = place.join(name);
        let codec = if name == "a.mkv" { Codec::Ffv1 } else { Codec::Auto };
        let options = RecorderOptions { mode, codec, reserve_bytes: 0, ..RecorderOptions::new((512, 512), 30.0) };
        let mut recorder = Recorder::open(&path, &options).unwrap();
        // More pictures in turn than an encoder looks back for, so that there is something to code.
        let error = (0..100_000).find_map(|index: usize| recorder.present(&frames[index % frames.len()]).err());
        let error = error.expect("1 MiB is full at some time");
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = error.to_string();
        assert!(text.contains("holds the first") && text.contains("make space"), "{text}");
        recorder.finish().unwrap();
        let (n_written, n_found) = (recorder.n_written(), clips::pictures(&path).len());
        // A fragment of half a second may go, and offline the pictures that the encoder looks ahead: a second at most.
        assert!(n_found > 2 && n_found as u64 + 30 >= n_written, "{name}: {n_found} of {n_written} pictures play");
        println!("{name}: {n_found} of {n_written} pictures play: {text}");
        std::fs::remove_file(&path).unwrap();
        frames.reverse();
    }
}

//! Recordings that end badly: the program is killed, the disk is full.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "how far a long test got, and what was skipped")]

#[path = "common/folder.rs"]
mod folder;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use effigy::composite::{CardReason, CompositeOptions, Compositor};
use effigy::sink::{RateMode, Recorder, RecorderOptions};
use effigy::trace::Trace;
use effigy::{ErrorKind, OutFrame, Sink as _};
use folder::Folder;
use opencv::prelude::{VideoCaptureTrait as _, VideoCaptureTraitConst as _};
use opencv::videoio::VideoCapture;

/// Nothing here takes so long unless it is broken.
const BOUND: Duration = Duration::from_secs(120);
/// Tells the second half of a test where its small disk is to be.
const SMALL_DISK: &str = "EFFIGY_TEST_SMALL_DISK";

/// The number of pictures that a player gets out of a file.
fn n_pictures(path: &Path) -> usize {
    let mut capture = VideoCapture::from_file_def(path.to_str().unwrap()).unwrap();
    assert!(capture.is_opened().unwrap(), "{} does not open", path.display());
    let mut picture = opencv::core::Mat::default();
    let mut n = 0;
    while capture.read(&mut picture).unwrap() {
        n += 1;
    }
    n
}

fn effigy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_effigy"))
}

#[test]
fn a_killed_recording_plays_up_to_the_kill() {
    let folder = Folder::new("recording-kill");
    let (photo, identity, video) = (folder.0.join("a.png"), folder.0.join("a.effigy"), folder.0.join("a.mkv"));
    std::fs::write(&photo, effigy::demo::PORTRAITS[0].1).unwrap();
    let enrolled = effigy()
        .env("XDG_CONFIG_HOME", &folder.0)
        .arg("enroll")
        .args([&photo, Path::new("-o"), &identity])
        .args(["--consent", "synthetic"])
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    let mut program = effigy()
        .args(["run", "--source", "pattern", "--backend", "warp", "--identity"])
        .arg(&identity)
        .arg("--sink")
        .arg(format!("file:{}", video.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while std::fs::metadata(&video).map_or(0, |file| file.len()) < 1 << 20 {
        assert!(begin.elapsed() < BOUND && program.try_wait().unwrap().is_none(), "nothing is recorded");
        std::thread::sleep(Duration::from_millis(20));
    }
    // SIGKILL: nothing can be completed.
    program.kill().unwrap();
    assert!(!program.wait().unwrap().success());
    let bytes = std::fs::read(&video).unwrap();
    // Each picture begins with the marker of a JPEG and is preceded by its block's flags.
    let n_begun = bytes.windows(4).filter(|bytes| *bytes == [0x80, 0xff, 0xd8, 0xff]).count();
    let n_found = n_pictures(&video);
    assert!(n_found >= 5 && n_found.abs_diff(n_begun) <= 1, "{n_found} pictures play of {n_begun} begun");
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
        .args(["--exact", "on_a_disk_that_is_really_full_the_recording_is_kept", "--nocapture"])
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

/// Records until there is no space, in both kinds of files, and plays what is there.
fn fill_small_disk(place: &Path) {
    let mut frame = OutFrame::blank(512, 512);
    let mut compositor = Compositor::new(CompositeOptions::default()).unwrap();
    compositor.card(CardReason::Paused, Trace::default(), &mut frame);
    let path = place.join("a.mkv");
    let mode = RateMode::Variable;
    let options = RecorderOptions { mode, reserve_bytes: 0, ..RecorderOptions::new((512, 512), 30.0) };
    let mut recorder = Recorder::open(&path, &options).unwrap();
    let error = (0..10_000).find_map(|_| recorder.present(&frame).err()).expect("1 MiB is full at some time");
    assert_eq!(error.kind(), ErrorKind::Io);
    let text = error.to_string();
    assert!(text.contains("holds the first") && text.contains("make space"), "{text}");
    recorder.finish().unwrap();
    let (n_written, n_found) = (recorder.n_written(), n_pictures(&path));
    assert!(n_found > 10 && n_found as u64 == n_written, "{n_found} of {n_written} pictures play");
    println!("{n_found} pictures play: {text}");
}

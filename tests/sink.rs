//! Sinks from the outside: what they refuse, and the ways through `sink::open`.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]
#![allow(clippy::print_stderr, reason = "what was skipped")]

use crate::folder::Folder;
use effigy::sink::{self, Codec, Delivery, NullSink, Recorder, RecorderOptions, SequenceSink, SinkOptions, SinkSpec};
use effigy::{Error, ErrorKind, OutFrame, Sink};

const OPTIONS: SinkOptions = SinkOptions {
    size_px: (64, 48),
    rate_hz: 30.0,
    every_frame: true,
    codec: Codec::Auto,
    sound: None,
    microphone: None,
    signing: None,
};

fn check(error: Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "expected {part:?} in: {error}");
    }
}

#[test]
fn a_bad_path_fails_before_the_run_and_says_why() {
    let folder = Folder::new("sink-paths");
    let folder_text = folder.0.to_str().unwrap();
    std::fs::create_dir(folder.0.join("folder.mp4")).unwrap();
    std::fs::write(folder.0.join("file"), "").unwrap();
    let table = [
        (format!("file:{folder_text}/none/a.mp4"), "mkdir -p"),
        (format!("file:{folder_text}/folder.mp4"), "it is a folder: name a file in it"),
        (format!("file:{folder_text}/file/a_%04d.png"), "cannot write"),
    ];
    for (text, advice) in table {
        let spec: SinkSpec = text.parse().unwrap();
        check(sink::open(&spec, &OPTIONS).err().unwrap(), ErrorKind::Io, &["cannot write", folder_text, advice]);
    }
    assert!(!folder.0.join("none").exists(), "a video's folder is not made in passing");
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_where_nothing_may_be_written_is_a_matter_of_permission() {
    // A folder of the kernel: nobody makes files there, not even root.
    for text in ["file:/proc/self/a.mp4", "file:/proc/self/a_%d.png"] {
        let spec: SinkSpec = text.parse().unwrap();
        let error = sink::open(&spec, &OPTIONS).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Io), "{error:?}");
        assert!(error.to_string().starts_with("cannot write /"), "{error}");
    }
}

#[test]
fn sizes_and_rates_that_no_video_has_are_refused() {
    let folder = Folder::new("sink-sizes");
    let path = folder.0.join("a.mp4");
    let table = [
        ((1, 48), 30.0, "a video of 1x48 was asked for; give a size from 2 to 8192"),
        ((64, 9000), 30.0, "a video of 64x9000 was asked for"),
        ((64, 48), 0.0, "a video of 0 frames a second was asked for; give 0.01 to 240"),
        ((64, 48), f64::NAN, "a video of NaN frames a second was asked for"),
    ];
    for (size_px, rate_hz, message) in table {
        let error = Recorder::open(&path, &RecorderOptions::new(size_px, rate_hz)).err().unwrap();
        check(error, ErrorKind::Config, &[message]);
    }
    check(
        SequenceSink::open(&path, None).err().unwrap(),
        ErrorKind::Config,
        &["lacks one place for the frame's number"],
    );
    assert!(!path.exists());
}

#[test]
fn a_full_disk_is_noticed_before_the_run_and_leaves_no_file() {
    let folder = Folder::new("sink-full");
    let path = folder.0.join("a.mp4");
    let options = RecorderOptions { reserve_bytes: u64::MAX, ..RecorderOptions::new((64, 48), 30.0) };
    check(Recorder::open(&path, &options).err().unwrap(), ErrorKind::Io, &["MiB left", "make space"]);
    assert!(!path.exists());
}

#[test]
fn a_recorder_says_what_it_writes_and_takes_no_other_size() {
    let folder = Folder::new("sink-names");
    let path = folder.0.join("a.mp4");
    let mut recorder = Recorder::open(&path, &RecorderOptions::new((63, 48), 25.0)).unwrap();
    let name = recorder.name().to_owned();
    assert!(name.ends_with(" 64x48 25/s") && (name.contains("H.264") || name.contains("MPEG-4")), "{name}");
    assert_eq!(recorder.delivery(), Delivery::Every(8));
    let error = recorder.present(&OutFrame::blank(64, 48)).unwrap_err();
    check(error, ErrorKind::Internal, &["a frame of (64, 48) came, expected are (63, 48)"]);
    assert!(recorder.present(&OutFrame::blank(63, 48)).unwrap().is_continue());
    recorder.finish().unwrap();
    recorder.finish().unwrap();
    assert!(path.metadata().unwrap().len() > 0);
}

#[test]
fn a_folder_gets_numbered_pictures() {
    let folder = Folder::new("sink-folder");
    let spec: SinkSpec = format!("file:{}/pictures/", folder.0.display()).parse().unwrap();
    let mut sink = sink::open(&spec, &OPTIONS).unwrap();
    assert_eq!(sink.delivery(), Delivery::Every(8));
    for _ in 0..3 {
        assert!(sink.present(&OutFrame::blank(64, 48)).unwrap().is_continue());
    }
    sink.finish().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.0.join("pictures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["000001.png", "000002.png", "000003.png"]);
}

#[test]
fn null_counts() {
    let mut null = NullSink::default();
    for _ in 0..5 {
        assert!(null.present(&OutFrame::blank(2, 2)).unwrap().is_continue());
    }
    null.finish().unwrap();
    assert_eq!((null.n_presented(), null.name(), null.delivery()), (5, "null", Delivery::Latest));
    assert_eq!(sink::open(&SinkSpec::Null, &OPTIONS).unwrap().delivery(), Delivery::Every(8));
}

#[test]
fn the_window_is_left_to_the_thread_that_polls_it() {
    check(
        sink::open(&SinkSpec::Window, &OPTIONS).err().unwrap(),
        ErrorKind::Config,
        &["the thread that polls its keys"],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_loopback_device_the_error_says_how_to_make_one() {
    if let Ok(found) = sink::loopbacks() {
        eprintln!("SKIPPED: there are loopback devices: {found:?}");
        return;
    }
    let spec: SinkSpec = "vcam".parse().unwrap();
    let error = sink::open(&spec, &OPTIONS).err().unwrap();
    let parts = ["sudo modprobe v4l2loopback exclusive_caps=1 card_label=effigy", "apt install v4l2loopback-dkms"];
    check(error, ErrorKind::NoDevice, &parts);
}

//! The recorder against real files.

use super::*;
use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::ManualClock;
use crate::frame::Rgba;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("effigy-recorder-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A smooth picture with a bright bar that tells the frames apart.
fn frame(width_px: usize, height_px: usize, number: usize, secs: f64) -> OutFrame {
    let mut picture = Rgba::new(width_px, height_px);
    for y in 0..height_px {
        for x in 0..width_px {
            let bar = if x / 8 == number % (width_px / 8) { 90 } else { 0 };
            let rgba = [(x * 120 / width_px + bar) as u8, (y * 150 / height_px) as u8, 60, 255];
            picture.data_mut()[(y * width_px + x) * 4..][..4].copy_from_slice(&rgba);
        }
    }
    let trace = Trace::new(number as u64 + 1, Timestamp::from_nanos((secs * 1e9) as u64 + 1));
    OutFrame::from_picture_for_test(picture, trace)
}

/// All pictures of a file, in RGB.
fn read_back(path: &Path) -> Vec<Rgb> {
    let mut clip = ClipSource::open(path, &SourceOptions { paced: false, ..SourceOptions::default() }).unwrap();
    let (mut raw, clock, mut pictures) = (RawFrame::default(), ManualClock::new(), Vec::new());
    while clip.read(&mut raw, &clock).unwrap() == Read::Fresh {
        pictures.push(raw.picture().clone());
    }
    pictures
}

/// The likeness over the part that both have, in dB.
fn psnr_db(written: &Rgba, read: &Rgb) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for y in 0..written.height_px() {
        for x in 0..written.width_px() {
            for (a, b) in written.pixel(x, y).iter().zip(read.pixel(x, y)) {
                sum += (f64::from(*a) - f64::from(b)).powi(2);
                n += 1.0;
            }
        }
    }
    10.0 * (255.0 * 255.0 * n / f64::max(sum, 1e-9)).log10()
}

#[test]
fn every_frame_comes_back_in_each_container_also_at_an_odd_size() {
    let folder = Folder::new("round-trip");
    let one = RateMode::OneForOne;
    for (container, (width_px, height_px), mode) in [
        ("mp4", (128, 96), one),
        ("mkv", (128, 96), one),
        ("avi", (128, 96), one),
        ("mp4", (127, 95), one),
        ("mkv", (128, 96), RateMode::Variable),
        ("mkv", (127, 95), RateMode::Variable),
    ] {
        let path = folder.0.join(format!("{width_px}.{container}"));
        let options = RecorderOptions { mode, ..RecorderOptions::new((width_px, height_px), 25.0) };
        let mut recorder = Recorder::open(&path, &options).unwrap();
        let written: Vec<_> = (0..20).map(|i| frame(width_px, height_px, i, 0.0)).collect();
        for frame in &written {
            assert!(recorder.present(frame).unwrap().is_continue());
        }
        recorder.finish().unwrap();
        let read = read_back(&path);
        assert_eq!(read.len(), 20, "{}", recorder.name());
        for (index, (written, read)) in written.iter().zip(&read).enumerate() {
            assert_eq!(read.width_px(), width_px.next_multiple_of(2));
            let db = psnr_db(written.picture(), read);
            assert!(db > 28.0, "{}: picture {index} came back with {db:.1} dB", recorder.name());
        }
    }
}

#[test]
fn uneven_times_become_a_file_of_true_length() {
    let folder = Folder::new("rate");
    let path = folder.0.join("a.mp4");
    let mut recorder = Recorder::open(&path, &RecorderOptions::new((64, 64), 30.0)).unwrap();
    // Two seconds at 15 a second, then one second at 60.
    let times = (0..30).map(|i| f64::from(i) / 15.0).chain((0..60).map(|i| 2.0 + f64::from(i) / 60.0));
    for (index, secs) in times.enumerate() {
        assert!(recorder.present(&frame(64, 64, index, secs)).unwrap().is_continue());
    }
    recorder.finish().unwrap();
    let n_found = read_back(&path).len();
    assert_eq!(n_found as u64, recorder.n_written());
    assert!(n_found.abs_diff(90) <= 1, "three seconds became {n_found} pictures");
    assert!(recorder.n_dropped().abs_diff(30) <= 1, "{} frames were left out", recorder.n_dropped());
}

/// The times of all pictures of a file, in milliseconds, as a player sees them.
fn times_ms(path: &Path) -> Vec<f64> {
    use opencv::prelude::{VideoCaptureTrait as _, VideoCaptureTraitConst as _};
    use opencv::videoio::{CAP_PROP_POS_MSEC, VideoCapture};
    let mut capture = VideoCapture::from_file_def(path.to_str().unwrap()).unwrap();
    let mut times = Vec::new();
    while capture.grab().unwrap() {
        times.push(capture.get(CAP_PROP_POS_MSEC).unwrap());
    }
    times
}

fn variable(path: &Path) -> Recorder {
    let mode = RateMode::Variable;
    Recorder::open(path, &RecorderOptions { mode, ..RecorderOptions::new((64, 64), 30.0) }).unwrap()
}

#[test]
fn with_a_variable_rate_every_picture_keeps_its_time() {
    let folder = Folder::new("variable");
    let path = folder.0.join("a.mkv");
    let mut recorder = variable(&path);
    // Uneven, and longer than a group of pictures.
    let secs: Vec<f64> = (0..60).map(|i| f64::from(i) / 15.0 + f64::from(i % 3) * 0.011).chain([5.0, 8.5]).collect();
    for (index, secs) in secs.iter().enumerate() {
        assert!(recorder.present(&frame(64, 64, index, *secs)).unwrap().is_continue());
    }
    let unfinished = times_ms(&path);
    recorder.finish().unwrap();
    for found in [unfinished, times_ms(&path)] {
        assert_eq!(found.len(), secs.len());
        for (found, secs) in found.iter().zip(&secs) {
            assert!((found - secs * 1e3).abs() <= 1.0, "{found} ms for {secs} s");
        }
    }
    let error = Recorder::open(
        &folder.0.join("a.mp4"),
        &RecorderOptions { mode: RateMode::Variable, ..RecorderOptions::new((64, 64), 30.0) },
    );
    assert_eq!(error.err().unwrap().kind(), ErrorKind::Config);
    assert!(!folder.0.join("a.mp4").exists());
}

#[test]
fn wherever_a_file_of_variable_rate_is_torn_its_whole_pictures_play() {
    let folder = Folder::new("torn");
    let path = folder.0.join("a.mkv");
    let mut recorder = variable(&path);
    let mut ends = Vec::new();
    for index in 0..90 {
        assert!(recorder.present(&frame(64, 64, index, index as f64 / 30.0)).unwrap().is_continue());
        ends.push(path.metadata().unwrap().len() as usize);
    }
    // As a kill leaves it: nothing was completed.
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(ends.last(), Some(&bytes.len()), "every picture is in the file at once");
    let torn = folder.0.join("torn.mkv");
    for n_bytes in [ends[0], ends[1] - 1, ends[1], ends[40] + 5, ends[61] + 100, ends[88] - 2, bytes.len()] {
        std::fs::write(&torn, &bytes[..n_bytes]).unwrap();
        let n_whole = ends.iter().filter(|end| **end <= n_bytes).count();
        let n_found = times_ms(&torn).len();
        // What is torn may be shown as far as it goes.
        assert!(n_found == n_whole || n_found == n_whole + 1, "{n_found} of {n_whole} whole pictures");
    }
}

#[test]
fn on_a_full_disk_what_was_written_is_kept_and_plays() {
    let folder = Folder::new("full");
    let path = folder.0.join("a.mp4");
    let mode = RateMode::OneForOne;
    let options = RecorderOptions { mode, ..RecorderOptions::new((64, 64), 10.0) };
    let mut recorder = Recorder::open(&path, &options).unwrap();
    for index in 0..15 {
        assert!(recorder.present(&frame(64, 64, index, 0.0)).unwrap().is_continue());
    }
    recorder.free_bytes = |_| Some(5 << 20);
    let error = (15..40).find_map(|index| recorder.present(&frame(64, 64, index, 0.0)).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    let text = error.to_string();
    assert!(text.contains("holds the first 2.0 s") && text.contains("5 MiB left, 32 MiB are kept free"), "{text}");
    recorder.finish().unwrap();
    assert_eq!(read_back(&path).len(), 20);
    assert!(recorder.present(&frame(64, 64, 0, 0.0)).is_err(), "after the end");
}

#[test]
fn transparent_parts_are_written_over_black() {
    let picture = Rgba::from_data(1, 1, vec![200, 100, 50, 51]).unwrap();
    let mut bgr = Rgb::new(2, 2);
    bgr_from_frame(&OutFrame::from_picture_for_test(picture, Trace::default()), &mut bgr);
    assert_eq!(bgr.data(), [10, 20, 40].repeat(4));
}

#[test]
fn a_recording_without_frames_leaves_no_file() {
    let folder = Folder::new("empty");
    let path = folder.0.join("a.mp4");
    let mut recorder = Recorder::open(&path, &RecorderOptions::new((64, 64), 30.0)).unwrap();
    recorder.finish().unwrap();
    assert!(!path.exists());
}

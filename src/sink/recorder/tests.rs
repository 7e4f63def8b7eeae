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
    for (container, (width_px, height_px)) in
        [("mp4", (128, 96)), ("mkv", (128, 96)), ("avi", (128, 96)), ("mp4", (127, 95))]
    {
        let path = folder.0.join(format!("{width_px}.{container}"));
        let mode = RateMode::OneForOne;
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

//! The recorder against real files.

use super::*;
use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::ManualClock;
use crate::frame::{Rgb, Rgba};
use crate::video::clips::{self, Clip};
use ffmpeg_next::util::color::{Primaries, Range, Space, TransferCharacteristic};

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
    for (container, (width_px, height_px), codec) in [
        ("mp4", (128, 96), "auto"),
        ("mkv", (128, 96), "h264"),
        ("mov", (128, 96), "auto"),
        ("avi", (128, 96), "auto"),
        ("mp4", (127, 95), "auto"),
        ("mkv", (127, 95), "ffv1"),
        ("mov", (127, 95), "prores"),
        ("mkv", (128, 96), "hevc"),
        ("mp4", (128, 96), "hevc"),
        ("mkv", (128, 96), "av1"),
        ("mp4", (128, 96), "mpeg4"),
    ] {
        let codec: Codec = codec.parse().unwrap();
        let path = folder.0.join(format!("{width_px}.{container}"));
        let is_even = !matches!(codec, Codec::Ffv1 | Codec::ProRes);
        let mode = RateMode::OneForOne;
        let options = RecorderOptions { mode, codec, ..RecorderOptions::new((width_px, height_px), 25.0) };
        let mut recorder = Recorder::open(&path, &options).unwrap();
        let written: Vec<_> = (0..20).map(|i| frame(width_px, height_px, i, 0.0)).collect();
        for frame in &written {
            assert!(recorder.present(frame).unwrap().is_continue());
        }
        recorder.finish().unwrap();
        let read = read_back(&path);
        assert_eq!(read.len(), 20, "{}", recorder.name());
        for (index, (written, read)) in written.iter().zip(&read).enumerate() {
            let expected_px = if is_even { width_px.next_multiple_of(2) } else { width_px };
            assert_eq!(read.width_px(), expected_px);
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
    clips::pictures(path).iter().map(|picture| picture.secs * 1e3).collect()
}

fn variable(path: &Path) -> Recorder {
    let mode = RateMode::Variable;
    Recorder::open(path, &RecorderOptions { mode, ..RecorderOptions::new((64, 64), 30.0) }).unwrap()
}

#[test]
fn with_a_variable_rate_every_picture_keeps_its_time() {
    let folder = Folder::new("variable");
    // Uneven, and longer than a group of pictures.
    let secs: Vec<f64> = (0..60).map(|i| f64::from(i) / 15.0 + f64::from(i % 3) * 0.011).chain([5.0, 8.5]).collect();
    for name in ["a.mkv", "a.mp4", "a.mov"] {
        let path = folder.0.join(name);
        let mut recorder = variable(&path);
        for (index, secs) in secs.iter().enumerate() {
            assert!(recorder.present(&frame(64, 64, index, *secs)).unwrap().is_continue());
        }
        let unfinished = times_ms(&path);
        recorder.finish().unwrap();
        let finished = times_ms(&path);
        assert!(unfinished.len() + 1 >= secs.len(), "{name}: {} before the end", unfinished.len());
        assert_eq!(finished.len(), secs.len(), "{name}");
        for found in [unfinished, finished] {
            for (found, secs) in found.iter().zip(&secs) {
                assert!((found - secs * 1e3).abs() <= 1.0, "{name}: {found} ms for {secs} s");
            }
        }
    }
    let mode = RateMode::Variable;
    let path = folder.0.join("a.avi");
    let error = Recorder::open(&path, &RecorderOptions { mode, ..RecorderOptions::new((64, 64), 30.0) });
    assert_eq!(error.err().unwrap().kind(), ErrorKind::Config);
    assert!(!path.exists());
}

#[test]
fn wherever_a_recording_is_torn_all_but_its_last_second_plays() {
    let folder = Folder::new("torn");
    for name in ["a.mkv", "a.mp4", "a.mov"] {
        let path = folder.0.join(name);
        let mut recorder = variable(&path);
        // How many pictures were given when the file had so many bytes.
        let mut ends = Vec::new();
        for index in 0..150 {
            assert!(recorder.present(&frame(64, 64, index, index as f64 / 30.0)).unwrap().is_continue());
            ends.push(path.metadata().unwrap().len() as usize);
        }
        // As a kill leaves it: nothing was completed.
        let bytes = std::fs::read(&path).unwrap();
        let torn = folder.0.join(format!("torn-{name}"));
        for n_bytes in [ends[70], ends[70] + 5, ends[70] + 30, ends[100] + 100, ends[140] - 2, bytes.len()] {
            let mut left = bytes[..n_bytes].to_vec();
            // The head of a fragment is written when the rest of it is there.
            let whole = *ends.iter().rfind(|end| **end <= n_bytes).unwrap();
            left[whole..].iter_mut().take(8).for_each(|byte| *byte = 0);
            std::fs::write(&torn, &left).unwrap();
            let n_given = ends.iter().filter(|end| **end <= n_bytes).count();
            let n_found = times_ms(&torn).len();
            assert!(n_found + 30 >= n_given && n_found > 30, "{name}: {n_found} of {n_given} pictures play");
        }
    }
}

#[test]
fn colour_bars_come_back_from_every_file_which_says_how_they_are_coded() {
    let folder = Folder::new("bars");
    let bars =
        [[235, 235, 235], [191, 191, 20], [20, 191, 191], [20, 191, 20], [191, 20, 191], [191, 20, 20], [20, 20, 191]];
    let mut picture = Rgba::new(7 * 32, 64);
    for (index, pixel) in picture.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let [r, g, b] = bars[index % (7 * 32) / 32];
        *pixel = [r, g, b, 255];
    }
    for (name, codec) in [
        ("a.mp4", "h264"),
        ("a.mkv", "h264"),
        ("a.mov", "h264"),
        ("a.avi", "h264"),
        ("b.mp4", "hevc"),
        ("c.mkv", "ffv1"),
        ("d.mov", "prores"),
        ("e.mkv", "av1"),
    ] {
        for mode in [RateMode::OneForOne, RateMode::Constant] {
            let path = folder.0.join(name);
            let codec = codec.parse().unwrap();
            let options = RecorderOptions { mode, codec, ..RecorderOptions::new((7 * 32, 64), 25.0) };
            let mut recorder = Recorder::open(&path, &options).unwrap();
            for _ in 0..8 {
                let frame = OutFrame::from_picture_for_test(picture.clone(), Trace::default());
                assert!(recorder.present(&frame).unwrap().is_continue());
            }
            recorder.finish().unwrap();
            let read = read_back(&path);
            let last = read.last().unwrap();
            for (index, bar) in bars.iter().enumerate() {
                let found = last.pixel(index * 32 + 16, 32);
                let error = found.iter().zip(bar).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(error <= 2, "{}: {found:?} for {bar:?}", recorder.name());
            }
            let said = &clips::pictures(&path)[0];
            let said = (said.space, said.range, said.primaries, said.transfer);
            let expected = (Space::BT709, Range::MPEG, Primaries::BT709, TransferCharacteristic::BT709);
            assert_eq!(said, expected, "{}", recorder.name());
        }
    }
}

#[test]
fn alpha_is_kept_for_editors() {
    let folder = Folder::new("alpha");
    for (name, codec) in [("a.mkv", Codec::Ffv1), ("a.mov", Codec::ProRes)] {
        let path = folder.0.join(name);
        let mode = RateMode::OneForOne;
        let options = RecorderOptions { mode, codec, ..RecorderOptions::new((64, 64), 25.0) };
        let mut recorder = Recorder::open(&path, &options).unwrap();
        let picture = Rgba::from_data(64, 64, [200, 100, 50, 51].repeat(64 * 64)).unwrap();
        let frame = OutFrame::from_picture_for_test(picture, Trace::default());
        assert!(recorder.present(&frame).unwrap().is_continue());
        recorder.finish().unwrap();
        let format = clips::pictures(&path)[0].format.descriptor().unwrap().name();
        assert!(format.starts_with("yuva444p"), "{name}: {format}");
        let [r, g, b] = read_back(&path)[0].pixel(30, 30);
        assert!(r.abs_diff(200) <= 2 && g.abs_diff(100) <= 2 && b.abs_diff(50) <= 2, "{name}: {r} {g} {b}");
    }
}

#[test]
fn what_cannot_be_written_says_what_can() {
    let folder = Folder::new("refused");
    let open = |name: &str, codec: &str| {
        let codec = codec.parse().unwrap();
        let path = folder.0.join(name);
        let error =
            Recorder::open(&path, &RecorderOptions { codec, ..RecorderOptions::new((64, 64), 25.0) }).err().unwrap();
        assert!(!path.exists(), "{name} is left behind");
        error
    };
    let error = open("a.mp4", "prores");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("cannot hold ProRes 4444") && error.to_string().contains("name it .mkv"),
        "{error}"
    );
    let error = open("a.mkv", "h264_nvenc");
    assert_eq!(error.kind(), ErrorKind::BackendUnavailable);
    assert!(error.to_string().contains("tried h264_nvenc") && error.to_string().contains("`--codec`"), "{error}");
}

/// A clip of 25 pictures a second that flashes and beeps together, at 1, 2.4 and 3 seconds.
fn clapper(path: &Path, sound: &'static str) {
    let times: Vec<_> = (0..100).collect();
    let clip = Clip { encoder: "libx264", sound: Some((sound, vec![1.0, 2.4, 3.0], 4.0)), ..Clip::default() };
    let is_flash = |index| [25, 26, 60, 61, 75, 76].contains(&index);
    clip.write(path, &times, |index, _, _| if is_flash(index) { [230; 3] } else { [40; 3] });
}

/// When flashes and beeps of a file begin.
fn claps(path: &Path) -> (Vec<f64>, Vec<f64>) {
    let pictures = clips::pictures(path);
    let is_light = |index: usize| pictures[index].luma > 120.0;
    let flashes = (1..pictures.len()).filter(|index| is_light(*index) && !is_light(index - 1));
    (flashes.map(|index| pictures[index].secs).collect(), clips::beeps(path))
}

/// Records what drives, as it is, leaving out pictures for which `is_shown` says so.
fn record(clip: &Path, to: &Path, options: &SourceOptions, is_shown: impl Fn(usize) -> bool) {
    let mut source = ClipSource::open(clip, options).unwrap();
    let mode = if options.paced { RateMode::Variable } else { RateMode::OneForOne };
    let sound = source.sound();
    assert!(sound.is_some());
    let mut recorder =
        Recorder::open(to, &RecorderOptions { mode, sound, ..RecorderOptions::new((64, 48), 25.0) }).unwrap();
    let (clock, mut raw) = (ManualClock::new(), RawFrame::default());
    clock.advance(std::time::Duration::from_secs(100));
    for index in 0..250 {
        match source.read(&mut raw, &clock).unwrap() {
            Read::Fresh if is_shown(index) => {
                let picture = Rgba::from_data(
                    64,
                    48,
                    raw.picture().pixel(30, 30).iter().copied().chain([255]).collect::<Vec<_>>().repeat(64 * 48),
                );
                let trace = Trace::new(index as u64 + 1, raw.captured());
                assert!(
                    recorder.present(&OutFrame::from_picture_for_test(picture.unwrap(), trace)).unwrap().is_continue()
                );
            }
            Read::Fresh => {}
            Read::Idle => {}
            Read::Ended => break,
        }
        if options.paced {
            clock.advance(std::time::Duration::from_millis(40));
        }
    }
    recorder.finish().unwrap();
}

/// A name, how the clip is played, which of its pictures are shown, and when it claps in the recording.
type Case<'a> = (&'a str, &'a SourceOptions, fn(usize) -> bool, &'a [f64]);

#[test]
fn a_clips_sound_goes_along_in_step() {
    let folder = Folder::new("clapper");
    for (from, sound, to) in [
        ("a.mp4", "aac", "b.mp4"),
        ("a.mkv", "aac", "b.mp4"),
        ("a.mp4", "aac", "b.mkv"),
        ("a.mkv", "pcm_s16le", "b.mov"),
    ] {
        let (clip, file) = (folder.0.join(from), folder.0.join(to));
        clapper(&clip, sound);
        let unpaced = SourceOptions { paced: false, ..SourceOptions::default() };
        let looped = SourceOptions { looped: true, ..SourceOptions::default() };
        // Whole; begun late; with a pause; around twice.
        let table: [Case<'_>; 4] = [
            ("whole", &unpaced, |_| true, &[1.0, 2.4, 3.0]),
            ("begun late", &SourceOptions::default(), |index| index >= 10, &[0.6, 2.0, 2.6]),
            ("with a pause", &SourceOptions::default(), |index| !(30..50).contains(&index), &[1.0, 2.4, 3.0]),
            ("looped", &looped, |_| true, &[1.0, 2.4, 3.0, 5.0, 6.4, 7.0, 9.0]),
        ];
        for (name, options, is_shown, expected) in table {
            record(&clip, &file, options, is_shown);
            let (flashes, beeps) = claps(&file);
            assert_eq!(flashes.len(), expected.len(), "{from} to {to}, {name}: {flashes:?}");
            assert_eq!(beeps.len(), expected.len(), "{from} to {to}, {name}: {beeps:?}");
            for ((flash, beep), expected) in flashes.iter().zip(&beeps).zip(expected) {
                // A frame has 40 ms.
                assert!((flash - expected).abs() < 0.002, "{from} to {to}, {name}: a flash at {flash} for {expected}");
                assert!((beep - flash).abs() < 0.04, "{from} to {to}, {name}: a beep at {beep} for a flash at {flash}");
            }
        }
    }
}

/// Records 4 s of a driver who claps at 1, 2.4 and 3 s: pictures 80 ms old, sound in blocks of 10 ms. Between 2 and 2.6 s the
/// driver hides.
fn record_live(to: &Path, hears: impl Fn(f64) -> bool, hides: bool) {
    const RATE_HZ: u32 = 44_100;
    let (microphone, mut inlet) = Microphone::new("test".to_owned());
    let begin_secs = 50.0;
    let microphone = Some(microphone);
    let options = RecorderOptions { mode: RateMode::Variable, microphone, ..RecorderOptions::new((64, 48), 25.0) };
    let mut recorder = Recorder::open(to, &options).unwrap();
    let is_clap = |secs: f64| [1.0, 2.4, 3.0].iter().any(|clap| (0.0..0.06).contains(&(secs - clap + 1e-9)));
    let at = |secs: f64| Timestamp::from_nanos(((begin_secs + secs) * 1e9) as u64);
    for tick in 0..420 {
        let now_secs = f64::from(tick) * 0.01;
        // Sound is there before the first picture and behind the last.
        let heard_secs = now_secs - 0.01;
        if hears(heard_secs) {
            let sample = |i: u32| {
                let secs = heard_secs + f64::from(i) / f64::from(RATE_HZ);
                if is_clap(secs) { [(secs * 1000.0 * std::f64::consts::TAU).cos() as f32 * 0.8; 2] } else { [0.0; 2] }
            };
            inlet.push(at(heard_secs), RATE_HZ, (0..RATE_HZ / 100).map(sample));
        }
        if tick >= 8 && (tick - 8) % 4 == 0 && tick < 408 {
            let taken_secs = now_secs - 0.08;
            let light = if is_clap(taken_secs) { 230 } else { 40 };
            let picture = Rgba::from_data(64, 48, [light, light, light, 255].repeat(64 * 48)).unwrap();
            let trace = Trace::new(tick as u64, at(taken_secs));
            let mut frame = OutFrame::from_picture_for_test(picture, trace);
            frame.shown.is_card_asked = hides && (2.0..2.6).contains(&taken_secs);
            assert!(recorder.present(&frame).unwrap().is_continue());
        }
    }
    recorder.finish().unwrap();
}

#[test]
fn a_voice_meets_the_lips_and_who_hides_is_not_heard() {
    let folder = Folder::new("voice");
    for name in ["a.mp4", "a.mkv", "a.mov"] {
        let file = folder.0.join(name);
        for (case, expected) in [("whole", &[1.0, 2.4, 3.0][..]), ("hides", &[1.0, 3.0]), ("unplugged", &[1.0, 3.0])] {
            let hears = |secs: f64| case != "unplugged" || !(1.6..2.8).contains(&secs);
            record_live(&file, hears, case == "hides");
            let (flashes, beeps) = claps(&file);
            assert_eq!(flashes.len(), 3, "{name}, {case}: {flashes:?}");
            assert_eq!(beeps.len(), expected.len(), "{name}, {case}: {beeps:?}");
            for (beep, expected) in beeps.iter().zip(expected) {
                let flash = flashes.iter().min_by(|a, b| (*a - beep).abs().total_cmp(&(*b - beep).abs())).unwrap();
                assert!((flash - expected).abs() < 0.002, "{name}, {case}: a flash at {flash} for {expected}");
                assert!((beep - flash).abs() < 0.015, "{name}, {case}: a beep at {beep} for a flash at {flash}");
            }
        }
    }
    let options = RecorderOptions {
        microphone: Some(Microphone::new("test".to_owned()).0),
        ..RecorderOptions::new((64, 48), 25.0)
    };
    let error = Recorder::open(&folder.0.join("a.avi"), &options).err().unwrap();
    assert!(error.to_string().contains("takes no live sound; name it .mp4"), "{error}");
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
    let frame = OutFrame::from_picture_for_test(picture, Trace::default());
    for (has_alpha, expected) in [(false, [40, 20, 10, 51]), (true, [200, 100, 50, 51])] {
        let mut row = [[0; 4]; 2];
        row_of(&frame, has_alpha, 1, &mut row);
        assert_eq!(row, [expected; 2]);
    }
}

#[test]
fn a_recording_without_frames_leaves_no_file() {
    let folder = Folder::new("empty");
    let path = folder.0.join("a.mp4");
    let mut recorder = Recorder::open(&path, &RecorderOptions::new((64, 64), 30.0)).unwrap();
    recorder.finish().unwrap();
    assert!(!path.exists());
}

#[test]
fn what_was_recorded_before_stays_until_there_is_a_picture() {
    let folder = Folder::new("before");
    let before = "a recording of before";
    for container in CONTAINERS {
        let path = folder.0.join(format!("a.{container}"));
        std::fs::write(&path, before).unwrap();
        let open = || Recorder::open(&path, &RecorderOptions::new((64, 48), 30.0)).unwrap();
        drop(open());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "{container}");
        let mut recorder = open();
        assert!(recorder.present(&frame(64, 48, 0, 0.0)).unwrap().is_continue());
        drop(recorder);
        assert_eq!(read_back(&path).len(), 1, "{container}");
    }
    let path = folder.0.join("refused.mp4");
    std::fs::write(&path, before).unwrap();
    let codec = "prores".parse().unwrap();
    assert!(Recorder::open(&path, &RecorderOptions { codec, ..RecorderOptions::new((64, 48), 30.0) }).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn slides_keep_their_times() {
    let folder = Folder::new("slides");
    let path = folder.0.join("a.mp4");
    let options = RecorderOptions { mode: RateMode::OneForOne, ..RecorderOptions::new((64, 48), 0.2) };
    let mut recorder = Recorder::open(&path, &options).unwrap();
    for number in 0..3 {
        assert!(recorder.present(&frame(64, 48, number, 5.0 * number as f64)).unwrap().is_continue());
    }
    recorder.finish().unwrap();
    let times: Vec<_> = times_ms(&path).iter().map(|ms| ms.round()).collect();
    assert_eq!(times, [0.0, 5000.0, 10_000.0]);
}

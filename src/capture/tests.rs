//! Sources on real files, with a clock moved by hand.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::capture::{self, ClipSource, LimitedSource, PatternSource, Read, SourceOptions, SourceSpec, StillSource};
use crate::clock::{Clock as _, ManualClock, MonotonicClock, Timestamp};
use crate::video::clips::Clip;
use crate::{Error, ErrorKind, RawFrame, Source};

/// A folder of its own for each test, removed at the end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("effigy-capture-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A clip of 64 x 48 whose picture `n` has the grey 20 + 10 `n` and a red left half.
    pub(super) fn clip(&self, name: &str, rate_hz: f64, n_frames: usize) -> PathBuf {
        let path = self.0.join(name);
        let times: Vec<_> = (0..n_frames as i64).collect();
        let clip = Clip { rate: (rate_hz as i32, 1), ..Clip::default() };
        clip.write(&path, &times, |index, x, _| if x < 32 { [255, 0, 0] } else { [grey_of(index) as u8; 3] });
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn grey_of(index: usize) -> f64 {
    20.0 + 10.0 * index as f64
}

/// Which picture of [`Folder::clip`] the frame shows.
pub(super) fn index_of(frame: &mut RawFrame) -> usize {
    let picture = frame.picture();
    let grey = f64::from(picture.pixel(picture.width_px() * 3 / 4, picture.height_px() / 2)[1]);
    ((grey - grey_of(0)) / 10.0).round() as usize
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn at_millis(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

pub(super) fn unpaced() -> SourceOptions {
    SourceOptions { paced: false, ..SourceOptions::default() }
}

fn open_error(path: &Path) -> Error {
    capture::open(&SourceSpec::File(path.to_owned()), &SourceOptions::default()).err().unwrap()
}

#[test]
fn a_paced_clip_comes_at_its_times_and_leaves_out_what_is_late() {
    let folder = Folder::new("paced");
    let path = folder.clip("a.mp4", 10.0, 12);
    let clock = ManualClock::new();
    clock.advance(millis(5000));
    let mut clip = ClipSource::open(&path, &SourceOptions::default()).unwrap();
    let mut frame = RawFrame::default();
    assert_eq!(clip.frame_rate_hz(), Some(10.0));
    assert!(clip.name().ends_with("a.mp4, 64x48 10/s"), "{}", clip.name());

    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!((index_of(&mut frame), frame.captured()), (0, at_millis(5000)));
    // Not due: it waits, but not for long.
    let begin = Instant::now();
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Idle);
    assert!(begin.elapsed() < capture::MAX_READ_WAIT * 5);
    clock.advance(millis(100));
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!((index_of(&mut frame), frame.captured()), (1, at_millis(5100)));
    // The reader was busy for 470 ms: pictures 2 to 4 are left out, 5 is the newest that is due.
    clock.advance(millis(470));
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!((index_of(&mut frame), frame.captured()), (5, at_millis(5500)));
    assert_eq!(clip.n_skipped(), 3);
    // Late beyond the end.
    clock.advance(millis(900));
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
}

#[test]
fn red_stays_red() {
    let folder = Folder::new("red");
    let mut clip = ClipSource::open(&folder.clip("a.mp4", 10.0, 2), &unpaced()).unwrap();
    let mut frame = RawFrame::default();
    assert_eq!(clip.read(&mut frame, &ManualClock::new()).unwrap(), Read::Fresh);
    let [r, g, b] = frame.picture().pixel(10, 24);
    assert!(r > 230 && g < 30 && b < 30, "{r} {g} {b}");
}

#[test]
fn an_unpaced_clip_delivers_all_with_its_own_times() {
    let folder = Folder::new("unpaced");
    let path = folder.clip("a.mp4", 25.0, 7);
    let mut clip = ClipSource::open(&path, &unpaced()).unwrap();
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    clock.advance(millis(1000));
    for index in 0..7 {
        clock.advance(millis(777));
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        assert_eq!(index_of(&mut frame), index);
        assert_eq!(frame.captured(), at_millis(40 * index as u64));
    }
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
    assert_eq!((clip.n_skipped(), clip.n_frames_stated()), (0, Some(7)));
}

#[test]
fn a_limited_clip_ends_by_its_own_time_however_late_its_reader_is() {
    let folder = Folder::new("limited");
    let path = folder.clip("a.mp4", 25.0, 7);
    for (length, n_expected) in [(millis(120), 3), (millis(121), 4), (millis(9000), 7)] {
        let clip = ClipSource::open(&path, &unpaced()).unwrap();
        let mut clip = LimitedSource::new(Box::new(clip), length);
        assert_eq!(clip.n_frames(), Some(n_expected));
        let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
        let mut n_read = 0;
        while clip.read(&mut frame, &clock).unwrap() == Read::Fresh {
            clock.advance(millis(2000));
            n_read += 1;
        }
        assert_eq!(n_read, n_expected, "{length:?}");
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
    }
}

#[test]
fn a_looped_clip_begins_again_and_its_time_goes_on() {
    let folder = Folder::new("looped");
    let path = folder.clip("a.mp4", 10.0, 3);
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    let mut clip = ClipSource::open(&path, &SourceOptions { looped: true, ..unpaced() }).unwrap();
    for index in 0..10 {
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        assert_eq!((index_of(&mut frame), frame.captured()), (index % 3, at_millis(100 * index as u64)));
    }
    let mut clip = ClipSource::open(&path, &SourceOptions { looped: true, ..SourceOptions::default() }).unwrap();
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
    clock.advance(millis(700));
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!((index_of(&mut frame), clip.n_skipped()), (7 % 3, 6), "skipped across the end");
}

#[test]
fn a_phones_rotation_is_followed() {
    let folder = Folder::new("rotation");
    let mut bytes = std::fs::read(folder.clip("a.mp4", 10.0, 3)).unwrap();
    // The matrix of the track header, version 0: 40 bytes behind the box's name and flags.
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap() + 4;
    let quarter_turn: [i32; 9] = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    for (index, value) in quarter_turn.iter().enumerate() {
        bytes[header + 40 + index * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    let path = folder.file("turned.mp4", &bytes);
    let mut clip = ClipSource::open(&path, &unpaced()).unwrap();
    assert!(clip.name().contains("48x64"), "{}", clip.name());
    let mut frame = RawFrame::default();
    assert_eq!(clip.read(&mut frame, &ManualClock::new()).unwrap(), Read::Fresh);
    // A quarter turn clockwise brings the left, red half to the top.
    assert!(frame.picture().pixel(24, 10)[1] < 60 && frame.picture().pixel(24, 10)[0] > 200);
    assert_eq!((frame.picture().width_px(), frame.picture().height_px()), (48, 64));
}

#[test]
fn a_mirror_in_the_display_matrix_is_followed() {
    let folder = Folder::new("mirror");
    let mut bytes = std::fs::read(folder.clip("a.mp4", 10.0, 3)).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap() + 4;
    let left_for_right: [i32; 9] = [-(1 << 16), 0, 0, 0, 1 << 16, 0, 64 << 16, 0, 1 << 30];
    for (index, value) in left_for_right.iter().enumerate() {
        bytes[header + 40 + index * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    let path = folder.file("mirrored.mp4", &bytes);
    let mut clip = ClipSource::open(&path, &unpaced()).unwrap();
    let mut frame = RawFrame::default();
    assert_eq!(clip.read(&mut frame, &ManualClock::new()).unwrap(), Read::Fresh);
    assert_eq!((frame.picture().width_px(), frame.picture().height_px()), (64, 48));
    // The red half is at the right.
    let (left, right) = (frame.picture().pixel(8, 24), frame.picture().pixel(56, 24));
    assert!(right[0] > 200 && right[1] < 60, "{left:?} {right:?}");
    assert!(left[0] < 200 || left[1] > 60, "{left:?} {right:?}");
}

#[test]
fn files_that_are_no_clip_are_refused_with_the_reason() {
    let folder = Folder::new("refused");
    let whole = std::fs::read(folder.clip("whole.mp4", 10.0, 30)).unwrap();
    let no_video = "is no video that can be played";
    let table = [
        (
            folder.0.join("missing.mp4"),
            "cannot read",
            "`--source` takes camera, camera:N, camera:NAME, pattern, a clip",
        ),
        (folder.0.clone(), "is a folder", "name a file in it"),
        (folder.file("empty.mp4", b""), no_video, "it is empty"),
        (folder.file("text.mp4", b"This is not a video at all. ".repeat(99).as_slice()), no_video, "another format"),
        (folder.file("torn.mp4", &whole[..whole.len() / 2]), no_video, "another format or is torn"),
        (
            folder.file("torn.png", b"\x89PNG\r\n\x1a\nxxxx"),
            "cannot use the picture",
            "expected a photo: JPEG, PNG, WebP",
        ),
        (folder.file("text.jpg", b"no picture"), "cannot use the picture", "expected a photo: JPEG, PNG, WebP"),
        (folder.file("empty.webp", b""), "cannot use the picture", "expected a photo: JPEG, PNG, WebP"),
    ];
    for (path, what, advice) in table {
        let error = open_error(&path);
        let is_picture = what == "cannot use the picture";
        assert_eq!(error.kind(), if is_picture { ErrorKind::Photo } else { ErrorKind::Io }, "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && text.contains(advice), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_clip_whose_end_is_torn_says_so_instead_of_ending() {
    let folder = Folder::new("torn");
    let mut bytes = std::fs::read(folder.clip("a.mp4", 10.0, 60)).unwrap();
    let data = bytes.windows(4).position(|name| name == b"mdat").unwrap() + 4;
    let index = bytes.windows(4).position(|name| name == b"moov").unwrap() - 4;
    bytes[(data + index) / 2..index].fill(0);
    let mut clip = ClipSource::open(&folder.file("b.mp4", &bytes), &unpaced()).unwrap();
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    let error = (0..100).find_map(|_| clip.read(&mut frame, &clock).err()).expect("the torn clip just ended");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("its index states 60; copy or record it again"), "{error}");
}

#[test]
fn a_still_is_delivered_thirty_times_a_second_and_upright() {
    let folder = Folder::new("still");
    let picture = image::RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 250 } else { 10 }, 10, 10]));
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&picture).unwrap();
    // EXIF with one entry: orientation 6, to be turned a quarter clockwise.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut segment = vec![0xff, 0xe1, 0, exif.len() as u8 + 2];
    segment.extend_from_slice(exif);
    jpeg.splice(2..2, segment);
    // The content decides, not the name.
    let path = folder.file("photo.mp4", &jpeg);
    let mut still = capture::open(&SourceSpec::File(path.clone()), &SourceOptions::default()).unwrap();
    assert!(still.name().ends_with("8x16 still"), "{}", still.name());
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    assert_eq!(still.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert!(frame.picture().pixel(4, 3)[0] > 200 && frame.picture().pixel(4, 12)[0] < 60);
    assert_eq!(still.read(&mut frame, &clock).unwrap(), Read::Idle);
    clock.advance(millis(34));
    assert_eq!(still.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!(frame.captured(), Timestamp::from_nanos(33_333_333));
    let mut once = StillSource::open(&path, &unpaced()).unwrap();
    assert_eq!(once.read(&mut frame, &clock).unwrap(), Read::Fresh);
    assert_eq!(frame.captured(), Timestamp::default());
    assert_eq!(once.read(&mut frame, &clock).unwrap(), Read::Ended);
}

#[test]
fn a_picture_too_large_is_refused_before_it_takes_memory() {
    let folder = Folder::new("bomb");
    let mut png = Vec::new();
    let wide = image::GrayImage::new(16400, 1);
    wide.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let error = open_error(&folder.file("wide.png", &png));
    assert_eq!(error.kind(), ErrorKind::Photo);
    assert!(error.to_string().contains("too large"), "{error}");
}

#[test]
fn the_pattern_plays_without_end_and_leaves_no_file() {
    let folder = Folder::new("pattern");
    let mp4 = std::fs::read(folder.clip("a.mp4", 10.0, 3)).unwrap();
    // Other tests of this process play patterns of another length.
    let ours = |entry: &std::fs::DirEntry| {
        entry.metadata().is_ok_and(|meta| meta.len() == mp4.len() as u64)
            && entry.file_name().to_string_lossy().starts_with(&format!("effigy-{}-", std::process::id()))
    };
    let n_left = || std::fs::read_dir(std::env::temp_dir()).unwrap().filter(|e| ours(e.as_ref().unwrap())).count();
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    {
        let mut pattern = PatternSource::open(&mp4, &SourceOptions::default()).unwrap();
        assert_eq!((pattern.name(), pattern.frame_rate_hz()), ("test pattern, 10/s", Some(10.0)));
        for index in 0..8 {
            assert_eq!(pattern.read(&mut frame, &clock).unwrap(), Read::Fresh);
            assert_eq!(index_of(&mut frame), index % 3);
            clock.advance(millis(100));
        }
        // On Linux the file has no name from the start, so that nothing is left also after a kill.
        assert_eq!(n_left(), usize::from(!cfg!(target_os = "linux")));
    }
    assert_eq!(n_left(), 0);
    let error = PatternSource::open(b"", &SourceOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NoDevice);
    assert_eq!(error.to_string(), "this build carries no test pattern; give a clip instead: `--source FILE`");
}

#[test]
fn a_camera_that_is_not_there_is_answered_with_what_to_do() {
    let spec: SourceSpec = "camera:4000000".parse().unwrap();
    let error = capture::open(&spec, &SourceOptions::default()).err().unwrap();
    let expected = if cfg!(feature = "webcam") { ErrorKind::NoDevice } else { ErrorKind::BackendUnavailable };
    assert_eq!(error.kind(), expected, "{error}");
    assert!(error.to_string().contains("use `--source pattern` or a clip"), "{error}");
}

/// Set to a camera (`camera:0`) where there is one, such as `vivid` in a virtual machine that
/// takes it away for some seconds after the test has read its first pictures.
const CAMERA: &str = "EFFIGY_TEST_CAMERA";

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn a_camera_delivers_and_is_found_again() {
    let Ok(spec) = std::env::var(CAMERA) else {
        eprintln!("skipped: {CAMERA} names no camera");
        return;
    };
    for entry in capture::cameras().unwrap() {
        let formats: Vec<_> = entry.formats.iter().take(8).map(ToString::to_string).collect();
        eprintln!("{} {:?}: {} {:?}", entry.index, entry.name, formats.join(", "), entry.trouble);
    }
    let clock = MonotonicClock::new();
    let mut frame = RawFrame::default();
    for format in ["yuyv", "nv12"] {
        let options = SourceOptions { format: format.parse().unwrap(), ..SourceOptions::default() };
        let mut camera = capture::open(&spec.parse().unwrap(), &options).unwrap();
        let n_fresh = (0..100).filter(|_| camera.read(&mut frame, &clock).unwrap() == Read::Fresh).take(12).count();
        let age = clock.now().since(frame.captured());
        eprintln!("{}: {n_fresh} pictures, {:?} measured, age {age:?}", camera.name(), camera.measured_rate_hz());
        let picture = frame.picture();
        assert_eq!((n_fresh, picture.width_px(), picture.height_px()), (12, 640, 480));
        let mean = picture.data().iter().map(|sample| f64::from(*sample)).sum::<f64>() / picture.data().len() as f64;
        assert!((20.0..235.0).contains(&mean), "the picture is black or white: {mean}");
        assert!(age < millis(1500), "{age:?}");
    }
    let mut camera = capture::open(&spec.parse().unwrap(), &SourceOptions::default()).unwrap();
    // A camera in use is refused to the second who asks.
    let error = capture::open(&spec.parse().unwrap(), &SourceOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::DeviceBusy, "{error}");
    let (mut n_idle_in_row, mut longest, begin) = (0, 0, Instant::now());
    std::fs::write(std::env::temp_dir().join("effigy-camera-runs"), "").unwrap();
    loop {
        let wait = Instant::now();
        match camera.read(&mut frame, &clock).unwrap() {
            Read::Fresh if longest > 10 => break,
            Read::Fresh => n_idle_in_row = 0,
            Read::Idle => n_idle_in_row += 1,
            Read::Ended => panic!("a camera does not end"),
        }
        longest = longest.max(n_idle_in_row);
        assert!(wait.elapsed() < millis(1000), "reading waited {:?}", wait.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(60), "it did not come back; {longest} waits in a row");
    }
    eprintln!("back after {:?}: {}", begin.elapsed(), camera.name());
}

//! Sources on real files, with a clock moved by hand.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::capture::{self, ClipSource, LimitedSource, PatternSource, Read, SourceOptions, SourceSpec, StillSource};
use crate::clock::{Clock as _, ManualClock, MonotonicClock, Timestamp};
use crate::{Error, ErrorKind, RawFrame, Source};
use clips::Clip;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::color::{Primaries, Range, Space, TransferCharacteristic};

#[path = "../../tests/common/clips.rs"]
mod clips;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
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
    fn clip(&self, name: &str, rate_hz: f64, n_frames: usize) -> PathBuf {
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
fn index_of(frame: &mut RawFrame) -> usize {
    let picture = frame.picture();
    let grey = f64::from(picture.pixel(picture.width_px() * 3 / 4, picture.height_px() / 2)[1]);
    ((grey - grey_of(0)) / 10.0).round() as usize
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at_millis(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn unpaced() -> SourceOptions {
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

/// All pictures and their times in milliseconds.
fn read_all(path: &Path) -> Vec<(f64, crate::Rgb)> {
    let mut clip = ClipSource::open(path, &unpaced()).unwrap();
    let (clock, mut frame, mut all) = (ManualClock::new(), RawFrame::default(), Vec::new());
    while clip.read(&mut frame, &clock).unwrap() == Read::Fresh {
        all.push((frame.captured().as_secs_f64() * 1e3, frame.picture().clone()));
    }
    all
}

/// Bars of full and of mild colours.
const BARS: [[u8; 3]; 8] = [
    [235, 235, 235],
    [191, 191, 20],
    [20, 191, 191],
    [20, 191, 20],
    [191, 20, 191],
    [191, 20, 20],
    [20, 20, 191],
    [16, 16, 16],
];

/// The largest difference from the bars, looked at in the middle of each.
fn bar_error(picture: &crate::Rgb) -> u8 {
    let wide = picture.width_px() / 8;
    let errors = BARS.iter().enumerate().flat_map(|(index, bar)| {
        let shown = picture.pixel(index * wide + wide / 2, picture.height_px() / 2);
        shown.into_iter().zip(*bar).map(|(a, b)| a.abs_diff(b)).collect::<Vec<_>>()
    });
    errors.max().unwrap()
}

#[test]
fn colour_bars_come_in_by_each_clips_own_matrix_and_range() {
    let folder = Folder::new("bars");
    let (sd, hd, uhd) = ((0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593));
    let (small, large) = ((256, 64), (1280, 720));
    let yuv = Pixel::YUV420P;
    let table = [
        // What is said counts.
        ("601", small, sd, Space::SMPTE170M, Range::MPEG, false, yuv, "libx264"),
        ("709 small", small, hd, Space::BT709, Range::MPEG, false, yuv, "libx264"),
        ("601 large", large, sd, Space::SMPTE170M, Range::MPEG, false, yuv, "libx264"),
        ("601 full", small, sd, Space::SMPTE170M, Range::JPEG, true, yuv, "libx264"),
        ("709 full", small, hd, Space::BT709, Range::JPEG, true, yuv, "libx264"),
        ("709 large", large, hd, Space::BT709, Range::MPEG, false, yuv, "libx264"),
        ("2020", small, uhd, Space::BT2020NCL, Range::MPEG, false, Pixel::YUV420P10LE, "libx264"),
        // Where nothing is said, the size decides.
        ("nothing", small, sd, Space::Unspecified, Range::Unspecified, false, yuv, "libx264"),
        ("nothing large", large, hd, Space::Unspecified, Range::Unspecified, false, yuv, "libx264"),
        // Other packings.
        ("422 of 10 bits", small, hd, Space::BT709, Range::MPEG, false, Pixel::YUV422P10LE, "libx264"),
        ("444", small, hd, Space::BT709, Range::MPEG, false, Pixel::YUV444P, "libx264"),
        ("411", small, sd, Space::SMPTE170M, Range::MPEG, false, Pixel::YUV411P, "ffv1"),
        ("jpeg", small, sd, Space::Unspecified, Range::JPEG, true, Pixel::YUVJ422P, "mjpeg"),
    ];
    for (name, size_px, shares, space, range, is_full, format, encoder) in table {
        let path = folder.0.join(format!("{name}.mkv"));
        let clip = Clip { encoder, format, size_px, shares, is_full, space, range, ..Clip::default() };
        clip.write(&path, &[0, 1, 2], |_, x, _| BARS[(x * 8 / size_px.0) as usize]);
        let pictures = read_all(&path);
        let error = bar_error(&pictures[2].1);
        assert!(pictures.len() == 3 && error <= 2, "{name}: {} pictures, {error} levels off", pictures.len());
    }
}

#[test]
fn a_high_dynamic_range_is_shown_in_the_standard_one() {
    let folder = Folder::new("hdr");
    for (name, transfer, white) in
        [("pq", TransferCharacteristic::SMPTE2084, 148), ("hlg", TransferCharacteristic::ARIB_STD_B67, 191)]
    {
        let path = folder.0.join(format!("{name}.mp4"));
        let clip = Clip {
            encoder: "libx264",
            format: Pixel::YUV420P10LE,
            shares: (0.2627, 0.0593),
            space: Space::BT2020NCL,
            range: Range::MPEG,
            primaries: Primaries::BT2020,
            transfer,
            ..Clip::default()
        };
        clip.write(&path, &[0, 1], |_, x, _| [if x < 32 { white } else { white / 3 }; 3]);
        let (_, picture) = &read_all(&path)[1];
        let (light, dark) = (picture.pixel(10, 20), picture.pixel(50, 20));
        // A diffuse white is near white, and grey is grey.
        assert!((210..=245).contains(&light[1]) && light[0].abs_diff(light[2]) <= 3, "{name}: {light:?}");
        assert!(dark[1] < light[1] / 2, "{name}: {dark:?}");
    }
}

#[test]
fn true_times_come_through_also_of_a_variable_rate() {
    let folder = Folder::new("variable");
    let times = [0, 10, 50, 90, 700, 733, 2000];
    for name in ["a.mkv", "a.mp4"] {
        let path = folder.0.join(name);
        let clip = Clip { rate: (1000, 1), ..Clip::default() };
        clip.write(&path, &times, |_, _, _| [90; 3]);
        let found: Vec<_> = read_all(&path).iter().map(|(millis, _)| millis.round() as i64).collect();
        assert_eq!(found, times, "{name}");
        // Paced, a long picture is not left out because the mean rate is high.
        let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
        let mut clip = ClipSource::open(&path, &SourceOptions::default()).unwrap();
        for millis in [0, 10, 50] {
            // Matroska's times are whole milliseconds.
            let soon = if millis > 0 { millis + 1 } else { 0 };
            clock.advance(Duration::from_millis(soon).saturating_sub(clock.now().since(Timestamp::default())));
            assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        }
        clock.advance(millis(200));
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        assert_eq!((frame.captured(), clip.n_skipped()), (at_millis(90), 0), "{name}");
    }
}

#[test]
fn pixels_that_are_not_square_odd_sizes_and_two_fields_are_shown_as_they_are_meant() {
    let folder = Folder::new("shapes");
    let path = folder.0.join("wide.mkv");
    Clip { pixel_aspect: (3, 2), ..Clip::default() }
        .write(&path, &[0, 1], |_, x, _| [if x < 32 { 200 } else { 50 }; 3]);
    let (_, picture) = &read_all(&path)[0];
    assert_eq!((picture.width_px(), picture.height_px()), (96, 48));
    assert!(picture.pixel(40, 20)[0] > 180 && picture.pixel(56, 20)[0] < 70);

    let path = folder.0.join("odd.mkv");
    let odd = Clip { encoder: "ffv1", size_px: (641, 479), ..Clip::default() };
    odd.write(&path, &[0, 1], |_, x, y| if x == 640 || y == 478 { [200, 30, 30] } else { [30, 30, 200] });
    let (_, picture) = &read_all(&path)[1];
    assert_eq!((picture.width_px(), picture.height_px()), (641, 479));
    assert!(picture.pixel(640, 100)[0] > 190 && picture.pixel(100, 478)[0] > 190 && picture.pixel(100, 100)[2] > 190);

    let path = folder.0.join("fields.mkv");
    let fields = Clip { encoder: "mpeg2video", is_interlaced: true, ..Clip::default() };
    fields.write(&path, &[0, 1], |_, _, y| [if y % 2 == 0 { 180 } else { 60 }; 3]);
    let (_, picture) = &read_all(&path)[0];
    let rows: Vec<_> = (4..44).map(|y| picture.pixel(30, y)[1]).collect();
    let (least, most) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
    assert!(most - least < 12, "combs are left: {rows:?}");
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

/// A server of one file: what it does with each connection, in turn, the last one for all that follow.
#[derive(Clone, Copy)]
enum Serves {
    /// The whole file, with its length.
    Whole,
    /// The file as a live stream, and after this share of it nothing more, without an end.
    Stalls(f64),
    /// The file as a live stream.
    Live,
    /// No word.
    Nothing,
    /// That there is none.
    NotFound,
}

/// Serves `content`; the address.
fn serve(content: Vec<u8>, connections: Vec<Serves>) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (index, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let serves = connections[index.min(connections.len() - 1)];
            let (status, length, share) = match serves {
                Serves::Whole => ("200 OK", format!("Content-Length: {}\r\n", content.len()), 1.0),
                Serves::Stalls(share) => ("200 OK", String::new(), share),
                Serves::Live => ("200 OK", String::new(), 1.0),
                Serves::NotFound => ("404 Not Found", "Content-Length: 0\r\n".to_owned(), 0.0),
                Serves::Nothing => {
                    kept.push(stream);
                    continue;
                }
            };
            let head = format!("HTTP/1.1 {status}\r\n{length}Content-Type: video/mp2t\r\nConnection: close\r\n\r\n");
            let n_bytes = (content.len() as f64 * share) as usize;
            // Who has seen enough closes.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content[..n_bytes]));
            if matches!(serves, Serves::Stalls(_)) {
                kept.push(stream);
            }
        }
    });
    format!("http://ann:secret@{address}/talk?key=1")
}

fn open_url(url: &str, options: &SourceOptions) -> Result<Box<dyn Source>, Error> {
    let mut address = super::stream::Address::new(url);
    address.patience = super::stream::Patience { opening: millis(4000), silence: millis(300) };
    super::spec::open_address(address, options)
}

#[test]
fn a_stream_that_stops_is_found_again() {
    let folder = Folder::new("stream");
    let path = folder.0.join("a.ts");
    let times: Vec<_> = (0..250).collect();
    let clip = Clip { encoder: "mpeg2video", ..Clip::default() };
    clip.write(&path, &times, |index, x, _| if x < 32 { [255, 0, 0] } else { [(index % 200) as u8; 3] });
    let url = serve(std::fs::read(&path).unwrap(), vec![Serves::Stalls(0.8), Serves::NotFound, Serves::Stalls(1.0)]);
    let mut stream = open_url(&url, &SourceOptions::default()).unwrap();
    assert!(
        stream.name().starts_with("http://127.0.0.1:") && stream.name().ends_with("/talk, 64x48 25/s, live"),
        "{}",
        stream.name()
    );
    let (clock, mut frame) = (MonotonicClock::new(), RawFrame::default());
    let begin = Instant::now();
    let (mut n_fresh, mut n_idle, mut n_again) = (0, 0, 0);
    while n_again == 0 {
        match stream.read(&mut frame, &clock).unwrap() {
            Read::Fresh if n_idle >= 3 => n_again += 1,
            Read::Fresh => n_fresh += 1,
            Read::Idle => n_idle += 1,
            Read::Ended => panic!("a live stream does not end"),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it did not come back: {n_fresh} {n_idle}");
    }
    assert!(n_fresh > 0);
    let [r, g, b] = frame.picture().pixel(10, 24);
    assert!(r > 230 && g < 30 && b < 30, "{r} {g} {b}");
    assert!(clock.now().since(frame.captured()) < Duration::from_secs(30));
    // Ending does not wait for the network.
    let begin = Instant::now();
    drop(stream);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_clip_behind_an_address_is_played_to_its_end() {
    let folder = Folder::new("address");
    let content = std::fs::read(folder.clip("a.mkv", 25.0, 20)).unwrap();
    let url = serve(content.clone(), vec![Serves::Whole]);
    let mut clip = open_url(&url, &unpaced()).unwrap();
    assert_eq!(clip.n_frames(), Some(20));
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    for index in 0..20 {
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        assert_eq!((index_of(&mut frame), frame.captured()), (index, at_millis(40 * index as u64)));
    }
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
}

#[test]
fn addresses_that_cannot_be_read_say_why_and_keep_their_secrets() {
    let folder = Folder::new("addresses");
    let ts = folder.0.join("a.ts");
    Clip { encoder: "mpeg2video", ..Clip::default() }.write(&ts, &(0..100).collect::<Vec<_>>(), |_, _, _| [90; 3]);
    let live = serve(std::fs::read(&ts).unwrap(), vec![Serves::Live]);
    let table = [
        (serve(b"This is no video at all. ".repeat(999), vec![Serves::Whole]), "what it sends is no video"),
        (serve(Vec::new(), vec![Serves::NotFound]), "404"),
        (serve(Vec::new(), vec![Serves::Nothing]), "it does not answer"),
        ("http://127.0.0.1:1/talk".to_owned(), "Connection refused"),
        ("nonsense://127.0.0.1/talk".to_owned(), "this FFmpeg does not know such addresses"),
        (live, "is live, with no end that could be waited for; leave out --every-frame"),
    ];
    for (url, why) in table {
        let error = open_url(&url, &unpaced()).err().unwrap_or_else(|| panic!("{url} is read"));
        let text = format!("{error}");
        assert!(text.contains(why), "{url}: {text}");
        assert!(!text.contains("secret") && !text.contains("key=1"), "{text}");
        assert!(text.contains("--every-frame") || text.contains("check the address, or pipe what is there"), "{text}");
    }
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

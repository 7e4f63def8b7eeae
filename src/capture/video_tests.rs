//! Clips as other programs make them: colours, times, shapes, against what was put into them.

use std::path::Path;
use std::time::Duration;

use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::color::{Primaries, Range, Space, TransferCharacteristic};

use super::tests::{Folder, millis, unpaced};
use crate::capture::{ClipSource, Read, SourceOptions};
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::video::clips::Clip;
use crate::{RawFrame, Source as _};

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
        let captured_ms = frame.captured().as_secs_f64() * 1e3;
        assert!((captured_ms - 90.0).abs() < 1.0 && clip.n_skipped() == 0, "{name}: {captured_ms}");
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

/// A file of `tests/data`.
fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn a_part_that_was_cut_without_coding_it_anew_is_whole() {
    // Its index holds 155 pictures, from the key picture before the cut on; 62 of them are shown.
    assert_eq!(read_all(&data("cut.mp4")).len(), 62);
}

#[test]
fn pictures_that_would_fill_the_memory_are_refused() {
    let error = ClipSource::open(&data("large.mkv"), &unpaced()).err().unwrap().to_string();
    assert!(error.contains("9000x9000") && error.contains("67 million"), "{error}");
}

#[test]
fn behind_a_damaged_picture_near_the_end_the_others_come() {
    let folder = Folder::new("damaged-end");
    let path = folder.0.join("a.avi");
    let clip = Clip { encoder: "mjpeg", format: Pixel::YUVJ422P, range: Range::JPEG, is_full: true, ..Clip::default() };
    clip.write(&path, &(0..40).collect::<Vec<_>>(), |n, x, _| [(n as u32 * 5 + x) as u8; 3]);
    let mut bytes = std::fs::read(&path).unwrap();
    let begins: Vec<_> = (0..bytes.len() - 3).filter(|i| bytes[*i..*i + 3] == [0xff, 0xd8, 0xff]).collect();
    assert_eq!(begins.len(), 40);
    // The second last one, all of it.
    bytes[begins[38]..begins[39] - 16].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let shown = read_all(&path).len();
    assert!((39..=40).contains(&shown), "{shown} of 40 pictures, of which one is damaged");
}

//! Pictures as programs and cameras write them.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{GrayImage, ImageBuffer};
use moxcms::ColorProfile;

use super::*;

#[test]
fn what_is_not_a_picture_is_refused_with_a_reason() {
    for (bytes, reason) in [
        (&b""[..], "another kind of file"),
        (b"%PDF-1.7 not wanted", "JPEG, PNG, WebP, HEIC, AVIF"),
        (b"\x89PNG\r\n\x1a\n torn", "found a torn PNG"),
        (b"\0\0\0\x18ftypmp42....", "another kind of file"),
    ] {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Photo);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_jpeg_is_whole_up_to_its_own_end_marker() {
    let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
    let pixels = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 0xff, 0xd3, 9];
    let torn = [&[0xff, 0xd8][..], &thumbnail, &pixels].concat();
    assert!(!is_whole_jpeg(&torn));
    assert!(is_whole_jpeg(&[&torn[..], &[0xff, 0xff, 0xd9, 1, 2]].concat()));
    assert!(!is_whole_jpeg(&[&torn[..], &[0xff]].concat()));
    assert!(!is_whole_jpeg(&[0xff, 0xd8, 0xff, 0xe0]));
    assert!(!is_whole_jpeg(&[]));
}

/// Primaries and white (x, y), and the curve from numbers to light, of a colour space.
struct Space {
    red_green_blue_xy: [[f64; 2]; 3],
    to_light: fn(f64) -> f64,
    from_light: fn(f64) -> f64,
}

const SRGB: Space = Space {
    red_green_blue_xy: [[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]],
    to_light: |v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) },
    from_light: |l| if l <= 0.003_130_8 { l * 12.92 } else { 1.055 * l.powf(1.0 / 2.4) - 0.055 },
};
const DISPLAY_P3: Space = Space { red_green_blue_xy: [[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]], ..SRGB };
const ADOBE_RGB: Space = Space {
    red_green_blue_xy: [[0.64, 0.33], [0.21, 0.71], [0.15, 0.06]],
    to_light: |v| v.powf(2.199_218_75),
    from_light: |l| l.powf(1.0 / 2.199_218_75),
};

impl Space {
    /// Light to XYZ, for a white of D65.
    fn xyz(&self) -> glam::DMat3 {
        let columns = self.red_green_blue_xy.map(|[x, y]| glam::DVec3::new(x / y, 1.0, (1.0 - x - y) / y));
        let matrix = glam::DMat3::from_cols_array_2d(&columns.map(|c| c.to_array()));
        let white = glam::DVec3::new(0.3127 / 0.3290, 1.0, (1.0 - 0.3127 - 0.3290) / 0.3290);
        matrix * glam::DMat3::from_diagonal(matrix.inverse() * white)
    }

    /// The numbers that show in this space what `srgb` shows, 0..1.
    fn numbers_of(&self, srgb: [u8; 3]) -> [f64; 3] {
        let light = glam::DVec3::from_array(srgb.map(|v| (SRGB.to_light)(f64::from(v) / 255.0)));
        let here = self.xyz().inverse() * SRGB.xyz() * light;
        here.to_array().map(|l| (self.from_light)(l.clamp(0.0, 1.0)))
    }

    /// What eight-bit numbers of this space look like in sRGB.
    fn to_srgb(&self, raw: [u8; 3]) -> [u8; 3] {
        let light = glam::DVec3::from_array(raw.map(|v| (self.to_light)(f64::from(v) / 255.0)));
        let srgb = SRGB.xyz().inverse() * self.xyz() * light;
        srgb.to_array().map(|l| (255.0 * (SRGB.from_light)(l.clamp(0.0, 1.0))).round() as u8)
    }
}

/// A smooth picture of colours that every space here can show.
fn srgb_picture() -> RgbImage {
    RgbImage::from_fn(96, 64, |x, y| image::Rgb([60 + 2 * x as u8, 50 + 3 * y as u8, 220 - x as u8 - y as u8]))
}

fn in_space(space: &Space) -> RgbImage {
    let mut picture = srgb_picture();
    for pixel in picture.pixels_mut() {
        pixel.0 = space.numbers_of(pixel.0).map(|v| (255.0 * v).round() as u8);
    }
    picture
}

/// The largest difference of a file's picture from the sRGB picture.
fn worst(file: &[u8]) -> u8 {
    worst_of(file, &srgb_picture())
}

fn worst_of(file: &[u8], expected: &RgbImage) -> u8 {
    let decoded = decode_with_remarks(file).unwrap();
    assert_eq!(decoded.colour_trouble, None);
    assert_eq!(decoded.picture.data().len(), expected.len());
    decoded.picture.data().iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn encoded(mut encoder: impl image::ImageEncoder, picture: &DynamicImage, icc: &[u8]) {
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    picture.write_with_encoder(encoder).unwrap();
}

fn tiff_of(picture: &RgbImage, icc: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut tiff = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    let mut page = tiff.new_image::<tiff::encoder::colortype::RGB8>(picture.width(), picture.height()).unwrap();
    page.encoder().write_tag(tiff::tags::Tag::IccProfile, icc).unwrap();
    page.write_data(picture.as_raw()).unwrap();
    file.into_inner()
}

#[test]
fn pictures_in_other_colours_become_srgb() {
    for (space, profile) in [(DISPLAY_P3, ColorProfile::new_display_p3()), (ADOBE_RGB, ColorProfile::new_adobe_rgb())] {
        let icc = profile.encode().unwrap();
        let raw = in_space(&space);
        // Eight bits round differently in each space, so that the numbers count and not what they were made from.
        let mut expected = raw.clone();
        expected.pixels_mut().for_each(|pixel| pixel.0 = space.to_srgb(pixel.0));
        let picture = DynamicImage::from(raw.clone());
        let (mut png, mut webp, mut jpeg) = (Vec::new(), Vec::new(), Vec::new());
        encoded(PngEncoder::new(&mut png), &picture, &icc);
        encoded(WebPEncoder::new_lossless(&mut webp), &picture, &icc);
        encoded(JpegEncoder::new_with_quality(&mut jpeg, 100), &picture, &icc);
        assert!(raw.iter().zip(srgb_picture().iter()).any(|(a, b)| a.abs_diff(*b) > 10), "the picture proves nothing");
        for (file, kind, tolerance) in
            [(&png, "PNG", 2), (&webp, "WebP", 2), (&tiff_of(&raw, &icc), "TIFF", 2), (&jpeg, "JPEG", 7)]
        {
            let off = worst_of(file, &expected);
            assert!(off <= tolerance, "{kind} is {off} off");
        }
        // Sixteen bits have more to tell.
        let deep = ImageBuffer::<image::Rgb<u16>, _>::from_fn(96, 64, |x, y| {
            image::Rgb(space.numbers_of(srgb_picture().get_pixel(x, y).0).map(|v| (65535.0 * v).round() as u16))
        });
        let mut png = Vec::new();
        encoded(PngEncoder::new(&mut png), &DynamicImage::from(deep), &icc);
        assert!(worst(&png) <= 1, "16 bits are {} off", worst(&png));
    }
}

/// A PNG with a chunk in front of its pixels.
fn png_with(picture: &DynamicImage, chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut png = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut png)).unwrap();
    // Behind the signature and IHDR.
    let mut at = 8 + 25;
    for (name, content) in chunks {
        let named = [&name[..], content].concat();
        let mut crc = !0_u32;
        for byte in &named {
            crc ^= u32::from(*byte);
            (0..8).for_each(|_| crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1)));
        }
        let chunk = [&(content.len() as u32).to_be_bytes()[..], &named, &(!crc).to_be_bytes()].concat();
        png.splice(at..at, chunk.iter().copied());
        at += chunk.len();
    }
    png
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

#[test]
fn a_png_says_its_colours_by_chunks_of_its_own() {
    let p3 = DynamicImage::from(in_space(&DISPLAY_P3));
    let p3_primaries = numbers(&[31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]);
    let srgb_gamma = numbers(&[45455]);
    assert!(worst(&png_with(&p3, &[(b"cICP", vec![12, 13, 0, 1])])) <= 2);
    assert!(worst(&png_with(&p3, &[(b"gAMA", srgb_gamma.clone()), (b"cHRM", p3_primaries.clone())])) <= 2);
    // The four numbers count more than everything else, an sRGB chunk more than primaries.
    assert!(worst(&png_with(&p3, &[(b"cICP", vec![12, 13, 0, 1]), (b"gAMA", numbers(&[100_000]))])) <= 2);
    let srgb = DynamicImage::from(srgb_picture());
    assert_eq!(worst(&png_with(&srgb, &[(b"sRGB", vec![0]), (b"cHRM", p3_primaries)])), 0);
    assert_eq!(worst(&png_with(&srgb, &[(b"gAMA", srgb_gamma)])), 0);
    assert_eq!(worst(&png_with(&srgb, &[(b"cICP", vec![1, 13, 0, 1])])), 0);

    let linear = ImageBuffer::<image::Rgb<u16>, _>::from_fn(96, 64, |x, y| {
        image::Rgb(
            srgb_picture().get_pixel(x, y).0.map(|v| (65535.0 * (SRGB.to_light)(f64::from(v) / 255.0)).round() as u16),
        )
    });
    assert!(worst(&png_with(&DynamicImage::from(linear), &[(b"gAMA", numbers(&[100_000]))])) <= 2);
}

#[test]
fn a_grey_picture_keeps_its_curve() {
    let grey = GrayImage::from_fn(96, 64, |x, _| image::Luma([30 + 2 * x as u8]));
    let mut png = Vec::new();
    let icc = ColorProfile::new_gray_with_gamma(1.8).encode().unwrap();
    encoded(PngEncoder::new(&mut png), &DynamicImage::from(grey.clone()), &icc);
    let decoded = decode_with_remarks(&png).unwrap();
    assert_eq!(decoded.colour_trouble, None);
    for (pixel, raw) in decoded.picture.data().chunks_exact(3).zip(grey.iter()) {
        let expected = 255.0 * (SRGB.from_light)((f64::from(*raw) / 255.0).powf(1.8));
        assert!(pixel.iter().all(|v| (f64::from(*v) - expected).abs() <= 2.0), "{raw}: {pixel:?}, not {expected}");
    }
}

/// Inks of a drawn press, and what LittleCMS makes of them by the profile in the files.
#[test]
fn printing_inks_are_turned_into_colours_by_their_profile() {
    const COLOURS: [[u8; 3]; 8] = [
        [246, 248, 243],
        [21, 137, 206],
        [197, 30, 109],
        [235, 210, 23],
        [20, 20, 20],
        [217, 128, 96],
        [175, 135, 108],
        [64, 54, 49],
    ];
    for file in [
        &include_bytes!("../../../tests/assets/photos/cmyk.jpg")[..],
        include_bytes!("../../../tests/assets/photos/cmyk.tiff"),
    ] {
        let decoded = decode_with_remarks(file).unwrap();
        assert_eq!(decoded.colour_trouble, None);
        for (i, expected) in COLOURS.iter().enumerate() {
            let seen = decoded.picture.pixel(16 * i + 8, 8);
            let off = seen.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            // The table in the profile has three steps of eight bits: libraries differ in what lies between, and in
            // how they cut off an ink that no screen shows.
            assert!(off <= if i == 1 { 10 } else { 6 }, "inks {i}: {seen:?}, not {expected:?}");
        }
    }
}

#[test]
fn a_picture_that_is_srgb_already_is_not_touched() {
    let mut png = Vec::new();
    let icc = ColorProfile::new_srgb().encode().unwrap();
    encoded(PngEncoder::new(&mut png), &DynamicImage::from(srgb_picture()), &icc);
    assert_eq!(worst(&png), 0);
}

#[test]
fn a_broken_profile_is_said_and_ignored() {
    let whole = ColorProfile::new_display_p3().encode().unwrap();
    let grey = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let press = {
        let mut press = whole.clone();
        press[16..20].copy_from_slice(b"CMYK");
        press
    };
    for (icc, why) in [
        (&b"no profile"[..], "cannot be read"),
        (&whole[..whole.len() / 2], "cannot be read"),
        (&grey, "which the picture is not in"),
        (&press, "printing inks"),
    ] {
        let mut png = Vec::new();
        encoded(PngEncoder::new(&mut png), &DynamicImage::from(srgb_picture()), icc);
        let decoded = decode_with_remarks(&png).unwrap();
        assert_eq!(decoded.picture.data(), srgb_picture().as_raw());
        let trouble = decoded.colour_trouble.unwrap();
        assert!(trouble.contains("colour profile is ignored") && trouble.contains(why), "{trouble}");
    }
    for (name, chunk) in
        [(b"cICP", vec![9, 16, 0, 1]), (b"cICP", vec![1, 200, 0, 1]), (b"cHRM", vec![0; 32]), (b"gAMA", vec![0; 4])]
    {
        let png = png_with(&DynamicImage::from(srgb_picture()), &[(name, chunk)]);
        let decoded = decode_with_remarks(&png).unwrap();
        assert_eq!(decoded.picture.data(), srgb_picture().as_raw());
        assert!(decoded.colour_trouble.is_some(), "{name:?}");
    }
}

#[test]
fn damaged_profiles_do_no_harm() {
    let press = tiff_profile(include_bytes!("../../../tests/assets/photos/cmyk.tiff")).unwrap();
    let profiles = [
        ColorProfile::new_display_p3().encode().unwrap(),
        ColorProfile::new_gray_with_gamma(1.8).encode().unwrap(),
        press,
    ];
    let (small, grey) = (RgbImage::new(3, 2), GrayImage::new(3, 2));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut below = |n| chance.below(n);
    let mut n_used = 0;
    for i in 0..1500 {
        let mut icc = profiles[i % 3].clone();
        for _ in 0..=below(4) {
            let at = below(icc.len());
            match below(4) {
                0 => icc.truncate(at.max(1)),
                1 => icc[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                // The table of contents, where the harm is.
                2 if icc.len() > 180 => icc[128 + below(52)] ^= 1 << below(8),
                _ => icc[at] ^= 1 << below(8),
            }
        }
        let Ok(profile) = colour::from_icc(&icc) else { continue };
        n_used += usize::from(colour::to_srgb(DynamicImage::from(small.clone()), &profile).1.is_none());
        n_used += usize::from(colour::to_srgb(DynamicImage::from(grey.clone()), &profile).1.is_none());
        n_used += usize::from(colour::cmyk_to_srgb(&[0, 90, 200, 255], &profile).is_ok());
    }
    assert!(n_used > 150, "{n_used}: nearly nothing was tried");
}

/// Four fields, in the file's own colours: red and green over blue and grey.
const FIELDS: [[u8; 3]; 4] = [[200, 60, 50], [60, 180, 80], [50, 80, 190], [150, 150, 150]];

fn fields() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| image::Rgb(FIELDS[usize::from(x >= 32) + 2 * usize::from(y >= 24)]))
}

/// The largest difference in the middles of the fields.
fn worst_field(picture: &Rgb, expected: [[u8; 3]; 4]) -> u8 {
    let (width, height) = (picture.width_px(), picture.height_px());
    let off = expected.iter().enumerate().map(|(i, field)| {
        let seen = picture.pixel(width / 4 + width / 2 * (i % 2), height / 4 + height / 2 * (i / 2));
        seen.iter().zip(field).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    });
    off.max().unwrap()
}

#[test]
fn every_kind_of_photo_is_read_whole_or_refused() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Jpeg, Png, WebP, Tiff, Bmp, Gif] {
        let mut file = Cursor::new(Vec::new());
        fields().write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        let decoded = decode_with_remarks(&file).unwrap();
        assert_eq!((decoded.picture.width_px(), decoded.picture.height_px()), (64, 48), "{format:?}");
        assert_eq!(size_px(&file).unwrap(), (64, 48), "{format:?}");
        assert!(worst_field(&decoded.picture, FIELDS) <= 3, "{format:?}");
        let torn = decode(&file[..file.len() * 3 / 4]).unwrap_err();
        assert_eq!(torn.kind(), ErrorKind::Photo, "{format:?}: {torn}");
        assert!(torn.to_string().contains("torn"), "{format:?}: {torn}");
    }
}

/// The pictures are of libheif's and libavif's makers: a profile for Display P3, turned by a box of the file, ten bits.
#[cfg(feature = "heif")]
#[test]
fn heic_and_avif_are_read_with_their_colours_and_the_right_way_up() {
    let [red, green, blue, grey] = FIELDS;
    // By LittleCMS.
    let from_p3 = [[217, 42, 39], [0, 183, 64], [40, 81, 197], [150, 150, 150]];
    for (file, size, expected) in [
        (&include_bytes!("../../../tests/assets/photos/display_p3.heic")[..], (64, 48), from_p3),
        (include_bytes!("../../../tests/assets/photos/turned.avif"), (48, 64), [blue, red, grey, green]),
        (include_bytes!("../../../tests/assets/photos/ten_bits.heic"), (64, 48), FIELDS),
    ] {
        let decoded = decode_with_remarks(file).unwrap();
        assert_eq!(decoded.colour_trouble, None);
        assert_eq!((decoded.picture.width_px(), decoded.picture.height_px()), size);
        assert_eq!(size_px(file).unwrap(), (size.0 as u32, size.1 as u32));
        let off = worst_field(&decoded.picture, expected);
        assert!(off <= 3, "{off} off");
        for end in [20, 100, file.len() / 2, file.len() - 20] {
            let torn = decode(&file[..end]).unwrap_err();
            assert_eq!(torn.kind(), ErrorKind::Photo);
            assert!(torn.to_string().contains("torn") || torn.to_string().contains("kind of"), "{torn}");
        }
    }
}

#[test]
fn damaged_photos_of_every_kind_do_no_harm() {
    let mut photos: Vec<Vec<u8>> = [ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Gif]
        .map(|format| {
            let mut file = Cursor::new(Vec::new());
            fields().write_to(&mut file, format).unwrap();
            file.into_inner()
        })
        .to_vec();
    photos.push(include_bytes!("../../../tests/assets/photos/cmyk.jpg").to_vec());
    photos.push(include_bytes!("../../../tests/assets/photos/cmyk.tiff").to_vec());
    photos.push(include_bytes!("../../../tests/assets/photos/display_p3.heic").to_vec());
    photos.push(include_bytes!("../../../tests/assets/photos/turned.avif").to_vec());
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut n_read = 0;
    for i in 0..2100 {
        let mut file = photos[i % photos.len()].clone();
        for _ in 0..=chance.below(3) {
            // The heads matter most.
            let reach = if chance.below(2) == 0 { file.len().min(300) } else { file.len() };
            let at = chance.below(reach.max(1));
            match chance.below(3) {
                0 => file.truncate(at + 1),
                1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][chance.below(5)],
                _ => file[at] ^= 1 << chance.below(8),
            }
        }
        let _ = size_px(&file);
        n_read += usize::from(decode_with_remarks(&file).is_ok());
    }
    assert!(n_read > 200, "{n_read}: nearly nothing was decoded");
}

/// A small source of chance, the same on every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

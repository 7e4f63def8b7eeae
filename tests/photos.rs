//! Photos as people have them, against what enrolment makes of them.
//!
//! Faces: the portraits of `models/demo`, and when `shared/` lies beside the project (or `EFFIGY_SHARED` says where) every
//! thirtieth of its training portraits; `EFFIGY_ALL_PORTRAITS=1` takes all 300.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are worth reading, and so is a skip")]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use effigy::identity::Enroller;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};

/// Portraits of one person each.
fn portraits() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = pictures_in(&project.join("models/demo"));
    files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with("portrait_"));
    assert!(!files.is_empty());
    let shared = std::env::var_os("EFFIGY_SHARED").map_or_else(|| project.join("../shared"), PathBuf::from);
    let folder = shared.join("data/train/portraits");
    if folder.is_dir() {
        let step = if std::env::var_os("EFFIGY_ALL_PORTRAITS").is_some() { 1 } else { 30 };
        files.extend(pictures_in(&folder).into_iter().step_by(step));
    } else {
        eprintln!("{} is not there: only the portraits of models/demo are tested", folder.display());
    }
    files
}

fn pictures_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "jpg" || kind == "png"));
    files.sort();
    files
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).unwrap();
    bytes
}

fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

/// The picture turned clockwise, grey where nothing of it is.
fn turned(picture: &RgbImage, degrees: f32) -> DynamicImage {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let (sin, cos) = degrees.to_radians().sin_cos();
    DynamicImage::from(RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - 0.5 * width, y as f32 + 0.5 - 0.5 * height);
        let (u, v) = ((cos * dx + sin * dy) / width + 0.5, (cos * dy - sin * dx) / height + 0.5);
        imageops::sample_bilinear(picture, u, v).unwrap_or(image::Rgb([128; 3]))
    }))
}

/// A way in which a photo of one person may come.
type Variation = (&'static str, fn(&DynamicImage) -> Vec<u8>);

const VARIATIONS: [Variation; 8] = [
    ("as it is", png),
    ("grey", |picture| jpeg(&picture.grayscale(), 90)),
    ("JPEG quality 30", |picture| jpeg(picture, 30)),
    ("mirrored", |picture| jpeg(&picture.fliph(), 90)),
    ("turned by 10 degrees", |picture| jpeg(&turned(&picture.to_rgb8(), 10.0), 90)),
    ("turned by -10 degrees", |picture| jpeg(&turned(&picture.to_rgb8(), -10.0), 90)),
    ("half as large", |picture| jpeg(&scaled(picture, 0.5), 90)),
    ("twice as large", |picture| jpeg(&scaled(picture, 2.0), 90)),
];

fn scaled(picture: &DynamicImage, factor: f32) -> DynamicImage {
    let size = |side: u32| (side as f32 * factor).round() as u32;
    picture.resize_exact(size(picture.width()), size(picture.height()), FilterType::Triangle)
}

/// Nobody must be asked which of the faces of one person is meant.
#[test]
fn a_portrait_of_one_person_has_one_face_however_it_comes() {
    let mut enroller = Enroller::new().unwrap();
    let (mut n_photos, mut n_left_aside, mut troubles) = (0, 0, Vec::new());
    for file in portraits() {
        let picture = DynamicImage::from(image::open(&file).unwrap().into_rgb8());
        for (name, vary) in VARIATIONS {
            let photo = enroller.examine(&vary(&picture)).unwrap();
            n_photos += 1;
            n_left_aside += usize::from(photo.faces.len() > 1);
            if photo.needs_choice() || photo.faces.is_empty() {
                let boxes: Vec<_> = photo.faces.iter().map(|face| face.box_px.map(f32::round)).collect();
                troubles.push(format!("{}, {name}: {boxes:?}", file.display()));
            }
        }
    }
    println!("{n_photos} photos of one person each, {n_left_aside} with a smaller face that is left aside");
    assert!(troubles.is_empty(), "{} refused:\n{}", troubles.len(), troubles.join("\n"));
}

/// A poster behind somebody, a print on a shirt, a photo held up.
#[test]
fn a_small_face_beside_a_large_one_is_left_aside_and_one_of_its_size_is_not() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let face = |name: &str| image::open(project.join("models/demo").join(name)).unwrap().into_rgb8();
    let (ada, ben) = (face("portrait_a.png"), face("portrait_b.png"));
    let side = ada.width();
    let mut enroller = Enroller::new().unwrap();
    for (share, needs_choice) in [(0.3, false), (0.8, true)] {
        let mut wall = RgbImage::from_pixel(2 * side, side, image::Rgb([180, 170, 160]));
        imageops::overlay(&mut wall, &ada, 0, 0);
        let poster = scaled(&DynamicImage::from(ben.clone()), share).into_rgb8();
        imageops::overlay(&mut wall, &poster, i64::from(side) + 20, 20);
        let photo = enroller.examine(&jpeg(&DynamicImage::from(wall), 90)).unwrap();
        assert_eq!(photo.faces.len(), 2, "at {share}");
        assert_eq!(photo.needs_choice(), needs_choice, "at {share}");
    }
}

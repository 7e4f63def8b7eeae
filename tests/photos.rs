//! Photos as people have them, against what enrolment makes of them.
//!
//! Faces: the portraits of `models/demo`, and when `shared/` lies beside the project (or `EFFIGY_SHARED` says where) every
//! thirtieth of its training portraits; `EFFIGY_ALL_PORTRAITS=1` takes all 300.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its data fails")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are worth reading, and so is a skip")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use effigy::identity::{Basis, EnrollOptions, Enroller, Framing, RemarkKind};
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

fn options() -> EnrollOptions {
    EnrollOptions {
        name: "test".to_owned(),
        basis: Basis::PublicDomain,
        consent_by: "a test".to_owned(),
        framing: Framing::Face,
        face: None,
    }
}

/// Percentiles of a measure, to set limits by.
fn print_spread(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    let shares = [0.0, 0.005, 0.05, 0.5, 0.95, 0.995, 1.0].map(|share| format!("{:9.4}", at(share)));
    println!("{name:20} {}", shares.join(" "));
}

#[test]
fn good_portraits_are_hardly_ever_warned_of() {
    let mut enroller = Enroller::new().unwrap();
    let (mut n_portraits, mut n_warned) = (0, 0);
    let mut measures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for file in portraits() {
        let photo = enroller.examine(&std::fs::read(&file).unwrap()).unwrap();
        let enrolled = enroller.enroll_examined(&photo, &options()).unwrap();
        let doubts: Vec<_> = enrolled.remarks.iter().filter(|remark| remark.kind.is_warning()).collect();
        let is_drawn = file.file_name().unwrap().to_string_lossy().starts_with("portrait_");
        assert!(!is_drawn || doubts.is_empty(), "{}: {doubts:?}", file.display());
        n_portraits += 1;
        n_warned += usize::from(!doubts.is_empty());
        doubts.iter().for_each(|remark| *kinds.entry(remark.kind.name()).or_default() += 1);
        for (name, value) in serde_json::to_value(enrolled.measures).unwrap().as_object().unwrap() {
            let value = value.as_f64().unwrap();
            let size = if name.ends_with("_degrees") { value.abs() } else { value };
            measures.entry(name.clone()).or_default().push(size);
        }
    }
    println!("of {n_portraits} portraits {n_warned} are warned of: {kinds:?}");
    println!(
        "{:20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "least", "0.5 %", "5 %", "50 %", "95 %", "99.5 %", "most"
    );
    measures.into_iter().for_each(|(name, values)| print_spread(&name, values));
    assert!(20 * n_warned <= n_portraits.max(20), "{n_warned} of {n_portraits}");
}

/// A photo and where its face is: left, top, width and height in pixels.
struct Found {
    picture: RgbImage,
    face: [f32; 4],
}

impl Found {
    /// Changes pixels by their place in the face: 0 to 1 from left to right and from forehead to chin.
    fn painted(&self, paint: impl Fn(f32, f32, [u8; 3]) -> [u8; 3]) -> DynamicImage {
        let mut picture = self.picture.clone();
        let [left, top, width, height] = self.face;
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            pixel.0 = paint((x as f32 - left) / width, (y as f32 - top) / height, pixel.0);
        }
        DynamicImage::from(picture)
    }

    fn cut(&self, left: f32, top: f32, right: f32, bottom: f32) -> DynamicImage {
        let [x, y, width, height] = self.face;
        let at = |low: f32, size: f32, share: f32, most: u32| ((low + share * size).max(0.0) as u32).min(most);
        let (x0, x1) = (at(x, width, left, self.picture.width()), at(x, width, right, self.picture.width()));
        let (y0, y1) = (at(y, height, top, self.picture.height()), at(y, height, bottom, self.picture.height()));
        DynamicImage::from(self.picture.clone()).crop_imm(x0, y0, x1 - x0, y1 - y0)
    }
}

/// What may be wrong with a photo: its kind, how often at least it must be seen, and how it is made here.
type Fault = (&'static str, RemarkKind, f32, fn(&Found) -> DynamicImage);

const FAULTS: [Fault; 11] = [
    ("a quarter of the light", RemarkKind::Dark, 1.0, |f| f.painted(|_, _, p| p.map(|v| v / 4))),
    ("twice the exposure", RemarkKind::BurntOut, 0.95, |f| {
        f.painted(|_, _, p| p.map(|v| (2.2 * f32::from(v)).min(255.0) as u8))
    }),
    ("out of focus", RemarkKind::Blurred, 1.0, |f| DynamicImage::from(f.picture.clone()).blur(0.02 * f.face[3])),
    ("a fifth of the pixels", RemarkKind::Small, 1.0, |f| {
        scaled(&DynamicImage::from(f.picture.clone()), 120.0 / f.face[3])
    }),
    ("tilted by 22 degrees", RemarkKind::Tilted, 0.8, |f| turned(&f.picture, 22.0)),
    ("light from one side", RemarkKind::SideLight, 0.6, |f| {
        f.painted(|x, _, p| p.map(|v| (f32::from(v) * (0.2 + 0.8 * x.clamp(0.0, 1.0))) as u8))
    }),
    ("cut close", RemarkKind::FaceCutOff, 1.0, |f| f.cut(0.05, 0.06, 0.95, 0.96)),
    ("chin cut off", RemarkKind::FaceCutOff, 1.0, |f| f.cut(-9.0, -9.0, 9.0, 0.97)),
    ("hair cut off", RemarkKind::HairCutOff, 0.8, |f| f.cut(-9.0, -0.1, 9.0, 9.0)),
    ("hair over an eye", RemarkKind::Covered, 0.9, |f| {
        f.painted(|x, y, p| {
            let is_hair = y < 0.62 && x < 0.42 - 0.15 * y && x > -0.2;
            let strand = 20 + ((60.0 * x + 9.0 * y).sin().abs() * 16.0) as u8;
            if is_hair { [strand + 10, strand, strand / 2] } else { p }
        })
    }),
    ("a hand over the mouth", RemarkKind::Covered, 0.7, |f| {
        let [left, top, width, height] = f.face;
        let at = |low: f32, size: f32, share: f32| (low + share * size).max(0.0) as u32;
        let skin = f.picture.get_pixel(at(left, width, 0.25), at(top, height, 0.55)).0.map(f32::from);
        f.painted(|x, y, p| {
            let finger = (5.0 * x + y).rem_euclid(1.0);
            let light = if finger < 0.12 { 0.6 } else { 0.85 + 0.2 * (finger - 0.5).abs() };
            let is_hand = (x - 0.3).abs() < 0.5 && (0.6..1.3).contains(&y);
            if is_hand { skin.map(|v| (v * light).min(255.0) as u8) } else { p }
        })
    }),
];

#[test]
fn a_photo_that_will_look_bad_is_warned_of() {
    let mut enroller = Enroller::new().unwrap();
    let (mut n_seen, mut n_made) = ([0; FAULTS.len()], [0; FAULTS.len()]);
    for file in portraits() {
        let picture = image::open(&file).unwrap().into_rgb8();
        let photo = enroller.examine(&png(&DynamicImage::from(picture.clone()))).unwrap();
        let [left, top, right, bottom] = photo.faces[0].box_px;
        let found = Found { picture, face: [left, top, right - left, bottom - top] };
        let is_drawn = file.file_name().unwrap().to_string_lossy().starts_with("portrait_");
        for (i, (name, kind, _, make)) in FAULTS.into_iter().enumerate() {
            // Drawn faces are so plain that the network knows what is behind a hand.
            if is_drawn && kind == RemarkKind::Covered {
                continue;
            }
            let photo = enroller.examine(&png(&make(&found))).unwrap();
            // A photo that cannot be enrolled at all is not taken without a word either.
            let is_seen = match enroller.enroll_examined(&photo, &options()) {
                Ok(enrolled) => enrolled.remarks.iter().any(|remark| remark.kind == kind),
                Err(error) => error.kind() == effigy::ErrorKind::Photo,
            };
            n_made[i] += 1;
            n_seen[i] += usize::from(is_seen);
            if !is_seen {
                println!("{}, {name}: not seen", file.display());
            }
        }
    }
    for (i, (name, _, least, _)) in FAULTS.into_iter().enumerate() {
        let told = format!("{name}: seen {} times of {}", n_seen[i], n_made[i]);
        println!("{told}");
        assert!(n_seen[i] as f32 >= least * n_made[i] as f32, "{told}");
    }
}

/// Nothing of a face may be seen twice where a photo is cut close.
#[test]
fn a_photo_that_is_cut_close_has_two_eyes() {
    let mut enroller = Enroller::new().unwrap();
    for file in portraits().into_iter().take(8) {
        let picture = image::open(&file).unwrap().into_rgb8();
        let photo = enroller.examine(&png(&DynamicImage::from(picture.clone()))).unwrap();
        let [left, top, right, bottom] = photo.faces[0].box_px;
        let found = Found { picture, face: [left, top, right - left, bottom - top] };
        for close in [found.cut(0.0, 0.28, 1.0, 1.0), found.cut(0.15, 0.0, 0.85, 0.95)] {
            let photo = enroller.examine(&png(&close)).unwrap();
            let Ok(enrolled) = enroller.enroll_examined(&photo, &options()) else { continue };
            let nose = enrolled.identity.landmarks_px[4];
            let person = enrolled.identity.matte.pixel(nose.x as usize, nose.y as usize)[0];
            assert!(person > 200, "{}: the nose is background", file.display());
            let portrait = &enrolled.identity.portrait;
            let size = (portrait.width_px() as u32, portrait.height_px() as u32);
            let portrait = RgbImage::from_raw(size.0, size.1, portrait.data().to_vec()).unwrap();
            let faces = enroller.examine(&png(&DynamicImage::from(portrait))).unwrap().faces;
            assert_eq!(faces.len(), 1, "{}", file.display());
        }
    }
}

//! A drawn identity, so that tests need no photo: a patterned head on a patterned ground. And what a camera sees.
#![allow(dead_code, unreachable_pub, reason = "each test program uses another part")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use effigy::clock::Timestamp;
use effigy::drive::{DenseMotion, LatentMotion};
use effigy::face::{FaceShape, HeadPose, Landmarks, N_COEFFICIENTS, N_LANDMARKS};
use effigy::geometry::MouthContents;
use effigy::identity::{Basis, Consent, Framing, Manifest, PhotoCrop, WholePhoto};
use effigy::mark::{Embedder, Key, Message};
use effigy::{DrivingSignal, FaceObservation, Grey, Identity, Rgb, Rgba};
use glam::{Quat, Vec2, Vec3};

/// The signal that changes nothing.
pub fn rest() -> DrivingSignal {
    DrivingSignal {
        rotation: Quat::IDENTITY,
        translation: Vec2::ZERO,
        scale: 1.0,
        is_relative: true,
        displacement: [Vec3::ZERO; N_LANDMARKS],
        eye_openness: [1.0; 2],
        mouth_openness: 0.0,
        coefficients: [0.0; N_COEFFICIENTS],
        mouth: MouthContents::UNKNOWN,
        dense: DenseMotion::NONE,
        latent: LatentMotion::NONE,
    }
}

/// A frontal identity of `size_px`, its face width 0.3 of the picture.
pub fn identity(size_px: usize) -> Arc<Identity> {
    let size = size_px as f32;
    let numbers: Vec<f32> = include_bytes!("../assets/mesh_points.bin")
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let landmarks_px: Landmarks = std::array::from_fn(|i| {
        Vec3::from_slice(&numbers[i * 3..]) * (0.3 * size) + Vec3::new(0.5 * size, 0.42 * size, 0.0)
    });
    let pose = HeadPose::default();
    let (mut portrait, mut matte, mut background) =
        (Rgb::new(size_px, size_px), Grey::new(size_px, size_px), Rgb::new(size_px, size_px));
    for i in 0..size_px * size_px {
        let at = Vec2::new((i % size_px) as f32 + 0.5, (i / size_px) as f32 + 0.5) / size;
        let head = ((at - Vec2::new(0.5, 0.45)) / Vec2::new(0.32, 0.40)).length() - 1.0;
        let body = ((at - Vec2::new(0.5, 1.1)) / Vec2::new(0.45, 0.3)).length() - 1.0;
        matte.data_mut()[i] = ((-head.min(body) * size * 0.3 + 0.5).clamp(0.0, 1.0) * 255.0) as u8;
        let wave = |f: f32, phase: f32| ((at.x * f + phase).sin() * (at.y * f * 1.3).cos() * 40.0) as i32;
        let colour = |base: [i32; 3], wave: i32| base.map(|c| (c + wave).clamp(0, 255) as u8);
        let (skin, ground) = (colour([190, 140, 120], wave(60.0, 0.3)), colour([60, 90, 130], wave(25.0, 1.0)));
        let shown = if matte.data()[i] >= 128 { skin } else { ground };
        portrait.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&shown);
        background.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&ground);
    }
    let manifest = Manifest {
        format: 1,
        name: "drawn".into(),
        consent: Consent {
            basis: Basis::Synthetic,
            by: "tests".into(),
            at_unix_secs: 0,
            until_unix_secs: None,
            purpose: None,
            statement_sha256: None,
            spoken: None,
        },
        created_unix_secs: 0,
        framing: Framing::Face,
        photo_sha256: String::new(),
        views: Vec::new(),
        models: BTreeMap::new(),
        tensors: BTreeMap::new(),
    };
    let shape = FaceShape::new(&landmarks_px, &pose);
    let coefficients = [0.0; N_COEFFICIENTS];
    let emphasis = None;
    Arc::new(Identity {
        manifest,
        maker: None,
        portrait,
        matte,
        background,
        landmarks_px,
        coefficients,
        pose,
        shape,
        emphasis,
        photo: None,
        views: Vec::new(),
    })
}

/// Where the portrait is in the photo of [`identity_with_photo`], and the photo's (width, height).
pub const PHOTO_CROP: (usize, usize, usize) = (194, 60, 512);
pub const PHOTO_PX: (usize, usize) = (900, 1200);

/// The drawn identity in a photo of its own: wider and much higher than the portrait, the body going on below it.
pub fn identity_with_photo() -> Arc<Identity> {
    let (left, top, size) = PHOTO_CROP;
    let (width, height) = PHOTO_PX;
    let mut identity = (*identity(size)).clone();
    let (mut bare, mut everybody) = (Rgb::new(width, height), Grey::new(width, height));
    let mut photo = Rgb::new(width, height);
    for i in 0..width * height {
        let at = (Vec2::new((i % width) as f32 + 0.5, (i / width) as f32 + 0.5) - Vec2::new(left as f32, top as f32))
            / size as f32;
        let head = ((at - Vec2::new(0.5, 0.45)) / Vec2::new(0.32, 0.40)).length() - 1.0;
        // Shoulders that the portrait's sides and lower edge cut.
        let body = ((at - Vec2::new(0.5, 1.9)) / Vec2::new(0.62, 1.05)).length() - 1.0;
        let person = ((-head.min(body) * size as f32 * 0.3 + 0.5).clamp(0.0, 1.0) * 255.0) as u8;
        let wave = |f: f32, phase: f32| ((at.x * f + phase).sin() * (at.y * f * 1.3).cos() * 40.0) as i32;
        let colour = |base: [i32; 3], wave: i32| base.map(|c| (c + wave).clamp(0, 255) as u8);
        let (skin, ground) = (colour([190, 140, 120], wave(60.0, 0.3)), colour([60, 90, 130], wave(25.0, 1.0)));
        everybody.data_mut()[i] = person;
        bare.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&ground);
        let shown = if person >= 128 { skin } else { ground };
        photo.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&shown);
    }
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 98);
    let picture = image::RgbImage::from_raw(width as u32, height as u32, photo.data().to_vec()).unwrap();
    picture.write_with_encoder(encoder).unwrap();
    let crop = PhotoCrop { left_px: left as f32, top_px: top as f32, side_px: size as f32 };
    let small = grey_halves(&everybody, 3);
    let whole = WholePhoto::from_jpeg(jpeg, small, crop).unwrap();
    for i in 0..size * size {
        let (x, y) = (left + i % size, top + i / size);
        identity.matte.data_mut()[i] = everybody.data()[y * width + x];
        identity.portrait.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&whole.picture.pixel(x, y));
        let hidden = everybody.data()[y * width + x] > 0;
        let behind = if hidden { bare.pixel(x, y) } else { whole.picture.pixel(x, y) };
        identity.background.data_mut()[i * 3..i * 3 + 3].copy_from_slice(&behind);
    }
    identity.photo = Some(Arc::new(whole));
    Arc::new(identity)
}

fn grey_halves(picture: &Grey, divisor: usize) -> Grey {
    let (width, height) = (picture.width_px() / divisor, picture.height_px() / divisor);
    let mut out = Grey::new(width, height);
    for (i, sample) in out.data_mut().iter_mut().enumerate() {
        *sample = picture.pixel(i % width * divisor + divisor / 2, i / width * divisor + divisor / 2)[0];
    }
    out
}

/// The drawn identity, with its consent on another basis.
pub fn identity_on(basis: Basis) -> Arc<Identity> {
    let mut identity = (*identity(512)).clone();
    identity.manifest.consent.basis = basis;
    Arc::new(identity)
}

/// A colour that a camera's frame has here and nothing that may leave has.
pub const CAMERA_COLOUR: [u8; 3] = [255, 0, 255];

/// A camera's picture in that colour.
pub fn camera_picture() -> Rgb {
    Rgb::from_data(64, 64, CAMERA_COLOUR.repeat(64 * 64)).unwrap()
}

/// What the face stage would say of the drawn face in such a picture.
pub fn observation(captured: Timestamp) -> FaceObservation {
    let landmarks_px = identity(512).landmarks_px.map(|p| p / 8.0);
    FaceObservation { captured, frame_size_px: (64, 64), landmarks_px, presence: 1.0, ..FaceObservation::default() }
}

/// Opens the mouth by `amount` face widths.
pub fn open_mouth(signal: &mut DrivingSignal, identity: &Identity, amount: f32) {
    let points = &identity.shape.points;
    let lip = points[13];
    for (shift, point) in signal.displacement.iter_mut().zip(points).take(468) {
        let low = ((point.y - lip.y) / 0.06).clamp(0.0, 1.0);
        let side = ((point.x - lip.x) / 0.6).abs().min(1.0);
        shift.y += amount * low * (1.0 - side * side);
    }
    for i in [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308] {
        signal.displacement[i].y = 0.0;
    }
    for i in [95, 88, 178, 87, 14, 317, 402, 318, 324] {
        let side = ((points[i].x - lip.x) / 0.3).abs().min(1.0);
        signal.displacement[i].y = amount * (1.0 - side * side);
    }
}

/// A picture with its sides divided: each pixel is the mean of those that it covers.
pub fn shrunk(picture: &Rgb, divisor: usize) -> Rgb {
    let (width_px, height_px) = (picture.width_px() / divisor, picture.height_px() / divisor);
    let mut out = Rgb::new(width_px, height_px);
    for (i, sample) in out.data_mut().iter_mut().enumerate() {
        let (x, y, c) = (i / 3 % width_px, i / 3 / width_px, i % 3);
        let block = (0..divisor * divisor).map(|k| picture.pixel(x * divisor + k % divisor, y * divisor + k / divisor));
        *sample = (block.map(|pixel| usize::from(pixel[c])).sum::<usize>() / (divisor * divisor)) as u8;
    }
    out
}

/// A picture with the invisible mark of run 0, as everything that leaves has it unless it says another run.
pub fn with_mark(picture: &Rgba) -> Rgba {
    let mut picture = picture.clone();
    let size_px = (picture.width_px(), picture.height_px());
    Embedder::new(size_px, Message::of_run(0), Key::PUBLIC).mark(picture.data_mut().as_chunks_mut().0);
    picture
}

/// A picture of one colour.
pub fn even(rgba: [u8; 4], (width_px, height_px): (usize, usize)) -> Rgba {
    Rgba::from_data(width_px, height_px, rgba.repeat(width_px * height_px)).unwrap()
}

/// A picture that hides all that is behind it.
pub fn opaque(picture: &Rgb) -> Rgba {
    let data = picture.data().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    Rgba::from_data(picture.width_px(), picture.height_px(), data).unwrap()
}

/// Motions that go far: nods, turns, a head that comes near and one that leaves its place.
pub fn motions(identity: &Identity) -> Vec<DrivingSignal> {
    (0..8)
        .map(|i| {
            let mut signal = rest();
            let phase = i as f32;
            signal.rotation =
                Quat::from_rotation_y((phase * 1.3).sin() * 0.5) * Quat::from_rotation_x(phase.cos() * 0.3);
            signal.translation = Vec2::new((phase * 0.9).sin() * 0.25, (phase * 1.7).cos() * 0.15);
            signal.scale = 1.0 + 0.12 * (phase * 2.1).sin();
            open_mouth(&mut signal, identity, 0.03 * phase);
            signal
        })
        .collect()
}

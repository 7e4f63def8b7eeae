//! From a photo to an identity: face, crop, points, matte, background.

use std::time::{SystemTime, UNIX_EPOCH};

use glam::Vec2;
use opencv::core::{BORDER_REFLECT_101, Rect, Scalar, Size};
use opencv::imgproc;
use opencv::prelude::*;
use sha2::{Digest as _, Sha256};

use super::manifest::{Basis, Consent, Framing, Manifest};
use super::{Identity, container, hex, plate};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceShape, FaceTracker, FoundFace, Matter, TrackerOptions};
use crate::frame::{Grey, Rgb};
use crate::models::Model;
use crate::photo;

/// The smallest face that is enrolled, in pixels from forehead to chin.
const MIN_FACE_PX: f32 = 96.0;
/// How far the head may be turned on the photo, in radians: beyond, half of the face is unseen.
const MAX_YAW_RADS: f32 = 0.61;
/// How far the head may nod on the photo, in radians.
const MAX_PITCH_RADS: f32 = 0.52;
/// How far the head may be tilted on the photo, in radians.
const MAX_ROLL_RADS: f32 = 0.61;
/// Side of the portrait in face heights: room for hair and shoulders.
const SIDE_PER_FACE: f32 = 2.2;
/// A photo cut closer than this many face heights is extended beyond its border, by reflection.
const MIN_SIDE_PER_FACE: f32 = 1.25;
/// From this side on, a crop is worth a portrait of 1024 pixels.
const LARGE_FROM_PX: f32 = 720.0;

/// What to enrol and on whose word.
#[derive(Clone, Debug)]
pub struct EnrollOptions {
    /// The identity's name.
    pub name: String,
    /// On what basis the face may be shown.
    pub basis: Basis,
    /// Who says so.
    pub consent_by: String,
    /// How the portrait is cut out.
    pub framing: Framing,
    /// Which face to take when there are several, counted from 1 from left to right.
    pub face: Option<usize>,
}

/// Makes identities from photos. Opens its models once.
pub struct Enroller {
    finder: FaceTracker,
    matter: Matter,
}

impl Enroller {
    /// Opens the models that enrolment needs.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a model or the runtime is missing or torn.
    pub fn new() -> Result<Self> {
        // Enrolment has the machine for itself: two threads are worth their while.
        Ok(Self {
            finder: FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() })?,
            matter: Matter::new(2)?,
        })
    }

    /// Makes an identity from the bytes of a photo's file.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] with the reason when the photo will not do: unreadable, no face, several
    /// faces, too small a face, too extreme a pose.
    pub fn enroll(&mut self, photo_file: &[u8], options: &EnrollOptions) -> Result<Identity> {
        let photo = photo::decode(photo_file)?;
        let face = choose_face(self.finder.find_faces(&photo)?, options.face)?;
        let face_px = check_face(&face)?;

        let crop = match options.framing {
            Framing::Face => Crop::around_face(&face, face_px, &photo),
            Framing::Keep => Crop::whole(&photo),
        };
        let size = Identity::SIZES_PX[usize::from(crop.side_px >= LARGE_FROM_PX)];
        let portrait = crop.cut(&photo, size)?;

        // On the crop again: its points are then exact where they are used, and its pose belongs to
        // a camera that took this square.
        let expected = crop.to_portrait(centre(&face), size);
        let mut face = self
            .finder
            .find_faces(&portrait)?
            .into_iter()
            .min_by(|a, b| centre(a).distance(expected).total_cmp(&centre(b).distance(expected)))
            .ok_or_else(|| {
                Error::new(ErrorKind::Photo, "the face is lost in its own crop; try --framing keep, or another photo")
            })?
            .observation;
        self.finder.settle(&portrait, &mut face)?;

        let matte = self.matter.matte(&portrait)?;
        let background = plate::fill_background(&portrait, &matte);
        let now = unix_secs();
        let manifest = Manifest {
            format: container::FORMAT,
            name: options.name.clone(),
            consent: Consent { basis: options.basis, by: options.consent_by.clone(), at_unix_secs: now },
            created_unix_secs: now,
            framing: options.framing,
            photo_sha256: hex(&Sha256::digest(photo_file)),
            models: Model::hashes(),
            // Filled in when the file is written.
            tensors: Default::default(),
        };
        Ok(Identity {
            shape: FaceShape::new(&face.landmarks_px, &face.pose),
            manifest,
            maker: None,
            portrait,
            matte,
            background,
            landmarks_px: face.landmarks_px,
            coefficients: face.coefficients,
            pose: face.pose,
        })
    }
}

/// Seconds since 1970-01-01 UTC.
fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn choose_face(mut faces: Vec<FoundFace>, wanted: Option<usize>) -> Result<FoundFace> {
    faces.sort_by(|a, b| centre(a).x.total_cmp(&centre(b).x));
    let n_faces = faces.len();
    let index = match (n_faces, wanted) {
        (0, _) => {
            return Err(Error::new(
                ErrorKind::Photo,
                "no face found; take a photo from the front, in even light, with the whole face in view",
            ));
        }
        (1, None) => 0,
        (_, None) => {
            return Err(Error::new(
                ErrorKind::Photo,
                format!("{n_faces} faces found; choose one with --face N, counted from the left, 1 to {n_faces}"),
            ));
        }
        (_, Some(n)) if (1..=n_faces).contains(&n) => n - 1,
        (_, Some(n)) => {
            return Err(Error::new(
                ErrorKind::Photo,
                format!("--face {n} asked for, but the photo has {n_faces}, counted from the left from 1"),
            ));
        }
    };
    Ok(faces.swap_remove(index))
}

/// Refuses a face that cannot carry a portrait; gives its height in pixels.
fn check_face(face: &FoundFace) -> Result<f32> {
    let [left, top, right, bottom] = face.box_px;
    let face_px = (right - left).max(bottom - top);
    if face_px < MIN_FACE_PX {
        return Err(Error::new(
            ErrorKind::Photo,
            format!(
                "the face is {face_px:.0} pixels high, at least {MIN_FACE_PX:.0} are needed; use a larger photo or one taken closer"
            ),
        ));
    }
    let angles = face.observation.pose.yaw_pitch_roll_rads();
    for (angle, limit, what) in [
        (angles[0], MAX_YAW_RADS, "turned to the side"),
        (angles[1], MAX_PITCH_RADS, "nodding"),
        (angles[2], MAX_ROLL_RADS, "tilted"),
    ] {
        if angle.abs() > limit {
            return Err(Error::new(
                ErrorKind::Photo,
                format!(
                    "the head is {what} by {:.0} degrees, at most {:.0} will do; use a photo that looks into the camera",
                    angle.abs().to_degrees(),
                    limit.to_degrees()
                ),
            ));
        }
    }
    Ok(face_px)
}

fn centre(face: &FoundFace) -> Vec2 {
    let [left, top, right, bottom] = face.box_px;
    Vec2::new(left + right, top + bottom) / 2.0
}

/// A square of the photo that becomes the portrait; it may reach over the photo's border.
#[derive(Clone, Copy, Debug)]
struct Crop {
    top_left: Vec2,
    side_px: f32,
}

impl Crop {
    /// The square around a face with room for hair and shoulders, kept inside the photo where
    /// the photo is large enough.
    fn around_face(face: &FoundFace, face_px: f32, photo: &Rgb) -> Self {
        let (width, height) = (photo.width_px() as f32, photo.height_px() as f32);
        let side_px = (SIDE_PER_FACE * face_px).min(width.min(height)).max(MIN_SIDE_PER_FACE * face_px).round();
        // Hair needs less room than neck and shoulders.
        let middle = centre(face) + Vec2::new(0.0, 0.04 * side_px);
        let inside = |low: f32, length: f32| {
            if side_px <= length { low.clamp(0.0, length - side_px) } else { (length - side_px) / 2.0 }
        };
        let top_left = Vec2::new(inside(middle.x - side_px / 2.0, width), inside(middle.y - side_px / 2.0, height));
        Self { top_left: top_left.round(), side_px }
    }

    /// The photo's own frame, made square by its shorter side.
    fn whole(photo: &Rgb) -> Self {
        let (width, height) = (photo.width_px() as f32, photo.height_px() as f32);
        let side_px = width.min(height);
        Self { top_left: ((Vec2::new(width, height) - side_px) / 2.0).floor(), side_px }
    }

    fn to_portrait(self, p_in_photo: Vec2, size: usize) -> Vec2 {
        (p_in_photo - self.top_left) * size as f32 / self.side_px
    }

    /// Cuts the square out of the photo and scales it to `size`.
    fn cut(self, photo: &Rgb, size: usize) -> Result<Rgb> {
        let (x, y, side) = (self.top_left.x as i32, self.top_left.y as i32, self.side_px as i32);
        let (width, height) = (photo.width_px() as i32, photo.height_px() as i32);
        let beyond = [-y, y + side - height, -x, x + side - width].map(|pad| pad.max(0));
        let mut extended = opencv::core::Mat::default();
        opencv::core::copy_make_border(
            &photo.as_mat()?,
            &mut extended,
            beyond[0],
            beyond[1],
            beyond[2],
            beyond[3],
            BORDER_REFLECT_101,
            Scalar::default(),
        )?;
        let square = Mat::roi(&extended, Rect::new(x + beyond[2], y + beyond[0], side, side))?;
        let shrinks = side as usize > size;
        let method = if shrinks { imgproc::INTER_AREA } else { imgproc::INTER_CUBIC };
        let mut portrait = Rgb::new(size, size);
        let size = Size::new(size as i32, size as i32);
        imgproc::resize(&square, &mut portrait.as_mat_mut()?, size, 0.0, 0.0, method)?;
        Ok(portrait)
    }
}

impl Identity {
    /// Draws what enrolment found: portrait with the face's points, the person cut out, the background.
    ///
    /// # Shapes
    /// (s, 3 s, 3) with s the identity's size.
    pub fn preview(&self) -> Rgb {
        let size = self.size_px();
        let mut preview = Rgb::new(3 * size, size);
        for y in 0..size {
            for x in 0..size {
                let seen = self.portrait.pixel(x, y);
                let alpha = u32::from(Grey::pixel(&self.matte, x, y)[0]);
                const GREEN: [u32; 3] = [0, 177, 64];
                let cut: [u8; 3] =
                    std::array::from_fn(|c| ((u32::from(seen[c]) * alpha + GREEN[c] * (255 - alpha)) / 255) as u8);
                for (third, pixel) in [seen, cut, self.background.pixel(x, y)].into_iter().enumerate() {
                    preview.data_mut()[(y * 3 * size + third * size + x) * 3..][..3].copy_from_slice(&pixel);
                }
            }
        }
        let reach = size / 512;
        for p in &self.landmarks_px {
            let (x, y) = (p.x.round() as i64, p.y.round() as i64);
            for dy in 0..=reach as i64 {
                for dx in 0..=reach as i64 {
                    if (0..size as i64).contains(&(x + dx)) && (0..size as i64).contains(&(y + dy)) {
                        let at = ((y + dy) as usize * 3 * size + (x + dx) as usize) * 3;
                        preview.data_mut()[at..at + 3].copy_from_slice(&[0, 255, 160]);
                    }
                }
            }
        }
        preview
    }
}

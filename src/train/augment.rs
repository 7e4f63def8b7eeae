//! Changes to a sequence that leave it a sequence: each frame is flipped, cut and coloured alike.
//!
//! An [`Augmentation`] is a pure function of its seed. Geometry moves pictures, mattes, points, coefficients, pose and
//! flow together; colour changes pictures; [`Augmentation::degraded`] adds what cameras and codecs do, to what
//! the network is given but not to what it is to draw.

use glam::{Mat3, Vec2, Vec3};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use opencv::core::{BORDER_REFLECT_101, Mat, Scalar, Size};
use opencv::imgproc::{INTER_CUBIC, INTER_LINEAR, WARP_INVERSE_MAP, gaussian_blur_def, warp_affine};

use super::dataset::{FLOW_SIZE, Flow, SIZE_PX};
use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::{Picture, Rgb};
use crate::geometry::{
    FaceObservation, HeadPose, Landmarks, MIRRORED_COEFFICIENTS, MIRRORED_POINTS, N_COEFFICIENTS, head_pose,
};
use crate::photo;
use effigy_base::random::Rng;

/// How far augmentations may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranges {
    /// How often a sequence is mirrored, 0..1.
    pub flip: f32,
    /// The largest zoom, as what is added to 1. A zoomed picture shows a part of what was there, never its outside.
    pub zoom: f32,
    /// The largest change of brightness, contrast, saturation and of each colour, as a share.
    pub colour: f32,
    /// The largest standard deviation of noise, 0..255.
    pub noise: f32,
    /// The largest standard deviation of blur, in pixels.
    pub blur_px: f32,
    /// The lowest JPEG quality, 1..100. Half of the sequences are compressed.
    pub min_quality: u8,
}

impl Default for Ranges {
    fn default() -> Self {
        Self { flip: 0.5, zoom: 0.2, colour: 0.15, noise: 6.0, blur_px: 1.2, min_quality: 40 }
    }
}

/// One way to change a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    seed: u64,
    is_flipped: bool,
    /// What of the picture is shown, after flipping: left, top, side in pixels.
    part: [f32; 3],
    /// Red, green, blue are multiplied by these.
    gains: [f32; 3],
    contrast: f32,
    saturation: f32,
    noise: f32,
    blur_px: f32,
    quality: Option<u8>,
}

impl Augmentation {
    /// Changes nothing.
    pub const NONE: Self = Self {
        seed: 0,
        is_flipped: false,
        part: [0.0, 0.0, SIZE_PX as f32],
        gains: [1.0; 3],
        contrast: 1.0,
        saturation: 1.0,
        noise: 0.0,
        blur_px: 0.0,
        quality: None,
    };

    /// The augmentation of a seed.
    pub fn sample(seed: u64, ranges: &Ranges) -> Self {
        let mut rng = Rng::new(seed, 71);
        let is_flipped = rng.chance(ranges.flip);
        let part = some_part(&mut rng, ranges.zoom);
        let mut around_one = |share: f32| 1.0 + ranges.colour * share * rng.range(-1.0, 1.0);
        let brightness = around_one(1.0);
        let gains = std::array::from_fn(|_| brightness * around_one(0.5));
        let (contrast, saturation) = (around_one(1.0), around_one(1.5));
        Self {
            seed,
            is_flipped,
            part,
            gains,
            contrast,
            saturation,
            noise: ranges.noise * rng.unit() * rng.unit(),
            blur_px: ranges.blur_px * rng.unit() * rng.unit(),
            quality: rng.chance(0.5).then(|| rng.range(f32::from(ranges.min_quality), 96.0) as u8),
        }
    }

    /// The same change, but of another part of the picture, as another camera would have taken it.
    ///
    /// `zoom` is as in [`Ranges::zoom`].
    #[must_use]
    pub(crate) fn elsewhere(&self, zoom: f32, rng: &mut Rng) -> Self {
        Self { part: some_part(rng, zoom), ..*self }
    }

    /// Whether another change shows the same part of the picture.
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        self.part == other.part
    }

    /// Whether left and right are exchanged.
    pub fn is_flipped(&self) -> bool {
        self.is_flipped
    }

    /// Where a point of the picture goes, counted from the corner of its first pixel.
    pub fn point(&self, p_px: Vec2) -> Vec2 {
        let [left, top, side] = self.part;
        let x = if self.is_flipped { SIZE_PX as f32 - p_px.x } else { p_px.x };
        (Vec2::new(x, p_px.y) - Vec2::new(left, top)) * (SIZE_PX as f32 / side)
    }

    /// Moves points; what was the left eye's is the right eye's in a mirrored picture.
    pub fn landmarks(&self, landmarks_px: &Landmarks) -> Landmarks {
        let scale = SIZE_PX as f32 / self.part[2];
        std::array::from_fn(|i| {
            let p = landmarks_px[if self.is_flipped { MIRRORED_POINTS[i] } else { i }];
            self.point(p.truncate()).extend(p.z * scale)
        })
    }

    /// Exchanges left and right in a mirrored picture.
    pub fn coefficients(&self, coefficients: &[f32; N_COEFFICIENTS]) -> [f32; N_COEFFICIENTS] {
        std::array::from_fn(|i| coefficients[if self.is_flipped { MIRRORED_COEFFICIENTS[i] } else { i }])
    }

    /// Mirrors a head; zoom leaves it as it is.
    pub fn pose(&self, pose: &HeadPose) -> HeadPose {
        if !self.is_flipped {
            return *pose;
        }
        let mirror = Mat3::from_diagonal(Vec3::new(-1.0, 1.0, 1.0));
        HeadPose {
            camera_from_head: mirror * pose.camera_from_head * mirror,
            translation_cm: mirror * pose.translation_cm,
        }
    }

    /// What the tracker would have seen in the changed picture.
    pub fn observation(&self, seen: &FaceObservation) -> FaceObservation {
        let landmarks_px = self.landmarks(&seen.landmarks_px);
        FaceObservation {
            // For a camera that took the part that is shown.
            pose: head_pose(&landmarks_px, (SIZE_PX, SIZE_PX)).unwrap_or_else(|| self.pose(&seen.pose)),
            landmarks_px,
            coefficients: self.coefficients(&seen.coefficients),
            ..seen.clone()
        }
    }

    /// Moves a rectangle (left, top, width, height); `None` where it is not shown.
    pub fn rect(&self, [left, top, width, height]: [u32; 4]) -> Option<[u32; 4]> {
        let corner = |x: u32, y: u32| self.point(Vec2::new(x as f32, y as f32));
        let (a, b) = (corner(left, top), corner(left + width, top + height));
        let limit = |v: f32| v.clamp(0.0, SIZE_PX as f32);
        let (x0, y0) = (limit(a.x.min(b.x)).floor() as u32, limit(a.y).floor() as u32);
        let (x1, y1) = (limit(a.x.max(b.x)).ceil() as u32, limit(b.y).ceil() as u32);
        (x1 > x0 && y1 > y0).then(|| [x0, y0, x1 - x0, y1 - y0])
    }

    /// Moves a picture without changing its colours: mattes, masks.
    ///
    /// # Shapes
    /// ([`SIZE_PX`], [`SIZE_PX`], C) in and out.
    ///
    /// # Errors
    /// When the picture operation fails.
    pub fn moved<const C: usize>(&self, picture: &Picture<C>) -> Result<Picture<C>> {
        if !self.is_flipped && self.part == Self::NONE.part {
            return Ok(picture.clone());
        }
        let [left, top, side] = self.part.map(f64::from);
        let scale = side / SIZE_PX as f64;
        // From a pixel of the result to one of the picture.
        let (x_scale, x_start) = (scale, 0.5 * scale + left - 0.5);
        let (x_scale, x_start) =
            if self.is_flipped { (-x_scale, (SIZE_PX - 1) as f64 - x_start) } else { (x_scale, x_start) };
        let matrix = [x_scale, 0.0, x_start, 0.0, scale, 0.5 * scale + top - 0.5];
        let matrix = Mat::new_rows_cols_with_data(2, 3, &matrix)?;
        let method = if C == 3 { INTER_CUBIC } else { INTER_LINEAR } | WARP_INVERSE_MAP;
        let mut out = Picture::new(SIZE_PX, SIZE_PX);
        let size = Size::new(SIZE_PX as i32, SIZE_PX as i32);
        warp_affine(
            &picture.as_mat()?,
            &mut out.as_mat_mut()?,
            &matrix,
            size,
            method,
            BORDER_REFLECT_101,
            Scalar::default(),
        )?;
        Ok(out)
    }

    /// Moves and colours a picture: what the network is to draw.
    ///
    /// # Errors
    /// When the picture operation fails.
    pub fn picture(&self, picture: &Rgb) -> Result<Rgb> {
        let mut out = self.moved(picture)?;
        if (self.gains, self.contrast, self.saturation) == ([1.0; 3], 1.0, 1.0) {
            return Ok(out);
        }
        for pixel in out.data_mut().as_chunks_mut::<3>().0 {
            let [r, g, b] = pixel.map(f32::from);
            let grey = 0.3 * r + 0.59 * g + 0.11 * b;
            for (value, gain) in pixel.iter_mut().zip(self.gains) {
                let coloured = grey + self.saturation * (f32::from(*value) - grey);
                *value = (128.0 + self.contrast * (coloured * gain - 128.0)).round().clamp(0.0, 255.0) as u8;
            }
        }
        Ok(out)
    }

    /// Blurs, adds noise and compresses: what a camera would have given. The noise differs from frame to frame.
    ///
    /// # Errors
    /// When the picture operation fails.
    pub fn degraded(&self, picture: &Rgb, frame: u64) -> Result<Rgb> {
        let mut out = picture.clone();
        if self.blur_px > 0.2 {
            gaussian_blur_def(&picture.as_mat()?, &mut out.as_mat_mut()?, Size::default(), self.blur_px.into())?;
        }
        if self.noise > 0.0 {
            let mut rng = Rng::new(self.seed ^ frame.wrapping_mul(0x9e37_79b9), 72);
            for value in out.data_mut() {
                *value = (f32::from(*value) + self.noise * rng.normal()).round().clamp(0.0, 255.0) as u8;
            }
        }
        let Some(quality) = self.quality else { return Ok(out) };
        let mut coded = Vec::new();
        JpegEncoder::new_with_quality(&mut coded, quality)
            .write_image(out.data(), out.width_px() as u32, out.height_px() as u32, ExtendedColorType::Rgb8)
            .or_error(ErrorKind::Internal, || "cannot code a picture".to_owned())?;
        photo::decode(&coded)
    }

    /// Moves a flow and what it says.
    pub fn flow(&self, flow: &Flow) -> Flow {
        let [left, top, side] = self.part;
        let (scale, cell_px) = (SIZE_PX as f32 / side, (SIZE_PX / FLOW_SIZE) as f32);
        let last = FLOW_SIZE as f32 - 1.0;
        let cell = |x: usize, y: usize| flow.get(y * FLOW_SIZE + x).copied().map_or(Vec2::ZERO, Vec2::from);
        let moved = |i: usize| {
            // The middle of a cell of the result, in cells of the flow.
            let middle = Vec2::new((i % FLOW_SIZE) as f32 + 0.5, (i / FLOW_SIZE) as f32 + 0.5) * cell_px;
            let mut from = middle / scale + Vec2::new(left, top);
            if self.is_flipped {
                from.x = SIZE_PX as f32 - from.x;
            }
            let at = (from / cell_px - 0.5).clamp(Vec2::ZERO, Vec2::splat(last));
            let (x0, y0) = (at.x as usize, at.y as usize);
            let (x1, y1) = ((x0 + 1).min(FLOW_SIZE - 1), (y0 + 1).min(FLOW_SIZE - 1));
            let share = at - Vec2::new(x0 as f32, y0 as f32);
            let row = |y| cell(x0, y).lerp(cell(x1, y), share.x);
            let value = row(y0).lerp(row(y1), share.y) * scale;
            [if self.is_flipped { -value.x } else { value.x }, value.y]
        };
        (0..FLOW_SIZE * FLOW_SIZE).map(moved).collect()
    }
}

/// A part of the picture: left, top, side in pixels.
fn some_part(rng: &mut Rng, zoom: f32) -> [f32; 3] {
    let side = SIZE_PX as f32 / (1.0 + zoom * rng.unit());
    let slack = SIZE_PX as f32 - side;
    [slack * rng.unit(), slack * rng.unit(), side]
}

#[cfg(test)]
mod tests;

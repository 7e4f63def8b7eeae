//! Which part of the frame a network looks at, and the picture of it.

use glam::Vec2;
use opencv::core::{BORDER_CONSTANT, Mat, Scalar, Size};
use opencv::imgproc::{INTER_LINEAR, WARP_INVERSE_MAP, warp_affine};
use opencv::prelude::MatTrait;

use crate::error::Result;
use crate::frame::Rgb;

use super::Landmarks;

/// The outer corners of the eyes: to the left and to the right in a picture that is not mirrored.
const EYE_CORNERS: [usize; 2] = [33, 263];

/// How much larger the crop is than the face in it.
const MARGIN: f32 = 1.5;

/// A square of the frame, turned so that the eyes are level in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crop {
    /// Its centre, in pixels of the frame.
    pub(super) centre_px: Vec2,
    /// Its side, in pixels of the frame.
    pub(super) side_px: f32,
    /// Its turn, clockwise in the picture.
    pub(super) angle_rads: f32,
}

impl Crop {
    /// No part of any frame.
    pub(super) const NOWHERE: Self = Self { centre_px: Vec2::ZERO, side_px: 0.0, angle_rads: 0.0 };

    /// The square around a face whose box and eyes are known; `left` is the eye on the left of the picture.
    pub(super) fn around(min_px: Vec2, max_px: Vec2, left_px: Vec2, right_px: Vec2) -> Self {
        let eyes = right_px - left_px;
        Self {
            centre_px: (min_px + max_px) * 0.5,
            side_px: (max_px - min_px).max_element() * MARGIN,
            angle_rads: eyes.y.atan2(eyes.x),
        }
    }

    /// The square around a face whose points are known.
    pub(super) fn around_landmarks(landmarks_px: &Landmarks) -> Self {
        let (min_px, max_px) = bounds(landmarks_px);
        let [left, right] = EYE_CORNERS.map(|i| landmarks_px[i].truncate());
        Self::around(min_px, max_px, left, right)
    }

    /// Where a point of the crop (0..1 on both sides) is in the frame, as the networks' reference implementation counts:
    /// see [`Self::frame_from_sampled`].
    pub(super) fn frame_from_crop(&self, point: Vec2) -> Vec2 {
        self.centre_px + Vec2::from_angle(self.angle_rads).rotate((point - 0.5) * self.side_px)
    }

    /// Where a point of a crop that [`Cropper::cut`] has cut into `size_px` samples is in the frame.
    ///
    /// Column 0 was read in the middle of the frame's pixel at the square's edge. So a sample's middle, half a sample
    /// inside of the crop, is where a frame's pixel has its middle, half a pixel from its corner.
    pub(super) fn frame_from_sampled(&self, point: Vec2, size_px: usize) -> Vec2 {
        let half = Vec2::splat(0.5 / size_px as f32);
        self.frame_from_crop(point - half) + 0.5
    }

    /// Where a point of the frame is in the crop, 0..1 on both sides.
    pub(super) fn crop_from_frame(&self, point_px: Vec2) -> Vec2 {
        Vec2::from_angle(-self.angle_rads).rotate(point_px - self.centre_px) / self.side_px + 0.5
    }

    /// Whether a network can see anything in it.
    pub(super) fn is_usable(&self) -> bool {
        self.side_px >= 2.0 && self.side_px.is_finite() && self.centre_px.is_finite() && self.angle_rads.is_finite()
    }
}

/// The box around all points: smallest and largest x and y.
pub(super) fn bounds(landmarks_px: &Landmarks) -> (Vec2, Vec2) {
    let start = (Vec2::INFINITY, Vec2::NEG_INFINITY);
    landmarks_px.iter().fold(start, |(min, max), p| (min.min(p.truncate()), max.max(p.truncate())))
}

/// Cuts squares out of pictures; holds the memory for one.
#[derive(Debug)]
pub(super) struct Cropper {
    size_px: usize,
    crop: Rgb,
    picture_from_crop: Mat,
}

impl Cropper {
    /// Makes one whose squares are `size_px` wide.
    pub(super) fn new(size_px: usize) -> Result<Self> {
        Ok(Self {
            size_px,
            crop: Rgb::new(size_px, size_px),
            picture_from_crop: Mat::from_slice_2d(&[[0.0_f64; 3]; 2])?,
        })
    }

    /// Cuts the square out and writes it as `scale * sample + offset`, (size, size, 3).
    ///
    /// What lies outside of the picture is black.
    pub(super) fn cut(&mut self, picture: &Rgb, crop: &Crop, scale: f32, offset: f32, out: &mut [f32]) -> Result<()> {
        // Column 0 of the crop is the square's edge, not half a pixel inside of it: so the networks' reference
        // implementation samples, and what they say depends on where their crop lies.
        let origin = crop.frame_from_crop(Vec2::ZERO);
        let step = Vec2::from_angle(crop.angle_rads) * (crop.side_px / self.size_px as f32);
        let rows = [[step.x, -step.y, origin.x], [step.y, step.x, origin.y]];
        resample(picture, rows, &mut self.picture_from_crop, BORDER_CONSTANT, &mut self.crop)?;
        for (out, &sample) in out.iter_mut().zip(self.crop.data()) {
            *out = f32::from(sample) * scale + offset;
        }
        Ok(())
    }
}

/// Fills `out` with samples of `picture` between its pixels, each from where `rows` says: x and y from column, row and 1,
/// both counted from the middle of the first pixel. `matrix` is memory for them, (2, 3) of 64 bits; beyond the picture lies
/// what `border` says, or black.
pub(crate) fn resample(picture: &Rgb, rows: [[f32; 3]; 2], matrix: &mut Mat, border: i32, out: &mut Rgb) -> Result<()> {
    for (i, row) in rows.iter().enumerate() {
        for (k, &value) in row.iter().enumerate() {
            *matrix.at_2d_mut::<f64>(i as i32, k as i32)? = f64::from(value);
        }
    }
    let size = Size::new(out.width_px() as i32, out.height_px() as i32);
    let how = INTER_LINEAR | WARP_INVERSE_MAP;
    warp_affine(&picture.as_mat()?, &mut out.as_mat_mut()?, matrix, size, how, border, Scalar::default())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_shows_what_it_says_and_black_outside() {
        let data = (0..8 * 8).flat_map(|i| [(i % 8 * 10) as u8, (i / 8 * 10) as u8, 200]).collect();
        let picture = Rgb::from_data(8, 8, data).unwrap();
        let mut cropper = Cropper::new(4).unwrap();
        let mut out = [0.0; 48];
        let crop = Crop { centre_px: Vec2::new(4.0, 4.0), side_px: 4.0, angle_rads: 0.0 };
        cropper.cut(&picture, &crop, 0.1, 1.0, &mut out).unwrap();
        assert_eq!(out[..3], [3.0, 3.0, 21.0]);
        assert_eq!(out[45..], [6.0, 6.0, 21.0]);

        // A quarter turn clockwise: the crop's x axis is the frame's y axis.
        let turned = Crop { angle_rads: std::f32::consts::FRAC_PI_2, ..crop };
        assert!(turned.frame_from_crop(Vec2::new(1.0, 0.5)).distance(Vec2::new(4.0, 6.0)) < 1e-5);

        let outside = Crop { centre_px: Vec2::new(100.0, 4.0), ..crop };
        cropper.cut(&picture, &outside, 1.0, 0.0, &mut out).unwrap();
        assert_eq!(out, [0.0; 48]);
    }

    #[test]
    fn a_point_that_is_not_a_number_makes_no_usable_crop() {
        let mut landmarks = [glam::Vec3::ONE; crate::geometry::N_LANDMARKS];
        assert!(!Crop::around_landmarks(&landmarks).is_usable(), "a face of no size");
        landmarks[33].x = f32::NAN;
        assert!(!Crop::around_landmarks(&landmarks).is_usable());
    }
}

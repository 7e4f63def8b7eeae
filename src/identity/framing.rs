//! Which square of a photo becomes the portrait.

use glam::Vec2;
use opencv::core::{Mat, Rect, Size};
use opencv::imgproc;

use super::{PhotoCrop, plate};
use crate::error::Result;
use crate::face::FoundFace;
use crate::frame::Rgb;

/// Side of the portrait in face heights: room for hair and shoulders.
const SIDE_PER_FACE: f32 = 2.2;
/// A photo cut closer than this many face heights is extended beyond its border.
const MIN_SIDE_PER_FACE: f32 = 1.25;

/// A square of the photo that becomes the portrait; it may reach over the photo's border.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crop {
    top_left: Vec2,
    pub(super) side_px: f32,
}

impl Crop {
    /// The square around a face with room for hair and shoulders, kept inside the photo where
    /// the photo is large enough.
    pub(super) fn around_face(face: &FoundFace, face_px: f32, photo: &Rgb) -> Self {
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
    pub(super) fn whole(photo: &Rgb) -> Self {
        let (width, height) = (photo.width_px() as f32, photo.height_px() as f32);
        let side_px = width.min(height);
        Self { top_left: ((Vec2::new(width, height) - side_px) / 2.0).floor(), side_px }
    }

    /// Where it is in the photo.
    pub(super) fn square(self) -> PhotoCrop {
        PhotoCrop { left_px: self.top_left.x, top_px: self.top_left.y, side_px: self.side_px }
    }

    pub(super) fn to_portrait(self, p_in_photo: Vec2, size: usize) -> Vec2 {
        (p_in_photo - self.top_left) * size as f32 / self.side_px
    }

    /// Cuts the square out of the photo and scales it to `size`. What lies beyond the photo's border is continued
    /// smoothly from it: a mirrored border would show parts of a face twice.
    pub(super) fn cut(self, photo: &Rgb, size: usize) -> Result<Rgb> {
        let (left, top, side) = (self.top_left.x as i32, self.top_left.y as i32, self.side_px as i32);
        let (width, height) = (photo.width_px() as i32, photo.height_px() as i32);
        let (x, y) = (left.max(0)..(left + side).min(width), top.max(0)..(top + side).min(height));
        let seen =
            Mat::roi(&photo.as_mat()?, Rect::new(x.start, y.start, x.end - x.start, y.end - y.start))?.clone_pointee();
        // Where that lies in the portrait.
        let in_portrait = |p: i32, from: i32| {
            ((p - from) as f32 * size as f32 / side as f32).round().clamp(0.0, size as f32) as usize
        };
        let columns = in_portrait(x.start, left)..in_portrait(x.end, left).max(in_portrait(x.start, left) + 1);
        let rows = in_portrait(y.start, top)..in_portrait(y.end, top).max(in_portrait(y.start, top) + 1);
        let method = if side as usize > size { imgproc::INTER_AREA } else { imgproc::INTER_CUBIC };
        let mut scaled = Rgb::new(columns.len(), rows.len());
        let scaled_size = Size::new(columns.len() as i32, rows.len() as i32);
        imgproc::resize(&seen, &mut scaled.as_mat_mut()?, scaled_size, 0.0, 0.0, method)?;
        if (columns.len(), rows.len()) == (size, size) {
            return Ok(scaled);
        }
        let mut portrait = Rgb::new(size, size);
        let mut is_beyond = vec![true; size * size];
        for (row, y) in rows.enumerate() {
            let from = y * size + columns.start;
            portrait.data_mut()[3 * from..][..3 * columns.len()].copy_from_slice(scaled.row(row));
            is_beyond[from..][..columns.len()].fill(false);
        }
        Ok(plate::fill(&portrait, &is_beyond))
    }
}

/// The middle of a face's box, in pixels of the photo.
pub(super) fn centre(face: &FoundFace) -> Vec2 {
    let [left, top, right, bottom] = face.box_px;
    Vec2::new(left + right, top + bottom) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dark photo with a bright spot in the middle, as an eye that must not be seen twice.
    fn photo() -> Rgb {
        let mut photo = Rgb::new(100, 80);
        photo.data_mut().fill(60);
        for y in 34..46 {
            photo.data_mut()[(y * 100 + 44) * 3..][..36].fill(250);
        }
        photo
    }

    fn n_bright(picture: &Rgb) -> usize {
        picture.data().chunks_exact(3).filter(|pixel| pixel[0] > 150).count()
    }

    #[test]
    fn what_lies_beyond_the_border_is_continued_and_never_mirrored() {
        let photo = photo();
        let crop = Crop { top_left: Vec2::new(-60.0, -70.0), side_px: 220.0 };
        let portrait = crop.cut(&photo, 220).unwrap();
        assert_eq!(n_bright(&portrait), n_bright(&photo));
        assert_eq!(portrait.pixel(60 + 50, 70 + 40), [250; 3], "the photo is not where it belongs");
        for (x, y) in [(0, 0), (219, 219), (110, 0), (0, 110), (58, 68)] {
            assert!(portrait.pixel(x, y)[0].abs_diff(60) < 12, "at {x}, {y}: {:?}", portrait.pixel(x, y));
        }
    }

    #[test]
    fn a_step_at_the_border_does_not_jump() {
        let mut photo = Rgb::new(64, 64);
        for (i, sample) in photo.data_mut().iter_mut().enumerate() {
            *sample = (3 * (i / 3 % 64)) as u8 + 20;
        }
        let crop = Crop { top_left: Vec2::new(-20.0, -20.0), side_px: 104.0 };
        let portrait = crop.cut(&photo, 104).unwrap();
        for y in [30, 52, 70] {
            for (inside, beyond) in [(20, 19), (83, 84)] {
                let step = portrait.pixel(inside, y)[0].abs_diff(portrait.pixel(beyond, y)[0]);
                assert!(step < 16, "a step of {step} at {beyond}, {y}");
            }
        }
    }

    #[test]
    fn a_square_inside_the_photo_is_the_photo() {
        let crop = Crop { top_left: Vec2::new(30.0, 20.0), side_px: 40.0 };
        let portrait = crop.cut(&photo(), 40).unwrap();
        for (x, y) in [(0, 0), (39, 39), (20, 20)] {
            assert_eq!(portrait.pixel(x, y), photo().pixel(x + 30, y + 20));
        }
    }
}

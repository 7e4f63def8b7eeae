//! The square that is cut out of a clip: one for all its pictures, so that the background stands still.

use glam::{Vec2, Vec3};
use opencv::core::{Mat, Rect, Size};
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, resize};

use crate::error::Result;
use crate::frame::Rgb;
use crate::geometry::{FaceObservation, Landmarks, head_pose};
use crate::train::dataset::SIZE_PX;

use super::measure::{face_box_px, face_px};

/// Side of the square in face sizes, as at enrolment.
const SIDE_PER_FACE: f32 = 2.2;
/// A square clip is taken whole when it is so many face sizes wide: it was framed by somebody.
const WHOLE_SIDE_PER_FACE: std::ops::RangeInclusive<f32> = 1.3..=3.2;
/// How far the box around the face may reach beyond the square, in sides of it.
const MAX_BEYOND: f32 = 0.08;

/// A square of the clip, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Square {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) side: f32,
}

impl Square {
    /// The square for a clip in which these faces are seen; there must be one.
    pub(super) fn around(faces: &[&FaceObservation], (width_px, height_px): (usize, usize)) -> Self {
        let boxes: Vec<[f32; 4]> = faces.iter().map(|face| face_box_px(face)).collect();
        let face = median(faces.iter().map(|face| face_px(face)).collect()).max(1.0);
        let middle = Vec2::new(
            median(boxes.iter().map(|b| 0.5 * (b[0] + b[2])).collect()),
            median(boxes.iter().map(|b| 0.5 * (b[1] + b[3])).collect()),
        );
        let (width, height) = (width_px as f32, height_px as f32);
        if width_px == height_px && WHOLE_SIDE_PER_FACE.contains(&(width / face)) {
            return Self { left: 0.0, top: 0.0, side: width };
        }
        let side = (SIDE_PER_FACE * face).round().min(width.min(height));
        // Hair needs less room than neck and shoulders.
        let start = middle + Vec2::new(0.0, 0.04 * side) - 0.5 * side;
        Self { left: start.x.round().clamp(0.0, width - side), top: start.y.round().clamp(0.0, height - side), side }
    }

    /// A face of the clip's file as it is in the square at its stored size; `None` where it leaves the square.
    pub(super) fn face(&self, face: &FaceObservation) -> Option<FaceObservation> {
        let scale = SIZE_PX as f32 / self.side;
        let to = |p: Vec3| (p - Vec3::new(self.left, self.top, 0.0)) * scale;
        let landmarks_px: Landmarks = face.landmarks_px.map(to);
        let seen = FaceObservation {
            // The pose belongs to a camera that took this square.
            pose: head_pose(&landmarks_px, (SIZE_PX, SIZE_PX))?,
            landmarks_px,
            frame_size_px: (SIZE_PX, SIZE_PX),
            ..face.clone()
        };
        let [left, top, right, bottom] = face_box_px(&seen);
        let limit = MAX_BEYOND * SIZE_PX as f32;
        let is_inside =
            left > -limit && top > -limit && right < SIZE_PX as f32 + limit && bottom < SIZE_PX as f32 + limit;
        is_inside.then_some(seen)
    }

    /// A rectangle of the clip's file as it is in the square at its stored size, cut at its border.
    pub(super) fn rect(&self, [left, top, width, height]: [u32; 4]) -> Option<[u32; 4]> {
        let scale = SIZE_PX as f32 / self.side;
        let to = |value: u32, start: f32| ((value as f32 - start) * scale).clamp(0.0, SIZE_PX as f32);
        let (x0, y0) = (to(left, self.left).floor() as u32, to(top, self.top).floor() as u32);
        let (x1, y1) = (to(left + width, self.left).ceil() as u32, to(top + height, self.top).ceil() as u32);
        (x1 > x0 && y1 > y0).then(|| [x0, y0, x1 - x0, y1 - y0])
    }

    /// Cuts the square out of a picture and scales it.
    pub(super) fn cut(&self, picture: &Rgb, out: &mut Rgb) -> Result<()> {
        out.reshape(SIZE_PX, SIZE_PX);
        let whole = picture.as_mat()?;
        let square =
            Mat::roi(&whole, Rect::new(self.left as i32, self.top as i32, self.side as i32, self.side as i32))?;
        let method = if self.side as usize > SIZE_PX { INTER_AREA } else { INTER_CUBIC };
        let size = Size::new(SIZE_PX as i32, SIZE_PX as i32);
        resize(&square, &mut out.as_mat_mut()?, size, 0.0, 0.0, method)?;
        Ok(())
    }
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face of 100 pixels with its middle at (x, y).
    fn face(x: f32, y: f32) -> FaceObservation {
        let mut face = FaceObservation::default();
        for (i, p) in face.landmarks_px.iter_mut().enumerate() {
            let angle = i as f32;
            *p = Vec3::new(x + 50.0 * angle.cos(), y + 50.0 * angle.sin(), 20.0 * (0.7 * angle).sin());
        }
        face
    }

    #[test]
    fn a_square_clip_is_taken_whole_and_another_is_cut_around_the_face() {
        let near = [face(150.0, 140.0)];
        let faces: Vec<&FaceObservation> = near.iter().collect();
        assert_eq!(Square::around(&faces, (280, 280)), Square { left: 0.0, top: 0.0, side: 280.0 });
        // Far away in a large square: cut, since its framing cannot have been meant.
        assert!((Square::around(&faces, (900, 900)).side - 220.0).abs() < 1.0);
        // One square for all, around the middle one, inside the picture.
        let moving = [face(300.0, 100.0), face(310.0, 100.0), face(375.0, 100.0)];
        let square = Square::around(&moving.iter().collect::<Vec<_>>(), (640, 360));
        assert!((square.left + 0.5 * square.side - 310.0).abs() < 2.0, "{square:?}");
        assert_eq!(square.top, 0.0, "the picture's edge is near");
        assert!(square.face(&moving[1]).is_some());
        assert!(square.face(&moving[2]).is_some_and(|seen| seen.landmarks_px[0].x > 200.0));
        assert!(square.face(&face(430.0, 100.0)).is_none(), "out of the square");
    }

    #[test]
    fn a_point_is_where_the_picture_shows_it() {
        let square = Square { left: 100.0, top: 20.0, side: 128.0 };
        let mut picture = Rgb::new(300, 200);
        // A pixel at (150, 70) covers 2 × 2 stored ones around (100.5, 100.5).
        picture.data_mut()[(70 * 300 + 150) * 3..][..3].fill(255);
        let mut cut = Rgb::default();
        square.cut(&picture, &mut cut).unwrap();
        let brightest = |xs: std::ops::Range<usize>| xs.map(|x| cut.pixel(x, 100)[0]).max();
        assert!(brightest(100..102) > brightest(0..99) && brightest(100..102) > brightest(103..256));
        assert_eq!(square.rect([100, 20, 64, 64]), Some([0, 0, 128, 128]));
        assert_eq!(square.rect([90, 100, 20, 200]), Some([0, 160, 20, 96]), "cut at the border");
        assert_eq!(square.rect([0, 0, 50, 10]), None);
    }
}

//! From the picture as it is stored to the picture as it is seen: fields, the pixels' shape, the camera's rotation.

use opencv::core::{self, Size};
use opencv::imgproc;

use crate::error::Result;
use crate::frame::Rgb;

/// How a stored picture is shown: mirrored left for right or not, then turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    pub(super) is_mirrored: bool,
    pub(super) clockwise_degrees: i32,
}

impl Orientation {
    /// Of a display matrix, by its first two rows: where the stored picture's x goes, (a, b), and where its y, (c, d).
    pub(super) fn of_matrix([a, b]: [f64; 2], [c, d]: [f64; 2]) -> Self {
        let is_mirrored = a * d - b * c < 0.0;
        let sign = if is_mirrored { -1.0 } else { 1.0 };
        Self { is_mirrored, clockwise_degrees: (sign * b).atan2(sign * a).to_degrees().round() as i32 }
    }
}

/// Makes pictures of one stream stand upright, in buffers that are used again.
#[derive(Default)]
pub(super) struct Upright {
    /// Whether the stored picture is first mirrored, left for right.
    is_mirrored: bool,
    /// How to turn it then, as OpenCV's code; `None` when it is upright.
    turn: Option<i32>,
    /// Width of a pixel over its height.
    pixel_aspect: f64,
    wide: Rgb,
}

impl Upright {
    /// For pictures that are shown in this orientation and whose pixels are `pixel_aspect` times as wide as high.
    pub(super) fn new(orientation: Orientation, pixel_aspect: f64) -> Self {
        let turn = match orientation.clockwise_degrees.rem_euclid(360) {
            45..135 => Some(core::ROTATE_90_CLOCKWISE),
            135..225 => Some(core::ROTATE_180),
            225..315 => Some(core::ROTATE_90_COUNTERCLOCKWISE),
            _ => None,
        };
        // Beyond that it is a mistake of the file's.
        let is_believable = (0.2..=5.0).contains(&pixel_aspect) && (pixel_aspect - 1.0).abs() > 0.005;
        let is_mirrored = orientation.is_mirrored;
        Self { is_mirrored, turn, pixel_aspect: if is_believable { pixel_aspect } else { 1.0 }, wide: Rgb::default() }
    }

    /// The size that a stored picture of (width, height) is shown at.
    pub(super) fn size_px(&self, (width_px, height_px): (usize, usize)) -> (usize, usize) {
        let wide = ((width_px as f64 * self.pixel_aspect).round() as usize).max(1);
        match self.turn {
            Some(core::ROTATE_90_CLOCKWISE | core::ROTATE_90_COUNTERCLOCKWISE) => (height_px, wide),
            _ => (wide, height_px),
        }
    }

    /// Turns `stored` into the picture as it is seen; `stored` may be changed.
    pub(super) fn show(&mut self, stored: &mut Rgb, shown: &mut Rgb) -> Result<()> {
        let stored_px = (stored.width_px(), stored.height_px());
        let (width_px, height_px) = self.size_px(stored_px);
        let is_square = self.pixel_aspect == 1.0;
        if self.is_mirrored {
            self.wide.reshape(stored_px.0, stored_px.1);
            core::flip(&stored.as_mat()?, &mut self.wide.as_mat_mut()?, 1)?;
            std::mem::swap(stored, &mut self.wide);
        }
        if is_square && self.turn.is_none() {
            std::mem::swap(stored, shown);
            return Ok(());
        }
        if !is_square {
            let wide_px = if self.turn.is_some_and(|turn| turn != core::ROTATE_180) { height_px } else { width_px };
            self.wide.reshape(wide_px, stored_px.1);
            let size = Size::new(wide_px as i32, stored_px.1 as i32);
            imgproc::resize(&stored.as_mat()?, &mut self.wide.as_mat_mut()?, size, 0.0, 0.0, imgproc::INTER_LINEAR)?;
            std::mem::swap(stored, &mut self.wide);
        }
        match self.turn {
            Some(code) => {
                shown.reshape(width_px, height_px);
                core::rotate(&stored.as_mat()?, &mut shown.as_mat_mut()?, code)?;
            }
            None => std::mem::swap(stored, shown),
        }
        Ok(())
    }
}

/// Keeps the field that was taken first and fills the rows between from their neighbours: half the detail, no combs.
pub(super) fn deinterlace(picture: &mut Rgb, is_top_first: bool) {
    let (n_bytes, n_rows) = (picture.width_px() * 3, picture.height_px());
    let rows = picture.data_mut();
    for y in (usize::from(is_top_first)..n_rows).step_by(2) {
        let above = if y > 0 { y - 1 } else { y + 1 };
        let below = if y + 1 < n_rows { y + 1 } else { above };
        for x in 0..n_bytes {
            let neighbours = |row: usize| rows.get(row * n_bytes + x).copied().map_or(0, u16::from);
            rows[y * n_bytes + x] = (neighbours(above) + neighbours(below)).div_ceil(2) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red at the top left, green at the top right, blue at the bottom left.
    fn corners() -> Rgb {
        let mut picture = Rgb::new(8, 4);
        for y in 0..4 {
            for x in 0..8 {
                let colour = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]][y / 2 * 2 + x / 4];
                picture.data_mut()[(y * 8 + x) * 3..][..3].copy_from_slice(&colour);
            }
        }
        picture
    }

    #[test]
    fn pictures_are_turned_and_stretched() {
        let table = [
            (0, 1.0, (8, 4), [255, 0, 0]),
            (90, 1.0, (4, 8), [0, 0, 255]),
            (180, 1.0, (8, 4), [9, 9, 9]),
            (-90, 1.0, (4, 8), [0, 255, 0]),
            (270, 2.0, (4, 16), [0, 255, 0]),
            (0, 1.5, (12, 4), [255, 0, 0]),
            (0, 90.0, (8, 4), [255, 0, 0]),
        ];
        for (clockwise_degrees, aspect, size, top_left) in table {
            let mut upright = Upright::new(Orientation { is_mirrored: false, clockwise_degrees }, aspect);
            let mut shown = Rgb::default();
            assert_eq!(upright.size_px((8, 4)), size);
            upright.show(&mut corners(), &mut shown).unwrap();
            assert_eq!(
                ((shown.width_px(), shown.height_px()), shown.pixel(0, 0)),
                (size, top_left),
                "{clockwise_degrees} {aspect}"
            );
        }
    }

    #[test]
    fn a_display_matrix_that_mirrors_is_followed() {
        // Where x and y go; what is then at the top left and at the top right.
        const RED: [u8; 3] = [255, 0, 0];
        const GREEN: [u8; 3] = [0, 255, 0];
        const BLUE: [u8; 3] = [0, 0, 255];
        const GREY: [u8; 3] = [9; 3];
        let table = [
            ([1.0, 0.0], [0.0, 1.0], RED, GREEN),
            ([-1.0, 0.0], [0.0, 1.0], GREEN, RED),
            ([1.0, 0.0], [0.0, -1.0], BLUE, GREY),
            ([0.0, 1.0], [1.0, 0.0], RED, BLUE),
            ([0.0, -1.0], [-1.0, 0.0], GREY, GREEN),
            ([0.0, 1.0], [-1.0, 0.0], BLUE, RED),
            ([-1.0, 0.0], [0.0, -1.0], GREY, BLUE),
        ];
        for (x, y, top_left, top_right) in table {
            for aspect in [1.0, 2.0] {
                let mut upright = Upright::new(Orientation::of_matrix(x, y), aspect);
                let mut shown = Rgb::default();
                upright.show(&mut corners(), &mut shown).unwrap();
                let right = shown.width_px() - 1;
                assert_eq!((shown.pixel(0, 0), shown.pixel(right, 0)), (top_left, top_right), "{x:?} {y:?}");
            }
        }
    }

    #[test]
    fn combs_are_filled_from_the_first_field() {
        for n_rows in [1, 2, 5, 6] {
            let mut picture = Rgb::new(2, n_rows);
            for (y, row) in picture.data_mut().chunks_exact_mut(6).enumerate() {
                row.fill(if y % 2 == 0 { 100 } else { 200 });
            }
            let mut other = picture.clone();
            deinterlace(&mut picture, true);
            assert!(picture.data().iter().all(|x| *x == 100), "{picture:?}");
            deinterlace(&mut other, false);
            assert!(n_rows == 1 || other.data().iter().all(|x| *x == 200), "{other:?}");
        }
    }
}

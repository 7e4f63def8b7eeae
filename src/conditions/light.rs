//! How much light there is on a face, from a few hundred of its pixels.

use glam::Vec2;

use crate::frame::Rgb;

/// Pixels looked at along each side.
const N_SIDE: usize = 20;
/// From this luma on a pixel is burnt out, 0..255.
const WHITE: usize = 250;
/// Of the face's box: what is beyond is hair and room.
const FACE_SHARE: f32 = 0.85;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Light {
    /// Luma that a tenth of the pixels exceeds, 0..255.
    pub(super) brightness: f32,
    /// Share of the pixels that are burnt out, 0..1.
    pub(super) burnt_share: f32,
}

impl Light {
    /// Looks at the ellipse in the box from `min` to `max`, in pixels of the picture.
    pub(super) fn of_face(picture: &Rgb, min: Vec2, max: Vec2) -> Self {
        Self::of(picture, 0.5 * (min + max), 0.5 * FACE_SHARE * (max - min))
    }

    /// Looks at the whole picture.
    pub(super) fn of_picture(picture: &Rgb) -> Self {
        let size = Vec2::new(picture.width_px() as f32, picture.height_px() as f32);
        // The corners of the box matter as little as any other place.
        Self::of(picture, 0.5 * size, 0.5 * size)
    }

    fn of(picture: &Rgb, centre: Vec2, radii: Vec2) -> Self {
        let mut histogram = [0_u32; 256];
        let mut n = 0;
        for row in 0..N_SIDE {
            for column in 0..N_SIDE {
                let at = (Vec2::new(column as f32, row as f32) + 0.5) / N_SIDE as f32 * 2.0 - 1.0;
                let px = centre + at * radii;
                let is_inside =
                    px.cmpge(Vec2::ZERO).all() && px.x < picture.width_px() as f32 && px.y < picture.height_px() as f32;
                if at.length_squared() > 1.0 || !is_inside {
                    continue;
                }
                let [red, green, blue] = picture.pixel(px.x as usize, px.y as usize).map(u32::from);
                histogram[((54 * red + 183 * green + 19 * blue) >> 8) as usize] += 1;
                n += 1;
            }
        }
        let mut brighter = 0;
        let brightness = (0..256).rev().find(|&luma| {
            brighter += histogram[luma];
            10 * brighter > n
        });
        let n_burnt: u32 = histogram[WHITE..].iter().sum();
        Self { brightness: brightness.unwrap_or_default() as f32, burnt_share: n_burnt as f32 / n.max(1) as f32 }
    }
}

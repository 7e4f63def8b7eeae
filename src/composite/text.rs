//! Shapes by their distance, and lines of text.

use glam::Vec2;
use opencv::core::{Point, Scalar, Size};
use opencv::imgproc::{FONT_HERSHEY_DUPLEX, INTER_AREA, LINE_AA, get_text_size, put_text, resize};

use crate::error::Result;
use crate::frame::Grey;

/// Distance of `p` from the outside of a line of `radius` from `a` to `b`; negative inside.
pub(super) fn capsule(p: Vec2, a: Vec2, b: Vec2, radius: f32) -> f32 {
    let (to, along) = (p - a, b - a);
    let t = (to.dot(along) / along.length_squared()).clamp(0.0, 1.0);
    (to - along * t).length() - radius
}

/// Distance of `p` from the outside of a box around the origin with rounded corners; negative inside.
pub(super) fn rounded_box(p: Vec2, half: Vec2, radius: f32) -> f32 {
    let beyond = p.abs() - half + radius;
    beyond.max(Vec2::ZERO).length() + beyond.max_element().min(0.0) - radius
}

/// How much of a pixel is inside a shape at this distance in pixels, 0..1.
pub(super) fn coverage(distance_px: f32) -> f32 {
    (0.5 - distance_px).clamp(0.0, 1.0)
}

/// Draws a line of text in the middle of a square picture, white on black: its coverage.
///
/// `baseline` is where the letters stand and `height` how high they are, both 0..1 of the picture.
/// Plain ASCII only.
pub(super) fn centred_line(text: &str, size_px: usize, baseline: f32, height: f32) -> Result<Grey> {
    // Drawn larger and shrunk: OpenCV's strokes are whole pixels. Those of large pictures are many.
    let over = if size_px > 1536 { 1 } else { 3 };
    let large = size_px * over;
    let font = FONT_HERSHEY_DUPLEX;
    // This font's letters are 22 pixels high at scale 1.
    let scale = f64::from(height) * large as f64 / 22.0;
    let thickness = ((scale * 1.1).round() as i32).max(1);
    let mut below = 0;
    let width = get_text_size(text, font, scale, thickness, &mut below)?.width;
    let mut canvas = Grey::new(large, large);
    let origin = Point::new((large as i32 - width) / 2, (baseline * large as f32) as i32);
    let white = Scalar::all(255.0);
    put_text(&mut canvas.as_mat_mut()?, text, origin, font, scale, white, thickness, LINE_AA, false)?;
    let mut small = Grey::new(size_px, size_px);
    resize(
        &canvas.as_mat()?,
        &mut small.as_mat_mut()?,
        Size::new(size_px as i32, size_px as i32),
        0.0,
        0.0,
        INTER_AREA,
    )?;
    Ok(small)
}

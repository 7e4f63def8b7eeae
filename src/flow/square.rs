//! The square around a head in which pictures are compared.

use std::ops::Range;

use glam::Vec2;

use crate::frame::Grey;
use crate::geometry::FaceShape;
use crate::signal::DenseMotion;

/// Pixels of the square to a cell of the grid, each way.
pub(super) const CELL_PX: usize = 3;
/// Side of the square around the head in which pictures are compared, in pixels.
pub(super) const PX: usize = CELL_PX * DenseMotion::N;

/// The square around a head.
#[derive(Clone, Copy)]
pub(super) struct Square {
    /// Its upper left corner in the frame.
    pub(super) origin_px: Vec2,
    /// Pixels of the square to a pixel of the frame.
    pub(super) scale: f32,
}

impl Square {
    pub(super) fn around(shape: &FaceShape) -> Self {
        let half_px = DenseMotion::REACH * shape.width_px;
        Self { origin_px: shape.centre_px - half_px, scale: PX as f32 / (2.0 * half_px) }
    }

    /// The columns or rows of the square whose pixels lie in a frame so wide or high.
    pub(super) fn within(&self, frame_px: usize, axis: impl Fn(Vec2) -> f32) -> Range<usize> {
        let edge =
            |at_px: f32| ((at_px - axis(self.origin_px)) * self.scale - 0.5).ceil().clamp(0.0, PX as f32) as usize;
        edge(0.0)..edge(frame_px as f32)
    }

    /// The face as the square shows it.
    pub(super) fn shape(&self, shape: &FaceShape) -> FaceShape {
        let centre_px = (shape.centre_px - self.origin_px) * self.scale;
        FaceShape { centre_px, width_px: shape.width_px * self.scale, ..shape.clone() }
    }
}

/// The level between pixels; `None` beyond the picture.
pub(super) fn sample(picture: &Grey, at: Vec2) -> Option<f32> {
    between(at, |i| f32::from(picture.data()[i]))
}

/// The value at a place between the middles of four pixels of the square; `None` beyond the outermost ones.
pub(super) fn between<T>(at: Vec2, value: impl Fn(usize) -> T) -> Option<T>
where
    T: Copy + std::ops::Add<Output = T> + std::ops::Mul<f32, Output = T>,
{
    let last = (PX - 1) as f32;
    let is_inside = at.x >= 0.0 && at.y >= 0.0 && at.x < last && at.y < last;
    is_inside.then(|| {
        let (first, t) = (at.y as usize * PX + at.x as usize, at - at.floor());
        let row = |i: usize| value(i) * (1.0 - t.x) + value(i + 1) * t.x;
        row(first) * (1.0 - t.y) + row(first + PX) * t.y
    })
}

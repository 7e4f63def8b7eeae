//! Which pixels lie between the lips.

use std::ops::Range;

use glam::Vec2;

use super::{N, outline};
use crate::geometry::Landmarks;

/// Lines that each pixel is cut into.
const LINES: usize = 4;

/// The opening between the lips' inner edges, soft at its border.
pub(super) struct Opening {
    size_px: usize,
    window: Window,
    /// How much of each pixel of the window is open, 0..1; a second one to blur into.
    cover: Vec<f32>,
    scratch: Vec<f32>,
}

/// A part of the picture, in pixels.
#[derive(Clone, Copy, Default)]
pub(super) struct Window {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Window {
    pub(super) fn rows(&self) -> Range<usize> {
        self.y..self.y + self.height
    }

    pub(super) fn columns(&self) -> Range<usize> {
        self.x..self.x + self.width
    }
}

impl Opening {
    /// Makes room for pictures of `size_px`.
    pub(super) fn new(size_px: usize) -> Self {
        let n = size_px * size_px;
        Self { size_px, window: Window::default(), cover: vec![0.0; n], scratch: vec![0.0; n] }
    }

    /// Draws the opening of a face with these points; `None` where it has no pixel of the picture.
    pub(super) fn draw(&mut self, target: &Landmarks) -> Option<Window> {
        let outline = outline(target);
        let (low, high) = outline.iter().fold((Vec2::MAX, Vec2::MIN), |(low, high), p| (low.min(*p), high.max(*p)));
        let margin = 2.0 + self.softness_px() as f32 * 2.0;
        let clip = |v: f32| v.clamp(0.0, self.size_px as f32) as usize;
        let (x, y) = (clip(low.x - margin), clip(low.y - margin));
        let (right, bottom) = (clip(high.x + margin), clip(high.y + margin));
        if right <= x || bottom <= y {
            return None;
        }
        self.window = Window { x, y, width: right - x, height: bottom - y };
        self.fill(&outline);
        self.soften();
        Some(self.window)
    }

    /// How much of a pixel of the window is open, 0..1.
    pub(super) fn cover(&self, x: usize, y: usize) -> f32 {
        // The border is blurred to both sides, of which less than the inner half is taken: lips stay lips.
        (2.5 * self.cover[(y - self.window.y) * self.window.width + x - self.window.x] - 1.5).clamp(0.0, 1.0)
    }

    fn softness_px(&self) -> usize {
        (self.size_px / 400).max(1)
    }

    /// How much of each pixel lies inside the outline, line by line, even-odd.
    fn fill(&mut self, outline: &[Vec2; 2 * N]) {
        let Window { x, y, width, height } = self.window;
        self.cover[..width * height].fill(0.0);
        let mut crossings = [0.0_f32; 2 * N];
        for line in 0..height * LINES {
            let at = y as f32 + (line as f32 + 0.5) / LINES as f32;
            let mut n = 0;
            for i in 0..outline.len() {
                let (a, b) = (outline[i], outline[(i + 1) % outline.len()]);
                if (a.y <= at) != (b.y <= at) {
                    crossings[n] = a.x + (b.x - a.x) * (at - a.y) / (b.y - a.y) - x as f32;
                    n += 1;
                }
            }
            crossings[..n].sort_unstable_by(f32::total_cmp);
            let row = &mut self.cover[line / LINES * width..][..width];
            for &[from, to] in crossings[..n].as_chunks::<2>().0 {
                let (from, to) = (from.clamp(0.0, width as f32), to.clamp(0.0, width as f32));
                let first = from as usize;
                for (column, cover) in row.iter_mut().enumerate().skip(first).take(to.ceil() as usize - first) {
                    let inside = to.min(column as f32 + 1.0) - from.max(column as f32);
                    *cover += inside.max(0.0) / LINES as f32;
                }
            }
        }
    }

    /// Means over a square around each pixel.
    fn soften(&mut self) {
        let Window { width, height, .. } = self.window;
        let radius = self.softness_px();
        for (from, to) in self.cover.chunks_exact(width).zip(self.scratch.chunks_exact_mut(width)).take(height) {
            for (x, to) in to.iter_mut().enumerate() {
                let part = &from[x.saturating_sub(radius)..(x + radius + 1).min(width)];
                *to = part.iter().sum::<f32>() / part.len() as f32;
            }
        }
        for y in 0..height {
            let rows = y.saturating_sub(radius)..(y + radius + 1).min(height);
            let share = 1.0 / rows.len() as f32;
            for x in 0..width {
                self.cover[y * width + x] = rows.clone().map(|y| self.scratch[y * width + x]).sum::<f32>() * share;
            }
        }
    }
}

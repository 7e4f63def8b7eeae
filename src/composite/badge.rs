//! The visible mark: a small rounded plate with the letters "AI".

use glam::Vec2;

use super::framing::Area;
use super::text::{capsule, coverage, rounded_box};
use crate::frame::Rgba;

/// Height of the plate as a part of the picture's, and never below so many pixels.
const HEIGHT: f32 = 0.062;
/// See [`HEIGHT`].
const LEAST_PX: f32 = 22.0;
/// The plate: dark, a little translucent.
const PLATE: [f32; 4] = [18.0, 20.0, 24.0, 0.78];
/// Its rim and the letters.
const INK: [f32; 3] = [255.0, 255.0, 255.0];

/// The badge of pictures of one size.
pub(super) struct Badge {
    /// Upper left corner in the picture, in pixels.
    x: usize,
    y: usize,
    width: usize,
    /// Colour and alpha, not multiplied in, row by row.
    pixels: Vec<[u8; 4]>,
}

impl Badge {
    /// Draws the badge for pictures of this (width, height).
    pub(super) fn new((picture_width, picture_height): (usize, usize)) -> Self {
        let size_px = picture_width.min(picture_height);
        let height = (size_px as f32 * HEIGHT).max(LEAST_PX).round().min(size_px as f32);
        let width = (height * 1.45).round().min(size_px as f32);
        let margin = (height * 0.45).round();
        let half = Vec2::new(width, height) / 2.0;
        let letters = |p: Vec2| {
            // One unit is the height of the letters; they stand on -0.5..0.5.
            let p = p / (height * 0.5);
            let stroke = 0.085;
            let a = Vec2::new(-0.27, 0.0);
            let left = capsule(p - a, Vec2::new(-0.36, 0.42), Vec2::new(0.0, -0.42), stroke);
            let right = capsule(p - a, Vec2::new(0.36, 0.42), Vec2::new(0.0, -0.42), stroke);
            let bar = capsule(p - a, Vec2::new(-0.22, 0.14), Vec2::new(0.22, 0.14), stroke);
            let i = capsule(p, Vec2::new(0.48, -0.42), Vec2::new(0.48, 0.42), stroke);
            left.min(right).min(bar).min(i) * height * 0.5
        };
        let mut pixels = Vec::new();
        for y in 0..height as usize {
            for x in 0..width as usize {
                let p = Vec2::new(x as f32, y as f32) + 0.5 - half;
                let border = rounded_box(p, half - 0.5, height * 0.28);
                let ink = coverage(letters(p));
                // A faint rim keeps the plate visible on dark pictures.
                let rim = 0.35 * coverage((border + 0.8).abs() - 0.7);
                let light = ink.max(rim);
                let alpha = coverage(border) * (PLATE[3] + (1.0 - PLATE[3]) * light);
                let colour: [u8; 3] = std::array::from_fn(|c| (PLATE[c] + (INK[c] - PLATE[c]) * light) as u8);
                pixels.push([colour[0], colour[1], colour[2], (alpha * 255.0).round() as u8]);
            }
        }
        let corner = |side: usize, length: f32| (side as f32 - length - margin).max(0.0) as usize;
        let (x, y) = (corner(picture_width, width), corner(picture_height, height));
        Self { x, y, width: (width as usize).max(1), pixels }
    }

    /// The badge with what is to the right of it and below, which is clear: rows, columns, and pixels with red in the
    /// lowest byte.
    pub(super) fn corner(&self, size_px: usize) -> (usize, usize, Vec<u32>) {
        let (rows, columns) = (size_px - self.y, size_px - self.x);
        let mut words = vec![0; rows * columns];
        for (row, pixels) in words.chunks_exact_mut(columns).zip(self.pixels.chunks_exact(self.width)) {
            row.iter_mut().zip(pixels).for_each(|(word, pixel)| *word = u32::from_le_bytes(*pixel));
        }
        (rows, columns, words)
    }

    /// Puts the badge into the lower right corner of a picture of the size it was made for, as far as that is in `area`.
    pub(super) fn stamp(&self, picture: &mut Rgba, area: Area) {
        let (from, to) = (self.x.max(area.x), (self.x + self.width).min(area.x + area.width));
        if from >= to {
            return;
        }
        let stride = picture.width_px();
        let all = picture.data_mut().as_chunks_mut::<4>().0;
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            if !area.contains_row(self.y + y) {
                continue;
            }
            let first = (self.y + y) * stride;
            for (pixel, &[r, g, b, alpha]) in all[first + from..first + to].iter_mut().zip(&row[from - self.x..]) {
                let (over, under) = (f32::from(alpha) / 255.0, f32::from(pixel[3]) / 255.0);
                let total = over + under * (1.0 - over);
                if total <= 0.0 {
                    continue;
                }
                let part = over / total;
                for (sample, ink) in pixel.iter_mut().zip([r, g, b]) {
                    *sample = (f32::from(*sample) + (f32::from(ink) - f32::from(*sample)) * part).round() as u8;
                }
                pixel[3] = (total * 255.0).round() as u8;
            }
        }
    }
}

//! The visible mark: a small rounded plate with a word that says AI.

use std::ops::Range;

use glam::Vec2;

use super::framing::Area;
use super::text::{coverage, rounded_box};
use crate::clock::Timestamp;
use crate::frame::Rgba;

use self::perch::Perch;
use self::words::Word;

pub use self::perch::BadgePlace;
pub(super) use self::perch::Bounds;
pub use self::words::BadgeLanguage;

mod perch;
mod words;

/// Height of the plate as a part of the picture's shorter side, and never below so many pixels.
const HEIGHT: f32 = 0.062;
/// See [`HEIGHT`].
const LEAST_PX: f32 = 22.0;
/// Where no corner is free of the mouth it shrinks to this.
const SMALL: f32 = 0.6;
/// Height of the letters for the plate's.
const LETTERS: f32 = 0.5;
/// What is left of the plate beside them, for its height.
const PADDING: f32 = 0.84;
/// The plate: dark, a little translucent.
const PLATE: [f32; 4] = [18.0, 20.0, 24.0, 0.78];
/// Its rim and the letters.
const INK: [f32; 3] = [255.0, 255.0, 255.0];

/// The badge of pictures of one size: drawn once in its two sizes, for each of the corners.
pub(super) struct Badge {
    /// Large and small.
    drawings: [Drawing; 2],
    /// Upper left corners of the drawings in the picture, in pixels: the corners in their order for the large one, then for
    /// the small one.
    corners: [(usize, usize); 8],
    perch: Perch<8>,
}

/// The badge in one size.
struct Drawing {
    width: usize,
    height: usize,
    /// Colour and alpha, not multiplied in, row by row.
    pixels: Vec<[u8; 4]>,
}

impl Badge {
    /// Draws the badge for pictures of this (width, height), whose uppermost `above_px` rows are taken.
    pub(super) fn new(picture: (usize, usize), place: BadgePlace, language: BadgeLanguage, above_px: usize) -> Self {
        let word = Word::of(language);
        let drawings = [1.0, SMALL].map(|scale| Drawing::new(picture, &word, scale));
        let corners: [_; 8] =
            std::array::from_fn(|i| drawings[i / 4].corner(picture, place.and_others()[i % 4], above_px));
        let places = std::array::from_fn(|i| {
            let (least, drawing) = (Vec2::new(corners[i].0 as f32, corners[i].1 as f32), &drawings[i / 4]);
            Bounds { least, most: least + Vec2::new(drawing.width as f32, drawing.height as f32) }
        });
        Self { corners, perch: Perch::new(places), drawings }
    }

    /// The badge with what is to the right of it and below, which is clear: rows, columns, and pixels with red in the
    /// lowest byte.
    pub(super) fn lower_right(&self, size_px: usize) -> (usize, usize, Vec<u32>) {
        let ((x, y), drawing) = (self.corners[0], &self.drawings[0]);
        let (rows, columns) = (size_px - y, size_px - x);
        let mut words = vec![0; rows * columns];
        for (row, pixels) in words.chunks_exact_mut(columns).zip(drawing.pixels.chunks_exact(drawing.width)) {
            row.iter_mut().zip(pixels).for_each(|(word, pixel)| *word = u32::from_le_bytes(*pixel));
        }
        (rows, columns, words)
    }

    /// Moves out of the way of mouths that are there in the picture at `now`, or back; says whether it moved.
    pub(super) fn keep_clear(&mut self, mouths: &[Bounds], now: Timestamp) -> bool {
        self.perch.keep_clear(mouths, now)
    }

    /// Which of its places it is in.
    pub(super) fn at(&self) -> usize {
        self.perch.at()
    }

    /// The pixels of one of its places in a picture of this width, row by row.
    fn rows(&self, at: usize, stride: usize) -> impl Iterator<Item = Range<usize>> {
        let ((left, top), drawing) = (self.corners[at], &self.drawings[at / 4]);
        (0..drawing.height).map(move |y| {
            let first = (top + y) * stride + left;
            first..first + drawing.width
        })
    }

    /// Notes what `picture` shows at each of its places.
    pub(super) fn keep_under(&self, picture: &Rgba, under: &mut Vec<[u8; 4]>) {
        under.clear();
        let all = picture.data().as_chunks::<4>().0;
        for row in (0..self.corners.len()).flat_map(|at| self.rows(at, picture.width_px())) {
            under.extend_from_slice(&all[row]);
        }
    }

    /// Puts back what was under it where it was, and puts it where it is.
    pub(super) fn move_from(&self, at: usize, under: &[[u8; 4]], picture: &mut Rgba) {
        let stride = picture.width_px();
        let n_pixels = |at: usize| self.drawings[at / 4].width * self.drawings[at / 4].height;
        let mut kept = &under[(0..at).map(n_pixels).sum()..];
        let all = picture.data_mut().as_chunks_mut::<4>().0;
        for row in self.rows(at, stride) {
            let (own, others) = kept.split_at(row.len());
            all[row].copy_from_slice(own);
            kept = others;
        }
        self.stamp(picture, Area::whole(picture));
    }

    /// Puts the badge into its corner of a picture of the size it was made for, as far as that is in `area`.
    pub(super) fn stamp(&self, picture: &mut Rgba, area: Area) {
        let ((left, top), drawing) = (self.corners[self.perch.at()], &self.drawings[self.perch.at() / 4]);
        let (from, to) = (left.max(area.x), (left + drawing.width).min(area.x + area.width));
        if from >= to {
            return;
        }
        let stride = picture.width_px();
        let all = picture.data_mut().as_chunks_mut::<4>().0;
        for (y, row) in drawing.pixels.chunks_exact(drawing.width).enumerate() {
            if !area.contains_row(top + y) {
                continue;
            }
            let first = (top + y) * stride;
            for (pixel, &[r, g, b, alpha]) in all[first + from..first + to].iter_mut().zip(&row[from - left..]) {
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

impl Drawing {
    fn new((picture_width, picture_height): (usize, usize), word: &Word, scale: f32) -> Self {
        let size_px = picture_width.min(picture_height);
        let height = ((size_px as f32 * HEIGHT).max(LEAST_PX) * scale).round().min(size_px as f32).max(1.0);
        let width = (height * (LETTERS * word.width() + PADDING)).round().min(picture_width as f32);
        let half = Vec2::new(width, height) / 2.0;
        let letter_px = height * LETTERS;
        let mut pixels = Vec::new();
        for y in 0..height as usize {
            for x in 0..width as usize {
                let p = Vec2::new(x as f32, y as f32) + 0.5 - half;
                let border = rounded_box(p, half - 0.5, height * 0.28);
                let ink = coverage(word.distance(p / letter_px) * letter_px);
                // A faint rim keeps the plate visible on dark pictures.
                let rim = 0.35 * coverage((border + 0.8).abs() - 0.7);
                let light = ink.max(rim);
                let alpha = coverage(border) * (PLATE[3] + (1.0 - PLATE[3]) * light);
                let colour: [u8; 3] = std::array::from_fn(|c| (PLATE[c] + (INK[c] - PLATE[c]) * light) as u8);
                pixels.push([colour[0], colour[1], colour[2], (alpha * 255.0).round() as u8]);
            }
        }
        Self { width: (width as usize).max(1), height: height as usize, pixels }
    }

    /// Its upper left corner in a picture of this (width, height).
    fn corner(&self, (width, height): (usize, usize), place: BadgePlace, above_px: usize) -> (usize, usize) {
        let margin = (self.height as f32 * 0.45).round() as usize;
        let (far_x, far_y) = (width.saturating_sub(self.width), height.saturating_sub(self.height));
        let x = if place.is_right() { far_x.saturating_sub(margin) } else { margin.min(far_x) };
        let y = if place.is_bottom() { far_y.saturating_sub(margin) } else { (margin + above_px).min(far_y) };
        (x, y)
    }
}

//! Adds the mark to a picture, stronger where the picture is busy.

use std::f64::consts::TAU;
use std::ops::Range;

use super::carriers::{Carrier, Key, N_SYNC, TILES, carriers};
use super::message::Message;

/// Standard deviation of the pattern on an even ground, in levels of 255: 0.85 would be 0.99 by SSIM, and can be seen on a wall.
const FLAT: f32 = 0.65;
/// What a block's variance adds to the pattern's, where SSIM falls by as much as on an even ground.
const BUSY: f32 = 0.04;
/// The strongest pattern, in levels.
const MOST: f32 = 4.5;
/// One level of the pattern, and of the strength, in the fixed point that they are kept in.
const UNIT: f32 = 28.0;
/// Their product is divided by this power of two, after the dither was added: nearly `UNIT * UNIT`.
const SHIFT: i16 = 10;
/// What makes up for `UNIT * UNIT` being less than `1 << SHIFT`.
const GAIN: f32 = (1 << SHIFT) as f32 / (UNIT * UNIT);
/// Blocks along each side over which busyness is measured.
const BLOCKS: usize = 64;

/// Adds the mark to pictures of one size. Allocates nothing but when it is made.
pub struct Embedder {
    width: usize,
    height: usize,
    tile: usize,
    /// The pattern, row by row, as far as it does not repeat.
    pattern: Vec<i8>,
    /// Less than one level for each pixel, so that parts of a level survive rounding; the same in every picture.
    dither: Vec<i16>,
    block: usize,
    blocks: (usize, usize),
    /// Busyness of each block, and the strength that follows.
    variance: Vec<f32>,
    strength: Vec<i16>,
    added: Vec<i16>,
    /// What a row of pixels gains and loses.
    more: Vec<[u8; 4]>,
    less: Vec<[u8; 4]>,
}

impl Embedder {
    /// Draws the pattern for pictures of this (width, height) in pixels.
    pub fn new((width, height): (usize, usize), message: Message, key: Key) -> Self {
        let shorter = width.min(height);
        // A whole number, so that the pattern repeats; half a pixel more or less is another size to the detector.
        let tile = ((shorter + TILES / 2) / TILES).max(1);
        let block = (shorter / BLOCKS).max(4);
        let blocks = (width.div_ceil(block), height.div_ceil(block));
        Self {
            width,
            height,
            tile,
            pattern: draw(&carriers(key), message, tile),
            dither: (0..width * height).map(|i| dither(i % width, i / width)).collect(),
            block,
            blocks,
            variance: vec![0.0; blocks.0 * blocks.1],
            strength: vec![0; blocks.0 * blocks.1],
            added: vec![0; width],
            more: vec![[0; 4]; width],
            less: vec![[0; 4]; width],
        }
    }

    /// Marks a picture of the size this was made for: red, green, blue, alpha; (height, width, 4). What is wholly
    /// transparent stays as it is.
    pub fn mark(&mut self, pixels: &mut [[u8; 4]]) {
        self.mark_part(pixels, 0..self.width, 0..self.height);
    }

    /// Marks these columns and rows of a picture, the rest of which is marked already. Its caller may have it compiled for wider
    /// vectors.
    #[inline(always)]
    pub fn mark_part(&mut self, pixels: &mut [[u8; 4]], columns: Range<usize>, rows: Range<usize>) {
        let width = self.width;
        let (columns, rows) = (columns.start..columns.end.min(width), rows.start..rows.end.min(self.height));
        if pixels.len() != width * self.height || columns.is_empty() || rows.is_empty() {
            return;
        }
        let within = |range: &Range<usize>| range.start / self.block..(range.end - 1) / self.block + 1;
        self.measure(pixels, within(&columns), within(&rows));
        // Whole tiles and blocks are simpler than parts of them, and cost little beside the part.
        let from = columns.start / self.block * self.block;
        let first = from / self.tile * self.tile;
        for y in rows {
            let strengths = &self.strength[y / self.block * self.blocks.0..][..self.blocks.0];
            let pattern = &self.pattern[y % self.tile * self.tile..][..self.tile];
            for added in self.added[first..columns.end].chunks_mut(self.tile) {
                added.iter_mut().zip(pattern).for_each(|(added, &pattern)| *added = i16::from(pattern));
            }
            let blocks = self.added[from..columns.end].chunks_mut(self.block);
            for (added, &strength) in blocks.zip(&strengths[from / self.block..]) {
                added.iter_mut().for_each(|added| *added *= strength);
            }
            let at = y * width + columns.start..y * width + columns.end;
            let added = &mut self.added[columns.clone()];
            added
                .iter_mut()
                .zip(&self.dither[at.clone()])
                .for_each(|(added, dither)| *added = (*added + dither) >> SHIFT);
            let row = &mut pixels[at];
            let (more, less) = (&mut self.more[..row.len()], &mut self.less[..row.len()]);
            for (((more, less), pixel), &added) in more.iter_mut().zip(&mut *less).zip(&*row).zip(&*added) {
                let is_seen = u32::from(u32::from_le_bytes(*pixel) >= 1 << 24).wrapping_neg();
                // The same for red, green and blue, nothing for alpha.
                let spread = |levels: i16| {
                    let levels = u32::from(levels.max(0) as u16) & is_seen;
                    (levels | levels << 8 | levels << 16).to_le_bytes()
                };
                (*more, *less) = (spread(added), spread(-added));
            }
            let samples = row.as_flattened_mut().iter_mut();
            for ((sample, more), less) in samples.zip(more.as_flattened()).zip(less.as_flattened()) {
                *sample = sample.saturating_add(*more).saturating_sub(*less);
            }
        }
    }

    /// How strong the pattern may be in these columns and rows of blocks.
    #[inline(always)]
    fn measure(&mut self, pixels: &[[u8; 4]], columns: Range<usize>, rows: Range<usize>) {
        let (block, blocks) = (self.block, self.blocks);
        let around = |range: &Range<usize>, n: usize| range.start.saturating_sub(1)..(range.end + 1).min(n);
        for y in around(&rows, blocks.1) {
            for x in around(&columns, blocks.0) {
                let (right, bottom) = (((x + 1) * block).min(self.width), ((y + 1) * block).min(self.height));
                self.variance[y * blocks.0 + x] = variance(pixels, self.width, x * block..right, y * block..bottom);
            }
        }
        for y in rows {
            for x in columns.clone() {
                // The quietest of the neighbours: what lies beside an edge is as plain to see as what is far from it.
                let mut least = f32::MAX;
                for row in around(&(y..y + 1), blocks.1) {
                    for variance in &self.variance[row * blocks.0..][around(&(x..x + 1), blocks.0)] {
                        least = least.min(*variance);
                    }
                }
                let strength = (FLAT * FLAT + BUSY * least).sqrt().min(MOST);
                self.strength[y * blocks.0 + x] = (strength * UNIT * GAIN).round() as i16;
            }
        }
    }
}

/// The variance of brightness in a part of a picture. Every second pixel in each direction tells enough.
#[inline(always)]
fn variance(pixels: &[[u8; 4]], width: usize, columns: Range<usize>, rows: Range<usize>) -> f32 {
    let (mut sum, mut squares, mut n) = (0_u32, 0_u32, 0_u32);
    for y in rows.step_by(2) {
        for pixel in pixels[y * width..][columns.clone()].iter().step_by(2) {
            let luma = u32::from(pixel[0]) + 2 * u32::from(pixel[1]) + u32::from(pixel[2]);
            sum += luma;
            squares += luma * luma;
            n += 1;
        }
    }
    let (mean, n) = (sum as f32 / n as f32, n as f32);
    // The brightness was summed in quarters.
    (squares as f32 / n - mean * mean).max(0.0) / 16.0
}

/// Draws a tile of the pattern, of `tile` pixels a side.
fn draw(carriers: &[Carrier], message: Message, tile: usize) -> Vec<i8> {
    let signs = message.encode();
    let mut sum = vec![0.0_f32; tile * tile];
    for (i, carrier) in carriers.iter().enumerate() {
        let (re, im) = (f64::from(carrier.phase.0), f64::from(carrier.phase.1));
        let mut phase = im.atan2(re);
        if let Some(bits) = i.checked_sub(N_SYNC).map(|i| &signs[2 * i..2 * i + 2]) {
            phase += f64::from(bits[1]).atan2(f64::from(bits[0]));
        }
        let (u, v) =
            (TAU * f64::from(carrier.periods.0) / tile as f64, TAU * f64::from(carrier.periods.1) / tile as f64);
        let (turn_sin, turn_cos) = u.sin_cos();
        for (y, row) in sum.chunks_exact_mut(tile).enumerate() {
            let (mut sin, mut cos) = (phase + v * (y as f64 + 0.5) + u * 0.5).sin_cos();
            for value in row {
                *value += cos as f32;
                (cos, sin) = (cos * turn_cos - sin * turn_sin, cos * turn_sin + sin * turn_cos);
            }
        }
    }
    // Each wave has a variance of a half.
    let unit = UNIT / (carriers.len() as f32 / 2.0).sqrt();
    sum.into_iter().map(|value| (value * unit).round().clamp(-127.0, 127.0) as i8).collect()
}

/// A threshold for each pixel, even over any few neighbours. Source: Jimenez, "Next generation post processing in Call of
/// Duty: Advanced Warfare", 2014: interleaved gradient noise.
fn dither(x: usize, y: usize) -> i16 {
    let at = 0.067_110_56 * x as f32 + 0.005_837_15 * y as f32;
    ((52.982_918 * at.fract()).fract() * f32::from(1_i16 << SHIFT)) as i16
}

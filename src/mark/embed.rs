//! Adds the mark to a picture, stronger where the picture is busy.

use std::f64::consts::TAU;

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

/// Adds the mark to square pictures of one size. Allocates nothing but when it is made.
pub struct Embedder {
    size: usize,
    tile: usize,
    /// The pattern, row by row, as far as it does not repeat.
    pattern: Vec<i8>,
    /// Less than one level for each pixel, so that parts of a level survive rounding; the same in every picture.
    dither: Vec<i16>,
    block: usize,
    blocks: usize,
    /// Busyness of each block, and the strength that follows.
    variance: Vec<f32>,
    strength: Vec<i16>,
    added: Vec<i16>,
}

impl Embedder {
    /// Draws the pattern for pictures of `size_px` a side.
    pub fn new(size_px: usize, message: Message, key: Key) -> Self {
        let side = size_px as f64 / TILES as f64;
        // A side that does not divide has a pattern that does not repeat in whole pixels.
        let tile = if size_px.is_multiple_of(TILES) { size_px / TILES } else { size_px };
        let pattern = draw(&carriers(key), message, side, tile);
        let block = (size_px / BLOCKS).max(4);
        let blocks = size_px.div_ceil(block);
        let dither = (0..size_px * size_px).map(|i| dither(i % size_px, i / size_px)).collect();
        Self {
            size: size_px,
            tile,
            pattern,
            dither,
            block,
            blocks,
            variance: vec![0.0; blocks * blocks],
            strength: vec![0; blocks * blocks],
            added: vec![0; size_px],
        }
    }

    /// Marks a picture of the size this was made for: red, green, blue, alpha; (height, width, 4). What is wholly
    /// transparent stays as it is.
    pub fn mark(&mut self, pixels: &mut [[u8; 4]]) {
        let size = self.size;
        if size == 0 || pixels.len() != size * size {
            return;
        }
        self.measure(pixels);
        for (y, row) in pixels.chunks_exact_mut(size).enumerate() {
            let strengths = &self.strength[y / self.block * self.blocks..][..self.blocks];
            let pattern = &self.pattern[y % self.tile * self.tile..][..self.tile];
            let dither = &self.dither[y * size..][..size];
            for (added, pattern) in self.added.chunks_mut(self.tile).zip(std::iter::repeat(pattern)) {
                added.iter_mut().zip(pattern).for_each(|(added, &pattern)| *added = i16::from(pattern));
            }
            for (added, &strength) in self.added.chunks_mut(self.block).zip(strengths) {
                added.iter_mut().for_each(|added| *added *= strength);
            }
            self.added.iter_mut().zip(dither).for_each(|(added, dither)| *added = (*added + dither) >> SHIFT);
            for (pixel, &added) in row.iter_mut().zip(&self.added) {
                let added = if pixel[3] == 0 { 0 } else { added };
                for sample in &mut pixel[..3] {
                    *sample = (i16::from(*sample) + added).clamp(0, 255) as u8;
                }
            }
        }
    }

    /// How strong the pattern may be in each block.
    fn measure(&mut self, pixels: &[[u8; 4]]) {
        let (size, block, blocks) = (self.size, self.block, self.blocks);
        // Every second pixel in each direction tells enough.
        for (i, variance) in self.variance.iter_mut().enumerate() {
            let (left, top) = (i % blocks * block, i / blocks * block);
            let (right, bottom) = ((left + block).min(size), (top + block).min(size));
            let (mut sum, mut squares, mut n) = (0_u32, 0_u32, 0_u32);
            for y in (top..bottom).step_by(2) {
                for pixel in pixels[y * size + left..y * size + right].iter().step_by(2) {
                    let luma = u32::from(pixel[0]) + 2 * u32::from(pixel[1]) + u32::from(pixel[2]);
                    sum += luma;
                    squares += luma * luma;
                    n += 1;
                }
            }
            let (mean, n) = (sum as f32 / n as f32, n as f32);
            // The brightness was summed in quarters.
            *variance = (squares as f32 / n - mean * mean).max(0.0) / 16.0;
        }
        for y in 0..blocks {
            for x in 0..blocks {
                // The quietest of the neighbours: what lies beside an edge is as plain to see as what is far from it.
                let mut least = f32::MAX;
                for row in y.saturating_sub(1)..(y + 2).min(blocks) {
                    for variance in &self.variance[row * blocks..][x.saturating_sub(1)..(x + 2).min(blocks)] {
                        least = least.min(*variance);
                    }
                }
                let strength = (FLAT * FLAT + BUSY * least).sqrt().min(MOST);
                self.strength[y * blocks + x] = (strength * UNIT * GAIN).round() as i16;
            }
        }
    }
}

/// Draws `tile` rows and columns of the pattern whose tiles have a side of `side` pixels.
fn draw(carriers: &[Carrier], message: Message, side: f64, tile: usize) -> Vec<i8> {
    let signs = message.encode();
    let mut sum = vec![0.0_f32; tile * tile];
    for (i, carrier) in carriers.iter().enumerate() {
        let (re, im) = (f64::from(carrier.phase.0), f64::from(carrier.phase.1));
        let mut phase = im.atan2(re);
        if let Some(bits) = i.checked_sub(N_SYNC).map(|i| &signs[2 * i..2 * i + 2]) {
            phase += f64::from(bits[1]).atan2(f64::from(bits[0]));
        }
        let (u, v) = (TAU * f64::from(carrier.periods.0) / side, TAU * f64::from(carrier.periods.1) / side);
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

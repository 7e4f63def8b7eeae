//! Softens the edges where one part of the face hides another: the map jumps there from pixel to pixel.

use super::raster::Canvas;
use crate::frame::Rgba;

/// A jump of the map that counts as an edge, in source pixels, for a source as large as the output.
const JUMP_PX: f32 = 4.5;

/// The edges of one frame.
pub(super) struct Edges {
    /// Index of each pixel at an edge, and its new colour. Never grows beyond what it was made with.
    pixels: Vec<(usize, [u8; 4])>,
}

impl Edges {
    /// Makes room for the edges of pictures of `size_px`.
    pub(super) fn new(size_px: usize) -> Self {
        // More edge than this is no picture of a face; what does not fit stays hard.
        Self { pixels: Vec::with_capacity(size_px * size_px / 4) }
    }

    /// Averages each pixel at an edge with its neighbours.
    pub(super) fn smooth(&mut self, canvas: &Canvas, source_per_output: f32, picture: &mut Rgba) {
        let size = canvas.size_px();
        let jump = JUMP_PX * source_per_output.max(0.25);
        let map = &canvas.source_from_output;
        let colours = picture.data().as_chunks::<4>().0;
        self.pixels.clear();
        for y in 1..size.saturating_sub(1) {
            let [above, row, below] = [y - 1, y, y + 1].map(|y| &map[y * size..][..size]);
            for x in 1..size - 1 {
                let at = row[x];
                let step = (row[x - 1] - at)
                    .abs()
                    .max((row[x + 1] - at).abs())
                    .max((above[x] - at).abs())
                    .max((below[x] - at).abs());
                if step.max_element() > jump && self.pixels.len() < self.pixels.capacity() {
                    let i = y * size + x;
                    self.pixels.push((i, mean(colours, i, size)));
                }
            }
        }
        let colours = picture.data_mut().as_chunks_mut::<4>().0;
        for &(i, colour) in &self.pixels {
            colours[i] = colour;
        }
    }
}

/// The mean of a pixel and its neighbours, the nearer ones counting more; colours count by their alpha.
fn mean(colours: &[[u8; 4]], i: usize, size: usize) -> [u8; 4] {
    let mut sum = [0_u32; 3];
    let mut alpha = 0;
    for (row, weights) in [i - size, i, i + size].into_iter().zip([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) {
        for (&[r, g, b, a], weight) in colours[row - 1..=row + 1].iter().zip(weights) {
            let weight = weight * u32::from(a);
            alpha += weight;
            for (sum, sample) in sum.iter_mut().zip([r, g, b]) {
                *sum += weight * u32::from(sample);
            }
        }
    }
    if alpha == 0 {
        return colours[i];
    }
    let [r, g, b] = sum.map(|sum| ((sum + alpha / 2) / alpha) as u8);
    [r, g, b, (alpha / 16) as u8]
}

//! The portrait as the warp reads it: RGBA with a margin, its colours freed from the background.

use glam::Vec2;
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_LINEAR, resize};

use crate::error::Result;
use crate::frame::{Grey, Picture, Rgb};
use effigy_base::pixel::mix;

/// A square source picture that can be read between and a little beyond its pixels.
///
/// Colour near the matte's edge is continued from the inside of the person, so that no background
/// clings to the hair. Beyond the border the picture is mirrored, and a person cut by it closed by a
/// dome; at the bottom the last row goes on.
#[derive(Default)]
pub(super) struct Source {
    size_px: usize,
    margin_px: usize,
    stride_px: usize,
    /// Red in the lowest byte, alpha in the highest.
    pixels: Vec<u32>,
}

impl Source {
    /// Prepares a portrait for reading at `size_px`.
    pub(super) fn new(portrait: &Rgb, matte: &Grey, size_px: usize) -> Result<Self> {
        let portrait = resized(portrait, size_px)?;
        let matte = resized(matte, size_px)?;
        let colours = extend_colours(&portrait, &matte);
        let margin_px = size_px / 8;
        let stride_px = size_px + 2 * margin_px;
        let mirror = |i: usize| match i.checked_sub(margin_px) {
            None => margin_px - 1 - i,
            Some(i) if i >= size_px => 2 * size_px - 1 - i,
            Some(i) => i,
        };
        let highest_px = margin_px as f32 * 0.9;
        let domes = |border: Vec<u8>| dome_heights_px(&border, highest_px);
        let above = domes(matte.row(0).to_vec());
        let left = domes((0..size_px).map(|y| matte.pixel(0, y)[0]).collect());
        let right = domes((0..size_px).map(|y| matte.pixel(size_px - 1, y)[0]).collect());
        let mut pixels = Vec::with_capacity(stride_px * stride_px);
        for row in 0..stride_px {
            for column in 0..stride_px {
                // Below the border, clothes go on as they are there: a mirrored collar would show.
                let (x, y) = (mirror(column), mirror(row.min(margin_px + size_px - 1)));
                let [r, g, b] = colours[y * size_px + x];
                let mut alpha = f32::from(matte.pixel(x, y)[0]);
                // How far the person goes on here, less how far beyond the border this is; two pixels of soft edge.
                let mut close = |dome_px: f32, beyond: Option<usize>| {
                    if let Some(beyond) = beyond.filter(|&beyond| beyond > 0) {
                        alpha *= ((dome_px - beyond as f32) * 0.5 + 1.0).clamp(0.0, 1.0);
                    }
                };
                close(above[x], margin_px.checked_sub(row));
                close(left[y], margin_px.checked_sub(column));
                close(right[y], (column + 1).checked_sub(margin_px + size_px));
                pixels.push(u32::from_le_bytes([r, g, b, alpha as u8]));
            }
        }
        Ok(Self { size_px, margin_px, stride_px, pixels })
    }

    /// Pixels of this source per pixel of an output of `output_size_px`.
    pub(super) fn per_output(&self, output_size_px: usize) -> f32 {
        self.size_px as f32 / output_size_px as f32
    }

    /// Width of the margin: what to add to a place in the portrait to get one in this source.
    pub(super) fn margin_px(&self) -> f32 {
        self.margin_px as f32
    }

    /// All pixels, margin included, row by row: red in the lowest byte, alpha in the highest.
    pub(super) fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Whether anything of the person can be read inside the box around these places.
    pub(super) fn shows_person(&self, places: &[Vec2]) -> bool {
        /// A matte's noise is no person.
        const NOISE: u32 = 2;
        let last = self.stride_px - 1;
        let clip = |v: f32| (v.max(0.0) as usize).min(last);
        let low = places.iter().fold(Vec2::MAX, |low, &p| low.min(p)) - 1.5;
        let high = places.iter().fold(Vec2::MIN, |high, &p| high.max(p)) + 1.5;
        (clip(low.y)..=clip(high.y)).any(|y| {
            let row = &self.pixels[y * self.stride_px..][clip(low.x)..=clip(high.x)];
            row.iter().any(|pixel| pixel >> 24 > NOISE)
        })
    }

    /// The colour at a place of this source in pixels (margin included), RGBA, bilinear.
    #[inline]
    pub(super) fn sample(&self, at: Vec2) -> [u8; 4] {
        let limit = (self.stride_px - 1) as f32 - 0.01;
        let fixed = |v: f32| ((v - 0.5).clamp(0.0, limit) * 256.0 + 0.5) as u32;
        let (x, y) = (fixed(at.x), fixed(at.y));
        let index = (y >> 8) as usize * self.stride_px + (x >> 8) as usize;
        let (fx, fy) = (x & 255, y & 255);
        let [a, b] = [self.pixels[index], self.pixels[index + 1]];
        let [c, d] = [self.pixels[index + self.stride_px], self.pixels[index + self.stride_px + 1]];
        mix(mix(a, b, fx), mix(c, d, fx), fy).to_le_bytes()
    }
}

fn resized<const C: usize>(picture: &Picture<C>, size_px: usize) -> Result<Picture<C>> {
    if picture.width_px() == size_px {
        return Ok(picture.clone());
    }
    let mut small = Picture::new(size_px, size_px);
    let method = if picture.width_px() > size_px { INTER_AREA } else { INTER_LINEAR };
    let size = Size::new(size_px as i32, size_px as i32);
    resize(&picture.as_mat()?, &mut small.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(small)
}

/// How far beyond each pixel of a border the person goes on, in pixels: flat domes, as heads have.
fn dome_heights_px(border: &[u8], highest_px: f32) -> Vec<f32> {
    let mut heights = vec![-1.0; border.len()];
    let mut x = 0;
    while x < border.len() {
        let run = border[x..].iter().take_while(|&&a| a >= 128).count();
        let radius = run as f32 / 2.0;
        for i in 0..run {
            let t = (i as f32 + 0.5 - radius) / radius;
            heights[x + i] = (0.12 * radius).min(highest_px) * (1.0 - t * t).max(0.0).sqrt();
        }
        x += run.max(1);
    }
    heights
}

/// The portrait's colours where the matte is sure, continued smoothly where it is not.
fn extend_colours(portrait: &Rgb, matte: &Grey) -> Vec<[u8; 3]> {
    let size = portrait.width_px();
    let sure: Vec<f32> = matte.data().iter().map(|&a| ((f32::from(a) - 215.0) / 35.0).clamp(0.0, 1.0)).collect();
    let weighted = portrait
        .data()
        .chunks_exact(3)
        .zip(&sure)
        // Colour, times certainty, and the certainty; so little of the rest that it counts nowhere but far away.
        .map(|(rgb, &w)| {
            let w = w.max(1e-9);
            [f32::from(rgb[0]) * w, f32::from(rgb[1]) * w, f32::from(rgb[2]) * w, w]
        })
        .collect();
    let filled = fill(weighted, size);
    let pixels = portrait.data().chunks_exact(3).zip(&sure).zip(filled);
    pixels
        .map(|((rgb, &w), fill)| {
            std::array::from_fn(|c| (f32::from(rgb[c]) * w + fill[c] * (1.0 - w)).round().clamp(0.0, 255.0) as u8)
        })
        .collect()
}

/// Fills what has little weight from coarser and coarser versions of the picture (push-pull).
fn fill(weighted: Vec<[f32; 4]>, size: usize) -> Vec<[f32; 3]> {
    let colour = |p: &[f32; 4]| [p[0] / p[3], p[1] / p[3], p[2] / p[3]];
    if size == 1 {
        return weighted.iter().map(colour).collect();
    }
    let half = size.div_ceil(2);
    let mut coarse = vec![[0.0; 4]; half * half];
    for (i, p) in weighted.iter().enumerate() {
        let to = &mut coarse[(i / size / 2) * half + (i % size) / 2];
        for c in 0..4 {
            to[c] += p[c];
        }
    }
    let coarse = fill(coarse, half);
    let near = |i: usize| {
        let x = (i as f32 + 0.5) / 2.0 - 0.5;
        let low = x.floor().max(0.0);
        (low as usize, (low as usize + 1).min(half - 1), (x - low).clamp(0.0, 1.0))
    };
    let mut filled = Vec::with_capacity(size * size);
    for (i, p) in weighted.iter().enumerate() {
        let (x0, x1, fx) = near(i % size);
        let (y0, y1, fy) = near(i / size);
        let own = colour(p);
        let keep = p[3].min(1.0);
        filled.push(std::array::from_fn(|c| {
            let at = |x: usize, y: usize| coarse[y * half + x][c];
            let upper = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * fx;
            let lower = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * fx;
            let smooth = upper + (lower - upper) * fy;
            smooth + (own[c] - smooth) * keep
        }));
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_at_pixel_centres_gives_the_pixels() {
        let data: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let portrait = Rgb::from_data(32, 32, data).unwrap();
        let matte = Grey::from_data(32, 32, vec![255; 32 * 32]).unwrap();
        let source = Source::new(&portrait, &matte, 32).unwrap();
        for (x, y) in [(0, 0), (31, 5), (12, 31)] {
            let at = Vec2::new(x as f32, y as f32) + 0.5 + source.margin_px();
            let [r, g, b, a] = source.sample(at);
            assert_eq!(([r, g, b], a), (portrait.pixel(x, y), 255));
        }
        for at in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, 1e9] {
            source.sample(Vec2::splat(at));
        }
    }

    #[test]
    fn background_does_not_reach_the_colour_of_the_edge() {
        let mut portrait = Rgb::new(64, 64);
        let mut matte = Grey::new(64, 64);
        for i in 0..64 * 64 {
            let inside = i % 64 < 32;
            portrait.data_mut()[i * 3..i * 3 + 3].copy_from_slice(if inside { &[200, 40, 40] } else { &[0, 0, 255] });
            matte.data_mut()[i] = if inside {
                255
            } else if i % 64 < 36 {
                120
            } else {
                0
            };
        }
        let colours = extend_colours(&portrait, &matte);
        let [r, _, b] = colours[20 * 64 + 34];
        assert!(r > 190 && b < 50, "the edge has red {r} and blue {b}");
    }
}

//! A picture with everything evened out that hides the mark: large shapes taken away, busy places turned down.

use super::resize::Resizer;
use super::sums::Windows;

/// The shorter side of what is looked at. A mark that fills the picture has its shortest waves at 5 pixels here.
pub(super) const SIDE_PX: usize = 256;
/// The longer side is at most so many times the shorter; the middle is taken of what is longer.
const MAX_ASPECT: usize = 4;
/// Half the width of the mean that is taken away. Twice as much finds less (z of 7.2 instead of 8.5 in a busy clip): shapes
/// that are left hide more than the longest waves bring.
const MEAN_REACH: usize = 8;
/// Half the width over which busyness is measured.
const SPREAD_REACH: usize = 4;
/// Added to the variance: noise of the camera and of 8 bits.
const FLOOR: f32 = 1.0;
/// What stands out further is cut off, in standard deviations.
const LIMIT: f32 = 2.0;

/// A picture made even, or the mean of several.
#[derive(Clone, Debug, Default)]
pub struct NormalMap {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl NormalMap {
    /// Adds another picture's map; one of another size begins anew.
    pub fn add(&mut self, other: &Self) {
        if (self.width, self.height) == (other.width, other.height) {
            for (sum, value) in self.values.iter_mut().zip(&other.values) {
                *sum += value;
            }
        } else {
            self.width = other.width;
            self.height = other.height;
            self.values.clone_from(&other.values);
        }
    }

    /// Forgets what was added.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Makes maps; keeps its memory from one picture to the next.
#[derive(Default)]
pub(super) struct Normaliser {
    resizer: Option<Resizer>,
    /// The middle of a picture that is too long.
    cut: Vec<u8>,
    plane: Vec<f32>,
    mean: Vec<f32>,
    squares: Vec<f32>,
    spread: Vec<f32>,
    blur: Blur,
}

impl Normaliser {
    /// Writes the map of a picture's brightness, row by row, into `map`; false when it has no area or not that many samples.
    pub(super) fn normalise(&mut self, luma: &[u8], size_px: (usize, usize), map: &mut NormalMap) -> bool {
        let (width, height) = size_px;
        if width == 0 || height == 0 || width.checked_mul(height) != Some(luma.len()) {
            return false;
        }
        let kept = (width.min(height * MAX_ASPECT), height.min(width * MAX_ASPECT));
        let luma = if kept == size_px {
            luma
        } else {
            let (left, top) = ((width - kept.0) / 2, (height - kept.1) / 2);
            self.cut.clear();
            for row in luma.chunks_exact(width).skip(top).take(kept.1) {
                self.cut.extend_from_slice(&row[left..left + kept.0]);
            }
            &self.cut
        };
        let shorter = kept.0.min(kept.1);
        let bring = |side: usize| ((side * SIDE_PX * 2 + shorter) / (2 * shorter)).max(1);
        let to = (bring(kept.0), bring(kept.1));
        if !self.resizer.as_ref().is_some_and(|resizer| resizer.from == kept && resizer.to == to) {
            self.resizer = None;
        }
        self.resizer.get_or_insert_with(|| Resizer::new(kept, to)).resize(luma, &mut self.plane);
        let (width, height) = to;
        self.blur.blur(&self.plane, (width, height), MEAN_REACH, &mut self.mean);
        self.squares.clear();
        for (value, mean) in self.plane.iter_mut().zip(&self.mean) {
            *value -= mean;
            self.squares.push(*value * *value);
        }
        self.blur.blur(&self.squares, (width, height), SPREAD_REACH, &mut self.spread);
        map.width = width;
        map.height = height;
        map.values.clear();
        let even = |(value, spread): (&f32, &f32)| (value / (spread.max(0.0) + FLOOR).sqrt()).clamp(-LIMIT, LIMIT);
        map.values.extend(self.plane.iter().zip(&self.spread).map(even));
        true
    }
}

/// Means over squares; keeps its memory.
#[derive(Default)]
struct Blur {
    windows: Windows,
    line: Vec<f32>,
    sums: Vec<f32>,
    rows: Vec<f32>,
    column: Vec<f32>,
    /// One over the number of columns that are inside, for each column.
    shares: Vec<f32>,
}

impl Blur {
    /// The mean over a square of `2 reach + 1` around each sample, by as much of it as lies inside.
    fn blur(&mut self, plane: &[f32], (width, height): (usize, usize), reach: usize, out: &mut Vec<f32>) {
        let n_inside = |at: usize, side: usize| (at + reach).min(side - 1) - at.saturating_sub(reach) + 1;
        self.shares.clear();
        self.shares.extend((0..width).map(|x| (n_inside(x, width) as f32).recip()));
        self.rows.clear();
        for row in plane.chunks_exact(width) {
            self.line.clear();
            self.line.resize(reach, 0.0);
            self.line.extend_from_slice(row);
            self.line.resize(width + 2 * reach, 0.0);
            self.windows.sums(&self.line, 2 * reach + 1, 1, &mut self.sums);
            self.rows.extend(self.sums.iter().zip(&self.shares).map(|(sum, share)| sum * share));
        }
        let rows = &self.rows;
        let row = |y: usize| &rows[y * width..][..width];
        out.clear();
        out.resize(width * height, 0.0);
        let column = &mut self.column;
        column.clear();
        column.resize(width, 0.0);
        for y in 0..reach.min(height) {
            column.iter_mut().zip(row(y)).for_each(|(sum, value)| *sum += value);
        }
        for (y, to) in out.chunks_exact_mut(width).enumerate() {
            if y + reach < height {
                column.iter_mut().zip(row(y + reach)).for_each(|(sum, value)| *sum += value);
            }
            if y > reach {
                column.iter_mut().zip(row(y - reach - 1)).for_each(|(sum, value)| *sum -= value);
            }
            let share = (n_inside(y, height) as f32).recip();
            to.iter_mut().zip(&*column).for_each(|(to, sum)| *to = sum * share);
        }
    }
}

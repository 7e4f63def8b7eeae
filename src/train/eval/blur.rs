//! Means in a Gaussian window, over windows that lie inside a picture.

use crate::frame::Rgb;

/// The weights of a window of 2 × `reach` + 1 places; they sum to 1.
pub(super) fn gaussian(reach: usize, deviation: f64) -> Vec<f64> {
    let weigh = |i: usize| (-(i as f64 - reach as f64).powi(2) / (2.0 * deviation * deviation)).exp();
    let weights: Vec<f64> = (0..=2 * reach).map(weigh).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// A plane of numbers, row by row.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) data: Vec<f64>,
}

impl Plane {
    /// Brightness (Rec. 601) of a picture, 0 to 255.
    pub(super) fn luma(picture: &Rgb) -> Self {
        let weigh = |[r, g, b]: &[u8; 3]| 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b);
        let data = picture.data().as_chunks::<3>().0.iter().map(weigh).collect();
        Self { width: picture.width_px(), height: picture.height_px(), data }
    }

    /// Products, place by place, of two planes of one size.
    pub(super) fn times(&self, other: &Self) -> Self {
        let data = self.data.iter().zip(&other.data).map(|(a, b)| a * b).collect();
        Self { data, ..*self }
    }

    /// Means over windows that lie inside: (height − 2 × reach) rows of (width − 2 × reach); empty where none does.
    pub(super) fn blurred(&self, weights: &[f64]) -> Self {
        let cut = weights.len() - 1;
        let (width, height) = (self.width.saturating_sub(cut), self.height.saturating_sub(cut));
        let mut across = vec![0.0; width * self.height];
        let mut data = vec![0.0; width * height];
        if data.is_empty() {
            return Self { width, height, data };
        }
        for (row, out) in self.data.chunks_exact(self.width).zip(across.chunks_exact_mut(width)) {
            for (k, weight) in weights.iter().enumerate() {
                out.iter_mut().zip(&row[k..]).for_each(|(out, value)| *out += weight * value);
            }
        }
        for (y, out) in data.chunks_exact_mut(width).enumerate() {
            for (k, weight) in weights.iter().enumerate() {
                out.iter_mut().zip(&across[(y + k) * width..]).for_each(|(out, value)| *out += weight * value);
            }
        }
        Self { width, height, data }
    }

    /// Every second place of every second row.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let rows = self.data.chunks_exact(self.width.max(1)).step_by(2);
        Self { width, height, data: rows.flat_map(|row| row.iter().step_by(2).copied()).collect() }
    }
}

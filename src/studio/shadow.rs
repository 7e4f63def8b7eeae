//! The key light's soft shadow: a depth map blurred together with its square.
//!
//! Mean and variance of depth bound the share of a blurred area that lies behind a point (Donnelly and Lauritzen, 2006), which is smooth at any blur.

use rayon::prelude::*;

use super::{
    math::{V3, lerp, smoothstep},
    openness::{VIEW_OFFSET_CM, View},
    raster::Visibility,
};

/// Blurred depths as seen from the light.
pub(super) struct ShadowMap {
    view: View,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// Height given to directions in which nothing stands, cm.
const FLOOR_CM: f32 = -30.0;
/// Least variance: hides the steps of the map on slanted skin, cm².
const LEAST_VARIANCE: f32 = 0.03;

impl ShadowMap {
    pub(super) fn new(view: View, map: &Visibility, blur_cm: f32) -> Self {
        let side = view.side;
        let mut mean: Vec<f32> = map.inv_depth.iter().map(|h| (h - VIEW_OFFSET_CM).max(FLOOR_CM)).collect();
        let mut square: Vec<f32> = mean.iter().map(|h| h * h).collect();
        let radius = ((0.38 * blur_cm * view.scale) as usize).max(1);
        rayon::join(|| blur(&mut mean, side, radius), || blur(&mut square, side, radius));
        Self { view, mean, square }
    }

    /// Share of the key light that reaches `p`, 0..1.
    #[inline]
    pub(super) fn light_at(&self, p: V3) -> f32 {
        let q = self.view.project(p);
        let n = self.view.side;
        let (x, y) = (q.x - 0.5, q.y - 0.5);
        let inside = 0.0..n as f32 - 1.0;
        if !inside.contains(&x) || !inside.contains(&y) {
            return 1.0;
        }
        let (ix, iy) = (x as usize, y as usize);
        let (fx, fy) = (x - ix as f32, y - iy as f32);
        let mix = |v: &[f32]| {
            let at = |dx: usize, dy: usize| v[(iy + dy) * n + ix + dx];
            lerp(lerp(at(0, 0), at(1, 0), fx), lerp(at(0, 1), at(1, 1), fx), fy)
        };
        let mean = mix(&self.mean);
        let above = mean - (q.inv_depth - VIEW_OFFSET_CM);
        if above <= 0.0 {
            return 1.0;
        }
        let variance = (mix(&self.square) - mean * mean).max(LEAST_VARIANCE);
        smoothstep(0.20, 1.0, variance / (variance + above * above))
    }
}

/// Two box blurs along each axis: nearly a Gaussian.
fn blur(values: &mut Vec<f32>, side: usize, radius: usize) {
    let mut other = vec![0.0; values.len()];
    for _ in 0..2 {
        box_rows(values, &mut other, side, radius);
        box_rows(&other, values, side, radius);
        other.par_chunks_mut(side).with_min_len(32).enumerate().for_each(|(x, column)| {
            column.iter_mut().enumerate().for_each(|(y, out)| *out = values[y * side + x]);
        });
        std::mem::swap(values, &mut other);
    }
}

/// Running mean along rows; beyond an end the end's value counts.
fn box_rows(from: &[f32], to: &mut [f32], side: usize, radius: usize) {
    let inv = 1.0 / (2 * radius + 1) as f32;
    to.par_chunks_mut(side).zip(from.par_chunks(side)).with_min_len(32).for_each(|(to, from)| {
        let at = |x: isize| from[x.clamp(0, side as isize - 1) as usize];
        let r = radius as isize;
        let mut sum: f32 = (-r..=r).map(at).sum();
        for (x, out) in to.iter_mut().enumerate() {
            *out = sum * inv;
            sum += at(x as isize + r + 1) - at(x as isize - r);
        }
    });
}

//! warp: y[c, i, j] = weight(i, j) * bilinear(x[c], u(i, j), v(i, j)), border repeated
//!
//! flow 0 stay: (u, v) = (x, y) the pixel's own place, weight 1 · 1 body: (u, v) = pose[0..2] (2×3) applied to (x, y), weight
//! 1 · 2 head: the same by pose[2..4] · 3 mesh: (u, v, weight) = map[0..3, i, j] · 4 mixed: mix interpolated at (x, y),
//! (u, v) = m0 (x, y) + m1 body + m2 head + m3 map + (m4, m5), weight m6. All places in picture units.
//! x (c, h_in, w_in) f16 · pose (4, 3), map (3, h, w), mix (7, h_mix, w_mix) f32 · y (c, h, w) f16.
//! Mapping: one thread an output pixel, all channels: the flow and the taps are computed once; neighbours in w read
//! neighbours in x. The flow itself is never stored.
//! Places and sums in f32. Tolerance 2e-3 + 2e-3 |y| in f16, 2e-4 + 1e-4 |y| in f32 (times the slope of x).
//! Memory-bound: 4 reads and 1 write for each element of y.

use super::sample::{bilinear, with_mix, with_pose};

/// Scalars of [`warp`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpShape {
    /// Channels.
    pub c: u32,
    /// Rows of `x`.
    pub h_in: u32,
    /// Columns of `x`.
    pub w_in: u32,
    /// Rows of `y` and `map`.
    pub h: u32,
    /// Columns of `y` and `map`.
    pub w: u32,
    /// Rows of `mix`.
    pub h_mix: u32,
    /// Columns of `mix`.
    pub w_mix: u32,
    /// 0 stay, 1 body, 2 head, 3 mesh, 4 mixed.
    pub flow: u32,
}

/// The warp; what its flow does not need is empty.
pub fn warp(s: &WarpShape, x: &[f32], pose: &[f32], map: &[f32], mix: &[f32], y: &mut [f32]) {
    let [c, h_in, w_in, h, w] = [s.c, s.h_in, s.w_in, s.h, s.w].map(|n| n as usize);
    let mix_extent = (s.h_mix as usize, s.w_mix as usize);
    for i in 0..h {
        for j in 0..w {
            let at = i * w + j;
            let here = ((j as f32 + 0.5) / w as f32, (i as f32 + 0.5) / h as f32);
            let (u, v, weight) = match s.flow {
                0 => (here.0, here.1, 1.0),
                1 | 2 => {
                    let (u, v) = with_pose(&pose[6 * (s.flow as usize - 1)..], here.0, here.1);
                    (u, v, 1.0)
                }
                3 => (map[at], map[h * w + at], map[2 * h * w + at]),
                _ => {
                    let mesh = (map[at], map[h * w + at]);
                    let (u, v, m) = with_mix(mix, mix_extent, mesh, pose, here.0, here.1);
                    (u, v, m[6])
                }
            };
            for k in 0..c {
                y[k * h * w + at] = weight * bilinear(&x[k * h_in * w_in..][..h_in * w_in], h_in, w_in, u, v);
            }
        }
    }
}

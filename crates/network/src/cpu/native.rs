//! The loops between the models: what the twins do, fast on one core, without taking memory.

use crate::kernels::finish::FinishInputs;
use crate::kernels::raster::{RasterShape, distance};
use crate::kernels::sample::taps;
use crate::kernels::warp::WarpShape;
use crate::plan::{Finish, Op, Plan, TensorId};

pub(super) use self::finish::FinishLoop;

mod finish;
mod rows;

/// Collects what a finished picture is made from.
pub(super) fn given<'a>(
    op: &Finish,
    read: impl Fn(TensorId) -> &'a [f32],
    words: impl Fn(TensorId) -> &'a [u32],
) -> FinishInputs<'a> {
    FinishInputs {
        decoded: read(op.decoded),
        gates: read(op.gates),
        mix: read(op.mix),
        map: words(op.map),
        pose: read(op.pose),
        photo: words(op.photo),
        background: op.background.map_or(&[], &words),
        badge: op.badge.map_or(&[], &words),
    }
}

/// Interleaves four phases (4, c, h + 1, w + 1) into (c, 2 h, 2 w): phase 2 a + b has the pixel (2 i + a, 2 j + b) at
/// (i + a, j + b).
pub(super) fn interleave(phases: &[f32], (h, w): (usize, usize), y: &mut [f32]) {
    let (plane, stride) = ((h + 1) * (w + 1), w + 1);
    let n_channels = y.len() / (4 * h * w);
    for (at, row) in y.chunks_exact_mut(2 * w).enumerate() {
        let (c, i, a) = (at / (2 * h), at % (2 * h) / 2, at % 2);
        let phase = |b: usize| &phases[((2 * a + b) * n_channels + c) * plane + (i + a) * stride + b..][..w];
        let (even, odd) = (phase(0), phase(1));
        for ((pair, even), odd) in row.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
            *pair = [*even, *odd];
        }
    }
}

/// Draws each segment into its own box.
pub fn raster(s: &RasterShape, points: &[f32], segments: &[[u16; 3]], y: &mut [f32]) {
    let [h, w] = [s.h, s.w].map(|n| n as usize);
    y.fill(0.0);
    let point = |i: u16| {
        let i = 2 * usize::from(i);
        [points[i] * w as f32, points[i + 1] * h as f32]
    };
    let reach = s.radius_px + 0.5;
    for &[from, to, channel] in segments {
        let (from, to) = (point(from), point(to));
        let range = |axis: usize, n: usize| {
            let low = from[axis].min(to[axis]) - reach - 0.5;
            let high = from[axis].max(to[axis]) + reach - 0.5;
            // Saturates for what is not a number or far outside.
            (low.ceil().max(0.0) as usize).min(n)..((high.floor() + 1.0).max(0.0) as usize).min(n)
        };
        let columns = range(0, w);
        for i in range(1, h) {
            let row = &mut y[(usize::from(channel) * h + i) * w..][..w];
            for j in columns.clone() {
                let at = [j as f32 + 0.5, i as f32 + 0.5];
                let value = (reach - distance(at, from, to)).clamp(0.0, 1.0);
                row[j] = row[j].max(value);
            }
        }
    }
}

/// Four neighbours of one place: the first, and the weight of each.
#[derive(Clone, Copy, Debug, Default)]
struct Taps {
    first: u32,
    weights: [f32; 4],
}

/// Warps, with room for the places of one plane.
#[derive(Debug)]
pub(super) struct WarpLoop {
    taps: Vec<Taps>,
    mix: rows::Expander,
}

impl WarpLoop {
    /// Makes room for the warps of a plan.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut n = 0;
        let mut width = 0;
        for (_, op) in plan.steps() {
            if let Op::Warp(op) = op {
                let shape = plan.tensor(op.y).shape;
                n = n.max(shape.h * shape.w);
                width = width.max(shape.w);
            }
        }
        Self { taps: vec![Taps::default(); n], mix: rows::Expander::new(7, width) }
    }

    /// As the twin, within rounding.
    pub(super) fn run(&mut self, s: &WarpShape, x: &[f32], pose: &[f32], map: &[f32], mix: &[f32], y: &mut [f32]) {
        let [h_in, w_in, h, w] = [s.h_in, s.w_in, s.h, s.w].map(|n| n as usize);
        if s.flow == 0 && (h_in, w_in) == (h, w) {
            y.copy_from_slice(x);
            return;
        }
        if h_in < 2 || w_in < 2 {
            crate::kernels::warp::warp(s, x, pose, map, mix, y);
            return;
        }
        let n = h * w;
        for i in 0..h {
            let below = (i as f32 + 0.5) / h as f32;
            if s.flow == 4 {
                self.mix.rows(mix, (s.h_mix as usize, s.w_mix as usize), below, w);
            }
            for j in 0..w {
                let at = i * w + j;
                let aside = (j as f32 + 0.5) / w as f32;
                let posed = |pose: &[f32]| crate::kernels::sample::with_pose(pose, aside, below);
                let (u, v, weight) = match s.flow {
                    0 => (aside, below, 1.0),
                    1 | 2 => {
                        let (u, v) = posed(&pose[6 * (s.flow as usize - 1)..]);
                        (u, v, 1.0)
                    }
                    3 => (map[at], map[n + at], map[2 * n + at]),
                    _ => {
                        let m: [f32; 7] = std::array::from_fn(|k| self.mix.row(k)[j]);
                        let (body, head) = (posed(&pose[..6]), posed(&pose[6..]));
                        let u = m[0] * aside + m[1] * body.0 + m[2] * head.0 + m[3] * map[at] + m[4];
                        let v = m[0] * below + m[1] * body.1 + m[2] * head.1 + m[3] * map[n + at] + m[5];
                        (u, v, m[6])
                    }
                };
                self.taps[at] = place(u * w_in as f32 - 0.5, v * h_in as f32 - 0.5, w_in, h_in, weight);
            }
        }
        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(h_in * w_in)) {
            for (y, taps) in y.iter_mut().zip(&self.taps) {
                let first = taps.first as usize;
                let (upper, lower) = (&x[first..first + 2], &x[first + w_in..first + w_in + 2]);
                let [a, b, c, d] = taps.weights;
                *y = upper[0] * a + upper[1] * b + lower[0] * c + lower[1] * d;
            }
        }
    }
}

/// The taps of a place in pixels, always two different rows and columns.
fn place(x_px: f32, y_px: f32, w: usize, h: usize, weight: f32) -> Taps {
    let axis = |at: f32, n: usize| {
        let (first, _, part) = taps(at, n);
        if first + 1 == n { (first - 1, 1.0) } else { (first, part) }
    };
    let ((x, fx), (y, fy)) = (axis(x_px, w), axis(y_px, h));
    let (upper, lower) = (weight * (1.0 - fy), weight * fy);
    Taps { first: (y * w + x) as u32, weights: [upper * (1.0 - fx), upper * fx, lower * (1.0 - fx), lower * fx] }
}

//! The loops between the models: what the twins do, fast on one core, without taking memory.

use pulp::{Arch, Simd, WithSimd};

use super::second::SecondThread;
use crate::kernels::finish::FinishInputs;
use crate::kernels::raster::{RasterShape, distance};
use crate::kernels::sample::with_pose;
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

/// Planes that are read on two threads have this many pixels together, and a thread takes as many at a time as make a
/// quarter of it: for less, waking the second thread costs more than it does.
const SHARED_PX: usize = 1 << 17;

/// Warps, with room for the places of one plane.
#[derive(Debug)]
pub(super) struct WarpLoop {
    taps: Vec<Taps>,
    /// Along a row: where its pixels come from, in picture units, and how much they count.
    places: [Vec<f32>; 3],
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
        let places = [0; 3].map(|_| vec![1.0; width]);
        Self { taps: vec![Taps::default(); n], places, mix: rows::Expander::new(7, width) }
    }

    /// As the twin, within rounding. `given`: what is warped, and pose, map and mix of its flow.
    pub(super) fn run(&mut self, second: &SecondThread, s: &WarpShape, given: [&[f32]; 4], y: &mut [f32]) {
        let [x, pose, map, mix] = given;
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
        let Self { taps, places, mix: expander } = self;
        let flow = Flow { s, pose, map, mix };
        Arch::new().dispatch(FindTaps { flow, taps: &mut taps[..n], places, expander });
        let (n_in, taps) = (h_in * w_in, &taps[..n]);
        let read = |(y, x): (&mut [f32], &[f32])| {
            for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n_in)) {
                for (y, taps) in y.iter_mut().zip(taps) {
                    let first = taps.first as usize;
                    let (upper, lower) = (&x[first..first + 2], &x[first + w_in..first + w_in + 2]);
                    let [a, b, c, d] = taps.weights;
                    *y = upper[0] * a + upper[1] * b + lower[0] * c + lower[1] * d;
                }
            }
        };
        if y.len() < SHARED_PX {
            read((y, x));
            return;
        }
        let n_planes = (SHARED_PX / 4).div_ceil(n);
        second.share_parts(y.chunks_mut(n_planes * n).zip(x.chunks(n_planes * n_in)), |_, block| read(block));
    }
}

/// What a warp's places come from.
struct Flow<'a> {
    s: &'a WarpShape,
    pose: &'a [f32],
    map: &'a [f32],
    mix: &'a [f32],
}

impl Flow<'_> {
    /// Finds where the pixels of row `i` come from.
    #[inline(always)]
    fn places(&self, i: usize, [us, vs, weights]: &mut [Vec<f32>; 3], expander: &mut rows::Expander) {
        let Self { s, pose, map, mix } = *self;
        let [h, w] = [s.h, s.w].map(|n| n as usize);
        let below = (i as f32 + 0.5) / h as f32;
        let (us, vs, weights) = (&mut us[..w], &mut vs[..w], &mut weights[..w]);
        let aside = |j: usize| (j as i32 as f32 + 0.5) / w as f32;
        let map = |k: usize| &map[k * h * w + i * w..][..w];
        match s.flow {
            0 => {
                for j in 0..w {
                    (us[j], vs[j], weights[j]) = (aside(j), below, 1.0);
                }
            }
            1 | 2 => {
                let pose = &pose[6 * (s.flow as usize - 1)..];
                for j in 0..w {
                    (us[j], vs[j]) = with_pose(pose, aside(j), below);
                    weights[j] = 1.0;
                }
            }
            3 => {
                us.copy_from_slice(map(0));
                vs.copy_from_slice(map(1));
                weights.copy_from_slice(map(2));
            }
            _ => {
                expander.rows(mix, (s.h_mix as usize, s.w_mix as usize), below, w);
                let [stay, with_body, with_head, with_mesh, du, dv, weight] =
                    std::array::from_fn(|k| &expander.row(k)[..w]);
                let (mesh_u, mesh_v) = (map(0), map(1));
                for j in 0..w {
                    let aside = aside(j);
                    let (body, head) = (with_pose(&pose[..6], aside, below), with_pose(&pose[6..], aside, below));
                    let u = stay[j] * aside + with_body[j] * body.0 + with_head[j] * head.0;
                    let v = stay[j] * below + with_body[j] * body.1 + with_head[j] * head.1;
                    us[j] = u + with_mesh[j] * mesh_u[j] + du[j];
                    vs[j] = v + with_mesh[j] * mesh_v[j] + dv[j];
                }
                weights.copy_from_slice(weight);
            }
        }
    }
}

/// Finds the taps of all pixels of a warp, on the widest vectors that the processor has.
struct FindTaps<'a> {
    flow: Flow<'a>,
    taps: &'a mut [Taps],
    places: &'a mut [Vec<f32>; 3],
    expander: &'a mut rows::Expander,
}

impl WithSimd for FindTaps<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let s = self.flow.s;
        let [h_in, w_in, w] = [s.h_in, s.w_in, s.w].map(|n| n as usize);
        for (i, taps) in self.taps.chunks_exact_mut(w).enumerate() {
            self.flow.places(i, self.places, self.expander);
            let [us, vs, weights] = self.places.each_ref().map(|row| &row[..w]);
            for (j, taps) in taps.iter_mut().enumerate() {
                let (x, fx) = neighbours(us[j] * w_in as f32 - 0.5, w_in);
                let (y, fy) = neighbours(vs[j] * h_in as f32 - 0.5, h_in);
                let (upper, lower) = (weights[j] * (1.0 - fy), weights[j] * fy);
                *taps = Taps {
                    first: y * w_in as u32 + x,
                    weights: [upper * (1.0 - fx), upper * fx, lower * (1.0 - fx), lower * fx],
                };
            }
        }
    }
}

/// The first of two neighbours of a place among `n` pixels, and how much the second counts. They are always two.
#[inline(always)]
fn neighbours(at_px: f32, n: usize) -> (u32, f32) {
    let at = at_px.clamp(0.0, (n - 1) as f32);
    let first = whole(at.floor()).min(n as u32 - 2);
    (first, at - first as i32 as f32)
}

/// A number from 0 to 2^22, rounded. Its digits end up in a float's lowest bits when 2^23 is added; a cast would have to
/// look for what does not fit, and would not run four at a time.
#[inline(always)]
fn whole(value: f32) -> u32 {
    const TWO_TO_23: f32 = 8_388_608.0;
    (value + TWO_TO_23).to_bits() & 0x007f_ffff
}

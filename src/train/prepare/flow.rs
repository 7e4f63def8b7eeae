//! Optical flow between two pictures: where each part of the first is in the second.
//!
//! Lucas and Kanade's least squares in a window, from coarse to fine (Bouguet's pyramid), with a median between the
//! rounds. On the processor, in plain loops: for data that are prepared once that is fast enough.

use crate::frame::Rgb;
use crate::train::dataset::{ClipWriter, FLOW_SIZE, Flow, SIZE_PX};

/// Sides of the pyramid's levels, from coarse to fine. The finest is twice as fine as what is stored.
const LEVELS: [usize; 4] = [16, 32, 64, 128];
/// Rounds at each level.
const N_ROUNDS: usize = 4;
/// Half the side of the window, in pixels of the level.
const REACH: usize = 3;
/// Keeps what has no texture where the coarser level puts it; square of grey levels a pixel, mean over the window.
const DAMPING: f32 = 6.0;
/// The longest step of a round, in pixels of the level: beyond it the linear guess means nothing.
const MAX_STEP: f32 = 1.0;

/// Gives each frame of a clip its flow to the next, where that is directly after.
#[derive(Default)]
pub(super) struct FlowChain {
    before: Option<(u64, Rgb)>,
}

impl FlowChain {
    /// To be told of each frame before it is added to the clip.
    pub(super) fn next(&mut self, index: u64, picture: &Rgb, writer: &mut ClipWriter) {
        if let Some((before_index, before)) = &self.before
            && before_index + 1 == index
        {
            writer.set_flow(&flow(before, picture));
        }
        self.before = Some((index, picture.clone()));
    }
}

/// A square of numbers.
#[derive(Clone)]
struct Plane {
    n: usize,
    data: Vec<f32>,
}

/// Computes the flow between two pictures of [`SIZE_PX`] squared.
pub(super) fn flow(from: &Rgb, to: &Rgb) -> Flow {
    let (from, to) = (pyramid(from), pyramid(to));
    let mut x = Plane::new(LEVELS[0]);
    let mut y = Plane::new(LEVELS[0]);
    for (from, to) in from.iter().zip(&to) {
        if x.n != from.n {
            (x, y) = (x.doubled(), y.doubled());
        }
        for _ in 0..N_ROUNDS {
            refine(from, to, &mut x, &mut y);
        }
    }
    // Cells are the mean of what is in them, in pixels of the picture.
    let cell = x.n / FLOW_SIZE;
    let px = SIZE_PX as f32 / x.n as f32;
    let mean = |plane: &Plane, cx: usize, cy: usize| {
        let sum: f32 = (0..cell * cell).map(|i| plane.at(cx * cell + i % cell, cy * cell + i / cell)).sum();
        sum * px / (cell * cell) as f32
    };
    (0..FLOW_SIZE * FLOW_SIZE)
        .map(|i| [mean(&x, i % FLOW_SIZE, i / FLOW_SIZE), mean(&y, i % FLOW_SIZE, i / FLOW_SIZE)])
        .collect()
}

/// Grey pictures, each half of the next.
fn pyramid(picture: &Rgb) -> Vec<Plane> {
    let mut level = Plane::new(SIZE_PX);
    for (value, pixel) in level.data.iter_mut().zip(picture.data().as_chunks::<3>().0) {
        let [r, g, b] = pixel.map(f32::from);
        *value = 0.3 * r + 0.59 * g + 0.11 * b;
    }
    let mut levels = Vec::new();
    while level.n > LEVELS[0] {
        level = level.halved();
        levels.push(level.clone());
    }
    levels.reverse();
    levels
}

/// One round: the second picture is fetched from where the flow says, and what differs says how to go on.
fn refine(from: &Plane, to: &Plane, x: &mut Plane, y: &mut Plane) {
    let n = from.n;
    let mut sums: [Plane; 5] = std::array::from_fn(|_| Plane::new(n));
    for v in 0..n {
        for u in 0..n {
            let i = v * n + u;
            let (fx, fy) = (u as f32 + x.data[i], v as f32 + y.data[i]);
            let there = to.sample(fx, fy);
            // Half of both gradients: exact to second order.
            let gx = 0.25
                * (from.near(u, v, 1, 0) - from.near(u, v, -1, 0) + to.sample(fx + 1.0, fy) - to.sample(fx - 1.0, fy));
            let gy = 0.25
                * (from.near(u, v, 0, 1) - from.near(u, v, 0, -1) + to.sample(fx, fy + 1.0) - to.sample(fx, fy - 1.0));
            let change = there - from.data[i];
            let products = [gx * gx, gx * gy, gy * gy, gx * change, gy * change];
            sums.iter_mut().zip(products).for_each(|(sum, product)| sum.data[i] = product);
        }
    }
    let [xx, xy, yy, xt, yt] = sums.map(|plane| plane.blurred(REACH));
    for i in 0..n * n {
        let (a, b, c) = (xx.data[i] + DAMPING, xy.data[i], yy.data[i] + DAMPING);
        let (s, t) = (-xt.data[i], -yt.data[i]);
        let det = a * c - b * b;
        x.data[i] += ((c * s - b * t) / det).clamp(-MAX_STEP, MAX_STEP);
        y.data[i] += ((a * t - b * s) / det).clamp(-MAX_STEP, MAX_STEP);
    }
    *x = x.median();
    *y = y.median();
}

impl Plane {
    fn new(n: usize) -> Self {
        Self { n, data: vec![0.0; n * n] }
    }

    fn at(&self, u: usize, v: usize) -> f32 {
        self.data[v * self.n + u]
    }

    /// A neighbour; beyond the border, the border.
    fn near(&self, u: usize, v: usize, du: isize, dv: isize) -> f32 {
        let last = self.n as isize - 1;
        self.at((u as isize + du).clamp(0, last) as usize, (v as isize + dv).clamp(0, last) as usize)
    }

    /// Between pixels; beyond the border, the border.
    fn sample(&self, u: f32, v: f32) -> f32 {
        let last = self.n as f32 - 1.0;
        let (u, v) = (u.clamp(0.0, last), v.clamp(0.0, last));
        let (u0, v0) = (u as usize, v as usize);
        let (fu, fv) = (u - u0 as f32, v - v0 as f32);
        let row = |v| self.at(u0, v) * (1.0 - fu) + self.at((u0 + 1).min(self.n - 1), v) * fu;
        row(v0) * (1.0 - fv) + row((v0 + 1).min(self.n - 1)) * fv
    }

    fn halved(&self) -> Self {
        let mut out = Self::new(self.n / 2);
        for v in 0..out.n {
            for u in 0..out.n {
                let sum = self.at(2 * u, 2 * v) + self.at(2 * u + 1, 2 * v) + self.at(2 * u, 2 * v + 1);
                out.data[v * out.n + u] = 0.25 * (sum + self.at(2 * u + 1, 2 * v + 1));
            }
        }
        out
    }

    /// Twice the size, and displacements with it.
    fn doubled(&self) -> Self {
        let mut out = Self::new(2 * self.n);
        for v in 0..out.n {
            for u in 0..out.n {
                out.data[v * out.n + u] = 2.0 * self.sample(0.5 * u as f32 - 0.25, 0.5 * v as f32 - 0.25);
            }
        }
        out
    }

    /// Mean over a window of `reach` on each side; beyond the border, the border.
    fn blurred(&self, reach: usize) -> Self {
        let share = 1.0 / (2 * reach + 1) as f32;
        let reach = reach as isize;
        let mut rows = Self::new(self.n);
        let mut out = Self::new(self.n);
        for v in 0..self.n {
            for u in 0..self.n {
                rows.data[v * self.n + u] = share * (-reach..=reach).map(|d| self.near(u, v, d, 0)).sum::<f32>();
            }
        }
        for v in 0..self.n {
            for u in 0..self.n {
                out.data[v * self.n + u] = share * (-reach..=reach).map(|d| rows.near(u, v, 0, d)).sum::<f32>();
            }
        }
        out
    }

    /// Median of 3 × 3: a wild value is outvoted, an edge stays.
    fn median(&self) -> Self {
        let mut out = Self::new(self.n);
        for v in 0..self.n {
            for u in 0..self.n {
                let mut values: [f32; 9] =
                    std::array::from_fn(|i| self.near(u, v, (i % 3) as isize - 1, (i / 3) as isize - 1));
                values.sort_unstable_by(f32::total_cmp);
                out.data[v * self.n + u] = values[4];
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A textured picture whose content is moved by (x, y) pixels.
    fn texture(x: f32, y: f32) -> Rgb {
        let mut picture = Rgb::new(SIZE_PX, SIZE_PX);
        for (i, pixel) in picture.data_mut().chunks_exact_mut(3).enumerate() {
            let (u, v) = ((i % SIZE_PX) as f32 - x, (i / SIZE_PX) as f32 - y);
            let value = 128.0 + 45.0 * (u * 0.11).sin() * (v * 0.13).cos() + 40.0 * (u * 0.031 + v * 0.023).sin();
            pixel.fill(value as u8);
        }
        picture
    }

    #[test]
    fn a_moved_picture_has_moved_by_that_everywhere() {
        for (x, y) in [(0.0, 0.0), (1.5, -1.0), (-9.0, 6.0), (14.0, 3.0)] {
            let flow = flow(&texture(0.0, 0.0), &texture(x, y));
            assert_eq!(flow.len(), FLOW_SIZE * FLOW_SIZE);
            let inner = |i: &usize| (10..54).contains(&(i % FLOW_SIZE)) && (10..54).contains(&(i / FLOW_SIZE));
            let errors: Vec<f32> =
                (0..flow.len()).filter(inner).map(|i| (flow[i][0] - x).hypot(flow[i][1] - y)).collect();
            let mean = errors.iter().sum::<f32>() / errors.len() as f32;
            assert!(mean < 0.5, "moved by {x}, {y}: {mean} pixels off in the mean");
        }
    }

    #[test]
    fn where_nothing_can_be_seen_nothing_moves() {
        let plain = Rgb::from_data(SIZE_PX, SIZE_PX, vec![90; SIZE_PX * SIZE_PX * 3]).unwrap();
        assert!(flow(&plain, &plain).iter().all(|moved| *moved == [0.0, 0.0]));
    }
}

//! The discrete Fourier transform of complex numbers, a power of two of them, for several series side by side.

use std::f64::consts::TAU;

/// A complex number: real, imaginary.
pub(super) type Complex = (f32, f32);

pub(super) fn mul(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

pub(super) fn conj(a: Complex) -> Complex {
    (a.0, -a.1)
}

/// Series that are transformed together: what a processor computes at once.
pub(super) const LANES: usize = 8;

/// One complex number of each of the series.
#[derive(Clone, Copy, Default)]
pub(super) struct Lanes {
    pub(super) re: [f32; LANES],
    pub(super) im: [f32; LANES],
}

impl Lanes {
    pub(super) const ZERO: Self = Self { re: [0.0; LANES], im: [0.0; LANES] };

    pub(super) fn get(&self, lane: usize) -> Complex {
        (self.re[lane], self.im[lane])
    }

    pub(super) fn set(&mut self, lane: usize, value: Complex) {
        (self.re[lane], self.im[lane]) = value;
    }
}

/// Tables for one length.
pub(super) struct Fft {
    turns: Vec<Complex>,
    order: Vec<u32>,
}

impl Fft {
    /// Prepares transforms of `n` numbers, a power of two of 2 or more.
    pub(super) fn new(n: usize) -> Self {
        let turn = |i: usize| {
            let angle = -TAU * i as f64 / n as f64;
            (angle.cos() as f32, angle.sin() as f32)
        };
        let shift = u32::BITS - n.trailing_zeros();
        Self {
            turns: (0..n / 2).map(turn).collect(),
            order: (0..n as u32).map(|i| i.reverse_bits() >> shift).collect(),
        }
    }

    /// Transforms each series in place: `x[k]` becomes the sum of `x[j] e^(-2 pi i j k / n)`.
    pub(super) fn forward(&self, x: &mut [Lanes]) {
        let n = self.order.len();
        for (i, &j) in self.order.iter().enumerate() {
            if i < j as usize {
                x.swap(i, j as usize);
            }
        }
        let mut half = 1;
        if n.trailing_zeros() % 2 == 1 {
            for [a, b] in x.as_chunks_mut::<2>().0 {
                add_and_subtract(a, b);
            }
            half = 2;
        }
        // Two steps of halving at once: each number is fetched half as often.
        while half < n {
            let stride = n / (4 * half);
            for group in x.chunks_exact_mut(4 * half) {
                let (low, high) = group.split_at_mut(2 * half);
                let ((a, b), (c, d)) = (low.split_at_mut(half), high.split_at_mut(half));
                let turns = self.turns.iter().step_by(stride).zip(self.turns.iter().step_by(2 * stride));
                for ((((a, b), c), d), (&once, &twice)) in a.iter_mut().zip(b).zip(c).zip(d).zip(turns) {
                    butterfly(a, b, c, d, once, twice);
                }
            }
            half *= 4;
        }
    }
}

fn add_and_subtract(a: &mut Lanes, b: &mut Lanes) {
    for k in 0..LANES {
        (a.re[k], b.re[k]) = (a.re[k] + b.re[k], a.re[k] - b.re[k]);
        (a.im[k], b.im[k]) = (a.im[k] + b.im[k], a.im[k] - b.im[k]);
    }
}

/// Two steps for four numbers: `twice` turns in the first, `once` in the second.
fn butterfly(a: &mut Lanes, b: &mut Lanes, c: &mut Lanes, d: &mut Lanes, once: Complex, twice: Complex) {
    for k in 0..LANES {
        let (b1, d1) = (mul(b.get(k), twice), mul(d.get(k), twice));
        let (a0, c0) = (a.get(k), c.get(k));
        let (a1, b1) = ((a0.0 + b1.0, a0.1 + b1.1), (a0.0 - b1.0, a0.1 - b1.1));
        let (c1, d1) = ((c0.0 + d1.0, c0.1 + d1.1), (c0.0 - d1.0, c0.1 - d1.1));
        let (c2, d2) = (mul(c1, once), mul(d1, once));
        a.set(k, (a1.0 + c2.0, a1.1 + c2.1));
        c.set(k, (a1.0 - c2.0, a1.1 - c2.1));
        // The turn of the second pair is a quarter further: (x, y) becomes (y, -x).
        b.set(k, (b1.0 + d2.1, b1.1 - d2.0));
        d.set(k, (b1.0 - d2.1, b1.1 + d2.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_the_sum_that_defines_it() {
        for n in [2, 4, 8, 32, 64] {
            let value = |i: usize, lane: usize| {
                let x = (i * 37 + lane * 11) as f32;
                ((x * 0.7).sin(), (x * 1.3).cos())
            };
            let mut series = vec![Lanes::ZERO; n];
            for (i, lanes) in series.iter_mut().enumerate() {
                (0..LANES).for_each(|lane| lanes.set(lane, value(i, lane)));
            }
            Fft::new(n).forward(&mut series);
            for (k, lanes) in series.iter().enumerate() {
                for lane in 0..LANES {
                    let wanted = (0..n).fold((0.0, 0.0), |sum: Complex, j| {
                        let angle = -std::f32::consts::TAU * ((j * k) % n) as f32 / n as f32;
                        let term = mul(value(j, lane), (angle.cos(), angle.sin()));
                        (sum.0 + term.0, sum.1 + term.1)
                    });
                    let got = lanes.get(lane);
                    assert!((got.0 - wanted.0).abs() + (got.1 - wanted.1).abs() < 1e-4 * n as f32, "{n} {k}");
                }
            }
        }
    }
}

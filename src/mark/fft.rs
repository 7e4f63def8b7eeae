//! The discrete Fourier transform of complex numbers, a power of two of them.

use std::f64::consts::TAU;

/// A complex number: real, imaginary.
pub(super) type Complex = (f32, f32);

pub(super) fn mul(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

pub(super) fn conj(a: Complex) -> Complex {
    (a.0, -a.1)
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

    /// Transforms in place: `x[k]` becomes the sum of `x[j] e^(-2 pi i j k / n)`.
    pub(super) fn forward(&self, x: &mut [Complex]) {
        let n = self.order.len();
        for (i, &j) in self.order.iter().enumerate() {
            if i < j as usize {
                x.swap(i, j as usize);
            }
        }
        let mut half = 1;
        while half < n {
            let stride = n / (2 * half);
            for group in x.chunks_exact_mut(2 * half) {
                let (low, high) = group.split_at_mut(half);
                for ((a, b), &turn) in low.iter_mut().zip(high).zip(self.turns.iter().step_by(stride)) {
                    let turned = mul(*b, turn);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

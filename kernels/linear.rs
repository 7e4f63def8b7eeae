//! linear: y[o] = act(bias[o] + sum over i of weight[o, i] * x[i])
//!
//! x, of any extent, in a row (n_in) · weight [n_out, n_in] · bias [n_out] · y (n_out), of any extent too.
//! For the generator's families (`vae`, `vae-gan`), which run on the processor: there is no kernel of it for devices.
//! Cost: n_out * n_in multiplications with addition; memory-bound, each weight is read once.

use super::conv2d::activate;

/// Scalars of [`linear`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Elements of `x`.
    pub n_in: u32,
    /// Elements of `y`.
    pub n_out: u32,
    /// As in [`super::conv2d::Conv2dShape`].
    pub activation: u32,
}

/// The layer in which each number of `y` reads each of `x`.
pub fn linear(s: &LinearShape, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let (n_in, n_out) = (s.n_in as usize, s.n_out as usize);
    for o in 0..n_out {
        let mut sum = bias[o];
        for i in 0..n_in {
            sum += weight[o * n_in + i] * x[i];
        }
        y[o] = activate(s.activation, sum);
    }
}

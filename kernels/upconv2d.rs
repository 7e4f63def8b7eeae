//! upconv2d: y[o, 2 i + a, 2 j + b] = act(bias[o] + residual[o, 2 i + a, 2 j + b]
//!     + sum over c, p, q of weight[2 a + b, o, c, p, q] * x[c, i - 1 + a + p, j - 1 + b + q]); zero outside of x
//!
//! Equal to a 3×3 convolution of x enlarged twice (nearest), with taps that read the same pixel summed beforehand:
//! 16 instead of 36 products for each 2×2 of y, and the enlarged x never exists.
//! x (c_in, h_in, w_in) f16 · weight [4, c_out, c_in, 2, 2] f16 · bias [c_out] f32 · residual, y (c_out, 2 h_in,
//! 2 w_in) f16.
//! Mapping: conv2d's matrix product, once for each phase (grid z): rows = h_in * w_in, columns = c_out, depth = 4 c_in.
//! Sums in f32. Tolerance as conv2d. Cost: c_out * 4 h_in w_in * c_in * 4 multiplications with addition.

use super::conv2d::activate;

/// Scalars of [`upconv2d`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpConv2dShape {
    /// Channels of `x`.
    pub c_in: u32,
    /// Rows of `x`; `y` has twice as many.
    pub h_in: u32,
    /// Columns of `x`; `y` has twice as many.
    pub w_in: u32,
    /// Channels of `y`.
    pub c_out: u32,
    /// As in [`super::conv2d::Conv2dShape`].
    pub activation: u32,
    /// 1 when there is a residual.
    pub has_residual: u32,
}

/// The upsampling convolution; `residual` is empty when there is none.
pub fn upconv2d(s: &UpConv2dShape, x: &[f32], weight: &[f32], bias: &[f32], residual: &[f32], y: &mut [f32]) {
    let [c_in, h_in, w_in, c_out] = [s.c_in, s.h_in, s.w_in, s.c_out].map(|n| n as usize);
    let (h_out, w_out) = (2 * h_in, 2 * w_in);
    let mut sums = vec![0.0_f32; w_in];
    for phase in 0..4 {
        let (a, b) = (phase / 2, phase % 2);
        for o in 0..c_out {
            for i in 0..h_in {
                sums.fill(bias[o]);
                for c in 0..c_in {
                    for p in 0..2 {
                        let row = (i + a + p).wrapping_sub(1);
                        if row >= h_in {
                            continue; // guard: zero outside
                        }
                        for q in 0..2 {
                            let w = weight[(((phase * c_out + o) * c_in + c) * 2 + p) * 2 + q];
                            for j in 0..w_in {
                                let column = (j + b + q).wrapping_sub(1);
                                if column < w_in {
                                    sums[j] += w * x[(c * h_in + row) * w_in + column];
                                }
                            }
                        }
                    }
                }
                for j in 0..w_in {
                    let at = (o * h_out + 2 * i + a) * w_out + 2 * j + b;
                    let sum = if s.has_residual == 1 { sums[j] + residual[at] } else { sums[j] };
                    y[at] = activate(s.activation, sum);
                }
            }
        }
    }
}

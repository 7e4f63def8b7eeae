//! conv2d: y[o, i, j] = act(bias[o] + residual[o, i, j] + sum over c, a, b of weight[o, c, a, b] * x[c, i', j']),
//! i' = i * stride + a - kernel / 2, j' = j * stride + b - kernel / 2; zero outside of x
//!
//! x (c_in, h_in, w_in) f16 · weight [c_out, c_in, kernel, kernel] f16 · bias [c_out] f32 · residual, y (c_out, h_out,
//! w_out) f16; h_out = ceil(h_in / stride).
//! Mapping: an implicit matrix product, rows = output pixels (h_out * w_out), columns = c_out, depth = c_in * kernel²;
//! a block makes a tile of pixels × channels. 1×1 is the same without the window.
//! Sums in f32; activation and residual in the last store. Tolerance 2e-3 + 4e-3 |y| in f16, 1e-4 + 1e-4 |y| in f32.
//! Compute-bound from 32 channels on: c_out * h_out * w_out * c_in * kernel² multiplications with addition.

/// Scalars of [`conv2d`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Channels of `x`.
    pub c_in: u32,
    /// Rows of `x`.
    pub h_in: u32,
    /// Columns of `x`.
    pub w_in: u32,
    /// Channels of `y`.
    pub c_out: u32,
    /// Rows of `y`.
    pub h_out: u32,
    /// Columns of `y`.
    pub w_out: u32,
    /// 1 or 3.
    pub kernel: u32,
    /// 1 or 2.
    pub stride: u32,
    /// 0 none, 1 relu, 2 leaky (slope 0.2), 3 sigmoid.
    pub activation: u32,
    /// 1 when there is a residual.
    pub has_residual: u32,
}

/// What is applied to each sum; `activation` as in [`Conv2dShape`].
pub fn activate(activation: u32, value: f32) -> f32 {
    match activation {
        1 => value.max(0.0),
        2 => value.max(0.2 * value),
        3 => 1.0 / (1.0 + (-value).exp()),
        _ => value,
    }
}

/// The convolution; `residual` is empty when there is none.
pub fn conv2d(s: &Conv2dShape, x: &[f32], weight: &[f32], bias: &[f32], residual: &[f32], y: &mut [f32]) {
    let [c_in, h_in, w_in] = [s.c_in, s.h_in, s.w_in].map(|n| n as usize);
    let [c_out, h_out, w_out] = [s.c_out, s.h_out, s.w_out].map(|n| n as usize);
    let (kernel, stride) = (s.kernel as usize, s.stride as usize);
    let mut sums = vec![0.0_f32; w_out];
    for o in 0..c_out {
        for i in 0..h_out {
            sums.fill(bias[o]);
            for c in 0..c_in {
                for a in 0..kernel {
                    let row = (i * stride + a).wrapping_sub(kernel / 2);
                    if row >= h_in {
                        continue; // guard: zero outside
                    }
                    for b in 0..kernel {
                        let w = weight[((o * c_in + c) * kernel + a) * kernel + b];
                        for j in 0..w_out {
                            let column = (j * stride + b).wrapping_sub(kernel / 2);
                            if column < w_in {
                                sums[j] += w * x[(c * h_in + row) * w_in + column];
                            }
                        }
                    }
                }
            }
            for j in 0..w_out {
                let at = (o * h_out + i) * w_out + j;
                let sum = if s.has_residual == 1 { sums[j] + residual[at] } else { sums[j] };
                y[at] = activate(s.activation, sum);
            }
        }
    }
}

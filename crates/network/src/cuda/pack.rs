//! Weights in the order in which the kernels read them.

use half::f16;

/// Channels of `x` in one step of the matrix product, and of `y` in one tile, as in `kernels/cuda/gemm.h`.
const CHUNK: usize = 16;

/// `[phases, c_out, c_in, taps]` of a weight: one phase for a convolution, four for an upsampling one.
fn extents(dims: &[usize]) -> [usize; 4] {
    match *dims {
        [phases, c_out, c_in, a, b] => [phases, c_out, c_in, a * b],
        [c_out, c_in, a, b] => [1, c_out, c_in, a * b],
        _ => [0; 4],
    }
}

/// How many halves a packed weight has, in either order.
pub(super) fn packed_len(dims: &[usize]) -> usize {
    let [phases, c_out, c_in, taps] = extents(dims);
    phases * c_out.next_multiple_of(CHUNK) * c_in.next_multiple_of(CHUNK) * taps
}

/// Packs a weight: for tensor cores as `[phase][c_in / 16][tap][c_out / 16][lane][8]`, where a lane holds what
/// `mma.m16n8k16` wants of two tiles of 8 channels; else as `[phase][tap][c_in][c_out]`.
pub(super) fn pack(dims: &[usize], weight: &[f32], for_tensor_cores: bool, to: &mut [u8]) {
    let [phases, c_out, c_in, taps] = extents(dims);
    let mut to = to.chunks_exact_mut(2);
    let mut put = |value: f32| {
        if let Some(to) = to.next() {
            to.copy_from_slice(&f16::from_f32(value).to_le_bytes());
        }
    };
    for phase in 0..phases {
        let of_phase = &weight[phase * c_out * c_in * taps..][..c_out * c_in * taps];
        if !for_tensor_cores {
            for tap in 0..taps {
                for c in 0..c_in {
                    (0..c_out).for_each(|o| put(of_phase[(o * c_in + c) * taps + tap]));
                }
            }
            continue;
        }
        for c0 in (0..c_in).step_by(CHUNK) {
            for tap in 0..taps {
                for o0 in (0..c_out).step_by(CHUNK) {
                    for lane in 0..32 {
                        for k in 0..8 {
                            let o = o0 + k / 4 * 8 + lane / 4;
                            let c = c0 + k / 2 % 2 * 8 + lane % 4 * 2 + k % 2;
                            let is_there = o < c_out && c < c_in;
                            put(if is_there { of_phase[(o * c_in + c) * taps + tap] } else { 0.0 });
                        }
                    }
                }
            }
        }
    }
}

// conv2d: y[o, i, j] = act(bias[o] + residual[o, i, j] + sum over c, a, b of weight[o, c, a, b] * x[c, i', j']),
//     i' = i * stride + a - kernel / 2, j' = j * stride + b - kernel / 2; zero outside of x
// x (c_in, h_in, w_in) f16 · weight packed f16 · bias [c_out] f32 · residual, y (c_out, h_out, w_out) f16; channels
// innermost in memory, pitch channels a pixel.
// conv2d_kK_sS_nN: 128 threads make 8 (stride 1) or 4 (stride 2) rows of 16 pixels of N channels; blockIdx.x, .y the
// tile, .z the channels. conv2d_simple: one thread an element of y, for views that no 16-byte copy can read.
// Tensor cores (mma.m16n8k16, f16 in, f32 sums), see cuda/gemm.h. Twin: conv2d.rs, within 2e-3 + 4e-3 |y|.
// Compute-bound from 32 channels on. No card measured it yet; HMMA, registers, shared memory: scripts/cuda_gates.py.
#include "cuda/gemm.h"

struct Conv2dShape {
  unsigned c_in, h_in, w_in, c_out, h_out, w_out, kernel, stride, activation, has_residual;
};
static_assert(sizeof(Conv2dShape) == 40, "as in conv2d.rs");

template <int KERNEL, int STRIDE, int ROWS, int N>
static __device__ __forceinline__ void conv2d_tile(const f16* x, const uint4* weight, const float* bias,
                                                   const f16* residual, f16* y, Conv2dShape s, Pitch pitch) {
  const unsigned i0 = blockIdx.y * 4 * ROWS, j0 = blockIdx.x * TILE_W;
  const Target to = {s.h_out, s.w_out, s.w_out, 1, 0, 0, s.c_out, s.activation, s.has_residual};
  const int top = (int)i0 * STRIDE - KERNEL / 2, left = (int)j0 * STRIDE - KERNEL / 2;
  multiply_tile<KERNEL, STRIDE, ROWS, N>(x, weight, bias, residual, y, s.c_in, s.h_in, s.w_in, pitch, to, top, left,
                                         i0, j0, blockIdx.z * N);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k3_s1_n16(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<3, 1, 2, 16>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k3_s1_n32(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<3, 1, 2, 32>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k3_s1_n64(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<3, 1, 2, 64>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k3_s2_n16(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<3, 2, 1, 16>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k3_s2_n32(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<3, 2, 1, 32>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k1_s1_n16(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<1, 1, 2, 16>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k1_s1_n32(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<1, 1, 2, 32>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
conv2d_k1_s2_n32(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, Conv2dShape s,
                 Pitch pitch) {
  conv2d_tile<1, 2, 1, 32>(x, weight, bias, residual, y, s, pitch);
}

// weight [kernel, kernel, c_in, c_out]: neighbouring threads make neighbouring channels.
extern "C" __global__ void __launch_bounds__(128)
conv2d_simple(const f16* __restrict__ x, const f16* __restrict__ weight, const float* __restrict__ bias,
              const f16* __restrict__ residual, f16* __restrict__ y, Conv2dShape s, Pitch pitch) {
  const unsigned at = blockIdx.x * 128 + threadIdx.x;
  if (at >= s.h_out * s.w_out * s.c_out) return;  // guard
  const unsigned o = at % s.c_out, pixel = at / s.c_out, i = pixel / s.w_out, j = pixel % s.w_out;
  float sum = bias[o];
  for (unsigned a = 0; a < s.kernel; a++)
    for (unsigned b = 0; b < s.kernel; b++) {
      const unsigned row = i * s.stride + a - s.kernel / 2, column = j * s.stride + b - s.kernel / 2;
      if (row >= s.h_in || column >= s.w_in) continue;  // guard: zero outside; below zero is far above
      const f16* from = x + (long long)(row * s.w_in + column) * pitch.x;
      const f16* w = weight + (long long)(a * s.kernel + b) * s.c_in * s.c_out + o;
      for (unsigned c = 0; c < s.c_in; c++) sum += to_float(from[c]) * to_float(w[(long long)c * s.c_out]);
    }
  if (s.has_residual) sum += to_float(residual[(long long)pixel * pitch.residual + o]);
  y[(long long)pixel * pitch.y + o] = to_half(activate(s.activation, sum));
}

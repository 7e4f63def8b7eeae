// upconv2d: y[o, 2 i + a, 2 j + b] = act(bias[o] + residual[o, 2 i + a, 2 j + b]
//     + sum over c, p, q of weight[2 a + b, o, c, p, q] * x[c, i - 1 + a + p, j - 1 + b + q]); zero outside of x
// x (c_in, h_in, w_in) f16 · weight packed f16, phase by phase · bias [c_out] f32 · residual, y (c_out, 2 h_in, 2 w_in)
// f16; channels innermost in memory, pitch channels a pixel.
// upconv2d_nN: 128 threads make one phase of 8 x 16 pixels of x, N channels; blockIdx.x, .y the tile, .z / 4 the
// channels, .z % 4 the phase: the four of a tile run side by side and share x in the cache.
// Tensor cores, see cuda/gemm.h. Twin: upconv2d.rs, within 2e-3 + 4e-3 |y|.
// Compute-bound from 32 channels on. No card measured it yet; HMMA, registers, shared memory: scripts/cuda_gates.py.
#include "cuda/gemm.h"

struct UpConv2dShape {
  unsigned c_in, h_in, w_in, c_out, activation, has_residual;
};
static_assert(sizeof(UpConv2dShape) == 24, "as in upconv2d.rs");

template <int N>
static __device__ __forceinline__ void upconv2d_tile(const f16* x, const uint4* weight, const float* bias,
                                                     const f16* residual, f16* y, UpConv2dShape s, Pitch pitch) {
  const unsigned i0 = blockIdx.y * 8, j0 = blockIdx.x * TILE_W, phase = blockIdx.z & 3, a = phase / 2, b = phase & 1;
  const Target to = {s.h_in, s.w_in, 2 * s.w_in, 2, a, b, s.c_out, s.activation, s.has_residual};
  const long long n_weights = (long long)((s.c_in + CHUNK - 1) / CHUNK) * 4 * ((s.c_out + 15) / 16) * 32;
  multiply_tile<2, 1, 2, N>(x, weight + phase * n_weights, bias, residual, y, s.c_in, s.h_in, s.w_in, pitch, to,
                            (int)(i0 + a) - 1, (int)(j0 + b) - 1, i0, j0, blockIdx.z / 4 * N);
}

extern "C" __global__ void __launch_bounds__(128)
upconv2d_n16(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, UpConv2dShape s,
             Pitch pitch) {
  upconv2d_tile<16>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
upconv2d_n32(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, UpConv2dShape s,
             Pitch pitch) {
  upconv2d_tile<32>(x, weight, bias, residual, y, s, pitch);
}

extern "C" __global__ void __launch_bounds__(128)
upconv2d_n64(const f16* x, const uint4* weight, const float* bias, const f16* residual, f16* y, UpConv2dShape s,
             Pitch pitch) {
  upconv2d_tile<64>(x, weight, bias, residual, y, s, pitch);
}

// weight [4, 2, 2, c_in, c_out]; one thread an element of y, for views that no 16-byte copy can read.
extern "C" __global__ void __launch_bounds__(128)
upconv2d_simple(const f16* __restrict__ x, const f16* __restrict__ weight, const float* __restrict__ bias,
                const f16* __restrict__ residual, f16* __restrict__ y, UpConv2dShape s, Pitch pitch) {
  const unsigned at = blockIdx.x * 128 + threadIdx.x;
  if (at >= 4 * s.h_in * s.w_in * s.c_out) return;  // guard
  const unsigned o = at % s.c_out, pixel = at / s.c_out, i = pixel / (2 * s.w_in), j = pixel % (2 * s.w_in);
  const unsigned a = i & 1, b = j & 1;
  float sum = bias[o];
  for (unsigned p = 0; p < 2; p++)
    for (unsigned q = 0; q < 2; q++) {
      const unsigned row = i / 2 + a + p - 1, column = j / 2 + b + q - 1;
      if (row >= s.h_in || column >= s.w_in) continue;  // guard: zero outside; below zero is far above
      const f16* from = x + (long long)(row * s.w_in + column) * pitch.x;
      const f16* w = weight + (long long)((2 * a + b) * 4 + 2 * p + q) * s.c_in * s.c_out + o;
      for (unsigned c = 0; c < s.c_in; c++) sum += to_float(from[c]) * to_float(w[(long long)c * s.c_out]);
    }
  if (s.has_residual) sum += to_float(residual[(long long)pixel * pitch.residual + o]);
  y[(long long)pixel * pitch.y + o] = to_half(activate(s.activation, sum));
}

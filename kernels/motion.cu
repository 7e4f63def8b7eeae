// motion: y[0..4] = softmax(x[0..4]), y[4..6] = x[4..6] / 64, y[6] = sigmoid(x[6]), for each pixel
// x (7, n) f16, channels innermost, `pitch` channels a pixel · y (7, n) f32 in planes.
// One thread a pixel, neighbours in n; blockIdx.x counts 128 pixels.
// In f32. Twin: motion.rs, within 1e-3.
// Nothing worth counting: its time is that of a launch.
#include "cuda/device.h"

struct MotionShape {
  unsigned n;
};
static_assert(sizeof(MotionShape) == 4, "as in motion.rs");

extern "C" __global__ void __launch_bounds__(128)
motion(const f16* __restrict__ x, float* __restrict__ y, MotionShape s, unsigned pitch) {
  const unsigned i = blockIdx.x * 128 + threadIdx.x;
  if (i >= s.n) return;  // guard
  const f16* from = x + (long long)i * pitch;
  float masks[4], highest = to_float(from[0]), sum = 0.0f;
#pragma unroll
  for (int k = 0; k < 4; k++) {
    masks[k] = to_float(from[k]);
    highest = larger(highest, masks[k]);
  }
#pragma unroll
  for (int k = 0; k < 4; k++) {
    masks[k] = fast_exp(masks[k] - highest);
    sum += masks[k];
  }
  const float scale = 1.0f / sum;
#pragma unroll
  for (int k = 0; k < 4; k++) y[k * s.n + i] = masks[k] * scale;
  y[4 * s.n + i] = to_float(from[4]) * (1.0f / 64.0f);
  y[5 * s.n + i] = to_float(from[5]) * (1.0f / 64.0f);
  y[6 * s.n + i] = sigmoid(to_float(from[6]));
}

// motion: y[0..3] = softmax(x[0..3]), y[3..5] = x[3..5] / 64, y[5] = sigmoid(x[5]), for each pixel
// x (6, n) f16, channels innermost, `pitch` channels a pixel · y (6, n) f32 in planes.
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
  const float a = to_float(from[0]), b = to_float(from[1]), c = to_float(from[2]), highest = larger(larger(a, b), c);
  const float ea = fast_exp(a - highest), eb = fast_exp(b - highest), ec = fast_exp(c - highest);
  const float scale = 1.0f / (ea + eb + ec);
  y[i] = ea * scale;
  y[s.n + i] = eb * scale;
  y[2 * s.n + i] = ec * scale;
  y[3 * s.n + i] = to_float(from[3]) * (1.0f / 64.0f);
  y[4 * s.n + i] = to_float(from[4]) * (1.0f / 64.0f);
  y[5 * s.n + i] = sigmoid(to_float(from[5]));
}

// raster: y[c, i, j] = max over the segments of c of clamp(radius_px + 0.5 - distance_px, 0, 1), 0 without segments
// distance_px: from the pixel's centre to the segment between two points, in pixels of y.
// points (n_points, 2) f32 in picture units · segments [n, 3] u32: from, to, channel, sorted by channel · y (c, h, w)
// f16, channels innermost, `pitch` channels a pixel.
// One thread a pixel, blockIdx.x counts 128; a block brings 128 segments at a time into shared memory, each thread
// walks all of them and stores a channel when the next one begins.
// In f32. Twin: raster.rs, within 1e-3.
// n_segments * h * w * 6 multiplications with addition. No card measured it yet.
#include "cuda/device.h"

struct RasterShape {
  unsigned c, h, w, n_segments;
  float radius_px;
};
static_assert(sizeof(RasterShape) == 20, "as in raster.rs");

extern "C" __global__ void __launch_bounds__(128)
raster(const float* __restrict__ points, const unsigned* __restrict__ segments, f16* __restrict__ y, RasterShape s,
       unsigned pitch) {
  __shared__ float4 line[128];  // begin, and from there to the end
  __shared__ float scale[128];  // 1 / length²
  __shared__ unsigned channel_of[128];
  const unsigned pixel = blockIdx.x * 128 + threadIdx.x;
  const bool is_drawn = pixel < s.h * s.w;
  const float at_x = (float)(pixel % s.w) + 0.5f, at_y = (float)(pixel / s.w) + 0.5f;
  f16* out = y + (long long)pixel * pitch;
  unsigned channel = 0;
  float value = 0.0f;
  for (unsigned begin = 0; begin < s.n_segments; begin += 128) {
    const unsigned n_here = smaller(s.n_segments - begin, 128);
    if (threadIdx.x < n_here) {
      const unsigned* segment = segments + 3 * (begin + threadIdx.x);
      const float* from = points + 2 * segment[0];
      const float* to = points + 2 * segment[1];
      const float w = (float)s.w, h = (float)s.h;
      const float4 l = {from[0] * w, from[1] * h, to[0] * w - from[0] * w, to[1] * h - from[1] * h};
      line[threadIdx.x] = l;
      scale[threadIdx.x] = 1.0f / larger(l.z * l.z + l.w * l.w, 1e-12f);
      channel_of[threadIdx.x] = segment[2];
    }
    __syncthreads();
    for (unsigned k = 0; k < n_here; k++) {
      while (channel < channel_of[k]) {
        if (is_drawn) out[channel] = to_half(value);
        value = 0.0f;
        channel++;
      }
      const float4 l = line[k];
      const float x = at_x - l.x, y_ = at_y - l.y;
      const float t = clamp((x * l.z + y_ * l.w) * scale[k], 0.0f, 1.0f);
      const float off_x = x - t * l.z, off_y = y_ - t * l.w;
      const float distance = fast_sqrt(off_x * off_x + off_y * off_y);
      value = larger(value, clamp(s.radius_px + 0.5f - distance, 0.0f, 1.0f));
    }
    __syncthreads();  // before the next segments come
  }
  if (!is_drawn) return;  // guard
  for (; channel < s.c; channel++) {
    out[channel] = to_half(value);
    value = 0.0f;
  }
}

// warp: y[c, i, j] = weight(i, j) * bilinear(x[c], u(i, j), v(i, j)), border repeated
// flow 0 stay: (u, v) = (x, y), weight 1 · 1 body: (u, v) = pose[0..2] (x, y), weight 1 · 2 head: the same by pose[2..4] ·
// 3 mesh: (u, v, weight) = map · 4 mixed: m = mix at (x, y), (u, v) = m0 (x, y) + m1 body + m2 head + m3 map + (m4, m5),
// weight m6.
// x (c, h_in, w_in), y (c, h, w) f16, channels innermost, pitch channels a pixel · pose (4, 3), map (3, h, w),
// mix (7, h_mix, w_mix) f32 in planes.
// A block of 128 threads makes 64 pixels of y in a row: 64 threads find the corners once, then each thread takes 8
// channels of a pixel, neighbours the next 8, 16 bytes a corner.
// Places and sums in f32. Twin: warp.rs, within 2e-3 + 2e-3 |y|.
// Memory-bound: 4 reads and 1 write for each element of y. No card measured it yet.
#include "cuda/sample.h"

struct WarpShape {
  unsigned c, h_in, w_in, h, w, h_mix, w_mix, flow;
};
static_assert(sizeof(WarpShape) == 32, "as in warp.rs");

// Channels from one pixel to the next.
struct WarpPitch {
  unsigned x, y;
};
static_assert(sizeof(WarpPitch) == 8, "as WarpPitch in crates/network/src/cuda/launch.rs");

const unsigned PIXELS = 64;

extern "C" __global__ void __launch_bounds__(128)
warp(const f16* __restrict__ x, const float* __restrict__ pose, const float* __restrict__ map,
     const float* __restrict__ mix, f16* __restrict__ y, WarpShape s, WarpPitch pitch) {
  __shared__ Corners found[PIXELS];
  const unsigned n = s.h * s.w, begin = blockIdx.x * PIXELS, n_here = smaller(n - begin, PIXELS);
  if (threadIdx.x < n_here) {
    const unsigned at = begin + threadIdx.x;
    const float here_x = ((float)(at % s.w) + 0.5f) / (float)s.w, here_y = ((float)(at / s.w) + 0.5f) / (float)s.h;
    float u = here_x, v = here_y, weight = 1.0f;
    if (s.flow == 1 || s.flow == 2) {
      with_pose(pose + 6 * (s.flow - 1), here_x, here_y, u, v);
    } else if (s.flow == 3) {
      u = map[at];
      v = map[n + at];
      weight = map[2 * n + at];
    } else if (s.flow == 4) {
      const Mixed mixed = with_mix(mix, s.h_mix, s.w_mix, map[at], map[n + at], pose, here_x, here_y);
      u = mixed.u;
      v = mixed.v;
      weight = mixed.m[6];
    }
    Corners c = corners(u * (float)s.w_in - 0.5f, v * (float)s.h_in - 0.5f, s.h_in, s.w_in);
#pragma unroll
    for (int k = 0; k < 4; k++) c.weight[k] *= weight;
    found[threadIdx.x] = c;
  }
  __syncthreads();

  const unsigned n_parts = (s.c + 7) / 8;
  const bool is_whole_x = ((unsigned long long)x & 15) == 0 && pitch.x % 8 == 0;
  const bool is_whole_y = ((unsigned long long)y & 15) == 0 && pitch.y % 8 == 0;
  for (unsigned item = threadIdx.x; item < n_here * n_parts; item += 128) {
    const unsigned pixel = item / n_parts, c0 = item % n_parts * 8, n_channels = smaller(s.c - c0, 8);
    const Corners& c = found[pixel];
    float sums[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const f16* from = x + (long long)c.at[k] * pitch.x + c0;
      if (is_whole_x) {
        // Beyond the last channel this reads what belongs to the same pixel and is not stored.
        const uint4 word = *(const uint4*)from;
        const unsigned words[4] = {word.x, word.y, word.z, word.w};
#pragma unroll
        for (int p = 0; p < 4; p++) {
          sums[2 * p] += c.weight[k] * low_half(words[p]);
          sums[2 * p + 1] += c.weight[k] * high_half(words[p]);
        }
      } else {
#pragma unroll
        for (unsigned p = 0; p < 8; p++)
          if (p < n_channels) sums[p] += c.weight[k] * to_float(from[p]);
      }
    }
    f16* out = y + (long long)(begin + pixel) * pitch.y + c0;
    if (is_whole_y && n_channels == 8) {
      *(uint4*)out = {pack_halves(sums[0], sums[1]), pack_halves(sums[2], sums[3]), pack_halves(sums[4], sums[5]),
                      pack_halves(sums[6], sums[7])};
    } else {
#pragma unroll
      for (unsigned p = 0; p < 8; p++)
        if (p < n_channels) out[p] = to_half(sums[p]);
    }
  }
}

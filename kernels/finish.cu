// finish: out[i, j] = store(badge over (blend(photo at flow(i, j), decoded(i, j)) over background))
// (x, y) = ((j + 0.5) / size, (i + 0.5) / size); mesh = (map - margin) / size, or (x, y) where map is ~0; (u, v), m =
// warp's mixed flow; at (u, v) * size + margin, within the photo's outermost centres: w, f, c = whole, fine and coarse photo;
// p_a = w_a, where map is ~0 times 1 - m3; s = how closely the photo's pixels lie here, 1 as at rest: the longer of the
// steps that this place makes from the upper left of each 2 × 2 pixels to the right and down; bands
// b0 = clamp(2 - s / 1.5, 0, 1) (w - f), b1 = clamp(2 - s / 1.5 fine / side, 0, 1) (f - c); p = c + b1 + b0;
// e = decoded at (x, y), t = e4, g = gates at (x, y); d = e + g0 b0 + g1 b1: the decoder's colour with the photo's two bands;
// alpha = (1 - t) p_a + t e3; rgb = ((1 - t) p_a p + t e3 d) / max(alpha, 1/512);
// over background: rgb = background + alpha (rgb - background), alpha = 1; badge the same, with its own alpha.
// decoded (5, h, w), gates (2, h_gates, w_gates) f16, channels innermost, `pitch` channels a pixel · mix (7, h_mix, w_mix), pose (4, 3) f32 · map
// (size, size) u32: x + y << 16 in 1/32 px · photo (2 side + fine, 2 side), side = size + 2 margin: the whole photo,
// below it on the left fine² and to the right of that coarse² · background (size, size), badge (h_badge, w_badge) u32:
// red in the lowest byte · out u32: 0 RGBA · 1 NV12 · 2 YUYV, BT.601 limited range, chroma of the mean.
// One thread makes 2 × 2 pixels, which share their chroma; neighbours in j, so that a warp writes whole lines; blockIdx.x
// counts 128 threads.
// In f32. Twin: finish.rs, within 2 of 255. Four blocks a multiprocessor: at most 128 registers.
// Memory-bound: at 512² 1 MB map, 7 MB photo, 0.9 MB decoded, 1 MB out. No card measured it yet.
#include "cuda/sample.h"

struct FinishShape {
  unsigned size, margin, fine, coarse, h, w, h_gates, w_gates, h_mix, w_mix, has_background, h_badge, w_badge, format;
};
static_assert(sizeof(FinishShape) == 56, "as in finish.rs");

struct Pixel {
  float r, g, b, a;
};

static __device__ __forceinline__ Pixel unpack(unsigned word) {
  const float scale = 1.0f / 255.0f;
  return {(float)(word & 255) * scale, (float)(word >> 8 & 255) * scale, (float)(word >> 16 & 255) * scale,
          (float)(word >> 24) * scale};
}

static __device__ __forceinline__ void add(Pixel& to, float weight, Pixel p) {
  to.r += weight * p.r;
  to.g += weight * p.g;
  to.b += weight * p.b;
  to.a += weight * p.a;
}

// Reads a square of `px` pixels of a picture whose rows have `stride`, at a place in parts of its width.
static __device__ __forceinline__ Pixel level(const unsigned* __restrict__ pixels, unsigned stride, unsigned px, float x,
                                              float y) {
  const Taps across = taps(x * (float)px - 0.5f, px), down = taps(y * (float)px - 0.5f, px);
  const unsigned *upper = pixels + down.first * stride, *lower = pixels + down.second * stride;
  Pixel p = {0.0f, 0.0f, 0.0f, 0.0f};
  add(p, (1.0f - down.part) * (1.0f - across.part), unpack(upper[across.first]));
  add(p, (1.0f - down.part) * across.part, unpack(upper[across.second]));
  add(p, down.part * (1.0f - across.part), unpack(lower[across.first]));
  add(p, down.part * across.part, unpack(lower[across.second]));
  return p;
}

static __device__ __forceinline__ unsigned byte(float v) { return (unsigned)(clamp(v, 0.0f, 1.0f) * 255.0f + 0.5f); }

static __device__ __forceinline__ unsigned rgba(Pixel p) {
  return byte(p.r) | byte(p.g) << 8 | byte(p.b) << 16 | byte(p.a) << 24;
}

static __device__ __forceinline__ Pixel clamped(Pixel p) {
  return {clamp(p.r, 0.0f, 1.0f), clamp(p.g, 0.0f, 1.0f), clamp(p.b, 0.0f, 1.0f), p.a};
}

static __device__ __forceinline__ unsigned luma(Pixel p) {
  const Pixel q = clamped(p);
  return (unsigned)(16.0f + 65.481f * q.r + 128.553f * q.g + 24.966f * q.b + 0.5f);
}

// Cb in the lowest byte, Cr in the next, of the mean of pixels whose clamped sum is given.
static __device__ __forceinline__ unsigned chroma(Pixel sum, float scale) {
  const float r = sum.r * scale, g = sum.g * scale, b = sum.b * scale;
  const unsigned cb = (unsigned)(128.0f - 37.797f * r - 74.203f * g + 112.0f * b + 0.5f);
  const unsigned cr = (unsigned)(128.0f + 112.0f * r - 93.786f * g - 18.214f * b + 0.5f);
  return cb | cr << 8;
}

extern "C" __global__ void __launch_bounds__(128, 4)
finish(const f16* __restrict__ decoded, const f16* __restrict__ gates, const float* __restrict__ mix, const unsigned* __restrict__ map,
       const float* __restrict__ pose, const unsigned* __restrict__ photo, const unsigned* __restrict__ background,
       const unsigned* __restrict__ badge, unsigned* __restrict__ out, FinishShape s, unsigned pitch, unsigned pitch_gates) {
  const unsigned thread = blockIdx.x * 128 + threadIdx.x, n_j = s.size / 2;
  if (thread >= n_j * (s.size / 2)) return;  // guard
  const unsigned i0 = thread / n_j * 2, j0 = thread % n_j * 2, side = s.size + 2 * s.margin;
  const float size = (float)s.size, margin = (float)s.margin;
  const bool is_whole = ((unsigned long long)decoded & 15) == 0 && pitch % 8 == 0;
  // Where the four pixels are in the photo, in the picture's pixels, and whether the mesh was drawn there.
  float at_x[4], at_y[4], with_mesh[4];
  bool is_drawn[4];
#pragma unroll
  for (unsigned k = 0; k < 4; k++) {
    const unsigned i = i0 + k / 2, j = j0 + k % 2, packed = map[i * s.size + j];
    const float x = ((float)j + 0.5f) / size, y = ((float)i + 0.5f) / size;
    is_drawn[k] = packed != ~0u;
    const float mesh_u = is_drawn[k] ? ((float)(packed & 0xffffu) / 32.0f - margin) / size : x;
    const float mesh_v = is_drawn[k] ? ((float)(packed >> 16) / 32.0f - margin) / size : y;
    const Mixed from = with_mix(mix, s.h_mix, s.w_mix, mesh_u, mesh_v, pose, x, y);
    at_x[k] = clamp(from.u * size + margin, 0.25f, (float)side - 0.25f);
    at_y[k] = clamp(from.v * size + margin, 0.25f, (float)side - 0.25f);
    with_mesh[k] = from.m[3];
  }
  const float right_x = at_x[1] - at_x[0], right_y = at_y[1] - at_y[0];
  const float lower_x = at_x[2] - at_x[0], lower_y = at_y[2] - at_y[0];
  const float pressed = (1.0f / 1.5f) * fast_sqrt(larger(right_x * right_x + right_y * right_y, lower_x * lower_x + lower_y * lower_y));
  const float finest_shown = clamp(2.0f - pressed, 0.0f, 1.0f);
  const float finer_shown = clamp(2.0f - pressed * ((float)s.fine / (float)side), 0.0f, 1.0f);
  Pixel sum = {};  // what chroma is the mean of
#pragma unroll
  for (unsigned a = 0; a < 2; a++) {
    unsigned row[2], lumas = 0;
#pragma unroll
    for (unsigned b = 0; b < 2; b++) {
      const unsigned i = i0 + a, j = j0 + b, k4 = 2 * a + b;
      const float x = ((float)j + 0.5f) / size, y = ((float)i + 0.5f) / size;
      const float u = at_x[k4] / (float)side, v = at_y[k4] / (float)side;
      const unsigned* below = photo + 4 * side * side;
      Pixel p = level(photo, 2 * side, 2 * side, u, v);
      const Pixel f = level(below, 2 * side, s.fine, u, v), c = level(below + s.fine, 2 * side, s.coarse, u, v);
      const Pixel finest_band = {finest_shown * (p.r - f.r), finest_shown * (p.g - f.g), finest_shown * (p.b - f.b), 0.0f};
      const Pixel finer_band = {finer_shown * (f.r - c.r), finer_shown * (f.g - c.g), finer_shown * (f.b - c.b), 0.0f};
      p.r = c.r + finer_band.r + finest_band.r;
      p.g = c.g + finer_band.g + finest_band.g;
      p.b = c.b + finer_band.b + finest_band.b;
      const Corners of_decoded = corners(x * (float)s.w - 0.5f, y * (float)s.h - 0.5f, s.h, s.w);
      Pixel d = {0.0f, 0.0f, 0.0f, 0.0f};
      float trust = 0.0f, finest = 0.0f, finer = 0.0f;
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const f16* at = decoded + (long long)of_decoded.at[k] * pitch;
        const float weight = of_decoded.weight[k];
        if (is_whole) {
          const uint4 words = *(const uint4*)at;  // five channels and padding, which is not used
          add(d, weight, {low_half(words.x), high_half(words.x), low_half(words.y), high_half(words.y)});
          trust += weight * low_half(words.z);
        } else {
          add(d, weight, {to_float(at[0]), to_float(at[1]), to_float(at[2]), to_float(at[3])});
          trust += weight * to_float(at[4]);
        }
      }
      const Corners of_gates = corners(x * (float)s.w_gates - 0.5f, y * (float)s.h_gates - 0.5f, s.h_gates, s.w_gates);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const f16* at = gates + (long long)of_gates.at[k] * pitch_gates;
        finest += of_gates.weight[k] * to_float(at[0]);
        finer += of_gates.weight[k] * to_float(at[1]);
      }
      add(d, finest, finest_band);
      add(d, finer, finer_band);
      const float photo_part = (1.0f - trust) * p.a * (is_drawn[k4] ? 1.0f : 1.0f - with_mesh[k4]);
      const float decoder_part = trust * d.a;
      const float alpha = photo_part + decoder_part, scale = 1.0f / larger(alpha, 1.0f / 512.0f);
      Pixel q = {(photo_part * p.r + decoder_part * d.r) * scale, (photo_part * p.g + decoder_part * d.g) * scale,
                 (photo_part * p.b + decoder_part * d.b) * scale, alpha};
      if (s.has_background) {
        const Pixel back = unpack(background[i * s.size + j]);
        q = {back.r + alpha * (q.r - back.r), back.g + alpha * (q.g - back.g), back.b + alpha * (q.b - back.b), 1.0f};
      }
      const unsigned above = s.size - s.h_badge, before = s.size - s.w_badge;
      if (i >= above && j >= before) {
        const Pixel over = unpack(badge[(i - above) * s.w_badge + j - before]);
        q = {q.r + over.a * (over.r - q.r), q.g + over.a * (over.g - q.g), q.b + over.a * (over.b - q.b),
             q.a + over.a * (1.0f - q.a)};
      }
      row[b] = rgba(q);
      lumas |= luma(q) << (8 * b);
      add(sum, 1.0f, clamped(q));
    }
    const unsigned first = (i0 + a) * s.size + j0;
    if (s.format == 0) {
      *(uint2*)(out + first) = {row[0], row[1]};
    } else if (s.format == 1) {
      ((unsigned short*)out)[first / 2] = (unsigned short)lumas;
    } else {
      const unsigned both = chroma(sum, 0.5f);
      out[first / 2] = (lumas & 255) | (both & 255) << 8 | (lumas >> 8) << 16 | (both >> 8) << 24;
      sum = {};
    }
  }
  if (s.format == 1)
    ((unsigned short*)out)[(s.size * s.size + i0 / 2 * s.size + j0) / 2] = (unsigned short)chroma(sum, 0.25f);
}

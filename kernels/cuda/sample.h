// sample.h: what warp and finish share: bilinear reading with a repeated border, and the mixed flow. Twin: sample.rs.
// Picture units: 0 is the left or upper border, 1 the right or lower one. All in f32.
#pragma once
#include "device.h"

// Two neighbours along one axis and the weight of the second.
struct Taps {
  unsigned first, second;
  float part;
};

// For a place in pixels whose first centre is at 0; beyond the border the border's pixel is read.
static __device__ __forceinline__ Taps taps(float place_px, unsigned n) {
  const float inside = clamp(place_px, 0.0f, (float)(n - 1));
  const unsigned first = smaller((unsigned)inside, n - 1);
  return {first, smaller(first + 1, n - 1), inside - (float)first};
}

// The four pixels around a place of a plane (h, w) and their weights.
struct Corners {
  unsigned at[4];
  float weight[4];
};

static __device__ __forceinline__ Corners corners(float x_px, float y_px, unsigned h, unsigned w) {
  const Taps x = taps(x_px, w), y = taps(y_px, h);
  return {{y.first * w + x.first, y.first * w + x.second, y.second * w + x.first, y.second * w + x.second},
          {(1.0f - y.part) * (1.0f - x.part), (1.0f - y.part) * x.part, y.part * (1.0f - x.part), y.part * x.part}};
}

// Where a place comes from, and the seven values of the mix there.
struct Mixed {
  float u, v, m[7];
};

// Where (x, y) comes from along an affine motion, pose (2, 3).
static __device__ __forceinline__ void with_pose(const float* __restrict__ pose, float x, float y, float& u, float& v) {
  u = pose[0] * x + pose[1] * y + pose[2];
  v = pose[3] * x + pose[4] * y + pose[5];
}

// All four motions mixed; (mesh_u, mesh_v) is where (x, y) comes from when it moves with the face. mix (7, h, w);
// pose (4, 3) is the body's, then the head's.
static __device__ __forceinline__ Mixed with_mix(const float* __restrict__ mix, unsigned h, unsigned w, float mesh_u,
                                                 float mesh_v, const float* __restrict__ pose, float x, float y) {
  const Corners c = corners(x * (float)w - 0.5f, y * (float)h - 0.5f, h, w);
  Mixed to;
#pragma unroll
  for (int k = 0; k < 7; k++) {
    const float* plane = mix + k * h * w;
    to.m[k] = c.weight[0] * plane[c.at[0]] + c.weight[1] * plane[c.at[1]] + c.weight[2] * plane[c.at[2]] +
              c.weight[3] * plane[c.at[3]];
  }
  float body_u, body_v, head_u, head_v;
  with_pose(pose, x, y, body_u, body_v);
  with_pose(pose + 6, x, y, head_u, head_v);
  to.u = to.m[0] * x + to.m[1] * body_u + to.m[2] * head_u + to.m[3] * mesh_u + to.m[4];
  to.v = to.m[0] * y + to.m[1] * body_v + to.m[2] * head_v + to.m[3] * mesh_v + to.m[5];
  return to;
}

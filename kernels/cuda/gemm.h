// gemm.h: the matrix product behind conv2d and upconv2d, on tensor cores
//     sum[m, n] = sum over a, b, c of x[pixel m * STRIDE + (a, b), c] * weight[n, c, a, b]
// rows m: output pixels · columns n: c_out · depth: c_in in chunks of 16, times TAPS² window places.
//
// Activations lie with channels innermost, x[(row * w + column) * pitch + c], pitch a multiple of 8, so that 8 channels
// of a pixel are one 16-byte copy and one row of ldmatrix. The host packs weights in the order in which the lanes of a
// warp hold them, weight[chunk][tap][n / 16][lane], one uint4 a lane, zero beyond c_in and c_out: no shuffling here.
//
// A block of 4 warps makes 4 ROWS x 16 pixels of N channels; a warp ROWS rows of 16 pixels. Two stages in shared
// memory: while one is multiplied the next is copied (cp.async). A stage is the window's pixels, 16 channels of each,
// and the weights for them. The two 16-byte parts of a pixel change places every 4 pixels, so that the 8 rows of one
// matrix lie in different banks.
#pragma once
#include "device.h"

const int THREADS = 128;
const int TILE_W = 16;
const int CHUNK = 16;

// Channels from one pixel to the next.
struct Pitch {
  unsigned x, residual, y;
};
static_assert(sizeof(Pitch) == 12, "as Pitch in crates/network/src/cuda/launch.rs");

static __device__ __forceinline__ float activate(unsigned activation, float v) {
  if (activation == 1) return larger(v, 0.0f);
  if (activation == 2) return larger(v, 0.2f * v);
  if (activation == 3) return sigmoid(v);
  return v;
}

// Where a tile's sums go: pixel (i, j) of the grid of sums is pixel (i * step + row, j * step + column) of y.
struct Target {
  unsigned h, w, w_y;  // extent of the grid of sums; columns of y
  unsigned step, row, column;
  unsigned c_out, activation, has_residual;
};

template <int TAPS, int STRIDE, int ROWS, int N> struct Tile {
  static const int TILE_H = 4 * ROWS;
  static const int WINDOW_W = (TILE_W - 1) * STRIDE + TAPS;
  static const int WINDOW_H = (TILE_H - 1) * STRIDE + TAPS;
  static const int X_PARTS = WINDOW_H * WINDOW_W * 2;     // of 16 bytes
  static const int W_PARTS = TAPS * TAPS * (N / 16) * 32;
  static const int X_COPIES = (X_PARTS + THREADS - 1) / THREADS;
  static const int W_COPIES = (W_PARTS + THREADS - 1) / THREADS;
};

// Place of a pixel's `half` (channels 0..8 or 8..16 of the chunk) in a stage.
static __device__ __forceinline__ int place(int pixel, int half) { return 2 * pixel + (half ^ (pixel >> 2 & 1)); }

// `top`, `left`: the window's first pixel in x, may be negative; (i0, j0): the tile's first sum; `n0`: its first
// channel.
template <int TAPS, int STRIDE, int ROWS, int N>
static __device__ __forceinline__ void multiply_tile(const f16* __restrict__ x, const uint4* __restrict__ weight,
                                                     const float* __restrict__ bias, const f16* __restrict__ residual,
                                                     f16* __restrict__ y, unsigned c_in, unsigned h_in, unsigned w_in,
                                                     Pitch pitch, Target to, int top, int left, unsigned i0,
                                                     unsigned j0, unsigned n0) {
  typedef Tile<TAPS, STRIDE, ROWS, N> T;
  __shared__ uint4 stage_x[2][T::X_PARTS];
  __shared__ uint4 stage_w[2][T::W_PARTS];
  const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
  const int n_chunks = (c_in + CHUNK - 1) / CHUNK, n_tiles = (to.c_out + 15) / 16;

  // The same pixels are copied for each chunk: their places are found once; below zero is outside.
  int from[T::X_COPIES];
#pragma unroll
  for (int k = 0; k < T::X_COPIES; k++) {
    const int pixel = (thread + k * THREADS) / 2;
    const int row = top + pixel / T::WINDOW_W, column = left + pixel % T::WINDOW_W;
    const bool is_inside = (unsigned)row < h_in && (unsigned)column < w_in;
    from[k] = is_inside ? (row * (int)w_in + column) * (int)pitch.x : -1;
  }
  auto copy_chunk = [&](int stage, int chunk) {
    const int c = chunk * CHUNK + (thread & 1) * 8;
    const int n_left = (int)c_in - c, n_valid = n_left > 8 ? 8 : n_left;
#pragma unroll
    for (int k = 0; k < T::X_COPIES; k++) {
      const int part = thread + k * THREADS;
      if (part >= T::X_PARTS) break;  // guard
      const bool is_read = from[k] >= 0 && n_valid > 0;
      copy_async(&stage_x[stage][place(part / 2, part & 1)], is_read ? x + from[k] + c : x, is_read ? n_valid : 0);
    }
    const uint4* chunk_w = weight + ((long long)chunk * TAPS * TAPS * n_tiles + n0 / 16) * 32;
#pragma unroll
    for (int k = 0; k < T::W_COPIES; k++) {
      const int part = thread + k * THREADS;
      if (part >= T::W_PARTS) break;  // guard
      const int tap = part / (2 * N), tile = part % (2 * N) / 32;
      const bool is_read = (int)(n0 / 16) + tile < n_tiles;
      const uint4* at = chunk_w + tap * n_tiles * 32 + part % (2 * N);
      copy_async(&stage_w[stage][part], is_read ? at : weight, is_read ? 8 : 0);
    }
  };

  float sums[ROWS][N / 8][4];
#pragma unroll
  for (int r = 0; r < ROWS; r++)
#pragma unroll
    for (int t = 0; t < N / 8; t++)
#pragma unroll
      for (int k = 0; k < 4; k++) sums[r][t][k] = 0.0f;

  for (int next = 0; next <= n_chunks; next++) {
    if (next < n_chunks) copy_chunk(next & 1, next);
    copy_commit();
    if (next == 0) continue;  // nothing to multiply yet
    const int stage = (next - 1) & 1;
    copy_wait<1>();
    __syncthreads();
#pragma unroll
    for (int tap = 0; tap < TAPS * TAPS; tap++) {
      unsigned a[ROWS][4];
#pragma unroll
      for (int r = 0; r < ROWS; r++) {
        const int row = (warp * ROWS + r) * STRIDE + tap / TAPS, column = (lane & 15) * STRIDE + tap % TAPS;
        load_matrices(a[r], &stage_x[stage][place(row * T::WINDOW_W + column, lane >> 4)]);
      }
#pragma unroll
      for (int t = 0; t < N / 16; t++) {
        const uint4 b = stage_w[stage][(tap * (N / 16) + t) * 32 + lane];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          multiply_add(sums[r][2 * t], a[r], b.x, b.y);
          multiply_add(sums[r][2 * t + 1], a[r], b.z, b.w);
        }
      }
    }
    __syncthreads();  // before the next copies write into this stage
  }

  // A lane holds channels (n, n + 1) of pixels lane / 4 and lane / 4 + 8.
  const bool is_paired = (((unsigned long long)y | (unsigned long long)residual) & 3) == 0;
#pragma unroll
  for (int r = 0; r < ROWS; r++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned i = i0 + warp * ROWS + r, j = j0 + lane / 4 + 8 * half;
      if (i >= to.h || j >= to.w) continue;  // guard
      const unsigned pixel = (i * to.step + to.row) * to.w_y + j * to.step + to.column;
#pragma unroll
      for (int t = 0; t < N / 8; t++) {
        const unsigned n = n0 + t * 8 + lane % 4 * 2;
        if (n >= to.c_out) continue;  // guard
        const bool is_pair = n + 1 < to.c_out;
        float v0 = sums[r][t][2 * half] + bias[n];
        float v1 = is_pair ? sums[r][t][2 * half + 1] + bias[n + 1] : 0.0f;
        const f16* with = residual + (long long)pixel * pitch.residual + n;
        f16* out = y + (long long)pixel * pitch.y + n;
        if (is_pair && is_paired) {
          if (to.has_residual) {
            const unsigned word = *(const unsigned*)with;
            v0 += low_half(word);
            v1 += high_half(word);
          }
          *(unsigned*)out = pack_halves(activate(to.activation, v0), activate(to.activation, v1));
        } else {
          if (to.has_residual) v0 += to_float(with[0]);
          out[0] = to_half(activate(to.activation, v0));
          if (is_pair) {
            if (to.has_residual) v1 += to_float(with[1]);
            out[1] = to_half(activate(to.activation, v1));
          }
        }
      }
    }
}

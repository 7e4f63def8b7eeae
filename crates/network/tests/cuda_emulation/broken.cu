// broken: kernels with one mistake each, which the emulation must find; and the right one.
// y[i] = x[127 - i] through shared memory, 128 threads, f32. Each thread's four floats are copied 16 bytes at once.
#include "cuda/device.h"

template <bool HAS_BARRIER, bool HAS_WAIT> static __device__ __forceinline__ void turn(const float* x, float* y) {
  __shared__ uint4 words[32];
  if (threadIdx.x < 32) {
    copy_async(&words[threadIdx.x], x + 4 * threadIdx.x, 8);
    copy_commit();
    if (HAS_WAIT) copy_wait<0>();
  }
  if (HAS_BARRIER) __syncthreads();
  y[threadIdx.x] = ((const float*)words)[127 - threadIdx.x];
}

extern "C" __global__ void right(const float* x, float* y) { turn<true, true>(x, y); }

extern "C" __global__ void no_barrier(const float* x, float* y) { turn<false, true>(x, y); }

extern "C" __global__ void no_wait(const float* x, float* y) { turn<true, false>(x, y); }

extern "C" __global__ void divergent(const float* x, float* y) {
  if (threadIdx.x % 2 == 0) __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void half_a_warp(const float* x, float* y) {
  __shared__ uint4 words[32];
  unsigned r[4];
  if (threadIdx.x % 32 < 16) load_matrices(r, &words[threadIdx.x % 32]);
  __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}

extern "C" __global__ void misaligned(const float* x, float* y) {
  __shared__ uint4 words[32];
  copy_async(&words[threadIdx.x % 32], x + 1, 8);
  y[threadIdx.x] = x[threadIdx.x];
}

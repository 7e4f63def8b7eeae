// device.h: what the kernels ask of the device beyond C++. All inline assembly of the project is in this file.
// Three compilers read it: NVRTC and nvcc, clang without any of NVIDIA's files, and, with EFFIGY_EMULATION, a host
// compiler, for which crates/network/tests/cuda_emulation/emulation.h says the same in C++.
// Only sm_75 and later: older tensor cores have other shapes.
#pragma once

#ifdef EFFIGY_EMULATION
#include "emulation.h"
#else

#if defined(__clang__)
// What NVIDIA's headers would define.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __forceinline__ inline __attribute__((always_inline))
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct ThreadIndex {
  __declspec(property(get = get_x)) unsigned x;
  static __device__ __forceinline__ unsigned get_x() { return __nvvm_read_ptx_sreg_tid_x(); }
};
struct BlockIndex {
  __declspec(property(get = get_x)) unsigned x;
  __declspec(property(get = get_y)) unsigned y;
  __declspec(property(get = get_z)) unsigned z;
  static __device__ __forceinline__ unsigned get_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
  static __device__ __forceinline__ unsigned get_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
  static __device__ __forceinline__ unsigned get_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
};
extern const __device__ __attribute__((weak)) ThreadIndex threadIdx;
extern const __device__ __attribute__((weak)) BlockIndex blockIdx;
#define __syncthreads() __nvvm_bar_sync(0)
#endif

typedef unsigned short f16;  // 16 bits of a half; arithmetic is in f32

static __device__ __forceinline__ float to_float(f16 h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
}

static __device__ __forceinline__ f16 to_half(float f) {
  f16 h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
  return h;
}

// e^x within 2 units in the last place of x log2(e)
static __device__ __forceinline__ float fast_exp(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.4426950408889634f));
  return y;
}

static __device__ __forceinline__ float fast_sqrt(float x) {
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

static __device__ __forceinline__ unsigned shared_address(const void* p) {
  unsigned long long address;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(p));
  return (unsigned)address;
}

// Copies the first `n_halves` (0..8) of 16 bytes into shared memory and zeroes the rest; done after copy_wait.
// All 16 bytes at `from` may be read. Before sm_80 the copy goes through registers at once.
static __device__ __forceinline__ void copy_async(uint4* to, const void* from, int n_halves) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(2 * n_halves)
               : "memory");
#else
  uint4 v = {0, 0, 0, 0};
  if (n_halves > 0) v = *(const uint4*)from;
  v.x &= n_halves >= 2 ? ~0u : n_halves == 1 ? 0xffffu : 0;
  v.y &= n_halves >= 4 ? ~0u : n_halves == 3 ? 0xffffu : 0;
  v.z &= n_halves >= 6 ? ~0u : n_halves == 5 ? 0xffffu : 0;
  v.w &= n_halves >= 8 ? ~0u : n_halves == 7 ? 0xffffu : 0;
  *to = v;
#endif
}

// Ends a group of copies.
static __device__ __forceinline__ void copy_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until all but the newest PENDING groups of this thread are done.
template <int PENDING> static __device__ __forceinline__ void copy_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// Four 8x8 matrices of halves: lane l gives the address of row l % 8 of matrix l / 8.
static __device__ __forceinline__ void load_matrices(unsigned (&r)[4], const uint4* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// c (16x8) += a (16x16) b (16x8) by one warp, f16 into f32. PTX ISA, "Matrix Fragments for mma.m16n8k16".
static __device__ __forceinline__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

#endif  // EFFIGY_EMULATION

// A NaN becomes the lower bound, as in a cast to an integer.
static __device__ __forceinline__ float clamp(float x, float low, float high) {
  return x > low ? (x < high ? x : high) : low;
}

static __device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }

static __device__ __forceinline__ unsigned smaller(unsigned a, unsigned b) { return a < b ? a : b; }

static __device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// The two halves of a word.
static __device__ __forceinline__ float low_half(unsigned word) { return to_float((f16)(word & 0xffffu)); }
static __device__ __forceinline__ float high_half(unsigned word) { return to_float((f16)(word >> 16)); }
static __device__ __forceinline__ unsigned pack_halves(float low, float high) {
  return (unsigned)to_half(low) | (unsigned)to_half(high) << 16;
}

// emulation.h: runs the kernels of kernels/*.cu on the CPU, for tests of what they compute; no measure of speed.
//
// Each CUDA thread of a block is a fiber (a stack and six saved registers, switched by hand); one OS thread runs one
// block at a time, blocks run side by side. A barrier or a collective of a warp hands the CPU to the next fiber until
// all have come. Threads take turns in an order drawn from a seed; every other block lets each warp run ahead.
//
// Mistakes that a card may hide are made visible:
// - shared memory is NaN at the start of each block: the kernels are a library of their own whose thread-local memory
//   is their shared memory and nothing else, and all of it is filled before each block;
// - an asynchronous copy arrives as late as allowed, at the wait that needs it; until then its target is NaN;
// - threads at different barriers, or a warp whose lanes are at different collectives, stop the launch with a message;
// - copies and matrix rows at addresses that are no multiple of 16 stop it too.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <immintrin.h>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
// One area for each OS thread, and a thread runs one block at a time. See fill_shared_memory.
#define __shared__ static thread_local

struct dim3 { unsigned x = 1, y = 1, z = 1; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) float4 { float x, y, z, w; };
typedef unsigned short f16;

namespace emulation {

struct Copy { void* to; const void* from; int n_bytes; };

// The lanes of a warp that have come to a collective, and what each brought.
struct Warp {
  unsigned alive = 0, arrived = 0;
  int collective = 0;
  uint64_t epoch = 0;
  const void* in[32];
  void* out[32];
};

struct Fiber {
  void* stack_pointer;
  unsigned thread, lane;
  Warp* warp;
  Fiber *next, *next_in_warp;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open_group;
};

// One OS thread's block.
struct Block {
  Fiber* current;
  dim3 thread_index, index;
  unsigned alive, arrived;
  uint64_t epoch, progress;
  void* launcher;
  std::function<void()>* kernel;
  bool is_hasty;
  const void* barrier;
  std::string fault;
};

extern thread_local Block block;

// In driver.cpp.
extern "C" void emulation_switch(void** save, void* load);

inline void jump(Fiber* to) {
  Fiber* from = block.current;
  if (to == from) return;
  block.current = to;
  emulation_switch(&from->stack_pointer, to->stack_pointer);
}

// Ends the launch from inside a fiber: all fibers of the block are abandoned.
[[noreturn]] inline void fail(const char* what) {
  if (block.fault.empty())
    block.fault = std::string(what) + ", block (" + std::to_string(block.index.x) + ", " +
                  std::to_string(block.index.y) + ", " + std::to_string(block.index.z) + "), thread " +
                  std::to_string(block.current->thread);
  void* abandoned;
  emulation_switch(&abandoned, block.launcher);
  abort();
}

// Gives the CPU away until `is_true`; when nothing moves for many rounds nobody will ever come. In a hasty block a warp
// goes as far ahead of the others as barriers allow, else all keep step.
template <class Condition> inline void wait_for(bool is_of_warp, Condition is_true) {
  uint64_t seen = block.progress;
  for (unsigned rounds = 0; !is_true(); rounds++) {
    jump(is_of_warp && block.is_hasty ? block.current->next_in_warp : block.current->next);
    if (block.progress != seen) {
      seen = block.progress;
      rounds = 0;
    } else if (rounds > 4096) {
      fail("threads wait for each other at a barrier that not all reach");
    }
  }
}

inline void barrier(const void* place) {
  block.progress++;
  const uint64_t epoch = block.epoch;
  if (block.arrived == 0) block.barrier = place;
  if (block.barrier != place) fail("threads of one block are at different barriers");
  if (++block.arrived == block.alive) {
    block.arrived = 0;
    block.epoch++;
    return;
  }
  wait_for(false, [&] { return block.epoch != epoch; });
}

// Each lane leaves what it brings and where it wants the answer; the last to come computes for all.
template <class Compute> inline void collective(int id, const void* in, void* out, Compute compute) {
  Fiber* fiber = block.current;
  Warp& warp = *fiber->warp;
  block.progress++;
  if (warp.alive != ~0u) fail("a matrix instruction in a warp of which lanes have left");
  if (warp.arrived != 0 && warp.collective != id) fail("lanes of one warp are at different collectives");
  warp.collective = id;
  warp.in[fiber->lane] = in;
  warp.out[fiber->lane] = out;
  warp.arrived |= 1u << fiber->lane;
  if (warp.arrived == warp.alive) {
    compute(warp);
    warp.arrived = 0;
    warp.epoch++;
    return;
  }
  const uint64_t epoch = warp.epoch;
  wait_for(true, [&] { return warp.epoch != epoch; });
}

// A kernel with copies of its arguments, ready to be run any number of times, as a graph wants it.
typedef std::function<void()> (*Bind)(void** arguments);
template <class... A, size_t... I>
std::function<void()> bind_each(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  std::tuple<std::remove_cv_t<A>...> values{*(std::remove_cv_t<A>*)arguments[I]...};
  return [=] { std::apply(kernel, values); };
}
template <class... A> std::function<void()> bind(void (*kernel)(A...), void** arguments) {
  return bind_each(kernel, arguments, std::index_sequence_for<A...>{});
}

struct ThreadIndex {
  struct { operator unsigned() const { return block.current->thread; } } x;
};
inline ThreadIndex thread_index;

}  // namespace emulation

#define threadIdx (emulation::thread_index)
#define blockIdx (emulation::block.index)
// Two barriers are the same when they stand at the same place of the source.
#define __syncthreads() emulation::barrier(__FILE__ ":" EFFIGY_LINE(__LINE__))
#define EFFIGY_LINE(line) EFFIGY_TEXT(line)
#define EFFIGY_TEXT(line) #line

inline float to_float(f16 h) { return _cvtsh_ss(h); }
inline f16 to_half(float f) { return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT); }
inline float fast_exp(float x) { return std::exp(x); }
inline float fast_sqrt(float x) { return std::sqrt(x); }

inline void copy_async(uint4* to, const void* from, int n_halves) {
  using namespace emulation;
  if ((((uintptr_t)to | (uintptr_t)from) & 15) != 0) fail("cp.async at an address that is no multiple of 16");
  if (n_halves < 0 || n_halves > 8) fail("cp.async of less than nothing or more than 16 bytes");
  memset((void*)to, 0xff, 16);
  block.current->open_group.push_back({to, from, 2 * n_halves});
}

inline void copy_commit() {
  emulation::Fiber* fiber = emulation::block.current;
  fiber->groups.push_back(std::move(fiber->open_group));
  fiber->open_group.clear();
}

template <int PENDING> inline void copy_wait() {
  emulation::Fiber* fiber = emulation::block.current;
  while (fiber->groups.size() > PENDING) {
    for (const emulation::Copy& copy : fiber->groups.front()) {
      memcpy(copy.to, copy.from, copy.n_bytes);
      memset((char*)copy.to + copy.n_bytes, 0, 16 - copy.n_bytes);
    }
    fiber->groups.erase(fiber->groups.begin());
  }
}

inline void load_matrices(unsigned (&r)[4], const uint4* row) {
  if (((uintptr_t)row & 15) != 0) emulation::fail("ldmatrix at an address that is no multiple of 16");
  emulation::collective(1, row, &r, [](emulation::Warp& warp) {
    for (int matrix = 0; matrix < 4; matrix++)
      for (int lane = 0; lane < 32; lane++)
        memcpy((unsigned*)warp.out[lane] + matrix, (const unsigned*)warp.in[matrix * 8 + lane / 4] + lane % 4, 4);
  });
}

// PTX ISA, "Matrix Fragments for mma.m16n8k16".
inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  struct In { const unsigned* a; unsigned b[2]; } in{a, {b0, b1}};
  emulation::collective(2, &in, &c, [](emulation::Warp& warp) {
    alignas(32) uint16_t a16[16][16], b16[16][8];
    alignas(32) float a32[16][16], b32[16][8], c32[16][8];
    for (int lane = 0; lane < 32; lane++) {
      const In& in = *(const In*)warp.in[lane];
      const float* c = (const float*)warp.out[lane];
      const int group = lane / 4, t = lane % 4;
      for (int k = 0; k < 4; k++) memcpy(&a16[group + k % 2 * 8][t * 2 + k / 2 * 8], &in.a[k], 4);
      for (int k = 0; k < 2; k++) {
        b16[t * 2 + k * 8][group] = (uint16_t)in.b[k];
        b16[t * 2 + k * 8 + 1][group] = (uint16_t)(in.b[k] >> 16);
      }
      for (int k = 0; k < 4; k++) c32[group + k / 2 * 8][t * 2 + k % 2] = c[k];
    }
    for (int i = 0; i < 256; i += 8)
      _mm256_store_ps(&a32[0][0] + i, _mm256_cvtph_ps(_mm_load_si128((const __m128i*)(&a16[0][0] + i))));
    for (int i = 0; i < 128; i += 8)
      _mm256_store_ps(&b32[0][0] + i, _mm256_cvtph_ps(_mm_load_si128((const __m128i*)(&b16[0][0] + i))));
    for (int i = 0; i < 16; i++) {
      __m256 sum = _mm256_load_ps(c32[i]);
      for (int k = 0; k < 16; k++)
        sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_set1_ps(a32[i][k]), _mm256_load_ps(b32[k])));
      _mm256_store_ps(c32[i], sum);
    }
    for (int lane = 0; lane < 32; lane++) {
      float* c = (float*)warp.out[lane];
      for (int k = 0; k < 4; k++) c[k] = c32[lane / 4 + k / 2 * 8][lane % 4 * 2 + k % 2];
    }
  });
}

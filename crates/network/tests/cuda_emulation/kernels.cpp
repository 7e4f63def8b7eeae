// kernels.cpp: all kernels as one library for the CPU. Its thread-local memory is their shared memory: keep it free of
// any other thread_local.
#include "emulation.h"

#include "../../../../kernels/conv2d.cu"
#include "../../../../kernels/finish.cu"
#include "../../../../kernels/motion.cu"
#include "../../../../kernels/raster.cu"
#include "../../../../kernels/upconv2d.cu"
#include "../../../../kernels/warp.cu"
#include "broken.cu"

template <auto KERNEL> static std::function<void()> bind_kernel(void** arguments) {
  return emulation::bind(KERNEL, arguments);
}

static const struct {
  const char* name;
  emulation::Bind bind;
} KERNELS[] = {
    {"conv2d_k3_s1_n16", bind_kernel<conv2d_k3_s1_n16>},
    {"conv2d_k3_s1_n32", bind_kernel<conv2d_k3_s1_n32>},
    {"conv2d_k3_s1_n64", bind_kernel<conv2d_k3_s1_n64>},
    {"conv2d_k3_s2_n16", bind_kernel<conv2d_k3_s2_n16>},
    {"conv2d_k3_s2_n32", bind_kernel<conv2d_k3_s2_n32>},
    {"conv2d_k1_s1_n16", bind_kernel<conv2d_k1_s1_n16>},
    {"conv2d_k1_s1_n32", bind_kernel<conv2d_k1_s1_n32>},
    {"conv2d_k1_s2_n32", bind_kernel<conv2d_k1_s2_n32>},
    {"conv2d_simple", bind_kernel<conv2d_simple>},
    {"upconv2d_n16", bind_kernel<upconv2d_n16>},
    {"upconv2d_n32", bind_kernel<upconv2d_n32>},
    {"upconv2d_n64", bind_kernel<upconv2d_n64>},
    {"upconv2d_simple", bind_kernel<upconv2d_simple>},
    {"warp", bind_kernel<warp>},
    {"motion", bind_kernel<motion>},
    {"raster", bind_kernel<raster>},
    {"finish", bind_kernel<finish>},
    {"right", bind_kernel<right>},
    {"no_barrier", bind_kernel<no_barrier>},
    {"no_wait", bind_kernel<no_wait>},
    {"divergent", bind_kernel<divergent>},
    {"half_a_warp", bind_kernel<half_a_warp>},
    {"misaligned", bind_kernel<misaligned>},
};

extern "C" emulation::Bind emulation_find(const char* name) {
  for (const auto& kernel : KERNELS)
    if (strcmp(kernel.name, name) == 0) return kernel.bind;
  return nullptr;
}

// Makes this thread's copy of the thread-local memory exist.
extern "C" void emulation_touch_shared_memory() {
  static thread_local volatile char one;
  (void)(one = 0);
}

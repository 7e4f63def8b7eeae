// all.cu: all kernels as one program, for the feature `cuda-ptx`.
#include "../conv2d.cu"
#include "../finish.cu"
#include "../motion.cu"
#include "../raster.cu"
#include "../upconv2d.cu"
#include "../warp.cu"

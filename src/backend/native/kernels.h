// The kernels for the instruction set of this processor.
#pragma once

namespace trm {

struct AttentionSizes {
  int batch, positions, heads, size;
};

/** All arrays float32; see the `.inc` files for what each computes. Work is shared between threads. */
struct Kernels {
  void (*attend)(const AttentionSizes&, const float* qkv, const float* cos, const float* sin, float* out);
  void (*attendGrad)(const AttentionSizes&, const float* dy, const float* qkv, const float* cos, const float* sin, float* dqkv);
  void (*addRmsNorm)(const float* x, const float* y, float* normed, float* inverse, int rows, int width, float eps);
  void (*addRmsNormGrad)(const float* dy, const float* normed, const float* inverse, float* dx, int rows, int width);
  void (*gate)(const float* x, float* out, int rows, int width);
  void (*gateGrad)(const float* dy, const float* x, float* dx, int rows, int width);
};

/** Kernels for AVX-512, or for AVX2 and FMA; null where the processor has neither. TRM_NATIVE_KERNELS=avx2 or =off does without the better ones. */
const Kernels* kernels();

}  // namespace trm

// Compiles the kernels once for each instruction set and chooses when it runs.
#include "kernels.h"

#include <immintrin.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "threads.h"

namespace trm {

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
constexpr int kRegisters = 6;
constexpr int kWidest = 2;
#include "vectors.inc"
#include "products.inc"
#include "attention.inc"
#include "elementwise.inc"
#include "shared-out.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
namespace avx512 {
#define TRM_AVX512
constexpr int kRegisters = 24;
constexpr int kWidest = 4;
#include "vectors.inc"
#include "products.inc"
#include "attention.inc"
#include "elementwise.inc"
#include "shared-out.inc"
}  // namespace avx512
#pragma GCC pop_options

const Kernels* kernels() {
  __builtin_cpu_init();
  const char* chosen = std::getenv("TRM_NATIVE_KERNELS");
  const std::string most = chosen ? chosen : "avx512";
  if (most == "off") return nullptr;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq");
  if (wide && most != "avx2") return &avx512::kKernels;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::kKernels : nullptr;
}

}  // namespace trm

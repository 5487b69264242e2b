// Which Highway targets Wengert builds. Include before any Highway header, in every file that uses
// foreach_target.h.
//
// Each target compiles every kernel once more, so the list is short to keep compile time down:
// AVX-512, AVX2 and the baseline on x86, NEON on ARM. A processor between two of them runs the next
// one below.
#ifndef WENGERT_OPS_KERNELS_SIMD_TARGETS_H_
#define WENGERT_OPS_KERNELS_SIMD_TARGETS_H_

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif

#endif  // WENGERT_OPS_KERNELS_SIMD_TARGETS_H_

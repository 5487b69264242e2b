// The matrix products between Winograd's transforms: few rows, both operands packed. Compiled once
// per SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_WINOGRAD_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_WINOGRAD_GEMM_INL_H_
#undef WENGERT_OPS_KERNELS_WINOGRAD_GEMM_INL_H_
#else
#define WENGERT_OPS_KERNELS_WINOGRAD_GEMM_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The vectors of B's rows, and the most rows of C that stay in registers for each number of
// vectors: 24 sums of 32 registers, 12 of 16 (8 without fused multiply-add, where a product needs a
// register too).
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kPanelVectors = 4;
constexpr std::array<int, kPanelVectors> kBlockRows = {12, 12, 8, 6};
#elif HWY_TARGET == HWY_AVX2
constexpr int kPanelVectors = 2;
constexpr std::array<int, kPanelVectors> kBlockRows = {8, 6};
#else
constexpr int kPanelVectors = 2;
constexpr std::array<int, kPanelVectors> kBlockRows = {4, 4};
#endif

// The depth at which four vectors of 64 bytes fill two thirds of L1.
constexpr int64_t kPanelDepth = 128;

// Keeps a loaded vector in its register: g++ would load it again for each of a few uses.
template <class V>
HWY_INLINE void KeepInRegister([[maybe_unused]] V& v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  asm("" : "+v"(v.raw));
#endif
}

// c[kRows, width] (+)= a[kRows, depth] b[depth, width]. Element (r, p) of A is at a[r * a_row + p *
// a_step]; B and C are dense, width = kVectors * lanes.
template <int kRows, int kVectors>
void PanelBlock(int64_t depth, const float* HWY_RESTRICT a, int64_t a_row, int64_t a_step,
                const float* HWY_RESTRICT b, float* HWY_RESTRICT c, bool accumulate) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d)), kWidth = kVectors * kLanes;
  V sums[kRows][kVectors];
  HWY_UNROLL(12) for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = accumulate ? hn::Load(d, c + r * kWidth + v * kLanes) : hn::Zero(d);
    }
  }
  for (int64_t p = 0; p < depth; ++p, a += a_step, b += kWidth) {
    V row[kVectors];
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
      row[v] = hn::Load(d, b + v * kLanes);
      if constexpr (kRows > 1) KeepInRegister(row[v]);
    }
    HWY_UNROLL(12) for (int r = 0; r < kRows; ++r) {
      const V scale = hn::Set(d, a[r * a_row]);
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::MulAdd(scale, row[v], sums[r][v]);
      }
    }
  }
  HWY_UNROLL(12) for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
      hn::Store(sums[r][v], d, c + r * kWidth + v * kLanes);
    }
  }
}

using PanelBlockFunction = void (*)(int64_t, const float*, int64_t, int64_t, const float*, float*,
                                    bool);

template <int kVectors, int... kIndex>
constexpr auto MakePanelBlocks(std::integer_sequence<int, kIndex...>) {
  return std::array{static_cast<PanelBlockFunction>(&PanelBlock<kIndex + 1, kVectors>)...};
}
template <int kVectors>
constexpr auto kPanelBlocks =
    MakePanelBlocks<kVectors>(std::make_integer_sequence<int, kBlockRows[kVectors - 1]>());

// c[m, width] (+)= a[m, k] b[k, width]. The rows are dealt to blocks evenly, so that no block is
// left with one or two.
template <int kVectors>
void MultiplyPanel(int64_t m, int64_t k, const float* a, int64_t a_row, int64_t a_step,
                   const float* b, float* c, bool accumulate = false) {
  const hn::ScalableTag<float> d;
  constexpr int64_t kWidth = kVectors * static_cast<int64_t>(hn::MaxLanes(d));
  constexpr int64_t kRows = kBlockRows[kVectors - 1];
  const int64_t blocks = (m + kRows - 1) / kRows;
  const int64_t fewer = m / blocks, more = m % blocks;  // `more` blocks have one row more
  for (int64_t p = 0; p < k; p += kPanelDepth) {
    const int64_t depth = std::min(kPanelDepth, k - p);
    int64_t row = 0;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t rows = fewer + (i < more);
      kPanelBlocks<kVectors>[rows - 1](depth, a + row * a_row + p * a_step, a_row, a_step,
                                       b + p * kWidth, c + row * kWidth, accumulate || p > 0);
      row += rows;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif

// Copies a piece of a matrix to dense rows, transposing it on the way if need be. Compiled once per
// SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#undef WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#else
#define WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Copies [depth, columns] of B to rows of `width` elements.
template <class T>
void Pack(const T* b, int64_t b_row, int64_t b_column, int64_t depth, int64_t columns,
          int64_t width, T* to) {
  if (b_column == 1) {
    const hn::ScalableTag<T> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t p = 0; p < depth; ++p) {
      for (int64_t j = 0; j < columns; j += lanes) {
        hn::Store(hn::LoadU(d, b + p * b_row + j), d, to + p * width + j);
      }
    }
    return;
  }
  int64_t j = 0;
#if HWY_TARGET != HWY_SCALAR
  if (b_row == 1) {
    // Squares of 128-bit vectors are transposed in registers.
    const hn::Full128<T> d;
    constexpr int64_t kSide = 16 / sizeof(T);
    for (; j + kSide <= columns; j += kSide) {
      const T* const from = b + j * b_column;
      int64_t p = 0;
      for (; p + kSide <= depth; p += kSide) {
        const auto v0 = hn::LoadU(d, from + p), v1 = hn::LoadU(d, from + b_column + p);
        T* const square = to + p * width + j;
        if constexpr (kSide == 4) {
          const auto v2 = hn::LoadU(d, from + 2 * b_column + p);
          const auto v3 = hn::LoadU(d, from + 3 * b_column + p);
          const auto low02 = hn::InterleaveLower(d, v0, v2), low13 = hn::InterleaveLower(d, v1, v3);
          const auto high02 = hn::InterleaveUpper(d, v0, v2);
          const auto high13 = hn::InterleaveUpper(d, v1, v3);
          hn::StoreU(hn::InterleaveLower(d, low02, low13), d, square);
          hn::StoreU(hn::InterleaveUpper(d, low02, low13), d, square + width);
          hn::StoreU(hn::InterleaveLower(d, high02, high13), d, square + 2 * width);
          hn::StoreU(hn::InterleaveUpper(d, high02, high13), d, square + 3 * width);
        } else {
          hn::StoreU(hn::InterleaveLower(d, v0, v1), d, square);
          hn::StoreU(hn::InterleaveUpper(d, v0, v1), d, square + width);
        }
      }
      for (; p < depth; ++p) {
        for (int64_t i = 0; i < kSide; ++i) to[p * width + j + i] = from[i * b_column + p];
      }
    }
  }
#endif
  for (; j < columns; ++j) {
    for (int64_t p = 0; p < depth; ++p) to[p * width + j] = b[p * b_row + j * b_column];
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif

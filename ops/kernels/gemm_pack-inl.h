// Copies a piece of a matrix to dense rows, transposing it on the way if need be. Compiled once per
// SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#undef WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#else
#define WENGERT_OPS_KERNELS_GEMM_PACK_INL_H_
#endif

#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// Transposes 4x4 in each 128-bit block of four vectors of floats: v[r] lane c <-> v[c] lane r.
template <class D>
HWY_INLINE void TransposeBlocks(D d, hn::Vec<D> (&v)[4]) {
  const auto low02 = hn::InterleaveLower(d, v[0], v[2]), low13 = hn::InterleaveLower(d, v[1], v[3]);
  const auto high02 = hn::InterleaveUpper(d, v[0], v[2]);
  const auto high13 = hn::InterleaveUpper(d, v[1], v[3]);
  v[0] = hn::InterleaveLower(d, low02, low13);
  v[1] = hn::InterleaveUpper(d, low02, low13);
  v[2] = hn::InterleaveLower(d, high02, high13);
  v[3] = hn::InterleaveUpper(d, high02, high13);
}

// Copies a vector's worth of columns of `depth` dense elements each, `b_column` apart, to rows.
// Four columns meet in each 128-bit block, so that a row leaves as one store.
inline void PackColumns(const float* b, int64_t b_column, int64_t depth, int64_t width, float* to) {
  const hn::ScalableTag<float> d;
  constexpr int kBlocks = static_cast<int>(hn::MaxLanes(d)) / 4;
  hn::Mask<decltype(d)> from_block[kBlocks];
  for (int k = 0; k < kBlocks; ++k) {
    from_block[k] = hn::Ge(hn::Iota(d, 0), hn::Set(d, static_cast<float>(4 * k)));
  }
  int64_t p = 0;
  for (; p + 4 <= depth; p += 4) {
    hn::Vec<decltype(d)> v[4];
    HWY_UNROLL(4) for (int r = 0; r < 4; ++r) {
      v[r] = hn::LoadDup128(d, b + r * b_column + p);
      HWY_UNROLL(4) for (int k = 1; k < kBlocks; ++k) {
        const auto column = hn::LoadDup128(d, b + (4 * k + r) * b_column + p);
        v[r] = hn::IfThenElse(from_block[k], column, v[r]);
      }
    }
    TransposeBlocks(d, v);
    HWY_UNROLL(4) for (int r = 0; r < 4; ++r) hn::StoreU(v[r], d, to + (p + r) * width);
  }
  for (; p < depth; ++p) {
    for (int i = 0; i < 4 * kBlocks; ++i) to[p * width + i] = b[i * b_column + p];
  }
}
#endif

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
    if constexpr (std::is_same_v<T, float>) {
      constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
      for (; j + kLanes <= columns; j += kLanes) {
        PackColumns(b + j * b_column, b_column, depth, width, to + j);
      }
    }
    // Squares of 128-bit vectors are transposed in registers.
    const hn::Full128<T> d;
    constexpr int64_t kSide = 16 / sizeof(T);
    for (; j + kSide <= columns; j += kSide) {
      const T* const from = b + j * b_column;
      int64_t p = 0;
      for (; p + kSide <= depth; p += kSide) {
        T* const square = to + p * width + j;
        if constexpr (kSide == 4) {
          hn::Vec<decltype(d)> v[4];
          for (int r = 0; r < 4; ++r) v[r] = hn::LoadU(d, from + r * b_column + p);
          TransposeBlocks(d, v);
          for (int r = 0; r < 4; ++r) hn::StoreU(v[r], d, square + r * width);
        } else {
          const auto v0 = hn::LoadU(d, from + p), v1 = hn::LoadU(d, from + b_column + p);
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

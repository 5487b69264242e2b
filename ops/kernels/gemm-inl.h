// What matrix products are made of: a block of C in registers, and the packing of B. Compiled once
// per SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_GEMM_INL_H_
#undef WENGERT_OPS_KERNELS_GEMM_INL_H_
#else
#define WENGERT_OPS_KERNELS_GEMM_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Keeps a loaded vector in its register. Up to three uses g++ would turn into memory operands, and
// the loads, not the arithmetic, would then limit the loop.
template <class V>
HWY_INLINE void Pin([[maybe_unused]] V& v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  asm("" : "+v"(v.raw));
#endif
}

// What a block of rows is multiplied with: `depth` rows of B, dense, and where the sums go.
template <class T>
struct Panel {
  int64_t depth;
  int64_t a_row, a_column;
  const T* b;
  int64_t b_row;
  int64_t c_row;
  int64_t last;     // columns in the last vector
  bool accumulate;  // adds to C instead of storing
};

// c[kRows, kVectors * lanes] (+)= a[kRows, depth] b[depth, kVectors * lanes]. Few sums wait for
// each other's latency, so a small block holds several of each, over every kChains-th row of B.
template <int kRows, int kVectors, class T>
void Block(const Panel<T>& panel, const T* HWY_RESTRICT a, T* HWY_RESTRICT c) {
  constexpr int kSums = kRows * kVectors;
  constexpr int kChains = kSums <= 2 ? 4 : kSums <= 4 ? 2 : 1;
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t a_row = panel.a_row, a_column = panel.a_column, b_row = panel.b_row;
  const T* HWY_RESTRICT b = panel.b;
  V sums[kChains][kRows][kVectors];
  HWY_UNROLL(4) for (int s = 0; s < kChains; ++s) {
    HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) sums[s][r][v] = hn::Zero(d);
    }
  }
  int64_t p = 0;
  for (; p + kChains <= panel.depth; p += kChains) {
    HWY_UNROLL(4) for (int s = 0; s < kChains; ++s) {
      V row[kVectors];
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
        row[v] = hn::LoadU(d, b + v * lanes);
        if constexpr (kRows > 1) Pin(row[v]);
      }
      HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
        const V scale = hn::Set(d, a[r * a_row]);
        HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
          sums[s][r][v] = hn::MulAdd(scale, row[v], sums[s][r][v]);
        }
      }
      a += a_column;
      b += b_row;
    }
  }
  if constexpr (kChains > 1) {
    for (; p < panel.depth; ++p) {
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
        const V row = hn::LoadU(d, b + v * lanes);
        HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
          sums[0][r][v] = hn::MulAdd(hn::Set(d, a[r * a_row]), row, sums[0][r][v]);
        }
      }
      a += a_column;
      b += b_row;
    }
    HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
        if constexpr (kChains == 4) {
          sums[0][r][v] = hn::Add(sums[0][r][v], sums[2][r][v]);
          sums[1][r][v] = hn::Add(sums[1][r][v], sums[3][r][v]);
        }
        sums[0][r][v] = hn::Add(sums[0][r][v], sums[1][r][v]);
      }
    }
  }
  const bool whole = panel.last == lanes, accumulate = panel.accumulate;
  const int64_t c_row = panel.c_row;
  const auto mask = hn::FirstN(d, static_cast<size_t>(panel.last));
  HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
      T* const to = c + v * lanes;
      V sum = sums[0][r][v];
      if (v + 1 < kVectors || whole) {
        if (accumulate) sum = hn::Add(sum, hn::LoadU(d, to));
        hn::StoreU(sum, d, to);
      } else {
        if (accumulate) sum = hn::Add(sum, hn::MaskedLoad(mask, d, to));
        hn::BlendedStore(sum, mask, d, to);
      }
    }
    c += c_row;
  }
}

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

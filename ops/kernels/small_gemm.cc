// Register-blocked matrix products, compiled once per SIMD target. The method is that of K. Goto
// and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (2008),
// without its copies where a product is too small for them to pay.
#include "ops/kernels/small_gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/small_gemm.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The block of C that stays in registers: of 32 of them, 24 hold sums; of 16, 12 (8 without fused
// multiply-add, where a product needs a register too).
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kMaxRows = 8, kMaxVectors = 3, kDotRows = 4;
#elif HWY_TARGET == HWY_AVX2
constexpr int kMaxRows = 4, kMaxVectors = 3, kDotRows = 2;
#else
constexpr int kMaxRows = 4, kMaxVectors = 2, kDotRows = 2;
#endif

// The depth of a packed panel of B: at three vectors of 64 bytes it takes half of L1.
constexpr int64_t kPanelDepth = 128;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
using BlockFunction = void (*)(const Panel<T>&, const T*, T*);

template <class T, int... kIndex>
constexpr auto MakeBlocks(std::integer_sequence<int, kIndex...>) {
  struct Table {
    BlockFunction<T> of[kMaxRows * kMaxVectors];
  };
  return Table{{&Block<kIndex / kMaxVectors + 1, kIndex % kMaxVectors + 1, T>...}};
}
template <class T>
constexpr auto kBlocks = MakeBlocks<T>(std::make_integer_sequence<int, kMaxRows * kMaxVectors>());

// All rows of A times a panel of `vectors` vectors. The rows are dealt to blocks evenly, so that no
// block is left with one or two.
template <class T>
void MultiplyPanel(const GemmArguments<T>& g, const Panel<T>& panel, int64_t vectors, const T* a,
                   T* c) {
  const int64_t blocks = CeilDiv(g.m, kMaxRows);
  const int64_t fewer = g.m / blocks, more = g.m % blocks;  // `more` blocks have one row more
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t rows = fewer + (i < more);
    kBlocks<T>.of[(rows - 1) * kMaxVectors + vectors - 1](panel, a, c);
    a += rows * g.a_row;
    c += rows * g.c_row;
  }
}

// By blocks of C. B is read in place or through packed panels; then kPanelDepth columns of A at a
// time meet all of them, and stay in L2.
template <class T>
void ByPanels(const GemmArguments<T>& g, bool pack) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  const int64_t vectors_in_all = CeilDiv(g.n, kLanes);
  const int64_t panels = CeilDiv(vectors_in_all, kMaxVectors);
  HWY_ALIGN T packed[kPanelDepth * kMaxVectors * kLanes];
  const int64_t depth_at_once = pack ? kPanelDepth : g.k;
  for (int64_t p = 0; p < g.k; p += depth_at_once) {
    int64_t column = 0, vectors_left = vectors_in_all;
    for (int64_t panels_left = panels; panels_left > 0; --panels_left) {
      const int64_t vectors = CeilDiv(vectors_left, panels_left);  // dealt evenly, as the rows are
      const int64_t columns = std::min(vectors * kLanes, g.n - column);
      Panel<T> panel{.depth = std::min(depth_at_once, g.k - p),
                     .a_row = g.a_row,
                     .a_column = g.a_column,
                     .b = g.b + p * g.b_row + column * g.b_column,
                     .b_row = g.b_row,
                     .c_row = g.c_row,
                     .last = columns - (vectors - 1) * kLanes,
                     .accumulate = p > 0};
      if (pack) {
        Pack(panel.b, g.b_row, g.b_column, panel.depth, columns, vectors * kLanes, packed);
        panel.b = packed;
        panel.b_row = vectors * kLanes;
      }
      MultiplyPanel(g, panel, vectors, g.a + p * g.a_column, g.c + column);
      column += columns;
      vectors_left -= vectors;
    }
  }
}

// The sums of the lanes of four vectors, stored side by side.
template <class D, class V, class T>
HWY_INLINE void StoreSums(D d, const V (&sums)[4], T* to) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(d) * sizeof(T) > 16) {
    const hn::Half<D> half;
    hn::Vec<decltype(half)> halves[4];
    HWY_UNROLL(4) for (int j = 0; j < 4; ++j) {
      halves[j] = hn::Add(hn::LowerHalf(half, sums[j]), hn::UpperHalf(half, sums[j]));
    }
    return StoreSums(half, halves, to);
  } else if constexpr (hn::MaxLanes(d) == 4) {
    const auto even =
        hn::Add(hn::InterleaveLower(d, sums[0], sums[2]), hn::InterleaveUpper(d, sums[0], sums[2]));
    const auto odd =
        hn::Add(hn::InterleaveLower(d, sums[1], sums[3]), hn::InterleaveUpper(d, sums[1], sums[3]));
    return hn::StoreU(hn::Add(hn::InterleaveLower(d, even, odd), hn::InterleaveUpper(d, even, odd)),
                      d, to);
  }
#endif
  HWY_UNROLL(4) for (int j = 0; j < 4; ++j) to[j] = hn::GetLane(hn::SumOfLanes(d, sums[j]));
}

// c[kRows, kColumns] = a[kRows, k] b[k, kColumns] by inner products: both are dense along k.
template <int kRows, int kColumns, class T>
HWY_INLINE void DotBlock(const GemmArguments<T>& g, const T* HWY_RESTRICT a,
                         const T* HWY_RESTRICT b, T* HWY_RESTRICT c) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kRows][kColumns];
  HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) sums[r][j] = hn::Zero(d);
  }
  const auto add_products = [&](int64_t p, auto load) HWY_ATTR {
    V column[kColumns];
    HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) {
      column[j] = load(b + j * g.b_column + p);
      if constexpr (kRows > 1) Pin(column[j]);
    }
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
      const V row = load(a + r * g.a_row + p);
      HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) {
        sums[r][j] = hn::MulAdd(row, column[j], sums[r][j]);
      }
    }
  };
  int64_t p = 0;
  for (; p + lanes <= g.k; p += lanes) {
    add_products(p, [&](const T* from) HWY_ATTR { return hn::LoadU(d, from); });
  }
  if (p < g.k) {
    const auto mask = hn::FirstN(d, static_cast<size_t>(g.k - p));
    add_products(
        p, [&](const T* from) HWY_ATTR { return hn::IfThenElseZero(mask, hn::LoadU(d, from)); });
  }
  HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
    if constexpr (kColumns == 4) {
      StoreSums(d, sums[r], c + r * g.c_row);
    } else {
      c[r * g.c_row] = hn::GetLane(hn::SumOfLanes(d, sums[r][0]));
    }
  }
}

template <int kRows, class T>
void DotRows(const GemmArguments<T>& g, const T* a, T* c) {
  int64_t j = 0;
  for (; j + 4 <= g.n; j += 4) DotBlock<kRows, 4>(g, a, g.b + j * g.b_column, c + j);
  for (; j < g.n; ++j) DotBlock<kRows, 1>(g, a, g.b + j * g.b_column, c + j);
}

template <class T>
void ByDots(const GemmArguments<T>& g) {
  constexpr auto kRowsTable = [] {
    if constexpr (kDotRows == 4) {
      return std::array{&DotRows<1, T>, &DotRows<2, T>, &DotRows<3, T>, &DotRows<4, T>};
    } else {
      return std::array{&DotRows<1, T>, &DotRows<2, T>};
    }
  }();
  for (int64_t i = 0; i < g.m; i += kDotRows) {
    kRowsTable[std::min<int64_t>(kDotRows, g.m - i) - 1](g, g.a + i * g.a_row, g.c + i * g.c_row);
  }
}

template <class T>
void Run(GemmArguments<T> g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    for (int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_row, g.n, T{0});
    return;
  }
  if (g.n == 1 && g.c_row == 1) {
    // A column of C is as dense as a row: with the operands swapped the vectors run along it.
    std::swap(g.m, g.n);
    std::swap(g.a, g.b);
    std::swap(g.a_row, g.b_column);
    std::swap(g.a_column, g.b_row);
  }
  if (g.b_column == 1) {
    // Rows of B that are a page apart compete for the same lines of L1.
    const int64_t row_bytes = g.b_row * static_cast<int64_t>(sizeof(T));
    ByPanels(g, g.m >= (row_bytes >= 4096 ? 32 : 128) && g.k * row_bytes > 32768);
  } else if (g.b_row == 1 && g.a_column == 1 && g.m <= (g.k >= 64 ? 16 : 4)) {
    ByDots(g);
  } else {
    ByPanels(g, true);
  }
}

}  // namespace

void SmallGemmFloat(const GemmArguments<float>& g) { Run(g); }
void SmallGemmDouble(const GemmArguments<double>& g) { Run(g); }

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(SmallGemmFloat);
HWY_EXPORT(SmallGemmDouble);

void SmallGemm(const GemmArguments<float>& g) { HWY_DYNAMIC_DISPATCH(SmallGemmFloat)(g); }
void SmallGemm(const GemmArguments<double>& g) { HWY_DYNAMIC_DISPATCH(SmallGemmDouble)(g); }

}  // namespace wengert
#endif  // HWY_ONCE

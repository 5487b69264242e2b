// Register-blocked matrix products, compiled once per SIMD target. The method is that of K. Goto
// and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (2008),
// without its copies where a product is too small for them to pay.
#include "ops/kernels/small_gemm.h"

#include <algorithm>
#include <utility>

#include "tensor/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/small_gemm.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/gemm_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The block of C that stays in registers: of 32 of them, 24 hold sums; of 16, 12 (8 without fused
// multiply-add, where a product needs a register too).
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kMaxRows = 8, kMaxVectors = 3, kDotRows = 6;
#elif HWY_TARGET == HWY_AVX2
constexpr int kMaxRows = 4, kMaxVectors = 3, kDotRows = 2;
#else
constexpr int kMaxRows = 4, kMaxVectors = 2, kDotRows = 2;
#endif

// The depth of a packed panel of B: at three vectors of 64 bytes it takes half of L1.
constexpr int64_t kPanelDepth = kGemmPanelDepth;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

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
// each other's latency, so a small block holds several of each, over every kChains-th row of B,
// unless it is to add up as a large one does.
template <int kRows, int kVectors, class T, bool kOneChain>
void Block(const Panel<T>& panel, const T* HWY_RESTRICT a, T* HWY_RESTRICT c) {
  constexpr int kSums = kRows * kVectors;
  constexpr int kChains = kOneChain || kSums > 4 ? 1 : kSums > 2 ? 2 : 4;
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t a_row = panel.a_row, a_column = panel.a_column, b_row = panel.b_row;
  const T* HWY_RESTRICT b = panel.b;
  V sums[kChains][kRows][kVectors];
  HWY_UNROLL(4) for (int s = 0; s < kChains; ++s) {
    HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) sums[s][r][v] = hn::Zero(d);
    }
  }
  int64_t p = 0;
  for (; p + kChains <= panel.depth; p += kChains) {
    HWY_UNROLL(4) for (int s = 0; s < kChains; ++s) {
      V row[kVectors];
      HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) {
        row[v] = hn::LoadU(d, b + v * lanes);
        if constexpr (kRows > 1) Pin(row[v]);
      }
      HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
        const V scale = hn::Set(d, a[r * a_row]);
        HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) {
          sums[s][r][v] = hn::MulAdd(scale, row[v], sums[s][r][v]);
        }
      }
      a += a_column;
      b += b_row;
    }
  }
  if constexpr (kChains > 1) {
    for (; p < panel.depth; ++p) {
      HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) {
        const V row = hn::LoadU(d, b + v * lanes);
        HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
          sums[0][r][v] = hn::MulAdd(hn::Set(d, a[r * a_row]), row, sums[0][r][v]);
        }
      }
      a += a_column;
      b += b_row;
    }
    HWY_UNROLL(8) for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) {
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
    HWY_UNROLL(3) for (int v = 0; v < kVectors; ++v) {
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

template <class T>
using BlockFunction = void (*)(const Panel<T>&, const T*, T*);

// The block of kRows by kVectors; large ones have one chain anyway.
template <int kRows, int kVectors, class T, bool kOneChain>
constexpr BlockFunction<T> kBlock = &Block<kRows, kVectors, T, kOneChain && kRows * kVectors <= 4>;

template <class T, bool kOneChain, int... kIndex>
constexpr auto MakeBlocks(std::integer_sequence<int, kIndex...>) {
  struct Table {
    BlockFunction<T> of[kMaxRows * kMaxVectors];
  };
  return Table{{kBlock<kIndex / kMaxVectors + 1, kIndex % kMaxVectors + 1, T, kOneChain>...}};
}
template <class T, bool kOneChain>
constexpr auto kBlocks =
    MakeBlocks<T, kOneChain>(std::make_integer_sequence<int, kMaxRows * kMaxVectors>());

// All rows of A times a panel of `vectors` vectors. The rows are dealt to blocks evenly, so that no
// block is left with one or two.
template <class T>
void MultiplyPanel(const GemmArguments<T>& g, const Panel<T>& panel, int64_t vectors, const T* a,
                   T* c) {
  const int64_t blocks = CeilDiv(g.m, kMaxRows);
  const int64_t fewer = g.m / blocks, more = g.m % blocks;  // `more` blocks have one row more
  const BlockFunction<T>* const of = g.rows_alike ? kBlocks<T, true>.of : kBlocks<T, false>.of;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t rows = fewer + (i < more);
    of[(rows - 1) * kMaxVectors + vectors - 1](panel, a, c);
    a += rows * g.a_row;
    c += rows * g.c_row;
  }
}

// Panels of B, side by side, dealt evenly as the rows are: calls f(column, vectors) for each.
template <class F>
HWY_INLINE void ForPanels(int64_t vectors_left, int64_t lanes, const F& f) {
  int64_t column = 0;
  for (int64_t left = CeilDiv(vectors_left, kMaxVectors); left > 0; --left) {
    const int64_t vectors = CeilDiv(vectors_left, left);
    f(column, vectors);
    column += vectors * lanes;
    vectors_left -= vectors;
  }
}

// Copies [depth, n] of B to panels, one after the other, each with rows of whole vectors.
template <class T>
void PackPanels(const GemmArguments<T>& g, const T* b, int64_t depth, int64_t vectors_in_all,
                T* to) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  if (g.b_column != 1) {
    ForPanels(vectors_in_all, kLanes, [&](int64_t column, int64_t vectors) HWY_ATTR {
      const int64_t width = vectors * kLanes;
      Pack(b + column * g.b_column, g.b_row, g.b_column, depth, std::min(width, g.n - column),
           width, to + column * depth);
    });
    return;
  }
  // Row by row of B: its columns, often a page apart, would be read from far away.
  for (int64_t p = 0; p < depth; ++p) {
    const T* const row = b + p * g.b_row;
    ForPanels(vectors_in_all, kLanes, [&](int64_t column, int64_t vectors) HWY_ATTR {
      T* const panel_row = to + column * depth + p * vectors * kLanes;
      for (int64_t v = 0; v < vectors; ++v) {
        hn::Store(hn::LoadU(d, row + column + v * kLanes), d, panel_row + v * kLanes);
      }
    });
  }
}

// By blocks of C. B is read in place, or from panels as deep as it that exist already, or through
// panels packed here; then kPanelDepth rows of it at a time, and as many columns of A, stay in L2.
enum class Panels { kInPlace, kPacked, kPack };
template <class T>
void ByPanels(const GemmArguments<T>& g, Panels panels) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  const int64_t vectors_in_all = CeilDiv(g.n, kLanes);
  const bool pack = panels == Panels::kPack, in_place = panels == Panels::kInPlace;
  const int64_t depth_at_once = pack ? kPanelDepth : g.k;
  HWY_ALIGN T on_stack[kPanelDepth * kMaxVectors * kLanes];
  T* packed = on_stack;
  StoragePtr storage;
  if (pack && vectors_in_all > kMaxVectors) {
    storage =
        StoragePtr::Allocate(std::min(kPanelDepth, g.k) * vectors_in_all * kLanes * sizeof(T));
    packed = reinterpret_cast<T*>(storage->data());
  }
  for (int64_t p = 0; p < g.k; p += depth_at_once) {
    const int64_t depth = std::min(depth_at_once, g.k - p);
    if (pack) PackPanels(g, g.b + p * g.b_row, depth, vectors_in_all, packed);
    ForPanels(vectors_in_all, kLanes, [&](int64_t column, int64_t vectors) {
      const int64_t columns = std::min(vectors * kLanes, g.n - column);
      const Panel<T> panel{.depth = depth,
                           .a_row = g.a_row,
                           .a_column = g.a_column,
                           .b = in_place ? g.b + column : (pack ? packed : g.b) + column * depth,
                           .b_row = in_place ? g.b_row : vectors * kLanes,
                           .c_row = g.c_row,
                           .last = columns - (vectors - 1) * kLanes,
                           .accumulate = g.accumulate || p > 0};
      MultiplyPanel(g, panel, vectors, g.a + p * g.a_column, g.c + column);
    });
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
void DotBlock(const GemmArguments<T>& g, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b,
              T* HWY_RESTRICT c) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kRows][kColumns];
  HWY_UNROLL(6) for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) sums[r][j] = hn::Zero(d);
  }
  const auto add_products = [&](int64_t p, auto load) HWY_ATTR {
    V column[kColumns];
    HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) {
      column[j] = load(b + j * g.b_column + p);
      if constexpr (kRows > 1) Pin(column[j]);
    }
    HWY_UNROLL(6) for (int r = 0; r < kRows; ++r) {
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
  HWY_UNROLL(6) for (int r = 0; r < kRows; ++r) {
    if constexpr (kColumns == 4) {
      StoreSums(d, sums[r], c + r * g.c_row);
    } else {
      c[r * g.c_row] = hn::GetLane(hn::SumOfLanes(d, sums[r][0]));
    }
  }
}

template <int kColumns, class T, int... kIndex>
void DotColumns(const GemmArguments<T>& g, const T* b, T* c,
                std::integer_sequence<int, kIndex...>) {
  using Function = void (*)(const GemmArguments<T>&, const T*, const T*, T*);
  static constexpr Function kBlocks[] = {&DotBlock<kIndex + 1, kColumns, T>...};
  const int64_t blocks = CeilDiv(g.m, kDotRows);
  const int64_t fewer = g.m / blocks, more = g.m % blocks;  // `more` blocks have one row more
  const T* a = g.a;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t rows = fewer + (i < more);
    kBlocks[rows - 1](g, a, b, c);
    a += rows * g.a_row;
    c += rows * g.c_row;
  }
}

// Four columns of B at a time stay in L1 while the rows of A go by.
template <class T>
void ByDots(const GemmArguments<T>& g) {
  constexpr auto kRows = std::make_integer_sequence<int, kDotRows>();
  int64_t j = 0;
  for (; j + 4 <= g.n; j += 4) DotColumns<4>(g, g.b + j * g.b_column, g.c + j, kRows);
  for (; j < g.n; ++j) DotColumns<1>(g, g.b + j * g.b_column, g.c + j, kRows);
}

template <class T>
void Run(GemmArguments<T> g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    if (g.accumulate) return;
    for (int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_row, g.n, T{0});
    return;
  }
  if (g.b_packed) return ByPanels(g, Panels::kPacked);
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
    const bool pack = g.m >= (row_bytes >= 4096 ? 32 : 128) && g.k * row_bytes > 32768;
    ByPanels(g, pack ? Panels::kPack : Panels::kInPlace);
  } else if (g.b_row == 1 && g.a_column == 1 && g.m <= (g.k >= 512 ? 128 : g.k >= 64 ? 16 : 4)) {
    ByDots(g);
  } else {
    ByPanels(g, Panels::kPack);
  }
}

}  // namespace

void SmallGemmFloat(const GemmArguments<float>& g) { Run(g); }
void SmallGemmDouble(const GemmArguments<double>& g) { Run(g); }
void PackBTarget(const GemmArguments<float>& g, float* to) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
  PackPanels(g, g.b, g.k, CeilDiv(g.n, kLanes), to);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(SmallGemmFloat);
HWY_EXPORT(SmallGemmDouble);
HWY_EXPORT(PackBTarget);

void SmallGemm(const GemmArguments<float>& g) { HWY_DYNAMIC_DISPATCH(SmallGemmFloat)(g); }
void SmallGemm(const GemmArguments<double>& g) { HWY_DYNAMIC_DISPATCH(SmallGemmDouble)(g); }
void PackB(const GemmArguments<float>& g, float* to) { HWY_DYNAMIC_DISPATCH(PackBTarget)(g, to); }

}  // namespace wengert
#endif  // HWY_ONCE

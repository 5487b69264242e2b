// Sums: lanes in fixed blocks, rows and columns.
#include "ops/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ops/kernels/rows.h"
#include "ops/kernels/sum_functions.h"
#include "tensor/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/reduce.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The sum of a vector's lanes.
template <class D, class V, class T = hn::TFromD<D>>
HWY_INLINE Wide<T> SumLanes([[maybe_unused]] D d, V v) {
#if HWY_TARGET == HWY_SCALAR
  return hn::GetLane(v);
#else
  if constexpr (std::is_same_v<T, float>) {
    const hn::Repartition<double, D> dd;
    const hn::Half<D> half;
    return hn::GetLane(hn::SumOfLanes(dd, hn::Add(hn::PromoteTo(dd, hn::LowerHalf(half, v)),
                                                  hn::PromoteTo(dd, hn::UpperHalf(half, v)))));
  } else if constexpr (std::is_same_v<T, double>) {
    return hn::GetLane(hn::SumOfLanes(d, v));
  } else {
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    hn::Store(v, d, lanes);
    Total<T> total = {};
    for (size_t i = 0; i < hn::Lanes(d); ++i) total.Add(lanes[i]);
    return total.Result();
  }
#endif
}

// Lanes past `n` read what follows in memory, which a tensor's buffer has, and count as 0.
template <class T>
HWY_INLINE Wide<T> BlockSum(const T* HWY_RESTRICT x, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = hn::Add(s0, hn::LoadU(d, x + i));
    s1 = hn::Add(s1, hn::LoadU(d, x + i + lanes));
    s2 = hn::Add(s2, hn::LoadU(d, x + i + 2 * lanes));
    s3 = hn::Add(s3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) s0 = hn::Add(s0, hn::LoadU(d, x + i));
  if (i < n) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(n - i));
    s1 = hn::Add(s1, hn::IfThenElseZero(inside, hn::LoadU(d, x + i)));
  }
  return SumLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

template <class T>
Wide<T> RowSum(const T* x, int64_t n) {
  Total<Wide<T>> total = {};
  for (int64_t i = 0; i < n; i += kSumBlock) total.Add(BlockSum(x + i, std::min(kSumBlock, n - i)));
  return total.Result();
}

template <class T>
void AddRows(const T* HWY_RESTRICT x, int64_t rows, int64_t stride, int64_t width,
             T* HWY_RESTRICT buffer) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t r = 0;
  // Four rows at a time: fewer passes over the buffer.
  for (; r + 4 <= rows; r += 4, x += 4 * stride) {
    for (int64_t c = 0; c < width; c += lanes) {
      const auto a = hn::Add(hn::LoadU(d, x + c), hn::LoadU(d, x + stride + c));
      const auto b = hn::Add(hn::LoadU(d, x + 2 * stride + c), hn::LoadU(d, x + 3 * stride + c));
      hn::Store(hn::Add(hn::Load(d, buffer + c), hn::Add(a, b)), d, buffer + c);
    }
  }
  for (; r < rows; ++r, x += stride) {
    for (int64_t c = 0; c < width; c += lanes) {
      hn::Store(hn::Add(hn::Load(d, buffer + c), hn::LoadU(d, x + c)), d, buffer + c);
    }
  }
}

template <class T>
void Fold(const T* HWY_RESTRICT x, int64_t n, Wide<T>* HWY_RESTRICT sums,
          [[maybe_unused]] Wide<T>* HWY_RESTRICT lost) {
  const hn::ScalableTag<Wide<T>> d;
  for (int64_t j = 0; j < n; j += static_cast<int64_t>(hn::Lanes(d))) {
    const auto sum = hn::Load(d, sums + j);
    if constexpr (std::is_same_v<T, float>) {
      const hn::Rebind<float, hn::ScalableTag<double>> narrow;
      hn::Store(hn::Add(sum, hn::PromoteTo(d, hn::LoadU(narrow, x + j))), d, sums + j);
    } else {
      const auto v = hn::LoadU(d, x + j);
      const auto next = hn::Add(sum, v);
      hn::Store(next, d, sums + j);
      if constexpr (std::is_same_v<T, double>) {
        const auto of_v = hn::Sub(next, sum);
        const auto error = hn::Add(hn::Sub(sum, hn::Sub(next, of_v)), hn::Sub(v, of_v));
        hn::Store(hn::Add(hn::Load(d, lost + j), error), d, lost + j);
      }
    }
  }
}

template <class T>
void Fill(SumFunctions<T>& functions) {
  functions = {&RowSum<T>, &AddRows<T>, &Fold<T>};
}

}  // namespace

void FillSumTable(SumTable& table) {
  std::apply([](auto&... functions) { (Fill(functions), ...); }, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(FillSumTable);

template <class T>
const SumFunctions<T>& GetSumFunctions() {
  static const SumTable& table = []() -> const SumTable& {
    auto* made = new SumTable;
    HWY_DYNAMIC_DISPATCH(FillSumTable)(*made);
    return *made;
  }();
  return std::get<SumFunctions<T>>(table);
}
template const SumFunctions<uint8_t>& GetSumFunctions();
template const SumFunctions<int32_t>& GetSumFunctions();
template const SumFunctions<int64_t>& GetSumFunctions();
template const SumFunctions<float>& GetSumFunctions();
template const SumFunctions<double>& GetSumFunctions();

namespace {

constexpr int64_t kTask = kSumTask;

struct Dim {
  int64_t length, stride;
};
struct DimList {
  Dim dims[kMaxRank] = {};
  int size = 0;

  const Dim& back() const { return dims[size - 1]; }
  bool IsUnit() const { return size > 0 && back().stride == 1; }
};

// The axes of x that are reduced (or kept), without those of length 1, neighbours merged where
// strides allow.
DimList MergedDims(const Tensor& x, uint32_t axes, bool reduced) {
  DimList list;
  for (int i = 0; i < x.rank(); ++i) {
    const Dim dim = {x.shape()[i], x.strides()[i]};
    if ((axes >> i & 1) != reduced || dim.length == 1) continue;
    if (list.size > 0 && list.back().stride == dim.length * dim.stride) {
      list.dims[list.size - 1] = {list.back().length * dim.length, dim.stride};
    } else {
      list.dims[list.size++] = dim;
    }
  }
  return list;
}

// y[o] = sum over r of x[o * outer.stride + r].
template <class T>
void SumRows(const T* x, Dim outer, int64_t count, T* y) {
  const auto& row_sum = GetSumFunctions<T>().row_sum;
  const int64_t pieces = PiecesOf(count, kTask);
  std::vector<Wide<T>> sums(pieces > 1 ? outer.length * pieces : 0);
  ForPieces(outer.length, count, kTask, [&](int64_t i, int64_t o, int64_t begin, int64_t length) {
    const Wide<T> sum = row_sum(x + o * outer.stride + begin, length);
    if (pieces > 1) {
      sums[i] = sum;
    } else {
      y[o] = static_cast<T>(sum);
    }
  });
  if (pieces == 1) return;
  for (int64_t o = 0; o < outer.length; ++o) {
    Total<Wide<T>> total = {};
    for (int64_t i = 0; i < pieces; ++i) total.Add(sums[o * pieces + i]);
    y[o] = static_cast<T>(total.Result());
  }
}

// y[o, c] = sum over r of x[o * outer.stride + r * count.stride + c], c < inner.
template <class T>
void SumColumns(const T* x, Dim outer, Dim count, int64_t inner, T* y) {
  const int64_t strips = CeilDiv(inner, kSumStrip), strip_width = std::min(inner, kSumStrip);
  const ColumnPieces cut(count.length, inner, /*gaps=*/count.stride != inner);
  const int64_t pieces = cut.pieces, total = outer.length * strips * pieces;
  // Short columns share a task.
  const int64_t each =
      std::max<int64_t>(1, kTask / (std::min(cut.piece, count.length) * strip_width));
  std::vector<Wide<T>> sums(pieces > 1 ? total * strip_width : 0);
  const auto store = [&](int64_t i, const auto& sum_of) {  // i: of all strips of all of outer
    const int64_t first = i % strips * kSumStrip, width = std::min(kSumStrip, inner - first);
    T* to = y + i / strips * inner + first;
    for (int64_t c = 0; c < width; ++c) to[c] = static_cast<T>(sum_of(c));
  };
  ParallelFor(CeilDiv(total, each), [&](int64_t task) {
    Wide<T> own_sums[kSumStrip];
    const int64_t end = std::min(total, (task + 1) * each);
    for (int64_t i = task * each; i < end; ++i) {
      const int64_t o = i / pieces / strips, first = i / pieces % strips * kSumStrip;
      const int64_t width = std::min(kSumStrip, inner - first), begin = i % pieces * cut.piece;
      const int64_t rows = std::min(cut.piece, count.length - begin);
      Wide<T>* const to = pieces > 1 ? sums.data() + i * strip_width : own_sums;
      ColumnSum<T> sum(rows, count.stride * cut.group, cut.group, width);
      sum.Add(x + o * outer.stride + begin * count.stride + first, CeilDiv(rows, cut.group));
      sum.Result(to);
      if (pieces == 1) store(i, [&](int64_t c) { return to[c]; });
    }
  });
  if (pieces == 1) return;
  for (int64_t i = 0; i < outer.length * strips; ++i) {
    store(i, [&](int64_t c) {
      Total<Wide<T>> column = {};
      for (int64_t p = 0; p < pieces; ++p) column.Add(sums[(i * pieces + p) * strip_width + c]);
      return column.Result();
    });
  }
}

template <class T>
void SumOver(const Tensor& x, uint32_t axes, Tensor& y) {
  const T* data = x.data<T>();
  T* result = y.mutable_data<T>();
  const DimList kept = MergedDims(x, axes, false), reduced = MergedDims(x, axes, true);
  if (reduced.size == 1 && reduced.IsUnit() && kept.size <= 1) {
    return SumRows<T>(data, kept.size == 1 ? kept.dims[0] : Dim{1, 0}, reduced.dims[0].length,
                      result);
  }
  if (reduced.size == 1 && kept.IsUnit() && kept.size <= 2) {
    return SumColumns<T>(data, kept.size == 2 ? kept.dims[0] : Dim{1, 0}, reduced.dims[0],
                         kept.back().length, result);
  }
  const Tensor rows = RowsOf(x, axes);
  SumRows<T>(rows.data<T>(), {rows.dim(0), rows.strides()[0]}, rows.dim(1), result);
}

}  // namespace

void SumKernel(const Tensor& x, uint32_t axes, Tensor& y) {
  if (x.size() == 0) return y.Fill(0);
  DispatchDType(x.dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      throw Error("sum", "of bools: convert them to a number type first");
    } else {
      SumOver<T>(x, axes, y);
    }
  });
}

}  // namespace wengert
#endif  // HWY_ONCE

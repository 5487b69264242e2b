// Extremes and where they stand.
#include <algorithm>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ops/kernels/reduce.h"
#include "ops/kernels/rows.h"

#ifndef WENGERT_OPS_KERNELS_EXTREME_TYPES_
#define WENGERT_OPS_KERNELS_EXTREME_TYPES_
namespace wengert {

// The position of the first largest or smallest of x[0, n), n > 0; of the first NaN, if any.
template <class T>
using ExtremeFunction = int64_t (*)(const T* x, int64_t n, bool largest);
using ExtremeTable =
    std::tuple<ExtremeFunction<uint8_t>, ExtremeFunction<int32_t>, ExtremeFunction<int64_t>,
               ExtremeFunction<float>, ExtremeFunction<double>>;

// True if x takes the place of the best one so far. False for ties; true for the first NaN.
template <bool kLargest, class T>
bool Beats(T x, T best) {
  return !(kLargest ? x <= best : x >= best) && best == best;
}

}  // namespace wengert
#endif  // WENGERT_OPS_KERNELS_EXTREME_TYPES_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/extreme.cc"
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

template <bool kLargest, class T>
int64_t FirstExtreme(const T* HWY_RESTRICT x, int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    // The value first, then where it stands.
    const hn::ScalableTag<T> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    if (n >= lanes) {
      auto best = hn::LoadU(d, x);
      auto ordered = hn::Eq(best, best);
      for (int64_t i = lanes; i < n; i += lanes) {
        const auto v = hn::LoadU(d, x + std::min(i, n - lanes));
        best = kLargest ? hn::Max(best, v) : hn::Min(best, v);
        ordered = hn::And(ordered, hn::Eq(v, v));
      }
      const bool has_nan = !hn::AllTrue(d, ordered);
      best = kLargest ? hn::MaxOfLanes(d, best) : hn::MinOfLanes(d, best);
      for (int64_t i = 0;; i += lanes) {
        i = std::min(i, n - lanes);
        const auto v = hn::LoadU(d, x + i);
        const auto found = has_nan ? hn::IsNaN(v) : hn::Eq(v, best);
        if (!hn::AllFalse(d, found)) return i + hn::FindFirstTrue(d, found);
      }
    }
  }
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (Beats<kLargest>(x[i], x[best])) best = i;
  }
  return best;
}

template <class T>
int64_t Extreme(const T* x, int64_t n, bool largest) {
  return largest ? FirstExtreme<true>(x, n) : FirstExtreme<false>(x, n);
}

}  // namespace

void FillExtremeTable(ExtremeTable& table) {
  table = {&Extreme<uint8_t>, &Extreme<int32_t>, &Extreme<int64_t>, &Extreme<float>,
           &Extreme<double>};
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(FillExtremeTable);

namespace {

constexpr int64_t kTask = 1 << 15;  // elements of a task

template <class T>
ExtremeFunction<T> Function() {
  static const ExtremeTable& table = []() -> const ExtremeTable& {
    auto* made = new ExtremeTable;
    HWY_DYNAMIC_DISPATCH(FillExtremeTable)(*made);
    return *made;
  }();
  return std::get<ExtremeFunction<T>>(table);
}

// values (may be null) and positions: one per row.
template <class T>
void ExtremeOfRows(const Tensor& rows, bool largest, T* values, int64_t* positions) {
  const ExtremeFunction<T> extreme = Function<T>();
  const T* const x = reinterpret_cast<const T*>(rows.raw());
  const int64_t outer = rows.dim(0), count = rows.dim(1), stride = rows.strides()[0];
  const int64_t pieces = PiecesOf(count, kTask);
  std::vector<int64_t> found(outer * pieces);
  ForPieces(outer, count, kTask, [&](int64_t i, int64_t row, int64_t begin, int64_t length) {
    found[i] = begin + extreme(x + row * stride + begin, length, largest);
  });
  for (int64_t r = 0; r < outer; ++r) {
    const T* const row = x + r * stride;
    int64_t best = found[r * pieces];
    for (int64_t i = r * pieces + 1; i < (r + 1) * pieces; ++i) {
      const T next = row[found[i]];
      if (largest ? Beats<true>(next, row[best]) : Beats<false>(next, row[best])) best = found[i];
    }
    if (values) values[r] = row[best];
    positions[r] = best;
  }
}

}  // namespace

void ExtremeKernel(const Tensor& x, uint32_t axes, bool largest, Tensor* values,
                   Tensor* positions) {
  if (x.size() == 0) return;  // then y is empty too
  const Tensor rows = RowsOf(x, axes);
  DispatchDType(x.dtype(), [&]<class Element>() {
    using T = std::conditional_t<std::is_same_v<Element, bool>, uint8_t, Element>;  // same bytes
    ExtremeOfRows<T>(rows, largest, values ? reinterpret_cast<T*>(values->raw()) : nullptr,
                     positions->mutable_data<int64_t>());
  });
}

}  // namespace wengert
#endif  // HWY_ONCE

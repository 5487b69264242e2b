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

// Positions of the first largest or smallest of n > 0 elements; of the first NaN, if any.
template <class T>
struct ExtremeFunctions {
  // Of x[0, n).
  int64_t (*of_row)(const T* x, int64_t n, bool largest);
  // Of each of `inner` columns, x[r * stride + c] for r < n.
  void (*of_columns)(const T* x, int64_t n, int64_t stride, int64_t inner, bool largest,
                     int64_t* positions);
};
using ExtremeTable =
    std::tuple<ExtremeFunctions<uint8_t>, ExtremeFunctions<int32_t>, ExtremeFunctions<int64_t>,
               ExtremeFunctions<float>, ExtremeFunctions<double>>;

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

// Columns that the vectors hold, each with the best element so far and its row.
template <bool kLargest, int kVectors, class T>
HWY_INLINE void ExtremesOfVectors(const T* HWY_RESTRICT x, int64_t n, int64_t stride,
                                  int64_t* HWY_RESTRICT positions) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  using Row = hn::TFromD<decltype(di)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> best[kVectors];
  hn::Vec<decltype(di)> row_of[kVectors];
  for (int k = 0; k < kVectors; ++k) {
    best[k] = hn::LoadU(d, x + k * lanes);
    row_of[k] = hn::Zero(di);
  }
  for (int64_t r = 1; r < n; ++r) {
    const auto row = hn::Set(di, static_cast<Row>(r));
    for (int k = 0; k < kVectors; ++k) {
      const auto v = hn::LoadU(d, x + r * stride + k * lanes);
      // As Beats: not on a tie, and on the first NaN.
      const auto stays =
          hn::Or(kLargest ? hn::Le(v, best[k]) : hn::Ge(v, best[k]), hn::IsNaN(best[k]));
      best[k] = hn::IfThenElse(stays, best[k], v);
      row_of[k] = hn::IfThenElse(hn::RebindMask(di, stays), row_of[k], row);
    }
  }
  HWY_ALIGN Row rows[hn::MaxLanes(di)];
  for (int k = 0; k < kVectors; ++k) {
    hn::Store(row_of[k], di, rows);
    for (int64_t c = 0; c < lanes; ++c) positions[k * lanes + c] = rows[c];
  }
}

template <bool kLargest, class T>
void ColumnExtremes(const T* HWY_RESTRICT x, int64_t n, int64_t stride, int64_t inner,
                    int64_t* HWY_RESTRICT positions) {
  if constexpr (std::is_floating_point_v<T>) {
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
    if (inner >= lanes) {
      int64_t c = 0;
      for (; c + 4 * lanes <= inner; c += 4 * lanes) {
        ExtremesOfVectors<kLargest, 4>(x + c, n, stride, positions + c);
      }
      for (; c < inner; c += lanes) {  // the last vector of columns may repeat some
        c = std::min(c, inner - lanes);
        ExtremesOfVectors<kLargest, 1>(x + c, n, stride, positions + c);
      }
      return;
    }
  }
  std::fill_n(positions, inner, int64_t{0});
  for (int64_t r = 1; r < n; ++r) {
    for (int64_t c = 0; c < inner; ++c) {
      if (Beats<kLargest>(x[r * stride + c], x[positions[c] * stride + c])) positions[c] = r;
    }
  }
}

template <class T>
int64_t OfRow(const T* x, int64_t n, bool largest) {
  return largest ? FirstExtreme<true>(x, n) : FirstExtreme<false>(x, n);
}
template <class T>
void OfColumns(const T* x, int64_t n, int64_t stride, int64_t inner, bool largest,
               int64_t* positions) {
  if (largest) return ColumnExtremes<true>(x, n, stride, inner, positions);
  ColumnExtremes<false>(x, n, stride, inner, positions);
}
template <class T>
constexpr ExtremeFunctions<T> kFunctions = {&OfRow<T>, &OfColumns<T>};

}  // namespace

void FillExtremeTable(ExtremeTable& table) {
  table = {kFunctions<uint8_t>, kFunctions<int32_t>, kFunctions<int64_t>, kFunctions<float>,
           kFunctions<double>};
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
const ExtremeFunctions<T>& Functions() {
  static const ExtremeTable& table = []() -> const ExtremeTable& {
    auto* made = new ExtremeTable;
    HWY_DYNAMIC_DISPATCH(FillExtremeTable)(*made);
    return *made;
  }();
  return std::get<ExtremeFunctions<T>>(table);
}

// Of `inner` columns in each of outer.length matrices of count.length rows (a row to reduce is a
// column of its own). values (may be null) and positions: outer.length * inner.
template <class T>
struct Extremes {
  Dim outer, count;
  int64_t inner;
  bool largest;
  T* values;
  int64_t* positions;

  void Of(const T* x) const {
    const int64_t task = std::max<int64_t>(1, kTask / inner);
    const int64_t pieces = PiecesOf(count.length, task);
    std::vector<int64_t> found(outer.length * pieces * inner);
    ForPieces(outer.length, count.length, task,
              [&](int64_t i, int64_t o, int64_t begin, int64_t length) {
                OfPiece(x + o * outer.stride, begin, length, &found[i * inner]);
              });
    for (int64_t o = 0; o < outer.length; ++o) {
      for (int64_t c = 0; c < inner; ++c) {
        const T* const column = x + o * outer.stride + c;
        int64_t best = found[o * pieces * inner + c];
        for (int64_t p = 1; p < pieces; ++p) {
          const int64_t next = found[(o * pieces + p) * inner + c];
          const T a = column[next * count.stride], b = column[best * count.stride];
          if (largest ? Beats<true>(a, b) : Beats<false>(a, b)) best = next;
        }
        if (values) values[o * inner + c] = column[best * count.stride];
        positions[o * inner + c] = best;
      }
    }
  }

 private:
  void OfPiece(const T* x, int64_t begin, int64_t length, int64_t* found) const {
    const T* const first = x + begin * count.stride;
    if (inner == 1 && count.stride == 1) {
      *found = Functions<T>().of_row(first, length, largest);
    } else {
      Functions<T>().of_columns(first, length, count.stride, inner, largest, found);
    }
    for (int64_t c = 0; c < inner; ++c) found[c] += begin;
  }
};

}  // namespace

void ExtremeKernel(const Tensor& x, uint32_t axes, bool largest, Tensor* values,
                   Tensor* positions) {
  if (x.size() == 0) return;  // then y is empty too
  DispatchDType(x.dtype(), [&]<class Element>() {
    using T = std::conditional_t<std::is_same_v<Element, bool>, uint8_t, Element>;  // same bytes
    const auto of = [&](const Element* data, Dim outer, Dim count, int64_t inner) {
      const Extremes<T> extremes = {outer,
                                    count,
                                    inner,
                                    largest,
                                    values ? reinterpret_cast<T*>(values->raw()) : nullptr,
                                    positions->mutable_data<int64_t>()};
      extremes.Of(reinterpret_cast<const T*>(data));
    };
    AsRowsOrColumns<Element>(
        x, axes,
        [&](const Element* data, Dim outer, int64_t count) {
          of(data, outer, {count, 1}, 1);
        },
        of);
  });
}

}  // namespace wengert
#endif  // HWY_ONCE

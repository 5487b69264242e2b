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

template <class T>
void SumOver(const Tensor& x, uint32_t axes, Tensor& y) {
  using W = Wide<T>;
  const auto finish = [to = y.mutable_data<T>()](int64_t i, const W* part, int64_t apart,
                                                 int64_t n) {
    if (n == 1) {
      to[i] = static_cast<T>(*part);
      return;
    }
    Total<W> total = {};
    for (int64_t p = 0; p < n; ++p) total.Add(part[p * apart]);
    to[i] = static_cast<T>(total.Result());
  };
  AsRowsOrColumns<T>(
      x, axes,
      [&](const T* rows, Dim outer, int64_t count) {
        ForRows<W>(rows, outer, count, GetSumFunctions<T>().row_sum, finish);
      },
      [&](const T* columns, Dim outer, Dim count, int64_t inner) {
        ForColumns<W>(columns, outer, count, inner, &SumsOfColumns<T>, finish);
      });
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

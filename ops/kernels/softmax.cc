#include "ops/kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "ops/kernels/rows.h"
#include "tensor/parallel.h"

#ifndef WENGERT_OPS_KERNELS_SOFTMAX_TYPES_
#define WENGERT_OPS_KERNELS_SOFTMAX_TYPES_
namespace wengert {

// The sums over a row that a cross entropy with target probabilities t needs.
struct TargetSums {
  double targets = 0;  // sum(t)
  double gap = 0;      // sum(t (m - x))
};

// One row of n > 0 elements. Rows may be read up to a vector past their end, as tensors may be;
// they are written exactly.
template <class T>
struct SoftmaxFunctions {
  void (*softmax)(const T* x, int64_t n, T* y);
  void (*log_softmax)(const T* x, int64_t n, T* y);
  double (*log_sum_exp)(const T* x, int64_t n);
  T (*max)(const T* x, int64_t n);                    // of a row with NaN: anything
  double (*exp_sum)(const T* x, int64_t n, T shift);  // sum(exp(x - shift))
  TargetSums (*target_sums)(const T* x, const T* targets, int64_t n, T max);
  // y = exp(x - shift) factor - targets scale; targets may be null.
  void (*gradient)(const T* x, const T* targets, int64_t n, T shift, T factor, T scale, T* y);
};
using SoftmaxTable = std::tuple<SoftmaxFunctions<float>, SoftmaxFunctions<double>>;

}  // namespace wengert
#endif  // WENGERT_OPS_KERNELS_SOFTMAX_TYPES_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/softmax.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Lanes = hn::Vec<Tag<T>>;

constexpr int64_t kBlock = 1024;  // elements that are added up in T; from there on in double

// Calls f(i, count) for the vectors of [0, n): `count` lanes, from element i on, are inside.
template <class T, class F>
HWY_INLINE void ForVectors(Tag<T> d, int64_t n, F f) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, lanes);
  if (i < n) f(i, n - i);
}

// `v` in the first `count` lanes, `other` in the rest.
template <class T>
HWY_INLINE Lanes<T> Inside(Tag<T> d, Lanes<T> v, int64_t count, Lanes<T> other) {
  if (count >= static_cast<int64_t>(hn::Lanes(d))) return v;
  return hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(count)), v, other);
}

// Rows end beside another task's: nothing past `count` may be written.
template <class T>
HWY_INLINE void StoreInside(Tag<T> d, Lanes<T> v, int64_t count, T* y) {
  if (count >= static_cast<int64_t>(hn::Lanes(d))) return hn::StoreU(v, d, y);
#if HWY_TARGET <= HWY_AVX2  // which has masked stores
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, y);
#else
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(y, lanes, static_cast<size_t>(count) * sizeof(T));
#endif
}

HWY_INLINE double SumLanes(Tag<double> d, Lanes<double> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}
HWY_INLINE double SumLanes([[maybe_unused]] Tag<float> d, Lanes<float> v) {
#if HWY_TARGET == HWY_SCALAR
  return hn::GetLane(v);
#else
  const Tag<double> dd;
  const hn::Half<Tag<float>> half;
  return SumLanes(dd, hn::Add(hn::PromoteTo(dd, hn::LowerHalf(half, v)),
                              hn::PromoteTo(dd, hn::UpperHalf(half, v))));
#endif
}

template <class T>
T Max(const T* HWY_RESTRICT x, int64_t n) {
  const Tag<T> d;
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  auto best = lowest;
  ForVectors<T>(d, n, [&](int64_t i, int64_t count) HWY_ATTR {
    best = hn::Max(best, Inside<T>(d, hn::LoadU(d, x + i), count, lowest));
  });
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

// sum(exp(x - shift)); y, if any, gets the terms.
template <class T, bool kStore>
HWY_INLINE double ExpSumTo(const T* x, int64_t n, T shift, T* y) {
  const Tag<T> d;
  const auto shifts = hn::Set(d, shift);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    auto sum = hn::Zero(d);
    ForVectors<T>(d, std::min(kBlock, n - begin), [&](int64_t i, int64_t count) HWY_ATTR {
      const auto e = Exp(d, hn::Sub(hn::LoadU(d, x + begin + i), shifts));
      sum = hn::Add(sum, Inside<T>(d, e, count, hn::Zero(d)));
      if constexpr (kStore) StoreInside<T>(d, e, count, y + begin + i);
    });
    total += SumLanes(d, sum);
  }
  return total;
}

template <class T>
double ExpSum(const T* x, int64_t n, T shift) {
  return ExpSumTo<T, false>(x, n, shift, nullptr);
}

template <class T>
void Softmax(const T* x, int64_t n, T* y) {
  const Tag<T> d;
  if (n <= static_cast<int64_t>(hn::Lanes(d))) {  // the same in one vector
    const auto shifts = hn::Set(d, Max(x, n));
    const auto e = Exp(d, hn::Sub(hn::LoadU(d, x), shifts));
    const double sum = SumLanes(d, Inside<T>(d, e, n, hn::Zero(d)));
    return StoreInside<T>(d, hn::Mul(e, hn::Set(d, static_cast<T>(1 / sum))), n, y);
  }
  const double sum = ExpSumTo<T, true>(x, n, Max(x, n), y);
  const auto factor = hn::Set(d, static_cast<T>(1 / sum));
  ForVectors<T>(d, n, [&](int64_t i, int64_t count) HWY_ATTR {
    StoreInside<T>(d, hn::Mul(hn::LoadU(d, y + i), factor), count, y + i);
  });
}

template <class T>
void LogSoftmax(const T* x, int64_t n, T* y) {
  const Tag<T> d;
  const T max = Max(x, n);
  const auto shifts = hn::Set(d, max);
  const auto log_sum = hn::Set(d, static_cast<T>(std::log(ExpSum(x, n, max))));
  ForVectors<T>(d, n, [&](int64_t i, int64_t count) HWY_ATTR {
    StoreInside<T>(d, hn::Sub(hn::Sub(hn::LoadU(d, x + i), shifts), log_sum), count, y + i);
  });
}

template <class T>
double LogSumExp(const T* x, int64_t n) {
  const T max = Max(x, n);
  const T shift = std::isfinite(max) ? max : T{0};  // inf - inf would be NaN
  return static_cast<double>(shift) + std::log(ExpSum(x, n, shift));
}

template <class T>
TargetSums SumTargets(const T* x, const T* targets, int64_t n, T max) {
  const Tag<T> d;
  const auto maxima = hn::Set(d, max);
  TargetSums total;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    auto sum = hn::Zero(d), gap = hn::Zero(d);
    ForVectors<T>(d, std::min(kBlock, n - begin), [&](int64_t i, int64_t count) HWY_ATTR {
      const auto t = hn::LoadU(d, targets + begin + i);
      const auto distance = hn::Sub(maxima, hn::LoadU(d, x + begin + i));
      sum = hn::Add(sum, Inside<T>(d, t, count, hn::Zero(d)));
      gap = hn::Add(gap, Inside<T>(d, hn::Mul(t, distance), count, hn::Zero(d)));
    });
    total.targets += SumLanes(d, sum);
    total.gap += SumLanes(d, gap);
  }
  return total;
}

template <class T, bool kTargets>
HWY_INLINE void GradientTo(const T* x, const T* targets, int64_t n, T shift, T factor, T scale,
                           T* y) {
  const Tag<T> d;
  const auto shifts = hn::Set(d, shift), factors = hn::Set(d, factor), scales = hn::Set(d, scale);
  ForVectors<T>(d, n, [&](int64_t i, int64_t count) HWY_ATTR {
    auto g = hn::Mul(Exp(d, hn::Sub(hn::LoadU(d, x + i), shifts)), factors);
    if constexpr (kTargets) g = hn::Sub(g, hn::Mul(hn::LoadU(d, targets + i), scales));
    StoreInside<T>(d, g, count, y + i);
  });
}

template <class T>
void Gradient(const T* x, const T* targets, int64_t n, T shift, T factor, T scale, T* y) {
  if (targets) return GradientTo<T, true>(x, targets, n, shift, factor, scale, y);
  GradientTo<T, false>(x, nullptr, n, shift, factor, scale, y);
}

template <class T>
void Fill(SoftmaxFunctions<T>& functions) {
  functions = {&Softmax<T>, &LogSoftmax<T>, &LogSumExp<T>, &Max<T>,
               &ExpSum<T>,  &SumTargets<T>, &Gradient<T>};
}

}  // namespace

void FillSoftmaxTable(SoftmaxTable& table) {
  std::apply([](auto&... functions) { (Fill(functions), ...); }, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(FillSoftmaxTable);

namespace {

constexpr int64_t kTask = 1 << 14;  // elements of a task

template <class T>
const SoftmaxFunctions<T>& Functions() {
  static const SoftmaxTable& table = []() -> const SoftmaxTable& {
    auto* made = new SoftmaxTable;
    HWY_DYNAMIC_DISPATCH(FillSoftmaxTable)(*made);
    return *made;
  }();
  return std::get<SoftmaxFunctions<T>>(table);
}

template <class F>
void ForRows(int64_t rows, int64_t count, F f) {
  const int64_t each = std::max<int64_t>(1, kTask / count);
  ParallelFor(CeilDiv(rows, each), [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * each);
    for (int64_t r = task * each; r < end; ++r) f(r);
  });
}

template <class F>
void DispatchFloating(DType dtype, F&& f) {
  if (dtype == DType::kFloat32) return f.template operator()<float>();
  f.template operator()<double>();
}

// y = f of the rows of x along `axis`; f: a member of SoftmaxFunctions.
template <class F>
void MapRows(const Tensor& x, int axis, Tensor& y, F function_of) {
  if (x.size() == 0) return;
  const Tensor rows = RowsOf(x, 1u << axis);
  const bool last = axis == x.rank() - 1;
  Tensor result = last ? y : Tensor::Empty(rows.shape(), x.dtype());
  const int64_t n = rows.dim(1), stride = rows.strides()[0];
  DispatchFloating(x.dtype(), [&]<class T>() {
    const auto f = function_of(Functions<T>());
    const T* from = rows.data<T>();
    T* to = result.mutable_data<T>();
    ForRows(rows.dim(0), n, [&](int64_t r) { f(from + r * stride, n, to + r * n); });
  });
  if (last) return;
  // The axis was moved to the end: y's in that order.
  absl::InlinedVector<int, 4> order;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis) order.push_back(i);
  }
  order.push_back(axis);
  Tensor permuted = y.Permute(order);
  permuted.CopyFrom(result.Reshape(permuted.shape()));
}

int64_t LabelAt(const Tensor& labels, int64_t row, int64_t classes) {
  const int64_t label = labels.dtype() == DType::kInt64
                            ? labels.data<int64_t>()[row * labels.strides()[0]]
                            : labels.data<int32_t>()[row * labels.strides()[0]];
  if (label < 0 || label >= classes) {
    throw Error("softmax_cross_entropy",
                absl::StrCat("label ", label, " in row ", row, " is out of range: there are ",
                             classes, " classes"));
  }
  return label;
}

}  // namespace

void SoftmaxKernel(const Tensor& x, int axis, Tensor& y) {
  MapRows(x, axis, y, [](const auto& functions) { return functions.softmax; });
}

void LogSoftmaxKernel(const Tensor& x, int axis, Tensor& y) {
  MapRows(x, axis, y, [](const auto& functions) { return functions.log_softmax; });
}

void LogSumExpKernel(const Tensor& x, uint32_t axes, Tensor& y) {
  if (x.size() == 0) return y.Fill(-std::numeric_limits<double>::infinity());
  const Tensor rows = RowsOf(x, axes);
  const int64_t outer = rows.dim(0), n = rows.dim(1), stride = rows.strides()[0];
  DispatchFloating(x.dtype(), [&]<class T>() {
    const auto log_sum_exp = Functions<T>().log_sum_exp;
    const T* from = rows.data<T>();
    T* to = y.mutable_data<T>();
    // Long rows in pieces, and once more over their results; with room for a vector at the end.
    const int64_t pieces = PiecesOf(n, kTask);
    std::vector<double> results(outer * pieces + 8);
    ForPieces(outer, n, kTask, [&](int64_t i, int64_t row, int64_t begin, int64_t length) {
      results[i] = log_sum_exp(from + row * stride + begin, length);
    });
    for (int64_t r = 0; r < outer; ++r) {
      to[r] = static_cast<T>(
          pieces == 1 ? results[r]
                      : Functions<double>().log_sum_exp(results.data() + r * pieces, pieces));
    }
  });
}

void CrossEntropyKernel(const Tensor& logits, const Tensor& targets, Tensor& loss, Tensor& stats) {
  const Tensor rows = RowsOf(logits, 2);
  const int64_t n = rows.dim(0), classes = rows.dim(1), stride = rows.strides()[0];
  const bool labels = targets.rank() == 1;
  const Tensor t = labels ? targets : RowsOf(targets, 2);
  const SoftmaxFunctions<float>& functions = Functions<float>();
  std::vector<double> losses(n);
  float* const stats_data = stats.mutable_data<float>();
  ForRows(n, classes, [&](int64_t r) {
    const float* x = rows.data<float>() + r * stride;
    const float max = functions.max(x, classes);
    const double sum = functions.exp_sum(x, classes, max);
    TargetSums target;
    if (labels) {
      target = {1, static_cast<double>(max) - x[LabelAt(targets, r, classes)]};
    } else {
      target = functions.target_sums(x, t.data<float>() + r * t.strides()[0], classes, max);
    }
    losses[r] = std::log(sum) * target.targets + target.gap;
    stats_data[2 * r] = max;
    stats_data[2 * r + 1] = static_cast<float>(target.targets / sum);
  });
  double total = 0;
  for (const double row_loss : losses) total += row_loss;
  *loss.mutable_data<float>() = static_cast<float>(total / static_cast<double>(n));
}

void CrossEntropyGradientKernel(const Tensor& logits, const Tensor& targets, const Tensor& stats,
                                const Tensor& d_loss, Tensor& d_logits) {
  const Tensor rows = RowsOf(logits, 2);
  const int64_t n = rows.dim(0), classes = rows.dim(1), stride = rows.strides()[0];
  const bool labels = targets.rank() == 1;
  const Tensor t = labels ? targets : RowsOf(targets, 2);
  const auto gradient = Functions<float>().gradient;
  const float scale = d_loss.item<float>() / static_cast<float>(n);
  const float* const stats_data = stats.data<float>();
  float* const result = d_logits.mutable_data<float>();
  ForRows(n, classes, [&](int64_t r) {
    float* y = result + r * classes;
    gradient(rows.data<float>() + r * stride,
             labels ? nullptr : t.data<float>() + r * t.strides()[0], classes, stats_data[2 * r],
             stats_data[2 * r + 1] * scale, scale, y);
    if (labels) y[LabelAt(targets, r, classes)] -= scale;
  });
}

}  // namespace wengert
#endif  // HWY_ONCE

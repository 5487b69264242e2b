#include "ops/kernels/updates.h"

#include <algorithm>

#include "tensor/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/updates.cc"
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

// Lanes with the operations of the formulas, each as its op does it (elementwise_rows.inc).
template <class D>
struct Lanes {
  hn::Vec<D> v;
};
template <class D>
HWY_INLINE Lanes<D> operator+(Lanes<D> a, Lanes<D> b) {
  return {hn::Add(a.v, b.v)};
}
template <class D>
HWY_INLINE Lanes<D> operator-(Lanes<D> a, Lanes<D> b) {
  return {hn::Sub(a.v, b.v)};
}
template <class D>
HWY_INLINE Lanes<D> operator*(Lanes<D> a, Lanes<D> b) {
  return {hn::Mul(a.v, b.v)};
}
template <class D>
HWY_INLINE Lanes<D> operator/(Lanes<D> a, Lanes<D> b) {
  return {hn::Div(a.v, b.v)};
}
template <class D>
HWY_INLINE Lanes<D> Number(double number) {
  return {hn::Set(D(), static_cast<float>(number))};
}
template <class D>
HWY_INLINE Lanes<D> operator+(Lanes<D> a, double b) {
  return a + Number<D>(b);
}
template <class D>
HWY_INLINE Lanes<D> operator*(Lanes<D> a, double b) {
  return a * Number<D>(b);
}
template <class D>
HWY_INLINE Lanes<D> Square(Lanes<D> a) {
  return a * a;
}
template <class D>
HWY_INLINE Lanes<D> Sqrt(Lanes<D> a) {
  return {hn::Sqrt(a.v)};
}
template <class D>
HWY_INLINE Lanes<D> Abs(Lanes<D> a) {
  return {hn::Abs(a.v)};
}
template <class D>
HWY_INLINE Lanes<D> Maximum(Lanes<D> a, Lanes<D> b) {
  return {hn::IfThenElse(hn::Or(hn::Ge(a.v, b.v), hn::IsNaN(a.v)), a.v, b.v)};
}
template <class D>
HWY_INLINE Lanes<D> Sign(Lanes<D> a) {
  return {hn::IfThenElse(hn::Or(hn::Eq(a.v, hn::Zero(D())), hn::IsNaN(a.v)), a.v,
                         hn::CopySign(hn::Set(D(), 1), a.v))};
}

#define WENGERT_UPDATE_INLINE HWY_INLINE
#include "ops/kernels/update_formulas.inc"
#undef WENGERT_UPDATE_INLINE

// Element i of every array, as vectors; what does not fill a vector is done one by one, with the
// same operations.
template <class D, bool regularized, class Formula>
HWY_INLINE void Run(const Formula& formula, const Regularization& regularization,
                    const float* const* in, const float* gradient, float* const* out, int64_t begin,
                    int64_t end) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = begin; i + lanes <= end; i += lanes) {
    Lanes<D> values[Formula::kValues];
    for (int s = 0; s < Formula::kValues; ++s) values[s].v = hn::LoadU(d, in[s] + i);
    Lanes<D> g{hn::LoadU(d, gradient + i)};
    if constexpr (regularized) Regularize(regularization, values[0], g);
    formula(values, g);
    for (int s = 0; s < Formula::kValues; ++s) hn::StoreU(values[s].v, d, out[s] + i);
  }
}

// By value: numbers that nothing else can write stay in registers.
template <bool regularized, class Formula>
void RunAll(const Formula formula, const Regularization regularization, const float* const* in,
            const float* gradient, float* const* out, int64_t begin, int64_t end) {
  using D = hn::ScalableTag<float>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t whole = begin + (end - begin) / lanes * lanes;
  Run<D, regularized>(formula, regularization, in, gradient, out, begin, whole);
  Run<hn::CappedTag<float, 1>, regularized>(formula, regularization, in, gradient, out, whole, end);
}

template <class Formula>
void RunRange(const Formula& formula, const Regularization& r, const float* const* in,
              const float* gradient, float* const* out, int64_t begin, int64_t end) {
  if (r.l1 == 0 && r.l2 == 0 && r.decay == 0) {
    RunAll<false>(formula, r, in, gradient, out, begin, end);
  } else {
    RunAll<true>(formula, r, in, gradient, out, begin, end);
  }
}

}  // namespace

#define UPDATE(op, Name, numbers, values, sample, formula)                           \
  void Name##Range(const Name##Update& update, const Regularization& regularization, \
                   const float* const* in, const float* gradient, float* const* out, \
                   int64_t begin, int64_t end) {                                     \
    RunRange(Name##Formula{update}, regularization, in, gradient, out, begin, end);  \
  }
#include "ops/kernels/update_rows.inc"
#undef UPDATE

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

#define UPDATE(op, Name, numbers, values, sample, formula)                                         \
  HWY_EXPORT(Name##Range);                                                                         \
  void UpdateKernel(const Name##Update& update, const Regularization& regularization,              \
                    const float* const* in, const float* gradient, float* const* out, int64_t n) { \
    constexpr int64_t kTask = 1 << 15; /* elements */                                              \
    const auto range = HWY_DYNAMIC_DISPATCH(Name##Range);                                          \
    ParallelFor((n + kTask - 1) / kTask, [&](int64_t task) {                                       \
      range(update, regularization, in, gradient, out, task* kTask,                                \
            std::min(n, (task + 1) * kTask));                                                      \
    });                                                                                            \
  }
#include "ops/kernels/update_rows.inc"
#undef UPDATE

}  // namespace wengert
#endif  // HWY_ONCE

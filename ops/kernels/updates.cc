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
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Element i of every array, as vectors; what does not fill a vector is done one by one, with the
// same operations.
template <class D, int states, class Step>
HWY_INLINE void Run(D d, const float* const* in, const float* gradient, float* const* out,
                    int64_t begin, int64_t end, const Step& step) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = begin; i + lanes <= end; i += lanes) {
    hn::Vec<D> values[states + 1];
    for (int s = 0; s <= states; ++s) values[s] = hn::LoadU(d, in[s] + i);
    step(d, values, hn::LoadU(d, gradient + i));
    for (int s = 0; s <= states; ++s) hn::StoreU(values[s], d, out[s] + i);
  }
}

template <int states, class Step>
void RunAll(const float* const* in, const float* gradient, float* const* out, int64_t begin,
            int64_t end, const Step& step) {
  const D d;
  const int64_t whole = begin + (end - begin) / static_cast<int64_t>(hn::Lanes(d)) *
                                    static_cast<int64_t>(hn::Lanes(d));
  Run<D, states>(d, in, gradient, out, begin, whole, step);
  Run<hn::CappedTag<float, 1>, states>(hn::CappedTag<float, 1>(), in, gradient, out, whole, end,
                                       step);
}

template <class D>
HWY_INLINE hn::Vec<D> Number(D d, double number) {
  return hn::Set(d, static_cast<float>(number));
}

}  // namespace

void SgdRange(const SgdNumbers& n, const float* const* in, const float* gradient, float* const* out,
              int64_t begin, int64_t end) {
  RunAll<0>(in, gradient, out, begin, end, [&](auto d, auto* x, auto g) HWY_ATTR {
    x[0] = hn::Sub(x[0], hn::Mul(g, Number(d, n.rate)));
  });
}

void MomentumRange(const MomentumNumbers& n, const float* const* in, const float* gradient,
                   float* const* out, int64_t begin, int64_t end) {
  RunAll<1>(in, gradient, out, begin, end, [&](auto d, auto* x, auto g) HWY_ATTR {
    x[1] = hn::Sub(hn::Mul(x[1], Number(d, n.momentum)), hn::Mul(g, Number(d, n.rate)));
    x[0] = hn::Add(x[0], x[1]);
  });
}

void RmsPropRange(const RmsPropNumbers& n, const float* const* in, const float* gradient,
                  float* const* out, int64_t begin, int64_t end) {
  RunAll<1>(in, gradient, out, begin, end, [&](auto d, auto* x, auto g) HWY_ATTR {
    x[1] = hn::Add(hn::Mul(x[1], Number(d, n.rho)),
                   hn::Mul(hn::Mul(g, g), Number(d, n.one_minus_rho)));
    x[0] = hn::Sub(x[0], hn::Div(hn::Mul(g, Number(d, n.rate)),
                                 hn::Sqrt(hn::Add(x[1], Number(d, n.epsilon)))));
  });
}

void AdamRange(const AdamNumbers& n, const float* const* in, const float* gradient,
               float* const* out, int64_t begin, int64_t end) {
  RunAll<2>(in, gradient, out, begin, end, [&](auto d, auto* x, auto g) HWY_ATTR {
    x[1] = hn::Add(hn::Mul(x[1], Number(d, n.beta1)), hn::Mul(g, Number(d, n.one_minus_beta1)));
    x[2] = hn::Add(hn::Mul(x[2], Number(d, n.beta2)),
                   hn::Mul(hn::Mul(g, g), Number(d, n.one_minus_beta2)));
    x[0] = hn::Sub(x[0], hn::Div(hn::Mul(x[1], Number(d, n.rate)),
                                 hn::Add(hn::Sqrt(x[2]), Number(d, n.epsilon))));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 15;  // elements

template <class Numbers>
using RangeFunction = void (*)(const Numbers&, const float* const*, const float*, float* const*,
                               int64_t, int64_t);

template <class Numbers>
void InTasks(RangeFunction<Numbers> range, const Numbers& numbers, const float* const* in,
             const float* gradient, float* const* out, int64_t n) {
  ParallelFor((n + kTask - 1) / kTask, [&](int64_t task) {
    range(numbers, in, gradient, out, task * kTask, std::min(n, (task + 1) * kTask));
  });
}

}  // namespace

HWY_EXPORT(SgdRange);
HWY_EXPORT(MomentumRange);
HWY_EXPORT(RmsPropRange);
HWY_EXPORT(AdamRange);

void SgdKernel(const SgdNumbers& numbers, const float* const* in, const float* gradient,
               float* const* out, int64_t n) {
  InTasks<SgdNumbers>(HWY_DYNAMIC_DISPATCH(SgdRange), numbers, in, gradient, out, n);
}
void MomentumKernel(const MomentumNumbers& numbers, const float* const* in, const float* gradient,
                    float* const* out, int64_t n) {
  InTasks<MomentumNumbers>(HWY_DYNAMIC_DISPATCH(MomentumRange), numbers, in, gradient, out, n);
}
void RmsPropKernel(const RmsPropNumbers& numbers, const float* const* in, const float* gradient,
                   float* const* out, int64_t n) {
  InTasks<RmsPropNumbers>(HWY_DYNAMIC_DISPATCH(RmsPropRange), numbers, in, gradient, out, n);
}
void AdamKernel(const AdamNumbers& numbers, const float* const* in, const float* gradient,
                float* const* out, int64_t n) {
  InTasks<AdamNumbers>(HWY_DYNAMIC_DISPATCH(AdamRange), numbers, in, gradient, out, n);
}

}  // namespace wengert
#endif  // HWY_ONCE

#include "benchmarks/gates_loop.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tensor/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/gates_loop.cc"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/foreach_target.h"
// clang-format on
#include "hwy/highway.h"
#include "ops/kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {

double GatesRange(int64_t begin, int64_t end, const float* const (&x)[5], const float* dy,
                  float* const (&dx)[5]) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V one = hn::Set(d, 1.0f), half = hn::Set(d, 0.5f);
  V sum = hn::Zero(d);
  const auto slope = [&](V s) HWY_ATTR { return hn::Mul(s, hn::Sub(one, s)); };  // of sigmoid
  const auto tanh_slope = [&](V t) HWY_ATTR { return hn::NegMulAdd(t, t, one); };
  for (int64_t i = begin; i < end; i += static_cast<int64_t>(hn::Lanes(d))) {
    const V in = Sigmoid(d, hn::LoadU(d, x[0] + i));
    const V forget = Sigmoid(d, hn::Add(hn::LoadU(d, x[1] + i), one));
    const V input = Tanh(d, hn::LoadU(d, x[2] + i)), out = Sigmoid(d, hn::LoadU(d, x[3] + i));
    const V before = hn::LoadU(d, x[4] + i);
    const V c = hn::MulAdd(forget, before, hn::Mul(in, input)), t = Tanh(d, c);
    const V g = hn::LoadU(d, dy + i);
    sum = hn::MulAdd(hn::MulAdd(out, t, hn::Mul(c, half)), g, sum);
    const V dc = hn::MulAdd(hn::Mul(g, out), tanh_slope(t), hn::Mul(g, half));
    hn::StoreU(hn::Mul(hn::Mul(dc, input), slope(in)), d, dx[0] + i);
    hn::StoreU(hn::Mul(hn::Mul(dc, before), slope(forget)), d, dx[1] + i);
    hn::StoreU(hn::Mul(hn::Mul(dc, in), tanh_slope(input)), d, dx[2] + i);
    hn::StoreU(hn::Mul(hn::Mul(g, t), slope(out)), d, dx[3] + i);
    hn::StoreU(hn::Mul(dc, forget), d, dx[4] + i);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(GatesRange);

double GatesLoop(int64_t n, const float* const (&x)[5], const float* dy, float* const (&dx)[5]) {
  constexpr int64_t kStep = 1 << 13;
  std::vector<double> sums((n + kStep - 1) / kStep);
  ParallelFor(sums.size(), [&](int64_t task) {
    sums[task] =
        HWY_DYNAMIC_DISPATCH(GatesRange)(task * kStep, std::min(n, (task + 1) * kStep), x, dy, dx);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace wengert
#endif  // HWY_ONCE

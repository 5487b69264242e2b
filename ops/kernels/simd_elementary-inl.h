// Elementary functions besides those of simd_math-inl.h, on SIMD vectors: circular and hyperbolic
// ones and their inverses, expm1, log1p, erfc, powers and remainders. Compiled once per Highway
// target.
//
// Float lanes: Highway's own (hwy/contrib/math), and what is made of them; the errors below are at
// most so many ULP against float64. Rare ones go through the C library one by one, as all do in
// double lanes: accurate, not fast.
#if defined(WENGERT_OPS_KERNELS_SIMD_ELEMENTARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_SIMD_ELEMENTARY_INL_H_
#undef WENGERT_OPS_KERNELS_SIMD_ELEMENTARY_INL_H_
#else
#define WENGERT_OPS_KERNELS_SIMD_ELEMENTARY_INL_H_
#endif

#include <cmath>
#include <limits>
#include <numbers>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "ops/kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace simd_math {

// f of the lanes one by one, in double.
template <class D, class V, class F>
HWY_INLINE V ByLane(D d, V a, F f) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(a, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = static_cast<T>(f(double{lanes[i]}));
  return hn::Load(d, lanes);
}
template <class D, class V, class F>
HWY_INLINE V ByLane(D d, V a, V b, F f) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T lanes[hn::MaxLanes(d)], others[hn::MaxLanes(d)];
  hn::Store(a, d, lanes);
  hn::Store(b, d, others);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    lanes[i] = static_cast<T>(f(double{lanes[i]}, double{others[i]}));
  }
  return hn::Load(d, lanes);
}

// Highway reduces arguments up to here; beyond, and for what is not finite, the C library does.
template <class D, class V, class F>
HWY_INLINE V CircularF32(D d, V x, V inside, F beyond) {
  const auto in_range = hn::Lt(hn::Abs(x), hn::Set(d, 39000.0f));
  if (hn::AllTrue(d, in_range)) return inside;
  return hn::IfThenElse(in_range, inside, ByLane(d, x, beyond));
}

// e^a / 2 for a >= 0, without overflow where that is finite: a - 0.693359375 is exact.
template <class D, class V>
HWY_INLINE V HalfExpF32(D d, V a) {
  return hn::Mul(ExpF32(d, hn::Sub(a, hn::Set(d, 0.693359375f))), hn::Set(d, 1.000212217f));
}

}  // namespace simd_math

template <class D>
constexpr bool kIsFloat32 = sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 4;

// Of radians. Error: 3 ULP, the tangent's 5.
template <class D, Vector V>
HWY_INLINE V Sin(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto by_lane = [](double v) { return std::sin(v); };
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, by_lane);
  } else {
    const auto sin = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, hn::Sin(d, x));  // -0 too
    return simd_math::CircularF32(d, x, sin, by_lane);
  }
}
template <class D, Vector V>
HWY_INLINE V Cos(D d, V x) {
  const auto by_lane = [](double v) { return std::cos(v); };
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, by_lane);
  } else {
    return simd_math::CircularF32(d, x, hwy::HWY_NAMESPACE::Cos(d, x), by_lane);
  }
}
template <class D, Vector V>
HWY_INLINE V Tan(D d, V x) {
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::tan(v); });
  } else {
    return hwy::HWY_NAMESPACE::Div(Sin(d, x), Cos(d, x));
  }
}

// Error: 3 ULP.
template <class D, Vector V>
HWY_INLINE V Asin(D d, V x) {
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::asin(v); });
  } else {
    return hwy::HWY_NAMESPACE::Asin(d, x);
  }
}
template <class D, Vector V>
HWY_INLINE V Acos(D d, V x) {
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::acos(v); });
  } else {
    return hwy::HWY_NAMESPACE::Acos(d, x);
  }
}
template <class D, Vector V>
HWY_INLINE V Atan(D d, V x) {
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::atan(v); });
  } else {
    return hwy::HWY_NAMESPACE::Atan(d, x);
  }
}

// The angle of the point (x, y), from -pi to pi: the quotient of the smaller by the larger
// coordinate has an arc tangent in the first eighth of the circle.
template <class D, Vector V>
HWY_INLINE V Atan2(D d, V y, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, y, x, [](double a, double b) { return std::atan2(a, b); });
  } else {
    const auto pi = hn::Set(d, std::numbers::pi_v<float>);
    const auto half_pi = hn::Set(d, std::numbers::pi_v<float> / 2);
    const auto height = hn::Abs(y), width = hn::Abs(x);
    const auto steep = hn::Gt(height, width);
    const auto less = hn::IfThenElse(steep, width, height);
    const auto more = hn::IfThenElse(steep, height, width);
    // Of two zeros the angle is 0, of two infinities that of 1 / 1.
    auto quotient = hn::Div(less, more);
    quotient = hn::IfThenElse(hn::Eq(more, hn::Zero(d)), more, quotient);
    const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
    quotient = hn::IfThenElse(hn::Eq(less, infinity), hn::Set(d, 1), quotient);
    auto angle = hn::Atan(d, quotient);
    angle = hn::IfThenElse(steep, hn::Sub(half_pi, angle), angle);
    const auto left = hn::Lt(hn::CopySign(hn::Set(d, 1), x), hn::Zero(d));
    angle = hn::CopySign(hn::IfThenElse(left, hn::Sub(pi, angle), angle), y);
    const auto nan = hn::Add(x, y);  // if either is
    return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), nan, angle);
  }
}

// e^x - 1, accurate where x is small. Error: 4 ULP.
template <class D, Vector V>
HWY_INLINE V Expm1(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::expm1(v); });
  } else {
    const auto small = hn::Lt(hn::Abs(x), hn::Set(d, 0.5f));
    const auto result = hn::IfThenElse(small, hn::Expm1(d, hn::IfThenElseZero(small, x)),
                                       hn::Sub(simd_math::ExpF32(d, x), hn::Set(d, 1)));
    return hn::CopySign(result, x);
  }
}

// log(1 + x), accurate where x is small: what rounding 1 + x lost, times log's derivative, is
// added. Error: 4 ULP.
template <class D, Vector V>
HWY_INLINE V Log1p(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::log1p(v); });
  } else {
    const auto one = hn::Set(d, 1);
    const auto sum = hn::Add(one, x);
    const auto lost = hn::Div(hn::Sub(x, hn::Sub(sum, one)), sum);
    const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
    const auto regular = hn::And(hn::Gt(sum, hn::Zero(d)), hn::Lt(sum, infinity));
    const auto log = simd_math::LogF32(d, sum);
    return hn::CopySign(hn::Add(log, hn::IfThenElseZero(regular, lost)), x);
  }
}

// (e^x - e^-x) / 2 and (e^x + e^-x) / 2. With h = e^|x| / 2, e^-|x| / 2 is 1 / 4h. Where sinh would
// cancel, it is (e + e / (e + 1)) / 2 with e = e^|x| - 1. Error: 5 and 4 ULP.
template <class D, Vector V>
HWY_INLINE V Sinh(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::sinh(v); });
  } else {
    const auto a = hn::Abs(x), one = hn::Set(d, 1), half = hn::Set(d, 0.5f);
    const auto e = Expm1(d, hn::IfThenElseZero(hn::Lt(a, one), a));
    const auto small = hn::Mul(half, hn::Add(e, hn::Div(e, hn::Add(e, one))));
    const auto h = simd_math::HalfExpF32(d, a);
    const auto large = hn::Sub(h, hn::Div(hn::Set(d, 0.25f), h));
    return hn::CopySign(hn::IfThenElse(hn::Lt(a, one), small, large), x);
  }
}
template <class D, Vector V>
HWY_INLINE V Cosh(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (!kIsFloat32<D>) {
    return simd_math::ByLane(d, x, [](double v) { return std::cosh(v); });
  } else {
    const auto h = simd_math::HalfExpF32(d, hn::Abs(x));
    return hn::Add(h, hn::Div(hn::Set(d, 0.25f), h));
  }
}

// 1 - erf(x), a^b, and the remainder of a / b with the sign of a: one by one.
template <class D, Vector V>
HWY_INLINE V Erfc(D d, V x) {
  return simd_math::ByLane(d, x, [](double v) { return std::erfc(v); });
}
template <class D, Vector V>
HWY_INLINE V Pow(D d, V a, V b) {
  return simd_math::ByLane(d, a, b, [](double x, double y) { return std::pow(x, y); });
}
template <class D, Vector V>
HWY_INLINE V Fmod(D d, V a, V b) {
  return simd_math::ByLane(d, a, b, [](double x, double y) { return std::fmod(x, y); });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif  // WENGERT_OPS_KERNELS_SIMD_ELEMENTARY_INL_H_

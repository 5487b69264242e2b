// exp, log, tanh, sigmoid, softplus and erf on SIMD vectors, compiled once per Highway target.
//
// Float lanes: own approximations; the maximum errors below are in ULP against float64, over all
// 2^32 inputs for AVX-512 and AVX2, over every 97th for targets without FMA. They assume the
// flush-to-zero mode that Evaluate sets: a subnormal input counts as zero, a subnormal result is
// zero. NaN gives NaN. Double lanes go through the C library one by one: accurate, not fast.
//
// Range reductions and the AVX-512 table method: P.T.P. Tang, "Table-driven implementation of the
// exponential function", ACM TOMS 15 (1989), and "... of the logarithm function", ACM TOMS 16
// (1990). Coefficients: own weighted minimax fits, rounded to float32 one after the other.
#if defined(WENGERT_OPS_KERNELS_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_SIMD_MATH_INL_H_
#undef WENGERT_OPS_KERNELS_SIMD_MATH_INL_H_
#else
#define WENGERT_OPS_KERNELS_SIMD_MATH_INL_H_
#endif

#include <cmath>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace simd_math {  // Implementation; the functions to call are at the end of the file.

namespace hn = hwy::HWY_NAMESPACE;

// c[0] + c[1] x + ... by Horner's rule.
template <class D, class V, size_t N>
HWY_INLINE V Polynomial(D d, V x, const float (&c)[N]) {
  V sum = hn::Set(d, c[N - 1]);
  HWY_UNROLL(16)  // g++ -O2 would keep the loop.
  for (int i = static_cast<int>(N) - 2; i >= 0; --i) {
    sum = hn::MulAdd(sum, x, hn::Set(d, c[i]));
  }
  return sum;
}

// Applies `f` to each double lane.
template <class D, class V, class F>
HWY_INLINE V ForEachLane(D d, V x, F f) {
  HWY_ALIGN double lanes[hn::MaxLanes(d)];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = f(lanes[i]);
  return hn::Load(d, lanes);
}

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2, exp(r) of degree 6. Two factors make
// 2^n, so that the product, not the factor, overflows or underflows.
constexpr float kExp[] = {1.0f,          1.0f,           0.49999994f,   0.166665211f,
                          0.0416682586f, 0.00836866908f, 0.00138212892f};
template <class D, class V>
HWY_INLINE V ExpF32(D d, V x) {
  const hn::RebindToSigned<D> di;
  const auto magic = hn::Set(d, 12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer.
  const auto clamped = hn::Min(hn::Max(x, hn::Set(d, -104.0f)), hn::Set(d, 89.0f));
  const auto shifted = hn::MulAdd(clamped, hn::Set(d, 1.44269504f), magic);
  const auto n = hn::Sub(shifted, magic);
  const auto ni = hn::Sub(hn::BitCast(di, shifted), hn::BitCast(di, magic));
  // ln 2 in two parts: n times the first is exact.
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), clamped);
  r = hn::MulAdd(n, hn::Set(d, 2.12194440e-4f), r);
  const auto half = hn::ShiftRight<1>(ni);
  const auto bias = hn::Set(di, 127);
  const auto scale1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const auto scale2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(ni, half), bias)));
  const auto result = hn::Mul(hn::Mul(Polynomial(d, r, kExp), scale1), scale2);
  return hn::IfThenElse(hn::Eq(x, x), result, x);
}

// log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)), log(1 + f) = f - f^2 / 2 + f^3 P(f),
// P of degree 7.
template <class D, class V>
HWY_INLINE V LogF32(D d, V x) {
  static constexpr float kLog[] = {0.333333164f, -0.250008106f, 0.200023025f, -0.16624558f,
                                   0.141809165f, -0.131284833f, 0.128831118f, -0.0786187351f};
  const hn::RebindToSigned<D> di;
  const auto bits = hn::BitCast(di, x);
  const auto sqrt_half = hn::Set(di, 0x3f3504f3);
  const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, sqrt_half));
  const auto m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent)));
  const auto e = hn::ConvertTo(d, exponent);
  const auto f = hn::Sub(m, hn::Set(d, 1.0f));
  const auto f2 = hn::Mul(f, f);
  auto tail = hn::Mul(hn::Mul(Polynomial(d, f, kLog), f), f2);
  tail = hn::MulAdd(e, hn::Set(d, -2.12194440e-4f), tail);
  tail = hn::NegMulAdd(hn::Set(d, 0.5f), f2, tail);
  auto result = hn::MulAdd(e, hn::Set(d, 0.693359375f), hn::Add(f, tail));
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  result = hn::IfThenElse(hn::Lt(x, hn::Set(d, std::numeric_limits<float>::min())),
                          hn::Neg(infinity), result);
  result = hn::IfThenElse(hn::Lt(x, infinity), result, x);  // +inf and NaN.
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Set(d, std::numeric_limits<float>::quiet_NaN()),
                        result);
}

// exp(-|x|), for results that depend on it to the last bit.
template <class D, class V>
HWY_INLINE V ExpNegAbsF32(D d, V x) {
  return ExpF32(d, hn::Neg(hn::Abs(x)));
}

// With the sign of x: a + a^3 P(a^2), P of degree 4, for a = |x| < 0.625; else 1 - 2 / (exp(2 a) +
// 1).
template <class D, class V>
HWY_INLINE V TanhF32(D d, V x) {
  static constexpr float kTanh[] = {-0.333332837f, 0.133314848f, -0.0537430048f, 0.0206491034f,
                                    -0.00571549917f};
  const auto a = hn::Abs(x);
  const auto u = hn::Mul(x, x);
  const auto small = hn::MulAdd(hn::Mul(a, u), Polynomial(d, u, kTanh), a);
  const auto one = hn::Set(d, 1.0f);
  const auto quotient = hn::Div(hn::Set(d, 2.0f), hn::Add(ExpF32(d, hn::Add(a, a)), one));
  const auto small_x = hn::Lt(a, hn::Set(d, 0.625f));
  return hn::CopySign(hn::IfThenElse(small_x, small, hn::Sub(one, quotient)), x);
}

// sigmoid(|x|) = 1 - q and sigmoid(-|x|) = z - z q with z = exp(-|x|), q = z / (1 + z): where q is
// small, its rounding errors are too.
template <class D, class V>
HWY_INLINE V SigmoidF32(D d, V x) {
  const auto one = hn::Set(d, 1.0f);
  const auto z = ExpNegAbsF32(d, x);
  const auto q = hn::Div(z, hn::Add(one, z));
  const auto scale = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), z, one);
  return hn::NegMulAdd(scale, q, scale);
}

#if HWY_TARGET <= HWY_AVX3  // AVX-512: a register pair holds a table of 32 floats.

using D16 = hn::Full512<float>;
using F16 = hn::Vec512<float>;

// 2^(j/32).
alignas(64) static constexpr float kPow2[32] = {
    1.0f,        1.0218972f,  1.04427373f, 1.06714046f, 1.09050775f, 1.1143868f,  1.13878858f,
    1.1637249f,  1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f,
    1.35425556f, 1.38390994f, 1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f,
    1.5759809f,  1.61049032f, 1.64575553f, 1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f,
    1.8340081f,  1.87416768f, 1.91520655f, 1.95714414f,
};
// For the leading 5 bits of a mantissa m in [0.75, 1.5): a reciprocal c near 1 / m, and -log(c)
// (plus ln 2 where m < 1). The c were searched for such that -log(c) lies within 2^-36 of a float.
alignas(64) static constexpr float kLogTable[][32] = {
    {1.0f,         0.954617798f, 0.92814672f,  0.90150708f,  0.877438962f, 0.851558149f,
     0.832499206f, 0.810058892f, 0.78848213f,  0.771181643f, 0.753806889f, 0.735193968f,
     0.720094621f, 0.703877866f, 0.689561129f, 0.674397171f, 1.31797409f,  1.29039812f,
     1.26869237f,  1.24095905f,  1.22059786f,  1.19944322f,  1.17464662f,  1.15414524f,
     1.13387394f,  1.11477733f,  1.09585392f,  1.07862902f,  1.05873764f,  1.04009402f,
     1.02197921f,  1.0f},
    {0.0f,         0.0464442298f, 0.0745654553f, 0.103687383f, 0.130747885f, 0.160687491f,
     0.183323011f, 0.210648328f,  0.237645537f,  0.259831339f, 0.282619059f, 0.307620913f,
     0.328372657f, 0.351150423f,  0.371699929f,  0.393936068f, 0.417051405f, 0.438196391f,
     0.455160439f, 0.477262676f,  0.493806392f,  0.511289716f, 0.532179832f, 0.549787164f,
     0.567507148f, 0.584492505f,  0.601613283f,  0.617456377f, 0.636069894f, 0.653836071f,
     0.671406031f, 0.693147182f},
};
// For 1.66 |x| + 1 in [1, 16), by its bits 20 to 24: the centre of an interval of |x|, and tanh's
// coefficients of degree 0 to 4 about it.
alignas(64) static constexpr float kTanhTable[][32] = {
    {0.677767158f, 0.828460753f, 0.979077935f, 1.12931919f,  1.28019345f,  1.43084669f,
     1.58118927f,  1.73205972f,  1.95790637f,  2.25929189f,  2.56007028f,  2.8614614f,
     3.16319704f,  3.46337223f,  3.76470232f,  4.06617355f,  4.51725531f,  5.12137127f,
     5.72267342f,  6.32387066f,  6.92914152f,  7.52869034f,  8.12966919f,  8.72400665f,
     0.0f,         0.112948723f, 0.188212514f, 0.263620466f, 0.338890076f, 0.414085507f,
     0.489469618f, 0.564736247f},
    {0.590065897f, 0.679648638f, 0.752666473f, 0.810786128f, 0.856536448f, 0.891839981f,
     0.91878742f,  0.939298868f, 0.960929751f, 0.978426337f, 0.988120615f, 0.99348104f,
     0.996429443f, 0.998039544f, 0.998926461f, 0.999412417f, 0.999761581f, 0.999928772f,
     0.999978602f, 0.999993563f, 0.999998093f, 0.999999404f, 0.999999821f, 0.99999994f,
     0.0f,         0.11247085f,  0.186021149f, 0.257678747f, 0.32648614f,  0.391936123f,
     0.453795373f, 0.511483073f},
    {0.651822865f,   0.538078368f,    0.433493674f,    0.342626154f,    0.266345471f,
     0.204621509f,   0.155829683f,    0.117717601f,    0.0766132474f,   0.0426812768f,
     0.0236172341f,  0.0129951751f,   0.00712822238f,  0.00391698861f,  0.0021458813f,
     0.00117479521f, 0.00047662016f,  0.000142402365f, 4.27812265e-05f, 1.28588981e-05f,
     3.8321441e-06f, 1.15460307e-06f, 3.4731093e-07f,  1.1e-07f,        1.0f,
     0.987350225f,   0.965396047f,    0.933601618f,    0.893406808f,    0.846386075f,
     0.794069767f,   0.738385081f},
    {-0.384618044f,    -0.365703821f,    -0.326276004f,    -0.277796566f,
     -0.228134781f,    -0.182489723f,    -0.14317441f,     -0.110572077f,
     -0.0736206844f,   -0.0417607836f,   -0.0233368967f,   -0.0129105495f,
     -0.00710278424f,  -0.00390935177f,  -0.00214359793f,  -0.00117411232f,
     -0.000476567366f, -0.000142400968f, -4.27845516e-05f, -1.22101565e-05f,
     -4.601417e-06f,   4.43780777e-07f,  9.70007861e-08f,  0.0f,
     1.03689063e-05f,  -0.111048169f,    -0.179584071f,    -0.240569472f,
     -0.291684866f,    -0.331729203f,    -0.360345125f,    -0.377671808f},
    {0.00923883729f,  0.0687461644f,   0.100733303f,    0.110804975f,
     0.106508128f,    0.0945016891f,   0.0796035156f,   0.0646455288f,
     0.0453416333f,   0.0267442651f,   0.0152609991f,   0.00853898283f,
     0.0047268346f,   0.00261038705f,  0.00143397634f,  0.000786227116f,
     0.000324812223f, 9.70947731e-05f, 2.91759225e-05f, 8.66003666e-06f,
     2.5866359e-06f,  7.94172934e-07f, 2.44356244e-07f, 0.0f,
     -0.334170163f,   -0.316396952f,   -0.288189322f,   -0.249093965f,
     -0.202536628f,   -0.152108446f,   -0.101203315f,   -0.0530235954f},
    {0.1224382f,       0.0749156848f,    0.0328286998f,    0.00272511318f,
     -0.0151451258f,   -0.0234116558f,   -0.02537404f,     -0.02382355f,
     -0.0188988671f,   -0.0121701406f,   -0.00725094089f,  -0.00415327493f,
     -0.00232982915f,  -0.00129283953f,  -0.000712946989f, -0.000391884532f,
     -0.000161594115f, -4.84916491e-05f, -1.45459271e-05f, -1.11730169e-05f,
     7.02820762e-06f,  -1.7841201e-05f,  -4.94991264e-06f, 0.0f,
     0.0192110781f,    0.0729210675f,    0.11341951f,      0.14433153f,
     0.163208932f,     0.170054838f,     0.165911764f,     0.153216064f},
};

HWY_INLINE __m512 Lookup(const float (&table)[32], __m512i index) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
}

// exp(x) = 2^n 2^(j/32) exp(r), exp(r) of degree 2, which is positive for every r: so scalef gives
// infinity for huge x, and its special cases do the rest.
HWY_INLINE F16 ExpF32(D16, F16 x) {
  const __m512 magic = _mm512_set1_ps(393216.0f);  // 1.5 * 2^18: rounds to a multiple of 1/32.
  const __m512 a = _mm512_max_ps(_mm512_set1_ps(-200.0f), x.raw);  // Keeps NaN.
  const __m512 shifted = _mm512_fmadd_ps(a, _mm512_set1_ps(1.44269504f), magic);
  const __m512 n = _mm512_sub_ps(shifted, magic);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693147182f), a);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(1.90465430e-9f), r);
  const __m512 root = Lookup(kPow2, _mm512_castps_si512(shifted));
  const __m512 q = _mm512_fmadd_ps(r, _mm512_set1_ps(0.500004888f), _mm512_set1_ps(1.00001466f));
  return F16{_mm512_scalef_ps(_mm512_fmadd_ps(_mm512_mul_ps(root, r), q, root), n)};
}

// ExpF32's generic method with scalef: half the table method's error.
HWY_INLINE F16 ExpNegAbsF32(D16 d, F16 x) {
  const __m512 magic = _mm512_set1_ps(12582912.0f);
  const __m512 minus_abs = _mm512_or_ps(x.raw, _mm512_set1_ps(-0.0f));
  const __m512 a = _mm512_max_ps(_mm512_set1_ps(-200.0f), minus_abs);  // Keeps NaN.
  const __m512 shifted = _mm512_fmadd_ps(a, _mm512_set1_ps(1.44269504f), magic);
  const __m512 n = _mm512_sub_ps(shifted, magic);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693147182f), a);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(1.90465430e-9f), r);
  return F16{_mm512_scalef_ps(Polynomial(d, F16{r}, kExp).raw, n)};
}

// log(x) = e ln 2 - log(c) + log(1 + r), r = c m - 1, -1/64 <= r <= 1/32, by degree 4. getexp and
// getmant have log's special cases.
HWY_INLINE F16 LogF32(D16, F16 x) {
  const __m512 m = _mm512_getmant_ps(x.raw, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  const __m512i index = _mm512_srli_epi32(_mm512_castps_si512(x.raw), 18);
  const __m512 r = _mm512_fmsub_ps(m, Lookup(kLogTable[0], index), _mm512_set1_ps(1.0f));
  const __m512 head = _mm512_fmadd_ps(_mm512_getexp_ps(x.raw), _mm512_set1_ps(0.693147182f),
                                      Lookup(kLogTable[1], index));
  __m512 q = _mm512_fmadd_ps(r, _mm512_set1_ps(-0.244018018f), _mm512_set1_ps(0.333366543f));
  q = _mm512_fmadd_ps(r, q, _mm512_set1_ps(-0.500001192f));
  return F16{_mm512_add_ps(head, _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r))};
}

// Degree 4 about the centre of one of 32 intervals of [0, 9.03]; 1 beyond.
HWY_INLINE F16 TanhF32(D16, F16 x) {
  const __m512 a = _mm512_min_ps(_mm512_set1_ps(9.03f), _mm512_abs_ps(x.raw));  // Keeps NaN.
  const __m512 y = _mm512_fmadd_ps(a, _mm512_set1_ps(1.66f), _mm512_set1_ps(1.0f));
  const __m512i index = _mm512_srli_epi32(_mm512_castps_si512(y), 20);
  const __m512 r = _mm512_sub_ps(a, Lookup(kTanhTable[0], index));
  __m512 sum = Lookup(kTanhTable[5], index);
  HWY_UNROLL(4)
  for (int i = 4; i > 0; --i) sum = _mm512_fmadd_ps(sum, r, Lookup(kTanhTable[i], index));
  return hn::CopySignToAbs(F16{sum}, x);
}

// As the generic one; fixupimm chooses by the class of x: z for a negative one, 1 for the others.
HWY_INLINE F16 SigmoidF32(D16 d, F16 x) {
  const __m512 z = ExpNegAbsF32(d, x).raw;
  const __m512 q = _mm512_div_ps(z, _mm512_add_ps(_mm512_set1_ps(1.0f), z));
  const __m512 scale = _mm512_fixupimm_ps(z, x.raw, _mm512_set1_epi32(0xA0A0AA22), 0);
  return F16{_mm512_fnmadd_ps(scale, q, scale)};
}

#endif  // HWY_TARGET <= HWY_AVX3

// With the sign of x: a (1 + P(a^2)), P of degree 5, for a = |x| < 0.9277; else
// 1 - exp(-a - a Q(a)), Q of degree 5, up to 4, where the result is 1.
template <class D, class V>
HWY_INLINE V ErfF32(D d, V x) {
  static constexpr float kSmall[] = {0.12837915f,   -0.37612492f,  0.112817675f,
                                     -0.026764356f, 0.0049894317f, -0.0005970269f};
  static constexpr float kLarge[] = {0.12851192f,   0.6357265f,    0.10525112f,
                                     -0.022883136f, 0.0032128412f, -0.00021373031f};
  const auto abs = hn::Abs(x);
  const auto four = hn::Set(d, 4.0f);
  const auto a = hn::IfThenElse(hn::Lt(abs, four), abs, four);
  const auto one = hn::Set(d, 1.0f);
  // Not a + a P: without FMA the product of a tiny a would be flushed to zero.
  const auto small = hn::Mul(a, hn::Add(Polynomial(d, hn::Mul(a, a), kSmall), one));
  const auto exponent = hn::MulAdd(Polynomial(d, a, kLarge), a, a);
  const auto large = hn::Sub(one, ExpF32(d, hn::Neg(exponent)));
  const auto erf = hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.9277f)), small, large);
  return hn::IfThenElse(hn::Eq(x, x), hn::CopySign(erf, x), x);
}

}  // namespace simd_math

// Highway's own mathematics has functions of the same names, and whoever calls one on its vectors
// sees both. Being constrained, ours go before.
template <class V>
concept Vector = true;

// e^x. Infinity above 88.7228, zero below -87.3365. Error: 1.74 ULP (AVX2 0.91, without FMA 1.2).
template <class D, Vector V>
HWY_INLINE V Exp(D d, V x) {
  if constexpr (sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 8) {
    return simd_math::ForEachLane(d, x, [](double v) { return std::exp(v); });
  } else {
    return simd_math::ExpF32(d, x);
  }
}

// Natural logarithm. log(+-0) = -infinity; NaN for negative x. Error: 1.25 ULP (AVX2 and without
// FMA 0.87).
template <class D, Vector V>
HWY_INLINE V Log(D d, V x) {
  if constexpr (sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 8) {
    return simd_math::ForEachLane(d, x, [](double v) { return std::log(v); });
  } else {
    return simd_math::LogF32(d, x);
  }
}

// Hyperbolic tangent. Exact for tiny x, +-1 from 9.03 on. Error: 1.64 ULP (AVX2 and without FMA
// 1.37).
template <class D, Vector V>
HWY_INLINE V Tanh(D d, V x) {
  if constexpr (sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 8) {
    return simd_math::ForEachLane(d, x, [](double v) { return std::tanh(v); });
  } else {
    return simd_math::TanhF32(d, x);
  }
}

// 1 / (1 + e^-x), to full accuracy down to the least normal result. Error: 1.65 ULP (AVX2 1.65,
// without FMA 1.8).
template <class D, Vector V>
HWY_INLINE V Sigmoid(D d, V x) {
  if constexpr (sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 8) {
    return simd_math::ForEachLane(d, x, [](double v) {
      const double z = std::exp(-std::abs(v));
      return (v < 0 ? z : 1.0) / (1.0 + z);
    });
  } else {
    return simd_math::SigmoidF32(d, x);
  }
}

// log(1 + e^x) = max(x, 0) + log(1 + z), z = exp(-|x|). Error: 2.88 ULP (AVX2 2.40, without FMA
// 2.4).
template <class D, Vector V>
HWY_INLINE V Softplus(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return simd_math::ForEachLane(
        d, x, [](double v) { return (v > 0 ? v : 0.0) + std::log1p(std::exp(-std::abs(v))); });
  } else {
    const auto one = hn::Set(d, 1.0f);
    const auto z = simd_math::ExpNegAbsF32(d, x);
    const auto sum = hn::Add(one, z);
    // What rounding 1 + z lost, times log's derivative 1 / (1 + z), here 1 - z / 2.
    const auto lost = hn::Sub(z, hn::Sub(sum, one));
    const auto log =
        hn::Add(simd_math::LogF32(d, sum), hn::NegMulAdd(hn::Mul(lost, hn::Set(d, 0.5f)), z, lost));
    return hn::Add(hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, hn::Zero(d)), log);
  }
}

// The error function. +-1 from 3.84 on. Error: 1.82 ULP (AVX2 1.82, without FMA 1.85).
template <class D, Vector V>
HWY_INLINE V Erf(D d, V x) {
  if constexpr (sizeof(hwy::HWY_NAMESPACE::TFromD<D>) == 8) {
    return simd_math::ForEachLane(d, x, [](double v) { return std::erf(v); });
  } else {
    return simd_math::ErfF32(d, x);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif  // WENGERT_OPS_KERNELS_SIMD_MATH_INL_H_

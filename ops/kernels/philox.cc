// Philox by SIMD, compiled once per target, and what is made of its words in the same pass.
#include "ops/kernels/philox.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "absl/functional/function_ref.h"
#include "tensor/parallel.h"

#ifndef WENGERT_PHILOX_CONSTANTS_
#define WENGERT_PHILOX_CONSTANTS_
namespace wengert {
inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxM0 = 0xD2511F53, kPhiloxM1 = 0xCD9E8D57;  // multipliers
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9, kPhiloxW1 = 0xBB67AE85;  // steps of the key
}  // namespace wengert
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/kernels/philox.cc"
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

// After a lambda's parameters: it belongs to this target, and to the loop that calls it.
#undef WENGERT_IN_LOOP
#define WENGERT_IN_LOOP HWY_ATTR __attribute__((always_inline))

using Words = hn::ScalableTag<uint32_t>;

// Calls f(i, words, lanes) with words i, i + 1, ... of the stream up to n; fewer than all lanes
// count only in the last call.
template <class F>
HWY_INLINE void ForEachWords(const RandomStream& stream, int64_t n, F f) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t counter = stream.counter + i / 4;
    const auto words =
        Philox4x32({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
                   {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
    f(i, hn::Set(Words(), words[i % 4]), 1);
  }
#else
  const Words d32;
  // A lane of 64 bits per counter: the multiplication reads the lower half of each and writes both,
  // so nothing is ever moved between lanes. Upper halves hold what is left over.
  const hn::Repartition<uint64_t, Words> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  // Even lanes take the first half of the counters and odd ones the second: then the interleaving
  // at the end, which stays within 128 bits, leaves the words in order.
  HWY_ALIGN uint64_t order[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) order[i] = i / 2 + i % 2 * (kLanes / 2);
  const V offsets = hn::Load(d, order);
  const V m0 = hn::Set(d, kPhiloxM0), m1 = hn::Set(d, kPhiloxM1);
  const auto multiply = [&](V a, V b) WENGERT_IN_LOOP {
    return hn::MulEven(hn::BitCast(d32, a), hn::BitCast(d32, b));
  };
  const V lower = hn::Set(d, 0xFFFFFFFF);
  for (int64_t i = 0; i < n; i += 4 * kLanes) {
    const V counter = hn::Add(hn::Set(d, stream.counter + i / 4), offsets);
    V c0 = counter, c1 = hn::ShiftRight<32>(counter), c2 = hn::Zero(d), c3 = hn::Zero(d);
    uint32_t k0 = static_cast<uint32_t>(stream.seed), k1 = stream.seed >> 32;
    HWY_UNROLL(10) for (int round = 0; round < kPhiloxRounds; ++round) {
      const V p0 = multiply(c0, m0), p1 = multiply(c2, m1);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
      c1 = p1;
      c3 = p0;
      k0 += kPhiloxW0;
      k1 += kPhiloxW1;
    }
    const V c01 = hn::Or(hn::And(c0, lower), hn::ShiftLeft<32>(c1));
    const V c23 = hn::Or(hn::And(c2, lower), hn::ShiftLeft<32>(c3));
    const int64_t left = n - i;
    f(i, hn::BitCast(d32, hn::InterleaveLower(d, c01, c23)), std::min(left, 2 * kLanes));
    if (left > 2 * kLanes) {
      f(i + 2 * kLanes, hn::BitCast(d32, hn::InterleaveUpper(d, c01, c23)),
        std::min(left - 2 * kLanes, 2 * kLanes));
    }
  }
#endif
}

template <class D, class V, class T>
HWY_INLINE void StoreLanes(D d, V v, int64_t count, T* to) {
  if (count == static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, to);
  } else {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
  }
}

}  // namespace

void FillWords(const RandomStream& stream, int64_t n, uint32_t* to) {
  ForEachWords(stream, n, [&](int64_t i, hn::Vec<Words> words, int64_t count) WENGERT_IN_LOOP {
    StoreLanes(Words(), words, count, to + i);
  });
}

void UniformPart(const RandomStream& stream, int64_t n, float low, float high, float* to) {
  const hn::RebindToFloat<Words> d;
  const hn::RebindToSigned<Words> di;
  const double unit = (static_cast<double>(high) - low) * 0x1p-24;
  const auto scale = hn::Set(d, static_cast<float>(unit)), start = hn::Set(d, low);
  // low + (high - low) * u may round to high.
  const auto most = hn::Set(d, std::nextafter(high, low));
  ForEachWords(stream, n, [&](int64_t i, hn::Vec<Words> words, int64_t count) WENGERT_IN_LOOP {
    const auto u = hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<8>(words)));
    StoreLanes(d, hn::Min(hn::Add(hn::Mul(u, scale), start), most), count, to + i);
  });
}

// AS 241's PPND7, by the two ends of a word: its sign, and 31 bits that are a probability below
// 1/2.
void NormalPart(const RandomStream& stream, int64_t n, float mean, float stddev, float* to) {
  static constexpr float kA[] = {3.3871327179f, 50.434271938f, 159.29113202f, 59.109374720f};
  static constexpr float kB[] = {1.0f, 17.895169469f, 78.757757664f, 67.187563600f};
  static constexpr float kC[] = {1.4234372777f, 2.7568153900f, 1.3067284816f, 0.17023821103f};
  static constexpr float kD[] = {1.0f, 0.73700164250f, 0.12021132975f};
  const hn::RebindToFloat<Words> d;
  const hn::RebindToSigned<Words> di;
  const auto m = hn::Set(d, mean), s = hn::Set(d, stddev), half = hn::Set(d, 0.5f);
  const auto unit = hn::Set(d, 0x1p-32f);
  const auto largest = hn::Set(di, 0x7FFFFFFF);
  ForEachWords(stream, n, [&](int64_t i, hn::Vec<Words> words, int64_t count) WENGERT_IN_LOOP {
    const auto bits = hn::And(hn::BitCast(di, words), largest);
    // p, and q = 1/2 - p without its rounding error.
    const auto p = hn::Mul(hn::Add(hn::ConvertTo(d, bits), half), unit);
    const auto q = hn::Mul(hn::Add(hn::ConvertTo(d, hn::Sub(largest, bits)), half), unit);
    const auto r = hn::NegMulAdd(q, q, hn::Set(d, 0.180625f));
    const auto t = hn::Sub(hn::Sqrt(hn::Neg(Log(d, p))), hn::Set(d, 1.6f));
    const auto near = hn::Le(q, hn::Set(d, 0.425f));
    const auto numerator = hn::IfThenElse(near, hn::Mul(q, simd_math::Polynomial(d, r, kA)),
                                          simd_math::Polynomial(d, t, kC));
    const auto denominator =
        hn::IfThenElse(near, simd_math::Polynomial(d, r, kB), simd_math::Polynomial(d, t, kD));
    const auto z = hn::Div(numerator, denominator);
    const auto sign = hn::BitCast(d, hn::AndNot(largest, hn::BitCast(di, words)));
    StoreLanes(d, hn::Add(hn::Mul(hn::Or(z, sign), s), m), count, to + i);
  });
}

// Keeps where word >= threshold. Comparing signed, after both have had 2^31 added.
void DropoutPart(const RandomStream& stream, int64_t n, uint32_t threshold, float scale,
                 const float* x, float* to) {
  const hn::RebindToFloat<Words> d;
  const hn::RebindToSigned<Words> di;
  const auto top = hn::Set(di, std::numeric_limits<int32_t>::min());
  const auto least = hn::Xor(hn::Set(di, static_cast<int32_t>(threshold)), top);
  const auto factor = hn::Set(d, scale);
  ForEachWords(stream, n, [&](int64_t i, hn::Vec<Words> words, int64_t count) WENGERT_IN_LOOP {
    const auto drop = hn::Lt(hn::Xor(hn::BitCast(di, words), top), least);
    const auto y = hn::Mul(hn::LoadU(d, x + i), factor);
    StoreLanes(d, hn::IfThenZeroElse(hn::RebindMask(d, drop), y), count, to + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {

HWY_EXPORT(FillWords);
HWY_EXPORT(UniformPart);
HWY_EXPORT(NormalPart);
HWY_EXPORT(DropoutPart);

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  auto& [c0, c1, c2, c3] = counter;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t{c0} * kPhiloxM0, p1 = uint64_t{c2} * kPhiloxM1;
    counter = {static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kPhiloxW0;
    key[1] += kPhiloxW1;
  }
  return counter;
}

namespace {

// Elements of a task: about 10 us. A multiple of the four words of a counter.
constexpr int64_t kTaskElements = 1 << 14;

// Calls part(stream, first, count) for parts of `size` elements, each with the stream at its own
// first word.
void InParts(const RandomStream& stream, int64_t size, int64_t words_per_element,
             absl::FunctionRef<void(const RandomStream&, int64_t first, int64_t count)> part) {
  ParallelFor((size + kTaskElements - 1) / kTaskElements, [&](int64_t task) {
    const int64_t first = task * kTaskElements;
    const uint64_t counter = stream.counter + first * words_per_element / 4;
    part({stream.seed, counter}, first, std::min(kTaskElements, size - first));
  });
}

// Calls f(i, &word) with the words of each element i < count, through a buffer.
template <int kWordsPerElement, class F>
void ForEachElement(const RandomStream& stream, int64_t count, F f) {
  constexpr int64_t kElements = 512;
  uint32_t words[kElements * kWordsPerElement];
  for (int64_t i = 0; i < count; i += kElements) {
    const int64_t block = std::min(kElements, count - i);
    const RandomStream from{stream.seed, stream.counter + i * kWordsPerElement / 4};
    HWY_DYNAMIC_DISPATCH(FillWords)(from, block * kWordsPerElement, words);
    for (int64_t j = 0; j < block; ++j) f(i + j, words + j * kWordsPerElement);
  }
}

// 53 bits of two words, in [0, 1).
double UnitDouble(const uint32_t* words) {
  return static_cast<double>((uint64_t{words[0]} << 32 | words[1]) >> 11) * 0x1p-53;
}

// c[0] + c[1] x + ... + c[7] x^7.
double Polynomial(double x, const double (&c)[8]) {
  double sum = c[7];
  HWY_UNROLL(7) for (int i = 6; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

// AS 241's PPND16: |z| that a standard normal exceeds on one side with probability p < 1/2.
constexpr double kA[] = {3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
                         13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
                         33430.575583588128105, 2509.0809287301226727};
constexpr double kB[] = {1,
                         42.313330701600911252,
                         687.18700749205790830,
                         5394.1960214247511077,
                         21213.794301586595867,
                         39307.895800092710610,
                         28729.085735721942674,
                         5226.4952788528545610};
constexpr double kC[] = {1.42343711074968357734,    4.63033784615654529590,
                         5.76949722146069140550,    3.64784832476320460504,
                         1.27045825245236838258,    2.41780725177450611770e-1,
                         2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kD[] = {1,
                         2.05319162663775882187,
                         1.67638483018380384940,
                         6.89767334985100004550e-1,
                         1.48103976427480074590e-1,
                         1.51986665636164571966e-2,
                         5.47593808499534494600e-4,
                         1.05075007164441684324e-9};
constexpr double kE[] = {6.65790464350110377720,    5.46378491116411436990,
                         1.78482653991729133580,    2.96560571828504891230e-1,
                         2.65321895265761230930e-2, 1.24266094738807843860e-3,
                         2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double kF[] = {1,
                         5.99832206555887937690e-1,
                         1.36929880922735805310e-1,
                         1.48753612908506148525e-2,
                         7.86869131145613259100e-4,
                         1.84631831751005468180e-5,
                         1.42151175831644588870e-7,
                         2.04426310338993978564e-15};
double NormalTail(double p) {
  const double q = 0.5 - p;
  if (q <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * Polynomial(r, kA) / Polynomial(r, kB);
  }
  const double r = std::sqrt(-std::log(p));
  return r <= 5 ? Polynomial(r - 1.6, kC) / Polynomial(r - 1.6, kD)
                : Polynomial(r - 5, kE) / Polynomial(r - 5, kF);
}

// `probability` of 2^32 words, as a bound that may be 2^32 itself.
uint64_t Bound(double probability) {
  return static_cast<uint64_t>(std::llround(probability * 0x1p32));
}

}  // namespace

void FillUniform(const RandomStream& stream, double low, double high, Tensor& y) {
  const int64_t words = WordsPerElement(y.dtype());
  InParts(stream, y.size(), words, [&](const RandomStream& part, int64_t first, int64_t count) {
    if (y.dtype() == DType::kFloat32) {
      HWY_DYNAMIC_DISPATCH(UniformPart)
      (part, count, static_cast<float>(low), static_cast<float>(high),
       y.mutable_data<float>() + first);
      return;
    }
    double* const to = y.mutable_data<double>() + first;
    const double scale = high - low, most = std::nextafter(high, low);
    ForEachElement<2>(part, count, [=](int64_t i, const uint32_t* w) {
      to[i] = std::min(low + scale * UnitDouble(w), most);
    });
  });
}

void FillNormal(const RandomStream& stream, double mean, double stddev, Tensor& y) {
  const int64_t words = WordsPerElement(y.dtype());
  InParts(stream, y.size(), words, [&](const RandomStream& part, int64_t first, int64_t count) {
    if (y.dtype() == DType::kFloat32) {
      HWY_DYNAMIC_DISPATCH(NormalPart)
      (part, count, static_cast<float>(mean), static_cast<float>(stddev),
       y.mutable_data<float>() + first);
      return;
    }
    double* const to = y.mutable_data<double>() + first;
    ForEachElement<2>(part, count, [=](int64_t i, const uint32_t* w) {
      // A sign and 52 bits of probability, at the middle of its interval: never 0.
      const uint64_t bits = uint64_t{w[0]} << 32 | w[1];
      const double p = (static_cast<double>(bits << 1 >> 12) + 0.5) * 0x1p-53;
      const double z = NormalTail(p);
      to[i] = mean + stddev * (bits >> 63 ? -z : z);
    });
  });
}

void FillBernoulli(const RandomStream& stream, double probability, Tensor& y) {
  const uint64_t bound = Bound(probability);
  InParts(stream, y.size(), 1, [&](const RandomStream& part, int64_t first, int64_t count) {
    DispatchDType(y.dtype(), [&]<class T>() {
      T* const to = y.mutable_data<T>() + first;
      ForEachElement<1>(part, count, [=](int64_t i, const uint32_t* w) {
        constexpr T kValues[] = {0, 1};  // g++ would branch, and mispredict
        to[i] = kValues[*w < bound];
      });
    });
  });
}

void FillPermutation(const RandomStream& stream, Tensor& y) {
  int64_t* const to = y.mutable_data<int64_t>();
  // Fisher and Yates, from the inside out. Position j <= i comes without division or bias by
  // D. Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019); a word that
  // would bias it is drawn again with the counter's third word, which nothing else uses.
  ForEachElement<1>(stream, y.size(), [&](int64_t i, const uint32_t* w) {
    const uint32_t range = static_cast<uint32_t>(i) + 1;
    uint64_t product = uint64_t{*w} * range;
    if (static_cast<uint32_t>(product) < range) {
      const uint32_t biased = -range % range;
      const uint64_t counter = stream.counter + i / 4;
      for (uint32_t attempt = 1; static_cast<uint32_t>(product) < biased; ++attempt) {
        const auto words = Philox4x32(
            {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), attempt, 0},
            {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
        product = uint64_t{words[i % 4]} * range;
      }
    }
    const int64_t j = static_cast<int64_t>(product >> 32);
    to[i] = to[j];
    to[j] = i;
  });
}

void DropoutKernel(const RandomStream& stream, double rate, const Tensor& x, Tensor& y) {
  const Tensor dense = x.Contiguous();
  // A rate below 1 may still round to 2^32.
  const uint32_t bound = static_cast<uint32_t>(std::min<uint64_t>(Bound(rate), 0xFFFFFFFF));
  const double scale = 1 / (1 - rate);
  InParts(stream, y.size(), 1, [&](const RandomStream& part, int64_t first, int64_t count) {
    if (y.dtype() == DType::kFloat32) {
      HWY_DYNAMIC_DISPATCH(DropoutPart)
      (part, count, bound, static_cast<float>(scale), dense.data<float>() + first,
       y.mutable_data<float>() + first);
      return;
    }
    const double* const from = dense.data<double>() + first;
    double* const to = y.mutable_data<double>() + first;
    ForEachElement<1>(part, count, [=](int64_t i, const uint32_t* w) {
      // No branch here either.
      const uint64_t keep = -static_cast<uint64_t>(*w >= bound);
      to[i] = std::bit_cast<double>(std::bit_cast<uint64_t>(from[i] * scale) & keep);
    });
  });
}

}  // namespace wengert
#endif  // HWY_ONCE

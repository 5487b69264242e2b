// Accuracy of ops/kernels/simd_math-inl.h and simd_elementary-inl.h for every SIMD target of this
// processor: a stride through all float32 bit patterns, every float near the hard points, and the
// special values, against the C library in float64.
#include "ops/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/ops/simd_math_test.cc"
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include "hwy/aligned_allocator.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/kernels/simd_elementary-inl.h"
#include "ops/kernels/simd_math-inl.h"
#include "tests/ops/kernel_test.h"

#if HWY_ARCH_X86
#include <xmmintrin.h>
#endif

#ifndef WENGERT_TESTS_OPS_SIMD_MATH_TEST_
#define WENGERT_TESTS_OPS_SIMD_MATH_TEST_
namespace wengert {
// F(function, its value in double, the greatest error in ULP)
#define WENGERT_FUNCTIONS(F)                                                  \
  F(Exp, std::exp(x), 2)                                                      \
  F(Log, std::log(x), 2)                                                      \
  F(Tanh, std::tanh(x), 2)                                                    \
  F(Sigmoid, (x < 0 ? std::exp(x) : 1.0) / (1.0 + std::exp(-std::abs(x))), 2) \
  F(Softplus, std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))), 4)       \
  F(Erf, std::erf(x), 2)                                                      \
  F(Erfc, std::erfc(x), 1)                                                    \
  F(Expm1, std::expm1(x), 4)                                                  \
  F(Log1p, std::log1p(x), 4)                                                  \
  F(Sin, std::sin(x), 3)                                                      \
  F(Cos, std::cos(x), 3)                                                      \
  F(Tan, std::tan(x), 5)                                                      \
  F(Asin, std::asin(x), 3)                                                    \
  F(Acos, std::acos(x), 3)                                                    \
  F(Atan, std::atan(x), 3)                                                    \
  F(Sinh, std::sinh(x), 5)                                                    \
  F(Cosh, std::cosh(x), 4)

enum class Function {
#define NAME(function, ...) k##function,
  WENGERT_FUNCTIONS(NAME)
#undef NAME
};
inline constexpr Function kFunctions[] = {
#define NAME(function, ...) Function::k##function,
    WENGERT_FUNCTIONS(NAME)
#undef NAME
};
inline constexpr size_t kBlock = 1024;  // Floats or doubles per call of a loop below.
}  // namespace wengert
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
HWY_NOINLINE void Apply(Function function, const T* HWY_RESTRICT x, T* HWY_RESTRICT y) {
  const hwy::HWY_NAMESPACE::ScalableTag<T> d;
  for (size_t i = 0; i < kBlock; i += Lanes(d)) {
    const auto v = Load(d, x + i);
    switch (function) {
#define CASE(function, ...)          \
  case Function::k##function:        \
    Store(function(d, v), d, y + i); \
    break;
      WENGERT_FUNCTIONS(CASE)
#undef CASE
    }
  }
}

void ApplyFloat(Function function, const float* x, float* y) { Apply(function, x, y); }
void ApplyDouble(Function function, const double* x, double* y) { Apply(function, x, y); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert {
namespace {

HWY_EXPORT(ApplyFloat);
HWY_EXPORT(ApplyDouble);

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMinNormal = std::numeric_limits<float>::min();

float FromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

uint32_t ToBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

double Reference(Function function, double x) {
  switch (function) {
#define CASE(function, value, ...) \
  case Function::k##function:      \
    return value;
    WENGERT_FUNCTIONS(CASE)
#undef CASE
  }
  return kNan;
}

// |got - want| in units of the last place of `want` rounded to float32; infinite where NaN,
// infinity or the flush to zero is missing or misplaced. A result that rounds to the least normal
// number may be flushed.
double UlpError(float got, double want) {
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) && std::isnan(got) ? 0 : kInfinity;
  const double magnitude = std::abs(want);
  const double ulp_of_least = kMinNormal * 0x1p-23;
  if (magnitude < kMinNormal - 4 * ulp_of_least) return got == 0 ? 0 : kInfinity;
  if (magnitude < kMinNormal + 4 * ulp_of_least && got == 0) return 0;
  if (magnitude > std::numeric_limits<float>::max()) {
    return std::isinf(got) && (got > 0) == (want > 0) ? 0 : kInfinity;
  }
  int exponent;
  std::frexp(std::max<double>(magnitude, kMinNormal), &exponent);
  return std::abs(got - want) / std::ldexp(1.0, exponent - 24);
}

// Runs each test body once per target, with the flush-to-zero mode of Evaluate.
class SimdMathTest : public testing::Test {
 protected:
  void SetUp() override {
#if HWY_ARCH_X86
    saved_mode_ = _mm_getcsr();
    _mm_setcsr(saved_mode_ | 0x8040);
#endif
  }

  void TearDown() override {
#if HWY_ARCH_X86
    _mm_setcsr(saved_mode_);
#endif
  }

  uint32_t saved_mode_ = 0;

  // y = function(x) for each float of `inputs`.
  static std::vector<float> Evaluate(Function function, const std::vector<float>& inputs) {
    HWY_ALIGN_MAX static float x[kBlock], y[kBlock];
    std::vector<float> outputs(inputs.size());
    for (size_t begin = 0; begin < inputs.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, inputs.size() - begin);
      std::copy_n(inputs.begin() + begin, count, x);
      HWY_DYNAMIC_DISPATCH(ApplyFloat)(function, x, y);
      std::copy_n(y, count, outputs.begin() + begin);
    }
    return outputs;
  }

  static void ExpectWithin(double max_ulp, Function function, const std::vector<float>& inputs) {
    std::vector<double> expected;
    expected.reserve(inputs.size());
    for (const float x : inputs) {
      const bool subnormal = (ToBits(x) & 0x7f800000) == 0;  // Treated as a zero of its sign.
      expected.push_back(Reference(function, subnormal ? std::copysign(0.0, x) : x));
    }
    ForEachTarget([&] {
      const std::vector<float> outputs = Evaluate(function, inputs);
      double worst = -1;
      size_t at = 0;
      for (size_t i = 0; i < inputs.size(); ++i) {
        const double error = UlpError(outputs[i], expected[i]);
        if (error > worst) worst = error, at = i;
      }
      EXPECT_LE(worst, max_ulp) << "at " << testing::PrintToString(inputs[at]) << ": got "
                                << testing::PrintToString(outputs[at]) << ", want "
                                << testing::PrintToString(expected[at]);
    });
  }

  // All bit patterns in steps of a prime.
  static std::vector<float> Stride() {
    std::vector<float> inputs;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 2503) {
      inputs.push_back(FromBits(static_cast<uint32_t>(bits)));
    }
    return inputs;
  }

  // The 2 * 300 + 1 floats around each of +-`points`.
  static std::vector<float> Near(const std::vector<double>& points) {
    std::vector<float> inputs;
    for (const double point : points) {
      for (const double sign : {-1.0, 1.0}) {
        const uint32_t bits = ToBits(static_cast<float>(sign * point));
        for (uint32_t offset = 0; offset <= 600; ++offset) {
          inputs.push_back(FromBits(bits + offset - 300));
        }
      }
    }
    return inputs;
  }

  static std::vector<float> Special() {
    return {0.0f,
            -0.0f,
            1e-40f,
            -1e-40f,
            kMinNormal,
            -kMinNormal,
            1e-30f,
            -1e-30f,
            1.0f,
            -1.0f,
            1e20f,
            -1e20f,
            4e26f,
            -5e26f,
            3e38f,
            -3e38f,
            std::numeric_limits<float>::max(),
            -std::numeric_limits<float>::max(),
            kInfinity,
            -kInfinity,
            kNan,
            -kNan};
  }

  static void TestAccuracy(double max_ulp, Function function) {
    std::vector<double> points = {kMinNormal, 1e-4, 0.0625, 0.2253, 0.4769, 0.625,    0.9277,
                                  1.0,        2.0,  3.83,   4.0,    200.0,  393216.0, 12582912.0};
    for (int k = 1; k <= 300; ++k)
      points.push_back(k * std::log(2.0) / 2);  // Range reduction; overflow, underflow.
    for (int k = 1; k < 128; ++k) points.push_back(1 + k / 64.0);               // log's intervals,
    for (int k = 1; k < 256; ++k) points.push_back((1 + k / 16.0 - 1) / 1.66);  // tanh's.
    for (int k = -7; k <= 6; ++k) {  // Results near a power of two, where an ULP halves.
      const double y = std::ldexp(1.0, k);
      points.push_back(std::exp(y));
      points.push_back(std::exp(-y));
      points.push_back(std::log(std::expm1(y)));
      if (y < 1) points.push_back(std::atanh(y));
      if (y < 1) points.push_back(std::log(y / (1 - y)));
    }
    ExpectWithin(max_ulp, function, Special());
    ExpectWithin(max_ulp, function, Near(points));
    ExpectWithin(max_ulp, function, Stride());
  }

  static void ExpectEach(Function function, const std::vector<float>& inputs,
                         const std::vector<float>& expected) {
    ForEachTarget([&] {
      const std::vector<float> outputs = Evaluate(function, inputs);
      for (size_t i = 0; i < inputs.size(); ++i) {
        EXPECT_EQ(outputs[i], expected[i]) << "at " << testing::PrintToString(inputs[i]);
      }
    });
  }
};

#define TEST_OF(function, value, ulp) \
  TEST_F(SimdMathTest, function##IsAccurate) { TestAccuracy(ulp, Function::k##function); }
WENGERT_FUNCTIONS(TEST_OF)

TEST_F(SimdMathTest, KnownValuesAreExact) {
  ExpectEach(Function::kExp,
             {0.0f, -0.0f, -kInfinity, kInfinity, 88.8f, -87.5f, -104.0f, 1e38f, -1e38f},
             {1, 1, 0, kInfinity, kInfinity, 0, 0, kInfinity, 0});
  ExpectEach(Function::kLog, {1.0f, 0.0f, -0.0f, 1e-40f, kInfinity},
             {0, -kInfinity, -kInfinity, -kInfinity, kInfinity});
  ExpectEach(Function::kTanh, {0.0f, 1e-30f, -1e-5f, 9.1f, -20.0f, kInfinity, -kInfinity},
             {0, 1e-30f, -1e-5f, 1, -1, 1, -1});
  ExpectEach(Function::kSigmoid, {0.0f, 100.0f, -100.0f, kInfinity, -kInfinity},
             {0.5f, 1, 0, 1, 0});
  ExpectEach(Function::kSoftplus, {100.0f, 1e30f, -100.0f, kInfinity, -kInfinity},
             {100, 1e30f, 0, kInfinity, 0});
  ExpectEach(Function::kErf, {0.0f, 4.5f, -20.0f, kInfinity, -kInfinity}, {0, 1, -1, 1, -1});
  ExpectEach(Function::kExpm1, {0.0f, 1e-30f, 89.0f, -30.0f, kInfinity, -kInfinity},
             {0, 1e-30f, kInfinity, -1, kInfinity, -1});
  ExpectEach(Function::kLog1p, {0.0f, 1e-30f, -1.0f, kInfinity},
             {0, 1e-30f, -kInfinity, kInfinity});
  ExpectEach(Function::kCosh, {0.0f, 89.5f, kInfinity, -kInfinity},
             {1, kInfinity, kInfinity, kInfinity});
  ExpectEach(Function::kSinh, {1e-30f, 89.5f, kInfinity, -kInfinity},
             {1e-30f, kInfinity, kInfinity, -kInfinity});
}

TEST_F(SimdMathTest, OddFunctionsKeepTheSignOfZero) {
  for (const auto function :
       {Function::kTanh, Function::kErf, Function::kExpm1, Function::kLog1p, Function::kSin,
        Function::kTan, Function::kAsin, Function::kAtan, Function::kSinh}) {
    ForEachTarget([&] {
      const std::vector<float> outputs = Evaluate(function, {0.0f, -0.0f});
      EXPECT_FALSE(std::signbit(outputs[0]));
      EXPECT_TRUE(std::signbit(outputs[1]));
    });
  }
}

TEST_F(SimdMathTest, DoublesAreTheCLibrarys) {
  HWY_ALIGN_MAX static double x[kBlock], y[kBlock];
  for (size_t i = 0; i < kBlock; ++i) x[i] = 0.05 * (static_cast<double>(i) - 500);
  x[0] = -800;
  x[1] = 800;
  for (const auto function : kFunctions) {
    ForEachTarget([&] {
      HWY_DYNAMIC_DISPATCH(ApplyDouble)(function, x, y);
      for (size_t i = 0; i < kBlock; ++i) {
        const double want = Reference(function, x[i]);
        if (std::isnan(want)) {
          EXPECT_TRUE(std::isnan(y[i])) << x[i];
        } else {
          EXPECT_EQ(y[i], want) << x[i];
        }
      }
    });
  }
}

}  // namespace
}  // namespace wengert
#endif  // HWY_ONCE

// Philox against its published vectors; the distributions against their moments and by chi-square
// and Kolmogorov-Smirnov tests with fixed seeds; and what makes a program repeatable.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "autograd/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/kernels/philox.h"
#include "ops/kernels/simd_targets.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
// After simd_targets.h.
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// From Random123's kat_vectors: zeros, ones, and the digits of pi.
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const uint32_t ones = 0xffffffff;
  EXPECT_THAT(Philox4x32({ones, ones, ones, ones}, {ones, ones}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

// Element i is word i % 4 of counter first + i / 4, on every SIMD target, across the carry into the
// counter's second word too.
TEST(PhiloxTest, StreamIsTheGeneratorsWords) {
  ForEachTarget([] {
    for (const int64_t n : {1, 3, 4, 15, 17, 33, 64, 100, 1000}) {
      Generator generator(0x123456789abcdef0);
      generator.counter = 0xfffffff0;
      const auto u = Uniform({n}, generator).value().ToVector<float>();
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t counter = uint64_t{0xfffffff0} + i / 4;
        const uint32_t word =
            Philox4x32({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
                       {0x9abcdef0, 0x12345678})[i % 4];
        ASSERT_EQ(u[i], static_cast<float>(word >> 8) * 0x1p-24f) << i << " of " << n;
      }
    }
  });
}

double Phi(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;  // the last two standardized
};
Moments MomentsOf(const std::vector<double>& x) {
  Moments m;
  const double n = static_cast<double>(x.size());
  for (const double v : x) m.mean += v / n;
  for (const double v : x) m.variance += (v - m.mean) * (v - m.mean) / n;
  for (const double v : x) {
    const double z = (v - m.mean) / std::sqrt(m.variance);
    m.skewness += z * z * z / n;
    m.kurtosis += z * z * z * z / n;
  }
  return m;
}

// sqrt(n) times the largest distance between the sample's distribution function and `cdf`: above
// 1.95 once in a thousand times (Kolmogorov's distribution).
template <class F>
double KolmogorovSmirnov(std::vector<double> x, F cdf) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double p = cdf(x[i]);
    largest =
        std::max({largest, p - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - p});
  }
  return largest * std::sqrt(n);
}

class RandomTest : public testing::TestWithParam<DType> {
 protected:
  KernelSettings settings_;
};
INSTANTIATE_TEST_SUITE_P(DTypes, RandomTest, testing::Values(DType::kFloat32, DType::kFloat64),
                         [](const auto& info) { return std::string(Name(info.param)); });

TEST_P(RandomTest, UniformIsUniform) {
  Generator generator(1);
  const auto x = Uniform({200000}, generator, 0, 1, GetParam()).value().ToVector<double>();
  const Moments m = MomentsOf(x);
  EXPECT_NEAR(m.mean, 0.5, 4 * std::sqrt(1 / 12.0 / 200000));
  EXPECT_NEAR(m.variance, 1 / 12.0, 4 * std::sqrt(1 / 180.0 / 200000));
  EXPECT_NEAR(m.kurtosis, 1.8, 0.02);
  EXPECT_LT(KolmogorovSmirnov(x, [](double v) { return v; }), 1.95);
  // Neighbours are independent: pairs fall evenly into 16 x 16 boxes (chi-square, 255 degrees of
  // freedom: above 330 once in a thousand times).
  std::vector<int> boxes(256);
  for (size_t i = 0; i < x.size(); i += 2) {
    ++boxes[static_cast<int>(x[i] * 16) * 16 + static_cast<int>(x[i + 1] * 16)];
  }
  const double expected = static_cast<double>(x.size()) / 2 / 256;
  double chi_square = 0;
  for (const int count : boxes) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 330);
  EXPECT_GT(chi_square, 190);
}

TEST_P(RandomTest, UniformKeepsToItsRange) {
  const auto minmax = [](double low, double high) {
    Generator generator(2);
    const auto x = Uniform({300000}, generator, low, high, GetParam()).value().ToVector<double>();
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    return std::pair(*least, *most);
  };
  EXPECT_GE(minmax(-3, 5).first, -3);
  EXPECT_LT(minmax(-3, 5).first, -2.999);
  EXPECT_GT(minmax(-3, 5).second, 4.999);
  EXPECT_LT(minmax(-3, 5).second, 5);
  // Two neighbouring floats: every sum low + u * (high - low) rounds to one of them.
  const double next =
      GetParam() == DType::kFloat32 ? std::nextafter(1.0f, 2.0f) : std::nextafter(1.0, 2.0);
  EXPECT_EQ(minmax(1, next), std::pair(1.0, 1.0));
  EXPECT_EQ(minmax(2, 2), std::pair(2.0, 2.0));
}

TEST_P(RandomTest, NormalIsNormal) {
  Generator generator(4);
  const auto x = Normal({200000}, generator, 0, 1, GetParam()).value().ToVector<double>();
  const Moments m = MomentsOf(x);
  EXPECT_NEAR(m.mean, 0, 4 / std::sqrt(200000));
  EXPECT_NEAR(m.variance, 1, 4 * std::sqrt(2.0 / 200000));
  EXPECT_NEAR(m.skewness, 0, 4 * std::sqrt(6.0 / 200000));
  EXPECT_NEAR(m.kurtosis, 3, 4 * std::sqrt(24.0 / 200000));
  EXPECT_LT(KolmogorovSmirnov(x, Phi), 1.95);

  const auto scaled = Normal({100000}, generator, -2, 3, GetParam()).value().ToVector<double>();
  EXPECT_LT(KolmogorovSmirnov(scaled, [](double v) { return Phi((v + 2) / 3); }), 1.95);
}

// Every value is the inverse of the distribution function at its words, on every SIMD target.
TEST_P(RandomTest, NormalInvertsItsDistribution) {
  const bool is_float = GetParam() == DType::kFloat32;
  ForEachTarget([&] {
    Generator generator(5);
    const auto z = Normal({50001}, generator, 0, 1, GetParam()).value().ToVector<double>();
    for (int64_t i = 0; i < static_cast<int64_t>(z.size()); ++i) {
      const int64_t w = i * (is_float ? 1 : 2);
      const auto words = Philox4x32({static_cast<uint32_t>(w / 4), 0, 0, 0}, {5, 0});
      const uint32_t high = words[w % 4];
      // A sign, and the middle of an interval of probabilities below 1/2.
      double p = ((high & 0x7fffffff) + 0.5) * 0x1p-32;
      if (!is_float) {
        const uint64_t bits = uint64_t{high} << 32 | words[w % 4 + 1];
        p = (static_cast<double>((bits & ~(uint64_t{1} << 63)) >> 11) + 0.5) * 0x1p-53;
      }
      // p = Phi(-|z|); its relative error is that of z times z^2.
      const double error = std::abs(Phi(-std::abs(z[i])) / p - 1);
      ASSERT_LT(error, (is_float ? 1e-6 : 2e-15) * (1 + z[i] * z[i])) << z[i];
      ASSERT_EQ(std::signbit(z[i]), high >> 31 == 1);
    }
  });
}

TEST(NormalTest, ReachesTheTails) {
  Generator generator(6);
  const auto z = Normal({20'000'000}, generator).value();
  double least = 0, most = 0;
  const float* values = z.data<float>();
  for (int64_t i = 0; i < z.size(); ++i) {
    least = std::min<double>(least, values[i]);
    most = std::max<double>(most, values[i]);
  }
  // Of 2e7 the largest is expected at 5.3; 4.9 and 6.2 are one in a thousand.
  EXPECT_GT(most, 4.9);
  EXPECT_LT(most, 6.3);
  EXPECT_LT(least, -4.9);
  EXPECT_GT(least, -6.3);
}

TEST(BernoulliTest, HasItsProbability) {
  for (const DType dtype : {DType::kBool, DType::kUInt8, DType::kInt64, DType::kFloat32}) {
    Generator generator(7);
    const Variable y = Bernoulli({100000}, generator, 0.3, dtype);
    EXPECT_EQ(y.dtype(), dtype);
    const auto x = y.value().ToVector<double>();
    EXPECT_EQ(std::count(x.begin(), x.end(), 0.0) + std::count(x.begin(), x.end(), 1.0), 100000);
    EXPECT_NEAR(MomentsOf(x).mean, 0.3, 4 * std::sqrt(0.21 / 100000));
  }
  Generator generator(8);
  EXPECT_THAT(Bernoulli({5000}, generator, 0).value().ToVector<float>(), Each(0));
  EXPECT_THAT(Bernoulli({5000}, generator, 1).value().ToVector<float>(), Each(1));
}

TEST(PermutationTest, IsAPermutation) {
  Generator generator(9);
  for (const int64_t n : {0, 1, 7, 1000, 100000}) {
    auto order = Permutation(n, generator).value().ToVector<int64_t>();
    ASSERT_EQ(order.size(), static_cast<size_t>(n));
    EXPECT_EQ(std::is_sorted(order.begin(), order.end()), n < 7) << n;
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i);
  }
}

// All 24 orders of four are as likely: chi-square, 23 degrees of freedom, above 49.7 once in a
// thousand times.
TEST(PermutationTest, EveryOrderIsAsLikely) {
  Generator generator(10);
  std::map<std::vector<int64_t>, int> counts;
  for (int i = 0; i < 24000; ++i) ++counts[Permutation(4, generator).value().ToVector<int64_t>()];
  EXPECT_EQ(counts.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, count] : counts) chi_square += (count - 1000.0) * (count - 1000.0) / 1e3;
  EXPECT_LT(chi_square, 49.7);
}

std::vector<Variable> DrawAll(Generator& generator, DType dtype) {
  const TrainingScope training(generator);
  const Variable ones = Tensor::Ones({50, 1001}, dtype);
  return {Uniform({70001}, generator, 0, 1, dtype), Normal({70001}, generator, 0, 1, dtype),
          Bernoulli({70001}, generator, 0.5, dtype), Permutation(70001, generator),
          Dropout(ones, 0.5)};
}

TEST_P(RandomTest, SameBitsOnAnyNumberOfThreadsAndOnceMore) {
  SetNumThreads(1);
  Generator first(11);
  const std::vector<Variable> expected = DrawAll(first, GetParam());
  Evaluate(expected);
  for (const int threads : {1, 2, 3, 8}) {
    SetNumThreads(threads);
    Generator generator(11);
    const std::vector<Variable> drawn = DrawAll(generator, GetParam());
    EXPECT_EQ(generator.counter, first.counter);
    // In reverse: what is drawn was fixed when it was recorded.
    for (int i = static_cast<int>(drawn.size()) - 1; i >= 0; --i) {
      EXPECT_TRUE(BitwiseEqual(drawn[i].value(), expected[i].value())) << threads << ", " << i;
    }
  }
}

TEST_P(RandomTest, OtherCountersAndSeedsDiffer) {
  Generator generator(12), other_seed(13), high_seed((uint64_t{1} << 32) + 12);
  const std::vector<Variable> a = DrawAll(generator, GetParam());
  const std::vector<Variable> b = DrawAll(generator, GetParam());
  const std::vector<Variable> c = DrawAll(other_seed, GetParam());
  const std::vector<Variable> d = DrawAll(high_seed, GetParam());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_FALSE(BitwiseEqual(a[i].value(), b[i].value())) << i;
    EXPECT_FALSE(BitwiseEqual(a[i].value(), c[i].value())) << i;
    EXPECT_FALSE(BitwiseEqual(a[i].value(), d[i].value())) << i;
  }
}

// No word is used twice: consecutive ops go on where the last one stopped.
TEST_P(RandomTest, ConsecutiveOpsShareNoWords) {
  Generator split(14), whole(14);
  std::vector<double> pieces;
  for (int i = 0; i < 3; ++i) {
    const auto piece = Uniform({8}, split, 0, 1, GetParam()).value().ToVector<double>();
    pieces.insert(pieces.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(pieces, (Uniform({24}, whole, 0, 1, GetParam()).value().ToVector<double>()));
}

TEST_P(RandomTest, DropoutZeroesAndScales) {
  Generator generator(15);
  const TrainingScope training(generator);
  const Tensor x = Tensor::Full({400, 500}, 3, GetParam());
  const auto y = Dropout(x, 0.25).value().ToVector<double>();
  const auto zeros = std::count(y.begin(), y.end(), 0.0);
  EXPECT_NEAR(static_cast<double>(zeros), 50000, 4 * std::sqrt(200000 * 0.25 * 0.75));
  EXPECT_EQ(zeros + std::count(y.begin(), y.end(), 4.0), 200000);
  // A view gives what its copy gives; infinities are dropped, not turned into NaN.
  Generator again(15), once_more(15);
  const TrainingScope scope(again);
  const Tensor view = Tensor::Arange(0, 12, 1, GetParam()).Reshape({3, 4}).T();
  const Tensor of_view = Dropout(view, 0.5).value();
  const TrainingScope inner(once_more);
  EXPECT_TRUE(BitwiseEqual(of_view, Dropout(view.Clone(), 0.5).value()));
  const Tensor infinite = Tensor::Full({1000}, INFINITY, GetParam());
  EXPECT_THAT(Dropout(infinite, 0.5).value().ToVector<double>(), Each(Not(testing::IsNan())));
}

TEST_P(RandomTest, DropoutGradientHasTheSameMask) {
  Generator generator(16);
  const TrainingScope training(generator);
  const Variable x = DifferentiableLeaf(Tensor::Ones({40000}, GetParam()));
  const Variable y = Dropout(x, 0.4);
  const uint64_t counter = generator.counter;
  const Variable dx = Grad(Sum(y), x);
  EXPECT_TRUE(BitwiseEqual(dx.value(), y.value()));
  EXPECT_EQ(generator.counter, counter);  // the rule draws nothing
}

TEST(DropoutTest, IsTheIdentityOutsideTraining) {
  const Variable x = Tensor::Ones({3});
  EXPECT_TRUE(Dropout(x, 0.5).SameAs(x));
  Generator generator(17);
  const TrainingScope training(generator);
  EXPECT_TRUE(Dropout(x, 0).SameAs(x));
  EXPECT_EQ(generator.counter, 0u);
  EXPECT_FALSE(Dropout(x, 0.5).SameAs(x));
  EXPECT_EQ(generator.counter, 1u);
}

TEST(RandomErrorTest, NamesTheOpAndTheLine) {
  Generator g(18);
  const Variable x = Tensor::Ones({3});
  const auto dropout = [&](double rate) { return ThrownMessage([&] { Dropout(x, rate); }); };
  EXPECT_THAT(dropout(1), HasSubstr("[dropout] rate must be in [0, 1): 1 (tests/ops/random_test"));
  EXPECT_THAT(dropout(-0.1), HasSubstr("[dropout] rate must be in [0, 1): -0.1"));
  EXPECT_THAT(dropout(NAN), HasSubstr("[dropout] rate must be in [0, 1): nan"));
  EXPECT_THAT(ThrownMessage([&] { Uniform({3}, g, 2, 1); }),
              HasSubstr("[uniform] [2, 1) is no interval"));
  EXPECT_THAT(ThrownMessage([&] { Uniform({3}, g, 0, INFINITY); }), HasSubstr("is no interval"));
  EXPECT_THAT(ThrownMessage([&] { Uniform({3}, g, 0, 1, DType::kInt64); }),
              HasSubstr("[uniform] dtype must be float32 or float64, not int64"));
  EXPECT_THAT(ThrownMessage([&] { Uniform({-3}, g); }), HasSubstr("[uniform]"));
  EXPECT_THAT(ThrownMessage([&] { Normal({3}, g, 0, -1); }),
              HasSubstr("[normal] no distribution has mean 0 and stddev -1"));
  EXPECT_THAT(ThrownMessage([&] { Bernoulli({3}, g, 1.5); }),
              HasSubstr("[bernoulli] probability must be in [0, 1]: 1.5"));
  EXPECT_THAT(ThrownMessage([&] { Permutation(-1, g); }),
              HasSubstr("[permutation] n must be in [0, 2^32): -1"));
  EXPECT_EQ(g.counter, 0u);  // what fails draws nothing
}

TEST(RandomCasesTest, DropoutPassesTheGradientCheck) {
  int cases = 0;
  for (const RegisteredOp& op : RegisteredOps()) {
    if (op.name != "dropout") continue;
    for (const OpCase& one : op.cases()) {
      Generator generator(19);
      const Variable x = Normal(one.inputs[0].shape, generator, 0, 1, DType::kFloat64).value();
      const GradientReport report = CheckGradients(one.f, {&x, 1});
      EXPECT_TRUE(report.ok) << one.name << ": " << report.text;
      ++cases;
    }
  }
  EXPECT_GE(cases, 8);
}

}  // namespace
}  // namespace wengert

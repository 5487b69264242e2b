// Initializers: bounds, moments and shapes of what they draw, with fixed seeds; orthogonality.
#include "nn/initializers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nn/layers.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};
Moments MomentsOf(const Tensor& t) {
  Moments m;
  const std::vector<double> values = t.ToVector<double>();
  const double n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n;
  for (const double v : values) {
    m.variance += (v - m.mean) * (v - m.mean) / n;
    m.largest = std::max(m.largest, std::abs(v));
  }
  return m;
}

TEST(FansTest, CountDenseAndConvolutionKernels) {
  EXPECT_EQ(nn::FansOf({5, 7}).in, 5);
  EXPECT_EQ(nn::FansOf({5, 7}).out, 7);
  EXPECT_EQ(nn::FansOf({3, 5, 64, 32}).in, 15 * 64);
  EXPECT_EQ(nn::FansOf({3, 5, 64, 32}).out, 15 * 32);
  EXPECT_EQ(nn::FansOf({4, 2, 3}).in, 8);
  EXPECT_EQ(ThrownMessage([] { nn::FansOf({3}); }),
            "[initializer] a weight has rank 2 or more, not [3]");
}

TEST(InitializersTest, HaveTheirBoundsAndMoments) {
  Generator rng(3);
  struct Row {
    const char* name;
    nn::Initializer initializer;
    double (*variance)(double in, double out);
    bool normal;
  };
  const Row rows[] = {
      {"glorot_uniform", &nn::GlorotUniform, [](double i, double o) { return 2 / (i + o); }, false},
      {"glorot_normal", &nn::GlorotNormal, [](double i, double o) { return 2 / (i + o); }, true},
      {"he_uniform", &nn::HeUniform, [](double i, double) { return 2 / i; }, false},
      {"he_normal", &nn::HeNormal, [](double i, double) { return 2 / i; }, true},
      {"lecun_uniform", &nn::LecunUniform, [](double i, double) { return 1 / i; }, false},
      {"lecun_normal", &nn::LecunNormal, [](double i, double) { return 1 / i; }, true},
  };
  for (const Row& row : rows) {
    for (const Shape& shape : {Shape{150, 70}, {3, 3, 64, 32}}) {
      SCOPED_TRACE(row.name + ToString(shape));
      const double n = static_cast<double>(NumElements(shape)), area = shape.rank() == 4 ? 9 : 1;
      const double variance = row.variance(area * static_cast<double>(shape[shape.rank() - 2]),
                                           area * static_cast<double>(shape[shape.rank() - 1]));
      const Tensor drawn = row.initializer(shape, rng);
      EXPECT_EQ(drawn.shape(), shape);
      EXPECT_EQ(drawn.dtype(), DType::kFloat32);
      const Moments m = MomentsOf(drawn);
      EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(variance / n));
      EXPECT_NEAR(m.variance / variance, 1, 5 * std::sqrt(2 / n));
      // A uniform ends at sqrt(3) standard deviations, a truncated normal at 2 / 0.8796.
      const double bound = (row.normal ? 2 / 0.87962566 : std::sqrt(3.0)) * std::sqrt(variance);
      EXPECT_LE(m.largest, bound * (1 + 1e-6));
      EXPECT_GT(m.largest, bound * 0.99);
    }
  }
}

// The distribution function of a normal within +-2: (Phi(x) - Phi(-2)) / (Phi(2) - Phi(-2)).
TEST(InitializersTest, TruncatedNormalHasItsDistribution) {
  const auto phi = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  Generator rng(11);
  constexpr int64_t kCount = 200'000;
  std::vector<double> values = nn::TruncatedNormal(0.5)({kCount}, rng).ToVector<double>();
  std::sort(values.begin(), values.end());
  double largest = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const double expected = (phi(values[i] / 0.5) - phi(-2)) / (phi(2) - phi(-2));
    largest = std::max(largest, std::abs(static_cast<double>(i) / kCount - expected));
  }
  // Kolmogorov's statistic: above 1.95 / sqrt(n) once in a thousand samples.
  EXPECT_LT(largest, 1.95 / std::sqrt(static_cast<double>(kCount)));
  EXPECT_LE(-values.front(), 1.0);
  EXPECT_LE(values.back(), 1.0);
  EXPECT_EQ(nn::TruncatedNormal(1)({0, 3}, rng).shape(), Shape({0, 3}));
  EXPECT_EQ(MomentsOf(nn::TruncatedNormal(0)({40}, rng)).largest, 0);
  for (const double stddev : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_NE(ThrownMessage([&] { nn::TruncatedNormal(stddev); }).find("[initializer] stddev = "),
              std::string::npos);
  }
}

TEST(InitializersTest, OrthogonalRowsOrColumnsAreOrthonormal) {
  Generator rng(1);
  for (const Shape& shape :
       {Shape{5, 5}, {64, 64}, {3, 40}, {40, 3}, {1, 7}, {7, 1}, {3, 3, 2, 8}, {2, 2, 3, 50}}) {
    const Tensor q = nn::Orthogonal(shape, rng);
    EXPECT_EQ(q.shape(), shape);
    EXPECT_EQ(q.dtype(), DType::kFloat32);
    const int64_t columns = shape[shape.rank() - 1], rows = q.size() / columns;
    const std::vector<double> values = q.ToVector<double>();
    const bool wide = rows <= columns;
    const int64_t count = wide ? rows : columns, length = wide ? columns : rows;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        double dot = 0;
        for (int64_t k = 0; k < length; ++k) {
          dot += wide ? values[i * columns + k] * values[j * columns + k]
                      : values[k * columns + i] * values[k * columns + j];
        }
        EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-6) << ToString(shape);
      }
    }
  }
  EXPECT_FALSE(BitwiseEqual(nn::Orthogonal({3, 3}, rng), nn::Orthogonal({3, 3}, rng)));
  Generator a(2), b(2);
  EXPECT_TRUE(BitwiseEqual(nn::Orthogonal({3, 4}, a), nn::Orthogonal({3, 4}, b)));
  EXPECT_EQ(ThrownMessage([&] { nn::Orthogonal({2}, rng); }),
            "[initializer] an orthogonal weight has rank 2 or more, not [2]");
}

TEST(InitializersTest, FixedOnesAreWhatTheySay) {
  Generator rng(1);
  const auto values = [&](const nn::Initializer& initializer, const Shape& shape) {
    return initializer(shape, rng).ToVector<float>();
  };
  EXPECT_EQ(values(&nn::Eye, {2, 3}), (std::vector<float>{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(values(&nn::Eye, {3, 2}), (std::vector<float>{1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(values(nn::Scaled(&nn::Eye, -2), {2, 2}), (std::vector<float>{-2, 0, 0, -2}));
  EXPECT_EQ(values(nn::Constant(0.25), {3}), (std::vector<float>{0.25, 0.25, 0.25}));
  EXPECT_EQ(values(&nn::Ones, {2}), (std::vector<float>{1, 1}));
  EXPECT_EQ(values(&nn::Zeros, {2}), (std::vector<float>{0, 0}));
  EXPECT_EQ(rng.counter, 0u);  // none of them draws
  EXPECT_EQ(ThrownMessage([&] {
              nn::Eye({2, 2, 2}, rng);
            }),
            "[initializer] an identity has rank 2, not [2,2,2]");
}

TEST(InitializersTest, StandInLayersOptions) {
  Generator rng(1), same(1);
  const nn::Dense scaled(
      {.in = 4, .out = 4, .initializer = nn::Scaled(&nn::Orthogonal, std::sqrt(2.0))}, rng);
  const std::vector<float> unit = nn::Orthogonal({4, 4}, same).ToVector<float>();
  const std::vector<float> values = scaled.weight.value().ToVector<float>();
  for (size_t i = 0; i < unit.size(); ++i) EXPECT_NEAR(values[i], std::sqrt(2.0) * unit[i], 1e-6);
  const nn::Conv2d conv({.in = 1, .out = 2, .kernel = 2, .initializer = nn::Constant(3)}, rng);
  EXPECT_EQ(conv.weight.value().ToVector<float>(), std::vector<float>(8, 3));
}

TEST(InitializersTest, OneSeedGivesOneModelAndLayersDiffer) {
  for (const nn::Initializer& initializer :
       {nn::Initializer(&nn::GlorotUniform), nn::Initializer(&nn::HeNormal)}) {
    Generator a(7), b(7), c(8);
    const nn::Dense::Options options = {.in = 20, .out = 30, .initializer = initializer};
    const nn::Dense first(options, a), same(options, b), other(options, c), next(options, a);
    EXPECT_TRUE(BitwiseEqual(first.weight.value(), same.weight.value()));
    EXPECT_FALSE(BitwiseEqual(first.weight.value(), other.weight.value()));
    EXPECT_FALSE(BitwiseEqual(first.weight.value(), next.weight.value()));
    EXPECT_EQ(MomentsOf(first.bias.value()).largest, 0);
  }
}

}  // namespace
}  // namespace wengert

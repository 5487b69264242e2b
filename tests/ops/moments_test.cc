// Means and variances against loops, the deviations on every SIMD target, with offsets, infinities
// and nothing, and their bits on any number of threads.
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/variable.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor Normals(const Shape& shape, DType dtype, double offset) {
  std::mt19937 engine(5);
  std::normal_distribution<double> normal(offset, 2);
  std::vector<double> values(NumElements(shape));
  for (double& value : values) value = normal(engine);
  return Tensor::FromVector(values, shape).To(dtype);
}

// Of [outer, count, inner] over the middle axis, element by element.
struct Expected {
  std::vector<double> means, variances;
};
Expected Loops(const Tensor& x) {
  const std::vector<double> values = x.ToVector<double>();
  const int64_t outer = x.dim(0), count = x.dim(1), inner = x.dim(2);
  Expected expected;
  for (int64_t i = 0; i < outer * inner; ++i) {
    const auto at = [&](int64_t r) { return values[(i / inner * count + r) * inner + i % inner]; };
    long double mean = 0, variance = 0;  // so that it is exact for float64 too
    for (int64_t r = 0; r < count; ++r) mean += at(r) / static_cast<long double>(count);
    for (int64_t r = 0; r < count; ++r) {
      variance += (at(r) - mean) * (at(r) - mean) / static_cast<long double>(count);
    }
    expected.means.push_back(static_cast<double>(mean));
    expected.variances.push_back(static_cast<double>(variance));
  }
  return expected;
}

// Rows and columns, narrow and wide, in one piece and in many.
const Shape kShapes[] = {{1, 1, 1},   {3, 7, 1},     {2, 5000, 1},  {1, 100003, 1},
                         {1, 5, 3},   {1, 9001, 3},  {1, 1024, 64}, {1, 4099, 64},
                         {4, 300, 5}, {1, 70, 1500}, {2, 33, 1025}, {1, 40000, 17},
                         {300, 3, 1}};

class MomentsTest : public testing::Test {
  KernelSettings settings_;
};

void CompareWithLoops() {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double epsilon = dtype == DType::kFloat32 ? 6e-8 : 1e-14;
    for (const double offset : {0.0, 1000.0}) {
      for (const Shape& shape : kShapes) {
        SCOPED_TRACE(absl::StrCat(ToString(shape), " around ", offset));
        const Tensor x = Normals(shape, dtype, offset);
        const Expected expected = Loops(x);
        const auto [mean, variance] = Moments(x, 1);
        const std::vector<double> means = mean.value().ToVector<double>();
        const std::vector<double> variances = variance.value().ToVector<double>();
        for (size_t i = 0; i < means.size(); ++i) {
          EXPECT_NEAR(means[i], expected.means[i], (6 + offset) * epsilon);
          EXPECT_NEAR(variances[i], expected.variances[i], 4 * 20 * epsilon);
        }
      }
    }
  }
}

TEST_F(MomentsTest, AreThoseOfLoops) { ForEachTarget(CompareWithLoops); }

TEST_F(MomentsTest, AnyAxesAndStridesAreThoseOfACopy) {
  const Tensor x = Normals({4, 6, 5, 7}, DType::kFloat64, 1);
  const std::pair<Tensor, Axes> cases[] = {{x, {0, 2}},
                                           {x, {1, 3}},
                                           {x.Permute({3, 1, 0, 2}), {0, 1}},
                                           {x.Permute({3, 1, 0, 2}), {2}},
                                           {x.Narrow(1, 1, 4), {0, 1, 2}},
                                           {x.Narrow(3, 0, 3), {3}}};
  for (const auto& [view, axes] : cases) {
    const Variable centred = view - Mean(view, axes, /*keep_dims=*/true);
    const Tensor expected = Mean(Square(centred), axes).value();
    const Tensor variance = Variance(view, axes).value();
    ASSERT_EQ(variance.shape(), expected.shape());
    for (int64_t i = 0; i < variance.size(); ++i) {
      EXPECT_NEAR(variance.ToVector<double>()[i], expected.ToVector<double>()[i], 1e-13);
    }
  }
}

TEST_F(MomentsTest, OfEqualNumbersTheVarianceIsNothing) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const double number : {0.1, -1e-10, 3e15}) {
      for (const int64_t rows : {3, 5000}) {
        const Tensor x = Tensor::Full({rows, 3}, number, dtype);
        const double value = x.ToVector<double>()[0];
        const auto [mean, variance] = Moments(x, 0);
        for (int i = 0; i < 3; ++i) {
          EXPECT_EQ(mean.value().ToVector<double>()[i], value);
          EXPECT_GE(variance.value().ToVector<double>()[i], 0);
          EXPECT_LE(variance.value().ToVector<double>()[i], 1e-15 * value * value);
        }
      }
    }
  }
}

TEST_F(MomentsTest, OverflowIsInfinite) {
  const float large = std::numeric_limits<float>::max();
  for (const int axis : {0, 1}) {
    Tensor x = Tensor::FromVector(std::vector<float>{large, -large, -large}, {3, 1});
    if (axis == 1) x = x.T();
    const auto [mean, variance] = Moments(x, axis);
    EXPECT_NEAR(mean.value().ToVector<float>()[0] / large, -1.0 / 3, 1e-6);
    EXPECT_EQ(variance.value().ToVector<float>()[0], kInf);
  }
}

TEST_F(MomentsTest, NonFiniteRowsAreNotTheirNeighboursMatter) {
  std::vector<double> values(3 * 3000, 1.5);
  values[1200] = -kInf;
  values[3000 + 17] = std::nan("");
  const auto [mean, variance] =
      Moments(Tensor::FromVector(values, {3, 3000}).To(DType::kFloat32), 1);
  const std::vector<float> means = mean.value().ToVector<float>();
  const std::vector<float> variances = variance.value().ToVector<float>();
  EXPECT_EQ(means[0], -kInf);
  EXPECT_TRUE(std::isnan(means[1]) && std::isnan(variances[0]) && std::isnan(variances[1]));
  EXPECT_EQ(means[2], 1.5f);
  EXPECT_EQ(variances[2], 0);
}

TEST_F(MomentsTest, NonFiniteColumnsAreNotTheirNeighboursMatter) {
  std::vector<double> values(3000 * 3, 1.5);
  values[3 * 2000] = kInf;
  values[3 * 100 + 1] = std::nan("");
  const auto [mean, variance] =
      Moments(Tensor::FromVector(values, {3000, 3}).To(DType::kFloat32), 0);
  const std::vector<float> means = mean.value().ToVector<float>();
  const std::vector<float> variances = variance.value().ToVector<float>();
  EXPECT_EQ(means[0], kInf);
  EXPECT_TRUE(std::isnan(means[1]));
  EXPECT_EQ(means[2], 1.5f);
  EXPECT_TRUE(std::isnan(variances[0]) && std::isnan(variances[1]));
  EXPECT_EQ(variances[2], 0);
}

TEST_F(MomentsTest, SameBitsForAnyNumberOfThreads) {
  for (const Shape& shape : kShapes) {
    const Tensor x = Normals(shape, DType::kFloat32, 3);
    std::vector<float> one;
    for (const int threads : {1, 2, 3, 8}) {
      SetNumThreads(threads);
      const auto [mean, variance] = Moments(x, 1);
      std::vector<float> both = mean.value().ToVector<float>();
      for (const float v : variance.value().ToVector<float>()) both.push_back(v);
      if (threads == 1) one = both;
      EXPECT_EQ(both, one) << ToString(shape) << " on " << threads;
    }
  }
}

TEST_F(MomentsTest, OfNothingAreNan) {
  const auto [mean, variance] = Moments(Tensor::Zeros({0, 2}), 0);
  EXPECT_TRUE(std::isnan(mean.value().ToVector<float>()[0]));
  EXPECT_TRUE(std::isnan(variance.value().ToVector<float>()[1]));
  EXPECT_EQ(Variance(Tensor::Zeros({2, 0}), 0).value().shape(), Shape({0}));
}

TEST_F(MomentsTest, OfIntegersAreReal) {
  const auto [mean, variance] = Moments(Tensor::FromVector(std::vector<int64_t>{1, 2, 4, 5}, {4}));
  EXPECT_EQ(mean.dtype(), DType::kFloat32);
  EXPECT_EQ(mean.value().item<float>(), 3);
  EXPECT_EQ(variance.value().item<float>(), 2.5f);
  EXPECT_NE(ThrownMessage([] { Variance(Tensor::Zeros({2}), 1); }).find("variance"),
            std::string::npos);
}

}  // namespace
}  // namespace wengert

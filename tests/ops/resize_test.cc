// Resize: against loops over the definition, values by hand, NaN, derivatives, errors.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr Interpolation kNearest = Interpolation::kNearest;
constexpr Interpolation kBilinear = Interpolation::kBilinear;

std::vector<float> Line(const std::vector<float>& values, int64_t width, Interpolation how) {
  const Tensor x = Tensor::FromVector(values, {1, 1, static_cast<int64_t>(values.size()), 1});
  return Resize(x, 1, width, how).value().ToVector<float>();
}

TEST(ResizeTest, ByHand) {
  // Centers at 1/4, 3/4, 5/4, ...: quarters between the two pixels, the border repeated.
  EXPECT_THAT(Line({0, 8}, 4, kBilinear), ElementsAre(0, 2, 6, 8));
  EXPECT_THAT(Line({0, 8, 16, 24}, 2, kBilinear), ElementsAre(4, 20));
  EXPECT_THAT(Line({0, 1, 2, 3, 4, 5}, 2, kBilinear), ElementsAre(1, 4));
  EXPECT_THAT(Line({7}, 3, kBilinear), ElementsAre(7, 7, 7));
  EXPECT_THAT(Line({1, 2}, 4, kNearest), ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(Line({1, 2, 3, 4}, 2, kNearest), ElementsAre(2, 4));
  EXPECT_THAT(Line({1, 2, 3}, 5, kNearest), ElementsAre(1, 1, 2, 3, 3));
}

TEST(ResizeTest, MatchesLoops) {
  RandomIntegers random(1);
  for (int trial = 0; trial < 150 && !testing::Test::HasFatalFailure(); ++trial) {
    const Shape in{random.Int(1, 2), random.Int(1, 8), random.Int(1, 8), random.Int(1, 9)};
    const int64_t height = random.Int(1, 12), width = random.Int(1, 12);
    std::vector<double> values(NumElements(in));
    for (double& value : values) value = static_cast<double>(random.Int(-50, 50));
    const Tensor x = Tensor::FromVector(values, in);
    std::vector<double> nearest, bilinear;
    for (int64_t n = 0; n < in[0]; ++n) {
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          for (int64_t c = 0; c < in[3]; ++c) {
            const auto at = [&](double h, double w) {
              return x.at<double>({n, std::clamp<int64_t>(static_cast<int64_t>(h), 0, in[1] - 1),
                                   std::clamp<int64_t>(static_cast<int64_t>(w), 0, in[2] - 1), c});
            };
            const double center_h = (static_cast<double>(i) + 0.5) * static_cast<double>(in[1]) /
                                    static_cast<double>(height);
            const double center_w = (static_cast<double>(j) + 0.5) * static_cast<double>(in[2]) /
                                    static_cast<double>(width);
            nearest.push_back(at(std::floor(center_h), std::floor(center_w)));
            const double top = std::floor(center_h - 0.5), left = std::floor(center_w - 0.5);
            const double down = center_h - 0.5 - top, right = center_w - 0.5 - left;
            bilinear.push_back(
                (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
                down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)));
          }
        }
      }
    }
    for (const auto& [dtype, tolerance] :
         {std::pair{DType::kFloat64, 1e-12}, std::pair{DType::kFloat32, 2e-5}}) {
      const Variable near = Resize(x.To(dtype), height, width, kNearest);
      ASSERT_EQ(near.value().ToVector<double>(), nearest);
      const Variable y = Resize(x.To(dtype), height, width);
      ASSERT_EQ(y.shape(), Shape({in[0], height, width, in[3]}));
      ASSERT_EQ(y.dtype(), dtype);
      const std::vector<double> actual = y.value().ToVector<double>();
      ASSERT_EQ(actual.size(), bilinear.size());
      for (size_t k = 0; k < actual.size(); ++k) {
        ASSERT_NEAR(actual[k], bilinear[k], tolerance) << k;
      }
    }
  }
}

TEST(ResizeTest, KeepsConstantsAndSizes) {
  const Tensor x = Tensor::Full({2, 3, 5, 2}, 0.1);
  EXPECT_THAT(Resize(x, 7, 4).value().ToVector<float>(), Each(0.1f));
  const Tensor y = Tensor::Arange(0, 12, 1, DType::kFloat32).Reshape({1, 3, 4, 1});
  EXPECT_TRUE(BitwiseEqual(Resize(y, 3, 4).value(), y));
}

// Where a pixel's weight is 0, what it holds does not matter.
TEST(ResizeTest, NanStaysWhereItIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> y = Line({nan, 1, 2, 3}, 8, kBilinear);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i <= 2) << i;
  EXPECT_THAT(Line({1, 2, nan, 4, 5, nan}, 2, kBilinear), ElementsAre(2, 5));
}

TEST(ResizeTest, Dtypes) {
  const Tensor x = Tensor::FromVector<uint8_t>({1, 2, 3, 4}, {1, 2, 2, 1});
  const Variable nearest = Resize(x, 1, 4, kNearest);
  EXPECT_EQ(nearest.dtype(), DType::kUInt8);
  EXPECT_THAT(nearest.value().ToVector<uint8_t>(), ElementsAre(3, 3, 4, 4));
  const Variable bilinear = Resize(x, 1, 1);
  EXPECT_EQ(bilinear.dtype(), DType::kFloat32);
  EXPECT_EQ(bilinear.item<float>(), 2.5f);
  EXPECT_EQ(Resize(Tensor::Zeros({0, 2, 2, 3}), 4, 5).value().shape(), Shape({0, 4, 5, 3}));
  EXPECT_EQ(Resize(Tensor::Zeros({2, 2, 2, 0}), 4, 5).value().shape(), Shape({2, 4, 5, 0}));
}

TEST(ResizeTest, DerivativesAreRightToSecondOrder) {
  Generator generator(1);
  const Tensor x = Normal({2, 3, 4, 2}, generator, 0, 1, DType::kFloat64).value();
  for (const Interpolation how : {kNearest, kBilinear}) {
    for (const auto& [height, width] : {std::pair{5, 2}, {2, 7}, {6, 8}}) {
      const GradientReport report =
          CheckGradients([&, height = height, width = width](
                             VariableSpan x) { return Square(Resize(x[0], height, width, how)); },
                         {{x}});
      EXPECT_TRUE(report.ok) << report.text;
    }
  }
}

// The gradient of the sum by a pixel is what all weights give it: all of the result's pixels.
TEST(ResizeTest, WeightsAddUpToThePixels) {
  const Variable x = DifferentiableLeaf(Tensor::Zeros({1, 3, 3, 1}));
  const Variable dx = Grad(Sum(Resize(x, 6, 6)), x);
  EXPECT_THAT(dx.value().ToVector<float>(), Each(4));
}

TEST(ResizeTest, Errors) {
  const auto text = [](const Shape& shape, int64_t height, int64_t width) {
    const std::string message = ThrownMessage([&] { Resize(Tensor::Zeros(shape), height, width); });
    EXPECT_THAT(message, HasSubstr("resize_test.cc:"));
    return message;
  };
  EXPECT_THAT(text({4, 4}, 2, 2), StartsWith("[resize] x [4,4] is not [N, H, W, C] ("));
  EXPECT_THAT(text({1, 0, 4, 1}, 2, 2), StartsWith("[resize] x [1,0,4,1] has no pixels ("));
  EXPECT_THAT(text({1, 4, 4, 1}, 0, 2),
              StartsWith("[resize] x [1,4,4,1] to height 0 and width 2: a side is not in "
                         "[1, 2^30] ("));
}

}  // namespace
}  // namespace wengert

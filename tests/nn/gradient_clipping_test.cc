#include "nn/gradient_clipping.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::vector<Variable> Gradients(float factor = 1) {
  return {Tensor::FromVector<float>({3 * factor, 0}), Tensor::FromVector<float>({-4 * factor}),
          Tensor::Zeros({0, 2}), Tensor::FromVector<float>({0, 0, 12 * factor, 0}, {2, 2})};
}

TEST(ClipByGlobalNormTest, ScalesAllToTheNorm) {
  std::vector<Variable> gradients = Gradients();
  EXPECT_EQ(ClipByGlobalNorm(gradients, 6.5), 13);  // 3, 4, 12
  ASSERT_EQ(gradients.size(), 4u);
  EXPECT_EQ(gradients[0].value().ToVector<float>(), (std::vector<float>{1.5, 0}));
  EXPECT_EQ(gradients[1].value().ToVector<float>(), (std::vector<float>{-2}));
  EXPECT_EQ(gradients[2].shape(), (Shape{0, 2}));
  EXPECT_EQ(gradients[3].value().ToVector<float>(), (std::vector<float>{0, 0, 6, 0}));
  EXPECT_EQ(gradients[3].dtype(), DType::kFloat32);
}

TEST(ClipByGlobalNormTest, SmallerNormsStay) {
  for (const double max_norm : {13.0, 20.0}) {
    std::vector<Variable> gradients = Gradients();
    EXPECT_EQ(ClipByGlobalNorm(gradients, max_norm), 13);
    EXPECT_EQ(gradients[0].value().ToVector<float>(), (std::vector<float>{3, 0}));
  }
  std::vector<Variable> none;
  EXPECT_EQ(ClipByGlobalNorm(none, 1), 0);
}

// The squares are above float32's largest number.
TEST(ClipByGlobalNormTest, HugeGradients) {
  std::vector<Variable> gradients = Gradients(1e30F);
  EXPECT_NEAR(ClipByGlobalNorm(gradients, 1) / 13e30, 1, 1e-6);
  EXPECT_NEAR(gradients[3].value().ToVector<float>()[2], 12.0 / 13, 1e-6);
}

TEST(ClipByGlobalNormTest, WhatIsNotFiniteStays) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<Variable> gradients{Tensor::FromVector<float>({1, bad})};
    EXPECT_FALSE(std::isfinite(ClipByGlobalNorm(gradients, 0.5)));
    EXPECT_EQ(gradients[0].value().ToVector<float>()[0], 1);
  }
}

TEST(ClipByGlobalNormTest, TheBoundIsPositive) {
  std::vector<Variable> gradients = Gradients();
  EXPECT_EQ(ThrownMessage([&] { ClipByGlobalNorm(gradients, 0); }),
            "[clip_by_global_norm] max_norm is 0, expected > 0");
  EXPECT_EQ(ThrownMessage([&] { ClipByGlobalNorm(gradients, std::nan("")); }),
            "[clip_by_global_norm] max_norm is nan, expected > 0");
}

TEST(ClipByNormTest, EachOnItsOwn) {
  std::vector<Variable> gradients = Gradients();
  ClipByNorm(gradients, 3.5);
  EXPECT_EQ(gradients[0].value().ToVector<float>(), (std::vector<float>{3, 0}));
  EXPECT_EQ(gradients[1].value().ToVector<float>(), (std::vector<float>{-3.5}));
  EXPECT_EQ(gradients[2].shape(), (Shape{0, 2}));
  EXPECT_EQ(gradients[3].value().ToVector<float>(), (std::vector<float>{0, 0, 3.5, 0}));
  std::vector<Variable> huge = Gradients(1e30F);
  ClipByNorm(huge, 1);
  EXPECT_NEAR(huge[0].value().ToVector<float>()[0], 1, 1e-6);
  EXPECT_NEAR(huge[3].value().ToVector<float>()[2], 1, 1e-6);
  const float nan = std::nanf("");
  std::vector<Variable> bad{Tensor::FromVector<float>({5, nan}), Tensor::FromVector<float>({5})};
  ClipByNorm(bad, 1);
  EXPECT_EQ(bad[0].value().ToVector<float>()[0], 5);
  EXPECT_EQ(bad[1].value().ToVector<float>()[0], 1);
  EXPECT_EQ(ThrownMessage([&] { ClipByNorm(bad, -1); }),
            "[clip_by_norm] max_norm is -1, expected > 0");
}

TEST(ClipByValueTest, EachElement) {
  std::vector<Variable> gradients = Gradients();
  gradients.push_back(Tensor::FromVector<double>({std::nan(""), -INFINITY, 0.25}));
  ClipByValue(gradients, 3.5);
  EXPECT_EQ(gradients[0].value().ToVector<float>(), (std::vector<float>{3, 0}));
  EXPECT_EQ(gradients[1].value().ToVector<float>(), (std::vector<float>{-3.5}));
  EXPECT_EQ(gradients[2].shape(), (Shape{0, 2}));
  EXPECT_EQ(gradients[3].value().ToVector<float>(), (std::vector<float>{0, 0, 3.5, 0}));
  const std::vector<double> last = gradients[4].value().ToVector<double>();
  EXPECT_TRUE(std::isnan(last[0]));
  EXPECT_EQ(last[1], -3.5);
  EXPECT_EQ(last[2], 0.25);
  EXPECT_EQ(ThrownMessage([&] { ClipByValue(gradients, 0); }),
            "[clip_by_value] limit is 0, expected > 0");
}

}  // namespace
}  // namespace wengert

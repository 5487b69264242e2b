// Padding: values as NumPy's, gradients, errors.
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "autograd/check_gradients.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr PadMode kFromElements[] = {PadMode::kEdge, PadMode::kReflect, PadMode::kSymmetric,
                                     PadMode::kWrap};

Tensor Counted(const Shape& shape, DType dtype = DType::kFloat32) {
  return Tensor::Arange(1, static_cast<double>(NumElements(shape) + 1), 1, dtype).Reshape(shape);
}

TEST(PadTest, AConstantAroundX) {
  EXPECT_THAT(Pad(Counted({2, 3}), {{1, 0}, {0, 2}}, {.value = 9}).value().ToVector<int>(),
              ElementsAre(9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 4, 5, 6, 9, 9));
  EXPECT_THAT(Pad(Counted({2}), {{1, 2}}).value().ToVector<int>(), ElementsAre(0, 1, 2, 0, 0));
  for (const DType dtype : {DType::kUInt8, DType::kInt32, DType::kInt64, DType::kFloat64}) {
    const Variable y = Pad(Counted({1}, dtype), {{0, 1}}, {.value = 200});
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_THAT(y.value().ToVector<int>(), ElementsAre(1, 200));
  }
  EXPECT_THAT(
      Pad(Tensor::Zeros({1}, DType::kBool), {{1, 0}}, {.value = 1}).value().ToVector<bool>(),
      ElementsAre(true, false));
  EXPECT_EQ(Pad(Counted({1}), {{1, 0}}, {.value = -std::numeric_limits<double>::infinity()})
                .value()
                .at<float>({0}),
            -std::numeric_limits<float>::infinity());
}

// Literals: numpy.pad of NumPy 2.
TEST(PadTest, ElementsBeyondTheEdgesOfAVector) {
  const std::pair<PadMode, std::vector<int>> expected[] = {
      {PadMode::kEdge, {1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3}},
      {PadMode::kReflect, {2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3}},
      {PadMode::kSymmetric, {2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1}},
      {PadMode::kWrap, {2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1}}};
  for (const auto& [mode, values] : expected) {
    EXPECT_THAT(Pad(Counted({3}), {{5, 4}}, {.mode = mode}).value().ToVector<int>(),
                ElementsAreArray(values));
    EXPECT_THAT(Pad(Tensor::Full({1}, 7), {{2, 1}}, {.mode = mode}).value().ToVector<int>(),
                ElementsAre(7, 7, 7, 7));
  }
}

TEST(PadTest, ElementsBeyondTheEdgesOfAMatrix) {
  const std::pair<PadMode, std::vector<int>> expected[] = {
      {PadMode::kEdge,
       {1, 1, 1, 2, 3, 3, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 6, 4, 4, 4, 5, 6, 6, 4, 4, 4, 5, 6, 6}},
      {PadMode::kReflect,
       {6, 5, 4, 5, 6, 5, 3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5, 3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5}},
      {PadMode::kSymmetric,
       {2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 5, 4, 4, 5, 6, 6, 5, 4, 4, 5, 6, 6, 2, 1, 1, 2, 3, 3}},
      {PadMode::kWrap,
       {5, 6, 4, 5, 6, 4, 2, 3, 1, 2, 3, 1, 5, 6, 4, 5, 6, 4, 2, 3, 1, 2, 3, 1, 5, 6, 4, 5, 6, 4}}};
  for (const auto& [mode, values] : expected) {
    const Variable y = Pad(Counted({2, 3}), {{1, 2}, {2, 1}}, {.mode = mode});
    EXPECT_EQ(y.shape(), Shape({5, 6}));
    EXPECT_THAT(y.value().ToVector<int>(), ElementsAreArray(values));
  }
}

TEST(PadTest, ReadsViews) {
  const Tensor x = Counted({3, 4});
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect}) {
    EXPECT_TRUE(BitwiseEqual(Pad(x.T().Flip(0), {{1, 2}, {0, 1}}, {.mode = mode}).value(),
                             Pad(x.T().Flip(0).Clone(), {{1, 2}, {0, 1}}, {.mode = mode}).value()));
  }
}

TEST(PadTest, NothingAndEmpty) {
  const Variable x = Counted({2, 3});
  EXPECT_TRUE(Pad(x, {{}, {}}).SameAs(x));
  EXPECT_EQ(Pad(Tensor::Full({}, 5), {}).item<float>(), 5);
  EXPECT_THAT(Pad(Tensor::Zeros({0}), {{1, 2}}, {.value = 3}).value().ToVector<int>(),
              ElementsAre(3, 3, 3));
  for (const PadMode mode : kFromElements) {
    EXPECT_TRUE(Pad(x, {{}, {}}, {.mode = mode}).SameAs(x));
    EXPECT_EQ(Pad(Tensor::Zeros({0, 2}), {{0, 0}, {1, 3}}, {.mode = mode}).value().shape(),
              Shape({0, 6}));
  }
}

TEST(PadTest, Gradients) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 12, DType::kFloat64).Reshape({3, 2, 2});
  const PadWidth widths[] = {{1, 2}, {0, 5}, {1, 0}};
  for (const PadMode mode : {PadMode::kConstant, PadMode::kEdge, PadMode::kReflect,
                             PadMode::kSymmetric, PadMode::kWrap}) {
    const GradientReport report = CheckGradients(
        [&](VariableSpan v) { return Exp(Pad(v[0], widths, {.mode = mode, .value = 0.5})); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
  }
  // How often each element stands in [2 1 | 1 2 3 | 3 2 1].
  const Variable leaf = DifferentiableLeaf(Counted({3}));
  const Variable y = Pad(leaf, {{2, 3}}, {.mode = PadMode::kSymmetric});
  EXPECT_THAT(Grad(Sum(y), leaf).value().ToVector<int>(), ElementsAre(3, 3, 2));
}

TEST(PadTest, WhatIsPaddedWithDoesNotComeBack) {
  const Variable x = DifferentiableLeaf(Counted({2}));
  const Variable y = Pad(x, {{1, 1}}, {.value = std::nan("")});
  EXPECT_THAT(Grad(Sum(Square(y)), x).value().ToVector<float>(), ElementsAre(2, 4));
}

TEST(PadTest, Errors) {
  const Variable x = Counted({2, 3});
  EXPECT_THAT(ThrownMessage([&] {
                Pad(x, {{1, 1}});
              }),
              HasSubstr("[pad] widths {{1,1}} are not one {before, after}, each in [0, 2^31], for "
                        "every axis of [2,3]"));
  EXPECT_THAT(ThrownMessage([&] { Pad(x, {{1, 1}}); }), HasSubstr("padding_test.cc"));
  EXPECT_THAT(ThrownMessage([&] {
                Pad(x, {{0, 0}, {-1, 0}}, {.mode = PadMode::kEdge});
              }),
              HasSubstr("[pad] widths {{0,0},{-1,0}}"));
  for (const PadMode mode : kFromElements) {
    EXPECT_THAT(ThrownMessage([&] {
                  Pad(Tensor::Zeros({2, 0}), {{0, 0}, {1, 0}}, {.mode = mode});
                }),
                HasSubstr("[pad] axis 1 of [2,0] has no elements to pad with (tests/ops/"));
  }
  const int64_t huge = int64_t{1} << 31;
  EXPECT_THAT(ThrownMessage([&] { Pad(x, {{huge, huge}, {huge, huge}}); }), HasSubstr("[pad]"));
}

}  // namespace
}  // namespace wengert

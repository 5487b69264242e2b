// Triangles and diagonals: values against loops, gradients, errors.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "autograd/check_gradients.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kFarthest = std::numeric_limits<int64_t>::max();
constexpr int64_t kOffsets[] = {-kFarthest, -5, -2, -1, 0, 1, 2, 3, 5, kFarthest};

Tensor Counted(const Shape& shape, DType dtype = DType::kFloat32) {
  return Tensor::Arange(1, static_cast<double>(NumElements(shape) + 1), 1, dtype).Reshape(shape);
}

TEST(TriangleTest, AgreesWithLoops) {
  for (const DType dtype : {DType::kBool, DType::kInt32, DType::kFloat32, DType::kFloat64}) {
    for (const Shape& shape : {Shape{4, 4}, {3, 5}, {5, 3}, {2, 3, 4}, {1, 1}, {0, 3}, {3, 0}}) {
      const Tensor x = Counted(shape, dtype);
      const int64_t m = x.dim(-2), n = x.dim(-1);
      for (const int64_t offset : kOffsets) {
        const Variable lower = Tril(x, offset), upper = Triu(x, offset);
        ASSERT_EQ(lower.dtype(), dtype);
        ASSERT_EQ(lower.shape(), shape);
        const std::vector<double> in = x.ToVector<double>(), l = lower.value().ToVector<double>(),
                                  u = upper.value().ToVector<double>();
        for (int64_t i = 0; i < x.size(); ++i) {
          const int64_t row = i / n % m, column = i % n;
          ASSERT_EQ(l[i], column - row <= offset ? in[i] : 0)
              << row << ' ' << column << ' ' << offset;
          ASSERT_EQ(u[i], column - row >= offset ? in[i] : 0);
        }
      }
    }
  }
  EXPECT_THAT(Tril(Counted({3, 2}).T()).value().ToVector<int>(), ElementsAre(1, 0, 0, 2, 4, 0));
}

TEST(TriangleTest, WhatIsMaskedIsNotRead) {
  const Variable x =
      DifferentiableLeaf(Tensor::FromVector(std::vector<float>{1, NAN, 3, INFINITY}, {2, 2}));
  const Variable y = Tril(x, -1);
  EXPECT_THAT(y.value().ToVector<float>(), ElementsAre(0, 0, 3, 0));
  EXPECT_THAT(Grad(Sum(Square(y)), x).value().ToVector<float>(), ElementsAre(0, 0, 6, 0));
}

TEST(TriangleTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 24, DType::kFloat64).Reshape({2, 3, 4});
  for (const int64_t offset : {-1, 0, 2}) {
    GradientReport report =
        CheckGradients([&](VariableSpan v) { return Exp(Tril(v[0], offset)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
    report = CheckGradients([&](VariableSpan v) { return Exp(Triu(v[0], offset)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
  }
  EXPECT_THAT(ThrownMessage([&] { Tril(Counted({3})); }),
              HasSubstr("[tril] x [3] has no matrices: not [..., m, n] (tests/ops/diagonals_"));
  EXPECT_THAT(ThrownMessage([&] { Triu(Tensor::Zeros({})); }), HasSubstr("[triu] x []"));
}

TEST(DiagonalTest, AgreesWithLoops) {
  for (const Shape& shape : {Shape{4, 4}, {3, 5}, {5, 3}, {1, 1}, {0, 3}, {3, 0}}) {
    const Tensor x = Counted(shape);
    for (const int64_t offset : kOffsets) {
      std::vector<double> expected;
      for (int64_t i = 0; i < shape[0]; ++i) {
        for (int64_t j = 0; j < shape[1]; ++j) {
          if (j - i == offset) expected.push_back(x.at<double>({i, j}));
        }
      }
      const Variable y = Diagonal(x, offset);
      ASSERT_EQ(y.shape(), Shape({static_cast<int64_t>(expected.size())})) << offset;
      ASSERT_EQ(y.value().ToVector<double>(), expected) << ToString(shape) << offset;
      ASSERT_EQ(Diagonal(x.T(), -offset).value().ToVector<double>(), expected);
      ASSERT_EQ(Diagonal(x, offset, 0, 1).value().ToVector<double>(), expected);
      ASSERT_EQ(Diagonal(x, -offset, 1, 0).value().ToVector<double>(), expected);
    }
  }
}

TEST(DiagonalTest, OfAnyTwoAxesIsAView) {
  const Tensor x = Counted({3, 2, 4});
  const Tensor y = Diagonal(x, 1, 0, 2).value();
  ASSERT_EQ(y.shape(), Shape({2, 3}));
  for (int64_t j = 0; j < 2; ++j) {
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(y.at<float>({j, i}), x.at<float>({i, j, i + 1}));
    }
  }
  EXPECT_TRUE(y.SharesStorage(x));
}

TEST(DiagonalTest, MatricesWithADiagonal) {
  EXPECT_THAT(DiagonalMatrix(Counted({2})).value().ToVector<int>(), ElementsAre(1, 0, 0, 2));
  for (const DType dtype : {DType::kBool, DType::kInt64, DType::kFloat32}) {
    const Tensor x = Counted({2, 3}, dtype);
    for (const int64_t offset : {-2, -1, 0, 1, 3}) {
      const Variable y = DiagonalMatrix(x, offset);
      const int64_t n = 3 + std::abs(offset);
      ASSERT_EQ(y.shape(), Shape({2, n, n}));
      ASSERT_EQ(y.dtype(), dtype);
      for (int64_t b = 0; b < 2; ++b) {
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            ASSERT_EQ(y.value().at<double>({b, i, j}),
                      j - i == offset ? x.at<double>({b, std::min(i, j)}) : 0);
          }
        }
      }
      EXPECT_TRUE(BitwiseEqual(Diagonal(y, offset).value(), x));
    }
  }
  EXPECT_EQ(DiagonalMatrix(Tensor::Zeros({0})).value().shape(), Shape({0, 0}));
  EXPECT_EQ(DiagonalMatrix(Tensor::Zeros({2, 0}), -1).value().shape(), Shape({2, 1, 1}));
}

TEST(DiagonalTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 24, DType::kFloat64).Reshape({3, 2, 4});
  for (const int64_t offset : {-1, 0, 2}) {
    GradientReport report =
        CheckGradients([&](VariableSpan v) { return Exp(Diagonal(v[0], offset, 2, 0)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
    report = CheckGradients([&](VariableSpan v) { return Exp(DiagonalMatrix(v[0], offset)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
  }
  EXPECT_THAT(ThrownMessage([&] { Diagonal(x, 0, 1, -2); }),
              HasSubstr("[diagonal] axis 1 of [3,2,4] is given as row and as column "
                        "(tests/ops/diagonals_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { Diagonal(Counted({3})); }), HasSubstr("[diagonal]"));
  EXPECT_THAT(ThrownMessage([&] { DiagonalMatrix(Tensor::Zeros({})); }),
              HasSubstr("[diagonal_matrix] a scalar has no axis: []"));
  EXPECT_THAT(ThrownMessage([&] { DiagonalMatrix(x, kFarthest); }),
              HasSubstr("[diagonal_matrix] offset 9223372036854775807 is not in [-2^31, 2^31]"));
  EXPECT_THAT(ThrownMessage([&] { DiagonalMatrix(x, int64_t{1} << 31); }),
              HasSubstr("[diagonal_matrix]"));
}

}  // namespace
}  // namespace wengert

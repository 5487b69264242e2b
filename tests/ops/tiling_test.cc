// Repeat, Tile, Roll and Meshgrid: values against loops, gradients, errors.
#include <array>
#include <cstdint>
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
using ::testing::HasSubstr;

Tensor Counted(const Shape& shape, DType dtype = DType::kFloat32) {
  return Tensor::Arange(0, static_cast<double>(NumElements(shape)), 1, dtype).Reshape(shape);
}

// y as f gives its elements: from x's, by an index along each axis of a rank-3 y.
template <class Index>
void ExpectElements(const Tensor& x, const Tensor& y, const Shape& shape, Index index) {
  ASSERT_EQ(y.shape(), shape);
  ASSERT_EQ(y.dtype(), x.dtype());
  for (int64_t i = 0; i < shape[0]; ++i) {
    for (int64_t j = 0; j < shape[1]; ++j) {
      for (int64_t k = 0; k < shape[2]; ++k) {
        const auto [a, b, c] = index(i, j, k);
        ASSERT_EQ(y.at<double>({i, j, k}), x.at<double>({a, b, c})) << i << ' ' << j << ' ' << k;
      }
    }
  }
}
using Triple = std::array<int64_t, 3>;

TEST(RepeatTest, AgreesWithLoops) {
  for (const DType dtype : {DType::kUInt8, DType::kInt64, DType::kFloat32, DType::kFloat64}) {
    const Tensor x = Counted({2, 3, 4}, dtype);
    for (const int64_t n : {0, 1, 2, 5}) {
      ExpectElements(x, Repeat(x, n, 0).value(), {2 * n, 3, 4},
                     [&](int64_t i, int64_t j, int64_t k) {
                       return Triple{i / n, j, k};
                     });
      ExpectElements(x, Repeat(x, n, -2).value(), {2, 3 * n, 4},
                     [&](int64_t i, int64_t j, int64_t k) {
                       return Triple{i, j / n, k};
                     });
      ExpectElements(x, Repeat(x, n, 2).value(), {2, 3, 4 * n},
                     [&](int64_t i, int64_t j, int64_t k) {
                       return Triple{i, j, k / n};
                     });
    }
  }
  EXPECT_THAT(Repeat(Counted({2, 2}).T(), 2, 1).value().ToVector<int>(),
              ElementsAre(0, 0, 2, 2, 1, 1, 3, 3));
  EXPECT_EQ(Repeat(Tensor::Zeros({0, 3}), 2, 0).value().shape(), Shape({0, 3}));
  EXPECT_EQ(Repeat(Tensor::Zeros({2, 0}), 3, 0).value().shape(), Shape({6, 0}));
  const Shape deepest = Shape::Filled(kMaxRank, 2);
  EXPECT_EQ(Repeat(Counted(deepest), 3, 4).value().size(), 3 << kMaxRank);
}

TEST(RepeatTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 12, DType::kFloat64).Reshape({3, 2, 2});
  for (const int axis : {0, 1, -1}) {
    const GradientReport report =
        CheckGradients([&](VariableSpan v) { return Exp(Repeat(v[0], 3, axis)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
  }
  EXPECT_THAT(ThrownMessage([&] { Repeat(x, -1, 1); }),
              HasSubstr("[repeat] -1 times along axis 1 of [3,2,2] is not in [0, 2^31] "
                        "(tests/ops/tiling_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { Repeat(x, 2, 3); }), HasSubstr("[repeat]"));
  EXPECT_THAT(ThrownMessage([&] { Repeat(Tensor::Zeros({}), 2, 0); }), HasSubstr("[repeat]"));
  EXPECT_THAT(ThrownMessage([&] {
                Repeat(Tensor::Zeros({1}).Expand({int64_t{1} << 40}), int64_t{1} << 30, 0);
              }),
              HasSubstr("[repeat]"));
}

TEST(TileTest, AgreesWithLoops) {
  const Tensor x = Counted({2, 3, 4});
  const auto index = [](int64_t i, int64_t j, int64_t k) { return Triple{i % 2, j % 3, k % 4}; };
  ExpectElements(x, Tile(x, {2, 3, 2}).value(), {4, 9, 8}, index);
  ExpectElements(x, Tile(x, {3, 1, 1}).value(), {6, 3, 4}, index);
  ExpectElements(x, Tile(x, {1, 2, 0}).value(), {2, 6, 0}, index);
  // Aligned at the last axis, as in NumPy.
  ExpectElements(x, Tile(x, {5}).value(), {2, 3, 20}, index);
  ExpectElements(x, Tile(x, {2, 1}).value(), {2, 6, 4}, index);
  EXPECT_EQ(Tile(x, {}).value().shape(), x.shape());
  const Tensor row = Counted({3});
  EXPECT_THAT(Tile(row, {2, 2}).value().ToVector<int>(),
              ElementsAre(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2));
  EXPECT_EQ(Tile(row, {2, 1, 2}).value().shape(), Shape({2, 1, 6}));
  EXPECT_THAT(Tile(Tensor::Full({}, 7), {3}).value().ToVector<int>(), ElementsAre(7, 7, 7));
  EXPECT_EQ(Tile(Tensor::Zeros({0, 2}), {3, 2}).value().shape(), Shape({0, 4}));
  const std::vector<int64_t> twice(kMaxRank, 2);
  EXPECT_EQ(Tile(Counted(Shape::Filled(kMaxRank, 2)), twice).value().size(), 1 << 2 * kMaxRank);
}

TEST(TileTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 6, DType::kFloat64).Reshape({3, 2});
  for (const auto& times : {std::vector<int64_t>{2}, {3, 1}, {2, 1, 3}}) {
    const GradientReport report =
        CheckGradients([&](VariableSpan v) { return Exp(Tile(v[0], times)); }, {x});
    EXPECT_TRUE(report.ok) << report.text;
  }
  EXPECT_THAT(ThrownMessage([&] {
                Tile(x, {2, -3});
              }),
              HasSubstr("[tile] -3 times along axis 1 of [3,2] is not in [0, 2^31] "
                        "(tests/ops/tiling_test.cc"));
}

TEST(RollTest, AgreesWithLoops) {
  const Tensor x = Counted({2, 3, 4}, DType::kInt32);
  for (const int64_t shift : {-9, -4, -1, 0, 1, 3, 4, 6}) {
    const auto from = [&](int64_t i, int64_t n) { return ((i - shift) % n + n) % n; };
    ExpectElements(x, Roll(x, shift, 0).value(), x.shape(), [&](int64_t i, int64_t j, int64_t k) {
      return Triple{from(i, 2), j, k};
    });
    ExpectElements(x, Roll(x, shift, 1).value(), x.shape(), [&](int64_t i, int64_t j, int64_t k) {
      return Triple{i, from(j, 3), k};
    });
    ExpectElements(x, Roll(x, shift, -1).value(), x.shape(), [&](int64_t i, int64_t j, int64_t k) {
      return Triple{i, j, from(k, 4)};
    });
  }
  // numpy.roll(numpy.arange(6).reshape(2, 3), ...)
  EXPECT_THAT(Roll(Counted({2, 3}), {1, -1}, {0, 1}).value().ToVector<int>(),
              ElementsAre(4, 5, 3, 1, 2, 0));
  EXPECT_THAT(Roll(Counted({2, 3}), {1, 1}, {1, 1}).value().ToVector<int>(),
              ElementsAre(1, 2, 0, 4, 5, 3));
  EXPECT_EQ(Roll(Tensor::Zeros({0, 3}), 2, 0).value().shape(), Shape({0, 3}));
}

TEST(RollTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 12, DType::kFloat64).Reshape({3, 4});
  const Tensor weights = Tensor::Linspace(0.1, 2, 12, DType::kFloat64).Reshape({3, 4});
  const GradientReport report = CheckGradients(
      [&](VariableSpan v) {
        return Exp(Roll(v[0], {2, -1}, {0, 1})) * weights;
      },
      {x});
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_THAT(ThrownMessage([&] {
                Roll(x, {1, 2}, {0});
              }),
              HasSubstr("[roll] shifts {1,2} for the axes {0} of [3,4] (tests/ops/tiling_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { Roll(x, 1, 2); }), HasSubstr("[roll]"));
}

TEST(MeshgridTest, SpansGrids) {
  const Variable x = Counted({3}), y = Counted({2}, DType::kInt64), z = Tensor::Full({}, 7);
  const std::vector<Variable> ij = Meshgrid({x, y, z}, GridIndexing::kIj);
  const std::vector<Variable> xy = Meshgrid({x, y, z}, GridIndexing::kXy);
  ASSERT_EQ(ij.size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ij[i].shape(), Shape({3, 2, 1}));
    EXPECT_EQ(xy[i].shape(), Shape({2, 3, 1}));
  }
  EXPECT_THAT(ij[0].value().ToVector<int>(), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(ij[1].value().ToVector<int>(), ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_THAT(xy[0].value().ToVector<int>(), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(xy[1].value().ToVector<int>(), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_THAT(xy[2].value().ToVector<int>(), ElementsAre(7, 7, 7, 7, 7, 7));
  EXPECT_EQ(xy[1].dtype(), DType::kInt64);
  EXPECT_THAT(Meshgrid({x}, GridIndexing::kXy)[0].value().ToVector<int>(), ElementsAre(0, 1, 2));
  EXPECT_TRUE(Meshgrid({}, GridIndexing::kXy).empty());
  EXPECT_EQ(Meshgrid({x, Tensor::Zeros({0})}, GridIndexing::kIj)[0].value().shape(), Shape({3, 0}));
}

TEST(MeshgridTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 4, DType::kFloat64);
  const Tensor y = Tensor::Linspace(0.4, 0.9, 3, DType::kFloat64);
  for (const GridIndexing indexing : {GridIndexing::kIj, GridIndexing::kXy}) {
    const GradientReport report = CheckGradients(
        [&](VariableSpan v) {
          const std::vector<Variable> grid = Meshgrid(v, indexing);
          return Exp(grid[0] * grid[1]);
        },
        {x, y});
    EXPECT_TRUE(report.ok) << report.text;
  }
  EXPECT_THAT(ThrownMessage([&] {
                Meshgrid({x, Tensor::Zeros({2, 2})}, GridIndexing::kIj);
              }),
              HasSubstr("[meshgrid] coordinates of shape [2,2] are not a vector or a scalar "
                        "(tests/ops/tiling_test.cc"));
}

}  // namespace
}  // namespace wengert

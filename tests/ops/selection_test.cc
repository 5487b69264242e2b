// GatherAlong, ScatterAddAlong, BooleanMask, Nonzero and SegmentSum: values against loops,
// gradients, errors.
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr DType kNumbers[] = {DType::kUInt8, DType::kInt32, DType::kInt64, DType::kFloat32,
                              DType::kFloat64};

Tensor Integers(const Shape& shape, int64_t low, int64_t high, DType dtype = DType::kInt64) {
  static std::mt19937 engine(2);
  std::vector<int64_t> values(NumElements(shape));
  for (int64_t& v : values) {
    v = low + static_cast<int64_t>(engine() % static_cast<uint64_t>(high - low));
  }
  return Tensor::FromVector(values, shape).To(dtype);
}

template <class T>
Tensor Vector(std::vector<T> values) {
  return Tensor::FromVector(values);
}

struct AlongCase {
  Shape shape;
  int64_t count;
  int axis;
};
const AlongCase kAlongCases[] = {{{9}, 20, 0},      {{9, 4}, 3, 0},          {{4, 9}, 5, 1},
                                 {{3, 9, 2}, 4, 1}, {{200, 700}, 90, 0},     {{3, 50, 1000}, 40, 1},
                                 {{30, 7}, 60, -1}, {{70000, 3}, 2, 0},      {{2, 5}, 0, 1},
                                 {{0, 4}, 3, 1},    {{2, 3, 4, 2, 3}, 5, -3}};

// Of index i of `shape`: where the entry `at` along the axis instead lies in `other`, which differs
// from it along that axis only.
struct Along {
  int64_t dim, inner, count;
  int64_t Place(int64_t i, int64_t at) const {
    return (i / inner / count * dim + at) * inner + i % inner;
  }
};
Along Lay(const AlongCase& of) {
  Along along{.inner = 1, .count = of.count};
  const int axis = of.axis < 0 ? of.axis + of.shape.rank() : of.axis;
  along.dim = of.shape[axis];
  for (int i = axis + 1; i < of.shape.rank(); ++i) along.inner *= of.shape[i];
  return along;
}
Shape IndicesShape(const AlongCase& of) {
  Shape shape = of.shape;
  shape[of.axis < 0 ? of.axis + shape.rank() : of.axis] = of.count;
  return shape;
}

TEST(GatherAlongTest, AgreesWithLoops) {
  for (const DType dtype : kNumbers) {
    for (const AlongCase& of : kAlongCases) {
      const Along along = Lay(of);
      const Tensor x = Integers(of.shape, 0, 100, dtype);
      const Tensor at = Integers(IndicesShape(of), 0, along.dim,
                                 dtype == DType::kInt64 ? DType::kInt32 : DType::kInt64);
      const Variable y = GatherAlong(x, at, of.axis);
      ASSERT_EQ(y.shape(), at.shape());
      ASSERT_EQ(y.dtype(), dtype);
      const std::vector<int64_t> in = x.ToVector<int64_t>(), index = at.ToVector<int64_t>(),
                                 out = y.value().ToVector<int64_t>();
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], in[along.Place(static_cast<int64_t>(i), index[i])]) << ToString(of.shape);
      }
    }
  }
  EXPECT_THAT(GatherAlong(Vector<bool>({true, false}), Vector<int64_t>({1, 0, 0}), 0)
                  .value()
                  .ToVector<bool>(),
              ElementsAre(false, true, true));
  // numpy.take_along_axis([[10, 30, 20], [60, 40, 50]], argsort, 1)
  const Tensor x = Tensor::FromVector(std::vector<int>{10, 30, 20, 60, 40, 50}, {2, 3});
  const Tensor order = Tensor::FromVector(std::vector<int64_t>{0, 2, 1, 1, 2, 0}, {2, 3});
  EXPECT_THAT(GatherAlong(x, order, 1).value().ToVector<int>(),
              ElementsAre(10, 20, 30, 40, 50, 60));
  EXPECT_TRUE(BitwiseEqual(GatherAlong(x.T(), order.T().Flip(0), 0).value(),
                           GatherAlong(x.T().Clone(), order.T().Flip(0).Clone(), 0).value()));
}

TEST(ScatterAddAlongTest, AgreesWithLoops) {
  for (const DType dtype : kNumbers) {
    for (const AlongCase& of : kAlongCases) {
      const Along along = Lay(of);
      const Tensor at = Integers(IndicesShape(of), 0, along.dim);
      const Tensor x = Integers(at.shape(), 0, 100, dtype);
      const Variable y = ScatterAddAlong(x, at, along.dim, of.axis);
      ASSERT_EQ(y.shape(), of.shape);
      const std::vector<int64_t> in = x.ToVector<int64_t>(), index = at.ToVector<int64_t>();
      std::vector<int64_t> expected(y.size(), 0);
      for (size_t i = 0; i < in.size(); ++i) {
        expected[along.Place(static_cast<int64_t>(i), index[i])] += in[i];
      }
      if (dtype == DType::kUInt8) {
        for (int64_t& v : expected) v &= 255;
      }
      ASSERT_EQ(y.value().ToVector<int64_t>(), expected) << ToString(of.shape) << Name(dtype);
    }
  }
}

TEST(ScatterAddAlongTest, CountsBeyondFloatsOnes) {
  const Tensor y = ScatterAddAlong(Tensor::Ones({1}).Expand({16'777'218}),
                                   Tensor::Zeros({1}, DType::kInt32).Expand({16'777'218}), 2, 0)
                       .value();
  EXPECT_THAT(y.ToVector<float>(), ElementsAre(16777218.0f, 0.0f));
}

TEST(GatherAlongTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  std::vector<Tensor> expected;
  const Tensor x = Integers({5, 300, 130}, 0, 1000, DType::kFloat32);
  const Tensor at = Integers({5, 300, 130}, 0, 7);
  for (const int many : {1, 2, 3, 8}) {
    SetNumThreads(many);
    const std::vector<Tensor> got = {GatherAlong(x, at, 1).value(), GatherAlong(x, at, 2).value(),
                                     ScatterAddAlong(x * 0.37, at, 7, 1).value(),
                                     ScatterAddAlong(x * 0.37, at, 900, 2).value()};
    if (many == 1) expected = got;
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(BitwiseEqual(got[i], expected[i])) << i;
  }
  SetNumThreads(threads);
}

TEST(GatherAlongTest, Errors) {
  const Tensor x = Tensor::Ones({3, 4});
  const Tensor bad = Tensor::FromVector(std::vector<int64_t>{0, 2, 3, 1}, {1, 4});
  EXPECT_THAT(ThrownMessage([&] { GatherAlong(x, bad, 0).value(); }),
              HasSubstr("[gather_along] index 3 at [0,2] is out of range: there are 3 entries "
                        "(tests/ops/selection_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { GatherAlong(x, bad, 1); }),
              HasSubstr("[gather_along] [3,4] and the indices [1,4] differ beside axis 1"));
  EXPECT_THAT(ThrownMessage([&] { GatherAlong(x, Vector<int64_t>({0}), 1); }),
              HasSubstr("[gather_along] [3,4] and the indices [1] differ"));
  EXPECT_THAT(ThrownMessage([&] { GatherAlong(x, x, 1); }),
              HasSubstr("[gather_along] indices are float32, not int64 or int32"));
  EXPECT_THAT(ThrownMessage([&] { GatherAlong(x, bad, 2); }), HasSubstr("[gather_along]"));
  EXPECT_THAT(ThrownMessage([&] {
                ScatterAddAlong(Tensor::Ones({1, 4}), bad, 3, 0).value();
              }),
              HasSubstr("[scatter_add_along] index 3 at [0,2] is out of range"));
  EXPECT_THAT(ThrownMessage([&] { ScatterAddAlong(x, bad, 3, 0); }),
              HasSubstr("[scatter_add_along] [3,4] does not have the indices' shape [1,4]"));
  EXPECT_THAT(ThrownMessage([&] {
                ScatterAddAlong(Tensor::Ones({1, 4}), bad, -1, 0);
              }),
              HasSubstr("[scatter_add_along] -1 entries"));
  EXPECT_THAT(ThrownMessage([&] {
                ScatterAddAlong(Tensor::Ones({1, 4}, DType::kBool), bad, 4, 0);
              }),
              HasSubstr("[scatter_add_along] bools cannot be added up"));
}

TEST(NonzeroTest, RowsOfIndices) {
  const Tensor x = Tensor::FromVector(std::vector<float>{0, 2, NAN, -0.0f, 0, 0.1f}, {2, 3});
  const Variable y = Nonzero(x);
  EXPECT_EQ(y.shape(), Shape({3, 2}));
  EXPECT_EQ(y.dtype(), DType::kInt64);
  EXPECT_THAT(y.value().ToVector<int>(), ElementsAre(0, 1, 0, 2, 1, 2));
  EXPECT_THAT(Nonzero(x.T()).value().ToVector<int>(), ElementsAre(1, 0, 2, 0, 2, 1));
  EXPECT_EQ(Nonzero(Tensor::Zeros({2, 3, 4})).shape(), Shape({0, 3}));
  EXPECT_EQ(Nonzero(Tensor::Zeros({0, 3})).shape(), Shape({0, 2}));
  EXPECT_EQ(Nonzero(Tensor::Ones({})).shape(), Shape({1, 0}));
  EXPECT_FALSE(Nonzero(DifferentiableLeaf(Tensor::Ones({2}))).requires_grad());
}

TEST(BooleanMaskTest, EntriesWhereTheMaskIsTrue) {
  const Tensor x = Tensor::Arange(0, 24, 1, DType::kFloat32).Reshape({2, 3, 4});
  const Tensor mask =
      Tensor::FromVector(std::vector<bool>{true, false, false, true, false, true}, {2, 3});
  const Variable rows = BooleanMask(x, mask);
  EXPECT_EQ(rows.shape(), Shape({3, 4}));
  EXPECT_THAT(rows.value().ToVector<int>(),
              ElementsAre(0, 1, 2, 3, 12, 13, 14, 15, 20, 21, 22, 23));
  EXPECT_THAT(BooleanMask(x, Greater(x, 20)).value().ToVector<int>(), ElementsAre(21, 22, 23));
  EXPECT_THAT(BooleanMask(x.Permute({2, 1, 0}), Vector<bool>({false, true, false, false}))
                  .value()
                  .ToVector<int>(),
              ElementsAre(1, 13, 5, 17, 9, 21));
  EXPECT_THAT(BooleanMask(x, Less(x, 0)).value().ToVector<int>(), IsEmpty());
  EXPECT_EQ(BooleanMask(Tensor::Zeros({0, 3}), Tensor::Zeros({0}, DType::kBool)).shape(),
            Shape({0, 3}));
  EXPECT_EQ(BooleanMask(x, Tensor::Ones({}, DType::kBool)).shape(), Shape({1, 2, 3, 4}));
}

TEST(BooleanMaskTest, GradientsAndErrors) {
  const Tensor x = Tensor::Linspace(-1.3, 1.7, 24, DType::kFloat64).Reshape({2, 3, 4});
  const Tensor mask =
      Tensor::FromVector(std::vector<bool>{true, false, false, true, false, true}, {2, 3});
  const GradientReport report =
      CheckGradients([&](VariableSpan v) { return Exp(BooleanMask(v[0], mask)); }, {x});
  EXPECT_TRUE(report.ok) << report.text;
  // What is left out is not read.
  const Variable leaf = DifferentiableLeaf(Vector<float>({2, NAN, 3}));
  const Variable y = BooleanMask(leaf, Vector<bool>({true, false, true}));
  EXPECT_THAT(Grad(Sum(Square(y)), leaf).value().ToVector<float>(), ElementsAre(4, 0, 6));
  EXPECT_THAT(ThrownMessage([&] {
                BooleanMask(x, Vector<int64_t>({0, 1}));
              }),
              HasSubstr("[boolean_mask] the mask is int64, not bool (tests/ops/selection_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { BooleanMask(x, Tensor::Ones({3}, DType::kBool)); }),
              HasSubstr("[boolean_mask] x [2,3,4] does not start with the shape of the mask, [3]"));
}

TEST(SegmentSumTest, AddsUpRowsOfASegment) {
  const Tensor x = Tensor::Arange(1, 9, 1, DType::kFloat32).Reshape({4, 2});
  const Tensor ids = Vector<int32_t>({2, 0, 2, 2});
  const Variable y = SegmentSum(x, ids, 4);
  EXPECT_EQ(y.shape(), Shape({4, 2}));
  EXPECT_THAT(y.value().ToVector<int>(), ElementsAre(3, 4, 0, 0, 13, 16, 0, 0));
  const Tensor table = Tensor::FromVector(std::vector<int64_t>{1, 0, 1, 1}, {2, 2});
  EXPECT_THAT(SegmentSum(x.Reshape({2, 2, 2}), table, 2).value().ToVector<int>(),
              ElementsAre(3, 4, 13, 16));
  EXPECT_EQ(SegmentSum(Tensor::Zeros({0, 3}), Tensor::Zeros({0}, DType::kInt64), 2).shape(),
            Shape({2, 3}));
  const GradientReport report = CheckGradients(
      [&](VariableSpan v) { return Exp(SegmentSum(v[0], ids, 3)); }, {x.To(DType::kFloat64)});
  EXPECT_TRUE(report.ok) << report.text;
  EXPECT_THAT(ThrownMessage([&] {
                SegmentSum(x, Vector<int64_t>({0, 1}), 2);
              }),
              HasSubstr("[segment_sum] x [4,2] does not start with the shape of the ids, [2] "
                        "(tests/ops/selection_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { SegmentSum(x, ids, 2).value(); }),
              HasSubstr("index 2 at [0] is out of range: there are 2 entries"));
}

}  // namespace
}  // namespace wengert

// Sorting against std::stable_sort, its rules for ties and NaN, and derivatives of the values.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Integers in [-9, 9] (bool: 0 and 1; uint8: 0 to 9), with many ties.
Tensor Integers(const Shape& shape, DType dtype) {
  std::mt19937 engine(4);
  std::vector<int64_t> values(NumElements(shape));
  for (int64_t& value : values) value = static_cast<int64_t>(engine() % 19) - 9;
  if (dtype == DType::kBool || dtype == DType::kUInt8) {
    for (int64_t& value : values) value = std::abs(value) % (dtype == DType::kBool ? 2 : 10);
  }
  return Tensor::FromVector(values, shape).To(dtype);
}

// The positions of a sorted row.
std::vector<int64_t> Order(const std::vector<double>& row, bool descending) {
  std::vector<int64_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return descending ? row[a] > row[b] : row[a] < row[b];
  });
  return order;
}

void ExpectSorted(const Tensor& x, int axis, bool descending) {
  SCOPED_TRACE(testing::Message() << ToString(x.shape()) << " " << Name(x.dtype()) << axis);
  const int64_t n = x.dim(axis), k = (n + 1) / 2;
  const Tensor sorted = Sort(x, axis, descending).value(),
               order = ArgSort(x, axis, descending).value();
  const ValuesAndIndices top = TopK(x, k, axis, descending);
  EXPECT_EQ(sorted.dtype(), x.dtype());
  EXPECT_TRUE(BitwiseEqual(top.values.value(), sorted.Narrow(axis, 0, k).Clone()));
  EXPECT_TRUE(BitwiseEqual(top.indices.value(), order.Narrow(axis, 0, k).Clone()));
  const auto rows = [&](const Tensor& t) { return t.Transpose(axis, -1).Clone(); };
  const std::vector<double> in = rows(x).ToVector<double>(), out = rows(sorted).ToVector<double>();
  const std::vector<int64_t> at = rows(order).ToVector<int64_t>();
  for (size_t begin = 0; begin < in.size(); begin += n) {
    const std::vector<double> row(in.begin() + begin, in.begin() + begin + n);
    const std::vector<int64_t> expected = Order(row, descending);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(at[begin + i], expected[i]);
      ASSERT_EQ(out[begin + i], row[expected[i]]);
    }
  }
}

TEST(SortTest, AgreesWithStableSort) {
  for (const DType dtype : {DType::kBool, DType::kUInt8, DType::kInt32, DType::kInt64,
                            DType::kFloat32, DType::kFloat64}) {
    for (const Shape& shape : {Shape{1}, {2}, {50}, {7, 30}, {3, 20, 5}, {20'000}, {600, 33}}) {
      const Tensor x = Integers(shape, dtype);
      for (int axis = 0; axis < x.rank(); ++axis) {
        for (const bool descending : {false, true}) ExpectSorted(x, axis, descending);
      }
    }
    const Tensor x = Integers({12, 9}, dtype);
    for (const Tensor& view : {x.T(), x.Flip(1), x.Narrow(0, 1, 5, 2)}) {
      ExpectSorted(view, 0, false);
      ExpectSorted(view, 1, true);
    }
  }
}

TEST(SortTest, Extremes) {
  const int64_t low = std::numeric_limits<int64_t>::min(), high = -1 - low;
  EXPECT_THAT(
      Sort(Tensor::FromVector(std::vector<int64_t>{0, high, -1, low})).value().ToVector<int64_t>(),
      ElementsAre(low, -1, 0, high));
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor x = Tensor::FromVector(std::vector<double>{1, kInf, -2, -kInf, 0}).To(dtype);
    EXPECT_THAT(Sort(x).value().ToVector<double>(), ElementsAre(-kInf, -2, 0, 1, kInf));
  }
}

TEST(SortTest, NanComesLastAndZerosStayInOrder) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor x =
        Tensor::FromVector(std::vector<double>{kNan, 0.0, -1, -kNan, -0.0, kInf, 0.0}).To(dtype);
    EXPECT_THAT(ArgSort(x).value().ToVector<int64_t>(), ElementsAre(2, 1, 4, 6, 5, 0, 3));
    EXPECT_THAT(ArgSort(x, 0, kDescending).value().ToVector<int64_t>(),
                ElementsAre(5, 1, 4, 6, 2, 0, 3));
    EXPECT_THAT(TopK(x, 2).values.value().ToVector<double>(), ElementsAre(kInf, 0));
    EXPECT_TRUE(std::isnan(Sort(x).value().ToVector<double>()[6]));
  }
}

TEST(SortTest, DerivativesOfTheValues) {
  std::mt19937 engine(1);
  std::vector<double> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1 * static_cast<double>(i) - 1.05;
  std::shuffle(values.begin(), values.end(), engine);
  const Variable x = Tensor::FromVector(values, {2, 4, 3});
  for (const int axis : {0, 1, -1}) {
    for (const bool descending : {false, true}) {
      const GradientReport sorted = CheckGradients(
          [&](VariableSpan in) { return Tanh(Sort(in[0], axis, descending)); }, {&x, 1});
      EXPECT_TRUE(sorted.ok) << sorted.text;
      const GradientReport top = CheckGradients(
          [&](VariableSpan in) { return Tanh(TopK(in[0], 2, axis, descending).values); }, {&x, 1});
      EXPECT_TRUE(top.ok) << top.text;
    }
  }
  const Variable v = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{3, 1, 3, 2}));
  const auto gradient = [&](const Variable& y) {
    return Grad(y, v, {.cotangents = {Tensor::FromVector(std::vector<float>{10, 1})}})
        .value()
        .ToVector<float>();
  };
  EXPECT_THAT(gradient(TopK(v, 2).values), ElementsAre(10, 0, 1, 0));
  EXPECT_THAT(gradient(TopK(v, 2, 0, /*largest=*/false).values), ElementsAre(0, 10, 0, 1));
}

TEST(SortTest, NothingAndErrors) {
  EXPECT_EQ(Sort(Tensor::Ones({0, 3}), 0).value().shape(), Shape({0, 3}));
  EXPECT_EQ(Sort(Tensor::Ones({0, 3}), 1).value().shape(), Shape({0, 3}));
  EXPECT_EQ(TopK(Tensor::Ones({2, 3}), 0).values.value().shape(), Shape({2, 0}));
  const Variable nothing = DifferentiableLeaf(Tensor::Ones({2, 0}));
  EXPECT_EQ(Grad(Sum(Sort(nothing)), nothing).value().shape(), Shape({2, 0}));
  EXPECT_THAT(
      ThrownMessage([] {
        TopK(Tensor::Ones({2, 3}), 4);
      }),
      AllOf(HasSubstr("[top_k] axis 1 of [2,3] has no 4 elements"), HasSubstr("sort_test.cc")));
  EXPECT_THAT(ThrownMessage([] { Sort(Tensor::Ones({})); }), HasSubstr("[sort]"));
  EXPECT_THAT(ThrownMessage([] { ArgSort(Tensor::Ones({2}), 1); }), HasSubstr("[arg_sort]"));
}

TEST(SortTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  const Tensor x = Integers({700, 90}, DType::kFloat32);
  SetNumThreads(1);
  const Tensor order = ArgSort(x).value(), sorted = Sort(x, 0).value();
  for (const int many : {2, 3, 8}) {
    SetNumThreads(many);
    EXPECT_TRUE(BitwiseEqual(ArgSort(x).value(), order));
    EXPECT_TRUE(BitwiseEqual(Sort(x, 0).value(), sorted));
  }
  SetNumThreads(threads);
}

}  // namespace
}  // namespace wengert

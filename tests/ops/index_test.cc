// Indexing: values against loops, errors that name the index, bits on any number of threads.
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

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

constexpr DType kAllDTypes[] = {DType::kBool,  DType::kUInt8,   DType::kInt32,
                                DType::kInt64, DType::kFloat32, DType::kFloat64};

Tensor Integers(const Shape& shape, int64_t low, int64_t high, DType dtype = DType::kInt64) {
  static std::mt19937 engine(2);
  std::vector<int64_t> values(NumElements(shape));
  for (int64_t& v : values)
    v = low + static_cast<int64_t>(engine() % static_cast<uint64_t>(high - low));
  return Tensor::FromVector(values, shape).To(dtype);
}

template <class T>
Tensor Vector(std::vector<T> values) {
  return Tensor::FromVector(values);
}

TEST(GatherTest, AgreesWithLoops) {
  const struct {
    Shape shape;
    int axis;
    Shape indices;
  } cases[] = {{{9}, 0, {20}},         {{9, 4}, 0, {3}},      {{4, 9}, 1, {5}},
               {{3, 9, 2}, 1, {2, 4}}, {{200, 700}, 0, {90}}, {{3, 50, 1000}, 1, {40}},
               {{30, 7}, -1, {3000}},  {{5, 2}, 0, {}},       {{5, 0}, 0, {3}}};
  for (const DType dtype : kAllDTypes) {
    for (const auto& [shape, axis, at] : cases) {
      const Tensor x = Integers(shape, 0, 100, dtype);
      const Tensor indices =
          Integers(at, 0, x.dim(axis), dtype == DType::kBool ? DType::kInt32 : DType::kInt64);
      const Tensor y = Gather(x, indices, axis).value();
      // As [outer, indices, inner].
      const int normal = axis < 0 ? axis + x.rank() : axis;
      int64_t inner = 1;
      for (int i = normal + 1; i < x.rank(); ++i) inner *= x.dim(i);
      const std::vector<double> in = x.ToVector<double>(), out = y.ToVector<double>();
      const std::vector<int64_t> index = indices.ToVector<int64_t>();
      const auto count = static_cast<int64_t>(index.size());
      ASSERT_EQ(y.dtype(), dtype);
      for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t o = i / inner / count, k = index[i / inner % count];
        ASSERT_EQ(out[i], in[(o * x.dim(axis) + k) * inner + i % inner]) << ToString(shape) << i;
      }
    }
  }
  EXPECT_EQ(Gather(Tensor::Ones({2, 3, 4}), Integers({5, 6}, 0, 3), 1).shape(),
            Shape({2, 5, 6, 4}));
}

TEST(GatherTest, ReadsViews) {
  const Tensor x = Integers({8, 6}, 0, 100, DType::kFloat32), i = Vector<int64_t>({4, 0, 4, 2, 5});
  for (const Tensor& view :
       {x.T(), x.Flip(0), x.Narrow(1, 1, 5), x.Narrow(0, 0, 1).Expand({7, 6})}) {
    EXPECT_TRUE(BitwiseEqual(Gather(view, i.Narrow(0, 0, 3, 2)).value(),
                             Gather(view.Clone(), Vector<int64_t>({4, 4, 5})).value()));
  }
}

TEST(IndexTest, ErrorsNameTheIndexItsPositionAndTheSize) {
  const Tensor x = Tensor::Ones({3, 4});
  const Tensor bad = Tensor::FromVector(std::vector<int64_t>{0, 2, 3, 1}, {2, 2});
  const Variable gathered = Gather(x, bad);  // known when it is computed
  EXPECT_THAT(ThrownMessage([&] { gathered.value(); }),
              HasSubstr("[gather] index 3 at [1,0] is out of range: there are 3 entries"));
  EXPECT_THAT(ThrownMessage([&] { gathered.value(); }), HasSubstr("index_test.cc"));
  EXPECT_THAT(ThrownMessage([&] {
                ScatterAdd(Tensor::Ones({2, 2}), bad, 3).value();
              }),
              HasSubstr("[scatter_add] index 3 at [1,0] is out of range: there are 3 entries"));
  EXPECT_THAT(ThrownMessage([&] { Gather(x, Vector<int32_t>({-1}), 1).value(); }),
              HasSubstr("[gather] index -1 at [0] is out of range: there are 4 entries"));
  EXPECT_THAT(ThrownMessage([&] {
                TakeAlongLast(x, Vector<int64_t>({0, 1, 4})).value();
              }),
              HasSubstr("[take_along_last] index 4 at [2] is out of range: there are 4 entries"));
  EXPECT_THAT(ThrownMessage([&] {
                PutAlongLast(Tensor::Ones({2}), Vector<int64_t>({0, 7}), 2).value();
              }),
              HasSubstr("[put_along_last] index 7 at [1] is out of range: there are 2 entries"));
  EXPECT_THAT(ThrownMessage([&] {
                OneHot(Vector<int64_t>({9, 10}), 10).value();
              }),
              HasSubstr("[one_hot] index 10 at [1] is out of range: there are 10 entries"));
  EXPECT_THAT(ThrownMessage([&] {
                Gather(Tensor::Ones({0, 4}), Vector<int64_t>({0})).value();
              }),
              HasSubstr("[gather] index 0 at [0] is out of range: there are 0 entries"));
}

TEST(IndexTest, ErrorsOfShapesAndTypes) {
  const Tensor x = Tensor::Ones({3, 4});
  EXPECT_THAT(ThrownMessage([&] { Gather(x, Tensor::Ones({2})); }),
              HasSubstr("[gather] indices are float32, not int64 or int32"));
  EXPECT_THAT(ThrownMessage([&] { Gather(x, Vector<int64_t>({0}), 2); }), HasSubstr("[gather]"));
  EXPECT_THAT(ThrownMessage([&] {
                ScatterAdd(x, Vector<int64_t>({0, 1}), 5);
              }),
              HasSubstr("[scatter_add] [3,4] does not have the indices' shape [2] from axis 0 on"));
  EXPECT_THAT(
      ThrownMessage([&] { ScatterAdd(Tensor::Ones({1}, DType::kBool), Vector<int64_t>({0}), 5); }),
      HasSubstr("[scatter_add] bools cannot be added up"));
  EXPECT_THAT(ThrownMessage([&] {
                TakeAlongLast(x, Vector<int64_t>({0, 1}));
              }),
              HasSubstr("[take_along_last] [3,4] and the indices [2] do not have the same rows"));
  EXPECT_THAT(ThrownMessage([&] { PutAlongLast(x, Vector<int64_t>({0}), 3); }),
              HasSubstr("[put_along_last] [3,4] and the indices [1] do not have the same rows"));
  EXPECT_THAT(ThrownMessage([&] { OneHot(Vector<int64_t>({0}), -1); }),
              HasSubstr("[one_hot] -1 classes"));
}

TEST(ScatterAddTest, AgreesWithLoops) {
  const struct {
    Shape shape, indices;
    int64_t dim;
    int axis;
  } cases[] = {{{20}, {20}, 9, 0},           {{1000, 3}, {1000}, 7, 0},
               {{5, 40}, {5}, 90, 0},        {{3, 30, 2}, {30}, 4, 1},
               {{2, 5, 3, 4}, {5, 3}, 6, 1}, {{900, 300}, {900}, 50, 0},
               {{10, 3000}, {3000}, 12, 1},  {{4}, {}, 3, 0},
               {{0, 4}, {0}, 3, 0}};
  for (const DType dtype :
       {DType::kUInt8, DType::kInt32, DType::kInt64, DType::kFloat32, DType::kFloat64}) {
    for (const auto& [shape, at, dim, axis] : cases) {
      const Tensor x = Integers(shape, 0, 100, dtype), indices = Integers(at, 0, dim);
      const Tensor y = ScatterAdd(x, indices, dim, axis).value();
      int64_t inner = 1;
      for (int i = axis + indices.rank(); i < x.rank(); ++i) inner *= x.dim(i);
      const std::vector<int64_t> in = x.ToVector<int64_t>(), index = indices.ToVector<int64_t>();
      const auto count = static_cast<int64_t>(index.size());
      std::vector<int64_t> expected(y.size(), 0);
      for (int64_t i = 0; i < x.size(); ++i) {
        expected[(i / inner / count * dim + index[i / inner % count]) * inner + i % inner] += in[i];
      }
      if (dtype == DType::kUInt8) {
        for (int64_t& v : expected) v &= 255;
      }
      ASSERT_EQ(y.ToVector<int64_t>(), expected) << ToString(shape) << Name(dtype);
    }
  }
}

TEST(ScatterAddTest, CountsBeyondFloatsOnes) {
  // 2^24 + 2: float32 adding one by one stops at 2^24.
  const Tensor y = ScatterAdd(Tensor::Ones({1}).Expand({16'777'218}),
                              Tensor::Zeros({1}, DType::kInt32).Expand({16'777'218}), 2)
                       .value();
  EXPECT_THAT(y.ToVector<float>(), ElementsAre(16777218.0f, 0.0f));
}

TEST(ScatterAddTest, IsGathersGradient) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{1, 2, 3}));
  const Variable y = Gather(x, Vector<int64_t>({2, 0, 2}));
  const Tensor weights = Tensor::FromVector(std::vector<float>{10, 20, 30});
  EXPECT_THAT(Grad(Sum(y * weights), x).value().ToVector<float>(), ElementsAre(20, 0, 40));
}

TEST(AlongLastTest, TakesAndPuts) {
  for (const DType dtype : kAllDTypes) {
    const Tensor x = Integers({50, 7, 9}, 0, 100, dtype);
    const Tensor indices = Integers({50, 7}, 0, 9, DType::kInt32);
    const Tensor taken = TakeAlongLast(x, indices).value();
    const Tensor put = PutAlongLast(taken, indices, 9).value();
    ASSERT_EQ(put.shape(), x.shape());
    const std::vector<double> in = x.ToVector<double>(), t = taken.ToVector<double>(),
                              p = put.ToVector<double>();
    const std::vector<int64_t> index = indices.ToVector<int64_t>();
    for (int64_t r = 0; r < 350; ++r) {
      ASSERT_EQ(t[r], in[r * 9 + index[r]]);
      for (int64_t c = 0; c < 9; ++c) ASSERT_EQ(p[r * 9 + c], c == index[r] ? t[r] : 0);
    }
  }
  EXPECT_EQ(
      TakeAlongLast(Vector<float>({4, 5, 6}), Tensor::Full({}, 1, DType::kInt64)).item<float>(), 5);
  const Tensor x = Integers({6, 5}, 0, 100, DType::kFloat32);
  EXPECT_TRUE(BitwiseEqual(TakeAlongLast(x.T(), Vector<int64_t>({5, 1, 0, 2, 2})).value(),
                           TakeAlongLast(x.T().Clone(), Vector<int64_t>({5, 1, 0, 2, 2})).value()));
}

TEST(OneHotTest, OnesAtTheIndices) {
  EXPECT_THAT(OneHot(Vector<int64_t>({2, 0}), 3).value().ToVector<float>(),
              ElementsAre(0, 0, 1, 1, 0, 0));
  for (const DType dtype : kAllDTypes) {
    const Variable y = OneHot(Vector<int32_t>({1, 1}), 2, dtype);
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_THAT(y.value().ToVector<int64_t>(), ElementsAre(0, 1, 0, 1));
  }
  EXPECT_EQ(OneHot(Tensor::Zeros({2, 3}, DType::kInt64), 4).shape(), Shape({2, 3, 4}));
  EXPECT_EQ(OneHot(Tensor::Zeros({0}, DType::kInt64), 0).value().size(), 0);
  EXPECT_FALSE(OneHot(Vector<int64_t>({0}), 1).requires_grad());
}

TEST(IndexTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  std::mt19937 engine(4);
  std::vector<float> values(4000 * 130);
  for (float& v : values) v = static_cast<float>(engine()) * 1e-9f;
  const Tensor x = Tensor::FromVector(values, {4000, 130});
  // Most go to a few rows.
  const Tensor rows = Integers({4000}, 0, 20), columns = Integers({4000}, 0, 130);
  std::vector<Tensor> expected;
  for (const int many : {1, 2, 3, 8}) {
    SetNumThreads(many);
    const std::vector<Tensor> got = {
        Gather(x, columns).value(),        ScatterAdd(x, rows, 900).value(),
        ScatterAdd(x, rows, 20).value(),   ScatterAdd(x, Integers({130}, 5, 6), 7, 1).value(),
        TakeAlongLast(x, columns).value(), PutAlongLast(x, Integers({4000, 130}, 2, 3), 5).value()};
    if (many == 1) expected = got;
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(BitwiseEqual(got[i], expected[i])) << i;
  }
  SetNumThreads(threads);
}

}  // namespace
}  // namespace wengert

#include "nn/explain/shapley.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/match.h"
#include "tests/nn/explain/models.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using explain::ExactShapleyValues;
using explain::ShapleyValues;

TEST(ShapleyTest, OfALinearModel) {
  const Linear linear{Tensor::FromVector<double>({1, -2, 3, 4, -5, 6}, {3, 2})};
  const Tensor x = Tensor::FromVector<double>({1, 2, -3, 0.5, -1, 0}, {2, 3});
  const Tensor baseline = Tensor::FromVector<double>({1, -1, 2});
  const Tensor expected = Tensor::FromVector<double>({0, 12, -30, 1, 0, -12}, {2, 3});
  Generator rng(1);
  ExpectNear(ExactShapleyValues(linear, x, 1, {.baseline = baseline}), expected, 1e-12);
  ExpectNear(ShapleyValues(linear, x, 1, rng, 3, {.baseline = baseline}), expected, 1e-12);
}

// The glove game: players 0 and 1 have left gloves, player 2 the right one, and a pair is worth 1.
// Its published values are 1/6, 1/6, 2/3. Not differentiable.
TEST(ShapleyTest, OfTheGloveGame) {
  const auto pairs = [](const Variable& x) {
    const Variable left = Narrow(x, 1, 0, 1) + Narrow(x, 1, 1, 1), right = Narrow(x, 1, 2, 1);
    return Floor(Minimum(left, right));
  };
  const Tensor x = Tensor::Ones({1, 3});
  const Tensor expected = Tensor::FromVector<double>({1. / 6, 1. / 6, 2. / 3}, {1, 3});
  ExpectNear(ExactShapleyValues(pairs, x), expected, 1e-15);
  Generator rng(1);
  ExpectNear(ShapleyValues(pairs, x, {}, rng, 20000), expected, 0.02);
}

// Against the definition, the mean over all orders, for each of 120.
TEST(ShapleyTest, ExactIsTheMeanOverAllOrders) {
  const Tensor weight = Random({5, 4}, 1), last = Random({4, 1}, 2), x = Random({1, 5}, 3);
  const auto net = [&](const Variable& v) { return MatMul(Tanh(MatMul(v, weight)), last); };
  std::vector<int> order(5);
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> expected(5);
  do {
    Tensor present = Tensor::Zeros({1, 5}, DType::kFloat64);
    double before = net(present).item<double>();
    for (const int player : order) {
      present = present.Clone();
      present.mutable_data<double>()[player] = x.at<double>({0, player});
      const double with = net(present).item<double>();
      expected[static_cast<size_t>(player)] += (with - before) / 120;
      before = with;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  ExpectNear(ExactShapleyValues(net, x), Tensor::FromVector(expected, {1, 5}), 1e-12);
}

// Super-pixels of a network: sampling comes closer with more orders, and any number of them gives
// all of F(x) - F(baseline) away.
TEST(ShapleyTest, SamplingConvergesAndIsEfficient) {
  Generator weights(1);
  const SmallCnn cnn(weights);
  const Tensor x = Random({2, 8, 8, 2}, 2, DType::kFloat32);
  const explain::ShapleyOptions options{.segments = explain::GridSegments(8, 8, 3, 3),
                                        .baseline = Random({2}, 3)};
  const Tensor exact = ExactShapleyValues(cnn, x, 1, options);
  ASSERT_EQ(exact.shape(), (Shape{2, 9}));
  const Tensor none = options.baseline.To(DType::kFloat32).Expand(x.shape());
  const Tensor gained = Cast(Narrow(cnn(x) - cnn(none), 1, 1, 1), DType::kFloat64).value();
  const auto error = [&](int64_t permutations, uint64_t seed) {
    Generator rng(seed);
    const Tensor found = ShapleyValues(cnn, x, 1, rng, permutations, options);
    ExpectNear(Sum(found, 1, kKeepDims).value(), gained, 1e-6);
    return Norm(Variable(found) - exact).item<double>();
  };
  ExpectNear(Sum(exact, 1, kKeepDims).value(), gained, 1e-6);
  const double few = error(8, 1), many = error(2048, 1);
  EXPECT_LT(many, few / 4);  // on average 1/16
  EXPECT_LT(many, 0.02 * Norm(exact).item<double>());
}

TEST(ShapleyTest, SegmentsWithoutElementsAndOnePlayer) {
  const Linear linear{Tensor::FromVector<double>({1, 10, 100}, {3, 1})};
  const Tensor x = Tensor::Ones({1, 3}, DType::kFloat64);
  const Tensor gap = Tensor::FromVector<int32_t>({2, 0, 2});
  const Tensor expected = Tensor::FromVector<double>({10, 0, 101}, {1, 3});
  Generator rng(1);
  ExpectNear(ExactShapleyValues(linear, x, 0, {.segments = gap}), expected, 1e-12);
  ExpectNear(ShapleyValues(linear, x, 0, rng, 2, {.segments = gap}), expected, 1e-12);
  const Tensor one = Tensor::Zeros({3}, DType::kInt64), all = Tensor::Full({1, 1}, 111);
  ExpectNear(ExactShapleyValues(linear, x, 0, {.segments = one}), all, 1e-12);
  ExpectNear(ShapleyValues(linear, x, 0, rng, 2, {.segments = one}), all, 1e-12);
}

// Words that an embedding looks up: x need not be of floats.
TEST(ShapleyTest, OfIntegers) {
  const Tensor table = Tensor::FromVector<double>({0, 1, 10, 100});
  const auto model = [&](const Variable& x) { return Sum(Gather(table, x), 1); };
  const Tensor x = Tensor::FromVector<int64_t>({3, 1, 2, 2, 0, 1}, {2, 3});
  ExpectNear(ExactShapleyValues(model, x),
             Tensor::FromVector<double>({100, 1, 10, 10, 0, 1}, {2, 3}), 1e-12);
}

TEST(ShapleyTest, TheSeedDecides) {
  Generator weights(1);
  const SmallCnn cnn(weights);
  const Tensor x = Random({2, 8, 8, 2}, 2, DType::kFloat32);
  const auto run = [&](uint64_t seed, int64_t batch_size) {
    Generator rng(seed);
    return ShapleyValues(cnn, x, 1, rng, 4,
                         {.segments = explain::GridSegments(8, 8, 2, 4), .batch_size = batch_size});
  };
  EXPECT_TRUE(BitwiseEqual(run(5, 64), run(5, 64)));
  ExpectNear(run(5, 64), run(5, 3), 1e-5);
  EXPECT_FALSE(BitwiseEqual(run(5, 64), run(6, 64)));
}

TEST(GridSegmentsTest, NumbersTheRectangles) {
  EXPECT_EQ(explain::GridSegments(3, 5, 2, 2).ToVector<int>(), (std::vector<int>{0, 0, 0, 1, 1,  //
                                                                                 0, 0, 0, 1, 1,  //
                                                                                 2, 2, 2, 3, 3}));
  const std::string thrown = ThrownMessage([] { explain::GridSegments(3, 5, 4, 1); });
  EXPECT_TRUE(absl::StrContains(thrown, "[grid_segments] 4 x 1 segments of an image of 3 x 5"))
      << thrown;
}

TEST(ShapleyTest, Errors) {
  const auto sum = [](const Variable& x) { return Sum(Reshape(x, {x.dim(0), -1}), 1); };
  Generator rng(1);
  const auto thrown = [&](const Tensor& segments) {
    return ThrownMessage([&] {
      ExactShapleyValues(sum, Tensor::Ones({1, 2, 3}), 0, {.segments = segments});
    });
  };
  const auto expect = [](const std::string& thrown, const char* text) {
    EXPECT_TRUE(absl::StrContains(thrown, text)) << thrown;
    EXPECT_TRUE(absl::StrContains(thrown, "shapley_test.cc:")) << thrown;
  };
  expect(thrown(Tensor::Zeros({3}, DType::kInt64)),
         "[exact_shapley_values] the segments are [3] for x [1,2,3], expected [2,3] or its first");
  expect(thrown(Tensor::Zeros({2, 3, 1}, DType::kInt64)), "the segments are [2,3,1] for x");
  expect(thrown(Tensor::Zeros({2})), "the segments are float32, expected int64 or int32");
  expect(thrown(Tensor::FromVector<int64_t>({0, -2})), "segment -2 is negative");
  expect(thrown(Tensor::FromVector<int64_t>({0, 12})), "13 players, at most 12 are feasible");
  expect(ThrownMessage([&] {
           ShapleyValues(sum, Tensor::Ones({1, 2}), {}, rng, 0);
         }),
         "[shapley_values] permutations is 0, expected at least 1");
  expect(ThrownMessage([&] {
           ShapleyValues(sum, Tensor::Ones({1, 2}), 1, rng, 1);
         }),
         "[shapley_values] class 1 is not one of the 1 that the model gives");
}

}  // namespace
}  // namespace wengert

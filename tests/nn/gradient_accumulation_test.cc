// Pieces of a batch add up to the batch.
#include "nn/gradient_accumulation.h"

#include <string>
#include <vector>

#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "nn/optimizers.h"
#include "ops/ops.h"
#include "tests/nn/fit_training.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

// Pieces of 3, 4, 1 and 2 examples against all ten.
TEST(GradientAccumulatorTest, PiecesAreTheLargeBatch) {
  Generator rng(5);
  const Variable x = Normal({10, 3}, rng, 0, 1, DType::kFloat64).value();
  const Variable y = Normal({10, 2}, rng, 0, 1, DType::kFloat64).value();
  const auto train = [&](const std::vector<int64_t>& pieces) {
    const Parameter w(Tensor::Full({3, 2}, 0.1, DType::kFloat64)), unused(Tensor::Ones({2}));
    Adam adam({w, unused}, {.learning_rate = 0.1});
    GradientAccumulator accumulator;
    for (int step = 0; step < 10; ++step) {
      int64_t first = 0;
      for (const int64_t n : pieces) {
        const auto loss = [&] {
          return MeanSquaredError(MatMul(Narrow(x, 0, first, n), w), Narrow(y, 0, first, n));
        };
        const ValueAndGradients found = ValueAndGrad(loss, adam.parameters());
        const Tensor before = found.gradients[0].value().Clone();
        accumulator.Add(found.gradients, n);
        EXPECT_TRUE(BitwiseEqual(found.gradients[0].value(), before));  // the caller's
        first += n;
      }
      EXPECT_EQ(accumulator.count(), static_cast<int64_t>(pieces.size()));
      adam.Step(accumulator.Take());
      EXPECT_EQ(accumulator.count(), 0);
    }
    return w.value().ToVector<double>();
  };
  const std::vector<double> all = train({10}), pieces = train({3, 4, 1, 2});
  for (size_t i = 0; i < all.size(); ++i) EXPECT_NEAR(all[i], pieces[i], 1e-12);
}

TEST(GradientAccumulatorTest, Misuse) {
  GradientAccumulator accumulator;
  const Variable two = Tensor::Ones({2});
  EXPECT_EQ(ThrownMessage([&] { accumulator.Take(); }),
            "[gradient_accumulator] Take before any Add");
  EXPECT_EQ(ThrownMessage([&] { accumulator.Add({two}, 0); }), "[gradient_accumulator] 0 examples");
  accumulator.Add({two});
  EXPECT_EQ(ThrownMessage([&] {
              accumulator.Add({two, two});
            }),
            "[gradient_accumulator] 2 gradients, before 1");
  EXPECT_EQ(ThrownMessage([&] { accumulator.Add({Tensor::Ones({3})}); }),
            "[gradient_accumulator] gradient 0 is float32[3], before float32[2]");
  EXPECT_EQ(accumulator.count(), 1);
}

// Batches of 16, 16, 16 and 12, two and two: the steps of batches of 32 and 28.
TEST(GradientAccumulatorTest, FitAccumulates) {
  Training small, large;
  large.loader = Loader(large.data.images, large.data.labels, {.batch_size = 32});
  const FitResult result = small.Run({.epochs = 3, .accumulate = 2, .quiet = true});
  const FitResult expected = large.Run({.epochs = 3, .quiet = true});
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(expected.steps, 6);
  for (size_t p = 0; p < small.parameters.size(); ++p) {
    const auto a = small.parameters[p].value().ToVector<double>();
    const auto b = large.parameters[p].value().ToVector<double>();
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
  }
  // What is left of an epoch is a step, too.
  Training three;
  EXPECT_EQ(three.Run({.epochs = 2, .accumulate = 3, .quiet = true}).steps, 4);
  EXPECT_EQ(ThrownMessage([&] { three.Run({.accumulate = 0}); }),
            "[fit] accumulate is 0, expected 1 or more");
}

}  // namespace
}  // namespace wengert

// Checkpoint: the values and gradients of the function itself, to any order, for less memory.
#include <cmath>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Variable Leaf(Doubles values) { return DifferentiableLeaf(Tensor::FromVector(values)); }
Variable Scalar(double value) {
  return DifferentiableLeaf(Tensor::Full({}, value, DType::kFloat64));
}
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

Variable Block(const Variable& x, const Variable& w) { return Tanh(x * w) * x + Exp(x) * 0.5; }

TEST(CheckpointTest, SameValuesAndGradientsAsWithout) {
  const Variable x = Leaf({0.5, -1.5}), w = Leaf({2, 0.25});
  const auto f = [](VariableSpan v) { return Block(v[0], v[1]); };
  for (const bool value_first : {false, true}) {
    const Variable plain = f({{x, w}}), checked = Checkpoint(f, {x, w});
    EXPECT_EQ(checked.shape(), plain.shape());
    EXPECT_EQ(checked.dtype(), plain.dtype());
    if (value_first) Evaluate({{checked, plain}});
    const auto expected = Grad({{Sum(plain)}}, {{x, w}}), found = Grad({{Sum(checked)}}, {{x, w}});
    EXPECT_EQ(Values(found[0]), Values(expected[0]));
    EXPECT_EQ(Values(found[1]), Values(expected[1]));
    EXPECT_EQ(Values(checked), Values(plain));
  }
}

TEST(CheckpointTest, ConstantInputsAreFine) {
  const Variable x = Tensor::FromVector(Doubles{0.5, -1.5}), w = Leaf({2, 0.25});
  const auto f = [](VariableSpan v) { return Block(v[0], v[1]); };
  EXPECT_EQ(Values(Grad(Sum(Checkpoint(f, {x, w})), w)), Values(Grad(Sum(f({{x, w}})), w)));
  const Variable constant = Checkpoint(f, {x, x});
  EXPECT_FALSE(constant.requires_grad());
  EXPECT_EQ(Values(constant), Values(f({{x, x}})));
}

TEST(CheckpointTest, CapturedParametersAndInteriorValuesGetTheirGradients) {
  const Parameter w(Tensor::FromVector(Doubles{2, 0.25}));
  const Variable u = Leaf({0.75, 1.25}), x = Leaf({0.5, -1.5});
  const Variable interior = Tanh(u) * w;
  const auto f = [&](VariableSpan v) { return Block(v[0], w) * interior + w; };
  const std::vector<Variable> inputs = {x, w, u, interior};
  const std::vector<Variable> expected = Grad({{Sum(f({&x, 1}))}}, inputs);
  const std::vector<Variable> found = Grad({{Sum(Checkpoint(f, {x}))}}, inputs);
  for (size_t k = 0; k < inputs.size(); ++k) {
    for (int i = 0; i < 2; ++i) EXPECT_NEAR(Values(found[k])[i], Values(expected[k])[i], 1e-14);
  }
}

// What a group outside computes too: the checkpoint must not run before it, nor instead of it.
TEST(CheckpointTest, PendingConstantsAreCaptured) {
  Doubles values(50 * 50);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<double>(i));
  const Tensor numbers = Tensor::FromVector(values, {50, 50});
  const auto run = [&](bool checkpoint, bool of_mask) {
    const Variable x = DifferentiableLeaf(numbers), constant = numbers;
    const Variable captured = Exp(constant * 2), mask = captured > 0.75;
    const Variable selected = of_mask ? Where(mask, captured, 0.0) : captured;
    const auto f = [&](VariableSpan v) {
      return of_mask ? Where(mask, Tanh(v[0]), v[0]) * 3 : Tanh(v[0] * captured);
    };
    const Variable y = checkpoint ? Checkpoint(f, {x}) : f({&x, 1});
    const Variable after = selected * 3 + y * constant;
    const Variable gradient = Grad(Sum(after * after), x, {.create_graph = true});
    const Variable second = Grad(Sum(gradient * gradient), x);
    Evaluate({{after, gradient, second}});
    return std::vector<Tensor>{after.value(), gradient.value(), second.value(), captured.value(),
                               mask.value()};
  };
  for (const bool of_mask : {false, true}) {
    const std::vector<Tensor> found = run(true, of_mask), expected = run(false, of_mask);
    for (size_t i = 0; i < found.size(); ++i) {
      const Doubles a = found[i].ToVector<double>(), b = expected[i].ToVector<double>();
      for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-10) << of_mask << " " << i;
    }
  }
}

TEST(CheckpointTest, AFunctionThatOnlyReturnsAnInputOrACapture) {
  const Variable w = Scalar(3), x = Scalar(5), h = w * 2;
  const Variable same = Checkpoint([](VariableSpan v) { return v[0]; }, {x});
  EXPECT_EQ(same.item<double>(), 5);
  EXPECT_EQ(Grad(same, x).item<double>(), 1);
  EXPECT_EQ(Grad(Checkpoint([&](VariableSpan) { return w; }, {x}), w).item<double>(), 1);
  EXPECT_EQ(Grad(Checkpoint([&](VariableSpan) { return h; }, {x}), w).item<double>(), 2);
  EXPECT_EQ(Grad(Checkpoint([&](VariableSpan) { return h; }, {}), w).item<double>(), 2);
}

TEST(CheckpointTest, SetInBetweenKeepsTheOldValue) {
  Parameter w(Tensor::Full({}, 2, DType::kFloat64));
  const Variable x = Scalar(3), old = w;
  const Variable y = Checkpoint([&](VariableSpan v) { return v[0] * w * w; }, {x});
  for (const double value : {10., 20.}) {  // before the value is read, and before the gradient
    w.Set(Tensor::Full({}, value, DType::kFloat64));
    EXPECT_EQ(y.item<double>(), 12);
  }
  const std::vector<Variable> gradients = Grad({&y, 1}, {{x, old}});
  EXPECT_EQ(gradients[0].item<double>(), 4);
  EXPECT_EQ(gradients[1].item<double>(), 12);
}

TEST(CheckpointTest, HigherOrdersAndNested) {
  const Variable w = Scalar(0.5), c = Scalar(1.5), interior = c * 1;
  const auto inner = [&](VariableSpan v) { return Tanh(v[0] * c) * v[0]; };
  const auto outer = [&](VariableSpan v) { return Checkpoint(inner, {v[0] * interior}) + v[0]; };
  Variable once = outer({&w, 1}), nested = Checkpoint(outer, {w});
  Variable plain = Tanh(w * interior * c) * (w * interior) + w;
  const GradOptions graph{.create_graph = true};
  for (int order = 0; order <= 3; ++order) {
    const double value = plain.item<double>(), by_c = Grad(plain, c, graph).item<double>();
    EXPECT_NEAR(once.item<double>(), value, 1e-12 * std::abs(value)) << order;
    EXPECT_NEAR(nested.item<double>(), value, 1e-12 * std::abs(value)) << order;
    EXPECT_NEAR(Grad(once, c, graph).item<double>(), by_c, 1e-12 * std::abs(by_c)) << order;
    EXPECT_NEAR(Grad(nested, c, graph).item<double>(), by_c, 1e-12 * std::abs(by_c)) << order;
    plain = Grad(plain, w, graph);
    once = Grad(once, w, graph);
    nested = Grad(nested, w, graph);
  }
}

TEST(CheckpointTest, DropoutInsideDrawsTheSameNumbersBothTimes) {
  Generator generator(7), same(7);
  const Variable x = DifferentiableLeaf(Tensor::Full({1000}, 2));
  const auto f = [](VariableSpan v) { return Dropout(v[0] * v[0], 0.5); };
  Variable plain, checked;
  {
    const TrainingScope training(same);
    plain = f({&x, 1});
  }
  {
    const TrainingScope training(generator);
    checked = Checkpoint(f, {x});
  }
  EXPECT_EQ(generator.counter, same.counter);
  const Doubles gradient = Values(Grad(Sum(checked), x));  // outside the scope
  EXPECT_EQ(Values(checked), Values(plain));
  EXPECT_EQ(gradient, Values(Grad(Sum(plain), x)));
  EXPECT_EQ(generator.counter, same.counter);
  int dropped = 0;
  for (const double g : gradient) dropped += g == 0;
  EXPECT_GT(dropped, 400);
  EXPECT_LT(dropped, 600);
}

TEST(CheckpointTest, ARandomCaptureIsDrawnOnce) {
  Generator generator(7);
  const Variable noise = Normal({64}, generator, 0, 1, DType::kFloat64);
  const Variable x = DifferentiableLeaf(Tensor::Ones({64}, DType::kFloat64));
  const Variable y = Checkpoint([&](VariableSpan v) { return v[0] * noise; }, {x});
  EXPECT_EQ(Values(Grad(Sum(y), x)), Values(noise));
  EXPECT_EQ(Values(y), Values(noise));
}

TEST(CheckpointTest, SeveralOutputsOfOneOpInside) {
  const Variable x = Leaf({1, 2, 3, 4});
  const auto f = [](VariableSpan v) {
    const auto [low, high] = Chunk<2>(v[0] * 2, 0);
    return low * high + Max(v[0]);
  };
  EXPECT_EQ(Values(Checkpoint(f, {x})), (Doubles{16, 36}));
  EXPECT_EQ(Values(Grad(Sum(Checkpoint(f, {x})), x)), (Doubles{12, 16, 4, 10}));
}

TEST(CheckpointTest, UnderEagerGuardAndNoGrad) {
  const Variable x = Leaf({0.5, -1.5});
  const auto f = [&](VariableSpan v) { return Block(v[0], v[0]); };
  const Doubles expected = Values(f({&x, 1})), gradient = Values(Grad(Sum(f({&x, 1})), x));
  {
    const EagerGuard eager;
    const Variable y = Checkpoint(f, {x});
    EXPECT_EQ(Values(y), expected);
    EXPECT_EQ(Values(Grad(Sum(y), x)), gradient);
  }
  const NoGradGuard no_grad;
  const Variable y = Checkpoint(f, {x});
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(Values(y), expected);
}

TEST(CheckpointTest, PendingLimitsDoNotRunWhatIsKeptToBeCopied) {
  const PendingLimits limits = GetPendingLimits();
  SetPendingLimits({.nodes = 10, .bytes = limits.bytes});
  const Variable x = Leaf({1, 2});
  const auto f = [](VariableSpan v) {
    Variable y = v[0];
    for (int i = 0; i < 500; ++i) y = y * (i % 2 ? 2 : 0.5);
    return y * y;
  };
  Variable y = Checkpoint(f, {x});
  for (int i = 0; i < 300; ++i) y = y + 1;
  EXPECT_EQ(Values(Grad(Sum(y), x)), (Doubles{2, 4}));
  EXPECT_EQ(Values(y), (Doubles{301, 304}));
  SetPendingLimits(limits);
}

constexpr int64_t kElements = 1 << 18;
constexpr int kBlocks = 8, kOps = 10;

// The most buffers of kElements floats that a gradient through kBlocks blocks of kOps needs.
double PeakBuffers(bool checkpoint, bool value_first, bool value_and_grad) {
  Parameter w(Tensor::Full({kElements}, 0.5));
  const int64_t live = GetPoolStatistics().live_bytes;
  ResetPoolPeak();
  const auto block = [](VariableSpan v) {
    Variable y = v[0];
    for (int i = 0; i < kOps; ++i) y = Tanh(y);
    return y;
  };
  const auto loss = [&] {
    Variable y = w;
    for (int i = 0; i < kBlocks; ++i) y = checkpoint ? Checkpoint(block, {y}) : block({&y, 1});
    return Sum(y);
  };
  if (value_and_grad) {
    ValueAndGrad(loss, {&w, 1});
  } else {
    const Variable y = loss();
    if (value_first) y.value();
    Grad(y, w).value();
  }
  const int64_t peak = GetPoolStatistics().peak_bytes;
  return static_cast<double>(peak - live) / (kElements * sizeof(float));
}

TEST(CheckpointTest, PeakIsTheInputsAndOneBlock) {
  const int64_t nodes = LiveNodes();
  for (const bool value_and_grad : {false, true}) {
    for (const bool value_first : {false, true}) {
      const double plain = PeakBuffers(false, value_first, value_and_grad);
      const double checked = PeakBuffers(true, value_first, value_and_grad);
      EXPECT_GE(plain, 2 * checked);
      EXPECT_LE(checked, kBlocks + kOps + 3.1) << value_first << value_and_grad;
    }
  }
  EXPECT_EQ(LiveNodes(), nodes);
}

}  // namespace
}  // namespace wengert

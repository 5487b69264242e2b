// Parameters are updated in their own buffers, and are left usable when a step throws. The formulas
// are tried in optimizer_formulas_test.cc.
#include "nn/optimizers.h"

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/pool.h"
#include "tests/nn/optimizer_cases.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

const std::vector<Shape> kShapes = {{17}, {1}, {}, {3, 5}, {2, 3, 1, 7}, {0, 4}, {1000}};

std::vector<Tensor> Clones(const std::vector<Parameter>& parameters) {
  std::vector<Tensor> values;
  for (const Parameter& p : parameters) values.push_back(p.value().Clone());
  return values;
}

TEST(OptimizersTest, DefaultsAreKerass) {
  const auto after_one = [](const auto& make) {
    const Parameter p(Tensor::Zeros({1}));
    auto optimizer = make(std::vector<Parameter>{p});
    optimizer->Step({Tensor::Full({1}, 2)});
    return p.value().template item<double>();
  };
  using P = std::vector<Parameter>;
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Sgd>(p); }), -0.01 * 2, 1e-8);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<RmsProp>(p); }),
              -1e-3 * 2 / std::sqrt(0.1 * 4 + 1e-7), 1e-9);
  // The first step of Adam is the rate, whatever the gradient.
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Adam>(p); }), -1e-3, 1e-8);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<AdamW>(p); }), -1e-3, 1e-8);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Adamax>(p); }), -1e-3, 1e-8);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Lion>(p); }), -1e-3, 1e-8);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Adagrad>(p); }),
              -1e-3 * 2 / std::sqrt(0.1 + 4 + 1e-7), 1e-9);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Adadelta>(p); }),
              -1e-3 * 2 * std::sqrt(1e-7) / std::sqrt(0.05 * 4 + 1e-7), 1e-12);
  const double u1 = 0.9 * (1 - 0.5 * 0.96), u2 = 0.9 * (1 - 0.5 * 0.96 * 0.96);
  EXPECT_NEAR(after_one([](P p) { return std::make_unique<Nadam>(p); }),
              -1e-3 * (u2 * 0.1 * 2 / (1 - u1 * u2) + (1 - u1) * 2 / (1 - u1)) / 2, 1e-8);
}

TEST(OptimizersTest, LearningRateMayChangeBetweenSteps) {
  const Parameter p(Tensor::Zeros({3}));
  Sgd sgd({p}, {.learning_rate = 0.5});
  sgd.Step({Tensor::Ones({3})});
  EXPECT_EQ(p.value().ToVector<double>(), std::vector<double>(3, -0.5));
  sgd.set_learning_rate(0.25);
  EXPECT_EQ(sgd.learning_rate(), 0.25);
  sgd.Step({Tensor::Ones({3})});
  EXPECT_EQ(p.value().ToVector<double>(), std::vector<double>(3, -0.75));
}

TEST(OptimizersTest, BuffersStayTheSame) {
  const std::vector<Shape> shapes = {{17}, {1}, {64, 33}};
  for (const OptimizerCase& c : OptimizerCases()) {
    const std::vector<Parameter> parameters = MakeParameters(shapes);
    const auto optimizer = c.make(parameters, c.rate, 0);
    std::vector<const float*> addresses;
    for (const Parameter& p : parameters) addresses.push_back(p.value().data<float>());
    for (int step = 1; step <= 100; ++step) {
      // Gradients of a recorded loss, as in training.
      const ValueAndGradients g = ValueAndGrad(
          [&] {
            Variable loss = Sum(Square(parameters[0]));
            for (size_t i = 1; i < parameters.size(); ++i) loss = loss + Sum(Square(parameters[i]));
            return loss;
          },
          parameters);
      optimizer->Step(g.gradients);
      for (size_t i = 0; i < parameters.size(); ++i) {
        EXPECT_EQ(parameters[i].value().data<float>(), addresses[i]) << c.name << " step " << step;
      }
    }
  }
}

TEST(OptimizersTest, WhatSomebodyHoldsKeepsItsValue) {
  for (const OptimizerCase& c : OptimizerCases()) {
    const std::vector<Parameter> parameters = MakeParameters(kShapes);
    const auto optimizer = c.make(parameters, c.rate, 0);
    optimizer->Step(MakeGradients(kShapes, 1));
    const std::vector<Tensor> before = Clones(parameters);
    const Tensor held = parameters[0].value();              // a Tensor,
    const Variable leaf = parameters[3].variable();         // a handle to the leaf,
    const Variable pending = parameters[4].variable() + 0;  // a graph not yet computed
    const Tensor view = parameters[6].value().Narrow(0, 10, 5);
    optimizer->Step(MakeGradients(kShapes, 2));
    EXPECT_TRUE(BitwiseEqual(held, before[0])) << c.name;
    EXPECT_TRUE(BitwiseEqual(leaf.value(), before[3])) << c.name;
    EXPECT_TRUE(BitwiseEqual(pending.value(), before[4])) << c.name;
    EXPECT_TRUE(BitwiseEqual(view, before[6].Narrow(0, 10, 5))) << c.name;
    for (const size_t i : {0, 3, 4, 6}) {
      EXPECT_FALSE(BitwiseEqual(parameters[i].value(), before[i])) << c.name << " " << i;
    }
  }
}

TEST(OptimizersTest, WrongGradientsThrowAndChangeNothing) {
  const std::vector<Shape> shapes = {{17}, {2, 3}};
  const Tensor good = Tensor::Ones({17});
  struct Wrong {
    std::vector<Variable> gradients;
    std::string text;
  };
  const std::vector<Wrong> wrongs = {
      {{}, "[optimizer] 0 gradients for 2 parameters"},
      {{good}, "[optimizer] 1 gradients for 2 parameters"},
      {{good, Tensor::Ones({3, 2})}, "fc/weight"},
      {{good, Tensor::Ones({})}, "fc/weight"},
      {{good, Variable()}, "undefined"},
      {{good, Tensor::Ones({2, 3}, DType::kFloat64)}, "float64"},
      {{good, Gather(Tensor::Ones({2, 3}), Tensor::Full({2}, 7, DType::kInt64))}, "[gather]"},
  };
  for (const OptimizerCase& c : OptimizerCases()) {
    for (const Wrong& wrong : wrongs) {
      std::vector<Parameter> parameters = MakeParameters(shapes);
      std::vector<Parameter> undisturbed = MakeParameters(shapes);
      parameters[1].SetName("fc/weight");
      const auto optimizer = c.make(parameters, c.rate, 0), other = c.make(undisturbed, c.rate, 0);
      optimizer->Step(MakeGradients(shapes, 1));
      other->Step(MakeGradients(shapes, 1));
      const std::string text = ThrownMessage([&] { optimizer->Step(wrong.gradients); });
      EXPECT_NE(text.find(wrong.text), std::string::npos) << c.name << ": " << text;
      EXPECT_EQ(optimizer->steps(), 1) << c.name << ": " << text;
      optimizer->Step(MakeGradients(shapes, 2));  // the states are what they were, too
      other->Step(MakeGradients(shapes, 2));
      for (size_t i = 0; i < shapes.size(); ++i) {
        EXPECT_TRUE(BitwiseEqual(parameters[i].value(), undisturbed[i].value())) << c.name;
      }
    }
  }
}

// Recording may evaluate what the user left pending, and that may fail.
TEST(OptimizersTest, AFailureElsewhereLosesNoParameter) {
  const std::vector<Shape> shapes(100, Shape{3});
  const std::vector<Parameter> parameters = MakeParameters(shapes);
  Adam adam(parameters);
  const std::vector<Variable> gradients = MakeGradients(shapes, 1);
  const Variable bad = Gather(Tensor::Ones({2}), Tensor::Full({1}, 7, DType::kInt64));
  const PendingLimits limits = GetPendingLimits();
  SetPendingLimits({.nodes = 10});
  ThrownMessage([&] { adam.Step(gradients); });
  SetPendingLimits(limits);
  int lost = 0;
  for (const Parameter& p : parameters) {
    lost += ThrownMessage([&] { p.value(); }) != "(nothing was thrown)";
  }
  EXPECT_EQ(lost, 0);
}

// Holding the values forbids the update in place, so each parameter needs a new buffer; the limit
// grants only the first few of them.
void ExpectUsableAfterOutOfMemory(DType dtype) {
  const int64_t n = dtype == DType::kFloat32 ? 1 << 17 : 1 << 16;
  const std::vector<Shape> shapes(4, Shape{n});
  constexpr int64_t kBuffer = 512 << 10;  // of one tensor, in bytes
  const std::vector<Variable> gradients = MakeGradients(shapes, 1, dtype);
  const Parameter once(Filled({n}, dtype, Initial)), twice(Filled({n}, dtype, Initial));
  Sgd once_sgd({once}, {.learning_rate = 0.1, .momentum = 0.9});
  Sgd twice_sgd({twice}, {.learning_rate = 0.1, .momentum = 0.9});
  once_sgd.Step({gradients[0]});
  twice_sgd.Step({gradients[0]});
  twice_sgd.Step({gradients[0]});
  int failures = 0, partial = 0;
  for (int buffers = 0; buffers <= 12; ++buffers) {
    const std::vector<Parameter> parameters = MakeParameters(shapes, dtype);
    const std::vector<Tensor> before = Clones(parameters);
    Sgd sgd(parameters, {.learning_rate = 0.1, .momentum = 0.9});
    {
      std::vector<Tensor> held;
      for (const Parameter& p : parameters) held.push_back(p.value());
      TrimPool();
      SetPoolLimit(GetPoolStatistics().system_bytes + buffers * (kBuffer + kBuffer / 4));
      const std::string text = ThrownMessage([&] { sgd.Step(gradients); });
      SetPoolLimit(0);
      if (text != "(nothing was thrown)") ++failures;
      for (size_t i = 0; i < held.size(); ++i) EXPECT_TRUE(BitwiseEqual(held[i], before[i]));
    }
    int updated = 0;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Tensor now = parameters[i].value();
      const bool old = BitwiseEqual(now, before[i]);
      EXPECT_TRUE(old || BitwiseEqual(now, once.value())) << buffers << " buffers, tensor " << i;
      updated += !old;
    }
    partial += updated > 0 && updated < 4;
    // The velocity is that of the parameter: the next step lands where one or two steps do.
    std::vector<bool> was_updated;
    for (size_t i = 0; i < parameters.size(); ++i) {
      was_updated.push_back(!BitwiseEqual(parameters[i].value(), before[i]));
    }
    sgd.Step(gradients);
    for (size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_TRUE(BitwiseEqual(parameters[i].value(), (was_updated[i] ? twice : once).value()))
          << buffers << " buffers, tensor " << i;
    }
  }
  EXPECT_GT(failures, 0);
  if (dtype == DType::kFloat32) {
    EXPECT_GT(partial, 0);
  }
}

TEST(OptimizersTest, OutOfMemoryLeavesEachParameterOldOrNew) {
  ExpectUsableAfterOutOfMemory(DType::kFloat32);
}

TEST(OptimizersTest, OutOfMemoryInFloat64LeavesEachParameterOldOrNew) {
  ExpectUsableAfterOutOfMemory(DType::kFloat64);
}

}  // namespace
}  // namespace wengert

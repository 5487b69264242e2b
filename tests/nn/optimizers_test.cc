// The optimizers against Keras's formulas in float64; parameters are updated in their own buffers,
// and are left usable when a step throws.
#include "nn/optimizers.h"

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/updates.h"
#include "tensor/pool.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(std::vector<Parameter>)>;

// The formulas, one element at a time: w and its state s[0], s[1], the gradient g, step t from 1.
using Formula = std::function<void(double& w, double* s, double g, int t)>;

struct Case {
  std::string name;
  MakeOptimizer make;
  Formula formula;
};

std::vector<Case> Cases() {
  return {
      {"sgd",
       [](std::vector<Parameter> p) {
         return std::make_unique<Sgd>(std::move(p), Sgd::Options{.learning_rate = 0.05});
       },
       [](double& w, double*, double g, int) { w -= 0.05 * g; }},
      {"momentum",
       [](std::vector<Parameter> p) {
         return std::make_unique<Sgd>(std::move(p),
                                      Sgd::Options{.learning_rate = 0.02, .momentum = 0.9});
       },
       [](double& w, double* s, double g, int) {
         s[0] = 0.9 * s[0] - 0.02 * g;
         w += s[0];
       }},
      {"rmsprop",
       [](std::vector<Parameter> p) {
         return std::make_unique<RmsProp>(
             std::move(p), RmsProp::Options{.learning_rate = 0.01, .rho = 0.8, .epsilon = 1e-7});
       },
       [](double& w, double* s, double g, int) {
         s[0] = 0.8 * s[0] + (1 - 0.8) * g * g;
         w -= 0.01 * g / std::sqrt(s[0] + 1e-7);
       }},
      {"adam",
       [](std::vector<Parameter> p) {
         return std::make_unique<Adam>(
             std::move(p),
             Adam::Options{.learning_rate = 0.01, .beta1 = 0.8, .beta2 = 0.99, .epsilon = 1e-7});
       },
       [](double& w, double* s, double g, int t) {
         const double rate = 0.01 * std::sqrt(1 - std::pow(0.99, t)) / (1 - std::pow(0.8, t));
         s[0] = 0.8 * s[0] + (1 - 0.8) * g;
         s[1] = 0.99 * s[1] + (1 - 0.99) * g * g;
         w -= rate * s[0] / (std::sqrt(s[1]) + 1e-7);
       }},
  };
}

const std::vector<Shape> kShapes = {{17}, {1}, {}, {3, 5}, {2, 3, 1, 7}, {0, 4}, {1000}};

double Initial(int64_t i) { return std::sin(static_cast<double>(i) + 1); }
// Of all magnitudes down to where epsilon and its place decide, with zeros among them.
double GradientAt(int64_t i, int step) {
  if (i % 11 == 5) return 0;
  return std::cos(static_cast<double>(3 * i + step)) * std::pow(10.0, -static_cast<double>(i % 9));
}

Tensor Filled(const Shape& shape, DType dtype, const std::function<double(int64_t)>& f) {
  std::vector<double> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = f(static_cast<int64_t>(i));
  const Tensor t = Tensor::FromVector(values, shape);
  return dtype == DType::kFloat64 ? t : t.To(dtype);
}
std::vector<Parameter> MakeParameters(const std::vector<Shape>& shapes,
                                      DType dtype = DType::kFloat32) {
  std::vector<Parameter> parameters;
  for (const Shape& shape : shapes) parameters.emplace_back(Filled(shape, dtype, Initial));
  return parameters;
}
std::vector<Variable> MakeGradients(const std::vector<Shape>& shapes, int step,
                                    DType dtype = DType::kFloat32) {
  std::vector<Variable> gradients;
  for (const Shape& shape : shapes) {
    gradients.push_back(Filled(shape, dtype, [&](int64_t i) { return GradientAt(i, step); }));
  }
  return gradients;
}
std::vector<Tensor> Clones(const std::vector<Parameter>& parameters) {
  std::vector<Tensor> values;
  for (const Parameter& p : parameters) values.push_back(p.value().Clone());
  return values;
}

void ExpectFormula(DType dtype, double tolerance) {
  for (const Case& c : Cases()) {
    const std::vector<Parameter> parameters = MakeParameters(kShapes, dtype);
    const auto optimizer = c.make(parameters);
    std::vector<std::vector<double>> w;
    std::vector<std::vector<double>> state;
    for (const Parameter& p : parameters) {
      w.push_back(p.value().ToVector<double>());
      state.emplace_back(2 * w.back().size());
    }
    for (int step = 1; step <= 20; ++step) {
      const std::vector<Variable> gradients = MakeGradients(kShapes, step, dtype);
      optimizer->Step(gradients);
      EXPECT_EQ(optimizer->steps(), step);
      for (size_t p = 0; p < parameters.size(); ++p) {
        const std::vector<double> g = gradients[p].value().ToVector<double>();
        const std::vector<double> found = parameters[p].value().ToVector<double>();
        EXPECT_EQ(parameters[p].dtype(), dtype);
        for (size_t i = 0; i < g.size(); ++i) {
          c.formula(w[p][i], &state[p][2 * i], g[i], step);
          EXPECT_NEAR(found[i], w[p][i], tolerance)
              << c.name << " step " << step << " tensor " << p;
        }
      }
    }
  }
}

TEST(OptimizersTest, FollowKerasStepByStep) { ExpectFormula(DType::kFloat32, 4e-6); }

TEST(OptimizersTest, FollowKerasInFloat64) { ExpectFormula(DType::kFloat64, 1e-14); }

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

// Eager execution runs the Definition, lazy execution the kernel.
TEST(OptimizersTest, KernelsAreTheirDefinitionsBitForBit) {
  const auto run = [](bool eager, const Shape& shape) {
    const auto start = [&] { return Variable(Filled(shape, DType::kFloat32, Initial)); };
    const auto zero = [&] { return Variable(Tensor::Zeros(shape)); };
    Variable sgd = start();
    std::vector<Variable> momentum{start(), zero()}, rms{start(), zero()};
    std::vector<Variable> adam{start(), zero(), zero()};
    const EagerGuard guard(eager);
    for (int step = 1; step <= 20; ++step) {
      const Variable g = MakeGradients({shape}, step)[0];
      sgd = SgdUpdate(std::move(sgd), g, 0.03);
      momentum = MomentumUpdate(std::move(momentum[0]), std::move(momentum[1]), g, 0.03, 0.9);
      rms = RmsPropUpdate(std::move(rms[0]), std::move(rms[1]), g, 0.003, 0.9, 1e-7);
      adam = AdamUpdate(std::move(adam[0]), std::move(adam[1]), std::move(adam[2]), g, 0.003, 0.9,
                        0.999, 1e-7);
      EXPECT_EQ(adam[0].node()->op->name == "adam_update", !eager);
      Evaluate({{sgd, momentum[0], rms[0], adam[0]}});
    }
    std::vector<Tensor> all{sgd.value()};
    for (const auto& values : {momentum, rms, adam}) {
      for (const Variable& v : values) all.push_back(v.value());
    }
    return all;
  };
  for (const Shape& shape : std::vector<Shape>{{17}, {1}, {}, {3, 5}, {4099}, {70'001}}) {
    const std::vector<Tensor> kernel = run(false, shape), definition = run(true, shape);
    EXPECT_EQ(kernel.size(), 8u);
    for (size_t i = 0; i < kernel.size(); ++i) {
      EXPECT_TRUE(BitwiseEqual(kernel[i], definition[i])) << ToString(shape) << " result " << i;
    }
  }
}

TEST(OptimizersTest, BuffersStayTheSame) {
  const std::vector<Shape> shapes = {{17}, {1}, {64, 33}};
  for (const Case& c : Cases()) {
    const std::vector<Parameter> parameters = MakeParameters(shapes);
    const auto optimizer = c.make(parameters);
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
  for (const Case& c : Cases()) {
    const std::vector<Parameter> parameters = MakeParameters(kShapes);
    const auto optimizer = c.make(parameters);
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
  for (const Case& c : Cases()) {
    for (const Wrong& wrong : wrongs) {
      std::vector<Parameter> parameters = MakeParameters(shapes);
      std::vector<Parameter> undisturbed = MakeParameters(shapes);
      parameters[1].SetName("fc/weight");
      const auto optimizer = c.make(parameters), other = c.make(undisturbed);
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

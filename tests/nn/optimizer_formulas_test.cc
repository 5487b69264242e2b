// Every optimizer, step by step, against the formula of its paper in double; penalties, weight
// decay and groups; the fused pass against the formula in ops; options out of range.
#include <cmath>
#include <string>
#include <vector>

#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/optimizers.h"
#include "ops/updates.h"
#include "tests/nn/optimizer_cases.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

const std::vector<Shape> kShapes = {{17}, {1}, {}, {3, 5}, {2, 3, 1, 7}, {0, 4}, {1000}};

struct Settings {
  double rate_factor = 1, weight_decay = 0, l1 = 0, l2 = 0;
};

// Twenty steps of all parameters, each in a group with the settings given for it.
void ExpectFormula(DType dtype, double tolerance, const std::vector<Settings>& settings,
                   double weight_decay) {
  for (const OptimizerCase& c : OptimizerCases()) {
    const std::vector<Parameter> parameters = MakeParameters(kShapes, dtype);
    std::vector<ParameterGroup> groups;
    for (size_t p = 0; p < parameters.size(); ++p) {
      const Settings& s = settings[p % settings.size()];
      groups.push_back(
          {.parameters = {parameters[p]}, .rate_factor = s.rate_factor, .l1 = s.l1, .l2 = s.l2});
      if (s.weight_decay != weight_decay) groups.back().weight_decay = s.weight_decay;
    }
    const auto optimizer = c.make(groups, c.rate, weight_decay);
    std::vector<std::vector<double>> w, state;
    for (const Parameter& p : parameters) {
      w.push_back(p.value().ToVector<double>());
      state.emplace_back(2 * w.back().size());
    }
    for (int step = 1; step <= 20; ++step) {
      const std::vector<Variable> gradients = MakeGradients(kShapes, step, dtype);
      optimizer->Step(gradients);
      EXPECT_EQ(optimizer->steps(), step);
      for (size_t p = 0; p < parameters.size(); ++p) {
        const Settings& s = settings[p % settings.size()];
        const double rate = c.rate * s.rate_factor;
        const std::vector<double> given = gradients[p].value().ToVector<double>();
        const std::vector<double> found = parameters[p].value().ToVector<double>();
        EXPECT_EQ(parameters[p].dtype(), dtype);
        for (size_t i = 0; i < given.size(); ++i) {
          double& x = w[p][i];
          const double sign = x > 0 ? 1 : x < 0 ? -1 : 0;
          const double g = given[i] + s.l1 * sign + 2 * s.l2 * x;
          x *= 1 - rate * s.weight_decay;
          c.formula(x, &state[p][2 * i], g, step, rate);
          ASSERT_NEAR(found[i], x, tolerance)
              << c.name << " step " << step << " tensor " << p << " element " << i;
        }
      }
    }
  }
}

TEST(OptimizerFormulasTest, FollowThePapersStepByStep) {
  ExpectFormula(DType::kFloat32, 4e-6, {{}}, 0);
}
TEST(OptimizerFormulasTest, FollowThePapersInFloat64) {
  ExpectFormula(DType::kFloat64, 1e-13, {{}}, 0);
}
// Each group with settings of its own; the third's weight decay is the optimizer's.
TEST(OptimizerFormulasTest, GroupsHaveTheirOwnRatesDecaysAndPenalties) {
  const std::vector<Settings> settings = {
      {.rate_factor = 0.5, .l1 = 0.01},
      {.rate_factor = 2, .weight_decay = 0.3, .l2 = 0.1},
      {.weight_decay = 0.1},
      {.weight_decay = 0.2, .l1 = 0.03, .l2 = 0.02},
      {},
  };
  ExpectFormula(DType::kFloat64, 1e-12, settings, 0.1);
}
TEST(OptimizerFormulasTest, DecaysAndPenaltiesInFloat32) {
  ExpectFormula(DType::kFloat32, 2e-5, {{.weight_decay = 0.1, .l2 = 0.02}}, 0.1);
}

TEST(OptimizerFormulasTest, AdamWDecaysUnlessToldOtherwise) {
  const Parameter p(Tensor::Full({1}, 2, DType::kFloat64));
  AdamW adam({p});
  adam.Step({Tensor::Zeros({1}, DType::kFloat64)});
  EXPECT_NEAR(p.value().item<double>(), 2 * (1 - 1e-3 * 0.004), 1e-15);
}

TEST(OptimizerFormulasTest, PenaltyIsWhatTheGradientsAreOf) {
  const Parameter a(Tensor::FromVector<double>({1, -2, 0})), b(Tensor::FromVector<float>({3}));
  const Sgd sgd({{.parameters = {a}, .l1 = 0.5, .l2 = 0.25}, {.parameters = {b}, .l2 = 2}});
  EXPECT_NEAR(sgd.Penalty(), 0.5 * 3 + 0.25 * 5 + 2 * 9, 1e-12);
  EXPECT_EQ(Sgd({a, b}).Penalty(), 0);
}

// Eager execution runs the Definition, lazy execution the kernel.
template <class Numbers>
void ExpectKernelIsDefinition(const Numbers& numbers) {
  for (const Regularization& r : {Regularization{}, {.l1 = 0.1}, {.l2 = 0.2, .decay = 0.01}}) {
    const auto run = [&](bool eager, const Shape& shape) {
      const EagerGuard guard(eager);
      std::vector<Variable> values{Filled(shape, DType::kFloat32, Initial)};
      while (values.size() < Numbers::kValues) values.push_back(Tensor::Full(shape, 0.1));
      for (int step = 1; step <= 20; ++step) {
        values = ApplyUpdate(numbers, std::move(values), MakeGradients({shape}, step)[0], r);
        EXPECT_EQ(values[0].node()->op->name == Numbers::kName, !eager);
        Evaluate(values);
      }
      return values;
    };
    for (const Shape& shape : std::vector<Shape>{{17}, {1}, {}, {3, 5}, {4099}, {70'001}}) {
      const std::vector<Variable> kernel = run(false, shape), definition = run(true, shape);
      ASSERT_EQ(kernel.size(), definition.size());
      for (size_t i = 0; i < kernel.size(); ++i) {
        EXPECT_TRUE(BitwiseEqual(kernel[i].value(), definition[i].value()))
            << Numbers::kName << ToString(shape) << " value " << i << " l1 " << r.l1;
      }
    }
  }
}

TEST(OptimizerFormulasTest, KernelsAreTheirDefinitionsBitForBit) {
#define UPDATE(op, Name, ...) ExpectKernelIsDefinition(Name##Update::Sample());
#include "ops/kernels/update_rows.inc"
#undef UPDATE
}

TEST(OptimizerFormulasTest, UpdatesWantAllTheirValues) {
  const Variable x = Tensor::Ones({2});
  EXPECT_EQ(ThrownMessage([&] {
              ApplyUpdate(AdamUpdate::Sample(), {x, x}, x);
            }),
            "[adam_update] 2 values, expected the parameter and 2 states");
  const std::string text =
      ThrownMessage([&] { ApplyUpdate(SgdUpdate::Sample(), {x}, Tensor::Ones({3})); });
  EXPECT_NE(text.find("[sgd_update] shapes differ: parameter [2], state or gradient [3]"),
            std::string::npos)
      << text;
}

TEST(OptimizerFormulasTest, OptionsOutOfRangeThrow) {
  const Parameter p(Tensor::Ones({2}));
  const auto text = [&](const auto& make) { return ThrownMessage([&] { make(); }); };
  EXPECT_EQ(text([&] { Adam({p}, {.learning_rate = -1}); }),
            "[optimizer] learning_rate is -1, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({p}).set_learning_rate(std::nan("")); }),
            "[optimizer] learning_rate is nan, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({p}, {.weight_decay = -0.1}); }),
            "[optimizer] weight_decay is -0.1, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({{.parameters = {p}, .rate_factor = -2}}); }),
            "[optimizer] rate_factor is -2, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({{.parameters = {p}, .weight_decay = -2}}); }),
            "[optimizer] weight_decay is -2, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({{.parameters = {p}, .l1 = -2}}); }),
            "[optimizer] l1 is -2, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Sgd({{.parameters = {p}, .l2 = -2}}); }),
            "[optimizer] l2 is -2, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] {
              Sgd({{.parameters = {p}}, {.parameters = {p}}});
            }),
            "[optimizer] parameter 1  is parameter 0 again");
  EXPECT_EQ(text([&] { Sgd({p}, {.momentum = 1}); }),
            "[sgd] momentum is 1, expected from 0 to below 1");
  EXPECT_EQ(text([&] { Sgd({p}, {.nesterov = true}); }), "[sgd] nesterov without a momentum");
  EXPECT_EQ(text([&] { RmsProp({p}, {.rho = 1.5}); }),
            "[rmsprop] rho is 1.5, expected from 0 to below 1");
  EXPECT_EQ(text([&] { Adam({p}, {.beta2 = 1}); }),
            "[adam] beta2 is 1, expected from 0 to below 1");
  EXPECT_EQ(text([&] { Nadam({p}, {.beta1 = -1}); }),
            "[nadam] beta1 is -1, expected from 0 to below 1");
  EXPECT_EQ(text([&] { Adamax({p}, {.epsilon = -1}); }),
            "[adamax] epsilon is -1, expected a finite number above 0");
  EXPECT_EQ(text([&] { Adagrad({p}, {.initial_sum = -1}); }),
            "[adagrad] initial_sum is -1, expected a finite number, 0 or above");
  EXPECT_EQ(text([&] { Adadelta({p}, {.rho = -1}); }),
            "[adadelta] rho is -1, expected from 0 to below 1");
  EXPECT_EQ(text([&] { Lion({p}, {.beta2 = 2}); }),
            "[lion] beta2 is 2, expected from 0 to below 1");
}

}  // namespace
}  // namespace wengert

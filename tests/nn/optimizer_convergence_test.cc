// Every optimizer finds minima: of an ill-conditioned quadratic and of Rosenbrock's valley. With
// the wrong sign each would go up.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "nn/optimizers.h"
#include "nn/schedules.h"
#include "ops/ops.h"
#include "tests/nn/optimizer_cases.h"

namespace wengert {
namespace {

// The first rate, which goes to 0 along a cosine, and where the loss is to be then. Of the
// quadratic it is a part of the first loss; 1e-4 says that all directions but the flattest are
// done.
struct Goal {
  std::string name;
  double quadratic_rate, quadratic_loss;
  double rosenbrock_rate, rosenbrock_loss;
};
const std::vector<Goal> kGoals = {
    {"sgd", 1.9, 1e-4, 2e-3, 0.1},     {"momentum", 1.9, 1e-5, 1e-3, 1e-5},
    {"nesterov", 1, 1e-4, 1e-3, 1e-5}, {"rmsprop", 0.05, 1e-12, 0.02, 1e-3},
    {"adam", 0.1, 1e-12, 0.05, 1e-8},  {"adamw", 0.1, 1e-12, 0.05, 1e-4},
    {"nadam", 0.1, 1e-12, 0.05, 1e-6}, {"adamax", 0.1, 1e-12, 0.05, 1e-8},
    {"adagrad", 1, 1e-4, 1, 0.05},     {"adadelta", 10, 1e-4, 10, 0.05},
    {"lion", 0.02, 1e-12, 0.01, 1e-3},
};

double Minimize(Optimizer& optimizer, int steps, const std::function<Variable()>& loss) {
  const Schedule rate = CosineDecay({.rate = optimizer.learning_rate(), .steps = steps});
  for (int step = 0; step < steps; ++step) {
    optimizer.set_learning_rate(rate(step));
    optimizer.Step(ValueAndGrad(loss, optimizer.parameters()).gradients);
  }
  return loss().item<double>();
}

const OptimizerCase& CaseOf(const std::vector<OptimizerCase>& cases, const std::string& name) {
  for (const OptimizerCase& c : cases) {
    if (c.name == name) return c;
  }
  throw Error("test", name);
}

// Sum of lambda x^2 / 2, lambda from 1e-4 to 1, from 1 in every direction.
TEST(OptimizerConvergenceTest, AQuadraticOfCondition10000) {
  const std::vector<OptimizerCase> cases = OptimizerCases();
  ASSERT_EQ(cases.size(), kGoals.size());
  const Tensor lambda = Filled({5}, DType::kFloat64, [](int64_t i) { return std::pow(10.0, -i); });
  for (const Goal& goal : kGoals) {
    const Parameter x(Tensor::Ones({5}, DType::kFloat64));
    const auto optimizer = CaseOf(cases, goal.name).make({x}, goal.quadratic_rate, 0);
    const double loss = Minimize(*optimizer, 2000, [&] { return Sum(lambda * Square(x)) * 0.5; });
    EXPECT_LT(loss, goal.quadratic_loss * 0.55555) << goal.name;  // of where it began
  }
}

// (1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1), where it is 24.2.
TEST(OptimizerConvergenceTest, Rosenbrock) {
  const std::vector<OptimizerCase> cases = OptimizerCases();
  for (const Goal& goal : kGoals) {
    const Parameter x(Tensor::Full({}, -1.2, DType::kFloat64));
    const Parameter y(Tensor::Full({}, 1, DType::kFloat64));
    const auto optimizer = CaseOf(cases, goal.name).make({x, y}, goal.rosenbrock_rate, 0);
    const double loss =
        Minimize(*optimizer, 3000, [&] { return Square(1 - x) + Square(y - Square(x)) * 100; });
    EXPECT_LT(loss, goal.rosenbrock_loss) << goal.name;
  }
}

}  // namespace
}  // namespace wengert

// Every optimizer that is a formula per element, beside that formula, written from its paper in
// double; and tensors to try them on.
#ifndef WENGERT_TESTS_NN_OPTIMIZER_CASES_H_
#define WENGERT_TESTS_NN_OPTIMIZER_CASES_H_

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/optimizers.h"

namespace wengert {

// One element: w and its states s[0], s[1], which are 0 before step t = 1, the gradient g.
using Formula = std::function<void(double& w, double* s, double g, int t, double rate)>;

struct OptimizerCase {
  std::string name;
  double rate;
  std::function<std::unique_ptr<Optimizer>(ParameterGroups, double rate, double weight_decay)> make;
  Formula formula;
};

template <class O>
auto Maker(typename O::Options options) {
  return [options](ParameterGroups parameters, double rate, double weight_decay) {
    typename O::Options given = options;
    given.learning_rate = rate;
    given.weight_decay = weight_decay;
    return std::make_unique<O>(std::move(parameters), given);
  };
}

inline std::vector<OptimizerCase> OptimizerCases() {
  const auto adam = [](double b1, double b2) {
    return [=](double& w, double* s, double g, int t, double rate) {
      s[0] = b1 * s[0] + (1 - b1) * g;
      s[1] = b2 * s[1] + (1 - b2) * g * g;
      // Epsilon is "epsilon hat" of the paper's section 2.
      const double corrected = rate * std::sqrt(1 - std::pow(b2, t)) / (1 - std::pow(b1, t));
      w -= corrected * s[0] / (std::sqrt(s[1]) + 1e-7);
    };
  };
  return {
      {"sgd", 0.05, Maker<Sgd>({}),
       [](double& w, double*, double g, int, double rate) { w -= rate * g; }},
      {"momentum", 0.02, Maker<Sgd>({.momentum = 0.9}),
       [](double& w, double* s, double g, int, double rate) {
         s[0] = 0.9 * s[0] - rate * g;
         w += s[0];
       }},
      {"nesterov", 0.02, Maker<Sgd>({.momentum = 0.9, .nesterov = true}),
       // Sutskever's form, theta at the point looked ahead to: theta = w + 0.9 v throughout.
       [](double& w, double* s, double g, int, double rate) {
         const double behind = w - 0.9 * s[0];
         s[0] = 0.9 * s[0] - rate * g;
         w = behind + s[0] + 0.9 * s[0];
       }},
      {"rmsprop", 0.01, Maker<RmsProp>({.rho = 0.8}),
       [](double& w, double* s, double g, int, double rate) {
         s[0] = 0.8 * s[0] + (1 - 0.8) * g * g;
         w -= rate * g / std::sqrt(s[0] + 1e-7);
       }},
      {"adam", 0.01, Maker<Adam>({.beta1 = 0.8, .beta2 = 0.99}), adam(0.8, 0.99)},
      {"adamw", 0.01, Maker<AdamW>({}), adam(0.9, 0.999)},
      {"nadam", 0.01, Maker<Nadam>({.beta1 = 0.85, .beta2 = 0.99}),
       [](double& w, double* s, double g, int t, double rate) {
         s[0] = 0.85 * s[0] + (1 - 0.85) * g;
         s[1] = 0.99 * s[1] + (1 - 0.99) * g * g;
         const auto mu = [](int i) { return 0.85 * (1 - 0.5 * std::pow(0.96, i)); };
         double product = 1;
         for (int i = 1; i <= t; ++i) product *= mu(i);
         const double g_hat = g / (1 - product), m_hat = s[0] / (1 - product * mu(t + 1));
         const double v_hat = s[1] / (1 - std::pow(0.99, t));
         w -= rate * ((1 - mu(t)) * g_hat + mu(t + 1) * m_hat) / (std::sqrt(v_hat) + 1e-7);
       }},
      {"adamax", 0.01, Maker<Adamax>({.beta1 = 0.8, .beta2 = 0.9}),
       [](double& w, double* s, double g, int t, double rate) {
         s[0] = 0.8 * s[0] + (1 - 0.8) * g;
         s[1] = std::max(0.9 * s[1], std::abs(g));
         w -= rate / (1 - std::pow(0.8, t)) * s[0] / (s[1] + 1e-7);
       }},
      {"adagrad", 0.1, Maker<Adagrad>({.initial_sum = 0.25}),
       [](double& w, double* s, double g, int t, double rate) {
         if (t == 1) s[0] = 0.25;
         s[0] += g * g;
         w -= rate * g / std::sqrt(s[0] + 1e-7);
       }},
      {"adadelta", 1, Maker<Adadelta>({.rho = 0.9, .epsilon = 1e-6}),
       [](double& w, double* s, double g, int, double rate) {
         s[0] = 0.9 * s[0] + (1 - 0.9) * g * g;
         const double step = std::sqrt(s[1] + 1e-6) / std::sqrt(s[0] + 1e-6) * g;
         s[1] = 0.9 * s[1] + (1 - 0.9) * step * step;
         w -= rate * step;
       }},
      {"lion", 0.01, Maker<Lion>({.beta1 = 0.8, .beta2 = 0.95}),
       [](double& w, double* s, double g, int, double rate) {
         const double c = 0.8 * s[0] + (1 - 0.8) * g;
         w -= rate * (c > 0 ? 1 : c < 0 ? -1 : 0);
         s[0] = 0.95 * s[0] + (1 - 0.95) * g;
       }},
  };
}

inline Tensor Filled(const Shape& shape, DType dtype, const std::function<double(int64_t)>& f) {
  std::vector<double> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = f(static_cast<int64_t>(i));
  const Tensor t = Tensor::FromVector(values, shape);
  return dtype == DType::kFloat64 ? t : t.To(dtype);
}
inline double Initial(int64_t i) { return std::sin(static_cast<double>(i) + 1); }
// Of all magnitudes down to where epsilon and its place decide, with zeros among them.
inline double GradientAt(int64_t i, int step) {
  if (i % 11 == 5) return 0;
  return std::cos(static_cast<double>(3 * i + step)) * std::pow(10.0, -static_cast<double>(i % 9));
}
inline std::vector<Parameter> MakeParameters(const std::vector<Shape>& shapes,
                                             DType dtype = DType::kFloat32) {
  std::vector<Parameter> parameters;
  for (const Shape& shape : shapes) parameters.emplace_back(Filled(shape, dtype, Initial));
  return parameters;
}
inline std::vector<Variable> MakeGradients(const std::vector<Shape>& shapes, int step,
                                           DType dtype = DType::kFloat32) {
  std::vector<Variable> gradients;
  for (const Shape& shape : shapes) {
    gradients.push_back(Filled(shape, dtype, [&](int64_t i) { return GradientAt(i, step); }));
  }
  return gradients;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_NN_OPTIMIZER_CASES_H_

#include "nn/explain/gradients.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "nn/explain/scores.h"
#include "ops/ops.h"

namespace wengert::explain {
namespace {

using internal::CheckAtLeast;
using internal::CheckFloating;
using internal::Explained;

struct Rule {
  std::vector<double> points, weights;  // on [0, 1]; the weights add up to 1
};

// The roots of the Legendre polynomial P_n, by Newton's method from Tricomi's estimate, and the
// weights 2 / ((1 - z^2) P_n'(z)^2), moved from [-1, 1] to [0, 1].
Rule GaussLegendre(int64_t n) {
  Rule rule;
  for (int64_t i = 0; i < n; ++i) {
    double z = std::cos(std::numbers::pi * (static_cast<double>(n - i) - 0.25) /
                        (static_cast<double>(n) + 0.5));
    double slope = 1;
    for (int iteration = 0; iteration < 100; ++iteration) {
      double p = 1, before = 0;
      for (int64_t k = 1; k <= n; ++k) {
        const auto degree = static_cast<double>(k);
        const double next = ((2 * degree - 1) * z * p - (degree - 1) * before) / degree;
        before = p;
        p = next;
      }
      slope = static_cast<double>(n) * (z * p - before) / (z * z - 1);
      const double step = p / slope;
      z -= step;
      if (std::abs(step) < 1e-15) break;
    }
    rule.points.push_back((1 + z) / 2);
    rule.weights.push_back(1 / ((1 - z * z) * slope * slope));
  }
  return rule;
}

bool HasEnds(PathRule rule) { return rule == PathRule::kTrapezoid || rule == PathRule::kFitted; }

Rule MakeRule(PathRule rule, int64_t n) {
  if (rule == PathRule::kGaussLegendre) return GaussLegendre(n);
  const bool trapezoid = HasEnds(rule);
  const auto pieces = static_cast<double>(trapezoid ? n - 1 : n);
  Rule made;
  for (int64_t i = 0; i < n; ++i) {
    const bool half = trapezoid && (i == 0 || i == n - 1);
    made.points.push_back((static_cast<double>(i) + (trapezoid ? 0 : 0.5)) / pieces);
    made.weights.push_back((half ? 0.5 : 1) / pieces);
  }
  return made;
}

// The sum of weights[i] times the gradient at points(start, n)[i], over all i, in float64. Each
// point is a copy of x, so points(start, n) is [n * N, ...].
Variable WeightedGradients(const Explained& explained, const std::vector<double>& weights,
                           absl::FunctionRef<Variable(int64_t start, int64_t n)> points) {
  const Tensor& x = explained.x();
  Variable total = Tensor::Zeros(x.shape(), DType::kFloat64);
  const auto count = static_cast<int64_t>(weights.size());
  for (int64_t start = 0; start < count; start += explained.copies()) {
    const int64_t n = std::min(explained.copies(), count - start);
    const Variable gradient = explained.Gradient(points(start, n).value(), n);
    const Tensor some = Tensor::FromSpan(
        absl::MakeConstSpan(weights).subspan(static_cast<size_t>(start), static_cast<size_t>(n)),
        {1, n});
    const Variable sum = MatMul(some, Reshape(Cast(gradient, DType::kFloat64), {n, x.size()}));
    total = (total + Reshape(sum, x.shape())).value();
  }
  return total;
}

// The mean gradient by PathRule::kFitted. A step of length h between slopes (the gradients along
// the path) g and g' owes the change of F: its parts a and h - a solve a g + (h - a) g' = change,
// with 0 <= a <= h. What they cannot give, as the slope was beyond both of them in between, the
// next step owes.
Variable FittedGradients(const Explained& explained, int64_t count, const Tensor& difference,
                         absl::FunctionRef<Variable(int64_t start, int64_t n)> points) {
  const int64_t rows = explained.rows(), features = explained.x().size() / rows;
  const double h = 1 / static_cast<double>(count - 1);
  const Tensor direction = difference.Reshape({1, rows, features}).To(DType::kFloat64);
  Variable total = Tensor::Zeros({rows, features}, DType::kFloat64);
  std::vector<double> owed(static_cast<size_t>(rows));
  // Of the points at hand, the last of the batch before first: [points, rows].
  Tensor gradients;
  std::vector<double> scores, slopes;
  for (int64_t start = 0; start < count; start += explained.copies()) {
    const int64_t n = std::min(explained.copies(), count - start);
    const auto [new_scores, new_gradients] =
        explained.ScoresAndGradient(points(start, n).value(), n);
    Variable wide = Cast(new_gradients.Reshape({n, rows, features}), DType::kFloat64);
    if (start > 0) wide = Concat({{gradients, wide}}, 0);
    gradients = wide.value();
    slopes = Sum(wide * direction, 2).value().ToVector<double>();
    scores.erase(scores.begin(), scores.end() - (start > 0 ? rows : 0));
    for (const double score : new_scores.ToVector<double>()) scores.push_back(score);

    std::vector<double> weights(slopes.size());
    const auto row_count = static_cast<size_t>(rows);
    for (size_t i = 0; i + row_count < weights.size(); ++i) {
      const size_t next = i + row_count;
      double& owes = owed[i % row_count];
      owes += scores[next] - scores[i];
      const double jump = slopes[i] - slopes[next];
      const double part = jump == 0 ? h / 2 : std::clamp((owes - h * slopes[next]) / jump, 0.0, h);
      owes -= part * slopes[i] + (h - part) * slopes[next];
      weights[i] += part;
      weights[next] += h - part;
    }
    const Tensor of_points = Tensor::FromVector(weights, {gradients.dim(0), rows, 1});
    total = (total + Sum(wide * of_points, 0)).value();
    gradients = gradients.Narrow(0, gradients.dim(0) - 1, 1).Clone();
  }
  return Reshape(total, explained.x().shape());
}

}  // namespace

Tensor Saliency(Model model, const Tensor& x, const Target& target, SourceLocation where) {
  CheckFloating("saliency", x, where);
  const Explained explained("saliency", model, x, target, {}, 1, where);
  return Abs(explained.Gradient(x)).value();
}

Tensor InputTimesGradient(Model model, const Tensor& x, const Target& target,
                          SourceLocation where) {
  CheckFloating("input_times_gradient", x, where);
  const Explained explained("input_times_gradient", model, x, target, {}, 1, where);
  return (explained.Gradient(x) * x).value();
}

Tensor SmoothGrad(Model model, const Tensor& x, const Target& target, Generator& generator,
                  const SmoothGradOptions& options, SourceLocation where) {
  CheckFloating("smooth_grad", x, where);
  CheckAtLeast("smooth_grad", "samples", options.samples, 1, where);
  if (!(options.noise_level >= 0 && std::isfinite(options.noise_level))) {
    internal::Fail("smooth_grad",
                   absl::StrCat("noise_level is ", options.noise_level,
                                ", expected a finite number, 0 or above"),
                   where);
  }
  const Explained explained("smooth_grad", model, x, target, {}, options.batch_size, where);
  const NoGradGuard no_grad;
  const Variable flat = x.Reshape({explained.rows(), -1});
  Shape per_row = Shape::Filled(x.rank(), 1);
  per_row[0] = explained.rows();
  const Variable deviation =
      Reshape((Max(flat, 1) - Min(flat, 1)) * options.noise_level, per_row).value();
  const auto noisy = [&](int64_t, int64_t n) {
    std::vector<Variable> copies;  // drawn one by one: independent of the batch size
    for (int64_t i = 0; i < n; ++i) {
      copies.push_back(x + deviation * Normal(x.shape(), generator, 0, 1, x.dtype()));
    }
    return Concat(copies, 0);
  };
  const std::vector<double> weights(static_cast<size_t>(options.samples),
                                    1 / static_cast<double>(options.samples));
  return Cast(WeightedGradients(explained, weights, noisy), x.dtype()).value();
}

Tensor IntegratedGradients(Model model, const Tensor& x, const Target& target,
                           const IntegratedGradientsOptions& options, SourceLocation where) {
  CheckFloating("integrated_gradients", x, where);
  CheckAtLeast("integrated_gradients", "steps", options.steps, HasEnds(options.rule) ? 2 : 1,
               where);
  const Explained explained("integrated_gradients", model, x, target, options.baseline,
                            options.batch_size, where);
  const NoGradGuard no_grad;
  const Rule rule = MakeRule(options.rule, options.steps);
  const Variable difference = (Variable(x) - explained.baseline()).value();
  Shape batch = x.shape();
  batch[0] = -1;
  const auto on_path = [&](int64_t start, int64_t n) {
    Shape shape = Shape::Filled(x.rank() + 1, 1);
    shape[0] = n;
    const Tensor points =
        Tensor::FromSpan(absl::MakeConstSpan(rule.points)
                             .subspan(static_cast<size_t>(start), static_cast<size_t>(n)),
                         shape);
    return Reshape(points.To(x.dtype()) * difference + explained.baseline(), batch);
  };
  const Variable mean = options.rule == PathRule::kFitted
                            ? FittedGradients(explained, options.steps, difference.value(), on_path)
                            : WeightedGradients(explained, rule.weights, on_path);
  return Cast(mean * Cast(difference, DType::kFloat64), x.dtype()).value();
}

Tensor CompletenessGap(Model model, const Tensor& x, const Tensor& attributions,
                       const Target& target, const Tensor& baseline, SourceLocation where) {
  const Explained explained("completeness_gap", model, x, target, baseline, 1, where);
  if (!attributions.defined() || attributions.shape() != x.shape()) {
    internal::Fail(
        "completeness_gap",
        absl::StrCat("the attributions are ",
                     attributions.defined() ? ToString(attributions.shape()) : "undefined",
                     ", not ", ToString(x.shape())),
        where);
  }
  const std::vector<double> of_x = explained.OfX(), of_baseline = explained.OfBaseline();
  const Variable flat = Variable(attributions.Reshape({explained.rows(), -1}).To(DType::kFloat64));
  std::vector<double> gaps = Sum(flat, 1).value().ToVector<double>();
  for (size_t i = 0; i < gaps.size(); ++i) gaps[i] = of_x[i] - of_baseline[i] - gaps[i];
  return Tensor::FromVector(gaps);
}

}  // namespace wengert::explain

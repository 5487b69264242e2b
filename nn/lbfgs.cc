#include "nn/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "nn/optimizer.h"

namespace wengert {
namespace {

using Vector = std::vector<double>;

double Dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
// y += factor * x
void AddScaled(double factor, const Vector& x, Vector& y) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
}
double LargestOf(const Vector& v) {
  double largest = 0;
  for (const double x : v) largest = std::max(largest, std::abs(x));
  return largest;
}

// Where the cubic through two values and slopes has its minimum (Nocedal and Wright, 3.59), kept
// off the ends of the interval; its middle where there is none.
double CubicMinimum(double a, double loss_a, double slope_a, double b, double loss_b,
                    double slope_b) {
  const double d1 = slope_a + slope_b - 3 * (loss_a - loss_b) / (a - b);
  const double square = d1 * d1 - slope_a * slope_b;
  double at = (a + b) / 2;
  if (std::isfinite(square) && square >= 0) {
    const double d2 = std::copysign(std::sqrt(square), b - a);
    const double minimum = b - (b - a) * (slope_b + d2 - d1) / (slope_b - slope_a + 2 * d2);
    if (std::isfinite(minimum)) at = minimum;
  }
  const double low = std::min(a, b), margin = 0.1 * std::abs(b - a);
  return std::clamp(at, low + margin, low + 9 * margin);
}

}  // namespace

Lbfgs::Lbfgs(std::vector<Parameter> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {
  internal::CheckAboveZero("lbfgs", "max_iterations", static_cast<double>(options.max_iterations));
  internal::CheckAboveZero("lbfgs", "history", options.history);
  internal::CheckAtLeastZero("lbfgs", "gradient_tolerance", options.gradient_tolerance);
  internal::CheckAtLeastZero("lbfgs", "change_tolerance", options.change_tolerance);
  internal::CheckAboveZero("lbfgs", "max_evaluations", options.max_evaluations);
  if (!(options.c1 > 0 && options.c1 < options.c2 && options.c2 < 1)) {
    throw Error("lbfgs", absl::StrCat("c1 and c2 are ", options.c1, " and ", options.c2,
                                      ", expected 0 < c1 < c2 < 1"));
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (parameters_[i].SharesWith(parameters_[k])) {
        throw Error("lbfgs", absl::StrCat("parameter ", i, " ", std::string(parameters_[i].name()),
                                          " is parameter ", k, " again"));
      }
    }
  }
}

Vector Lbfgs::Values() const {
  Vector all;
  for (const Parameter& parameter : parameters_) {
    const Vector values = parameter.value().ToVector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

void Lbfgs::Set(const Vector& x) {
  const double* next = x.data();
  for (Parameter& parameter : parameters_) {
    const auto count = static_cast<size_t>(parameter.size());
    parameter.Set(Tensor::FromSpan(absl::MakeConstSpan(next, count), parameter.shape())
                      .To(parameter.dtype()));
    next += count;
  }
}

Lbfgs::Point Lbfgs::Evaluate(Closure closure, const Vector& x, const Vector& direction, double at,
                             Result& result) {
  Vector there = x;
  if (at != 0) {
    AddScaled(at, direction, there);
    Set(there);
  }
  const ValueAndGradients computed = closure();
  ++result.evaluations;
  if (computed.gradients.size() != parameters_.size()) {
    throw Error("lbfgs", absl::StrCat(computed.gradients.size(), " gradients for ",
                                      parameters_.size(), " parameters"));
  }
  Point point{.at = at, .loss = computed.value.item<double>()};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& gradient = computed.gradients[i];
    if (!(gradient.shape() == parameters_[i].shape())) {
      throw Error("lbfgs", absl::StrCat("gradient ", ToString(gradient.shape()), " for ",
                                        std::string(parameters_[i].name()), " ",
                                        ToString(parameters_[i].shape())));
    }
    const Vector values = gradient.value().ToVector<double>();
    point.gradient.insert(point.gradient.end(), values.begin(), values.end());
  }
  point.slope = Dot(point.gradient, direction);
  return point;
}

Vector Lbfgs::Direction(const Vector& gradient) const {
  Vector q = gradient;
  std::vector<double> alpha(history_.size());
  for (size_t i = history_.size(); i-- > 0;) {
    alpha[i] = history_[i].rho * Dot(history_[i].s, q);
    AddScaled(-alpha[i], history_[i].y, q);
  }
  if (!history_.empty()) {
    const Pair& last = history_.back();
    const double gamma = 1 / (last.rho * Dot(last.y, last.y));
    for (double& v : q) v *= gamma;
  }
  for (size_t i = 0; i < history_.size(); ++i) {
    const double beta = history_[i].rho * Dot(history_[i].y, q);
    AddScaled(alpha[i] - beta, history_[i].s, q);
  }
  for (double& v : q) v = -v;
  return q;
}

// Algorithm 3.5, and from the first interval that holds a step which meets both conditions, 3.6.
// Gives a point of sufficient decrease even if no evaluation is left to meet the other one; `start`
// itself where there is none.
Lbfgs::Point Lbfgs::LineSearch(Closure closure, const Vector& x, const Vector& direction,
                               Point start, double first, Result& result) {
  const double loss = start.loss, slope = start.slope;
  const auto too_high = [&](const Point& point) {
    return !(point.loss <= loss + options_.c1 * point.at * slope) ||
           !std::isfinite(point.slope);  // where the loss is not finite, too
  };
  Point low = std::move(start), high;
  bool bracketed = false;
  double at = first;
  for (int i = 0; i < options_.max_evaluations; ++i) {
    if (bracketed) {
      at = CubicMinimum(low.at, low.loss, low.slope, high.at, high.loss, high.slope);
    }
    if (at == low.at) break;  // no number is left between
    Point point = Evaluate(closure, x, direction, at, result);
    if (too_high(point) || (low.at > 0 && point.loss >= low.loss)) {
      high = std::move(point);
      bracketed = true;
      continue;
    }
    if (std::abs(point.slope) <= -options_.c2 * slope) return point;
    if (bracketed ? point.slope * (high.at - low.at) >= 0 : point.slope >= 0) {
      high = std::move(low);
      bracketed = true;
    }
    low = std::move(point);
    at *= 2;
  }
  return low;
}

void Lbfgs::Remember(const Vector& direction, const Point& from, const Point& to) {
  Pair pair{.s = direction, .y = to.gradient};
  for (double& v : pair.s) v *= to.at;
  AddScaled(-1, from.gradient, pair.y);
  const double curvature = Dot(pair.s, pair.y);
  // Without it the inverse Hessian would not stay positive; the Wolfe conditions give it, up to
  // rounding.
  if (!(curvature > 1e-14 * Dot(pair.y, pair.y))) return;
  pair.rho = 1 / curvature;
  history_.push_back(std::move(pair));
  if (history_.size() > static_cast<size_t>(options_.history)) history_.pop_front();
}

Lbfgs::Result Lbfgs::Step(Closure closure) {
  Result result;
  Vector x = Values();
  Point now = Evaluate(closure, x, Vector(x.size(), 0.0), 0, result);
  const auto finite = [](double v) { return std::isfinite(v); };
  if (!std::isfinite(now.loss) || !std::all_of(now.gradient.begin(), now.gradient.end(), finite)) {
    throw Error("lbfgs", absl::StrCat("the loss is ", now.loss, ", or a gradient is not finite"));
  }
  try {
    while (result.iterations < options_.max_iterations) {
      if (LargestOf(now.gradient) <= options_.gradient_tolerance) {
        result.converged = true;
        break;
      }
      const Vector direction = Direction(now.gradient);
      now.at = 0;
      now.slope = Dot(now.gradient, direction);
      double size = 0;
      for (const double g : now.gradient) size += std::abs(g);
      const double first = history_.empty() ? std::min(1.0, 1 / size) : 1;
      Point next = now;
      if (now.slope < 0) next = LineSearch(closure, x, direction, now, first, result);
      if (next.at == 0) {
        Set(x);
        if (history_.empty()) break;
        history_.clear();  // once more, along the gradient
        continue;
      }
      AddScaled(next.at, direction, x);
      ++result.iterations;
      Remember(direction, now, next);
      const double fell = now.loss - next.loss;
      now = std::move(next);
      Set(x);
      if (fell <= options_.change_tolerance * std::max(1.0, std::abs(now.loss))) {
        result.converged = true;
        break;
      }
    }
  } catch (...) {
    Set(x);
    throw;
  }
  result.loss = now.loss;
  result.largest_gradient = LargestOf(now.gradient);
  return result;
}

}  // namespace wengert

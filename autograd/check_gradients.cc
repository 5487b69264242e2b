#include "autograd/check_gradients.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "autograd/modes.h"

namespace wengert {
namespace {

using Vector = std::vector<double>;

// A part of the point at which derivatives are taken: one input. All parts lie in one flat vector.
struct Part {
  int input;         // its number, as the report gives it
  std::string name;  // may be empty
  Shape shape;
  int64_t begin, size;
  double scale;  // a step of 1 along an element moves it by so much
};

// What was recorded at one point.
struct Recorded {
  std::vector<Variable> leaves;   // one per part
  std::vector<Variable> outputs;  // float64
};
using Record = absl::FunctionRef<Recorded(const std::vector<Tensor>& point)>;

struct Value {
  double value = 0;
  double magnitude = 0;  // the sum of what was added up, without signs: its rounding scales so
};

// The same on every platform, which the standard's distributions are not.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // Of either sign and no smaller than 1/2, so that no element goes unseen.
  double Next() {
    const double size = 0.5 + 0.5 * static_cast<double>(engine_() >> 11) * 0x1p-53;
    return engine_() >> 63 ? size : -size;
  }
  Vector Next(int64_t count) {
    Vector numbers(count);
    for (double& number : numbers) number = Next();
    return numbers;
  }

 private:
  std::mt19937_64 engine_;
};

// Where derivatives are taken.
struct Point {
  std::vector<Part> parts;
  Vector at;

  void Add(int input, std::string name, const Tensor& tensor) {
    const Vector elements = tensor.ToVector<double>();
    double squares = 0;
    for (const double x : elements) squares += x * x;
    const double rms = std::sqrt(squares / std::max<double>(1, static_cast<double>(tensor.size())));
    parts.push_back({.input = input,
                     .name = std::move(name),
                     .shape = tensor.shape(),
                     .begin = static_cast<int64_t>(at.size()),
                     .size = tensor.size(),
                     .scale = rms > 0 ? rms : 1});
    at.insert(at.end(), elements.begin(), elements.end());
  }
};

std::vector<Tensor> Tensors(absl::Span<const Part> parts, const Vector& point) {
  std::vector<Tensor> tensors;
  for (const Part& part : parts) {
    tensors.push_back(
        Tensor::FromSpan(absl::MakeConstSpan(point).subspan(part.begin, part.size), part.shape));
  }
  return tensors;
}

Value Dot(VariableSpan variables, const Vector& weights) {
  Value sum;
  size_t next = 0;
  for (const Variable& variable : variables) {
    for (const double x : variable.value().ToVector<double>()) {
      const double term = x * weights[next++];
      sum.value += term;
      sum.magnitude += std::abs(term);
    }
  }
  return sum;
}

Vector Flat(VariableSpan variables) {
  Vector flat;
  for (const Variable& variable : variables) {
    const Vector part = variable.value().ToVector<double>();
    flat.insert(flat.end(), part.begin(), part.end());
  }
  return flat;
}

std::vector<Variable> Constants(absl::Span<const Part> parts, const Vector& point) {
  const std::vector<Tensor> tensors = Tensors(parts, point);
  return {tensors.begin(), tensors.end()};
}

// A scalar function of a flat point with its derivatives: what one order of derivative checks.
struct Scalar {
  std::vector<Part> parts;
  Vector at;
  std::function<Value(const Vector&)> value;
  Vector gradient;  // at `at`
};

class Comparison {
 public:
  Comparison(const Scalar& f, const CheckGradientsOptions& options)
      : f_(f), options_(options), here_(f.value(f.at)) {
    const Value again = f_.value(f_.at);
    if (!(again.value == here_.value) && !(std::isnan(again.value) && std::isnan(here_.value))) {
      throw Error(
          "check_gradients",
          absl::StrCat("the function gives different values for the same inputs, ", here_.value,
                       " and ", again.value, ": dropout or batch statistics must be off"));
    }
    scale_.resize(f_.at.size());
    for (const Part& part : f_.parts) {
      std::fill_n(scale_.begin() + part.begin, part.size, part.scale);
    }
  }

  GradientError Run(Random& random) const {
    GradientError found;
    if (f_.at.empty()) return found;
    Vector worst;
    for (int i = 0; i < options_.directions; ++i) {
      Vector direction = random.Next(static_cast<int64_t>(f_.at.size()));
      const double error = Along(direction, 0, Size()).error;
      if (worst.empty() || error > found.relative_error) {
        found.relative_error = error;
        worst = std::move(direction);
      }
    }
    if (found.relative_error > options_.tolerance) NameWorst(worst, found);
    return found;
  }

 private:
  struct Compared {
    double analytic = 0, numeric = 0, error = 0;
  };

  int64_t Size() const { return static_cast<int64_t>(f_.at.size()); }

  // The derivative along the elements [begin, end) of `direction`.
  Compared Along(const Vector& direction, int64_t begin, int64_t end) const {
    Compared best{.error = std::numeric_limits<double>::infinity()};
    double analytic = 0, squares = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double term = f_.gradient[i] * scale_[i] * direction[i];
      analytic += term;
      squares += term * term;
    }
    // What is left where the terms cancel says nothing about them.
    const double least = std::max(1e-4 * here_.magnitude, 1e-2 * std::sqrt(squares));
    double h = options_.step;
    for (int attempt = 0; attempt < 4 && !(best.error <= options_.tolerance); ++attempt) {
      const auto moved = [&](double steps) {
        Vector point = f_.at;
        for (int64_t i = begin; i < end; ++i) point[i] += steps * h * scale_[i] * direction[i];
        return f_.value(point).value;
      };
      // f'(0) = (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h + O(h^4)
      const double numeric = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h);
      const double difference = std::abs(analytic - numeric);
      double error = difference / std::max({std::abs(analytic), std::abs(numeric), least});
      if (difference == 0) error = 0;
      if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
      if (attempt == 0 || error < best.error) best = {analytic, numeric, error};
      h /= 10;
    }
    return best;
  }

  void NameWorst(const Vector& direction, GradientError& found) const {
    int64_t begin = 0, end = Size();
    while (end - begin > std::max<int64_t>(options_.max_elements, 1)) {
      const int64_t middle = begin + (end - begin) / 2;
      const bool first =
          Difference(Along(direction, begin, middle)) >= Difference(Along(direction, middle, end));
      (first ? end : begin) = middle;
    }
    const Vector ones(f_.at.size(), 1);
    Compared worst;
    int64_t at = begin;
    for (int64_t i = begin; i < end; ++i) {
      const Compared compared = Along(ones, i, i + 1);
      if (i > begin && !(Difference(compared) > Difference(worst))) continue;
      worst = compared;
      at = i;
    }
    const Part* part = &f_.parts[0];
    while (at >= part->begin + part->size) ++part;
    found.input = part->input;
    found.name = part->name;
    found.analytic = worst.analytic / part->scale;
    found.numeric = worst.numeric / part->scale;
    found.element_error = worst.error;
    int64_t rest = at - part->begin;
    found.element.resize(part->shape.rank());
    for (int axis = part->shape.rank(); axis-- > 0; rest /= part->shape[axis]) {
      found.element[axis] = rest % part->shape[axis];
    }
  }

  // By which elements are ranked: an error that is large where the gradient is large comes first.
  static double Difference(const Compared& compared) {
    const double difference = std::abs(compared.analytic - compared.numeric);
    if (compared.error == 0) return 0;
    return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }

  const Scalar& f_;
  const CheckGradientsOptions& options_;
  const Value here_;
  Vector scale_;
};

// sum(u * f) as a function of the inputs.
Scalar FirstOrder(Record record, const Point& point, const std::vector<Part>& outputs, Vector u) {
  Scalar scalar{.parts = point.parts, .at = point.at};
  const Recorded here = record(Tensors(scalar.parts, scalar.at));
  scalar.gradient = Flat(Grad(here.outputs, here.leaves,
                              {.cotangents = Constants(outputs, u), .unused = Unused::kZero}));
  scalar.value = [record, parts = scalar.parts, u = std::move(u)](const Vector& point) {
    return Dot(record(Tensors(parts, point)).outputs, u);
  };
  return scalar;
}

// The gradient of that times the constant w, as a function of the inputs and of u.
Scalar SecondOrder(Record record, const Point& point, const std::vector<Part>& outputs,
                   const Vector& u, Vector w) {
  const size_t num_inputs = point.parts.size();
  for (const Part& part : point.parts) {
    for (int64_t k = 0; k < part.size; ++k) w[part.begin + k] *= part.scale;
  }
  Scalar scalar{.parts = point.parts, .at = point.at};
  scalar.at.insert(scalar.at.end(), u.begin(), u.end());
  for (const Part& output : outputs) {
    scalar.parts.push_back(output);
    scalar.parts.back().begin += static_cast<int64_t>(point.at.size());
  }
  const auto first = [record, num_inputs, all = scalar.parts](const Vector& point,
                                                              bool create_graph) {
    std::vector<Tensor> tensors = Tensors(all, point);
    const std::vector<Tensor> u(tensors.begin() + num_inputs, tensors.end());
    tensors.resize(num_inputs);
    const Recorded recorded = record(tensors);
    std::vector<Variable> leaves = recorded.leaves, cotangents;
    for (const Tensor& tensor : u) cotangents.push_back(DifferentiableLeaf(tensor));
    std::vector<Variable> gradients =
        Grad(recorded.outputs, leaves,
             {.cotangents = cotangents, .create_graph = create_graph, .unused = Unused::kZero});
    leaves.insert(leaves.end(), cotangents.begin(), cotangents.end());
    return std::pair(std::move(gradients), std::move(leaves));
  };
  const auto [gradients, leaves] = first(scalar.at, /*create_graph=*/true);
  scalar.gradient = Flat(
      Grad(gradients, leaves, {.cotangents = Constants(point.parts, w), .unused = Unused::kZero}));
  scalar.value = [first, w = std::move(w)](const Vector& point) {
    return Dot(first(point, /*create_graph=*/false).first, w);
  };
  return scalar;
}

std::string Line(int order, const GradientError& error, double tolerance) {
  std::string line = absl::StrCat("order ", order, ": ");
  if (error.input < 0) return absl::StrCat(line, "relative error ", error.relative_error, "\n");
  absl::StrAppend(&line, "input ", error.input,
                  error.name.empty() ? "" : absl::StrCat(" (", error.name, ")"), " element [",
                  absl::StrJoin(error.element, ","), "]: analytic ", error.analytic, ", numeric ",
                  error.numeric, ", relative error ", error.element_error);
  if (error.element_error > tolerance) return absl::StrCat(line, " > ", tolerance, "\n");
  // Many small errors that add up.
  return absl::StrCat(line, "; along a direction ", error.relative_error, " > ", tolerance, "\n");
}

void CheckIsDouble(const Variable& variable, std::string_view what) {
  if (variable.dtype() == DType::kFloat64) return;
  throw Error(
      "check_gradients",
      absl::StrCat(std::string(what), " is ", std::string(Name(variable.dtype())),
                   ToString(variable.shape()), ": differences are precise enough in float64 only"));
}

GradientReport Check(Record record, const Point& point, const CheckGradientsOptions& options) {
  if (point.parts.empty()) throw Error("check_gradients", "there is no floating input");
  const NoGradGuard with_grad(/*no_grad=*/false);
  Random random(options.seed);
  Point results;
  for (const Variable& output : record(Tensors(point.parts, point.at)).outputs) {
    CheckIsDouble(output, "the function's result");
    results.Add(point.parts.back().input + 1, "cotangent", output.value());
    results.parts.back().scale = 1;
  }
  if (results.parts.empty())
    throw Error("check_gradients", "the function's result is not floating");

  GradientReport report;
  for (int order = 1; order <= options.orders; ++order) {
    const Vector u = random.Next(static_cast<int64_t>(results.at.size()));
    const Vector w = random.Next(static_cast<int64_t>(point.at.size()));
    const Scalar scalar = order == 1 ? FirstOrder(record, point, results.parts, u)
                                     : SecondOrder(record, point, results.parts, u, w);
    report.orders.push_back(Comparison(scalar, options).Run(random));
    report.ok &= report.orders.back().relative_error <= options.tolerance;
    report.text += Line(order, report.orders.back(), options.tolerance);
  }
  return report;
}

}  // namespace

GradientReport CheckGradients(const VectorFunction& f, VariableSpan inputs,
                              const CheckGradientsOptions& options) {
  Point point;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!IsFloating(inputs[i].dtype())) continue;
    CheckIsDouble(inputs[i], absl::StrCat("input ", i));
    point.Add(static_cast<int>(i), "", inputs[i].value());
  }
  const auto record = [&](const std::vector<Tensor>& at) {
    Recorded recorded;
    for (const Tensor& tensor : at) recorded.leaves.push_back(DifferentiableLeaf(tensor));
    std::vector<Variable> x(inputs.begin(), inputs.end());
    for (size_t i = 0; i < at.size(); ++i) x[point.parts[i].input] = recorded.leaves[i];
    for (Variable& output : f(x)) {
      if (IsFloating(output.dtype())) recorded.outputs.push_back(std::move(output));
    }
    return recorded;
  };
  return Check(record, point, options);
}

GradientReport CheckGradients(const Function& f, VariableSpan inputs,
                              const CheckGradientsOptions& options) {
  const VectorFunction vector = [&](VariableSpan x) { return std::vector<Variable>{f(x)}; };
  return CheckGradients(vector, inputs, options);
}

GradientReport CheckGradients(absl::FunctionRef<Variable()> f,
                              absl::Span<const Parameter> parameters,
                              const CheckGradientsOptions& options) {
  // Handles to the parameters' slots, which put the old values back whatever happens.
  struct Restored {
    std::vector<Parameter> parameters;
    std::vector<Tensor> values;
    ~Restored() {
      for (size_t i = 0; i < values.size(); ++i) parameters[i].Set(values[i]);
    }
  } restored;
  Point point;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    const bool tied = std::any_of(restored.parameters.begin(), restored.parameters.end(),
                                  [&](const Parameter& p) { return p.SharesWith(parameter); });
    if (tied) continue;
    const std::string name(parameter.name());
    CheckIsDouble(parameter, absl::StrCat("parameter ", name.empty() ? absl::StrCat(i) : name));
    restored.parameters.push_back(parameter);
    restored.values.push_back(parameter.value());
    point.Add(static_cast<int>(i), name, restored.values.back());
  }
  const auto record = [&](const std::vector<Tensor>& at) {
    Recorded recorded;
    for (size_t i = 0; i < at.size(); ++i) {
      restored.parameters[i].Set(at[i]);
      recorded.leaves.push_back(restored.parameters[i].variable());
    }
    recorded.outputs.push_back(f());
    return recorded;
  };
  return Check(record, point, options);
}

std::ostream& operator<<(std::ostream& stream, const GradientReport& report) {
  return stream << report.text;
}

}  // namespace wengert

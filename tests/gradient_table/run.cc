#include "tests/gradient_table/run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "autograd/grad.h"

namespace wengert::gradient_table {
namespace {

std::mt19937_64 Engine(std::string_view text, uint64_t seed) {
  std::vector<uint32_t> words(text.begin(), text.end());
  words.push_back(static_cast<uint32_t>(seed));
  std::seed_seq sequence(words.begin(), words.end());
  return std::mt19937_64(sequence);
}

double Uniform(std::mt19937_64& engine) { return static_cast<double>(engine() >> 11) * 0x1p-53; }

// Freed buffers are handed out again. What a kernel forgets to write then is NaN.
void DirtyThePool() {
  std::vector<Tensor> held;
  for (int64_t size = 4; size <= 4096; size *= 2) {
    for (int i = 0; i < 4; ++i) {
      held.push_back(
          Tensor::Full({size}, std::numeric_limits<double>::quiet_NaN(), DType::kFloat64));
    }
  }
}

double Norm(const std::vector<double>& elements) {
  double squares = 0;
  for (const double x : elements) squares += x * x;
  return std::sqrt(squares);
}

std::string Differs(const Tensor& a, const Tensor& b, double tolerance) {
  if (!(a.shape() == b.shape())) {
    return absl::StrCat("shapes ", ToString(a.shape()), " and ", ToString(b.shape()));
  }
  const bool exact = tolerance == 0 || !IsFloating(a.dtype());
  if (exact && BitwiseEqual(a, b)) return "";
  const std::vector<double> x = a.ToVector<double>(), y = b.ToVector<double>();
  std::vector<double> difference(x.size());
  size_t worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference[i] = std::abs(x[i] - y[i]);
    if (std::isnan(difference[i]) || difference[i] > difference[worst]) worst = i;
  }
  const double allowed =
      tolerance * std::max(Norm(y), 0.1 * std::sqrt(static_cast<double>(y.size())));
  if (!exact && Norm(difference) <= allowed) return "";
  if (x.empty())
    return absl::StrCat("dtypes ", std::string(Name(a.dtype())), " and ",
                        std::string(Name(b.dtype())));
  return absl::StrCat("element ", worst, " of ", ToString(a.shape()), " is ", x[worst], " and not ",
                      y[worst],
                      exact ? "" : absl::StrCat("; norm of the difference ", Norm(difference)));
}

}  // namespace

std::vector<Tensor> SampleInputs(const TestedCase& tested, uint64_t variation) {
  std::mt19937_64 engine = Engine(absl::StrCat(tested.op, " ", tested.of.name), variation);
  int64_t points = 0;
  for (const Sample& sample : tested.of.inputs) {
    if (IsFloating(sample.dtype)) points += NumElements(sample.shape);
  }
  std::vector<int64_t> order(points);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = points; i-- > 1;) std::swap(order[i], order[engine() % (i + 1)]);

  // Integers are indices and labels: an op may be linear in what is floating for given ones.
  std::mt19937_64 integers = Engine(tested.op, 0);
  std::vector<Tensor> tensors;
  size_t next = 0;
  for (const Sample& sample : tested.of.inputs) {
    std::vector<double> elements(NumElements(sample.shape));
    for (double& element : elements) {
      if (IsFloating(sample.dtype)) {
        const double at = (static_cast<double>(order[next++]) + 0.37) / static_cast<double>(points);
        element = static_cast<float>(sample.low + (sample.high - sample.low) * at);
      } else if (sample.dtype == DType::kBool) {
        element = static_cast<double>(integers() & 1);
      } else {
        element = std::floor(sample.low + (sample.high - sample.low) * Uniform(integers));
      }
    }
    const auto span = absl::MakeConstSpan(elements);
    tensors.push_back(Tensor::FromSpan(span, sample.shape).To(sample.dtype));
  }
  return tensors;
}

Tensor SampleCotangent(const Shape& shape, DType dtype, uint64_t seed) {
  std::mt19937_64 engine = Engine("cotangent", seed);
  std::vector<double> elements(NumElements(shape));
  for (double& element : elements) {
    const double size = 0.5 + Uniform(engine);
    element = static_cast<float>(engine() & 1 ? size : -size);
  }
  return Tensor::FromSpan(absl::MakeConstSpan(elements), shape).To(dtype);
}

std::vector<Tensor> WithDType(absl::Span<const Tensor> tensors, DType dtype) {
  std::vector<Tensor> converted;
  for (const Tensor& tensor : tensors) {
    converted.push_back(IsFloating(tensor.dtype()) ? tensor.To(dtype) : tensor);
  }
  return converted;
}

Tensor WithLayout(const Tensor& tensor, Layout layout) {
  const int rank = tensor.rank();
  switch (layout) {
    case Layout::kContiguous:
      return tensor.Clone();
    case Layout::kTransposed: {
      std::vector<int> backwards(rank);
      for (int axis = 0; axis < rank; ++axis) backwards[axis] = rank - 1 - axis;
      return tensor.Permute(backwards).Clone().Permute(backwards);
    }
    case Layout::kSliced: {
      Shape larger = tensor.shape();
      for (int64_t& dim : larger) dim = 2 * dim + 1;
      const double between =
          IsFloating(tensor.dtype()) ? std::numeric_limits<double>::quiet_NaN() : 0;
      Tensor sliced = Tensor::Full(larger, between, tensor.dtype());
      for (int axis = 0; axis < rank; ++axis) {
        sliced = sliced.Narrow(axis, tensor.dim(axis) ? 1 : 0, tensor.dim(axis), 2);
      }
      sliced.CopyFrom(tensor);
      return sliced;
    }
    case Layout::kReversed: {
      Tensor reversed = tensor;
      for (int axis = 0; axis < rank; ++axis) reversed = reversed.Flip(axis);
      reversed = reversed.Clone();
      for (int axis = 0; axis < rank; ++axis) reversed = reversed.Flip(axis);
      return reversed;
    }
  }
  return tensor;
}

Inputs::Inputs(absl::Span<const Tensor> tensors) {
  for (const Tensor& tensor : tensors) {
    if (IsFloating(tensor.dtype())) {
      differentiable.push_back(DifferentiableLeaf(tensor));
      all.push_back(differentiable.back());
    } else {
      all.push_back(Variable(tensor));
    }
  }
}

std::vector<Variable> FloatingOnly(VariableSpan variables) {
  std::vector<Variable> floating;
  for (const Variable& v : variables) {
    if (IsFloating(v.dtype())) floating.push_back(v);
  }
  return floating;
}

std::vector<Variable> Cotangents(VariableSpan variables, bool differentiable, Layout layout) {
  std::vector<Variable> cotangents;
  for (const Variable& v : variables) {
    const uint64_t seed = (differentiable ? 0 : 100) + cotangents.size();
    Tensor tensor = WithLayout(SampleCotangent(v.shape(), v.dtype(), seed), layout);
    cotangents.push_back(differentiable ? DifferentiableLeaf(std::move(tensor))
                                        : Variable(std::move(tensor)));
  }
  return cotangents;
}

Outcome Run(const TestedCase& tested, absl::Span<const Tensor> tensors, const RunOptions& options) {
  DirtyThePool();
  const Inputs inputs(tensors);
  const std::vector<Variable> values = tested.of.f(inputs.all);
  if (options.reading == Reading::kValueFirst) Evaluate(values);
  const std::vector<Variable> outputs = FloatingOnly(values);
  std::vector<Variable> gradients;
  if (tested.differentiable && !outputs.empty() && !inputs.differentiable.empty()) {
    const std::vector<Variable> u =
        Cotangents(outputs, /*differentiable=*/true, options.cotangents);
    gradients =
        Grad(outputs, inputs.differentiable,
             {.cotangents = u, .create_graph = options.second_order, .unused = Unused::kZero});
    if (options.second_order) {
      if (options.reading == Reading::kValueFirst) Evaluate(gradients);
      std::vector<Variable> by = inputs.differentiable;
      by.insert(by.end(), u.begin(), u.end());
      const std::vector<Variable> second =
          Grad(gradients, by,
               {.cotangents = Cotangents(gradients, /*differentiable=*/false, options.cotangents),
                .unused = Unused::kZero});
      gradients.insert(gradients.end(), second.begin(), second.end());
    }
  }
  if (options.reading == Reading::kTogether) {
    std::vector<Variable> all = values;
    all.insert(all.end(), gradients.begin(), gradients.end());
    Evaluate(all);
  } else if (options.reading == Reading::kGradientFirst) {
    for (size_t i = gradients.size(); i-- > 0;) gradients[i].value();
  }
  Outcome outcome;
  for (const Variable& v : values) outcome.values.push_back(v.value());
  for (const Variable& v : gradients) outcome.gradients.push_back(v.value());
  return outcome;
}

std::string Difference(absl::Span<const Tensor> a, absl::Span<const Tensor> b, double tolerance,
                       std::string_view what) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const std::string differs = Differs(a[i], b[i], tolerance);
    if (!differs.empty()) return absl::StrCat(std::string(what), " ", i, ": ", differs);
  }
  return "";
}

std::string Difference(const Outcome& a, const Outcome& b, double tolerance) {
  const std::string values = Difference(a.values, b.values, tolerance, "value");
  return values.empty() ? Difference(a.gradients, b.gradients, tolerance, "gradient") : values;
}

std::vector<Variable> AllValues(VariableSpan roots) {
  std::vector<Variable> values;
  absl::flat_hash_set<const Node*> seen;
  const auto visit = [&](Node* node) {
    if (!seen.insert(node).second) return;
    for (int o = 0; o < node->num_outputs; ++o) values.push_back(Variable::Share(node, o));
  };
  for (const Variable& root : roots) visit(root.node());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].index() != 0) continue;
    for (const Variable& input : values[i].node()->inputs()) {
      if (input.defined()) visit(input.node());
    }
  }
  return values;
}

}  // namespace wengert::gradient_table

// The checks against mathematics, and the list of what is checked.
#include "tests/gradient_table/checks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/check_gradients.h"
#include "autograd/grad.h"

namespace wengert::gradient_table {
namespace {

constexpr double kDerivativeTolerance = 1e-6;
constexpr double kAdjointTolerance = 1e-12;
constexpr double kFloat32Tolerance = 2e-5;
constexpr size_t kFewestCases = 8;

bool Has(absl::Span<const Sample> samples, DType dtype) {
  return std::any_of(samples.begin(), samples.end(),
                     [&](const Sample& sample) { return sample.dtype == dtype; });
}

// Differences need float64 all through.
bool HasDifferences(const TestedCase& tested) {
  if (!tested.differentiable || !Has(tested.of.inputs, DType::kFloat64)) return false;
  if (Has(tested.of.inputs, DType::kFloat32)) return false;
  bool any = false;
  for (const Variable& y : tested.of.f(Inputs(SampleInputs(tested)).all)) {
    if (y.dtype() == DType::kFloat32) return false;
    any |= IsFloating(y.dtype());
  }
  return any;
}

std::string Differences(const TestedCase& tested, int order, double& worst) {
  if (!HasDifferences(tested)) return "";
  const std::vector<Tensor> inputs = SampleInputs(tested);
  const VectorFunction f = tested.of.f;
  const GradientReport report =
      CheckGradients(f, std::vector<Variable>(inputs.begin(), inputs.end()),
                     {.tolerance = kDerivativeTolerance, .orders = order});
  const double error = report.orders.back().relative_error;
  worst = std::max(worst, error);
  return error <= kDerivativeTolerance ? "" : report.text;
}

struct Product {
  double value = 0, magnitude = 0;
};
Product Dot(absl::Span<const Tensor> a, absl::Span<const Tensor> b) {
  Product dot;
  for (size_t i = 0; i < a.size(); ++i) {
    const std::vector<double> x = a[i].ToVector<double>(), y = b[i].ToVector<double>();
    for (size_t k = 0; k < x.size(); ++k) {
      dot.value += x[k] * y[k];
      dot.magnitude += std::abs(x[k] * y[k]);
    }
  }
  return dot;
}

}  // namespace

std::string CheckFirstOrder(const TestedCase& tested, Figures& figures) {
  return Differences(tested, 1, figures.first_order);
}

std::string CheckSecondOrder(const TestedCase& tested, Figures& figures) {
  return Differences(tested, 2, figures.second_order);
}

// <A x, u> = <x, A' u>, where A' is taken at another point than x: of a linear op it is the same.
std::string CheckAdjoint(const TestedCase& tested, Figures& figures) {
  if (!tested.of.linear) {
    // Of a case in float32 this is the only proof.
    return tested.differentiable && Has(tested.of.inputs, DType::kFloat32)
               ? "a case in float32 must be linear: differences need float64"
               : "";
  }
  const Inputs x(SampleInputs(tested)), elsewhere(SampleInputs(tested, /*variation=*/1));
  const std::vector<Variable> y = FloatingOnly(tested.of.f(x.all));
  const std::vector<Variable> there = FloatingOnly(tested.of.f(elsewhere.all));
  const std::vector<Variable> u = Cotangents(y, /*differentiable=*/false);
  const std::vector<Variable> adjoint =
      Grad(there, elsewhere.differentiable, {.cotangents = u, .unused = Unused::kZero});
  const auto tensors = [](VariableSpan variables) {
    std::vector<Tensor> values;
    for (const Variable& v : variables) values.push_back(v.value());
    return values;
  };
  const Product left = Dot(tensors(y), tensors(u));
  const Product right = Dot(tensors(x.differentiable), tensors(adjoint));
  const double difference = std::abs(left.value - right.value);
  const double gap = difference == 0 ? 0 : difference / std::max(left.magnitude, right.magnitude);
  figures.adjoint = std::max(figures.adjoint, gap);
  if (gap <= kAdjointTolerance) return "";
  return absl::StrCat("<A x, u> = ", left.value, " and <x, A' u> = ", right.value);
}

std::string CheckFloat32(const TestedCase& tested, Figures&) {
  if (!Has(tested.of.inputs, DType::kFloat64)) return "";
  const std::vector<Tensor> inputs = SampleInputs(tested);
  const Outcome exact = Run(tested, inputs);
  const Outcome rounded = Run(tested, WithDType(inputs, DType::kFloat32));
  return Difference(rounded, exact, kFloat32Tolerance);
}

std::string RunCheck(const Check& check, const TestedCase& tested, Figures& figures) {
  try {
    return check.run(tested, figures);
  } catch (const std::exception& error) {
    return absl::StrCat("threw: ", error.what());
  }
}

std::string CheckCases(const RegisteredOp& op, absl::Span<const OpCase> cases) {
  const std::string name(op.name);
  if (cases.size() < kFewestCases) {
    return absl::StrCat(name, " has ", cases.size(), " cases; at least ", kFewestCases,
                        " are wanted");
  }
  const bool has_differences = std::any_of(cases.begin(), cases.end(), [&](const OpCase& of) {
    return HasDifferences(MakeTested(op, of));
  });
  if (op.differentiable && !has_differences) {
    return absl::StrCat(name, " can be differentiated and has no case in float64");
  }
  return "";
}

std::vector<RegisteredOp> TestedOps() {
  std::vector<RegisteredOp> ops;
  for (const RegisteredOp& op : RegisteredOps()) {
    // The fused gradient of a composite is tested with the composite.
    const bool of_composite =
        std::any_of(RegisteredOps().begin(), RegisteredOps().end(), [&](const RegisteredOp& other) {
          return other.composite && op.name == absl::StrCat(std::string(other.name), "_gradient");
        });
    if (!of_composite || op.cases) ops.push_back(op);
  }
  std::sort(ops.begin(), ops.end(),
            [](const RegisteredOp& a, const RegisteredOp& b) { return a.name < b.name; });
  return ops;
}

std::vector<OpCase> CasesOf(const RegisteredOp& op) {
  return op.cases ? op.cases() : std::vector<OpCase>();
}

TestedCase MakeTested(const RegisteredOp& op, const OpCase& of) {
  return {.op = std::string(op.name),
          .differentiable = op.differentiable,
          .composite = op.composite,
          .of = of};
}

std::string CheckOp(const RegisteredOp& op, Figures& figures) {
  std::string all;
  const auto report = [&](std::string_view what, const std::string& text) {
    if (!text.empty()) absl::StrAppend(&all, std::string(what), ": ", text, "\n");
  };
  const std::vector<OpCase> cases = CasesOf(op);
  report("cases", CheckCases(op, cases));
  for (const OpCase& of : cases) {
    const TestedCase tested = MakeTested(op, of);
    for (const Check& check : kChecks) {
      report(absl::StrCat("check \"", std::string(check.name), "\", case \"", of.name, "\""),
             RunCheck(check, tested, figures));
    }
  }
  return all;
}

std::string CheckOp(std::string_view name) {
  Figures figures;
  for (const RegisteredOp& op : TestedOps()) {
    if (op.name == name) return CheckOp(op, figures);
  }
  return absl::StrCat("no op \"", std::string(name), "\" is called in this program\n");
}

}  // namespace wengert::gradient_table

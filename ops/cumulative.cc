// Scans along an axis: running sums, products and log-sum-exps, and the linear recurrence, by which
// their rules are written: nothing is divided by an element, so zeros are like any other number.
// Prod, whose rule they are, too.
#include "ops/kernels/cumulative.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/reduction.h"

namespace wengert {
namespace {

using internal::Number;
using internal::Real;
using internal::Reduction;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Where to shift from, in the direction of the scan.
enum class From { kNext, kPrevious };

// y[i] = v[i + 1] or v[i - 1] as the scan goes, and 0 where there is none.
Variable Shifted(const Variable& v, const ScanOrder& order, From from) {
  const int64_t length = v.shape()[order.axis];
  if (length == 0) return v;
  const bool ahead = (from == From::kNext) != order.reverse;
  return Embed(Narrow(v, order.axis, ahead ? 1 : 0, length - 1), order.axis, length, ahead ? 0 : 1);
}

std::vector<std::pair<Shape, int>> CaseShapes() {
  return {{{1}, 0},       {{7}, 0},       {{2}, -1},      {{3, 4}, 0},      {{3, 4}, 1},
          {{2, 3, 4}, 1}, {{2, 3, 4}, 0}, {{2, 5, 1}, 1}, {{1, 4, 3}, -2},  {{0, 3}, 0},
          {{0, 3}, 1},    {{3, 0}, 1},    {{2, 300}, 0},  {{2, 1, 3, 2}, 2}};
}

// Cases over shapes and the four orders.
std::vector<OpCase> CumulativeCases(Variable (*f)(const Variable&, int, const CumulativeOptions&,
                                                  SourceLocation),
                                    bool linear) {
  std::vector<OpCase> cases;
  for (const auto& [shape, axis] : CaseShapes()) {
    const size_t kind = cases.size();
    const CumulativeOptions options{.exclusive = kind % 2 == 1, .reverse = kind / 2 % 2 == 1};
    cases.push_back(OpCase::Of(
        absl::StrCat(ToString(shape), " axis ", axis, options.exclusive ? ", exclusive" : "",
                     options.reverse ? ", reverse" : ""),
        {{.shape = shape}}, [f, axis = axis, options](VariableSpan x) {
          return f(x[0], axis, options, SourceLocation::current());
        }));
    cases.back().linear = linear;
  }
  return cases;
}

struct CumSumOp : Op<CumSumOp> {
  static constexpr std::string_view kName = "cum_sum";
  static constexpr Uses kUses = Uses::None();
  ScanOrder order;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { CumSumKernel(x[0], order, y); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {CumSum(dy, order.axis, {.exclusive = order.exclusive, .reverse = !order.reverse})};
  }
  static std::vector<OpCase> Cases() { return CumulativeCases(&CumSum, true); }
};

// y[i] = a[i] y[i - 1] + b[i]. With g[i] = dy[i] + a[i + 1] g[i + 1], the same from the other end:
// db = g and da[i] = g[i] y[i - 1].
struct LinearRecurrenceOp : Op<LinearRecurrenceOp> {
  static constexpr std::string_view kName = "linear_recurrence";
  static constexpr Uses kUses = Uses::Input(0) | Uses::Output();
  ScanOrder order;

  Spec Infer(VariableSpan x) const { return {x[1].shape(), x[1].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { LinearRecurrenceKernel(x[0], x[1], order, y); }
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs needs) const {
    const Variable g = LinearRecurrence(Shifted(x[0], order, From::kNext), dy, order.axis,
                                        /*reverse=*/!order.reverse);
    return {needs[0] ? g * Shifted(y, order, From::kPrevious) : Variable(),
            needs[1] ? g : Variable()};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const auto& [shape, axis] : CaseShapes()) {
      const bool reverse = cases.size() % 2 == 1;
      const auto f = [axis = axis, reverse](VariableSpan x) {
        return LinearRecurrence(x[0], x[1], axis, reverse);
      };
      cases.push_back(
          OpCase::Of(absl::StrCat(ToString(shape), " axis ", axis, reverse ? ", reverse" : ""),
                     {{.shape = shape, .low = -1, .high = 1}, {.shape = shape}}, f));
    }
    cases.push_back(OpCase::Of("one factor", {{.shape = {}}, {.shape = {3, 4}}},
                               [](VariableSpan x) { return LinearRecurrence(x[0], x[1], 0); }));
    cases.push_back(OpCase::Of("broadcast", {{.shape = {5, 1}}, {.shape = {2, 1, 3}}},
                               [](VariableSpan x) { return LinearRecurrence(x[0], x[1], 1); }));
    return cases;
  }
};

// dx[i] is the product of what is before i times the sum, over all results that i is in, of dy
// times the product of what is after i: the second is a linear recurrence from the other end.
struct CumProdOp : Op<CumProdOp> {
  static constexpr std::string_view kName = "cum_prod";
  static constexpr Uses kUses = Uses::Inputs();
  ScanOrder order;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { CumProdKernel(x[0], order, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    const Variable before =
        CumProd(x[0], order.axis, {.exclusive = true, .reverse = order.reverse});
    const Variable after =
        LinearRecurrence(Shifted(x[0], order, From::kNext),
                         order.exclusive ? Shifted(dy, order, From::kNext) : dy, order.axis,
                         /*reverse=*/!order.reverse);
    return {before * after};
  }
  static std::vector<OpCase> Cases() { return CumulativeCases(&CumProd, false); }
};

// dx[i] = sum over k >= i of dy[k] exp(x[i] - y[k]), as exp(x[i] - y[i]) s[i] with
// s[i] = dy[i] + exp(y[i] - y[i + 1]) s[i + 1]: no exponent is above 0.
struct LogCumSumExpOp : Op<LogCumSumExpOp> {
  static constexpr std::string_view kName = "log_cum_sum_exp";
  static constexpr Uses kUses = Uses::Inputs() | Uses::Output();
  ScanOrder order;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { LogCumSumExpKernel(x[0], order, y); }
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs) const {
    // exp(of - result), 0 where the result is -infinity, as all that it is of.
    const auto share = [](const Variable& of, const Variable& result) {
      return Exp(Where(NotEqual(result, -kInfinity), of - result, -kInfinity));
    };
    const int axis = order.axis;
    const int64_t length = x[0].shape()[axis];
    if (length == 0) return {dy};
    const int64_t at = order.reverse ? 1 : 0, next = 1 - at;
    const Variable factors =
        share(Narrow(y, axis, at, length - 1), Narrow(y, axis, next, length - 1));
    return {share(x[0], y) *
            LinearRecurrence(Embed(factors, axis, length, at), dy, axis, !order.reverse)};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const auto& [shape, axis] : CaseShapes()) {
      const bool reverse = cases.size() % 2 == 1;
      cases.push_back(OpCase::Of(
          absl::StrCat(ToString(shape), " axis ", axis, reverse ? ", reverse" : ""),
          {{.shape = shape}},
          [axis = axis, reverse](VariableSpan x) { return LogCumSumExp(x[0], axis, reverse); }));
    }
    return cases;
  }
};

// Over the last axis.
struct ProdOp : Op<ProdOp> {
  static constexpr std::string_view kName = "prod";
  static constexpr Uses kUses = Uses::Inputs();

  Spec Infer(VariableSpan x) const {
    Shape shape = x[0].shape();
    shape.Remove(shape.rank() - 1);
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { ProdKernel(x[0], y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    const Variable before = CumProd(x[0], -1, {.exclusive = true});
    const Variable after = CumProd(x[0], -1, {.exclusive = true, .reverse = true});
    return {before * after * Unsqueeze(dy, -1)};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, Axes> list[] = {{{}, {}},
                                           {{1}, {}},
                                           {{7}, 0},
                                           {{19}, {}},
                                           {{3, 4}, 0},
                                           {{3, 4}, 1},
                                           {{3, 4}, {}},
                                           {{2, 3, 4}, 1},
                                           {{2, 3, 4}, {0, 2}},
                                           {{2, 3, 4}, -1},
                                           {{2, 1, 3, 2}, {1, 3}},
                                           {{0, 3}, 0},
                                           {{3, 0}, 0},
                                           {{5, 9}, -1}};
    for (const auto& [shape, axes] : list) {
      const bool keep_dims = cases.size() % 2 == 1;
      cases.push_back(OpCase::Of(
          absl::StrCat(ToString(shape), " #", cases.size(), keep_dims ? ", kept" : ""),
          {{.shape = shape}},
          [axes = axes, keep_dims](VariableSpan x) { return Prod(x[0], axes, keep_dims); }));
    }
    return cases;
  }
};

ScanOrder Order(std::string_view op, const Variable& x, int axis, const CumulativeOptions& options,
                SourceLocation where) {
  try {
    return {NormalizeAxis(axis, x.rank(), op), options.exclusive, options.reverse};
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
}

}  // namespace

Variable CumSum(const Variable& x, int axis, const CumulativeOptions& options,
                SourceLocation where) {
  const WhereScope scope(where, "cum_sum");
  const ScanOrder order = Order("cum_sum", x, axis, options, where);
  return Apply(CumSumOp{.order = order}, {Number(x, where)}, where);
}

Variable CumProd(const Variable& x, int axis, const CumulativeOptions& options,
                 SourceLocation where) {
  const WhereScope scope(where, "cum_prod");
  const ScanOrder order = Order("cum_prod", x, axis, options, where);
  return Apply(CumProdOp{.order = order}, {Number(x, where)}, where);
}

Variable LogCumSumExp(const Variable& x, int axis, bool reverse, SourceLocation where) {
  const WhereScope scope(where, "log_cum_sum_exp");
  const ScanOrder order = Order("log_cum_sum_exp", x, axis, {.reverse = reverse}, where);
  return Apply(LogCumSumExpOp{.order = order}, {Real(x, where)}, where);
}

Variable LinearRecurrence(const Variable& a, const Variable& b, int axis, bool reverse,
                          SourceLocation where) {
  const WhereScope scope(where, "linear_recurrence");
  const Variable inputs[] = {a, b};
  const DType dtype = Promote(Promote(a.dtype(), b.dtype()), DType::kFloat32);
  const auto as_operand = [&](const Variable& v, const Shape& shape) {
    return Expand(v.dtype() == dtype ? v : Cast(v, dtype, where), shape, where);
  };
  Shape shape;
  try {
    shape = BroadcastShapes(a.shape(), b.shape(), "linear_recurrence");
  } catch (Error& error) {
    internal::RethrowWithPlace(error, inputs, where);
  }
  const Variable factors = as_operand(a, shape), terms = as_operand(b, shape);
  const ScanOrder order = Order("linear_recurrence", terms, axis, {.reverse = reverse}, where);
  return Apply(LinearRecurrenceOp{.order = order}, {factors, terms}, where);
}

Variable Prod(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "prod");
  const Reduction reduction = internal::MakeReduction("prod", x, axes, keep_dims, where);
  const Variable rows = internal::WithReducedLast(Number(x, where), reduction, where);
  return Reshape(Apply(ProdOp(), {rows}, where), reduction.Result(x.shape()), where);
}

}  // namespace wengert

// Reductions over any axes: sums, means, extremes and their positions, log-sum-exp.
#include "ops/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/kernels/moments.h"
#include "ops/kernels/softmax.h"
#include "ops/ops.h"
#include "ops/reduction.h"

namespace wengert {
namespace {

using internal::MakeReduction;
using internal::Number;
using internal::Real;
using internal::Reduction;
using internal::Spread;

using ReduceFunction = Variable (*)(const Variable&, const Axes&, bool, SourceLocation);

std::vector<OpCase> ReduceCases(ReduceFunction f, bool linear, bool zero_size) {
  std::vector<OpCase> cases;
  const struct {
    Shape shape;
    Axes axes;
    bool keep_dims;
  } list[] = {{{}, {}, false},
              {{7}, {}, false},
              {{7}, 0, true},
              {{3, 4}, 0, false},
              {{3, 4}, 1, true},
              {{3, 4}, {}, false},
              {{2, 3, 4}, {0, 2}, false},
              {{2, 3, 4}, 1, false},
              {{2, 3, 4}, {1, 2}, true},
              {{2, 3, 4}, {0, 1}, false},
              {{2, 1, 3, 2}, {1, 3}, true},
              {{40, 3}, 0, false},
              {{3, 0}, 0, false},
              {{0, 3}, 0, false}};
  for (const auto& [shape, axes, keep_dims] : list) {
    const bool empty_reduction = shape.rank() == 2 && shape[0] == 0;
    if (empty_reduction && !zero_size) continue;
    OpCase made = OpCase::Of(absl::StrCat(ToString(shape), " #", cases.size()), {{.shape = shape}},
                             [f, axes = axes, keep_dims = keep_dims](VariableSpan x) {
                               return f(x[0], axes, keep_dims, SourceLocation::current());
                             });
    made.linear = linear;
    made.reorders = true;
    cases.push_back(std::move(made));
  }
  return cases;
}

struct SumOp : Op<SumOp> {
  static constexpr std::string_view kName = "sum";
  static constexpr Uses kUses = Uses::None();
  static constexpr Grouping kGrouping = Grouping::kSum;
  Reduction reduction;

  uint32_t ReducedAxes() const { return reduction.axes; }

  Spec Infer(VariableSpan x) const { return {reduction.Result(x[0].shape()), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { SumKernel(x[0], reduction.axes, y); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {Spread(dy, reduction, x[0].shape())};
  }
  static std::vector<OpCase> Cases() { return ReduceCases(&Sum, true, true); }
};

// The largest or smallest; the position of the first winner is the residual.
template <bool kMax>
struct ExtremeOp : Op<ExtremeOp<kMax>> {
  static constexpr std::string_view kName = kMax ? "max" : "min";
  static constexpr Uses kUses = Uses::None();
  static constexpr int kResiduals = 1;
  Reduction reduction;

  Specs Infer(VariableSpan x) const {
    const Shape& shape = x[0].shape();
    if (reduction.Count(shape) == 0) {
      throw Error(kName, absl::StrCat("of no elements: ", ToString(shape)));
    }
    const Shape result = reduction.Result(shape);
    return {{result, x[0].dtype()}, {result, DType::kInt64}};
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    ExtremeKernel(x[0], reduction.axes, kMax, &y[0], &y[1]);
  }
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs) const {
    // The reduced axes to the end and into one, where the winner's position counts.
    const Shape& shape = x[0].shape();
    std::vector<int> order, back(shape.rank());
    Shape kept, permuted;
    for (const bool reduced : {false, true}) {
      for (int i = 0; i < shape.rank(); ++i) {
        if ((reduction.axes >> i & 1) != reduced) continue;
        back[i] = static_cast<int>(order.size());
        order.push_back(i);
        permuted.Append(shape[i]);
        if (!reduced) kept.Append(shape[i]);
      }
    }
    const int64_t count = reduction.Count(shape);
    const Variable spread = PutAlongLast(Reshape(dy[0], kept), Reshape(y[1], kept), count);
    return {Permute(Reshape(spread, permuted), back)};
  }
  static std::vector<OpCase> Cases() { return ReduceCases(kMax ? &Max : &Min, false, false); }
};

template <bool kMax>
struct ArgExtremeOp : Op<ArgExtremeOp<kMax>> {
  static constexpr std::string_view kName = kMax ? "argmax" : "argmin";
  static constexpr bool kDifferentiable = false;
  Reduction reduction;

  Spec Infer(VariableSpan x) const {
    if (reduction.Count(x[0].shape()) == 0) {
      throw Error(kName, absl::StrCat("of no elements: ", ToString(x[0].shape())));
    }
    return {reduction.Result(x[0].shape()), DType::kInt64};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    ExtremeKernel(x[0], reduction.axes, kMax, nullptr, &y);
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const auto& [shape, axis] : {std::pair{Shape{7}, 0},
                                      {{3, 4}, 0},
                                      {{3, 4}, 1},
                                      {{2, 3, 4}, 1},
                                      {{2, 3, 4}, -1},
                                      {{1}, 0},
                                      {{2, 0}, 0},
                                      {{2, 1, 3, 2}, 2}}) {
      cases.push_back(OpCase::Of(absl::StrCat(ToString(shape), " axis ", axis), {{.shape = shape}},
                                 [axis = axis](VariableSpan x) {
                                   return kMax ? ArgMax(x[0], axis) : ArgMin(x[0], axis);
                                 }));
    }
    return cases;
  }
};

struct LogSumExpOp : Op<LogSumExpOp> {
  static constexpr std::string_view kName = "logsumexp";
  static constexpr Uses kUses = Uses::Inputs() | Uses::Output();
  Reduction reduction;

  Spec Infer(VariableSpan x) const { return {reduction.Result(x[0].shape()), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { LogSumExpKernel(x[0], reduction.axes, y); }
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs) const {
    const Shape with_dims = reduction.WithDims(x[0].shape());
    return {Reshape(dy, with_dims) * Exp(x[0] - Reshape(y, with_dims))};
  }
  static std::vector<OpCase> Cases() { return ReduceCases(&LogSumExp, false, false); }
};

// Mean and variance: d variance / dx = 2 (x - mean) / n, by way of the mean nothing, as deviations
// from it add up to 0.
struct MomentsOp : Op<MomentsOp> {
  static constexpr std::string_view kName = "moments";
  static constexpr Uses kUses = Uses::Inputs() | Uses::Output();
  Reduction reduction;

  Specs Infer(VariableSpan x) const {
    const Spec spec = {reduction.Result(x[0].shape()), x[0].dtype()};
    return {spec, spec};
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    MomentsKernel(x[0], reduction.axes, y[0], y[1]);
  }
  Gradients Vjp(VariableSpan x, VariableSpan y, VariableSpan dy, Needs) const {
    const Shape& shape = x[0].shape();
    const double count = static_cast<double>(reduction.Count(shape));
    Variable dx;
    if (dy[1].defined()) {
      dx = (x[0] - Spread(y[0], reduction, shape)) * Spread(dy[1] * (2 / count), reduction, shape);
    }
    if (dy[0].defined()) {
      const Variable by_mean = Spread(dy[0] / count, reduction, shape);
      dx = dx.defined() ? dx + by_mean : by_mean;
    }
    return {dx};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases = ReduceCases(
        [](const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
          return Variance(x, axes, keep_dims, /*correction=*/0, where);
        },
        false, false);
    const ReduceFunction both = [](const Variable& x, const Axes& axes, bool keep_dims,
                                   SourceLocation where) {
      const MeanAndVariance moments = Moments(x, axes, keep_dims, where);
      return Tanh(moments.mean) * moments.variance;
    };
    for (OpCase& made : ReduceCases(both, false, false)) {
      made.name += ", both";
      cases.push_back(std::move(made));
    }
    return cases;
  }
};

Variable RecordMoments(std::string_view op, const Variable& x, const Axes& axes, bool keep_dims,
                       SourceLocation where) {
  const Reduction reduction = MakeReduction(op, x, axes, keep_dims, where);
  return Apply(MomentsOp{.reduction = reduction}, {Real(x, where)}, where);
}

}  // namespace

Variable Sum(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "sum");
  const Reduction reduction = MakeReduction("sum", x, axes, keep_dims, where);
  if (reduction.axes == 0) return Number(x, where);
  return Apply(SumOp{.reduction = reduction}, {Number(x, where)}, where);
}

Variable SumTo(const Variable& from, const Shape& shape, SourceLocation where) {
  const WhereScope scope(where, "sum_to");
  const Variable x = Number(from, where);
  if (shape == x.shape()) return x;
  if (!BroadcastsTo(shape, x.shape())) {
    internal::ThrowAt("sum_to",
                      absl::StrCat(ToString(shape), " does not broadcast to ", ToString(x.shape())),
                      x, where);
  }
  const int extra = x.rank() - shape.rank();
  Reduction reduction{0, /*keep_dims=*/extra == 0};
  for (int i = 0; i < x.rank(); ++i) {
    if (i < extra || shape[i - extra] != x.shape()[i]) reduction.axes |= 1u << i;
  }
  if (reduction.axes == 0) return Reshape(x, shape, where);
  return Reshape(Apply(SumOp{.reduction = reduction}, {x}, where), shape, where);
}

Variable Mean(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "mean");
  const Reduction reduction = MakeReduction("mean", x, axes, keep_dims, where);
  const double count = static_cast<double>(reduction.Count(x.shape()));
  return Sum(Real(x, where), axes, keep_dims, where) / count;
}

MeanAndVariance Moments(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "moments");
  const Variable mean = RecordMoments("moments", x, axes, keep_dims, where);
  return {mean, Output(mean, 1)};
}

Variable Variance(const Variable& x, const Axes& axes, bool keep_dims, double correction,
                  SourceLocation where) {
  const WhereScope scope(where, "variance");
  const Variable variance = Output(RecordMoments("variance", x, axes, keep_dims, where), 1);
  if (correction == 0) return variance;
  const auto count =
      static_cast<double>(MakeReduction("variance", x, axes, keep_dims, where).Count(x.shape()));
  return variance * (count / std::max(count - correction, 0.0));
}

Variable Max(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "max");
  const Reduction reduction = MakeReduction("max", x, axes, keep_dims, where);
  return Apply(ExtremeOp<true>{.reduction = reduction}, {x}, where);
}

Variable Min(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "min");
  const Reduction reduction = MakeReduction("min", x, axes, keep_dims, where);
  return Apply(ExtremeOp<false>{.reduction = reduction}, {x}, where);
}

Variable ArgMax(const Variable& x, int axis, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "argmax");
  const Reduction reduction = MakeReduction("argmax", x, axis, keep_dims, where);
  return Apply(ArgExtremeOp<true>{.reduction = reduction}, {x}, where);
}

Variable ArgMin(const Variable& x, int axis, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "argmin");
  const Reduction reduction = MakeReduction("argmin", x, axis, keep_dims, where);
  return Apply(ArgExtremeOp<false>{.reduction = reduction}, {x}, where);
}

Variable LogSumExp(const Variable& x, const Axes& axes, bool keep_dims, SourceLocation where) {
  const WhereScope scope(where, "logsumexp");
  const Reduction reduction = MakeReduction("logsumexp", x, axes, keep_dims, where);
  return Apply(LogSumExpOp{.reduction = reduction}, {Real(x, where)}, where);
}

}  // namespace wengert

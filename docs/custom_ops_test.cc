// The ops of custom_ops.md, run, and checked as a user's workspace checks them.
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gradient_table/checks.h"
#include "wengert.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

// [squareplus]
// (x + sqrt(x^2 + b)) / 2, a smooth relu (Barron 2021).
Variable Squareplus(const Variable& x, double b = 4,
                    SourceLocation where = SourceLocation::current()) {
  const WhereScope scope(where);  // errors name the caller's line
  return (x + Sqrt(Square(x) + b)) * 0.5;
}
// [/squareplus]

// [lambert_w]
// The w >= 0 with w e^w = x, for x >= 0; NaN below.
struct LambertWOp : Op<LambertWOp> {
  static constexpr std::string_view kName = "lambert_w";
  static constexpr Uses kUses = Uses::Output();  // the rule reads y alone

  Spec Infer(VariableSpan x) const {
    return {x[0].shape(), Promote(x[0].dtype(), DType::kFloat32)};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    y.CopyFrom(x[0]);
    DispatchDType(y.dtype(), [&]<class T>() {
      T* const out = y.mutable_data<T>();
      for (int64_t i = 0; i < y.size(); ++i) out[i] = static_cast<T>(Solve(out[i]));
    });
  }
  Gradients Vjp(VariableSpan, const Variable& y, const Variable& dy, Needs) const {
    return {dy / (Exp(y) * (y + 1))};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{}, {1}, {7}, {17}, {3, 4}, {0, 3}, {2, 3, 5}, {2, 1, 3, 2}}) {
      cases.push_back(OpCase::Of(ToString(shape), {{.shape = shape, .low = 0.1, .high = 4}},
                                 [](VariableSpan x) { return Apply(LambertWOp(), {x[0]}); }));
    }
    return cases;
  }

  // Newton's method from log(1 + x), which is not below w: each step comes closer from there.
  static double Solve(double x) {
    if (!(x >= 0)) return std::numeric_limits<double>::quiet_NaN();
    double w = std::log1p(x);
    for (int i = 0; i < 20; ++i) w -= (w * std::exp(w) - x) / (std::exp(w) * (w + 1));
    return w;
  }
};

Variable LambertW(const Variable& x, SourceLocation where = SourceLocation::current()) {
  return Apply(LambertWOp(), {x}, where);
}
// [/lambert_w]

// [diff]
// y[i] = x[i + 1] - x[i] along an axis.
struct DiffOp : Op<DiffOp> {
  static constexpr std::string_view kName = "diff";
  static constexpr Uses kUses = Uses::None();  // of x the rule reads the shape only
  int axis;

  Spec Infer(VariableSpan x) const {
    Shape shape = x[0].shape();
    int64_t& length = shape[NormalizeAxis(axis, shape.rank(), kName)];
    if (length == 0) {
      throw Error(kName, "axis " + std::to_string(axis) + " is empty: " + ToString(shape));
    }
    --length;
    return {shape, x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    const int64_t length = y.dim(axis);
    y.CopyFrom(x[0].Narrow(axis, 1, length));
    const Tensor before = x[0].Narrow(axis, 0, length).Contiguous();
    DispatchDType(y.dtype(), [&]<class T>() {
      T* const out = y.mutable_data<T>();
      const T* const in = before.data<T>();
      for (int64_t i = 0; i < y.size(); ++i) out[i] = static_cast<T>(out[i] - in[i]);
    });
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    const int64_t length = x[0].dim(axis);
    return {Embed(dy, axis, length, 1) - Embed(dy, axis, length, 0)};
  }
  static std::vector<OpCase> Cases();
};

Variable Diff(const Variable& x, int axis, SourceLocation where = SourceLocation::current()) {
  const Variable numbers = x.dtype() == DType::kBool ? Cast(x, DType::kInt64) : x;
  return Apply(DiffOp{.axis = axis}, {numbers}, where);
}

// In a .cc file of its own, if you like.
std::vector<OpCase> DiffOp::Cases() {
  std::vector<OpCase> cases;
  const std::vector<std::pair<Shape, int>> list = {
      {{1}, 0},    {{7}, 0},        {{3, 4}, 0},       {{3, 4}, -1},
      {{2, 0}, 0}, {{2, 3, 5}, -2}, {{2, 1, 3, 2}, 1}, {{2, 1, 2, 1, 3}, 4}};
  for (const auto& [shape, axis] : list) {
    cases.push_back(OpCase::Linear(ToString(shape) + " along " + std::to_string(axis), {shape},
                                   [axis = axis](VariableSpan x) { return Diff(x[0], axis); }));
  }
  return cases;
}
// [/diff]

// [squared_distances]
// y[i, j] = |a[i] - b[j]|^2; a: [N, D], b: [M, D]. As a composite it needs no memory for the
// differences, [N, M, D].
struct SquaredDistancesOp : Composite<SquaredDistancesOp> {
  static constexpr std::string_view kName = "squared_distances";
  static constexpr std::string_view kGradientName = "squared_distances_gradient";

  std::vector<Variable> Definition(VariableSpan x) const {
    return {Sum(Square(Unsqueeze(x[0], 1) - Unsqueeze(x[1], 0)), -1)};
  }
  bool HasKernel(VariableSpan x) const {
    return x[0].dtype() == DType::kFloat32 && x[1].dtype() == DType::kFloat32;
  }
  Spec Infer(VariableSpan x) const { return {{x[0].dim(0), x[1].dim(0)}, DType::kFloat32}; }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    const Tensor a = x[0].Contiguous(), b = x[1].Contiguous();
    const int64_t n = a.dim(0), m = b.dim(0), d = a.dim(1);
    float* const out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < d; ++k) {
          const double difference = a.data<float>()[i * d + k] - b.data<float>()[j * d + k];
          sum += difference * difference;
        }
        out[i * m + j] = static_cast<float>(sum);
      }
    }
  }
  // dx has the gradients that are needed, in order.
  void GradientKernel(TensorSpan x, TensorSpan, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    const Tensor g = dy[0].Contiguous();
    if (needs[0])
      Pull(x[0].Contiguous(), x[1].Contiguous(), g.data<float>(), x[1].dim(0), 1, dx[0]);
    if (needs[1])
      Pull(x[1].Contiguous(), x[0].Contiguous(), g.data<float>(), 1, x[1].dim(0), dx[needs[0]]);
  }
  // out[i] = 2 (the sum over j of g[i, j] (from[i] - to[j])), g with these strides.
  static void Pull(const Tensor& from, const Tensor& to, const float* g, int64_t stride_i,
                   int64_t stride_j, Tensor& out) {
    const int64_t d = from.dim(1);
    for (int64_t i = 0; i < from.dim(0); ++i) {
      for (int64_t k = 0; k < d; ++k) {
        double sum = 0;
        for (int64_t j = 0; j < to.dim(0); ++j) {
          const double difference = from.data<float>()[i * d + k] - to.data<float>()[j * d + k];
          sum += g[i * stride_i + j * stride_j] * difference;
        }
        out.mutable_data<float>()[i * d + k] = static_cast<float>(2 * sum);
      }
    }
  }
  static std::vector<OpCase> Cases();
};

Variable SquaredDistances(const Variable& a, const Variable& b,
                          SourceLocation where = SourceLocation::current()) {
  // Where there is no kernel no Infer is called: what all calls have in common is checked here.
  if (a.rank() != 2 || b.rank() != 2 || a.dim(1) != b.dim(1)) {
    Error error(SquaredDistancesOp::kName, "of [N, D] and [M, D], not of " + ToString(a.shape()) +
                                               " and " + ToString(b.shape()));
    error.AddPlace(where, /*layer_path=*/"");
    throw error;
  }
  const Variable inputs[] = {a, b};
  return ApplyComposite(SquaredDistancesOp(), inputs, where)[0];
}

std::vector<OpCase> SquaredDistancesOp::Cases() {
  std::vector<OpCase> cases;
  for (const Shape& sizes : {Shape{1, 1, 1},
                             {3, 4, 2},
                             {1, 5, 3},
                             {5, 1, 3},
                             {2, 3, 1},
                             {4, 4, 4},
                             {7, 2, 5},
                             {0, 3, 2}}) {
    cases.push_back(OpCase::Of(ToString(sizes),
                               {{.shape = {sizes[0], sizes[2]}}, {.shape = {sizes[1], sizes[2]}}},
                               [](VariableSpan x) { return SquaredDistances(x[0], x[1]); }));
  }
  return cases;
}
// [/squared_distances]

// [check_function]
TEST(MyOps, HaveTheDerivativesOfTheirValues) {
  Generator rng(1);
  const Variable x = Uniform({3, 4}, rng, 0.5, 2, DType::kFloat64);
  const GradientReport report = CheckGradients(
      [](VariableSpan in) { return Squareplus(Diff(LambertW(in[0]), -1)); }, {&x, 1});
  EXPECT_TRUE(report.ok) << report.text;
}
// [/check_function]

// [check_ops]
TEST(MyOps, PassTheChecksOfTheGradientTable) {
  for (const char* op : {"lambert_w", "diff", "squared_distances"}) {
    EXPECT_EQ(gradient_table::CheckOp(op), "") << op;
  }
}
// [/check_ops]

TEST(CustomOps, ValuesAndGradients) {
  const Variable x = DifferentiableLeaf(Tensor::FromVector(Doubles{0, std::exp(1.0)}));
  EXPECT_NEAR(Values(LambertW(x))[1], 1, 1e-15);
  EXPECT_NEAR(Values(Grad(Sum(LambertW(x)), x))[1], 1 / (2 * std::exp(1.0)), 1e-15);
  EXPECT_EQ(Values(Diff(Tensor::FromVector(Doubles{1, 4, 9}), -1)), (Doubles{3, 5}));
  EXPECT_EQ(Diff(Tensor::Ones({3}, DType::kBool), 0).dtype(), DType::kInt64);
  const Tensor a = Tensor::FromVector(std::vector<float>{0, 0, 3, 4}, {2, 2});
  EXPECT_EQ(Values(SquaredDistances(a, a)), (Doubles{0, 25, 25, 0}));
  EXPECT_EQ(Values(Squareplus(Tensor::FromVector(Doubles{0, 1.5}))), (Doubles{1, 2}));
}

std::string Thrown(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.has_place() ? error.op() + ": " + error.message() : "no place";
  }
  return "nothing";
}

TEST(CustomOps, Errors) {
  EXPECT_EQ(Thrown([] { Diff(Tensor::Ones({2, 0}), 1); }), "diff: axis 1 is empty: [2,0]");
  EXPECT_EQ(Thrown([] { Diff(Tensor::Ones({2}), 1); }), "diff: axis 1 is out of range for rank 1");
  EXPECT_EQ(Thrown([] {
              SquaredDistances(Tensor::Ones({2, 3}), Tensor::Ones({2, 4}));
            }),
            "squared_distances: of [N, D] and [M, D], not of [2,3] and [2,4]");
}

}  // namespace
}  // namespace wengert

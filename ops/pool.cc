// 2-d pooling, channels last. Max-pooling leaves the winners' positions as a residual; given these,
// its gradient and the picking of values at the winners are linear and adjoint to each other.
#include "ops/kernels/pool.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

using Geometry = Pool2dGeometry;

Shape InputShape(const Geometry& g) { return {g.batch, g.in_h, g.in_w, g.channels}; }
Shape OutputShape(const Geometry& g) { return {g.batch, g.out_h, g.out_w, g.channels}; }

// dx from the cotangent of the maxima, and the values at the winners: adjoint linear maps.
Variable AddAtWinners(const Geometry& g, const Variable& dy, const Variable& winners);
Variable PickWinners(const Geometry& g, const Variable& x, const Variable& winners);
Variable MeanOfWindows(const Geometry& g, const Variable& x,
                       SourceLocation where = SourceLocation::current());
Variable MeanGradient(const Geometry& g, const Variable& dy);

// x -> maxima; residual: winners
struct MaxPool2dOp : Op<MaxPool2dOp> {
  static constexpr std::string_view kName = "max_pool2d";
  static constexpr Uses kUses = Uses::None();
  static constexpr int kResiduals = 1;
  static constexpr auto kMatch = &internal::MatchBlock;
  Geometry geometry;

  Specs Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], InputShape(geometry));
    const Shape shape = OutputShape(geometry);
    return {{shape, x[0].dtype()}, {shape, WinnerDType(geometry.window)}};
  }
  void Forward(TensorSpan x, absl::Span<Tensor> y) const {
    MaxPool2dKernel(geometry, x[0].Contiguous(), y[0], y[1]);
  }
  Gradients Vjp(VariableSpan, VariableSpan y, VariableSpan dy, Needs) const {
    return {AddAtWinners(geometry, dy[0], y[1])};
  }
  static std::vector<OpCase> Cases();
};

// (dy, winners) -> dx
struct MaxPool2dGradientOp : Op<MaxPool2dGradientOp> {
  static constexpr std::string_view kName = "max_pool2d_gradient";
  static constexpr Uses kUses = Uses::Input(1);
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], OutputShape(geometry));
    CheckInputShape(kName, x[1], OutputShape(geometry));
    return {InputShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& dx) const {
    MaxPool2dGradientKernel(geometry, x[0].Contiguous(), x[1].Contiguous(), dx);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& ddx, Needs) const {
    return {PickWinners(geometry, ddx, x[1]), Variable()};
  }
  static std::vector<OpCase> Cases();
};

// (x, winners) -> x at the winners
struct MaxPool2dPickOp : Op<MaxPool2dPickOp> {
  static constexpr std::string_view kName = "max_pool2d_pick";
  static constexpr Uses kUses = Uses::Input(1);
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], InputShape(geometry));
    CheckInputShape(kName, x[1], OutputShape(geometry));
    return {OutputShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    MaxPool2dPickKernel(geometry, x[0].Contiguous(), x[1].Contiguous(), y);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {AddAtWinners(geometry, dy, x[1]), Variable()};
  }
  static std::vector<OpCase> Cases();
};

// x -> means
struct AvgPool2dOp : Op<AvgPool2dOp> {
  static constexpr std::string_view kName = "avg_pool2d";
  static constexpr Uses kUses = Uses::None();
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], InputShape(geometry));
    return {OutputShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { AvgPool2dKernel(geometry, x[0].Contiguous(), y); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {MeanGradient(geometry, dy)};
  }
  static std::vector<OpCase> Cases();
};

// dy -> dx
struct AvgPool2dGradientOp : Op<AvgPool2dGradientOp> {
  static constexpr std::string_view kName = "avg_pool2d_gradient";
  static constexpr Uses kUses = Uses::None();
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], OutputShape(geometry));
    return {InputShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan dy, Tensor& dx) const {
    AvgPool2dGradientKernel(geometry, dy[0].Contiguous(), dx);
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& ddx, Needs) const {
    return {MeanOfWindows(geometry, ddx)};
  }
  static std::vector<OpCase> Cases();
};

Variable AddAtWinners(const Geometry& g, const Variable& dy, const Variable& winners) {
  return Apply(MaxPool2dGradientOp{.geometry = g}, {dy, winners});
}
Variable PickWinners(const Geometry& g, const Variable& x, const Variable& winners) {
  return Apply(MaxPool2dPickOp{.geometry = g}, {x, winners});
}
Variable MeanOfWindows(const Geometry& g, const Variable& x, SourceLocation where) {
  return Apply(AvgPool2dOp{.geometry = g}, {x}, where);
}
Variable MeanGradient(const Geometry& g, const Variable& dy) {
  return Apply(AvgPool2dGradientOp{.geometry = g}, {dy});
}

// ---- Geometry ----

// One axis: how many windows, and the padding before the first pixel.
void ResolveAxis(Padding::Mode mode, int64_t in, int64_t window, int64_t stride, int64_t& before,
                 int64_t after, int64_t& out) {
  if (mode == Padding::kSame) {
    out = (in + stride - 1) / stride;
    before = std::max<int64_t>((out - 1) * stride + window - in, 0) / 2;
  } else {
    out = (in + before + after - window) / stride + 1;
  }
}

Geometry MakeGeometry(std::string_view op, const Shape& x, const Pool2dOptions& options) {
  const auto fail = [op](const auto&... parts) { throw Error(op, absl::StrCat(parts...)); };
  constexpr int64_t kMaxStride = int64_t{1} << 31;
  const int64_t window = options.window;
  const int64_t stride = options.stride == 0 ? window : options.stride;
  Padding padding = options.padding;
  if (padding.mode == Padding::kValid) padding = {};
  if (x.rank() != 4) fail("x ", ToString(x), " is not [N, H, W, C]");
  if (window < 1 || window > kMaxPoolWindow) {
    fail("window ", window, " is not in [1, ", kMaxPoolWindow, "]");
  }
  if (stride < 1 || stride > kMaxStride) fail("stride ", stride, " is not in [1, 2^31]");
  if (padding.mode == Padding::kExplicit) {
    for (const int64_t pixels : {padding.top, padding.left, padding.bottom, padding.right}) {
      // Or else a window could be all padding, and have neither a maximum nor a mean.
      if (pixels < 0 || pixels >= window) {
        fail("padding ", pixels, " is not in [0, ", window - 1, "], for window ", window);
      }
    }
    const Shape padded{x[0], x[1] + padding.top + padding.bottom,
                       x[2] + padding.left + padding.right, x[3]};
    if (window > padded[1] || window > padded[2]) {
      fail("window ", window, " larger than padded input ", ToString(padded));
    }
  } else if (padding.mode == Padding::kValid && (window > x[1] || window > x[2])) {
    fail("window ", window, " larger than padded input ", ToString(x));
  }
  Geometry g{.batch = x[0], .in_h = x[1], .in_w = x[2], .channels = x[3]};
  g.window = window;
  g.stride = stride;
  g.pad_top = padding.top;
  g.pad_left = padding.left;
  ResolveAxis(padding.mode, g.in_h, window, stride, g.pad_top, padding.bottom, g.out_h);
  ResolveAxis(padding.mode, g.in_w, window, stride, g.pad_left, padding.right, g.out_w);
  CheckedNumElements(OutputShape(g), op);
  return g;
}

// The geometry, and x in a floating dtype.
std::pair<Geometry, Variable> Prepare(std::string_view op, const Variable& x,
                                      const Pool2dOptions& options, SourceLocation where) {
  try {
    return {MakeGeometry(op, x.shape(), options),
            IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where)};
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
}

// ---- Cases ----

struct PoolCase {
  const char* name;
  Shape x;
  Pool2dOptions options = {};
};

std::vector<PoolCase> PoolCases() {
  const Padding same = Padding::Same();
  return {
      {"2x2", {2, 4, 6, 2}},
      {"2x2, last row and column unread", {1, 5, 7, 3}},
      {"overlapping", {1, 5, 6, 2}, {.window = 3, .stride = 1}},
      {"overlapping, stride 2", {2, 7, 6, 2}, {.window = 3, .stride = 2}},
      {"same, odd padding at the end", {1, 6, 5, 3}, {.window = 3, .stride = 2, .padding = same}},
      {"same, stride 1, even window", {1, 4, 5, 1}, {.window = 2, .stride = 1, .padding = same}},
      {"stride beyond the window", {1, 8, 7, 2}, {.window = 2, .stride = 3}},
      {"window 1", {2, 3, 3, 2}, {.window = 1}},
      {"pixels",
       {1, 5, 4, 2},
       {.window = 3, .stride = 2, .padding = {Padding::kExplicit, 2, 0, 1, 2}}},
      {"global", {3, 4, 4, 3}, {.window = 4}},
      {"batch 0", {0, 4, 4, 2}},
      {"whole vectors of channels", {1, 3, 3, 17}, {.window = 2, .stride = 1}},
      {"large window, same", {1, 3, 4, 1}, {.window = 18, .stride = 2, .padding = same}},
  };
}

// One case for each geometry, of inputs of the given shape.
template <class F>
std::vector<OpCase> MakeCases(Shape (*shape)(const Geometry&), bool linear, F f) {
  std::vector<OpCase> cases;
  for (const PoolCase& c : PoolCases()) {
    const Geometry g = MakeGeometry("pool", c.x, c.options);
    cases.push_back(
        OpCase::Of(c.name, {{.shape = shape(g)}}, [g, f](VariableSpan x) { return f(g, x[0]); }));
    cases.back().linear = linear;
  }
  return cases;
}

// Winners of fixed values without a pattern.
Variable SampleWinners(const Geometry& g) {
  const Shape shape = InputShape(g);
  std::vector<double> values(NumElements(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 19);
  return Output(Apply(MaxPool2dOp{.geometry = g}, {Tensor::FromVector(values, shape)}), 1);
}

std::vector<OpCase> MaxPool2dOp::Cases() {
  return MakeCases(&InputShape, false, [](const Geometry& g, const Variable& x) {
    return Apply(MaxPool2dOp{.geometry = g}, {x});
  });
}
std::vector<OpCase> MaxPool2dGradientOp::Cases() {
  return MakeCases(&OutputShape, true, [](const Geometry& g, const Variable& dy) {
    return AddAtWinners(g, dy, SampleWinners(g));
  });
}
std::vector<OpCase> MaxPool2dPickOp::Cases() {
  return MakeCases(&InputShape, true, [](const Geometry& g, const Variable& x) {
    return PickWinners(g, x, SampleWinners(g));
  });
}
std::vector<OpCase> AvgPool2dOp::Cases() {
  return MakeCases(&InputShape, true,
                   [](const Geometry& g, const Variable& x) { return MeanOfWindows(g, x); });
}
std::vector<OpCase> AvgPool2dGradientOp::Cases() {
  return MakeCases(&OutputShape, true, &MeanGradient);
}

}  // namespace

namespace internal {

const Pool2dGeometry* AsMaxPool2d(const Node& node) {
  return node.op == &kOpTable<MaxPool2dOp> ? &node.attributes_as<MaxPool2dOp>().geometry : nullptr;
}

}  // namespace internal

Variable MaxPool2d(const Variable& x, const Pool2dOptions& options, SourceLocation where) {
  const auto [geometry, input] = Prepare(MaxPool2dOp::kName, x, options, where);
  return Apply(MaxPool2dOp{.geometry = geometry}, {input}, where);
}

Variable AvgPool2d(const Variable& x, const Pool2dOptions& options, SourceLocation where) {
  const auto [geometry, input] = Prepare(AvgPool2dOp::kName, x, options, where);
  return MeanOfWindows(geometry, input, where);
}

}  // namespace wengert

// Pooling, channels last: of windows of images, and of sequences as images of one row. Max-pooling
// leaves the winners' positions as a residual; given these, its gradient and the picking of values
// at the winners are linear and adjoint to each other.
#include "ops/kernels/pool.h"

#include <algorithm>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/axis_windows.h"
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
Variable Maxima(const Geometry& g, const Variable& x);
Variable MeanOfWindows(const Geometry& g, const Variable& x);
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
Variable Maxima(const Geometry& g, const Variable& x) {
  return Apply(MaxPool2dOp{.geometry = g}, {x});
}
Variable MeanOfWindows(const Geometry& g, const Variable& x) {
  return Apply(AvgPool2dOp{.geometry = g}, {x});
}
Variable MeanGradient(const Geometry& g, const Variable& dy) {
  return Apply(AvgPool2dGradientOp{.geometry = g}, {dy});
}

// ---- Geometry ----

// One axis: how many windows, and the padding before the first pixel.
constexpr int64_t kMaxStride = int64_t{1} << 31;

// x: [N, H, W, C] with axes = 2, or [N, T, C] with axes = 1: images of one row.
Geometry MakeGeometry(std::string_view op, int axes, const Shape& x, const Pool2dOptions& options) {
  const auto fail = [op](const auto&... parts) { throw Error(op, absl::StrCat(parts...)); };
  const int64_t window = options.window;
  const int64_t stride = options.stride == 0 ? window : options.stride;
  Padding padding = options.padding;
  if (padding.mode == Padding::kCausal) fail("causal padding is for conv1d alone");
  if (padding.mode == Padding::kValid) padding = {};
  if (x.rank() != axes + 2) {
    fail("x ", ToString(x), axes == 2 ? " is not [N, H, W, C]" : " is not [N, T, C]");
  }
  if (window < 1 || window > kMaxPoolWindow) {
    fail("window ", window, " is not in [1, ", kMaxPoolWindow, "]");
  }
  if (stride < 1 || stride > kMaxStride) fail("stride ", stride, " is not in [1, 2^31]");
  Shape padded = x;
  if (padding.mode == Padding::kExplicit) {
    for (const int64_t pixels : {padding.top, padding.left, padding.bottom, padding.right}) {
      // Or else a window could be all padding, and have neither a maximum nor a mean.
      if (pixels < 0 || pixels >= window) {
        fail("padding ", pixels, " is not in [0, ", window - 1, "], for window ", window);
      }
    }
    if (axes == 2) padded[1] += padding.top + padding.bottom;
    padded[axes] += padding.left + padding.right;
  }
  if (padding.mode != Padding::kSame && (window > padded[1] || window > padded[axes])) {
    fail("window ", window, " larger than padded input ", ToString(padded));
  }
  Geometry g{.batch = x[0],
             .in_h = axes == 2 ? x[1] : 1,
             .in_w = x[axes],
             .channels = x[axes + 1],
             .out_h = 1};
  g.window = window;
  g.stride = stride;
  if (axes == 2) {
    const auto rows =
        internal::WindowsAlong(padding.mode, g.in_h, window, stride, padding.top, padding.bottom);
    g.out_h = rows.count, g.pad_top = rows.before;
  }
  const auto columns =
      internal::WindowsAlong(padding.mode, g.in_w, window, stride, padding.left, padding.right);
  g.out_w = columns.count, g.pad_left = columns.before;
  CheckedNumElements(OutputShape(g), op);
  return g;
}

// The largest window of an adaptive axis: of so many outputs, in / out and a part of a pixel at
// each end.
int64_t LargestWindow(int64_t in, int64_t out) { return (in + out - 1) / out + (in % out != 0); }

Geometry AdaptiveGeometry(std::string_view op, const Shape& x, int64_t height, int64_t width) {
  const auto fail = [op](const auto&... parts) { throw Error(op, absl::StrCat(parts...)); };
  if (x.rank() != 4) fail("x ", ToString(x), " is not [N, H, W, C]");
  if (x[1] == 0 || x[2] == 0) fail("x ", ToString(x), " has no pixels");
  for (const int64_t side : {height, width}) {
    if (side < 1 || side > kMaxStride) {
      fail("height ", height, " and width ", width, " are not in [1, 2^31]");
    }
  }
  Geometry g{
      .batch = x[0], .in_h = x[1], .in_w = x[2], .channels = x[3], .out_h = height, .out_w = width};
  g.window = std::max(LargestWindow(x[1], height), LargestWindow(x[2], width));
  g.stride = 0;
  CheckedNumElements(OutputShape(g), op);
  if (g.window > kMaxPoolWindow) {
    fail("windows of up to ", g.window, " pixels a side, beyond ", kMaxPoolWindow, ": x ",
         ToString(x), " to height ", height, " and width ", width);
  }
  return g;
}

// f(x) with x in a floating dtype. Errors name the caller's line.
Variable Record(std::string_view op, const Variable& x, SourceLocation where,
                absl::FunctionRef<Variable(std::string_view op, const Variable& x)> f) {
  const WhereScope scope(where, op);
  try {
    return f(op, IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where));
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
}

// ---- Cases ----

struct PoolCase {
  const char* name;
  Shape x;
  Pool2dOptions options = {};
  int64_t height = 0, width = 0;  // of an adaptive one's result

  Geometry geometry() const {
    return height ? AdaptiveGeometry("pool", x, height, width)
                  : MakeGeometry("pool", x.rank() - 2, x, options);
  }
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
      {"steps", {2, 7, 3}, {.window = 3, .stride = 2}},
      {"steps, same", {1, 6, 2}, {.window = 3, .stride = 1, .padding = same}},
      {"adaptive, dividing", {2, 4, 6, 2}, {}, 2, 2},
      {"adaptive, overlapping", {1, 5, 7, 2}, {}, 3, 2},
      {"adaptive, larger than x", {1, 2, 3, 1}, {}, 5, 4},
      {"adaptive, batch 0", {0, 3, 4, 2}, {}, 2, 3},
  };
}

// One case for each geometry, of inputs of the given shape.
template <class F>
std::vector<OpCase> MakeCases(Shape (*shape)(const Geometry&), bool linear, F f) {
  std::vector<OpCase> cases;
  for (const PoolCase& c : PoolCases()) {
    const Geometry g = c.geometry();
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
  return Output(Maxima(g, Tensor::FromVector(values, shape)), 1);
}

std::vector<OpCase> MaxPool2dOp::Cases() { return MakeCases(&InputShape, false, &Maxima); }
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
std::vector<OpCase> AvgPool2dOp::Cases() { return MakeCases(&InputShape, true, &MeanOfWindows); }
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
  return Record("max_pool2d", x, where, [&](std::string_view op, const Variable& x) {
    return Maxima(MakeGeometry(op, 2, x.shape(), options), x);
  });
}
Variable AvgPool2d(const Variable& x, const Pool2dOptions& options, SourceLocation where) {
  return Record("avg_pool2d", x, where, [&](std::string_view op, const Variable& x) {
    return MeanOfWindows(MakeGeometry(op, 2, x.shape(), options), x);
  });
}

Variable MaxPool1d(const Variable& x, const Pool2dOptions& options, SourceLocation where) {
  return Record("max_pool1d", x, where, [&](std::string_view op, const Variable& x) {
    const Geometry g = MakeGeometry(op, 1, x.shape(), options);
    return Squeeze(Maxima(g, Unsqueeze(x, 1)), 1);
  });
}
Variable AvgPool1d(const Variable& x, const Pool2dOptions& options, SourceLocation where) {
  return Record("avg_pool1d", x, where, [&](std::string_view op, const Variable& x) {
    const Geometry g = MakeGeometry(op, 1, x.shape(), options);
    return Squeeze(MeanOfWindows(g, Unsqueeze(x, 1)), 1);
  });
}

Variable AdaptiveMaxPool2d(const Variable& x, int64_t height, int64_t width, SourceLocation where) {
  return Record("adaptive_max_pool2d", x, where, [&](std::string_view op, const Variable& x) {
    return Maxima(AdaptiveGeometry(op, x.shape(), height, width), x);
  });
}
Variable AdaptiveAvgPool2d(const Variable& x, int64_t height, int64_t width, SourceLocation where) {
  return Record("adaptive_avg_pool2d", x, where, [&](std::string_view op, const Variable& x) {
    return MeanOfWindows(AdaptiveGeometry(op, x.shape(), height, width), x);
  });
}

}  // namespace wengert

// The windows of a convolution as rows of a matrix (im2col), and the adjoint (col2im).
#include "ops/kernels/windows.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/axis_windows.h"
#include "ops/place.h"

namespace wengert {
namespace {

using Geometry = WindowGeometry;

Shape ImageShape(const Geometry& g) { return {g.batch, g.in_h, g.in_w, g.channels}; }
Shape WindowsShape(const Geometry& g) {
  return {g.batch, g.out_h, g.out_w, g.window_h * g.window_w * g.channels};
}

Variable UnfoldImage(const Geometry& g, const Variable& x);
Variable FoldWindows(const Geometry& g, const Variable& windows);

struct UnfoldOp : Op<UnfoldOp> {
  static constexpr std::string_view kName = "unfold";
  static constexpr Uses kUses = Uses::None();
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], ImageShape(geometry));
    return {WindowsShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { UnfoldKernel(geometry, x[0].Contiguous(), y); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {FoldWindows(geometry, dy)};
  }
  static std::vector<OpCase> Cases();
};

struct FoldOp : Op<FoldOp> {
  static constexpr std::string_view kName = "fold";
  static constexpr Uses kUses = Uses::None();
  Geometry geometry;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], WindowsShape(geometry));
    if (x[0].dtype() == DType::kBool) throw Error(kName, "bools cannot be added up");
    return {ImageShape(geometry), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const { FoldKernel(geometry, x[0].Contiguous(), y); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {UnfoldImage(geometry, dy)};
  }
  static std::vector<OpCase> Cases();
};

Variable UnfoldImage(const Geometry& g, const Variable& x) {
  return Apply(UnfoldOp{.geometry = g}, {x});
}
Variable FoldWindows(const Geometry& g, const Variable& windows) {
  return Apply(FoldOp{.geometry = g}, {windows});
}

// ---- Geometry ----

// Beyond, window arithmetic could overflow; no tensor is that large.
constexpr int64_t kMaxStep = int64_t{1} << 31;
constexpr int64_t kMaxWindow = int64_t{1} << 15;

// Of windows over `image`, which is [N, H, W, C].
Geometry MakeGeometry(std::string_view op, const Shape& image, const UnfoldOptions& options) {
  const auto check = [op](const char* name, int64_t value, int64_t lowest, int64_t highest) {
    if (value < lowest || value > highest) {
      throw Error(op, absl::StrCat(name, " ", value, " is not in [", lowest, ", ", highest, "]"));
    }
  };
  check("window height", options.window_h, 1, kMaxWindow);
  check("window width", options.window_w, 1, kMaxWindow);
  check("stride", options.stride, 1, kMaxStep);
  check("dilation", options.dilation, 1, kMaxStep);
  check("image height", image[1], 0, kMaxStep);
  check("image width", image[2], 0, kMaxStep);
  Padding padding = options.padding;
  if (padding.mode == Padding::kCausal) throw Error(op, "causal padding is for conv1d alone");
  if (padding.mode != Padding::kExplicit) padding = {.mode = padding.mode};
  for (const int64_t pixels : {padding.top, padding.left, padding.bottom, padding.right}) {
    check("padding", pixels, 0, kMaxStep);
  }
  const int64_t span_h = (options.window_h - 1) * options.dilation + 1;
  const int64_t span_w = (options.window_w - 1) * options.dilation + 1;
  const auto rows = internal::WindowsAlong(padding.mode, image[1], span_h, options.stride,
                                           padding.top, padding.bottom);
  const auto columns = internal::WindowsAlong(padding.mode, image[2], span_w, options.stride,
                                              padding.left, padding.right);
  if (padding.mode != Padding::kSame && (rows.count == 0 || columns.count == 0)) {
    throw Error(op, absl::StrCat("windows of ", span_h, " x ", span_w,
                                 " pixels are larger than the padded ", ToString(image)));
  }
  const Geometry g{.batch = image[0],
                   .in_h = image[1],
                   .in_w = image[2],
                   .channels = image[3],
                   .out_h = rows.count,
                   .out_w = columns.count,
                   .window_h = options.window_h,
                   .window_w = options.window_w,
                   .stride = options.stride,
                   .dilation = options.dilation,
                   .pad_top = rows.before,
                   .pad_left = columns.before};
  const Shape all{g.batch, g.out_h, g.out_w, g.window_h, g.window_w, g.channels};
  CheckedNumElements(all, op);
  return g;
}

// ---- Cases ----

template <class F>
std::vector<OpCase> MakeCases(Shape (*shape)(const Geometry&), F f) {
  const Padding same = Padding::Same();
  const struct {
    const char* name;
    Shape x;
    UnfoldOptions options;
  } list[] = {
      {"1x1", {2, 3, 2, 3}, {}},
      {"3x3", {2, 4, 5, 2}, {.window_h = 3, .window_w = 3}},
      {"2x3", {1, 3, 4, 1}, {.window_h = 2, .window_w = 3}},
      {"stride 2", {1, 6, 5, 2}, {.window_h = 3, .window_w = 2, .stride = 2}},
      {"stride beyond the window", {1, 7, 8, 1}, {.window_h = 2, .window_w = 2, .stride = 3}},
      {"dilation 2", {1, 6, 5, 2}, {.window_h = 3, .window_w = 2, .dilation = 2}},
      {"same", {1, 4, 5, 2}, {.window_h = 2, .window_w = 4, .padding = same}},
      {"same, stride 2",
       {1, 6, 5, 1},
       {.window_h = 3, .window_w = 3, .stride = 2, .padding = same}},
      {"same, larger than x", {1, 2, 2, 1}, {.window_h = 5, .window_w = 3, .padding = same}},
      {"pixels",
       {1, 3, 4, 1},
       {.window_h = 3, .window_w = 3, .padding = {Padding::kExplicit, 2, 0, 1, 3}}},
      {"all at once",
       {2, 7, 6, 3},
       {.window_h = 2, .window_w = 3, .stride = 2, .dilation = 2, .padding = Padding::Pixels(1)}},
      {"all of x", {2, 3, 4, 2}, {.window_h = 3, .window_w = 4}},
      {"batch 0", {0, 4, 4, 2}, {.window_h = 3, .window_w = 3}},
      {"no channels", {2, 4, 4, 0}, {.window_h = 3, .window_w = 3}},
  };
  std::vector<OpCase> cases;
  for (const auto& [name, x, options] : list) {
    const Geometry g = MakeGeometry("unfold", x, options);
    cases.push_back(
        OpCase::Linear(name, {shape(g)}, [g, f](VariableSpan v) { return f(g, v[0]); }));
  }
  return cases;
}

std::vector<OpCase> UnfoldOp::Cases() { return MakeCases(&ImageShape, &UnfoldImage); }
std::vector<OpCase> FoldOp::Cases() { return MakeCases(&WindowsShape, &FoldWindows); }

}  // namespace

Variable Unfold(const Variable& x, const UnfoldOptions& options, SourceLocation where) {
  return internal::Placed("unfold", {&x, 1}, where, [&] {
    if (x.rank() != 4) {
      throw Error("unfold", absl::StrCat("x ", ToString(x.shape()), " is not [N, H, W, C]"));
    }
    return UnfoldImage(MakeGeometry("unfold", x.shape(), options), x);
  });
}

Variable Fold(const Variable& windows, int64_t height, int64_t width, const UnfoldOptions& options,
              SourceLocation where) {
  return internal::Placed("fold", {&windows, 1}, where, [&] {
    const Shape& shape = windows.shape();
    if (shape.rank() != 4) {
      throw Error("fold", absl::StrCat("the windows ", ToString(shape), " are not [N, H', W', ",
                                       "window_h * window_w * C]"));
    }
    // C is what the windows' last axis says. MakeGeometry throws if the options are no window.
    const int64_t taps = std::clamp<int64_t>(options.window_h, 1, kMaxWindow) *
                         std::clamp<int64_t>(options.window_w, 1, kMaxWindow);
    const Geometry g = MakeGeometry("fold", {shape[0], height, width, shape[3] / taps}, options);
    if (WindowsShape(g) != shape) {
      throw Error("fold", absl::StrCat("[", shape[0], ",", height, ",", width, ",C] has windows ",
                                       "[", g.batch, ",", g.out_h, ",", g.out_w, ",", taps,
                                       " * C], not ", ToString(shape)));
    }
    return FoldWindows(g, windows);
  });
}

}  // namespace wengert

// Resizing of images, one axis after the other. Interpolation along an axis is linear and stands
// beside its adjoint.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/kernels/interpolate.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// What both ops hold. The axis has `in` pixels in x and `out` in y.
struct Line {
  bool nearest;
  int axis;
  int64_t in, out;

  static Shape With(Shape shape, int axis, int64_t length) {
    shape[axis] = length;
    return shape;
  }
  void Check(std::string_view op, const Variable& given, int64_t length) const {
    if (given.rank() <= axis) {
      throw Error(op, absl::StrCat(ToString(given.shape()), " has no axis ", axis));
    }
    CheckInputShape(op, given, With(given.shape(), axis, length));
  }
};
Variable Interpolate(const Line& line, const Variable& x);
Variable InterpolateGradient(const Line& line, const Variable& dy);
std::vector<OpCase> LineCases(bool gradient);

struct InterpolateOp : Op<InterpolateOp> {
  static constexpr std::string_view kName = "interpolate";
  static constexpr Uses kUses = Uses::None();
  Line line;

  Spec Infer(VariableSpan x) const {
    line.Check(kName, x[0], line.in);
    return {Line::With(x[0].shape(), line.axis, line.out), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    InterpolateKernel(line.nearest, line.axis, x[0].Contiguous(), y);
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {InterpolateGradient(line, dy)};
  }
  static std::vector<OpCase> Cases() { return LineCases(false); }
};

struct InterpolateGradientOp : Op<InterpolateGradientOp> {
  static constexpr std::string_view kName = "interpolate_gradient";
  static constexpr Uses kUses = Uses::None();
  Line line;

  Spec Infer(VariableSpan dy) const {
    line.Check(kName, dy[0], line.out);
    return {Line::With(dy[0].shape(), line.axis, line.in), dy[0].dtype()};
  }
  void Forward(TensorSpan dy, Tensor& dx) const {
    InterpolateGradientKernel(line.nearest, line.axis, dy[0].Contiguous(), dx);
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& ddx, Needs) const {
    return {Interpolate(line, ddx)};
  }
  static std::vector<OpCase> Cases() { return LineCases(true); }
};

Variable Interpolate(const Line& line, const Variable& x) {
  return Apply(InterpolateOp{.line = line}, {x});
}
Variable InterpolateGradient(const Line& line, const Variable& dy) {
  return Apply(InterpolateGradientOp{.line = line}, {dy});
}

std::vector<OpCase> LineCases(bool gradient) {
  const struct {
    Shape shape;  // of x
    int axis;
    int64_t out;
  } list[] = {{{5}, 0, 9},           {{1}, 0, 4},          {{4, 3}, 0, 1},
              {{3, 4}, 1, 3},        {{2, 3, 2}, 1, 6},    {{2, 7, 3}, 1, 4},
              {{1, 2, 3, 17}, 2, 5}, {{2, 5, 2, 2}, 1, 2}, {{0, 2, 2, 1}, 1, 4},
              {{2, 2, 3, 0}, 2, 2}};
  std::vector<OpCase> cases;
  for (const auto& [shape, axis, out] : list) {
    for (const bool nearest : {false, true}) {
      const Line line{.nearest = nearest, .axis = axis, .in = shape[axis], .out = out};
      cases.push_back(OpCase::Linear(
          absl::StrCat(ToString(shape), " axis ", axis, " to ", out, nearest ? " nearest" : ""),
          {gradient ? Line::With(shape, axis, out) : shape}, [line, gradient](VariableSpan x) {
            return gradient ? InterpolateGradient(line, x[0]) : Interpolate(line, x[0]);
          }));
    }
  }
  return cases;
}

void Check(const Shape& x, int64_t height, int64_t width) {
  const auto fail = [](const auto&... parts) { throw Error("resize", absl::StrCat(parts...)); };
  // Beyond, places could overflow; no image is that large.
  constexpr int64_t kMaxSide = int64_t{1} << 30;
  if (x.rank() != 4) fail("x ", ToString(x), " is not [N, H, W, C]");
  if (x[1] == 0 || x[2] == 0) fail("x ", ToString(x), " has no pixels");
  for (const int64_t side : {height, width, x[1], x[2]}) {
    if (side < 1 || side > kMaxSide) {
      fail("x ", ToString(x), " to height ", height, " and width ", width,
           ": a side is not in [1, 2^30]");
    }
  }
  CheckedNumElements({x[0], height, width, x[3]}, "resize");
}

}  // namespace

Variable Resize(const Variable& x, int64_t height, int64_t width, Interpolation interpolation,
                SourceLocation where) {
  const WhereScope scope(where, "resize");
  try {
    Check(x.shape(), height, width);
    const bool nearest = interpolation == Interpolation::kNearest;
    Variable y = nearest || IsFloating(x.dtype()) ? x : Cast(x, DType::kFloat32, where);
    // Rows last if they become more, first if fewer: what stands between the two is then small.
    const int first = height > x.dim(1) ? 2 : 1;
    for (const int axis : {first, 3 - first}) {
      const Line line{nearest, axis, x.dim(axis), axis == 1 ? height : width};
      if (line.in != line.out) y = Interpolate(line, y);
    }
    return y;
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&x, 1}, where);
  }
}

}  // namespace wengert

// The geometry of convolutions: output sizes, padding, and what is wrong with a call.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "ops/axis_windows.h"
#include "ops/conv.h"

namespace wengert::internal {
namespace {

// Beyond, window arithmetic could overflow; no tensor is that large.
constexpr int64_t kMaxStep = int64_t{1} << 31;

template <class... Parts>
[[noreturn]] void Fail(std::string_view op, const Parts&... parts) {
  throw Error(op, absl::StrCat(parts...));
}

void CheckStep(std::string_view op, const char* name, int64_t value, int64_t lowest) {
  if (value < lowest || value > kMaxStep) {
    Fail(op, name, " ", value, " is not in [", lowest, ", 2^31]");
  }
}

// The axes that one convolves along, as those of an image: of a sequence, an image of one row, the
// only one is the width.
struct Sides {
  int64_t height, width;
};
Sides SidesOf(const Shape& image, int first, int axes) {
  return axes == 2 ? Sides{image[first], image[first + 1]} : Sides{1, image[first]};
}

// Ranks and options, and what both directions take from them: strides, spans and groups, and of
// `padding` the pixels that are given.
Conv2dGeometry CheckedWindows(std::string_view op, int axes, const Shape& x, const Shape& kernel,
                              const Conv2dOptions& o, const char* kernel_axes) {
  const Padding& padding = o.padding;
  if (x.rank() != axes + 2) {
    Fail(op, "x ", ToString(x), " is not ", axes == 2 ? "[N, H, W, C]" : "[N, T, C]");
  }
  if (kernel.rank() != axes + 2) {
    Fail(op, "kernel ", ToString(kernel), " is not [", axes == 2 ? "kh, kw, " : "k, ", kernel_axes,
         "]");
  }
  CheckStep(op, "stride", o.stride, 1);
  CheckStep(op, "dilation", o.dilation, 1);
  CheckStep(op, "groups", o.groups, 1);
  for (const int64_t pixels : {padding.top, padding.left, padding.bottom, padding.right}) {
    CheckStep(op, "padding", pixels, 0);
  }
  const Sides sides = SidesOf(kernel, 0, axes);
  if (axes == 2) CheckStep(op, "kernel height", sides.height, 1);
  CheckStep(op, axes == 2 ? "kernel width" : "kernel length", sides.width, 1);

  Conv2dGeometry g{.batch = x[0],
                   .kernel_h = sides.height,
                   .kernel_w = sides.width,
                   .stride_w = o.stride,
                   .dilation_w = o.dilation,
                   .groups = o.groups};
  if (axes == 2) g.stride_h = o.stride, g.dilation_h = o.dilation;
  if (padding.mode == Padding::kExplicit) {
    if (axes == 2) g.pad_top = padding.top, g.pad_bottom = padding.bottom;
    g.pad_left = padding.left, g.pad_right = padding.right;
  }
  return g;
}

int64_t SpanH(const Conv2dGeometry& g) { return (g.kernel_h - 1) * g.dilation_h + 1; }
int64_t SpanW(const Conv2dGeometry& g) { return (g.kernel_w - 1) * g.dilation_w + 1; }

// One axis: the padding before and after, unless it is given, and the output's length.
void ResolveAxis(Padding::Mode mode, int64_t in, int64_t span, int64_t stride, int64_t& before,
                 int64_t& after, int64_t& out) {
  const auto windows = internal::WindowsAlong(mode, in, span, stride, before, after);
  out = windows.count;
  before = windows.before;
  after = windows.after;
}

// The same where `out` is given and `in` is wanted: one of the lengths that give `out`.
void ResolveTransposedAxis(Padding::Mode mode, int64_t out, int64_t span, int64_t stride,
                           int64_t output_padding, int64_t& before, int64_t& after, int64_t& in) {
  const int64_t overlap = std::max<int64_t>(span - stride, 0);
  if (mode == Padding::kExplicit) {
    in = (out - 1) * stride + span - before - after + output_padding;
  } else if (mode == Padding::kSame) {
    in = out * stride;
    before = overlap / 2;
    after = overlap - before;
  } else {
    in = out * stride + overlap;
  }
}

Shape ImageShape(int axes, int64_t batch, const Sides& sides, int64_t channels) {
  return axes == 2 ? Shape{batch, sides.height, sides.width, channels}
                   : Shape{batch, sides.width, channels};
}

}  // namespace

Conv2dGeometry ConvGeometry(std::string_view op, int axes, const Shape& x, const Shape& kernel,
                            const Conv2dOptions& o) {
  Conv2dGeometry g = CheckedWindows(op, axes, x, kernel, o, "in / groups, out");
  const int64_t channels = x[axes + 1], taken = kernel[axes], out = kernel[axes + 1];
  const Padding::Mode mode = o.padding.mode;
  if (mode == Padding::kCausal && axes != 1) Fail(op, "causal padding is for conv1d alone");
  if (channels != taken * o.groups) {
    Fail(op, "x ", ToString(x), " has ", channels, " channels, kernel ", ToString(kernel),
         " takes ", taken, " x ", o.groups, o.groups == 1 ? " group" : " groups");
  }
  if (out % o.groups != 0) {
    Fail(op, o.groups, " groups do not divide the ", out, " outputs of kernel ", ToString(kernel));
  }
  const Sides in = SidesOf(x, 1, axes);
  g.in_h = in.height, g.in_w = in.width, g.in_c = channels, g.out_c = out;
  ResolveAxis(axes == 2 ? mode : Padding::kValid, g.in_h, SpanH(g), g.stride_h, g.pad_top,
              g.pad_bottom, g.out_h);
  ResolveAxis(mode, g.in_w, SpanW(g), g.stride_w, g.pad_left, g.pad_right, g.out_w);
  const Sides padded = {g.in_h + g.pad_top + g.pad_bottom, g.in_w + g.pad_left + g.pad_right};
  if ((mode == Padding::kValid || mode == Padding::kExplicit) &&
      (SpanH(g) > padded.height || SpanW(g) > padded.width)) {
    Fail(op, "kernel ", ToString(kernel),
         o.dilation > 1 ? absl::StrCat(" with dilation ", o.dilation) : "",
         " larger than padded input ", ToString(ImageShape(axes, g.batch, padded, g.in_c)));
  }
  CheckedNumElements({g.batch, g.out_h, g.out_w, g.out_c}, op);
  return g;
}

Conv2dGeometry ConvTransposeGeometry(std::string_view op, int axes, const Shape& x,
                                     const Shape& kernel, const ConvTransposeOptions& o) {
  Conv2dGeometry g = CheckedWindows(
      op, axes, x, kernel,
      {.stride = o.stride, .dilation = o.dilation, .groups = o.groups, .padding = o.padding},
      "out / groups, in");
  const int64_t channels = x[axes + 1], given = kernel[axes], taken = kernel[axes + 1];
  const Padding::Mode mode = o.padding.mode;
  if (mode == Padding::kCausal) Fail(op, "causal padding is for conv1d alone");
  if (o.output_padding < 0 || o.output_padding >= o.stride) {
    Fail(op, "output_padding ", o.output_padding, " is not in [0, ", o.stride - 1, "], for stride ",
         o.stride);
  }
  if (o.output_padding > 0 && mode != Padding::kExplicit) {
    Fail(op, "output_padding ", o.output_padding,
         " without explicit padding: the other modes say what the size is");
  }
  if (channels != taken) {
    Fail(op, "x ", ToString(x), " has ", channels, " channels, kernel ", ToString(kernel),
         " takes ", taken);
  }
  if (taken % o.groups != 0) {
    Fail(op, o.groups, " groups do not divide the ", taken, " inputs of kernel ", ToString(kernel));
  }
  const Sides out = SidesOf(x, 1, axes);
  CheckStep(op, "x's longest side", std::max(out.height, out.width), 0);
  g.out_h = out.height, g.out_w = out.width, g.out_c = channels, g.in_c = given * o.groups;
  ResolveTransposedAxis(axes == 2 ? mode : Padding::kValid, g.out_h, SpanH(g), g.stride_h,
                        o.output_padding, g.pad_top, g.pad_bottom, g.in_h);
  ResolveTransposedAxis(mode, g.out_w, SpanW(g), g.stride_w, o.output_padding, g.pad_left,
                        g.pad_right, g.in_w);
  if (mode == Padding::kExplicit && (g.in_h < 1 || g.in_w < 1)) {
    Fail(op, "padding leaves nothing of the result of x ", ToString(x), " and kernel ",
         ToString(kernel), ": ", ToString(ImageShape(axes, g.batch, {g.in_h, g.in_w}, g.in_c)));
  }
  CheckedNumElements({g.batch, g.in_h, g.in_w, g.in_c}, op);
  return g;
}

}  // namespace wengert::internal

// Convolution of images and sequences, channels last: the forward op and its two gradients. Each is
// linear in each of its inputs, and the rule of each is written with the other two, so every order
// exists.
#include "ops/conv.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "autograd/op.h"
#include "ops/kernels/convolution.h"
#include "ops/ops.h"
#include "ops/patterns.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

using Geometry = Conv2dGeometry;
using internal::Convolve;
using internal::ConvolveTransposed;

// ---- float64: plain loops, for checks of gradients ----

// Calls pixel(x offset, y offset) for every pair of an input and an output pixel of image n that
// kernel row kh and column kw connect.
template <class Pixel>
void ForEachPixel(const Geometry& g, int64_t n, int64_t kh, int64_t kw, Pixel pixel) {
  for (int64_t oh = 0; oh < g.out_h; ++oh) {
    const int64_t ih = oh * g.stride_h + kh * g.dilation_h - g.pad_top;
    if (ih < 0 || ih >= g.in_h) continue;
    for (int64_t ow = 0; ow < g.out_w; ++ow) {
      const int64_t iw = ow * g.stride_w + kw * g.dilation_w - g.pad_left;
      if (iw < 0 || iw >= g.in_w) continue;
      pixel(((n * g.in_h + ih) * g.in_w + iw) * g.in_c,
            ((n * g.out_h + oh) * g.out_w + ow) * g.out_c);
    }
  }
}

// Calls row(x, w, y) with the offsets of one input channel, of the kernel's row of weights from it
// to its group's output channels, and of these.
template <class Row>
void ForEachChannel(const Geometry& g, int64_t tap, int64_t x, int64_t y, Row row) {
  const int64_t in = g.in_c / g.groups, out = g.out_c / g.groups;
  for (int64_t group = 0; group < g.groups; ++group) {
    for (int64_t i = 0; i < in; ++i) {
      row(x + group * in + i, (tap * in + i) * g.out_c + group * out, y + group * out);
    }
  }
}

// Every product of the convolutions of image n at tap (kh, kw), as rows of output channels.
template <class Row>
void ForEachRow(const Geometry& g, int64_t n, int64_t tap, Row row) {
  ForEachPixel(g, n, tap / g.kernel_w, tap % g.kernel_w,
               [&](int64_t x, int64_t y) { ForEachChannel(g, tap, x, y, row); });
}

// Calls f(i) for i < count, a few to a task where `products`, of one i, are few.
template <class F>
void ForEach(int64_t count, int64_t products, F f) {
  const int64_t step = 65536 / std::max<int64_t>(products, 1) + 1;
  ParallelFor((count + step - 1) / step, [&](int64_t task) {
    for (int64_t i = task * step; i < std::min((task + 1) * step, count); ++i) f(i);
  });
}

void Convolution(const Geometry& g, const double* x, const double* w, double* y) {
  const int64_t out = g.out_c / g.groups, taps = g.kernel_h * g.kernel_w;
  const int64_t image = g.out_h * g.out_w * g.out_c;
  ForEach(g.batch, image * taps * (g.in_c / g.groups), [&](int64_t n) {
    std::fill_n(y + n * image, image, 0.0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      ForEachRow(g, n, tap, [&](int64_t xi, int64_t wi, int64_t yi) {
        for (int64_t o = 0; o < out; ++o) y[yi + o] += x[xi] * w[wi + o];
      });
    }
  });
}

void ConvolutionInputGradient(const Geometry& g, const double* dy, const double* w, double* dx) {
  const int64_t out = g.out_c / g.groups, taps = g.kernel_h * g.kernel_w;
  const int64_t image = g.in_h * g.in_w * g.in_c;
  ForEach(g.batch, g.out_h * g.out_w * out * taps * g.in_c, [&](int64_t n) {
    std::fill_n(dx + n * image, image, 0.0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      ForEachRow(g, n, tap, [&](int64_t xi, int64_t wi, int64_t yi) {
        for (int64_t o = 0; o < out; ++o) dx[xi] += dy[yi + o] * w[wi + o];
      });
    }
  });
}

void ConvolutionKernelGradient(const Geometry& g, const double* x, const double* dy, double* dw) {
  const int64_t out = g.out_c / g.groups, tap_size = g.in_c / g.groups * g.out_c;
  ForEach(g.kernel_h * g.kernel_w, g.batch * g.out_h * g.out_w * tap_size, [&](int64_t tap) {
    std::fill_n(dw + tap * tap_size, tap_size, 0.0);
    for (int64_t n = 0; n < g.batch; ++n) {
      ForEachRow(g, n, tap, [&](int64_t xi, int64_t wi, int64_t yi) {
        for (int64_t o = 0; o < out; ++o) dw[wi + o] += x[xi] * dy[yi + o];
      });
    }
  });
}

// ---- The ops ----

Variable KernelGradient(const Geometry& g, const Variable& x, const Variable& dy);

// Of operands of rank 4; or of rank 3: sequences, which are images of one row.
Shape InputShape(const Geometry& g, int rank) {
  return rank == 3 ? Shape{g.batch, g.in_w, g.in_c} : Shape{g.batch, g.in_h, g.in_w, g.in_c};
}
Shape OutputShape(const Geometry& g, int rank) {
  return rank == 3 ? Shape{g.batch, g.out_w, g.out_c} : Shape{g.batch, g.out_h, g.out_w, g.out_c};
}
Shape KernelShape(const Geometry& g, int rank) {
  const int64_t in = g.in_c / g.groups;
  return rank == 3 ? Shape{g.kernel_w, in, g.out_c} : Shape{g.kernel_h, g.kernel_w, in, g.out_c};
}

// Calls f with dense tensors of the op's dtype as plain pointers.
template <class F>
void OnDense(TensorSpan in, Tensor& out, F f) {
  const Tensor a = in[0].Contiguous(), b = in[1].Contiguous();
  if (out.dtype() == DType::kFloat64) {
    f(a.data<double>(), b.data<double>(), out.mutable_data<double>());
  } else {
    f(a.data<float>(), b.data<float>(), out.mutable_data<float>());
  }
}

// (x, kernel) -> y
struct Conv2dOp : Op<Conv2dOp> {
  static constexpr std::string_view kName = "conv2d";
  Geometry geometry;
  int rank;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], InputShape(geometry, rank));
    CheckInputShape(kName, x[1], KernelShape(geometry, rank));
    return {OutputShape(geometry, rank), x[0].dtype()};
  }
  void Forward(TensorSpan in, Tensor& y) const {
    OnDense(in, y,
            [&]<class T>(const T* x, const T* w, T* out) { Convolution(geometry, x, w, out); });
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
    return {needs[0] ? ConvolveTransposed(geometry, dy, x[1]) : Variable(),
            needs[1] ? KernelGradient(geometry, x[0], dy) : Variable()};
  }
  static std::vector<OpCase> Cases();
};

// (dy, kernel) -> dx
struct Conv2dInputGradientOp : Op<Conv2dInputGradientOp> {
  static constexpr std::string_view kName = "conv2d_input_gradient";
  Geometry geometry;
  int rank;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], OutputShape(geometry, rank));
    CheckInputShape(kName, x[1], KernelShape(geometry, rank));
    return {InputShape(geometry, rank), x[0].dtype()};
  }
  void Forward(TensorSpan in, Tensor& dx) const {
    OnDense(in, dx, [&]<class T>(const T* dy, const T* w, T* out) {
      ConvolutionInputGradient(geometry, dy, w, out);
    });
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& ddx, Needs needs) const {
    return {needs[0] ? Convolve(geometry, ddx, x[1]) : Variable(),
            needs[1] ? KernelGradient(geometry, ddx, x[0]) : Variable()};
  }
  static std::vector<OpCase> Cases();
};

// (x, dy) -> dkernel
struct Conv2dKernelGradientOp : Op<Conv2dKernelGradientOp> {
  static constexpr std::string_view kName = "conv2d_kernel_gradient";
  Geometry geometry;
  int rank;

  Spec Infer(VariableSpan x) const {
    CheckInputShape(kName, x[0], InputShape(geometry, rank));
    CheckInputShape(kName, x[1], OutputShape(geometry, rank));
    return {KernelShape(geometry, rank), x[0].dtype()};
  }
  void Forward(TensorSpan in, Tensor& dw) const {
    OnDense(in, dw, [&]<class T>(const T* x, const T* dy, T* out) {
      ConvolutionKernelGradient(geometry, x, dy, out);
    });
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& ddw, Needs needs) const {
    return {needs[0] ? ConvolveTransposed(geometry, x[1], ddw) : Variable(),
            needs[1] ? Convolve(geometry, x[0], ddw) : Variable()};
  }
  static std::vector<OpCase> Cases();
};

Variable KernelGradient(const Geometry& g, const Variable& x, const Variable& dy) {
  return Apply(Conv2dKernelGradientOp{.geometry = g, .rank = x.rank()}, {x, dy});
}

// ---- Cases ----

struct ShapeCase {
  const char* name;
  Shape x, kernel;
  Conv2dOptions options = {};
};

// Small: the table takes second derivatives of each by finite differences.
std::vector<ShapeCase> ShapeCases() {
  const Padding same = Padding::Same();
  return {
      {"3x3", {2, 4, 5, 2}, {3, 3, 2, 3}},
      {"1x1", {2, 3, 2, 3}, {1, 1, 3, 2}},
      {"one channel", {2, 5, 4, 1}, {3, 3, 1, 3}},
      {"one channel, same, even kernel", {1, 4, 5, 1}, {2, 4, 1, 2}, {.padding = same}},
      {"stride 2", {1, 6, 5, 2}, {3, 2, 2, 2}, {.stride = 2}},
      {"same, stride 2, odd padding at the end",
       {1, 6, 5, 2},
       {3, 3, 2, 2},
       {.stride = 2, .padding = same}},
      {"dilation 2", {1, 6, 5, 2}, {3, 2, 2, 2}, {.dilation = 2}},
      {"two groups", {1, 4, 4, 4}, {3, 2, 2, 6}, {.groups = 2}},
      {"a group per channel", {2, 4, 3, 3}, {2, 2, 1, 3}, {.groups = 3, .padding = same}},
      {"pixels", {1, 3, 4, 1}, {3, 3, 1, 2}, {.padding = {Padding::kExplicit, 2, 0, 1, 3}}},
      {"stride 3 skips pixels", {1, 7, 8, 1}, {2, 2, 1, 2}, {.stride = 3}},
      {"all at once",
       {1, 7, 6, 2},
       {2, 3, 1, 2},
       {.stride = 2, .dilation = 2, .groups = 2, .padding = Padding::Pixels(1)}},
      {"batch 0", {0, 4, 4, 2}, {3, 3, 2, 3}},
      {"kernel larger than x, same", {1, 2, 2, 1}, {5, 3, 1, 1}, {.padding = same}},
      {"sequences", {2, 5, 2}, {3, 2, 3}},
      {"sequences, causal",
       {1, 6, 2},
       {3, 2, 2},
       {.stride = 2, .dilation = 2, .padding = Padding::Causal()}},
      {"sequences, a group per channel", {2, 5, 3}, {2, 1, 3}, {.groups = 3, .padding = same}},
  };
}

// Each geometry with both operands, and the first also linear in each alone, the other bound.
template <class F>
std::vector<OpCase> MakeCases(Shape (*first)(const Geometry&, int),
                              Shape (*second)(const Geometry&, int), F f) {
  std::vector<OpCase> cases;
  for (const ShapeCase& c : ShapeCases()) {
    const int rank = c.x.rank();
    const Geometry g = internal::ConvGeometry(Conv2dOp::kName, rank - 2, c.x, c.kernel, c.options);
    cases.push_back(OpCase::Of(c.name, {{.shape = first(g, rank)}, {.shape = second(g, rank)}},
                               [g, f](VariableSpan x) { return f(g, x[0], x[1]); }));
  }
  const ShapeCase c = ShapeCases()[0];
  const Geometry g = internal::ConvGeometry(Conv2dOp::kName, 2, c.x, c.kernel, c.options);
  // Fixed values without a pattern, multiples of 1/8.
  const auto bound = [](const Shape& shape) {
    std::vector<double> values(NumElements(shape));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 19) / 8 - 1;
    return Tensor::FromVector(values, shape);
  };
  const Tensor a = bound(first(g, 4)), b = bound(second(g, 4));
  cases.push_back(OpCase::Linear("in the first", {first(g, 4)}, [g, f, b](VariableSpan x) {
    return f(g, x[0], b.To(x[0].dtype()));
  }));
  cases.push_back(OpCase::Linear("in the second", {second(g, 4)}, [g, f, a](VariableSpan x) {
    return f(g, a.To(x[0].dtype()), x[0]);
  }));
  return cases;
}

std::vector<OpCase> Conv2dOp::Cases() { return MakeCases(&InputShape, &KernelShape, &Convolve); }
std::vector<OpCase> Conv2dInputGradientOp::Cases() {
  return MakeCases(&OutputShape, &KernelShape, &ConvolveTransposed);
}
std::vector<OpCase> Conv2dKernelGradientOp::Cases() {
  return MakeCases(&InputShape, &OutputShape, &KernelGradient);
}

}  // namespace

namespace internal {

const Conv2dGeometry* AsConv2d(const Node& node) {
  if (node.op != &kOpTable<Conv2dOp>) return nullptr;
  const auto& op = node.attributes_as<Conv2dOp>();
  return op.rank == 4 ? &op.geometry : nullptr;
}

Variable Convolve(const Conv2dGeometry& g, const Variable& x, const Variable& kernel) {
  return Apply(Conv2dOp{.geometry = g, .rank = x.rank()}, {x, kernel});
}
Variable ConvolveTransposed(const Conv2dGeometry& g, const Variable& dy, const Variable& kernel) {
  return Apply(Conv2dInputGradientOp{.geometry = g, .rank = dy.rank()}, {dy, kernel});
}

}  // namespace internal
}  // namespace wengert

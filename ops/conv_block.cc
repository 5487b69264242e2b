// The convolution block: convolution, bias, relu and 2x2 max-pooling as one composite, which is
// found where a program writes MaxPool2d(Relu(Conv2d(x, kernel) + bias)) or a part of it.
#include "ops/kernels/conv_block.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "ops/conv.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

using Geometry = ConvBlockGeometry;

bool IsEmpty(const Conv2dGeometry& g) {
  return g.batch * g.in_h * g.in_w * g.in_c * g.out_h * g.out_w * g.out_c == 0;
}

struct DenseInputs {
  DenseInputs(const Geometry& g, TensorSpan in)
      : x(in[0].Contiguous()), kernel(in[1].Contiguous()) {
    if (g.bias) bias = in[2].Contiguous();
  }
  const float* bias_data() const { return bias.defined() ? bias.data<float>() : nullptr; }

  Tensor x, kernel, bias;
};

// (x, kernel, bias if there is one) -> y; residual: winners, of no elements without pooling.
template <class Derived>
struct ConvBlockOp : Composite<Derived> {
  static constexpr int kResiduals = 1;
  Geometry geometry;

  std::vector<Variable> Definition(VariableSpan x) const {
    Variable y = internal::Convolve(geometry.conv, x[0], x[1]);
    if (geometry.bias) y = y + x[2];
    if (geometry.relu) y = Relu(y);
    if (geometry.pool) y = MaxPool2d(y, {.window = 2});
    return {std::move(y)};
  }
  bool HasKernel(VariableSpan x) const {
    const auto& conv = geometry.conv;
    return !IsEmpty(conv) && (!geometry.pool || (conv.out_h > 1 && conv.out_w > 1)) &&
           std::all_of(x.begin(), x.end(),
                       [](const Variable& v) { return v.dtype() == DType::kFloat32; });
  }
  Specs Infer(VariableSpan x) const {
    const Conv2dGeometry& g = geometry.conv;
    CheckInputShape(Derived::kName, x[0], {g.batch, g.in_h, g.in_w, g.in_c});
    CheckInputShape(Derived::kName, x[1], {g.kernel_h, g.kernel_w, g.in_c / g.groups, g.out_c});
    if (geometry.bias) CheckInputShape(Derived::kName, x[2], {g.out_c});
    if (!geometry.pool) {
      return {{{g.batch, g.out_h, g.out_w, g.out_c}, DType::kFloat32}, {{0}, DType::kUInt8}};
    }
    const Shape pooled = {g.batch, g.out_h / 2, g.out_w / 2, g.out_c};
    return {{pooled, DType::kFloat32}, {pooled, DType::kUInt8}};
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    const DenseInputs in(geometry, x);
    ConvBlockForward(geometry, in.x.data<float>(), in.kernel.data<float>(), in.bias_data(),
                     y[0].mutable_data<float>(),
                     geometry.pool ? y[1].mutable_data<uint8_t>() : nullptr);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    const DenseInputs in(geometry, x);
    const Tensor cotangent = dy[0].Contiguous();
    float* results[3] = {};
    for (size_t i = 0, next = 0; i < needs.size(); ++i) {
      if (needs[i]) results[i] = dx[next++].mutable_data<float>();
    }
    ConvBlockBackward(geometry, in.x.data<float>(), in.kernel.data<float>(),
                      geometry.relu ? y[0].data<float>() : nullptr,
                      geometry.pool ? y[1].data<uint8_t>() : nullptr, cotangent.data<float>(),
                      results[0], results[1], results[2]);
  }
};

// Their rules differ in what they read: relu's reads y.
struct ConvReluPoolOp : ConvBlockOp<ConvReluPoolOp> {
  static constexpr std::string_view kName = "conv_relu_pool";
  static constexpr std::string_view kGradientName = "conv_relu_pool_gradient";
  static constexpr Uses kUses = Uses::Inputs() | Uses::Output();
  static std::vector<OpCase> Cases();
};
struct ConvBiasPoolOp : ConvBlockOp<ConvBiasPoolOp> {
  static constexpr std::string_view kName = "conv_bias_pool";
  static constexpr std::string_view kGradientName = "conv_bias_pool_gradient";
  static std::vector<OpCase> Cases();
};

// ---- Cases ----

// Small: the table takes second derivatives of each by finite differences.
struct BlockCase {
  const char* name;
  int64_t n, h, w, in, out, kernel;
  bool bias, pool;
  int64_t pad = 0, stride = 1, dilation = 1, groups = 1;
};
constexpr BlockCase kCases[] = {
    {"bias", 2, 4, 5, 2, 3, 3, true, false},
    {"pooled", 2, 6, 6, 2, 3, 3, false, true},
    {"bias, pooled", 2, 6, 8, 2, 3, 3, true, true},
    {"last row and column unread", 1, 5, 7, 2, 2, 3, true, true},
    {"one channel", 2, 6, 7, 1, 9, 3, true, true},
    {"one channel, not pooled", 2, 4, 5, 1, 8, 2, true, false},
    {"whole vectors of channels", 1, 4, 4, 1, 17, 3, true, true},
    {"1x1", 2, 4, 3, 3, 2, 1, true, true},
    {"padded, unread pixels", 1, 5, 5, 2, 2, 3, true, true, 1},
    {"stride 2", 1, 8, 7, 2, 2, 3, true, true, 1, 2},
    {"dilation 2", 1, 7, 8, 2, 2, 2, true, true, 0, 1, 2},
    {"two groups", 2, 5, 5, 4, 6, 2, true, true, 0, 1, 1, 2},
    {"batch 0", 0, 4, 4, 2, 3, 3, true, true},
};

template <class C>
std::vector<OpCase> MakeCases(bool relu) {
  std::vector<OpCase> cases;
  for (const BlockCase& c : kCases) {
    if (!relu && !c.bias && !c.pool) continue;
    const int64_t span = (c.kernel - 1) * c.dilation + 1;
    C op;
    op.geometry = {.conv = {.batch = c.n,
                            .in_h = c.h,
                            .in_w = c.w,
                            .in_c = c.in,
                            .out_h = (c.h + 2 * c.pad - span) / c.stride + 1,
                            .out_w = (c.w + 2 * c.pad - span) / c.stride + 1,
                            .out_c = c.out,
                            .kernel_h = c.kernel,
                            .kernel_w = c.kernel,
                            .stride_h = c.stride,
                            .stride_w = c.stride,
                            .dilation_h = c.dilation,
                            .dilation_w = c.dilation,
                            .pad_top = c.pad,
                            .pad_left = c.pad,
                            .pad_bottom = c.pad,
                            .pad_right = c.pad,
                            .groups = c.groups},
                   .bias = c.bias,
                   .relu = relu,
                   .pool = c.pool};
    std::vector<Sample> inputs = {{.shape = {c.n, c.h, c.w, c.in}},
                                  {.shape = {c.kernel, c.kernel, c.in / c.groups, c.out}}};
    if (c.bias) inputs.push_back({.shape = {c.out}});
    cases.push_back(OpCase::Of(c.name, std::move(inputs),
                               [op](VariableSpan x) { return ApplyComposite(op, x)[0]; }));
  }
  return cases;
}

std::vector<OpCase> ConvReluPoolOp::Cases() { return MakeCases<ConvReluPoolOp>(true); }
std::vector<OpCase> ConvBiasPoolOp::Cases() { return MakeCases<ConvBiasPoolOp>(false); }

template <class C>
void ReplaceBy(internal::Chain& chain, const Geometry& geometry, const Variable* bias) {
  C op;
  op.geometry = geometry;
  std::vector<Variable> inputs(chain.node().inputs().begin(), chain.node().inputs().end());
  if (bias) inputs.push_back(*bias);
  if (op.HasKernel(inputs)) chain.Replace(op, inputs);
}

// 2x2 windows that tile, the last odd row and column left out.
bool IsPoolOfBlock(const Pool2dGeometry& g) {
  return g.window == 2 && g.stride == 2 && g.pad_top == 0 && g.pad_left == 0 &&
         g.out_h == g.in_h / 2 && g.out_w == g.in_w / 2;
}

}  // namespace

namespace internal {

void ReplaceByConvBlock(Chain& chain, const Conv2dGeometry& conv, const BlockEnd& end) {
  const bool relu = end.activation == Row::kRelu;
  if ((!relu && end.activation != Row::kAdd) || (end.pool && !IsPoolOfBlock(*end.pool)) ||
      (end.bias && end.bias->dim(0) != conv.out_c)) {
    return;
  }
  const Geometry g = {
      .conv = conv, .bias = end.bias != nullptr, .relu = relu, .pool = end.pool != nullptr};
  relu ? ReplaceBy<ConvReluPoolOp>(chain, g, end.bias)
       : ReplaceBy<ConvBiasPoolOp>(chain, g, end.bias);
}

}  // namespace internal
}  // namespace wengert

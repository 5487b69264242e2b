// The convolutions that users call. Each is conv2d, or its input gradient, of a geometry.
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/conv.h"

namespace wengert {
namespace {

using internal::ConvGeometry;
using internal::ConvTransposeGeometry;

// f(x, kernel) of operands in their common floating dtype. Errors name the caller's line.
Variable Record(std::string_view op, const Variable& x, const Variable& kernel,
                SourceLocation where,
                absl::FunctionRef<Variable(const Variable& x, const Variable& kernel)> f) {
  const WhereScope scope(where, op);
  DType dtype = Promote(x.dtype(), kernel.dtype());
  if (!IsFloating(dtype)) dtype = DType::kFloat32;
  try {
    return f(Cast(x, dtype, where), Cast(kernel, dtype, where));
  } catch (Error& error) {
    const Variable inputs[] = {x, kernel};
    internal::RethrowWithPlace(error, inputs, where);
  }
}

Variable RecordConv(std::string_view op, int axes, const Variable& x, const Variable& kernel,
                    const Conv2dOptions& options, SourceLocation where) {
  return Record(op, x, kernel, where, [&](const Variable& x, const Variable& kernel) {
    return internal::Convolve(ConvGeometry(op, axes, x.shape(), kernel.shape(), options), x,
                              kernel);
  });
}
Variable RecordTranspose(std::string_view op, int axes, const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options, SourceLocation where) {
  return Record(op, x, kernel, where, [&](const Variable& x, const Variable& kernel) {
    return internal::ConvolveTransposed(
        ConvTransposeGeometry(op, axes, x.shape(), kernel.shape(), options), x, kernel);
  });
}

}  // namespace

Variable Conv2d(const Variable& x, const Variable& kernel, const Conv2dOptions& options,
                SourceLocation where) {
  return RecordConv("conv2d", 2, x, kernel, options, where);
}
Variable Conv1d(const Variable& x, const Variable& kernel, const Conv2dOptions& options,
                SourceLocation where) {
  return RecordConv("conv1d", 1, x, kernel, options, where);
}

Variable DepthwiseConv2d(const Variable& x, const Variable& kernel, const Conv2dOptions& options,
                         SourceLocation where) {
  constexpr std::string_view kName = "depthwise_conv2d";
  return Record(kName, x, kernel, where, [&](const Variable& x, const Variable& kernel) {
    const Shape &images = x.shape(), &k = kernel.shape();
    if (options.groups != 1) {
      throw Error(kName, absl::StrCat("groups ", options.groups, ": each channel is one already"));
    }
    if (images.rank() != 4 || k.rank() != 4 || k[2] != images[3]) {
      throw Error(kName, absl::StrCat("x ", ToString(images), " and kernel ", ToString(k),
                                      " are not [N, H, W, in] and [kh, kw, in, multiplier]"));
    }
    Conv2dOptions by_channel = options;
    by_channel.groups = k[2];
    const Variable grouped = Reshape(kernel, {k[0], k[1], 1, k[2] * k[3]});
    return internal::Convolve(ConvGeometry(kName, 2, images, grouped.shape(), by_channel), x,
                              grouped);
  });
}

Variable ConvTranspose2d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options, SourceLocation where) {
  return RecordTranspose("conv_transpose2d", 2, x, kernel, options, where);
}
Variable ConvTranspose1d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options, SourceLocation where) {
  return RecordTranspose("conv_transpose1d", 1, x, kernel, options, where);
}

}  // namespace wengert

#include "nn/convolution.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "nn/layers.h"

namespace wengert::nn {
namespace {

template <class Options>
void CheckOptions(std::string_view layer, const Options& o) {
  CheckPositive(layer, {{"in", o.in}, {"out", o.out}, {"kernel", o.kernel}, {"groups", o.groups}});
  if (o.in % o.groups != 0 || o.out % o.groups != 0) {
    throw Error(layer,
                absl::StrCat(o.groups, " groups do not divide in = ", o.in, " and out = ", o.out));
  }
}

Parameter Bias(bool use, int64_t size) {
  return use ? Parameter(Tensor::Zeros({size})) : Parameter();
}
Variable PlusBias(const Variable& y, const Parameter& bias) {
  return bias.defined() ? y + bias : y;
}

ConvTransposeOptions OpOptions(const ConvTranspose2d::Options& o) {
  return {.stride = o.stride,
          .dilation = o.dilation,
          .groups = o.groups,
          .padding = o.padding,
          .output_padding = o.output_padding};
}

}  // namespace

Conv1d::Conv1d(const Options& o, Generator& generator)
    : options{
          .stride = o.stride, .dilation = o.dilation, .groups = o.groups, .padding = o.padding} {
  CheckOptions("conv1d", o);
  weight = Parameter(
      Initialized("conv1d", o.initializer, {o.kernel, o.in / o.groups, o.out}, generator));
  bias = Bias(o.use_bias, o.out);
}

Variable Conv1d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "conv1d");
  return PlusBias(wengert::Conv1d(x, weight, options), bias);
}

DepthwiseConv2d::DepthwiseConv2d(const Options& o, Generator& generator)
    : options{.stride = o.stride, .dilation = o.dilation, .padding = o.padding} {
  CheckPositive("depthwise_conv2d",
                {{"in", o.in}, {"kernel", o.kernel}, {"multiplier", o.multiplier}});
  weight = Parameter(Initialized("depthwise_conv2d", o.initializer,
                                 {o.kernel, o.kernel, o.in, o.multiplier}, generator));
  bias = Bias(o.use_bias, o.in * o.multiplier);
}

Variable DepthwiseConv2d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "depthwise_conv2d");
  return PlusBias(wengert::DepthwiseConv2d(x, weight, options), bias);
}

ConvTranspose2d::ConvTranspose2d(const Options& o, Generator& generator) : options(OpOptions(o)) {
  CheckOptions("conv_transpose2d", o);
  weight = Parameter(Initialized("conv_transpose2d", o.initializer,
                                 {o.kernel, o.kernel, o.out / o.groups, o.in}, generator));
  bias = Bias(o.use_bias, o.out);
}

Variable ConvTranspose2d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "conv_transpose2d");
  return PlusBias(wengert::ConvTranspose2d(x, weight, options), bias);
}

ConvTranspose1d::ConvTranspose1d(const Options& o, Generator& generator) : options(OpOptions(o)) {
  CheckOptions("conv_transpose1d", o);
  weight = Parameter(Initialized("conv_transpose1d", o.initializer,
                                 {o.kernel, o.out / o.groups, o.in}, generator));
  bias = Bias(o.use_bias, o.out);
}

Variable ConvTranspose1d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "conv_transpose1d");
  return PlusBias(wengert::ConvTranspose1d(x, weight, options), bias);
}

}  // namespace wengert::nn

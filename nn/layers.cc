#include "nn/layers.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"

namespace wengert::nn {

void CheckPositive(std::string_view layer,
                   std::initializer_list<std::pair<const char*, int64_t>> options) {
  for (const auto& [name, value] : options) {
    if (value < 1) throw Error(layer, absl::StrCat(name, " = ", value, ", but must be positive"));
  }
}

Dense::Dense(const Options& options, Generator& generator) {
  CheckPositive("dense", {{"in", options.in}, {"out", options.out}});
  weight = Parameter(options.initializer({options.in, options.out}, generator));
  if (options.use_bias) bias = Parameter(Tensor::Zeros({options.out}));
}

Variable Dense::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where);
  const Variable y = MatMul(x, weight);
  return bias.defined() ? y + bias : y;
}

Conv2d::Conv2d(const Options& o, Generator& generator)
    : options{
          .stride = o.stride, .dilation = o.dilation, .groups = o.groups, .padding = o.padding} {
  CheckPositive("conv2d",
                {{"in", o.in}, {"out", o.out}, {"kernel", o.kernel}, {"groups", o.groups}});
  if (o.in % o.groups != 0 || o.out % o.groups != 0) {
    throw Error("conv2d",
                absl::StrCat(o.groups, " groups do not divide in = ", o.in, " and out = ", o.out));
  }
  weight = Parameter(o.initializer({o.kernel, o.kernel, o.in / o.groups, o.out}, generator));
  if (o.use_bias) bias = Parameter(Tensor::Zeros({o.out}));
}

Variable Conv2d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where);
  const Variable y = wengert::Conv2d(x, weight, options);
  return bias.defined() ? y + bias : y;
}

Variable Flatten::operator()(const Variable& x, SourceLocation where) const {
  if (x.rank() == 0) {
    const WhereScope scope(where);
    return Reshape(x, {1, 1});
  }
  int64_t rest = 1;
  for (int i = 1; i < x.rank(); ++i) rest *= x.shape()[i];
  return Reshape(x, {x.shape()[0], rest}, where);
}

Embedding::Embedding(const Options& options, Generator& generator) {
  CheckPositive("embedding", {{"count", options.count}, {"size", options.size}});
  constexpr double kLimit = 0.05;
  weight = Parameter(Uniform({options.count, options.size}, generator, -kLimit, kLimit).value());
}

Variable Embedding::operator()(const Variable& indices, SourceLocation where) const {
  return Gather(weight, indices, 0, where);
}

}  // namespace wengert::nn

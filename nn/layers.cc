#include "nn/layers.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert::nn {

void CheckPositive(std::string_view layer,
                   std::initializer_list<std::pair<const char*, int64_t>> options) {
  for (const auto& [name, value] : options) {
    if (value < 1) throw Error(layer, absl::StrCat(name, " = ", value, ", but must be positive"));
  }
}

Dense::Dense(const Options& options, Generator& generator) {
  CheckPositive("dense", {{"in", options.in}, {"out", options.out}});
  weight =
      Parameter(Initialized("dense", options.initializer, {options.in, options.out}, generator));
  if (options.use_bias) bias = Parameter(Tensor::Zeros({options.out}));
}

Variable Dense::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "dense");
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
  weight = Parameter(Initialized("conv2d", o.initializer,
                                 {o.kernel, o.kernel, o.in / o.groups, o.out}, generator));
  if (o.use_bias) bias = Parameter(Tensor::Zeros({o.out}));
}

Variable Conv2d::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "conv2d");
  const Variable y = wengert::Conv2d(x, weight, options);
  return bias.defined() ? y + bias : y;
}

Variable Flatten::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "flatten");
  if (x.rank() == 0) {
    return Reshape(x, {1, 1});
  }
  int64_t rest = 1;
  for (int i = 1; i < x.rank(); ++i) rest *= x.shape()[i];
  return Reshape(x, {x.shape()[0], rest}, where);
}

Variable Unflatten::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "unflatten");
  if (x.rank() == 0) {
    internal::ThrowAt("unflatten", "x is [], not [N, ...]", x, where);
  }
  Shape unflattened = shape;
  unflattened.Insert(0, x.shape()[0]);
  return Reshape(x, unflattened, where);
}

Variable Activation::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "activation");
  if (!function) {
    internal::ThrowAt("activation", "no function was given", x, where);
  }
  return function(x);
}

Embedding::Embedding(const Options& options, Generator& generator)
    : padding_index(options.padding_index) {
  CheckPositive("embedding", {{"count", options.count}, {"size", options.size}});
  if (padding_index && (*padding_index < 0 || *padding_index >= options.count)) {
    throw Error("embedding", absl::StrCat("padding_index = ", *padding_index,
                                          ", but must be in [0, ", options.count, ")"));
  }
  constexpr double kLimit = 0.05;
  weight = Parameter(Uniform({options.count, options.size}, generator, -kLimit, kLimit).value());
}

Variable Embedding::operator()(const Variable& indices, SourceLocation where) const {
  const WhereScope scope(where, "embedding");
  const Variable rows = Gather(weight, indices);
  if (!padding_index) return rows;
  return Where(Unsqueeze(NotEqual(indices, *padding_index), -1), rows, 0);
}

Variable SpatialDropout::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "spatial_dropout");
  if (x.rank() < 3) {
    internal::ThrowAt(
        "spatial_dropout",
        absl::StrCat("x is ", ToString(x.shape()), ", not [N, ..., C] of rank 3 or more"), x,
        where);
  }
  Shape channels = x.shape();
  for (int i = 1; i < x.rank() - 1; ++i) channels[i] = 1;
  const DType dtype = IsFloating(x.dtype()) ? x.dtype() : DType::kFloat32;
  const Variable factors = wengert::Dropout(Tensor::Ones(channels, dtype), rate);
  return rate == 0 || !TrainingScope::active() ? x : x * factors;
}

Variable AlphaDropout::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "alpha_dropout");
  if (!(rate >= 0 && rate < 1)) {
    internal::ThrowAt("alpha_dropout", absl::StrCat("rate must be in [0, 1): ", rate), x, where);
  }
  if (rate == 0 || !TrainingScope::active()) return x;
  // -lambda alpha of selu, whose mean 0 and variance 1 are a fixed point (appendix A.1).
  constexpr double kLimit = -1.0507009873554805 * 1.6732632423543772;
  const double q = 1 - rate;
  const double a = 1 / std::sqrt(q + kLimit * kLimit * q * rate);
  const Variable kept = Bernoulli(x.shape(), TrainingScope::generator(), q, DType::kBool);
  return Where(kept, x, kLimit) * a - a * rate * kLimit;
}

}  // namespace wengert::nn

#include "nn/layers.h"

#include <numeric>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "autograd/state_update.h"

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

LayerNorm::LayerNorm(const Options& options) : epsilon(options.epsilon) {
  CheckPositive("layer_norm", {{"size", options.size}});
  weight = Parameter(Tensor::Ones({options.size}));
  if (options.use_bias) bias = Parameter(Tensor::Zeros({options.size}));
}

Variable LayerNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where);
  const Variable centered = x - Mean(x, -1, kKeepDims);
  const Variable variance = Mean(Square(centered), -1, kKeepDims);
  const Variable y = centered * Rsqrt(variance + epsilon) * weight;
  return bias.defined() ? y + bias : y;
}

BatchNorm::BatchNorm(const Options& options)
    : momentum(options.momentum), epsilon(options.epsilon) {
  CheckPositive("batch_norm", {{"size", options.size}});
  if (!(momentum >= 0 && momentum <= 1)) {
    throw Error("batch_norm", absl::StrCat("momentum = ", momentum, ", but must be in [0, 1]"));
  }
  const Shape shape{options.size};
  weight = Parameter(Tensor::Ones(shape));
  if (options.use_bias) bias = Parameter(Tensor::Zeros(shape));
  running_mean = Parameter::Untrained(Tensor::Zeros(shape));
  running_variance = Parameter::Untrained(Tensor::Ones(shape));
}

Variable BatchNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where);
  const bool training = TrainingScope::active();
  const int64_t size = weight.size();
  std::string problem;
  if (x.rank() < 2 || x.shape()[x.rank() - 1] != size) {
    problem = absl::StrCat("x is ", ToString(x.shape()), ", not [..., ", size, "]");
  } else if (training && x.size() == 0) {
    problem = absl::StrCat("x is ", ToString(x.shape()), ": no rows to train on");
  }
  if (!problem.empty()) {
    Error error("batch_norm", problem);
    internal::RethrowWithPlace(error, {{x, weight}}, where);
  }

  Variable centered, variance;
  if (training) {
    absl::InlinedVector<int, 4> rows(x.rank() - 1);
    std::iota(rows.begin(), rows.end(), 0);
    const Axes axes(rows);
    const auto [mean, of_batch] = Moments(x, axes);
    centered = x - mean;
    variance = of_batch;
    const NextState next = [momentum = momentum](const Tensor& running, const Tensor& batch) {
      return (Variable(running) * momentum + Variable(batch) * (1 - momentum)).value();
    };
    UpdateState(running_mean, mean, next);
    UpdateState(running_variance, variance, next);
  } else {
    centered = x - running_mean;
    variance = running_variance;
  }
  const Variable y = centered * (Rsqrt(variance + epsilon) * weight);
  return bias.defined() ? y + bias : y;
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

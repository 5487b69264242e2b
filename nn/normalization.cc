#include "nn/normalization.h"

#include <numeric>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "autograd/state_update.h"
#include "nn/layers.h"

namespace wengert::nn {
namespace {

Parameter OnesIf(bool wanted, int64_t size) {
  return wanted ? Parameter(Tensor::Ones({size})) : Parameter();
}
Parameter ZerosIf(bool wanted, int64_t size) {
  return wanted ? Parameter(Tensor::Zeros({size})) : Parameter();
}

void CheckEpsilon(std::string_view layer, double epsilon) {
  if (epsilon >= 0) return;
  throw Error(layer, absl::StrCat("epsilon = ", epsilon, ", but must be 0 or above"));
}

[[noreturn]] void Refuse(std::string_view layer, const Variable& x, std::string_view problem,
                         const Parameter& reading, SourceLocation where) {
  Error error(layer, absl::StrCat("x is ", ToString(x.shape()), std::string(problem)));
  if (reading.defined()) internal::RethrowWithPlace(error, {{x, reading}}, where);
  internal::RethrowWithPlace(error, {&x, 1}, where);
}

// Throws unless x is [..., size], of this rank or more.
void CheckFeatures(std::string_view layer, const Variable& x, int rank, int64_t size,
                   const Parameter& reading, SourceLocation where) {
  if (x.rank() >= rank && x.dim(-1) == size) return;
  Refuse(layer, x, absl::StrCat(", not [", rank > 1 ? "N, " : "", "..., ", size, "]"), reading,
         where);
}

// y weight + bias, each where there is one.
Variable ScaleAndShift(Variable y, const Parameter& weight, const Parameter& bias) {
  if (weight.defined()) y = y * weight;
  return bias.defined() ? y + bias : y;
}

}  // namespace

LayerNorm::LayerNorm(const Options& o) : size(o.size), epsilon(o.epsilon) {
  CheckPositive("layer_norm", {{"size", size}});
  CheckEpsilon("layer_norm", epsilon);
  weight = OnesIf(o.use_weight, size);
  bias = ZerosIf(o.use_bias, size);
}

Variable LayerNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "layer_norm");
  CheckFeatures("layer_norm", x, 1, size, weight, where);
  const Variable centered = x - Mean(x, -1, kKeepDims);
  const Variable variance = Mean(Square(centered), -1, kKeepDims);
  return ScaleAndShift(centered * Rsqrt(variance + epsilon), weight, bias);
}

RmsNorm::RmsNorm(const Options& o) : size(o.size), epsilon(o.epsilon) {
  CheckPositive("rms_norm", {{"size", size}});
  CheckEpsilon("rms_norm", epsilon);
  weight = OnesIf(o.use_weight, size);
}

Variable RmsNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "rms_norm");
  CheckFeatures("rms_norm", x, 1, size, weight, where);
  const Variable y = x * Rsqrt(Mean(Square(x), -1, kKeepDims) + epsilon);
  return weight.defined() ? y * weight : y;
}

GroupNorm::GroupNorm(const Options& o) : size(o.size), groups(o.groups), epsilon(o.epsilon) {
  CheckPositive("group_norm", {{"size", size}, {"groups", groups}});
  CheckEpsilon("group_norm", epsilon);
  if (size % groups != 0) {
    throw Error("group_norm", absl::StrCat(groups, " groups do not divide size = ", size));
  }
  weight = OnesIf(o.use_weight, size);
  bias = ZerosIf(o.use_bias, size);
}

Variable GroupNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "group_norm");
  CheckFeatures("group_norm", x, 2, size, weight, where);
  const Shape& shape = x.shape();
  int64_t positions = 1;
  for (int i = 1; i < shape.rank() - 1; ++i) positions *= shape[i];
  const Variable grouped = Reshape(x, {shape[0], positions, groups, size / groups});
  const auto [mean, variance] = Moments(grouped, {1, 3}, kKeepDims);
  const Variable y = (grouped - mean) * Rsqrt(variance + epsilon);
  return ScaleAndShift(Reshape(y, shape), weight, bias);
}

BatchNorm::BatchNorm(const Options& o) : momentum(o.momentum), epsilon(o.epsilon) {
  CheckPositive("batch_norm", {{"size", o.size}});
  CheckEpsilon("batch_norm", epsilon);
  if (!(momentum >= 0 && momentum <= 1)) {
    throw Error("batch_norm", absl::StrCat("momentum = ", momentum, ", but must be in [0, 1]"));
  }
  weight = OnesIf(o.use_weight, o.size);
  bias = ZerosIf(o.use_bias, o.size);
  running_mean = Parameter::Untrained(Tensor::Zeros({o.size}));
  running_variance = Parameter::Untrained(Tensor::Ones({o.size}));
}

Variable BatchNorm::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "batch_norm");
  // Frozen layers keep computing the same function: each batch's own statistics would change it.
  const bool training = TrainingScope::active() && !running_mean.frozen();
  const int64_t size = running_mean.size();
  if (x.rank() < 2 || x.dim(-1) != size) {
    Refuse("batch_norm", x, absl::StrCat(", not [..., ", size, "]"), running_mean, where);
  }
  if (training && x.size() == 0) {
    Refuse("batch_norm", x, ": no rows to train on", running_mean, where);
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
  Variable scale = Rsqrt(variance + epsilon);
  if (weight.defined()) scale = scale * weight;
  const Variable y = centered * scale;
  return bias.defined() ? y + bias : y;
}

}  // namespace wengert::nn

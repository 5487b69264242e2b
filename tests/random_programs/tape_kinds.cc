// What changes how the tape records: constants cut off, checkpoints, derivatives inside a program,
// random ops in training.
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "ops/ops.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr Nature kSmooth = Nature::kSmooth, kKinked = Nature::kKinked;

// Not the output of a composite, of which another output may be a function: see Targets.
bool IsDifferentiable(const ValueInfo& x) {
  return x.requires_grad && x.size() > 0 && x.inexact == 0;
}
std::vector<Wanted> Same(Random&, const ValueInfo& x) { return {Like(x, x.shape)}; }
std::vector<Wanted> SameTwice(Random&, const ValueInfo& x) {
  return {Like(x, x.shape), Like(x, x.shape)};
}

Results WithoutGradient(Call& call) {
  call.text = "x[0] * 2 - 1 under NoGradGuard";
  const NoGradGuard no_grad;
  return {call.x[0] * 2 - 1};
}

// The captured operand gets its gradient too.
Results CheckpointedChain(Call& call) {
  call.text = "Checkpoint(Tanh(a * x[1]) + Sigmoid(b) * a of a = x[0], b = x[2])";
  const Variable captured = call.x[1];
  return {
      Checkpoint([&](VariableSpan in) { return Tanh(in[0] * captured) + Sigmoid(in[1]) * in[0]; },
                 {call.x[0], call.x[2]})};
}
Results CheckpointedSoftmax(Call& call) {
  call.text = "Checkpoint(Softmax(a) * Sum(Square(a), -1, true) of a = x[0])";
  return {
      Checkpoint([](VariableSpan in) { return Softmax(in[0]) * Sum(Square(in[0]), -1, kKeepDims); },
                 {call.x[0]})};
}
Results CheckpointedDropout(Call& call) {
  call.text = "Checkpoint(Dropout(Tanh(a), 0.25) * a of a = x[0]) in a TrainingScope";
  Generator generator(call.random.Next());
  const TrainingScope training(generator);
  return {
      Checkpoint([](VariableSpan in) { return Dropout(Tanh(in[0]), 0.25) * in[0]; }, {call.x[0]})};
}
// In float64 no longer equal to x: where a copy that moves and one that stands still tie, maxima
// have no derivative that differences could find.
Results DetachAny(Call& call) {
  if (call.x[0].dtype() == DType::kFloat32) {
    call.text = "x[0].Detach()";
    return {call.x[0].Detach()};
  }
  call.text = "x[0].Detach() * 0.96875";
  return {call.x[0].Detach() * 0.96875};
}

bool HasRows(const ValueInfo& x) { return IsRealWithElements(x) && x.rank() > 0; }

Results GradientInside(Call& call) {
  call.text = "Grad(Sum(Tanh(x[0] * x[1]) * Square(x[0])), x[0], {.create_graph = true})";
  const Variable &x = call.x[0], y = Sum(Tanh(x * call.x[1]) * Square(x));
  return {Grad(y, x, {.create_graph = true})};
}
Results GradientAsConstant(Call& call) {
  call.text = "Grad(Sum(Tanh(x[0]) * x[0]), x[0]).Detach()";
  return {Grad(Sum(Tanh(call.x[0]) * call.x[0]), call.x[0]).Detach()};
}
Results DirectionalDerivative(Call& call) {
  call.text = "Jvp(Tanh(a) * a of a = x[0], along x[1])";
  const Variable x = call.x[0], along = call.x[1];
  auto [value, derivative] =
      Jvp([](VariableSpan in) { return Tanh(in[0]) * in[0]; }, {&x, 1}, {&along, 1});
  return {value, derivative};
}

Results DropoutInTraining(Call& call) {
  call.text = "Dropout(x[0], 0.3) in a TrainingScope";
  Generator generator(call.random.Next());
  const TrainingScope training(generator);
  return {Dropout(call.x[0], 0.3)};
}
template <auto draw>
Results Noise(Call& call, const char* name) {
  Say(call, "x[0] * ", name, "(the shape of x[0])");
  Generator generator(call.random.Next());
  return {call.x[0] * draw(call.x[0].shape(), generator, call.x[0].dtype())};
}

const OpKind kKinds[] = {
    {"detach", 2, kKinked, IsReal, nullptr, DetachAny},
    {"no_grad", 1, kKinked, IsReal, nullptr, WithoutGradient},
    {"checkpoint", 3, kSmooth, IsReal, SameTwice, CheckpointedChain},
    {"checkpoint softmax", 2, kSmooth, HasRows, nullptr, CheckpointedSoftmax},
    {"checkpoint dropout", 1, kSmooth, IsReal, nullptr, CheckpointedDropout},
    {"gradient inside", 2, kSmooth, IsDifferentiable, Same, GradientInside},
    {"gradient as constant", 1, kKinked, IsDifferentiable, nullptr, GradientAsConstant},
    {"jvp", 1, kSmooth, IsRealWithElements, Same, DirectionalDerivative},
    {"dropout", 2, kSmooth, IsReal, nullptr, DropoutInTraining},
    {"normal noise", 1, kSmooth, IsReal, nullptr,
     [](Call& c) {
       return Noise<[](const Shape& shape, Generator& g, DType dtype) {
         return Normal(shape, g, 0.5, 0.5, dtype);
       }>(c, "Normal");
     }},
    {"bernoulli noise", 1, kSmooth, IsReal, nullptr,
     [](Call& c) {
       return Noise<[](const Shape& shape, Generator& g, DType dtype) {
         return Bernoulli(shape, g, 0.6, dtype);
       }>(c, "Bernoulli");
     }},
};

}  // namespace

absl::Span<const OpKind> TapeKinds() { return kKinds; }

}  // namespace wengert::random_programs

// Every op of the table, forward and backward: its first and its largest case in float32, and the
// ops that models spend their time in at the sizes of the MNIST models.
#include "ops/ops.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/registry.h"
#include "benchmark/benchmark.h"

namespace wengert {
namespace {

int64_t Size(const OpCase& c) {
  int64_t size = 0;
  for (const Sample& sample : c.inputs) size += NumElements(sample.shape);
  return size;
}

// Values anywhere in the case's domain; floats in float32.
std::vector<Variable> SampleInputs(const OpCase& c) {
  Generator generator(1);
  std::vector<Variable> inputs;
  for (const Sample& sample : c.inputs) {
    const Variable v = Uniform(sample.shape, generator, sample.low, sample.high);
    inputs.push_back((IsFloating(sample.dtype) ? v : Cast(v, sample.dtype)).value());
  }
  return inputs;
}

void Forward(benchmark::State& state, const OpCase& c) {
  const NoGradGuard no_grad;
  const std::vector<Variable> inputs = SampleInputs(c);
  for (auto _ : state) Evaluate(c.f(inputs));
}

// Forward and backward: the gradient by every floating input.
void Backward(benchmark::State& state, const OpCase& c) {
  std::vector<Variable> inputs, wanted;
  for (const Variable& v : SampleInputs(c)) {
    inputs.push_back(IsFloating(v.dtype()) ? DifferentiableLeaf(v.value()) : v);
    if (inputs.back().requires_grad()) wanted.push_back(inputs.back());
  }
  std::vector<Variable> cotangents;
  for (const Variable& y : c.f(inputs)) {
    cotangents.push_back(Variable(Tensor::Ones(y.shape(), y.dtype())));
  }
  for (auto _ : state) {
    std::vector<Variable> results = c.f(inputs);
    std::vector<Variable> gradients =
        Grad(results, wanted, {.cotangents = cotangents, .unused = Unused::kZero});
    results.insert(results.end(), gradients.begin(), gradients.end());
    Evaluate(results);
  }
}

void Register(const std::string& name, const OpCase& c, bool differentiable) {
  benchmark::RegisterBenchmark(("Op/" + name + "/forward").c_str(), &Forward, c)->UseRealTime();
  const bool has_input = std::any_of(c.inputs.begin(), c.inputs.end(), [](const Sample& sample) {
    return IsFloating(sample.dtype) && NumElements(sample.shape) > 0;
  });
  if (differentiable && has_input) {
    benchmark::RegisterBenchmark(("Op/" + name + "/backward").c_str(), &Backward, c)->UseRealTime();
  }
}

void RegisterTable() {
  for (const RegisteredOp& op : RegisteredOps()) {
    if (!op.cases) continue;
    const std::vector<OpCase> cases = op.cases();
    if (cases.empty()) continue;
    const auto largest =
        std::max_element(cases.begin(), cases.end(),
                         [](const OpCase& a, const OpCase& b) { return Size(a) < Size(b); });
    Register(std::string(op.name) + "/" + largest->name, *largest, op.differentiable);
  }
}

void RegisterLarge() {
  const auto add = [](const char* name, std::vector<Shape> shapes,
                      std::function<Variable(VariableSpan)> f) {
    std::vector<Sample> samples;
    samples.reserve(shapes.size());
    for (Shape& shape : shapes) samples.push_back({.shape = std::move(shape)});
    Register(name, OpCase::Of(name, std::move(samples), std::move(f)), true);
  };
  const Shape conv1{128, 26, 26, 32};
  add("add/1M", {{1 << 20}, {1 << 20}}, [](VariableSpan x) { return x[0] + x[1]; });
  add("add/bias", {conv1, {32}}, [](VariableSpan x) { return x[0] + x[1]; });
  add("relu/conv1", {conv1}, [](VariableSpan x) { return Relu(x[0]); });
  add("tanh/1M", {{1 << 20}}, [](VariableSpan x) { return Tanh(x[0]); });
  add("exp/1M", {{1 << 20}}, [](VariableSpan x) { return Exp(x[0]); });
  add("sum/columns", {{128 * 26 * 26, 32}}, [](VariableSpan x) { return Sum(x[0], 0); });
  add("sum/rows", {{4096, 1024}}, [](VariableSpan x) { return Sum(x[0], 1); });
  add("softmax/4096x1024", {{4096, 1024}}, [](VariableSpan x) { return Softmax(x[0]); });
  add("matmul/128x1600x128", {{128, 1600}, {1600, 128}},
      [](VariableSpan x) { return MatMul(x[0], x[1]); });
  add("matmul/16x16x16", {{16, 16}, {16, 16}}, [](VariableSpan x) { return MatMul(x[0], x[1]); });
  add("matmul/1024x1024x1024", {{1024, 1024}, {1024, 1024}},
      [](VariableSpan x) { return MatMul(x[0], x[1]); });
  add("conv2d/conv1", {{128, 28, 28, 1}, {3, 3, 1, 32}},
      [](VariableSpan x) { return Conv2d(x[0], x[1]); });
  add("conv2d/conv2", {{128, 13, 13, 32}, {3, 3, 32, 64}},
      [](VariableSpan x) { return Conv2d(x[0], x[1]); });
  const Shape images = {64, 14, 14, 256};
  add("global_max_pool2d/64x14x14x256", {images},
      [](VariableSpan x) { return GlobalMaxPool2d(x[0]); });
  add("max/rows_of_a_copy/64x14x14x256", {images}, [](VariableSpan x) {
    return Max(Reshape(Permute(x[0], {0, 3, 1, 2}), {64 * 256, 14 * 14}), 1);
  });
  add("global_avg_pool2d/64x14x14x256", {images},
      [](VariableSpan x) { return GlobalAvgPool2d(x[0]); });
  add("depthwise_conv2d/64x14x14x256", {images, {3, 3, 256, 1}},
      [](VariableSpan x) { return DepthwiseConv2d(x[0], x[1], {.padding = Padding::Same()}); });
  add("relu/64x14x14x256", {images}, [](VariableSpan x) { return Relu(x[0]); });
  add("pad/64x14x14x256", {images}, [](VariableSpan x) {
    return Pad(x[0], {{{}, {1, 1}, {1, 1}, {}}});
  });
  add("resize/64x14x14x256", {images}, [](VariableSpan x) { return Resize(x[0], 28, 28); });
  add("cum_sum/rows/4096x1024", {{4096, 1024}}, [](VariableSpan x) { return CumSum(x[0], 1); });
  add("cum_sum/columns/4096x1024", {{4096, 1024}}, [](VariableSpan x) { return CumSum(x[0], 0); });
  add("cum_sum/one_row/4M", {{1, 1 << 22}}, [](VariableSpan x) { return CumSum(x[0], 1); });
  add("sort/4096x1024", {{4096, 1024}}, [](VariableSpan x) { return Sort(x[0]); });
  add("top_k/4096x1024/1023", {{4096, 1024}},
      [](VariableSpan x) { return TopK(x[0], 1023).values; });
  add("ctc_loss/32x100x30", {{32, 100, 30}}, [](VariableSpan x) {
    return CtcLoss(x[0], Tensor::Ones({32, 20}, DType::kInt64));
  });
  add("max_pool2d/conv1", {conv1}, [](VariableSpan x) { return MaxPool2d(x[0]); });
  add("avg_pool2d/conv1", {conv1}, [](VariableSpan x) { return AvgPool2d(x[0]); });
}

}  // namespace
}  // namespace wengert

int main(int argc, char** argv) {
  wengert::RegisterTable();
  wengert::RegisterLarge();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

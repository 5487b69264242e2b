// Single layers and chains of ops, forward and backward: from x and the cotangent dy of the result
// to the gradients of x and of every parameter.
#include <cmath>
#include <memory>
#include <utility>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/state_update.h"
#include "benchmarks/compare/workload.h"
#include "nn/attention.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "ops/ops.h"

namespace wengert {
namespace {

constexpr int kChain = 10'000;

// f: x -> y. `parameters`: what f reads.
template <class F>
Workload ForwardBackward(const Tensor& x, const std::vector<NamedParameter>& parameters, F f) {
  struct State {
    F f;
    Tensor x, dy;
    std::vector<Parameter> parameters;
    Generator generator{1};

    // y, dx and the parameters' gradients.
    std::vector<Variable> Run() {
      const TrainingScope training(generator);
      StateUpdates updates;
      std::vector<Variable> inputs{DifferentiableLeaf(x)};
      for (const Parameter& p : parameters) inputs.push_back(p);
      const Variable y = f(inputs[0]);
      std::vector<Variable> results = Grad({&y, 1}, inputs, {.cotangents = {dy}});
      results.insert(results.begin(), y);
      const size_t wanted = results.size();
      for (const auto& update : updates.waiting()) results.push_back(update.observed);
      Evaluate(results);
      updates.Release();
      results.resize(wanted);
      return results;
    }
  };
  auto state = std::make_shared<State>(State{.f = std::move(f), .x = x});
  Workload workload;
  for (const NamedParameter& named : parameters) {
    if (named.parameter.trained()) state->parameters.push_back(named.parameter);
    workload.exchange.push_back({named.name, named.parameter.value()});
  }
  Generator generator(2);
  state->dy = Normal(state->f(x).shape(), generator).value();
  workload.exchange.push_back({"x", state->x});
  workload.exchange.push_back({"dy", state->dy});
  workload.step = [state] { state->Run(); };
  workload.numbers = [state] {
    std::vector<double> norms;
    for (const Variable& v : state->Run()) norms.push_back(Norm(v.value()));
    return norms;
  };
  return workload;
}

Tensor Numbers(const Shape& shape) {
  Generator generator(1);
  return Normal(shape, generator).value();
}

template <class Layer>
Workload OfLayer(Layer layer, const Shape& shape) {
  const std::vector<NamedParameter> parameters = NamedParameters(layer);
  Generator generator(3);
  for (const NamedParameter& named : parameters) {  // not only the zeros and ones of the start
    if (named.parameter.shape().rank() > 1) continue;
    const Variable noise = Normal(named.parameter.shape(), generator, 0, 0.1);
    Parameter(named.parameter).Set(Abs(named.parameter + noise));
  }
  return ForwardBackward(Numbers(shape), parameters,
                         [layer](const Variable& x) { return layer(x); });
}

struct Mlp {
  nn::Dense a, b, c;
  explicit Mlp(Generator& rng)
      : a({.in = 2, .out = 16}, rng), b({.in = 16, .out = 16}, rng), c({.in = 16, .out = 1}, rng) {}
  Variable operator()(const Variable& x) const { return c(Tanh(b(Tanh(a(x))))); }
  template <class V>
  void Visit(V&& v) {
    v("a", a), v("b", b), v("c", c);
  }
};

}  // namespace

double Norm(const Tensor& tensor) {
  const Tensor row_major = tensor.Contiguous();
  double sum = 0;
  for (int64_t i = 0; i < row_major.size(); ++i) {
    sum += std::pow(static_cast<double>(row_major.data<float>()[i]), 2);
  }
  return std::sqrt(sum);
}

void AddLayerWorkloads(Workloads& workloads) {
  workloads["elementwise_chain"] = [] {
    return ForwardBackward(Numbers({16 << 20}), {},
                           [](const Variable& x) { return Tanh(x * 1.5 + 0.25) * 0.75 + 0.125; });
  };
  workloads["gelu"] = [] {
    return ForwardBackward(Numbers({4096, 4096}), {}, [](const Variable& x) { return Gelu(x); });
  };
  workloads["softmax"] = [] {
    return ForwardBackward(Numbers({4096, 1024}), {}, [](const Variable& x) { return Softmax(x); });
  };
  workloads["layer_norm"] = [] { return OfLayer(nn::LayerNorm({.size = 1024}), {4096, 1024}); };
  workloads["batch_norm"] = [] { return OfLayer(nn::BatchNorm({.size = 64}), {64, 32, 32, 64}); };
  workloads["attention"] = [] {
    Generator rng(1);
    return OfLayer(nn::MultiHeadAttention({.size = 256, .heads = 8}, rng), {32, 128, 256});
  };
  workloads["op_chain"] = [] {
    return ForwardBackward(Numbers({1}), {}, [](const Variable& x) {
      Variable y = x;
      for (int i = 0; i < kChain; ++i) y = i % 2 ? y + 0.0001 : y * 1.0001;
      return y;
    });
  };
  workloads["mlp_2_16_16_1"] = [] {
    Generator rng(1);
    return OfLayer(Mlp(rng), {1, 2});
  };
}

}  // namespace wengert

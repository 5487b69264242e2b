// Training steps of whole models, recurrent layers, and an optimizer alone.
#include <memory>
#include <string>
#include <utility>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "benchmarks/compare/workload.h"
#include "benchmarks/mnist_step.h"
#include "benchmarks/recurrent_step.h"
#include "data/loader.h"
#include "models/digits/classifiers.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalization.h"
#include "nn/optimizers.h"
#include "nn/recurrent_layouts.h"
#include "nn/train/fit.h"
#include "ops/ops.h"

namespace wengert {
namespace {

constexpr int kLosses = 3;

template <class Step>
Workload OfSteps(std::shared_ptr<Step> step, const std::vector<NamedParameter>& weights) {
  Workload workload;
  workload.step = [step] { step->Run(); };
  workload.numbers = [step] {
    std::vector<double> losses;
    for (int i = 0; i < kLosses; ++i) losses.push_back(step->Run());
    return losses;
  };
  for (const NamedParameter& named : weights) {
    workload.exchange.push_back({named.name, named.parameter.value()});
  }
  return workload;
}

Workload MnistWorkload(const std::string& model) {
  auto step = std::make_shared<MnistStep>(model, MnistOrder::kAsFiled);
  return OfSteps(step, step->weights());
}

// An epoch over the training set, shuffled, as //models:mnist trains.
Workload MnistJob() {
  struct Job {
    Generator generator{1};
    mnist::Model model = *mnist::MakeModel("cnn32_64_d128", "relu", generator);
    std::unique_ptr<Optimizer> optimizer =
        *mnist::MakeOptimizer(model.recipe.optimizer, model.parameters, 0);
    MnistSplit data = *LoadMnistTrain();
    Loader loader{data.images,
                  data.labels,
                  {.batch_size = model.recipe.batch_size, .shuffle = true, .scale = true}};

    double Run() {
      return Fit(Classification(model.forward), *optimizer, loader, generator, {.quiet = true})
          .training.loss;
    }
  };
  auto job = std::make_shared<Job>();
  Workload workload = OfSteps(job, job->model.weights);
  workload.numbers = [job] {  // the order of the examples is each framework's own
    const MnistSplit& data = job->data;
    const Loader first(data.images, data.labels, {.batch_size = 128, .scale = true, .limit = 128});
    return std::vector<double>{EvaluateObjective(Classification(job->model.forward), first).loss};
  };
  return workload;
}

struct ConvNet {
  nn::Conv2d conv1, conv2, conv3;
  nn::BatchNorm norm1{{.size = 64}}, norm2{{.size = 128}}, norm3{{.size = 256}};
  nn::Dense fc;

  static nn::Conv2d Conv(int64_t in, int64_t out, Generator& rng) {
    return nn::Conv2d(
        {.in = in, .out = out, .kernel = 3, .padding = Padding::Same(), .use_bias = false}, rng);
  }
  explicit ConvNet(Generator& rng)
      : conv1(Conv(3, 64, rng)),
        conv2(Conv(64, 128, rng)),
        conv3(Conv(128, 256, rng)),
        fc({.in = 4 * 4 * 256, .out = 10}, rng) {}
  Variable operator()(const Variable& images) const {
    Variable h = MaxPool2d(Relu(norm1(conv1(images))));
    h = MaxPool2d(Relu(norm2(conv2(h))));
    h = MaxPool2d(Relu(norm3(conv3(h))));
    return fc(nn::Flatten()(h));
  }
  template <class V>
  void Visit(V&& v) {
    v("conv1", conv1), v("norm1", norm1), v("conv2", conv2), v("norm2", norm2);
    v("conv3", conv3), v("norm3", norm3), v("fc", fc);
  }
};

Workload ConvNetWorkload() {
  static constexpr int64_t kBatch = 64, kBatches = 4;
  struct Step {
    Generator generator{1};
    ConvNet net{generator};
    Adam optimizer{Parameters(net)};
    Tensor images = Normal({kBatch * kBatches, 32, 32, 3}, generator).value();
    Tensor labels =
        ArgMax(Normal({kBatch * kBatches, 10}, generator), -1).value().To(DType::kInt32);
    EpochBatches batches = Loader(images, labels, {.batch_size = kBatch}).Epoch(0);
    int64_t next = 0;

    double Run() {
      const Batch batch = batches.At(next++ % kBatches);
      const TrainingScope training(generator);
      const ValueAndGradients step = ValueAndGrad(
          [&] { return SoftmaxCrossEntropy(net(batch.inputs), Variable(batch.targets)); },
          optimizer.parameters());
      optimizer.Step(step.gradients);
      return step.value.item<double>();
    }
  };
  auto step = std::make_shared<Step>();
  Workload workload = OfSteps(step, NamedParameters(step->net));
  workload.exchange.push_back({"images", step->images});
  workload.exchange.push_back({"labels", step->labels});
  return workload;
}

template <class Cell>
Workload RecurrentWorkload() {
  using Step = RecurrentStep<Cell>;
  auto step = std::make_shared<Step>(
      RecurrentShape{.in = 128, .hidden = 256, .steps = 64, .batch = 32}, RecurrentPath::kFused);
  Workload workload;
  workload.step = [step] { step->Run(); };
  workload.numbers = [step] {
    const Variable x = DifferentiableLeaf(step->x);
    const Variable y = step->cell.Run(x, step->initial).outputs;
    const Variable inputs[] = {x, step->cell.weight_ih, step->cell.weight_hh};
    std::vector<double> norms{Norm(y.value())};
    for (const Variable& gradient : Grad({&y, 1}, inputs, {.cotangents = {step->dy}})) {
      norms.push_back(Norm(gradient.value()));
    }
    return norms;
  };
  for (const auto& [name, layout] :
       {std::pair{"keras", nn::WeightLayout::kKeras}, {"torch", nn::WeightLayout::kPyTorch}}) {
    const nn::ForeignWeights weights = nn::ExportWeights(step->cell, layout);
    const std::string prefix = std::string(name) + "/";
    workload.exchange.push_back({prefix + "weight_ih", weights.weight_ih});
    workload.exchange.push_back({prefix + "weight_hh", weights.weight_hh});
    workload.exchange.push_back({prefix + "bias", weights.bias});
    if (weights.bias_hh.defined()) {
      workload.exchange.push_back({prefix + "bias_hh", weights.bias_hh});
    }
  }
  workload.exchange.push_back({"x", step->x});
  workload.exchange.push_back({"dy", step->dy});
  return workload;
}

Workload AdamWorkload() {
  struct Step {
    std::vector<Parameter> parameters;
    std::vector<Variable> gradients;
    std::unique_ptr<Adam> optimizer;

    Step() {
      Generator generator(1);
      for (int i = 0; i < 10; ++i) {
        parameters.emplace_back(Normal({1000, 1000}, generator).value());
        gradients.emplace_back(Normal({1000, 1000}, generator).value());
      }
      optimizer = std::make_unique<Adam>(parameters);
    }
    void Run() { optimizer->Step(gradients); }
  };
  auto step = std::make_shared<Step>();
  Workload workload;
  workload.step = [step] { step->Run(); };
  workload.numbers = [step] {
    for (int i = 0; i < kLosses; ++i) step->Run();
    return std::vector<double>{Norm(step->parameters[0].value()),
                               Norm(step->parameters[9].value())};
  };
  for (size_t i = 0; i < step->parameters.size(); ++i) {
    // A copy: the optimizer updates in place.
    workload.exchange.push_back({"p" + std::to_string(i), step->parameters[i].value().Clone()});
    workload.exchange.push_back({"g" + std::to_string(i), step->gradients[i].value()});
  }
  return workload;
}

}  // namespace

void AddModelWorkloads(Workloads& workloads) {
  for (const char* model : {"cnn32_64_d128", "cnn32_64_64_d64", "cnn32", "cnn32_nopool"}) {
    workloads[std::string("mnist_") + model] = [model] { return MnistWorkload(model); };
  }
  workloads["mnist_epoch"] = &MnistJob;
  workloads["conv_net"] = &ConvNetWorkload;
  workloads["lstm"] = &RecurrentWorkload<nn::LstmCell>;
  workloads["gru"] = &RecurrentWorkload<nn::GruCell>;
  workloads["rnn"] = &RecurrentWorkload<nn::RnnCell>;
  workloads["adam_10m"] = &AdamWorkload;
}

}  // namespace wengert

// The snippets of docs/from_pytorch.md and docs/from_keras.md, run; see concepts_test.cc.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

// [pytorch]
struct Net {
  nn::Dense fc1, fc2;
  nn::BatchNorm norm;
  nn::Dropout dropout{.rate = 0.1};
  explicit Net(Generator& rng)
      : fc1({.in = 2, .out = 32}, rng),
        fc2({.in = 32, .out = 2}, rng),
        norm({.size = 32, .momentum = 0.9}) {}    // PyTorch's momentum=0.1
  Variable operator()(const Variable& x) const {  // forward
    return fc2(dropout(Relu(norm(fc1(x)))));
  }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("norm", norm);
  }
};

// points: [N, 2], labels: [N]. Gives the part of them that the trained net has right.
double TrainNet(const Tensor& points, const Tensor& labels) {
  Generator rng(/*seed=*/1);  // torch.manual_seed(1)
  Net net(rng);
  AdamW adamw(Parameters(net), {.weight_decay = 0.01});
  const Loader loader(points, labels, {.batch_size = 32, .shuffle = true});
  constexpr int64_t kEpochs = 40;
  const Schedule rate = CosineDecay({.rate = 0.01, .steps = kEpochs * loader.batches()});
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const TrainingScope training(rng);  // net.train()
    for (const Batch& batch : loader.Epoch(epoch)) {
      auto [loss, gradients] = ValueAndGrad(  // zero_grad, forward and backward
          [&] { return SoftmaxCrossEntropy(net(batch.inputs), batch.targets); },
          adamw.parameters());
      ClipByGlobalNorm(gradients, 1);                // clip_grad_norm_
      adamw.set_learning_rate(rate(adamw.steps()));  // scheduler.step()
      adamw.Step(gradients);                         // optimizer.step()
    }
  }
  const NoGradGuard no_grad;  // torch.no_grad(); net.eval() is what stands outside the scope
  return Mean(Equal(ArgMax(net(points), -1), labels)).item<double>();
}
// [/pytorch]

TEST(Porting, FromPyTorch) {
  // Inside or outside of a circle.
  Generator rng(3);
  const Tensor points = Uniform({1024, 2}, rng, -1, 1).value();
  const Tensor labels = Cast(Sum(Square(points), 1) < 0.5, DType::kInt64).value();
  EXPECT_GT(TrainNet(points, labels), 0.93);
}

TEST(Porting, FromKeras) {
  // Stripes along rows (0) or columns (1), in noise.
  Generator data_rng(3);
  const Variable labels = Cast(Bernoulli({256}, data_rng), DType::kInt64);
  const Variable stripes = Tensor::FromVector(std::vector<float>{0, 1, 0, 1, 0, 1, 0, 1});
  const Variable rows = Reshape(stripes, {1, 8, 1, 1}), columns = Reshape(stripes, {1, 1, 8, 1});
  const Tensor images = (Where(Reshape(labels, {256, 1, 1, 1}) > 0, columns, rows) +
                         Normal({256, 8, 8, 1}, data_rng, 0, 0.3))
                            .value();
  const Loader train(images.Narrow(0, 0, 192), labels.value().Narrow(0, 0, 192),
                     {.batch_size = 32, .shuffle = true});
  const Loader test(images.Narrow(0, 192, 64), labels.value().Narrow(0, 192, 64));
  const std::string path = ::testing::TempDir() + "/stripes.safetensors";
  // [keras]
  Generator rng(/*seed=*/1);  // keras.utils.set_random_seed(1)
  nn::Sequential model{
      nn::Conv2d({.in = 1, .out = 8, .kernel = 3, .padding = Padding::Same()}, rng),
      Relu,
      nn::GlobalAvgPool2d(),
      nn::Dropout{.rate = 0.1},
      nn::Dense({.in = 8, .out = 2}, rng),
  };
  std::cout << Summary(model, {1, 8, 8, 1}).ToString();  // model.summary()
  Adam adam(Parameters(model), {.learning_rate = 0.02});
  // compile: loss, metrics. SparseCategoricalCrossentropy(from_logits=True), ["accuracy"].
  const Objective objective = Classification(model);
  const FitResult result = Fit(objective, adam, train, rng,
                               {.epochs = 15,
                                .schedule = CosineDecay({.rate = 0.02, .steps = 15 * 6}),
                                .validate = [&] { return EvaluateObjective(objective, test); },
                                .keep_best = true});           // ModelCheckpoint(save_best_only)
  const Metrics metrics = EvaluateObjective(objective, test);  // model.evaluate
  const Variable probabilities = Softmax(model(images));       // model.predict
  const absl::Status saved = Save(model, path);                // model.save_weights
  // [/keras]
  EXPECT_EQ(result.epochs, 15);
  EXPECT_EQ(result.steps, 15 * 6);
  EXPECT_GT(metrics.accuracy, 0.95);
  EXPECT_EQ(metrics.loss, result.best.loss);
  EXPECT_EQ(probabilities.shape(), (Shape{256, 2}));
  EXPECT_TRUE(saved.ok());
}

TEST(Porting, WeightsFromPyTorch) {
  const Tensor linear_weight = Tensor::FromVector(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor conv_weight = Tensor::Arange(0, 2 * 3 * 3 * 3, 1, DType::kFloat32)  //
                                 .Reshape({2, 3, 3, 3});
  Generator rng(1);
  nn::Dense dense({.in = 3, .out = 2}, rng);
  nn::Conv2d conv({.in = 3, .out = 2, .kernel = 3}, rng);
  // [weights]
  dense.weight.Set(linear_weight.T());                 // [out, in] -> [in, out]
  conv.weight.Set(conv_weight.Permute({2, 3, 1, 0}));  // [out, in, kh, kw] -> [kh, kw, in, out]
  // [/weights]
  EXPECT_EQ(dense.weight.value().at<float>({2, 0}), 3);
  EXPECT_EQ(conv.weight.value().at<float>({1, 2, 0, 1}), 27 + 5);
}

}  // namespace
}  // namespace wengert

// The snippets of docs/models_and_layers.md, run; see concepts_test.cc.
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

// [layer]
// x: [..., in] -> [..., out]; y = x down up + bias: a Dense whose weight has rank `rank`.
struct LowRankDense {
  struct Options {
    int64_t in, out, rank;
    bool use_bias = true;
    nn::Initializer initializer = &nn::LecunNormal;
  };
  Parameter down, up;  // [in, rank], [rank, out]
  Parameter bias;      // [out], zeros at first; unset without use_bias

  LowRankDense(const Options& o, Generator& rng) {
    nn::CheckPositive("low_rank_dense", {{"in", o.in}, {"out", o.out}, {"rank", o.rank}});
    down = Parameter(o.initializer({o.in, o.rank}, rng));
    up = Parameter(o.initializer({o.rank, o.out}, rng));
    if (o.use_bias) bias = Parameter(Tensor::Zeros({o.out}));
  }
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    const WhereScope scope(where, "low_rank_dense");  // errors name the layer and its caller
    const Variable y = MatMul(MatMul(x, down), up);
    return bias.defined() ? y + bias : y;
  }
  template <class V>
  void Visit(V&& v) {
    v("down", down), v("up", up), v("bias", bias);
  }
};
// [/layer]

TEST(ModelsAndLayers, Layer) {
  Generator rng(1);
  LowRankDense layer({.in = 5, .out = 4, .rank = 2, .use_bias = false}, rng);
  EXPECT_EQ(layer(Tensor::Ones({3, 5})).shape(), (Shape{3, 4}));
  EXPECT_EQ(Parameters(layer).size(), 2u);
  try {
    layer(Tensor::Ones({3, 6}));
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string line = std::to_string(__LINE__ - 3);
    EXPECT_EQ(error.what(), "[matmul] inner dimensions differ: [3,6] x [5,2] (" +
                                std::string(__FILE__) + ":" + line +
                                ", in low_rank_dense, reading down)");
  }
  try {
    [[maybe_unused]] const LowRankDense layer({.in = 5, .out = 4, .rank = 0}, rng);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[low_rank_dense] rank = 0, but must be positive");
  }
}

TEST(ModelsAndLayers, Blocks) {
  Generator rng(1);
  // [blocks]
  const auto conv = [&](int64_t in, int64_t out, int64_t kernel) {
    return nn::Conv2d({.in = in, .out = out, .kernel = kernel, .padding = Padding::Same()}, rng);
  };
  nn::Sequential model{
      conv(3, 16, 3),
      nn::Residual(nn::Sequential{nn::BatchNorm({.size = 16}), Relu, conv(16, 16, 3)}),
      nn::Concatenate{/*axis=*/-1, conv(16, 8, 1), conv(16, 8, 5), nn::Identity()},
      [](const Variable& x) { return LeakyRelu(x, 0.1); },
      nn::GlobalAvgPool2d(),
      LowRankDense({.in = 8 + 8 + 16, .out = 10, .rank = 4}, rng),
  };
  // [/blocks]
  EXPECT_EQ(model(Tensor::Ones({2, 6, 6, 3})).shape(), (Shape{2, 10}));
  EXPECT_EQ(NamedParameters(model)[2].name, "1/body/0/weight");
}

// [model]
// Which of `words` comes next: words: [N, T] -> logits [N, T, words].
struct NextWord {
  nn::Embedding embedding;
  std::vector<nn::Residual<nn::Sequential<nn::LayerNorm, nn::MultiHeadAttention>>> blocks;
  Parameter bias;  // [words]

  NextWord(int64_t words, int64_t size, int64_t depth, Generator& rng)
      : embedding({.count = words, .size = size}, rng), bias(Tensor::Zeros({words})) {
    for (int64_t i = 0; i < depth; ++i) {
      blocks.push_back(nn::Residual(
          nn::Sequential{nn::LayerNorm({.size = size}),
                         nn::MultiHeadAttention({.size = size, .heads = 2, .causal = true}, rng)}));
    }
  }
  Variable operator()(const Variable& words) const {
    Variable h = embedding(words);
    for (const auto& block : blocks) h = block(h);
    return MatMul(h, Transpose(embedding.weight)) + bias;  // the weight, used twice
  }
  template <class V>
  void Visit(V&& v) {
    v("embedding", embedding), v("blocks", blocks), v("bias", bias);
  }
};
// [/model]

TEST(ModelsAndLayers, Model) {
  Generator rng(1);
  NextWord model(/*words=*/7, /*size=*/4, /*depth=*/2, rng);
  EXPECT_EQ(model(Tensor::Zeros({2, 5}, DType::kInt64)).shape(), (Shape{2, 5, 7}));
  std::vector<std::string> names;
  for (const NamedParameter& named : NamedParameters(model)) names.push_back(named.name);
  ASSERT_EQ(names.size(), 2 + 2 * 10u);
  EXPECT_EQ(names[0], "embedding/weight");
  EXPECT_EQ(names[1], "blocks/0/body/0/weight");
  EXPECT_EQ(names[3], "blocks/0/body/1/query/weight");
}

TEST(ModelsAndLayers, Sharing) {
  Generator rng(1);
  nn::Dense left({.in = 4, .out = 3}, rng), right({.in = 4, .out = 3}, rng);
  right.weight = left.weight;
  nn::Concatenate both(/*axis=*/-1, left, right);
  const std::vector<Parameter> parameters = Parameters(both);
  EXPECT_EQ(parameters.size(), 3u);
  EXPECT_TRUE(left.weight.SharesWith(right.weight));
}

// [state]
// x: [N, size] -> x less the running mean of what it sees in training.
struct Center {
  Parameter mean;
  explicit Center(int64_t size) : mean(Parameter::Untrained(Tensor::Zeros({size}))) {}
  Variable operator()(const Variable& x) const {
    if (TrainingScope::active()) {
      UpdateState(mean, Mean(x, 0), [](const Tensor& running, const Tensor& batch) {
        return Lerp(running, batch, 0.1).value();
      });
    }
    return x - mean;
  }
  template <class V>
  void Visit(V&& v) {
    v("mean", mean);
  }
};
// [/state]

TEST(ModelsAndLayers, State) {
  Center center(2);
  const Tensor x = Tensor::FromVector(std::vector<float>{1, 20, 3, 40}, {2, 2});
  center(x);
  EXPECT_EQ(center.mean.value().at<float>({1}), 0);
  Generator rng(1);
  const TrainingScope training(rng);
  center(x);
  EXPECT_NEAR(center.mean.value().at<float>({0}), 0.2, 1e-6);
  EXPECT_NEAR(center.mean.value().at<float>({1}), 3, 1e-6);
  EXPECT_TRUE(Parameters(center).empty());
}

TEST(ModelsAndLayers, Groups) {
  Generator rng(1);
  NextWord model(7, 4, 1, rng);
  // [groups]
  ParameterGroup matrices{.weight_decay = 0.05}, others{.weight_decay = 0};
  for (const Parameter& parameter : Parameters(model)) {
    (parameter.shape().rank() > 1 ? matrices : others).parameters.push_back(parameter);
  }
  AdamW adamw({matrices, others}, {.learning_rate = 1e-3});
  // [/groups]
  EXPECT_EQ(matrices.parameters.size(), 1 + 4u);
  EXPECT_EQ(adamw.parameters().size(), 2 + 10u);
}

TEST(ModelsAndLayers, FineTuning) {
  Generator rng(1);
  NextWord model(7, 4, 2, rng);
  const Tensor words = Tensor::FromVector(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, {1, 6});
  const auto loss = [&] { return Mean(Square(model(words))); };
  const Tensor embedding = model.embedding.weight.value().Clone();
  // [freezing]
  Freeze(model.embedding);
  Freeze(model.blocks);
  Unfreeze(model.blocks.back());
  Adam adam(Parameters(model));  // made after freezing: the last block and the bias
  adam.Step(ValueAndGrad(loss, adam.parameters()).gradients);
  // [/freezing]
  EXPECT_EQ(adam.parameters().size(), 10 + 1u);
  EXPECT_TRUE(BitwiseEqual(model.embedding.weight.value(), embedding));
}

TEST(ModelsAndLayers, Accumulation) {
  Generator rng(1);
  nn::Dense model({.in = 2, .out = 1}, rng);
  const Variable x = Normal({64, 2}, rng);
  const Loader loader(x.value(), Sum(x, 1, kKeepDims).value(), {.batch_size = 8});
  Adam adam(Parameters(model));
  // [accumulation]
  GradientAccumulator accumulator;
  for (const Batch& batch : loader.Epoch(0)) {
    const auto [loss, gradients] = ValueAndGrad(
        [&] { return MeanSquaredError(model(batch.inputs), batch.targets); }, adam.parameters());
    accumulator.Add(gradients, batch.inputs.dim(0));
    if (accumulator.count() < 4) continue;
    std::vector<Variable> mean = accumulator.Take();  // of four batches
    ClipByGlobalNorm(mean, 1);
    adam.Step(mean);
  }
  // [/accumulation]
  EXPECT_EQ(adam.steps(), 2);
}

// [run]
// All that training needs to go on.
struct TrainingRun {
  nn::Dense& model;
  Adam& adam;
  WeightAverage& average;
  template <class V>
  void Visit(V&& v) {
    v("model", model), v("adam", adam), v("average", average);
  }
};
// [/run]

TEST(ModelsAndLayers, Saving) {
  const std::string path = ::testing::TempDir() + "/run.safetensors";
  const auto train = [](nn::Dense& model, Adam& adam, WeightAverage& average) {
    const auto loss = [&] { return Mean(Square(model(Tensor::Ones({2, 3})) - 1)); };
    for (int i = 0; i < 3; ++i) {
      adam.Step(ValueAndGrad(loss, adam.parameters()).gradients);
      average.Update();
    }
  };
  Generator rng(1);
  nn::Dense model({.in = 3, .out = 2}, rng);
  Adam adam(Parameters(model));
  WeightAverage average(Parameters(model), {.decay = 0.9});
  train(model, adam, average);
  // [save_run]
  TrainingRun run{model, adam, average};
  const absl::Status saved = Save(run, path);  // "model/weight", "adam/states/0/0", ...
  // In another process, with a model and an optimizer made as these were:
  const absl::Status loaded = Load(run, path);
  // [/save_run]
  ASSERT_TRUE(saved.ok() && loaded.ok()) << saved << loaded;
  nn::Dense other({.in = 3, .out = 2}, rng);
  Adam other_adam(Parameters(other));
  WeightAverage other_average(Parameters(other), {.decay = 0.9});
  TrainingRun again{other, other_adam, other_average};
  ASSERT_TRUE(Load(again, path).ok());
  train(model, adam, average), train(other, other_adam, other_average);
  EXPECT_TRUE(BitwiseEqual(model.weight.value(), other.weight.value()));
  EXPECT_TRUE(BitwiseEqual(average.averages()[0].value(), other_average.averages()[0].value()));
}

}  // namespace
}  // namespace wengert

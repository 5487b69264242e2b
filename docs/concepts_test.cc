// The snippets of docs/concepts.md and CONTRIBUTING.md, run. What stands between [name] and [/name]
// is quoted there word for word; snippets_test.sh compares them.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }
bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Concepts, TensorAndVariable) {
  // [tensor]
  const Tensor t = Tensor::FromVector(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor row = t.Narrow(0, 1, 1);  // a view: shares t's memory
  const Tensor copy = t.Clone();         // its own memory
  const Variable x = t;                  // a constant on the tape
  const Variable y = Sum(x * 2 + 1, 0);  // shape [3] is known now
  const Tensor sums = y.value();         // computed now: 12, 16, 20
  // [/tensor]
  EXPECT_TRUE(row.SharesStorage(t));
  EXPECT_FALSE(copy.SharesStorage(t));
  EXPECT_EQ(y.shape(), (Shape{3}));
  EXPECT_EQ(sums.ToVector<float>(), (Floats{12, 16, 20}));
}

TEST(Concepts, Recording) {
  // [recording]
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<double>{1, 2, 3}));
  const Variable loss = Sum(Square(x));      // recorded
  const Variable slope = Grad(loss, x);      // recorded too: the gradient is made of the same ops
  Evaluate({{loss, slope}});                 // both are computed, in one pass
  const double value = loss.item<double>();  // 14: read, not computed again
  // [/recording]
  EXPECT_EQ(value, 14);
  EXPECT_EQ(Values(slope), (Doubles{2, 4, 6}));
}

TEST(Concepts, Eager) {
  const Tensor images = Tensor::Ones({2, 3});
  // [eager]
  const EagerGuard eager;              // until the end of the scope
  const Variable y = Exp(images) * 2;  // computed on this line, op by op
  // [/eager]
  EXPECT_NEAR(y.value().at<float>({0, 0}), 2 * std::exp(1.), 1e-5);
}

TEST(Concepts, PendingLimits) {
  const PendingLimits before = GetPendingLimits();
  // [limits]
  SetPendingLimits({.nodes = 10'000, .bytes = 256 << 20});
  // [/limits]
  EXPECT_EQ(GetPendingLimits().nodes, 10'000);
  SetPendingLimits(before);
}

TEST(Concepts, CreateGraph) {
  // [create_graph]
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<double>{2}));
  const Variable y = Sum(x * x * x);
  const Variable first = Grad(y, x, {.create_graph = true});  // 3 x^2 = 12
  const Variable second = Grad(Sum(first), x);                // 6 x = 12
  // [/create_graph]
  EXPECT_EQ(Values(first), (Doubles{12}));
  EXPECT_EQ(Values(second), (Doubles{12}));
  const Variable without = Grad(y, x);
  try {
    Grad(Sum(without), x);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_TRUE(Has(error.what(), "taken without create_graph")) << error.what();
  }
}

TEST(Concepts, CotangentsAndUnused) {
  const Variable unused = DifferentiableLeaf(Tensor::Ones({4}));
  // [cotangents]
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{1, 2, 3}));
  const Variable y = Square(x);  // not a scalar: say what each element weighs
  const Tensor weights = Tensor::FromVector(std::vector<float>{1, 0, 10});
  const Variable slope = Grad(y, x, {.cotangents = {weights}});  // 2, 0, 60
  // An input that y does not depend on is an error, unless zeros are asked for.
  const Variable zeros = Grad(Sum(y), unused, {.unused = Unused::kZero});
  // [/cotangents]
  EXPECT_EQ(Values(slope), (Doubles{2, 0, 60}));
  EXPECT_EQ(Values(zeros), Doubles(4));
  EXPECT_THROW(Grad(Sum(y), unused), Error);
  EXPECT_THROW(Grad(y, x), Error);
}

TEST(Concepts, ValueAndGrad) {
  const Tensor x = Tensor::FromVector(Floats{0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const Tensor targets = Tensor::FromVector(Floats{1, 3, 0, 2}, {4, 1});  // 1 - a + 2 b
  // [value_and_grad]
  Generator rng(1);
  nn::Dense model({.in = 2, .out = 1}, rng);
  Sgd sgd(Parameters(model), {.learning_rate = 0.5});
  for (int step = 0; step < 200; ++step) {
    const auto [loss, gradients] =
        ValueAndGrad([&] { return MeanSquaredError(model(x), targets); }, sgd.parameters());
    sgd.Step(gradients);
  }
  // [/value_and_grad]
  EXPECT_NEAR(model.weight.value().at<float>({0, 0}), -1, 1e-3);
  EXPECT_NEAR(model.weight.value().at<float>({1, 0}), 2, 1e-3);
  EXPECT_NEAR(model.bias.value().at<float>({0}), 1, 1e-3);
}

TEST(Concepts, Optimizers) {
  Parameter weight(Tensor::Zeros({2})), bias(Tensor::Zeros({}));
  const auto loss = [&] { return Sum(Square(weight - 1)) + Sum(Square(bias + weight - 3)); };
  // [optimizers]
  AdamW adam({{.parameters = {weight}, .weight_decay = 0.1, .l2 = 1e-4},
              {.parameters = {bias}, .rate_factor = 2, .weight_decay = 0}},
             {.learning_rate = 0.1});
  const Schedule rate = WarmUp(10, CosineDecay({.rate = 0.1, .steps = 190}));
  WeightAverage average({weight, bias}, {.decay = 0.9});
  for (int64_t step = 0; step < 200; ++step) {
    auto [value, gradients] = ValueAndGrad(loss, adam.parameters());
    ClipByGlobalNorm(gradients, 1);
    adam.set_learning_rate(rate(step));
    adam.Step(gradients);
    average.Update();
  }
  average.Apply();  // until Restore, the parameters are the averages
  // [/optimizers]
  EXPECT_NEAR(weight.value().at<float>({0}), 1, 0.05);
  EXPECT_NEAR(bias.value().item<double>(), 2, 0.05);
}

TEST(Concepts, Detach) {
  // [detach]
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<double>{3}));
  const Variable y = Sum(x.Detach() * x);  // the first factor counts as a constant
  const Variable slope = Grad(y, x);       // 3, not 6
  const NoGradGuard no_grad;               // from here on nothing records gradient edges
  const Variable z = x * x;                // z.requires_grad() is false
  // [/detach]
  EXPECT_EQ(Values(slope), (Doubles{3}));
  EXPECT_FALSE(z.requires_grad());
}

TEST(Concepts, Parameters) {
  // [parameter]
  Parameter w(Tensor::Full({2}, 1));
  const Variable before = w * 10;  // holds the value that w has now
  w.Set(Tensor::Full({2}, 5));     // same shape and dtype, else an Error
  const Variable after = w * 10;   // before is 10, 10; after is 50, 50
  // [/parameter]
  EXPECT_EQ(Values(before), (Doubles{10, 10}));
  EXPECT_EQ(Values(after), (Doubles{50, 50}));
}

// [layer]
struct Scale {
  Parameter factor;
  explicit Scale(int64_t features) : factor(Tensor::Ones({features})) {}
  Variable operator()(const Variable& x) const { return x * factor; }
  template <class V>
  void Visit(V&& v) {
    v("factor", factor);
  }
};
// [/layer]

TEST(Concepts, ALayerIsAStruct) {
  Generator generator(1);
  // [sequential]
  nn::Sequential model(nn::Dense({.in = 4, .out = 8}, generator), Relu, Scale(8));
  for (const NamedParameter& named : NamedParameters(model, "net")) {
    std::cout << named.name << " " << ToString(named.parameter.shape()) << "\n";
  }
  // [/sequential]
  const std::vector<NamedParameter> named = NamedParameters(model, "net");
  ASSERT_EQ(named.size(), 3u);
  EXPECT_EQ(named[0].name, "net/0/weight");
  EXPECT_EQ(named[2].name, "net/2/factor");
  EXPECT_EQ(ToString(named[0].parameter.shape()), "[4,8]");
  EXPECT_EQ(model(Tensor::Ones({5, 4})).shape(), (Shape{5, 8}));
  // [freeze]
  Freeze(std::get<0>(model.layers));                         // the Dense
  const std::vector<Parameter> trained = Parameters(model);  // Scale's factor only
  // [/freeze]
  ASSERT_EQ(trained.size(), 1u);
  EXPECT_EQ(trained[0].name(), "2/factor");
}

TEST(Concepts, Saving) {
  const std::string path = ::testing::TempDir() + "/dense.safetensors";
  // [saving]
  Generator rng(1);
  nn::Dense model({.in = 3, .out = 2}, rng);
  const absl::Status saved = Save(model, path);  // two tensors: "weight" and "bias"
  nn::Dense restored({.in = 3, .out = 2}, rng);  // other numbers, until
  const absl::Status loaded = Load(restored, path);
  nn::Dense wider({.in = 3, .out = 4}, rng);
  const absl::Status wrong = Load(wider, path);  // not OK, and wider stays as it was
  // [/saving]
  EXPECT_TRUE(saved.ok() && loaded.ok());
  EXPECT_TRUE(BitwiseEqual(model.weight.value(), restored.weight.value()));
  EXPECT_EQ(wrong.message(),
            path +
                " does not fit the model: different (2): \"weight\" is float32[3,2], in the "
                "model float32[3,4], \"bias\" is float32[2], in the model float32[4]");
}

TEST(Concepts, TrainingAndRandomNumbers) {
  // [training]
  const nn::Dropout dropout{.rate = 0.25};
  const Variable x = Tensor::Ones({1000});
  const Variable inferred = dropout(x);  // x itself
  Generator generator(/*seed=*/7);
  const TrainingScope training(generator);
  const Variable first = dropout(x);   // zeros and 4/3
  const Variable second = dropout(x);  // others: the generator's counter has moved
  // [/training]
  EXPECT_TRUE(inferred.SameAs(x));
  EXPECT_FALSE(BitwiseEqual(first.value(), second.value()));
  Generator again(7);
  const TrainingScope replay(again);
  const Variable repeated_first = dropout(x), repeated_second = dropout(x);
  EXPECT_TRUE(BitwiseEqual(repeated_second.value(), second.value()));  // in the other order
  EXPECT_TRUE(BitwiseEqual(repeated_first.value(), first.value()));
}

TEST(Concepts, Checkpoints) {
  // [checkpoint]
  const Parameter w(Tensor::Full({16, 16}, 0.1));
  const auto block = [&](VariableSpan in) { return Tanh(MatMul(Tanh(MatMul(in[0], w)), w)); };
  Variable h = Tensor::Ones({4, 16});
  for (int i = 0; i < 8; ++i) h = Checkpoint(block, {h});  // keeps 8 inputs, not what is between
  const Variable slope = Grad(Sum(h), w);
  // [/checkpoint]
  Variable plain = Tensor::Ones({4, 16});
  for (int i = 0; i < 8; ++i) plain = block({&plain, 1});
  const Doubles a = Values(slope), b = Values(Grad(Sum(plain), w));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * std::abs(b[i]));
}

TEST(Concepts, Transforms) {
  // [transforms]
  const Variable x = Tensor::FromVector(std::vector<double>{1, -2, 3});
  const Variable v = Tensor::FromVector(std::vector<double>{1, 0, 10});
  const Function cubes = [](VariableSpan in) { return in[0] * in[0] * in[0]; };
  const auto [y, directional] = Jvp(cubes, {&x, 1}, {&v, 1});  // 3 x^2 v: 3, 0, 270
  const Function sum = [&](VariableSpan in) { return Sum(cubes(in)); };
  const Variable product = Hvp(sum, {&x, 1}, {&v, 1})[0];  // 6 x v: 6, 0, 180
  const Variable jacobian =                                // [3,3], diagonal 3 x^2
      Jacobian([](const Variable& in) { return in * in * in; }, x);
  const Variable hessian =  // [3,3], diagonal 6 x
      Hessian([](const Variable& in) { return Sum(in * in * in); }, x);
  // [/transforms]
  EXPECT_EQ(Values(y), (Doubles{1, -8, 27}));
  EXPECT_EQ(Values(directional), (Doubles{3, 0, 270}));
  EXPECT_EQ(Values(product), (Doubles{6, 0, 180}));
  EXPECT_EQ(Values(jacobian), (Doubles{3, 0, 0, 0, 12, 0, 0, 0, 27}));
  EXPECT_EQ(Values(hessian), (Doubles{6, 0, 0, 0, -12, 0, 0, 0, 18}));
}

TEST(Concepts, Errors) {
  std::string text;
  // [error]
  Generator rng(1);
  nn::Dense dense({.in = 3, .out = 2}, rng);
  Parameters(dense, "net/fc1");  // stamps the names: net/fc1/weight, net/fc1/bias
  try {
    dense(Tensor::Ones({5, 4}));
  } catch (const Error& error) {
    text = error.what();
  }
  // [/error]
  EXPECT_EQ(text, "[matmul] inner dimensions differ: [5,4] x [3,2] (" + std::string(__FILE__) +
                      ":" + std::to_string(__LINE__ - 6) + ", in dense, reading net/fc1/weight)");
}

TEST(Concepts, Anomaly) {
  std::string text;
  // [anomaly]
  const DetectAnomaly anomaly;
  const Variable x = Tensor::FromVector(std::vector<float>{4, 0, 1});
  const Variable y = Log(x) * 2;
  try {
    y.value();
  } catch (const Error& error) {
    text = error.what();
  }
  // [/anomaly]
  EXPECT_EQ(text, "[log] the first value that is not finite; inputs: [3] in [0, 4] (" +
                      std::string(__FILE__) + ":" + std::to_string(__LINE__ - 8) + ")");
}

TEST(Concepts, SameBits) {
  const int threads = NumThreads();
  // [same_bits]
  const auto run = [](int threads) {
    SetNumThreads(threads);
    Generator rng(7);
    const Variable x = Normal({256, 512}, rng), w = Normal({512, 128}, rng);
    return Softmax(MatMul(x, w)).value();
  };
  const bool same = BitwiseEqual(run(1), run(4));  // true
  // [/same_bits]
  SetNumThreads(threads);
  EXPECT_TRUE(same);
}

TEST(Concepts, Subnormals) {
  // [subnormals]
  const float tiny = std::numeric_limits<float>::denorm_min();
  const Variable x = Tensor::FromVector(std::vector<float>{tiny});
  const float y = (x * 1).item<float>();  // 0
  // [/subnormals]
  EXPECT_EQ(y, 0);
}

TEST(Concepts, WhereTrap) {
  // [where]
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<double>{0, 2}));
  const Variable trap = Where(x > 0, Log(x), 0);
  const Variable safe = Where(x > 0, Log(Where(x > 0, x, 1)), 0);
  const Variable wrong = Grad(Sum(trap), x);  // nan, 0.5
  const Variable right = Grad(Sum(safe), x);  // 0, 0.5
  // [/where]
  EXPECT_EQ(Values(trap), Values(safe));
  EXPECT_TRUE(std::isnan(Values(wrong)[0]));
  EXPECT_EQ(Values(right), (Doubles{0, 0.5}));
}

TEST(Concepts, DTypes) {
  // [dtypes]
  const Variable i = Tensor::FromVector(std::vector<int32_t>{1, 2});
  const Variable f = Tensor::FromVector(std::vector<float>{1, 2});
  const Variable d = Tensor::FromVector(std::vector<double>{1, 2});
  i + 1;        // int32: a C++ number takes the tensor's dtype
  i + 0.5;      // float32: unless it is of a higher kind
  f + 0.5;      // float32
  i + f;        // float32
  f + d;        // float64
  i / 2;        // float32: true division
  Exp(i);       // float32: the reals
  i < f;        // bool
  (i < f) + 1;  // int64
  // [/dtypes]
  EXPECT_EQ((i + 1).dtype(), DType::kInt32);
  EXPECT_EQ((i + 0.5).dtype(), DType::kFloat32);
  EXPECT_EQ((f + 0.5).dtype(), DType::kFloat32);
  EXPECT_EQ((i + f).dtype(), DType::kFloat32);
  EXPECT_EQ((f + d).dtype(), DType::kFloat64);
  EXPECT_EQ((i / 2).dtype(), DType::kFloat32);
  EXPECT_EQ(Exp(i).dtype(), DType::kFloat32);
  EXPECT_EQ((i < f).dtype(), DType::kBool);
  EXPECT_EQ(((i < f) + 1).dtype(), DType::kInt64);
  // The table of promotions in concepts.md, row by row.
  for (int a = 0; a < kNumDTypes; ++a) {
    for (int b = 0; b < kNumDTypes; ++b) {
      const DType expected = static_cast<DType>(std::max(a, b));
      EXPECT_EQ(Promote(static_cast<DType>(a), static_cast<DType>(b)), expected);
    }
  }
}

}  // namespace
}  // namespace wengert

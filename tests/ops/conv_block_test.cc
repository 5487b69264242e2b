// The convolution block: where it is found, and that its kernels compute what the ops do.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/pool.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

// A block as a program writes it.
struct Block {
  Shape x, kernel;
  bool bias = true, relu = true, pool = true;
  Conv2dOptions options = {};

  Variable operator()(VariableSpan in) const {
    Variable y = Conv2d(in[0], in[1], options);
    if (bias) y = y + in[2];
    if (relu) y = Relu(y);
    return pool ? MaxPool2d(y) : y;
  }
  std::string Name() const {
    return absl::StrCat(ToString(x), " ", ToString(kernel), bias ? " bias" : "",
                        relu ? " relu" : "", pool ? " pool" : "");
  }
};

struct Results {
  std::string op;  // that computed y
  Tensor y;
  std::vector<Tensor> gradients;  // by x, kernel and bias
};

Results Step(const Block& block, const std::vector<Tensor>& inputs, const Tensor& cotangent,
             bool eager) {
  const EagerGuard guard(eager);
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) leaves.push_back(DifferentiableLeaf(input));
  const Variable y = block(leaves);
  std::vector<Variable> all = Grad({&y, 1}, leaves, {.cotangents = {cotangent}});
  all.push_back(y);
  Evaluate(all);
  all.pop_back();
  // What is found stands below an alias.
  const Node* node = y.node();
  if (node->op->name == "alias") node = node->inputs()[0].node();
  Results results{.op = std::string(node->op->name), .y = y.value(), .gradients = {}};
  for (const Variable& gradient : all) results.gradients.push_back(gradient.value());
  return results;
}

class ConvBlockTest : public ::testing::Test {
 protected:
  Tensor Random(const Shape& shape) {
    return Fill(shape, [&] { return static_cast<double>(random_.Int(-1000, 1000)) / 700; });
  }
  Tensor Integers(const Shape& shape, int64_t most = 3) {
    return Fill(shape, [&] { return static_cast<double>(random_.Int(-most, most)); });
  }
  template <class F>
  static Tensor Fill(const Shape& shape, F f) {
    Tensor tensor = Tensor::Empty(shape, DType::kFloat32);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.mutable_data<float>()[i] = static_cast<float>(f());
    }
    return tensor;
  }
  template <class F>
  static std::vector<Tensor> Inputs(const Block& block, F make) {
    std::vector<Tensor> inputs = {make(block.x), make(block.kernel)};
    if (block.bias) inputs.push_back(make(Shape{block.kernel[3]}));
    return inputs;
  }
  static Shape ResultShape(const Block& block, const std::vector<Tensor>& inputs) {
    return block(std::vector<Variable>(inputs.begin(), inputs.end())).shape();
  }

  // The distance in units of the expected value's norm.
  static double Distance(const Tensor& found, const Tensor& expected) {
    EXPECT_EQ(found.shape(), expected.shape());
    const std::vector<double> a = found.ToVector<double>(), b = expected.ToVector<double>();
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      difference += (a[i] - b[i]) * (a[i] - b[i]);
      norm += b[i] * b[i];
    }
    return difference == 0 ? 0 : std::sqrt(difference / norm);
  }
  // The composite against the ops one by one.
  static void Compare(const Block& block, const std::vector<Tensor>& inputs,
                      const Tensor& cotangent, std::optional<double> tolerance) {
    SCOPED_TRACE(block.Name());
    const Results found = Step(block, inputs, cotangent, /*eager=*/false);
    const Results expected = Step(block, inputs, cotangent, /*eager=*/true);
    EXPECT_EQ(found.op, block.relu ? "conv_relu_pool" : "conv_bias_pool");
    const auto check = [&](const Tensor& a, const Tensor& b, const char* what) {
      if (tolerance) {
        EXPECT_LE(Distance(a, b), *tolerance) << what;
      } else {
        EXPECT_TRUE(BitwiseEqual(a, b)) << what;
      }
    };
    check(found.y, expected.y, "y");
    const char* const names[] = {"dx", "dkernel", "dbias"};
    for (size_t i = 0; i < inputs.size(); ++i) {
      check(found.gradients[i], expected.gradients[i], names[i]);
    }
  }

  // Of odd and even sizes, of channels that fill vectors and that do not.
  Block RandomBlock() {
    Block block;
    const int64_t groups = random_.Int(0, 7) == 0 ? 2 : 1, kernel = random_.Int(1, 4);
    const int64_t in = random_.Int(0, 2) ? random_.Int(1, 40) : 1, out = random_.Int(1, 70);
    block.options = {.stride = random_.Int(0, 5) == 0 ? 2 : 1,
                     .dilation = random_.Int(0, 5) == 0 ? 2 : 1,
                     .groups = groups,
                     .padding = random_.Int(0, 1) ? Padding::Same() : Padding::Valid()};
    block.x = {random_.Int(1, 9), random_.Int(9, 19), random_.Int(9, 19), in * groups};
    block.kernel = {kernel, random_.Int(1, 4), in, out * groups};
    block.pool = random_.Int(0, 3) > 0;
    block.bias = random_.Int(0, 3) > 0;
    block.relu = (!block.pool && !block.bias) || random_.Int(0, 3) > 0;
    return block;
  }

  RandomIntegers random_{17};
  KernelSettings settings_;
};

TEST_F(ConvBlockTest, RandomShapesAgreeWithTheOps) {
  for (int i = 0; i < 60; ++i) {
    const Block block = RandomBlock();
    const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
    Compare(block, inputs, Random(ResultShape(block, inputs)), 1e-5);
  }
}

TEST_F(ConvBlockTest, TheShapesOfTheMnistModels) {
  for (const Block& block :
       {Block{{16, 28, 28, 1}, {3, 3, 1, 32}}, Block{{16, 13, 13, 32}, {3, 3, 32, 64}},
        Block{{16, 11, 11, 64}, {3, 3, 64, 64}, true, true, false}}) {
    const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
    Compare(block, inputs, Random(ResultShape(block, inputs)), 1e-5);
  }
}

// Sums of small integers are exact in any order, so ties are ties and all bits agree.
TEST_F(ConvBlockTest, IntegersAgreeInEveryBitTiesIncluded) {
  for (int i = 0; i < 40; ++i) {
    const Block block = RandomBlock();
    const std::vector<Tensor> inputs =
        Inputs(block, [&](const Shape& s) { return Integers(s, 1); });
    Compare(block, inputs, Integers(ResultShape(block, inputs)), std::nullopt);
  }
}

TEST_F(ConvBlockTest, OnEverySimdTarget) {
  const Block block{{3, 11, 10, 5}, {3, 3, 5, 35}};
  const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Integers(s); });
  const Tensor cotangent = Integers(ResultShape(block, inputs));
  ForEachTarget([&] { Compare(block, inputs, cotangent, std::nullopt); });
}

TEST_F(ConvBlockTest, AWindowOfNegativesGivesZeroAndNoGradient) {
  const Block block{{1, 6, 6, 2}, {3, 3, 2, 17}};
  std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
  inputs[2] = Tensor::Full({17}, -1e4);
  const Results found = Step(block, inputs, Tensor::Ones({1, 2, 2, 17}), /*eager=*/false);
  EXPECT_TRUE(BitwiseEqual(found.y, Tensor::Zeros({1, 2, 2, 17})));
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(BitwiseEqual(found.gradients[i], Tensor::Zeros(inputs[i].shape()))) << i;
  }
}

// As the ops: NaN passes relu and wins its window, infinity too, and no gradient passes a NaN.
TEST_F(ConvBlockTest, NotANumberAndInfinityGoWhereTheOpsLetThem) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t in : {1, 5}) {
    for (const bool relu : {false, true}) {
      const Block block{{2, 13, 12, in}, {3, 3, in, 16}, true, relu, true};
      std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Integers(s); });
      for (const auto& [at, value] : {std::pair<int64_t, float>{40 * in, kNan},
                                      {100 * in, kInfinity},
                                      {250 * in, -kInfinity}}) {
        inputs[0].mutable_data<float>()[at] = value;
      }
      const Tensor cotangent = Integers({2, 5, 5, 16});
      const Results found = Step(block, inputs, cotangent, false);
      const Results expected = Step(block, inputs, cotangent, true);
      const auto same = [](const Tensor& a, const Tensor& b) {
        const std::vector<double> p = a.ToVector<double>(), q = b.ToVector<double>();
        for (size_t i = 0; i < p.size(); ++i) {
          if (p[i] != q[i] && !(std::isnan(p[i]) && std::isnan(q[i]))) return false;
        }
        return true;
      };
      EXPECT_TRUE(same(found.y, expected.y)) << in << relu;
      EXPECT_TRUE(same(found.gradients[0], expected.gradients[0])) << in << relu;
      EXPECT_TRUE(same(found.gradients[2], expected.gradients[2])) << in << relu;
    }
  }
}

TEST_F(ConvBlockTest, SameBitsForAnyNumberOfThreads) {
  for (const Block& block :
       {Block{{23, 14, 15, 1}, {3, 3, 1, 32}}, Block{{23, 14, 15, 6}, {3, 3, 6, 24}},
        Block{{23, 14, 15, 6}, {3, 3, 6, 24}, true, true, false}}) {
    const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
    const Tensor cotangent = Random(ResultShape(block, inputs));
    SetNumThreads(1);
    const Results serial = Step(block, inputs, cotangent, false);
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const Results results = Step(block, inputs, cotangent, false);
      EXPECT_TRUE(BitwiseEqual(results.y, serial.y)) << threads;
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(BitwiseEqual(results.gradients[i], serial.gradients[i])) << threads << " " << i;
      }
    }
  }
}

TEST_F(ConvBlockTest, AnySubsetOfTheGradientsIsTheSame) {
  for (const int64_t in : {1, 3}) {
    const Block block{{5, 9, 11, in}, {3, 3, in, 16}};
    const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
    const Tensor cotangent = Random(ResultShape(block, inputs));
    const Results all = Step(block, inputs, cotangent, false);
    for (int which = 0; which < 3; ++which) {
      std::vector<Variable> leaves;
      for (int i = 0; i < 3; ++i) {
        leaves.push_back(i == which ? DifferentiableLeaf(inputs[i]) : Variable(inputs[i]));
      }
      const Variable y = block(leaves);
      const Variable only = Grad({&y, 1}, {&leaves[which], 1}, {.cotangents = {cotangent}})[0];
      // The gradients that are asked for together may share their pieces of the batch.
      EXPECT_LE(Distance(only.value(), all.gradients[which]), 1e-6) << in << " " << which;
    }
  }
}

TEST_F(ConvBlockTest, SecondDerivativesAreThoseOfTheOps) {
  const Block block{{2, 7, 6, 2}, {3, 3, 2, 5}};
  const std::vector<Tensor> inputs = Inputs(block, [&](const Shape& s) { return Random(s); });
  const auto second = [&](bool eager) {
    const EagerGuard guard(eager);
    std::vector<Variable> leaves;
    for (const Tensor& input : inputs) leaves.push_back(DifferentiableLeaf(input));
    const Variable loss = Sum(Square(block(leaves)));
    const std::vector<Variable> first = Grad({&loss, 1}, leaves, {.create_graph = true});
    const Variable penalty = Sum(Square(first[0])) + Sum(Square(first[1])) + Sum(first[2]);
    std::vector<Tensor> values;
    for (const Variable& v : Grad({&penalty, 1}, leaves)) values.push_back(v.value());
    return values;
  };
  const std::vector<Tensor> found = second(false), expected = second(true);
  for (int i = 0; i < 3; ++i) EXPECT_LE(Distance(found[i], expected[i]), 1e-5) << i;
}

TEST_F(ConvBlockTest, WhatIsFoundAndWhatIsNot) {
  const Variable x = DifferentiableLeaf(Random({2, 9, 9, 3})), w = Random({3, 3, 3, 8});
  const Variable b = Random({8});
  const auto conv = [&] { return Conv2d(x, w); };
  const auto block = [&]() -> Variable { return Relu(conv() + b); };
  const auto found = [](auto f) {
    const Variable y = f();  // the ends of its expression let go of what they hold
    y.value();
    const Node* node = y.node();
    if (node->op->name == "alias") node = node->inputs()[0].node();
    return std::string(node->op->name);
  };
  EXPECT_EQ(found(conv), "conv2d");
  EXPECT_EQ(found([&] { return conv() + b; }), "conv_bias_pool");
  EXPECT_EQ(found([&] { return b + conv(); }), "conv_bias_pool");
  EXPECT_EQ(found([&] { return MaxPool2d(conv()); }), "conv_bias_pool");
  EXPECT_EQ(found([&] { return MaxPool2d(conv() + b); }), "conv_bias_pool");
  EXPECT_EQ(found([&] { return Relu(conv()); }), "conv_relu_pool");
  EXPECT_EQ(found(block), "conv_relu_pool");
  EXPECT_EQ(found([&] { return MaxPool2d(block()); }), "conv_relu_pool");
  // Other poolings end above the block.
  EXPECT_EQ(found([&] { return MaxPool2d(block(), {.window = 3}); }), "max_pool2d");
  EXPECT_EQ(found([&] { return MaxPool2d(block(), {.stride = 1}); }), "max_pool2d");
  for (const Padding padding : {Padding::Pixels(1), Padding::Same()}) {
    EXPECT_EQ(found([&] { return MaxPool2d(block(), {.padding = padding}); }), "max_pool2d");
  }
  EXPECT_EQ(found([&] { return conv() + 1; }), "add");
  EXPECT_EQ(found([&] { return conv() + Random({1}); }), "add");
  EXPECT_EQ(found([&] { return conv() + Random({7, 8}); }), "add");
  EXPECT_EQ(found([&] { return conv() + conv(); }), "add");
  EXPECT_EQ(found([&] { return Tanh(conv() + b); }), "tanh");
  const Variable wide = DifferentiableLeaf(x.value().To(DType::kFloat64));
  EXPECT_EQ(found([&] { return Relu(Conv2d(wide, w) + b); }), "relu");
}

// Two kernels forward (the block, and the alias that the last op has become), one backward.
TEST_F(ConvBlockTest, KernelsRunOnceInAnyOrderOfReading) {
  const Tensor image = Random({4, 9, 9, 3});
  const Variable w = DifferentiableLeaf(Random({3, 3, 3, 8})), b = DifferentiableLeaf(Random({8}));
  for (const int order : {0, 1, 2}) {
    const int64_t before = KernelCalls();
    const Variable y = MaxPool2d(Relu(Conv2d(image, w) + b));
    if (order == 0) y.value();
    const std::vector<Variable> gradients =
        Grad({&y, 1}, {{w, b}}, {.cotangents = {Tensor::Ones(y.shape())}});
    if (order == 1) Evaluate(gradients);
    y.value();
    Evaluate(gradients);
    EXPECT_EQ(KernelCalls() - before, 3) << order;
  }
}

TEST_F(ConvBlockTest, ErrorsNameTheLineAndTheParameter) {
  const auto name = std::make_shared<const std::string>("cnn/conv1/weight");
  const Tensor image = Random({64, 32, 32, 3});
  const Variable w = DifferentiableLeaf(Random({3, 3, 3, 64}), name), b = Random({64});
  const auto conv = [&] { return Conv2d(image, w); };
  const uint32_t line = SourceLocation::current().line() - 1;
  const Variable y = Relu(conv() + b);
  TrimPool();
  SetPoolLimit(GetPoolStatistics().system_bytes + (1 << 20));
  std::string message;
  try {
    y.value();
  } catch (const Error& error) {
    message = error.what();
  }
  SetPoolLimit(0);
  EXPECT_NE(message.find(absl::StrCat("conv_block_test.cc:", line, ", reading cnn/conv1/weight)")),
            std::string::npos)
      << message;
  EXPECT_EQ(y.value().shape(), (Shape{64, 30, 30, 64}));  // and the program goes on
}

}  // namespace
}  // namespace wengert

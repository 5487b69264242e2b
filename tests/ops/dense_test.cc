// The product with its bias and activation: where it is found, and that it has the bits of the ops.
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

using Activation = Variable (*)(const Operand&);

class DenseTest : public ::testing::Test {
 protected:
  Tensor Random(const Shape& shape) {
    Tensor tensor = Tensor::Empty(shape, DType::kFloat32);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.mutable_data<float>()[i] = static_cast<float>(random_.Int(-1000, 1000)) / 700;
    }
    return tensor;
  }
  static Variable Dense(VariableSpan in, Activation activation) {
    const Variable y = MatMul(in[0], in[1]) + in[2];
    return activation ? activation(y) : y;
  }
  // The value and the gradients.
  static std::vector<Tensor> Step(const std::vector<Tensor>& inputs, const Tensor& cotangent,
                                  Activation activation, std::string& op) {
    std::vector<Variable> leaves;
    for (const Tensor& input : inputs) leaves.push_back(DifferentiableLeaf(input));
    std::vector<Variable> all = {Dense(leaves, activation)};
    for (Variable& v : Grad(all, leaves, {.cotangents = {cotangent}})) all.push_back(std::move(v));
    Evaluate(all);
    op = NameOf(all[0]);
    std::vector<Tensor> values;
    for (const Variable& v : all) values.push_back(v.value());
    return values;
  }
  // What is found stands below an alias.
  static std::string NameOf(const Variable& y) {
    const Node* node = y.node();
    if (node->op->name == "alias") node = node->inputs()[0].node();
    return std::string(node->op->name);
  }

  RandomIntegers random_{5};
  KernelSettings settings_;
};

constexpr struct {
  int64_t m, k, n;
} kSizes[] = {{512, 160, 128}, {300, 70, 300}, {128, 200, 515}, {700, 3, 100}, {4, 300, 20000}};

TEST_F(DenseTest, HasTheBitsOfTheOpsForAnyNumberOfThreads) {
  for (const auto& [m, k, n] : kSizes) {
    const std::vector<Tensor> inputs = {Random({m, k}), Random({k, n}), Random({n})};
    const Tensor cotangent = Random({m, n});
    for (const Activation activation : {Activation(nullptr), &Relu, &Tanh, &Sigmoid}) {
      std::string op;
      std::vector<Tensor> expected;
      {
        const EagerGuard eager;
        expected = Step(inputs, cotangent, activation, op);
      }
      for (const int threads : {1, 2, 3, 8}) {
        SetNumThreads(threads);
        const std::vector<Tensor> found = Step(inputs, cotangent, activation, op);
        EXPECT_EQ(op, activation ? "matmul_bias_activation" : "matmul_bias");
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_TRUE(BitwiseEqual(found[i], expected[i])) << m << " " << threads << " " << i;
        }
      }
    }
  }
}

TEST_F(DenseTest, NotANumberPasses) {
  std::vector<Tensor> inputs = {Random({512, 20}), Random({20, 128}), Random({128})};
  inputs[2].mutable_data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  std::string op;
  const Tensor y = Step(inputs, Random({512, 128}), &Relu, op)[0];
  EXPECT_EQ(op, "matmul_bias_activation");
  EXPECT_TRUE(std::isnan(y.at<float>({7, 5})));
  EXPECT_FALSE(std::isnan(y.at<float>({7, 6})));
}

TEST_F(DenseTest, WhatIsFoundAndWhatIsNot) {
  const Variable x = DifferentiableLeaf(Random({512, 40})), w = Random({40, 128});
  const Variable b = Random({128});
  const auto found = [](auto f) {
    const Variable y = f();  // the ends of its expression let go of what they hold
    y.value();
    return NameOf(y);
  };
  EXPECT_EQ(found([&] { return MatMul(x, w) + b; }), "matmul_bias");
  EXPECT_EQ(found([&] { return b + MatMul(x, w); }), "matmul_bias");
  EXPECT_EQ(found([&] { return Sigmoid(MatMul(x, w) + b); }), "matmul_bias_activation");
  EXPECT_EQ(found([&] { return Exp(MatMul(x, w) + b); }), "exp");
  EXPECT_EQ(found([&] { return Relu(MatMul(x, w)); }), "relu");
  EXPECT_EQ(found([&] { return MatMul(x, w) + Random({1}); }), "add");
  EXPECT_EQ(found([&] { return MatMul(x, w) + Random({1, 128}); }), "add");
  EXPECT_EQ(found([&] { return MatMul(x, w) + 1; }), "add");
  EXPECT_EQ(found([&] { return MatMul(Reshape(x, {512, 1, 40}), w) + b; }), "add");
  // A small one is not worth it.
  const Variable few = Random({511, 40});
  EXPECT_EQ(found([&] { return Relu(MatMul(few, w) + b); }), "relu");
}

// One product and the alias that the last op has become.
TEST_F(DenseTest, TheProductRunsOnceInAnyOrderOfReading) {
  const Tensor x = Random({512, 40});
  const Variable w = DifferentiableLeaf(Random({40, 128})), b = DifferentiableLeaf(Random({128}));
  for (const int order : {0, 1, 2}) {
    const int64_t before = KernelCalls();
    const Variable y = Relu(MatMul(x, w) + b);
    if (order == 0) y.value();
    const std::vector<Variable> gradients =
        Grad({&y, 1}, {{w, b}}, {.cotangents = {Tensor::Ones(y.shape())}});
    if (order == 1) Evaluate(gradients);
    y.value();
    Evaluate(gradients);
    EXPECT_EQ(KernelCalls() - before, 6) << order;  // where_positive, transpose, matmul, sum
  }
}

}  // namespace
}  // namespace wengert

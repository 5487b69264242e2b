// The gradient of weights that many products share: where it is computed as one sum of products,
// where not, and that nobody can tell but by the kernels that run.
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;

struct Sizes {
  int64_t rows, in, out;
};

class MatMulSumTest : public ::testing::Test {
 protected:
  Tensor Random(const Shape& shape, DType dtype = DType::kFloat32) {
    Tensor tensor = Tensor::Empty(shape, DType::kFloat64);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.mutable_data<double>()[i] = static_cast<double>(random_.Int(-1000, 1000)) / 700;
    }
    return tensor.To(dtype);
  }
  static std::string NameOf(const Variable& v) { return std::string(v.node()->op->name); }

  // x_t: [rows_t, in], for x_t w with w: [in, out], and the cotangents of these products.
  struct Steps {
    std::vector<Variable> x, dy;
  };
  Steps MakeSteps(const std::vector<Sizes>& sizes, DType dtype = DType::kFloat32) {
    Steps steps;
    for (const auto& [rows, in, out] : sizes) {
      steps.x.push_back(Random({rows, in}, dtype));
      steps.dy.push_back(Random({rows, out}, dtype));
    }
    return steps;
  }
  static Variable Gradient(const Steps& steps, const Variable& w, bool create_graph = false) {
    std::vector<Variable> outputs, cotangents;
    for (size_t t = 0; t < steps.x.size(); ++t) {
      outputs.push_back(MatMul(steps.x[t], w));
      cotangents.push_back(steps.dy[t]);
    }
    return Grad(outputs, {{w}}, {.cotangents = cotangents, .create_graph = create_graph})[0];
  }
  static Tensor Eagerly(const Steps& steps, const Variable& w) {
    const EagerGuard eager;
    return Gradient(steps, w).value();
  }

  // Of `w` [8, 16], with terms of other ops before, between and after the products'.
  static Variable Mixed(const Variable& x, const Tensor& w_value) {
    const Variable w = DifferentiableLeaf(w_value);
    Variable first = Sum(w * 1e8);
    for (int i = 0; i < 40; ++i) first = first + Sum(w * 0.5);  // limits spare the newest nodes
    const Variable a = MatMul(x, w), b = MatMul(x * 2, w);
    const Variable middle = Sum(w * -1e8), c = MatMul(x * 3, w), d = MatMul(x, w);
    const Variable last = Sum(w * 0.25) + Sum(w * 3);
    return Grad(first + Sum(a * a) + Sum(b) + middle + Sum(c) + Sum(d * d) + last, w);
  }
  static Tensor EagerlyMixed(const Variable& x, const Tensor& w) {
    const EagerGuard eager;
    return Mixed(x, w).value();
  }

  RandomIntegers random_{7};
  KernelSettings settings_;
};

TEST_F(MatMulSumTest, HasTheBitsOfProductsAndSumsForAnyNumberOfThreads) {
  const std::vector<Sizes> few_rows(5, {32, 256, 1024}), uneven(3, {17, 129, 515});
  const std::vector<Sizes> narrow(4, {5, 40, 9}), low(4, {2, 7, 33}), many_rows(3, {200, 300, 400});
  const std::vector<Sizes> mixed = {{32, 200, 300}, {129, 200, 300}, {1, 200, 300}, {64, 200, 300}};
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const std::vector<Sizes>& sizes : {few_rows, uneven, narrow, low, many_rows, mixed}) {
      const Steps steps = MakeSteps(sizes, dtype);
      const Variable w = DifferentiableLeaf(Random({sizes[0].in, sizes[0].out}, dtype));
      const Tensor expected = Eagerly(steps, w);
      for (const int threads : {1, 2, 3, 8}) {
        SetNumThreads(threads);
        const Variable found = Gradient(steps, w);
        EXPECT_EQ(NameOf(found), "matmul_sum");
        EXPECT_TRUE(BitwiseEqual(found.value(), expected)) << sizes[0].in << " " << threads;
      }
    }
  }
}

TEST_F(MatMulSumTest, EverySimdTargetHasTheBitsOfItsProducts) {
  const Steps steps = MakeSteps({{32, 100, 200}, {8, 100, 200}, {1, 100, 200}});
  const Variable w = DifferentiableLeaf(Random({100, 200}));
  ForEachTarget([&] { EXPECT_TRUE(BitwiseEqual(Gradient(steps, w).value(), Eagerly(steps, w))); });
}

TEST_F(MatMulSumTest, ManyTermsStayInOrder) {
  const Steps steps = MakeSteps(std::vector<Sizes>(1100, {1, 8, 16}));
  const Variable w = DifferentiableLeaf(Random({8, 16}));
  const Variable found = Gradient(steps, w);
  EXPECT_EQ(NameOf(found), "matmul_sum");
  EXPECT_TRUE(BitwiseEqual(found.value(), Eagerly(steps, w)));
}

TEST_F(MatMulSumTest, RunsAsOneKernel) {
  const Steps steps = MakeSteps(std::vector<Sizes>(40, {4, 8, 16}));
  const Variable w = DifferentiableLeaf(Random({8, 16}));
  const int64_t before = KernelCalls();
  Gradient(steps, w).value();
  EXPECT_EQ(KernelCalls() - before, 40 + 1);  // the transposes of x
}

TEST_F(MatMulSumTest, OtherTermsKeepTheirPlaceInTheOrder) {
  const Variable x = Random({4, 8});
  const Tensor value = Random({8, 16});
  const int64_t nodes = LiveNodes();
  {
    const Tensor expected = EagerlyMixed(x, value);
    const Variable found = Mixed(x, value);
    EXPECT_EQ(NameOf(found), "accumulate");
    EXPECT_EQ(NameOf(found.node()->inputs()[0]), "matmul_sum");
    EXPECT_EQ(found.node()->inputs()[0].node()->inputs().size(), 5u);
    EXPECT_TRUE(BitwiseEqual(found.value(), expected));
  }
  EXPECT_EQ(LiveNodes(), nodes);
}

TEST_F(MatMulSumTest, ATermThatOthersReadStaysAProduct) {
  const Variable x = Random({4, 8});
  const Tensor value = Random({8, 16});
  const auto gradients = [&] {
    const Variable v = DifferentiableLeaf(value), w = DifferentiableLeaf(value);
    // The product's gradient is that of v and, first of three terms, that of w.
    const Variable outputs[] = {MatMul(x * 2, w), MatMul(x * 3, w), MatMul(x, v + w)};
    const Variable dy = Tensor::Ones({4, 16});
    return Grad(outputs, {{v, w}}, {.cotangents = {dy, dy, dy}});
  };
  std::vector<Variable> expected;
  {
    const EagerGuard eager;
    expected = gradients();
  }
  const std::vector<Variable> found = gradients();
  EXPECT_EQ(NameOf(found[0]), "matmul");
  EXPECT_EQ(NameOf(found[1]), "matmul_sum");
  EXPECT_EQ(found[1].node()->inputs().size(), 5u);
  EXPECT_EQ(found[1].node()->inputs()[0].node(), found[0].node());
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(BitwiseEqual(found[i].value(), expected[i].value()));
  }
}

TEST_F(MatMulSumTest, WhatIsNotFound) {
  const Variable w = DifferentiableLeaf(Random({8, 16}));
  const Steps steps = MakeSteps({{4, 8, 16}, {4, 8, 16}});
  EXPECT_EQ(NameOf(Gradient(steps, w)), "matmul_sum");
  // What is to be differentiated again is left as it was written.
  Steps differentiable = steps;
  for (Variable& x : differentiable.x) x = DifferentiableLeaf(x.value());
  EXPECT_EQ(NameOf(Gradient(differentiable, w)), "matmul_sum");
  EXPECT_EQ(NameOf(Gradient(differentiable, w, /*create_graph=*/true)), "accumulate");
  // More rows than would fit the memory of the products.
  EXPECT_EQ(NameOf(Gradient(MakeSteps({{10, 8, 16}, {10, 8, 16}}), w)), "matmul_sum");
  EXPECT_EQ(NameOf(Gradient(MakeSteps({{11, 8, 16}, {10, 8, 16}}), w)), "accumulate");
  EXPECT_EQ(NameOf(Gradient(MakeSteps({{4, 8, 16}}), w)), "matmul");
  {
    const DetectAnomaly anomaly;
    EXPECT_EQ(NameOf(Gradient(steps, w)), "accumulate");
  }
  const EagerGuard eager;
  EXPECT_EQ(NameOf(Gradient(steps, w)), "accumulate");
}

TEST_F(MatMulSumTest, AGradientWithoutGraphIsStillAnError) {
  const Variable w = DifferentiableLeaf(Random({8, 16}));
  const Variable gradient = Gradient(MakeSteps({{4, 8, 16}, {4, 8, 16}}), w);
  EXPECT_THAT(ThrownMessage([&] { Grad(Sum(gradient * w), w); }), HasSubstr("create_graph"));
}

// Even while they are added up.
TEST_F(MatMulSumTest, ALimitOnPendingWorkMayComputeTermsBefore) {
  const PendingLimits limits = GetPendingLimits();
  const Variable x = Random({4, 8});
  const Tensor value = Random({8, 16}), expected = EagerlyMixed(x, value);
  for (int64_t nodes = 1; nodes < 400; ++nodes) {
    SetPendingLimits({.nodes = nodes});
    EXPECT_TRUE(BitwiseEqual(Mixed(x, value).value(), expected)) << nodes;
  }
  SetPendingLimits(limits);
}

}  // namespace
}  // namespace wengert

// Memory of element-wise groups: what only a group reads is never stored, what it may write over is
// read before, and running out of memory inside one leaves every value right.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/pool.h"
#include "tests/ops/element_group_runs.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

constexpr int64_t kRows = 256, kColumns = 1024, kMiB = kRows * kColumns * 4;

// The most memory that computing f() takes, its result included, in buffers of 1 MiB.
double PeakBuffers(const std::function<Variable()>& f) {
  const int64_t before = GetPoolStatistics().live_bytes;
  ResetPoolPeak();
  const Variable y = f();
  y.value();
  return static_cast<double>(GetPoolStatistics().peak_bytes - before) / kMiB;
}

TEST(ElementGroupMemoryTest, WhatOnlyTheGroupReadsIsNeverStored) {
  const Variable x = Random({kRows, kColumns});
  // 20 values that are all live at once.
  const auto products = [&] {
    Variables values = {x};
    for (int i = 0; i < 20; ++i) values.push_back(Tanh(values.back() * 1.25));
    Variable y = values[20];
    for (int i = 19; i > 0; --i) y = y * values[i];
    return y;
  };
  EXPECT_LT(PeakBuffers(products), 1.3);
  EXPECT_LT(PeakBuffers([&] { return Sum(products()); }), 0.1);
  EXPECT_LT(PeakBuffers([&] { return Normalized(x, -1) * 2 + 1; }), 1.3);
  EXPECT_LT(PeakBuffers([&] { return Sum(ExpOverSum(x) * x, -1); }), 0.1);
  {
    const EagerGuard eager;  // the measure sees what is stored
    EXPECT_GT(PeakBuffers(products), 19);
  }
  Parameter w(Random({kRows, kColumns}, 2));
  const int64_t calls = KernelCalls();
  const auto gradient = [&] {
    return ValueAndGrad(
               [&] {
                 Variable y = w;
                 for (int i = 0; i < 10; ++i) y = Tanh(y * 1.25);
                 return Sum(y * x);
               },
               {{w}})
        .gradients[0];
  };
  EXPECT_LT(PeakBuffers(gradient), 3);
  EXPECT_GT(KernelCalls() - calls, 40);  // ops, not loops
}

// What only a gradient rule would read again is not stored if it can be computed again.
TEST(ElementGroupMemoryTest, LargeValuesForRulesAreComputedAgain) {
  const KernelSettings settings;
  cache_bytes = 1 << 20;
  const Tensor x = Random({kRows, kColumns}), weights = Random({kColumns, kColumns}, 2);
  const auto f = [](const Variable& v) { return Tanh(Exp(Tanh(v * 0.5)) * v) * v; };
  const auto gradient = [&](bool of_product, double most, double least) {
    const Variable leaf = DifferentiableLeaf(x);
    Variable y;
    const double stored = PeakBuffers([&] {
      y = f(of_product ? MatMul(leaf, weights) : leaf);
      return y;
    });
    EXPECT_LT(stored, most);
    EXPECT_GT(stored, least);
    return Grad(Sum(y), leaf).value();
  };
  for (const bool of_product : {false, true}) {
    // A product is dropped once it was read unless a rule reads it, as here.
    const Tensor computed_again = gradient(of_product, of_product ? 2.3 : 1.3, 0.9);
    cache_bytes = 1 << 30;
    const Tensor stored = gradient(of_product, 9, 4);
    cache_bytes = 1 << 20;
    EXPECT_TRUE(BitwiseEqual(computed_again, stored));
  }
}

TEST(ElementGroupMemoryTest, ADonatedInputIsReadBeforeItIsOverwritten) {
  const auto body = [](const Variables& x) {
    // The product is dropped after the group, which may write over it.
    const Variable product = MatMul(x[0], x[1]);
    const Variable a = Tanh(product), r = Sum(product * a, -1, kKeepDims);
    return Variables{a * r, product + r, Exp(product) * Sum(a, -1, kKeepDims)};
  };
  for (const Shape& s : {Shape{97, 65}, Shape{64, 768}, Shape{5, 8192}}) {
    CheckGroups(body, {Random({s[0], 7}), Random({7, s[1]}, 2)});
  }
}

// Batch norm: what its three loops share is computed in each of them.
TEST(ElementGroupMemoryTest, WhatSeveralGroupsReadIsComputedInEach) {
  const KernelSettings settings;
  const Parameter x(Random({kRows, kColumns}));
  const Tensor dy = Random({kRows, kColumns}, 2), scale = Random({kColumns}, 3);
  const auto peak_and_gradient = [&](int64_t cache) {
    cache_bytes = cache;
    Variable gradient;
    const double peak = PeakBuffers([&] {
      gradient = ValueAndGrad(
                     [&] {
                       const Variable centred = x.variable() - Mean(x.variable(), 0);
                       const Variable rstd = Rsqrt(Mean(Square(centred), 0) + 1e-3);
                       return Sum(Square(centred * rstd * scale) * dy);
                     },
                     {{x}})
                     .gradients[0];
      return gradient;
    });
    return std::pair(peak, gradient.value());
  };
  const auto [stored, expected] = peak_and_gradient(int64_t{1} << 40);
  const auto [peak, gradient] = peak_and_gradient(1 << 20);
  EXPECT_TRUE(BitwiseEqual(gradient, expected));
  EXPECT_LT(peak, stored - 0.9);  // the centred values
}

// A constant made by ops lets go of them once it is stored; computed again, it would hold them.
TEST(ElementGroupMemoryTest, ConstantsAreStored) {
  const KernelSettings settings;
  cache_bytes = 1 << 20;
  const Variable leaf = DifferentiableLeaf(Random({kRows, kColumns}));
  const int64_t before = GetPoolStatistics().live_bytes;
  Variable y = leaf * 1.0;
  {
    const Variable a = Random({kRows, kColumns}, 2), b = Random({kRows, kColumns}, 3);
    const Variable c = Random({kRows, kColumns}, 4), d = Random({kRows, kColumns}, 5);
    y = y * (Tanh(a) * b + c * d);
  }
  y.value();
  EXPECT_LT(GetPoolStatistics().live_bytes - before, 3 * kMiB);  // y, the constant
}

// What a group writes over must not be lost if it fails half-way.
TEST(ElementGroupMemoryTest, OutOfMemoryLosesNoInputThatWasComputedBefore) {
  const Tensor x = Random({1 << 18, 32}), rows = Random({1 << 18, 3}, 2);
  int failures = 0;
  for (int64_t extra = 0; extra < 4'000'000; extra += 200'000) {
    Variable d = Tanh(x);
    const Tensor expected = Exp(d).value();
    const Variable y = Exp(d), z = Sum(y, -1, kKeepDims) * Narrow(rows, 1, 1, 1);
    d = Variable();
    TrimPool();
    SetPoolLimit(GetPoolStatistics().system_bytes + extra);
    failures += !ThrownMessage([&] { Evaluate({{y, z}}); }).empty();
    SetPoolLimit(0);
    EXPECT_TRUE(BitwiseEqual(y.value(), expected));
  }
  EXPECT_GT(failures, 3);
}

TEST(ElementGroupMemoryTest, OutOfMemoryLeavesEveryValueRight) {
  const auto body = [](const Variables& x) {
    const Variable product = x[0] * MatMul(x[1], x[2]);
    const Variable a = Tanh(product), r = Sum(a, -1, kKeepDims), b = a * r + 1;
    const Variable e = Expand(Sum(b * 0.01, -1, kKeepDims), b.shape());
    return Variables{a, b, e, Sum(b, 0), Exp(b * 0.01) - e, Sum(Tanh(b) - a), product * 2, r};
  };
  const std::vector<Tensor> inputs = {Random({kRows, kColumns}), Random({kRows, 3}, 2),
                                      Random({3, kColumns}, 3)};
  std::vector<Tensor> expected;
  {
    const EagerGuard eager;
    expected = Compute(body, inputs, Reading::kTogether);
  }
  int failures = 0;
  for (const bool differentiable : {false, true}) {
    for (int buffers = 0; buffers < 12; ++buffers) {
      SCOPED_TRACE(absl::StrCat(buffers, " buffers"));
      Variables x;
      for (const Tensor& t : inputs) {
        x.push_back(differentiable ? DifferentiableLeaf(t) : Variable(t));
      }
      Variables results = body(x);
      if (differentiable) {
        Variables cotangents;
        for (const Variable& y : results) cotangents.push_back(Random(y.shape(), 77));
        for (Variable& g : Grad(results, x, {.cotangents = cotangents})) {
          results.push_back(std::move(g));
        }
      }
      TrimPool();
      SetPoolLimit(GetPoolStatistics().system_bytes + buffers * (kMiB + (kMiB >> 2)));
      const std::string text = ThrownMessage([&] { Evaluate(results); });
      SetPoolLimit(0);
      failures += text.find("[allocate]") != std::string::npos;
      for (size_t i = 0; i < results.size(); ++i) {
        EXPECT_TRUE(BitwiseEqual(results[i].value(), expected[i])) << i;
      }
    }
  }
  EXPECT_GT(failures, 8);
}

}  // namespace
}  // namespace wengert

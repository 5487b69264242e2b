// MatMul against loops in double over random shapes and strides, its errors, its gradients, and its
// bits on any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "autograd/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/kernels/simd_targets.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
// After simd_targets.h.
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  bool Coin() { return Int(0, 1) == 1; }
  Tensor Values(const Shape& shape, DType dtype) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-1000, 1000)) * 1e-3;
    return Tensor::FromVector(values, shape).To(dtype);
  }

  // Random values behind random strides: dimensions stored in any order, sliced, stepped over,
  // reversed. What lies between the elements is NaN: it must not be read into a result.
  Tensor View(const Shape& shape, DType dtype) {
    std::vector<int> order(shape.rank());
    for (int i = 0; i < shape.rank(); ++i) order[i] = i;
    if (Coin()) std::swap(order[shape.rank() - 1], order[shape.rank() - 2]);
    if (Int(0, 3) == 0) std::shuffle(order.begin(), order.end(), engine_);
    Shape stored = shape;
    std::vector<int64_t> steps(shape.rank()), starts(shape.rank());
    for (int i = 0; i < shape.rank(); ++i) {
      steps[i] = Int(0, 3) == 0 ? 2 : 1;
      starts[i] = Int(0, 2);
      stored[order[i]] = shape[i] * steps[i] + starts[i] + Int(0, 2);
    }
    Tensor view = Tensor::Full(stored, std::numeric_limits<double>::quiet_NaN(), dtype);
    view = view.Permute(order);
    for (int i = 0; i < shape.rank(); ++i) {
      view = view.Narrow(i, starts[i], shape[i], steps[i]);
      if (Int(0, 5) == 0) view = view.Flip(i);
    }
    view.CopyFrom(Values(shape, dtype));
    // Some axes are expanded: every entry is the first.
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] > 0 && Int(0, 11) == 0) view = view.Narrow(i, 0, 1).Expand(shape);
    }
    return view;
  }
};

// [batch, m, k] x [batch, k, n] after broadcasting, by the definition.
std::vector<double> Reference(const Tensor& a, const Tensor& b, const Shape& result) {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  Shape full_a = result, full_b = result;
  full_a[result.rank() - 1] = k;
  full_b[result.rank() - 2] = k;
  const std::vector<double> x = a.Expand(full_a).ToVector<double>();
  const std::vector<double> y = b.Expand(full_b).ToVector<double>();
  std::vector<double> product(NumElements(result));
  const int64_t batches = m * n == 0 ? 0 : NumElements(result) / (m * n);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t j = 0; j < n; ++j) {
          product[(batch * m + i) * n + j] +=
              x[(batch * m + i) * k + p] * y[(batch * k + p) * n + j];
        }
      }
    }
  }
  return product;
}

// A sum of k products, of up to 1 each, may be off by k rounding errors of what it reaches.
void ExpectProduct(const Tensor& a, const Tensor& b) {
  const Tensor y = MatMul(a, b).value();
  const std::vector<double> expected = Reference(a, b, y.shape());
  const std::vector<double> actual = y.ToVector<double>();
  const double k = static_cast<double>(a.dim(-1));
  const double epsilon = y.dtype() == DType::kFloat32 ? std::numeric_limits<float>::epsilon()
                                                      : std::numeric_limits<double>::epsilon();
  for (size_t i = 0; i < expected.size(); ++i) {
    const double tolerance = epsilon * (k + 1) * (std::abs(expected[i]) + std::sqrt(k));
    // Not EXPECT_NEAR: one line, not thousands.
    ASSERT_LE(std::abs(actual[i] - expected[i]), tolerance)
        << "element " << i << ": " << actual[i] << ", not " << expected[i] << ", of "
        << ToString(a.shape()) << " (strides " << ToString(a.strides()) << ") x "
        << ToString(b.shape()) << " (strides " << ToString(b.strides()) << ")";
  }
}

class MatMulTest : public testing::TestWithParam<DType> {
 protected:
  KernelSettings settings_;
};
INSTANTIATE_TEST_SUITE_P(DTypes, MatMulTest, testing::Values(DType::kFloat32, DType::kFloat64),
                         [](const auto& info) { return std::string(Name(info.param)); });

TEST(MatMulValueTest, OfTwoByTwo) {
  const Tensor a = Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2});
  const Tensor b = Tensor::FromVector<float>({5, 6, 7, 8}, {2, 2});
  EXPECT_THAT(MatMul(a, b).value().ToVector<float>(), ElementsAre(19, 22, 43, 50));
}

// With the loops of every SIMD target that this processor has.
TEST_P(MatMulTest, RandomMatrices) {
  ForEachTarget([] {
    Random random(1);
    for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
      const int64_t limit = i % 3 == 0 ? 70 : 20;
      const auto size = [&] { return random.Int(0, 7) == 0 ? 1 : random.Int(1, limit); };
      const int64_t m = size(), n = size(), k = size();
      ExpectProduct(random.View({m, k}, GetParam()), random.View({k, n}, GetParam()));
    }
  });
}

TEST_P(MatMulTest, RandomBatches) {
  Random random(2);
  for (int i = 0; i < 300; ++i) {
    Shape a, b;
    for (int64_t axis = random.Int(0, 2); axis > 0; --axis) {
      const int64_t dim = random.Int(1, 4);
      a.Append(random.Int(0, 3) == 0 ? 1 : dim);
      b.Append(random.Int(0, 3) == 0 ? 1 : dim);
    }
    if (a.rank() > 0 && random.Int(0, 3) == 0) (random.Coin() ? a : b).Remove(0);
    const int64_t k = random.Int(1, 20);
    a.Append(random.Int(1, 20)), a.Append(k);
    b.Append(k), b.Append(random.Int(1, 20));
    ExpectProduct(random.View(a, GetParam()), random.View(b, GetParam()));
    if (HasFatalFailure()) return;
  }
}

// Packed panels of B, tiles of C, and oneDNN: each reads views its own way.
TEST_P(MatMulTest, LargeMatrices) {
  Random random(3);
  const struct {
    Shape a, b;
  } shapes[] = {
      {{130, 300}, {300, 90}},  {{200, 129}, {129, 50}},     {{1, 700}, {700, 600}},
      {{600, 700}, {700, 1}},   {{300, 3}, {3, 500}},        {{40, 300}, {300, 1024}},
      {{128, 128}, {128, 128}}, {{3, 110, 100}, {100, 101}}, {{17, 60, 96}, {17, 96, 160}}};
  for (const auto& [a, b] : shapes) {
    for (int repeat = 0; repeat < 4; ++repeat) {
      ExpectProduct(random.View(a, GetParam()), random.View(b, GetParam()));
      if (HasFatalFailure()) return;
    }
  }
}

// Inner products along a transposed B that is deep, and rows of B that are far apart: with and
// without columns, rows and lanes left over.
TEST_P(MatMulTest, FewRowsOfALargeMatrix) {
  ForEachTarget([] {
    Random random(5);
    const struct {
      int64_t m, n, k;
    } shapes[] = {{1, 700, 512},  {7, 1030, 259}, {32, 256, 1024}, {31, 601, 517},
                  {190, 63, 640}, {20, 515, 600}, {33, 2050, 70},  {90, 2048, 64}};
    for (const auto& [m, n, k] : shapes) {
      const Tensor a = random.Values({m, k}, GetParam());
      ExpectProduct(a, random.Values({n, k}, GetParam()).T());
      ExpectProduct(a, random.Values({k, n}, GetParam()));
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(MatMulTest, SameBitsOnAnyNumberOfThreads) {
  Random random(4);
  const std::pair<Shape, Shape> shapes[] = {
      {{200, 301}, {301, 203}}, {{1, 900}, {900, 1000}},       {{1000, 5}, {5, 1000}},
      {{97, 96}, {96, 97}},     {{50, 9, 8}, {50, 8, 7}},      {{900, 4, 16}, {900, 16, 16}},
      {{20, 64, 64}, {64, 64}}, {{18, 100, 99}, {18, 99, 98}}, {{3, 128, 99}, {3, 99, 200}},
      {{32, 999}, {999, 250}},  {{64, 70}, {70, 2049}}};
  for (const auto& [shape_a, shape_b] : shapes) {
    for (int transposed = 0; transposed < 4; ++transposed) {
      Tensor a = random.Values(shape_a, GetParam()), b = random.Values(shape_b, GetParam());
      if (transposed & 1) a = a.T().Clone().T();
      if (transposed & 2) b = b.T().Clone().T();
      SetNumThreads(1);
      const Tensor one = MatMul(a, b).value();
      for (const int threads : {2, 3, 8}) {
        SetNumThreads(threads);
        EXPECT_TRUE(BitwiseEqual(MatMul(a, b).value(), one))
            << threads << " threads, " << ToString(shape_a) << " x " << ToString(shape_b);
      }
    }
  }
}

TEST_P(MatMulTest, OfNothingIsZero) {
  const auto zeros = [](const Shape& shape) { return Tensor::Zeros(shape, GetParam()); };
  const Tensor y = MatMul(zeros({3, 0}), zeros({0, 2})).value();
  EXPECT_THAT(y.ToVector<double>(), ElementsAre(0, 0, 0, 0, 0, 0));
  const Tensor batched = MatMul(zeros({2, 1, 0}), zeros({2, 0, 2})).value();
  EXPECT_THAT(batched.ToVector<double>(), ElementsAre(0, 0, 0, 0));
  const Tensor wide = MatMul(zeros({1, 0}), zeros({0, 100})).value();
  EXPECT_EQ(wide.ToVector<double>(), std::vector<double>(100, 0.0));
  EXPECT_EQ(MatMul(zeros({0, 3}), zeros({3, 2})).value().shape(), Shape({0, 2}));
  EXPECT_EQ(MatMul(zeros({2, 3}), zeros({3, 0})).value().shape(), Shape({2, 0}));
  EXPECT_EQ(MatMul(zeros({2, 0, 3}), zeros({3, 4})).value().shape(), Shape({2, 0, 4}));
  EXPECT_EQ(MatMul(zeros({0, 2, 3}), zeros({0, 3, 4})).value().shape(), Shape({0, 2, 4}));
}

// An infinity or NaN beside the elements in use leaks into no sum; one among them does.
TEST_P(MatMulTest, NanReachesItsRowOnly) {
  Tensor a = Tensor::Ones({3, 5}, GetParam());
  a.Narrow(0, 1, 1).Narrow(1, 4, 1).Fill(std::numeric_limits<double>::quiet_NaN());
  const Tensor y = MatMul(a, Tensor::Ones({5, 2}, GetParam())).value();
  EXPECT_EQ(y.at<double>({0, 0}), 5);
  EXPECT_TRUE(std::isnan(y.at<double>({1, 0})));
  EXPECT_TRUE(std::isnan(y.at<double>({1, 1})));
  EXPECT_EQ(y.at<double>({2, 1}), 5);
}

TEST(MatMulValueTest, PromotesDtypes) {
  const auto dtype = [](DType a, DType b) {
    const Variable y = MatMul(Tensor::Full({2, 3}, 1, a), Tensor::Full({3, 1}, 1, b));
    EXPECT_THAT(y.value().ToVector<double>(), ElementsAre(3, 3));
    return y.dtype();
  };
  EXPECT_EQ(dtype(DType::kFloat32, DType::kFloat64), DType::kFloat64);
  EXPECT_EQ(dtype(DType::kInt64, DType::kFloat64), DType::kFloat64);
  EXPECT_EQ(dtype(DType::kInt64, DType::kFloat32), DType::kFloat32);
  EXPECT_EQ(dtype(DType::kInt64, DType::kInt32), DType::kFloat32);
  EXPECT_EQ(dtype(DType::kBool, DType::kUInt8), DType::kFloat32);
}

std::string ErrorOf(const Shape& a, const Shape& b) {
  return ThrownMessage([&] { MatMul(Tensor::Zeros(a), Tensor::Zeros(b)); });
}

TEST(MatMulErrorTest, NamesTheShapesAndTheLine) {
  EXPECT_THAT(ErrorOf({32, 1600}, {1024, 128}),
              HasSubstr("[matmul] inner dimensions differ: [32,1600] x [1024,128]"));
  EXPECT_THAT(ErrorOf({32, 1600}, {1024, 128}), HasSubstr("matmul_test.cc:"));
  EXPECT_THAT(ErrorOf({2, 7, 4}, {3, 5}), HasSubstr("inner dimensions differ: [2,7,4] x [3,5]"));
  EXPECT_THAT(ErrorOf({2, 7, 4}, {3, 5}), HasSubstr("matmul_test.cc:"));
  EXPECT_THAT(ErrorOf({4}, {4, 2}),
              HasSubstr("[matmul] operands must have rank 2 or more: [4] x [4,2]"));
  EXPECT_THAT(ErrorOf({2, 4}, {4}), HasSubstr("operands must have rank 2 or more: [2,4] x [4]"));
  EXPECT_THAT(ErrorOf({2, 3, 4}, {5, 4, 6}),
              HasSubstr("[matmul] leading dimensions do not broadcast: [2,3,4] x [5,4,6]"));
}

TEST_P(MatMulTest, GradientsHaveTheirInputsShapesAndValues) {
  Random random(5);
  const std::pair<Shape, Shape> shapes[] = {{{3, 4}, {4, 5}},       {{2, 3, 4}, {4, 5}},
                                            {{3, 4}, {2, 4, 5}},    {{2, 1, 3, 4}, {3, 4, 2}},
                                            {{1, 3, 2}, {5, 2, 3}}, {{2, 0, 3}, {3, 2}}};
  for (const auto& [shape_a, shape_b] : shapes) {
    const Tensor a = random.Values(shape_a, GetParam()), b = random.Values(shape_b, GetParam());
    const Variable x[] = {DifferentiableLeaf(a), DifferentiableLeaf(b)};
    const Variable loss = Sum(MatMul(x[0], x[1]));
    const std::vector<Variable> gradients = Grad({&loss, 1}, x);
    EXPECT_EQ(gradients[0].shape(), shape_a);
    EXPECT_EQ(gradients[1].shape(), shape_b);
    EXPECT_EQ(gradients[0].dtype(), GetParam());
    // The sum of all products of a row of a and a column of b: linear in each factor.
    const double sum = loss.value().item<double>();
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(Sum(gradients[i] * x[i]).item<double>(), sum, 1e-4) << ToString(shape_a);
    }
  }
}

// A Dense layer on a sequence: one product forward and one per gradient, nothing summed over N.
TEST(MatMulGradientTest, LeadingDimensionsFoldIntoRows) {
  const Variable x = DifferentiableLeaf(Tensor::Ones({2, 3, 4}));
  const Variable weight = DifferentiableLeaf(Tensor::Ones({4, 5}));
  const Variable y = MatMul(x, weight);
  EXPECT_EQ(y.node()->op->name, "reshape");
  const Variable loss = Sum(y);
  const Variable gradient = Grad(loss, weight);
  EXPECT_EQ(gradient.node()->op->name, "matmul");
  EXPECT_EQ(gradient.node()->inputs()[0].shape(), Shape({4, 6}));
  EXPECT_EQ(gradient.value().ToVector<float>(), std::vector<float>(20, 6));
}

TEST(MatMulGradientTest, CasesOfTheTable) {
  int cases = 0;
  for (const RegisteredOp& op : RegisteredOps()) {
    if (op.name != "matmul") continue;
    Random random(6);
    for (const OpCase& one : op.cases()) {
      std::vector<Variable> inputs;
      for (const Sample& sample : one.inputs) {
        inputs.push_back(random.Values(sample.shape, sample.dtype));
      }
      const GradientReport report = CheckGradients(one.f, inputs);
      EXPECT_TRUE(report.ok) << one.name << ": " << report.text;
      ++cases;
    }
  }
  EXPECT_GE(cases, 8);
}

}  // namespace
}  // namespace wengert

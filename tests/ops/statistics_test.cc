// Deviations, norms, medians, means over a mask, Any and All: closed forms, derivatives where they
// are chosen, NaN and nothing.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor Doubles(const std::vector<double>& values) { return Tensor::FromVector(values); }

std::vector<double> Gradient(const Function& f, const Tensor& at) {
  const Variable x = DifferentiableLeaf(at);
  return Grad(Sum(f({&x, 1})), x).value().ToVector<double>();
}

// Of a function's first and second derivatives at a point.
void ExpectGradients(const Function& f, const Tensor& at) {
  const Variable x = at;
  const GradientReport report = CheckGradients(f, {&x, 1});
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(StdDevTest, ClosedForms) {
  // The example of Wikipedia's "Standard deviation": of the population 2, of the sample 2.1381.
  const Tensor x = Doubles({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_DOUBLE_EQ(StdDev(x).item<double>(), 2);
  EXPECT_DOUBLE_EQ(Variance(x, {}, false, 1).item<double>(), 32.0 / 7);
  EXPECT_DOUBLE_EQ(StdDev(x, {}, false, 1).item<double>(), 2.1380899352993950);
  EXPECT_EQ(StdDev(x.Reshape({2, 4}), 0, kKeepDims, 1).shape(), Shape({1, 4}));
  EXPECT_TRUE(std::isnan(StdDev(Doubles({3}), {}, false, 1).item<double>()));
  EXPECT_TRUE(std::isnan(StdDev(Tensor::Ones({0})).item<float>()));
  EXPECT_TRUE(std::isnan(StdDev(Doubles({1, kNan, 2})).item<double>()));
  EXPECT_EQ(StdDev(Tensor::FromVector(std::vector<int64_t>{1, 3})).item<float>(), 1);
}

TEST(StdDevTest, Derivatives) {
  const Tensor x = Doubles({1, -2, 0.5, 3, 2, -0.25}).Reshape({2, 3});
  for (const Axes& axes : {Axes(), Axes(0), Axes(-1)}) {
    for (const double correction : {0, 1}) {
      ExpectGradients([&](VariableSpan v) { return StdDev(v[0], axes, kKeepDims, correction); }, x);
    }
  }
  EXPECT_THAT(Gradient([](VariableSpan v) { return StdDev(v[0]); }, Doubles({3, 3, 3})),
              ElementsAre(0, 0, 0));
}

TEST(NormTest, ClosedForms) {
  const Tensor x = Doubles({3, -4});
  EXPECT_DOUBLE_EQ(Norm(x).item<double>(), 5);
  EXPECT_DOUBLE_EQ(Norm(x, 1).item<double>(), 7);
  EXPECT_DOUBLE_EQ(Norm(x, kInf).item<double>(), 4);
  EXPECT_DOUBLE_EQ(Norm(x, 3).item<double>(), std::cbrt(91));
  EXPECT_DOUBLE_EQ(Norm(x, 0.5).item<double>(), 7 + 4 * std::sqrt(3));
  EXPECT_EQ(Norm(Tensor::FromVector(std::vector<int32_t>{3, 4})).item<float>(), 5);
  EXPECT_EQ(Norm(Tensor::Full({}, -2)).item<float>(), 2);
  EXPECT_EQ(Norm(Tensor::Ones({2, 3, 4}), 2, {0, -1}, kKeepDims).shape(), Shape({1, 3, 1}));
  EXPECT_THAT(Norm(Tensor::Full({2, 4}, 0.5), 2, 1).value().ToVector<float>(), ElementsAre(1, 1));
}

TEST(NormTest, NanAndNothing) {
  for (const double p : {0.5, 1.0, 2.0, 3.0, kInf}) {
    EXPECT_TRUE(std::isnan(Norm(Doubles({0, kNan, 1}), p).item<double>())) << p;
    EXPECT_EQ(Norm(Doubles({-kInf, 1}), p).item<double>(), kInf) << p;
    if (p < kInf) {
      EXPECT_EQ(Norm(Tensor::Ones({0}), p).item<float>(), 0);
    }
  }
  EXPECT_THAT(ThrownMessage([] {
                Norm(Tensor::Ones({2, 0}), kInf, 1);
              }),
              HasSubstr("[norm] of no elements: [2,0]"));
  for (const double p : {0.0, -1.0, kNan}) {
    const std::string message = ThrownMessage([&] { Norm(Tensor::Ones({2}), p); });
    EXPECT_THAT(message, HasSubstr("[norm] p must be above 0"));
    EXPECT_THAT(message, HasSubstr("statistics_test.cc"));
  }
  EXPECT_THAT(ThrownMessage([&] { Norm(Tensor::Ones({2}), 2, 1); }), HasSubstr("[norm]"));
}

TEST(NormTest, Derivatives) {
  const Tensor x = Doubles({1, -1.5, 0.5, 3, 2, -0.25}).Reshape({2, 3});
  for (const double p : {0.7, 1.0, 1.5, 2.0, 3.0, 4.5, kInf}) {
    for (const Axes& axes : {Axes(), Axes(0), Axes(-1)}) {
      ExpectGradients([&](VariableSpan v) { return Norm(v[0], p, axes); }, x);
    }
  }
}

TEST(NormTest, DerivativeIsZeroAtZero) {
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0, kInf}) {
    const Function norm = [&](VariableSpan v) { return Norm(v[0], p, -1); };
    const Tensor rows = Doubles({0, 0, 0, 0, -2, 0}).Reshape({2, 3});
    EXPECT_THAT(Gradient(norm, rows), ElementsAre(0, 0, 0, 0, DoubleEq(-1), 0)) << p;
    // And the second derivative is a number.
    const Variable x = DifferentiableLeaf(rows);
    const Variable slope = Grad(Sum(norm({&x, 1})), x, {.create_graph = true});
    for (const double v :
         Grad(Sum(Square(slope)), x, {.unused = Unused::kZero}).value().ToVector<double>()) {
      EXPECT_NEAR(v, 0, 1e-14) << p;
    }
  }
  EXPECT_THAT(Gradient([](VariableSpan v) { return Norm(v[0]); }, Doubles({3, 0, -4})),
              ElementsAre(DoubleEq(0.6), 0, DoubleEq(-0.8)));
}

TEST(MedianTest, ClosedForms) {
  EXPECT_EQ(Median(Doubles({5, 1, 3})).item<double>(), 3);
  EXPECT_EQ(Median(Doubles({5, 1, 3, 4})).item<double>(), 3.5);
  EXPECT_EQ(Median(Tensor::FromVector(std::vector<int64_t>{1, 2})).item<float>(), 1.5);
  const Tensor x = Doubles({9, 1, 5, 2, 8, 4}).Reshape({2, 3});
  EXPECT_THAT(Median(x, 0).value().ToVector<double>(), ElementsAre(5.5, 4.5, 4.5));
  EXPECT_THAT(Median(x, 1).value().ToVector<double>(), ElementsAre(5, 4));
  EXPECT_EQ(Median(x, {0, 1}, kKeepDims).shape(), Shape({1, 1}));
  EXPECT_EQ(Median(x).item<double>(), 4.5);
  EXPECT_TRUE(std::isnan(Median(Doubles({1, kNan, 2})).item<double>()));
  EXPECT_EQ(Median(Tensor::Ones({3, 0}), 0).value().shape(), Shape({0}));
  EXPECT_THAT(ThrownMessage([] { Median(Tensor::Ones({0})); }),
              HasSubstr("[median] of no elements: [0]"));
  EXPECT_THAT(Gradient([](VariableSpan v) { return Median(v[0]); }, Doubles({5, 1, 3, 4})),
              ElementsAre(0, 0, 0.5, 0.5));
  ExpectGradients([](VariableSpan v) { return Tanh(Median(v[0], 0)); }, x);
}

TEST(MeanWhereTest, CountsWhatTheMaskNames) {
  const Tensor x = Doubles({1, 2, kNan, 4, 5, 6}).Reshape({2, 3});
  const Tensor mask =
      Tensor::FromVector(std::vector<bool>{true, true, false, false, false, true}).Reshape({2, 3});
  EXPECT_EQ(MeanWhere(x, mask).item<double>(), 3);
  EXPECT_THAT(MeanWhere(x, mask, 1).value().ToVector<double>(), ElementsAre(1.5, 6));
  EXPECT_THAT(Gradient([&](VariableSpan v) { return MeanWhere(v[0], mask, 1); }, x),
              ElementsAre(0.5, 0.5, 0, 0, 0, 1));
  // One row of the mask for all rows of x.
  const Tensor columns = Tensor::FromVector(std::vector<bool>{true, true, false});
  EXPECT_EQ(MeanWhere(x, columns).item<double>(), 3);
  EXPECT_EQ(MeanWhere(x, columns, {}, kKeepDims).shape(), Shape({1, 1}));
  const Tensor none = Tensor::Zeros({2, 3}, DType::kBool);
  EXPECT_TRUE(std::isnan(MeanWhere(x, none).item<double>()));
  EXPECT_THAT(Gradient([&](VariableSpan v) { return MeanWhere(v[0], none); }, x),
              ElementsAre(0, 0, 0, 0, 0, 0));
  ExpectGradients([&](VariableSpan v) { return Tanh(MeanWhere(Square(v[0]), mask, 1)); },
                  Doubles({1, 2, 3, 4, 5, 6}).Reshape({2, 3}));
  EXPECT_EQ(MeanWhere(Tensor::Ones({2}, DType::kInt64), Tensor::Ones({2}, DType::kBool)).dtype(),
            DType::kFloat32);
}

TEST(MeanWhereTest, TheOtherReductionsAreWrittenWithWhere) {
  const Tensor x = Doubles({3, kNan, -5});
  const Tensor ordered = Equal(x, x).value();
  EXPECT_EQ(Sum(Where(ordered, x, 0)).item<double>(), -2);
  EXPECT_EQ(Prod(Where(ordered, x, 1)).item<double>(), -15);
  EXPECT_EQ(Max(Where(ordered, x, -INFINITY)).item<double>(), 3);
  EXPECT_DOUBLE_EQ(LogSumExp(Where(ordered, x, -INFINITY)).item<double>(),
                   3 + std::log1p(std::exp(-8)));
  EXPECT_THAT(Gradient([&](VariableSpan v) { return Max(Where(ordered, v[0], -INFINITY)); }, x),
              ElementsAre(1, 0, 0));
}

TEST(MeanWhereTest, Errors) {
  const std::string message =
      ThrownMessage([] { MeanWhere(Tensor::Ones({2}), Tensor::Ones({2})); });
  EXPECT_THAT(message, HasSubstr("[mean_where] the mask must be bool, not float32[2]"));
  EXPECT_THAT(message, HasSubstr("statistics_test.cc"));
  const Tensor mask = Tensor::Ones({2}, DType::kBool);
  EXPECT_THAT(ThrownMessage([&] { MeanWhere(Tensor::Ones({3}), mask); }),
              AllOf(HasSubstr("[mean_where]"), HasSubstr("[3]"), HasSubstr("[2]")));
  EXPECT_THAT(ThrownMessage([&] { MeanWhere(Tensor::Ones({2}), mask, 1); }),
              HasSubstr("[mean_where]"));
}

TEST(AnyAllTest, TruthTables) {
  const Tensor x =
      Tensor::FromVector(std::vector<bool>{true, false, true, true, false, false}, {3, 2});
  EXPECT_THAT(Any(x, 1).value().ToVector<bool>(), ElementsAre(true, true, false));
  EXPECT_THAT(All(x, 1).value().ToVector<bool>(), ElementsAre(false, true, false));
  EXPECT_THAT(Any(x, 0).value().ToVector<bool>(), ElementsAre(true, true));
  EXPECT_TRUE(Any(x).item<bool>());
  EXPECT_FALSE(All(x).item<bool>());
  EXPECT_EQ(All(x, {0, 1}, kKeepDims).shape(), Shape({1, 1}));
}

TEST(AnyAllTest, NumbersNothingAndGradients) {
  EXPECT_EQ(Any(Tensor::Zeros({3})).dtype(), DType::kBool);
  EXPECT_FALSE(Any(Doubles({0, -0.0})).item<bool>());
  EXPECT_TRUE(Any(Doubles({0, kNan})).item<bool>());
  EXPECT_TRUE(All(Tensor::FromVector(std::vector<int32_t>{1, 256, -1})).item<bool>());
  EXPECT_FALSE(Any(Tensor::Ones({0})).item<bool>());
  EXPECT_TRUE(All(Tensor::Ones({0})).item<bool>());
  EXPECT_THAT(All(Tensor::Ones({0, 2}), 0).value().ToVector<bool>(), ElementsAre(true, true));
  EXPECT_EQ(Any(Tensor::Ones({3, 0}), 0).value().shape(), Shape({0}));
  EXPECT_TRUE(All(Tensor::Full({}, 2)).item<bool>());
  EXPECT_FALSE(Any(DifferentiableLeaf(Tensor::Ones({3}))).requires_grad());
  EXPECT_THAT(ThrownMessage([] { Any(Tensor::Ones({2}), 1); }),
              AllOf(HasSubstr("[any]"), HasSubstr("statistics_test.cc")));
  EXPECT_THAT(ThrownMessage([] { All(Tensor::Ones({2}), {0, 0}); }), HasSubstr("[all]"));
}

}  // namespace
}  // namespace wengert

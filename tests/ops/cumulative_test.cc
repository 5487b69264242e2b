// Scans along an axis against loops and closed forms, derivatives where elements are zero, and bits
// on any number of threads.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor Doubles(const std::vector<double>& values) { return Tensor::FromVector(values); }

Tensor Fractions(const Shape& shape, DType dtype = DType::kFloat64) {
  std::mt19937 engine(3);
  std::vector<double> values(NumElements(shape));
  for (double& value : values) value = static_cast<double>(engine()) * 4e-10 - 0.8;
  return Tensor::FromVector(values, shape).To(dtype);
}

// Calls f(position of the element) for each element of each line, in the order of the scan;
// first: whether it starts a line.
template <class F>
void ForScan(const Shape& shape, int axis, bool reverse, F f) {
  int64_t inner = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  const int64_t n = shape[axis];
  for (int64_t line = 0; line < NumElements(shape) / n; ++line) {
    for (int64_t i = 0; i < n; ++i) {
      f(line / inner * n * inner + (reverse ? n - 1 - i : i) * inner + line % inner, i == 0);
    }
  }
}

// One line, few and many neighbouring lines, lines longer than a task.
const Shape kShapes[] = {{1}, {9}, {4, 5}, {2, 3, 4}, {3, 2, 700}, {2, 40'000}, {5000, 3}};

TEST(CumulativeTest, AgreesWithLoops) {
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    const double tolerance = dtype == DType::kFloat32 ? 2e-6 : 1e-13;
    for (const Shape& shape : kShapes) {
      const Tensor x = Fractions(shape, dtype);
      const std::vector<double> in = x.ToVector<double>();
      for (int axis = 0; axis < x.rank(); ++axis) {
        for (const bool exclusive : {false, true}) {
          for (const bool reverse : {false, true}) {
            SCOPED_TRACE(ToString(shape) + " axis " + std::to_string(axis));
            std::vector<double> sums(in.size()), products(in.size());
            double sum = 0, product = 1;
            ForScan(shape, axis, reverse, [&](int64_t at, bool first) {
              if (first) sum = 0, product = 1;
              if (exclusive) sums[at] = sum, products[at] = product;
              sum += in[at];
              product *= in[at];
              if (!exclusive) sums[at] = sum, products[at] = product;
            });
            const CumulativeOptions options{.exclusive = exclusive, .reverse = reverse};
            const auto near = [&](const Variable& y, const std::vector<double>& expected) {
              const std::vector<double> found = y.value().ToVector<double>();
              for (size_t i = 0; i < found.size(); ++i) {
                ASSERT_NEAR(found[i], expected[i],
                            tolerance * std::max(1.0, std::abs(expected[i])));
              }
            };
            near(CumSum(x, axis, options), sums);
            near(CumProd(x, axis - x.rank(), options), products);
          }
        }
      }
    }
  }
}

TEST(CumulativeTest, ViewsAreReadAsTheyAre) {
  const Tensor x = Fractions({6, 8});
  for (const Tensor& view :
       {x.T(), x.Flip(0), x.Narrow(1, 1, 3, 2), x.Narrow(0, 2, 1).Expand({4, 8})}) {
    for (const int axis : {0, 1}) {
      EXPECT_TRUE(BitwiseEqual(CumSum(view, axis).value(), CumSum(view.Clone(), axis).value()));
      EXPECT_TRUE(BitwiseEqual(CumProd(view, axis).value(), CumProd(view.Clone(), axis).value()));
      EXPECT_TRUE(
          BitwiseEqual(LogCumSumExp(view, axis).value(), LogCumSumExp(view.Clone(), axis).value()));
    }
  }
}

TEST(CumulativeTest, IntegersWrapAndBoolsCount) {
  const int32_t big = std::numeric_limits<int32_t>::max();
  const Tensor x = Tensor::FromVector(std::vector<int32_t>{big, 1, 2});
  EXPECT_THAT(CumSum(x, 0).value().ToVector<int32_t>(),
              ElementsAre(big, std::numeric_limits<int32_t>::min(),
                          std::numeric_limits<int32_t>::min() + 2));
  EXPECT_THAT(CumProd(x, 0).value().ToVector<int32_t>(), ElementsAre(big, big, -2));
  EXPECT_EQ(Prod(x).item<int32_t>(), -2);
  const Tensor bools = Tensor::FromVector(std::vector<bool>{true, false, true});
  EXPECT_EQ(CumSum(bools, 0).dtype(), DType::kInt64);
  EXPECT_THAT(CumSum(bools, 0).value().ToVector<int64_t>(), ElementsAre(1, 1, 2));
  EXPECT_EQ(LogCumSumExp(bools, 0).dtype(), DType::kFloat32);
}

TEST(CumulativeTest, FloatsRunInDouble) {
  // 2^24 + 8 ones: float32 alone stops at 2^24.
  constexpr int64_t kMany = (1 << 24) + 8;
  const Tensor y = CumSum(Tensor::Ones({kMany}), 0).value();
  EXPECT_EQ(y.at<float>({kMany - 1}), static_cast<float>(kMany));
  // 1e30 * 1e30 is no float, and divided again it is.
  EXPECT_FLOAT_EQ(
      Prod(Tensor::FromVector(std::vector<float>{1e30f, 1e30f, 1e-30f, 1e-30f})).item<float>(), 1);
}

TEST(CumulativeTest, OfNothingAndErrors) {
  EXPECT_EQ(CumSum(Tensor::Ones({0, 3}), 0).value().shape(), Shape({0, 3}));
  EXPECT_EQ(LogCumSumExp(Tensor::Ones({3, 0}), 1).value().shape(), Shape({3, 0}));
  EXPECT_THAT(Prod(Tensor::Ones({0, 3}), 0).value().ToVector<float>(), ElementsAre(1, 1, 1));
  EXPECT_EQ(Prod(Tensor::Ones({3, 0}), 0, kKeepDims).shape(), Shape({1, 0}));
  EXPECT_EQ(Prod(Tensor::Full({}, 7)).item<float>(), 7);
  const Variable nothing = DifferentiableLeaf(Tensor::Ones({0, 3}));
  EXPECT_EQ(Grad(Sum(CumProd(nothing, 0)), nothing).value().shape(), Shape({0, 3}));
  const std::string message = ThrownMessage([] { CumSum(Tensor::Ones({2, 3}), 2); });
  EXPECT_THAT(message, HasSubstr("[cum_sum]"));
  EXPECT_THAT(message, HasSubstr("cumulative_test.cc"));
  EXPECT_THAT(ThrownMessage([] { CumProd(Tensor::Ones({}), 0); }), HasSubstr("[cum_prod]"));
  EXPECT_THAT(ThrownMessage([] {
                Prod(Tensor::Ones({2, 3}), {1, -1});
              }),
              HasSubstr("[prod] an axis is given twice"));
  EXPECT_THAT(ThrownMessage([] {
                LinearRecurrence(Tensor::Ones({2}), Tensor::Ones({2, 3}), 0);
              }),
              AllOf(HasSubstr("[linear_recurrence]"), HasSubstr("[2]"), HasSubstr("[2,3]")));
}

TEST(CumulativeTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  for (const Shape& shape : kShapes) {
    const Tensor x = Fractions(shape, DType::kFloat32);
    for (int axis = 0; axis < x.rank(); ++axis) {
      const auto all = [&] {
        return std::vector<Tensor>{CumSum(x, axis).value(), CumProd(x, axis).value(),
                                   LogCumSumExp(x, axis).value(), Prod(x, axis).value(),
                                   LinearRecurrence(x, x, axis).value()};
      };
      SetNumThreads(1);
      const std::vector<Tensor> serial = all();
      for (const int many : {2, 3, 8}) {
        SetNumThreads(many);
        const std::vector<Tensor> parallel = all();
        for (size_t i = 0; i < serial.size(); ++i) {
          EXPECT_TRUE(BitwiseEqual(parallel[i], serial[i])) << ToString(shape) << " " << i;
        }
      }
    }
  }
  SetNumThreads(threads);
}

TEST(ProdTest, DerivativesWithZeros) {
  const auto gradient = [](const std::vector<double>& values) {
    const Variable x = DifferentiableLeaf(Doubles(values));
    return Grad(Prod(x), x).value().ToVector<double>();
  };
  EXPECT_THAT(gradient({2, 3, 5}), ElementsAre(15, 10, 6));
  EXPECT_THAT(gradient({2, 0, 5}), ElementsAre(0, 10, 0));
  EXPECT_THAT(gradient({0, 0, 5}), ElementsAre(0, 0, 0));
  const Variable x = DifferentiableLeaf(Doubles({0, 0, 5}));
  const Tensor hessian = Hessian([](const Variable& v) { return Prod(v); }, x).value();
  EXPECT_THAT(hessian.ToVector<double>(), ElementsAre(0, 5, 0, 5, 0, 0, 0, 0, 0));
  const Variable zeros = DifferentiableLeaf(Doubles({0, 0}));
  const Function sum = [](VariableSpan v) { return Sum(CumProd(v[0], 0)); };
  EXPECT_THAT(Grad(sum({&zeros, 1}), zeros).value().ToVector<double>(), ElementsAre(1, 0));
  EXPECT_THAT(Hessian(
                  [&](const Variable& v) {
                    return sum({&v, 1});
                  },
                  zeros)
                  .value()
                  .ToVector<double>(),
              ElementsAre(0, 1, 1, 0));
}

TEST(CumulativeTest, DerivativesWithZeros) {
  for (const std::vector<double>& values : {std::vector<double>{2, 0, 3, -1, 0.5, 4},
                                            {0, 2, 0, 3, -1, 2},
                                            {0, 0, 0, 1, 2, 3},
                                            {1, 2, 3, 4, 5, 0}}) {
    const Variable x = Tensor::FromVector(values, {2, 3});
    for (const int axis : {0, 1}) {
      for (const int kind : {0, 1, 2, 3}) {
        const CumulativeOptions options{.exclusive = kind % 2 == 1, .reverse = kind / 2 == 1};
        const GradientReport report =
            CheckGradients([&](VariableSpan in) { return CumProd(in[0], axis, options); }, {&x, 1});
        EXPECT_TRUE(report.ok) << axis << kind << report.text;
      }
      const GradientReport report =
          CheckGradients([&](VariableSpan in) { return Prod(in[0], axis); }, {&x, 1});
      EXPECT_TRUE(report.ok) << report.text;
    }
  }
}

TEST(LogCumSumExpTest, ClosedForms) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double tolerance = dtype == DType::kFloat32 ? 2e-7 : 1e-15;
    const auto of = [&](const std::vector<double>& x, bool reverse = false) {
      return LogCumSumExp(Doubles(x).To(dtype), 0, reverse).value().ToVector<double>();
    };
    // ln 1, ln 2, ln 3.
    const std::vector<double> logs{0, 0.6931471805599453, 1.0986122886681098};
    EXPECT_THAT(of({0, 0, 0}), Pointwise(DoubleNear(tolerance), logs));
    EXPECT_THAT(of({0, 0, 0}, true),
                Pointwise(DoubleNear(tolerance), std::vector<double>{logs[2], logs[1], logs[0]}));
    EXPECT_THAT(of({1e4, -1e4, 1e4}),
                Pointwise(DoubleNear(1e4 * tolerance), {1e4, 1e4, 1e4 + logs[1]}));
    EXPECT_THAT(of({-1e4, 1e4}), ElementsAre(-1e4, 1e4));
    EXPECT_THAT(of({-kInf, -kInf, 3, -kInf}), ElementsAre(-kInf, -kInf, 3, 3));
    EXPECT_THAT(of({1, kInf, 3, kInf}), ElementsAre(1, kInf, kInf, kInf));
    const std::vector<double> with_nan = of({1, kNan, 3});
    EXPECT_EQ(with_nan[0], 1);
    EXPECT_TRUE(std::isnan(with_nan[1]) && std::isnan(with_nan[2]));
  }
}

TEST(LogCumSumExpTest, GradientsFarApart) {
  // dx[j] = sum over i >= j of exp(x[j] - y[i]): nothing overflows on the way, and what is
  // -infinity has no part.
  const std::vector<double> values{-kInf, 1000, -1000, 0, 999, 1000.5};
  const Variable x = DifferentiableLeaf(Doubles(values));
  const Variable y = LogCumSumExp(x, 0);
  const std::vector<double> sums = y.value().ToVector<double>();
  const Variable first = Grad(Sum(y), x, {.create_graph = true});
  for (size_t j = 0; j < values.size(); ++j) {
    double expected = 0;
    for (size_t i = j; i < values.size() && j > 0; ++i) expected += std::exp(values[j] - sums[i]);
    EXPECT_NEAR(first.value().ToVector<double>()[j], expected, 1e-12) << j;
  }
  const Variable second = Grad(Sum(Square(first)), x);
  for (const double slope : second.value().ToVector<double>()) {
    EXPECT_TRUE(std::isfinite(slope)) << slope;
  }
}

TEST(LinearRecurrenceTest, ClosedForms) {
  const Tensor ones = Doubles({1, 1, 1, 1}), half = Tensor::Full({}, 0.5, DType::kFloat64);
  EXPECT_THAT(LinearRecurrence(half, ones, 0).value().ToVector<double>(),
              ElementsAre(1, 1.5, 1.75, 1.875));
  EXPECT_THAT(
      LinearRecurrence(half, Doubles({0, 0, 0, 8}), 0, /*reverse=*/true).value().ToVector<double>(),
      ElementsAre(1, 2, 4, 8));
  // The first factor is not read.
  const Variable a = DifferentiableLeaf(Doubles({kNan, 2, 0, 3}));
  const Variable y = LinearRecurrence(a, ones, 0);
  EXPECT_THAT(y.value().ToVector<double>(), ElementsAre(1, 3, 1, 4));
  EXPECT_THAT(Grad(Sum(y), a).value().ToVector<double>(), ElementsAre(0, 1, 12, 1));
}

TEST(LinearRecurrenceTest, AgreesWithLoops) {
  for (const Shape& shape : kShapes) {
    const Tensor a = Fractions(shape), b = a.Clone().Flip(0);
    const std::vector<double> factors = a.ToVector<double>(), terms = b.ToVector<double>();
    for (int axis = 0; axis < a.rank(); ++axis) {
      for (const bool reverse : {false, true}) {
        const std::vector<double> y =
            LinearRecurrence(a, b, axis, reverse).value().ToVector<double>();
        double running = 0;
        ForScan(shape, axis, reverse, [&](int64_t at, bool first) {
          running = (first ? 0 : factors[at] * running) + terms[at];
          ASSERT_NEAR(y[at], running, 1e-12);
        });
      }
    }
  }
}

TEST(LinearRecurrenceTest, DTypesMeet) {
  const Tensor integers = Tensor::Ones({3}, DType::kInt64);
  EXPECT_EQ(LinearRecurrence(integers, integers, 0).dtype(), DType::kFloat32);
  EXPECT_EQ(LinearRecurrence(Doubles({1, 2, 3}), integers, 0).dtype(), DType::kFloat64);
  EXPECT_EQ(LinearRecurrence(Tensor::Ones({3, 1}), Tensor::Ones({4}), 1).shape(), Shape({3, 4}));
}

}  // namespace
}  // namespace wengert

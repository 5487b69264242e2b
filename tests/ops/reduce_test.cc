// Reductions against loops over the elements, closed forms, their rules for ties, NaN and nothing,
// and their bits on any number of threads.
#include "ops/kernels/reduce.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Integers in [-9, 9], whose sums every dtype here holds exactly.
Tensor Integers(const Shape& shape, DType dtype, uint32_t seed = 1) {
  std::mt19937 engine(seed);
  std::vector<int64_t> values(NumElements(shape));
  for (int64_t& value : values) value = static_cast<int64_t>(engine() % 19) - 9;
  return Tensor::FromVector(values, shape).To(dtype);
}

// Values whose sums do round.
Tensor Fractions(const Shape& shape, DType dtype = DType::kFloat32) {
  std::mt19937 engine(3);
  std::vector<double> values(NumElements(shape));
  for (double& value : values) value = static_cast<double>(engine()) * 1e-9 - 2;
  return Tensor::FromVector(values, shape).To(dtype);
}

// Calls f(position of the result, position in the reduced axes, value) for every element.
void ForEachElement(const Tensor& x, const Axes& axes,
                    const std::function<void(int64_t, int64_t, double)>& f) {
  std::vector<bool> reduced(x.rank(), false);
  for (const int axis : axes.Normalized(x.rank(), "test")) reduced[axis] = true;
  const std::vector<double> values = x.ToVector<double>();
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, at[2] = {0, 0}, step[2] = {1, 1};
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      at[reduced[axis]] += rest % x.dim(axis) * step[reduced[axis]];
      step[reduced[axis]] *= x.dim(axis);
      rest /= x.dim(axis);
    }
    f(at[0], at[1], values[i]);
  }
}

void ExpectRight(const Tensor& x, const Axes& axes) {
  SCOPED_TRACE(testing::Message() << ToString(x.shape()) << " " << Name(x.dtype()));
  const std::vector<double> sum = Sum(x, axes).value().ToVector<double>();
  std::vector<double> expected(sum.size(), 0), largest(sum.size(), -kInf);
  std::vector<int64_t> first(sum.size(), -1);
  ForEachElement(x, axes, [&](int64_t to, int64_t position, double value) {
    expected[to] += value;
    // Reduced positions do not always rise here.
    if (value > largest[to] || (value == largest[to] && position < first[to])) {
      largest[to] = value;
      first[to] = position;
    }
  });
  EXPECT_EQ(sum, expected);
  Tensor values = Tensor::Empty(Sum(x, axes).shape(), x.dtype());
  Tensor positions = Tensor::Empty(values.shape(), DType::kInt64);
  uint32_t bits = 0;
  for (const int axis : axes.Normalized(x.rank(), "test")) bits |= 1u << axis;
  ExtremeKernel(x, bits, /*largest=*/true, &values, &positions);
  EXPECT_EQ(values.ToVector<double>(), largest);
  EXPECT_EQ(positions.ToVector<int64_t>(), first);
}

TEST(ReduceTest, AgreesWithLoops) {
  const struct {
    Shape shape;
    Axes axes;
  } cases[] = {{{}, {}},
               {{1}, {}},
               {{7}, {}},
               {{100'003}, {}},
               {{5, 9000}, 1},
               {{2, 40'000}, 1},
               {{9000, 5}, 0},
               {{70'001, 3}, 0},
               {{300, 33}, 0},
               {{3, 2500}, 0},
               {{200, 1500}, 0},
               {{2, 5, 1100}, 1},
               {{2, 600, 70}, 1},
               {{400, 3, 4}, 1},
               {{7, 5, 3}, {0, 2}},
               {{7, 5, 3}, {1, 2}},
               {{7, 5, 3}, {0, 1}},
               {{2, 3, 4, 5}, {1, 3}},
               {{2, 3, 4, 5}, {0, 2}},
               {{2, 1, 3, 1}, {1, 2}}};
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64}) {
    for (const auto& [shape, axes] : cases) ExpectRight(Integers(shape, dtype), axes);
  }
}

TEST(ReduceTest, AgreesWithLoopsOnViews) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32}) {
    const Tensor x = Integers({6, 80, 9}, dtype);
    for (const int axis : {0, 1, 2}) {
      ExpectRight(x.Transpose(0, 2), axis);
      ExpectRight(x.Transpose(1, 2), axis);
      ExpectRight(x.Permute({1, 2, 0}), axis);
      ExpectRight(x.Flip(axis), axis);
      ExpectRight(x.Flip(1), axis);
      ExpectRight(x.Narrow(1, 1, 39, 2), axis);
      ExpectRight(x.Narrow(2, 2, 5), axis);
      ExpectRight(x.Narrow(2, 2, 1), axis);
      ExpectRight(x.Narrow(0, 3, 1).Expand({6, 80, 9}), axis);
      ExpectRight(x.Narrow(2, 3, 1).Expand({6, 80, 9}), axis);
    }
    ExpectRight(x.Permute({2, 0, 1}), {0, 2});
  }
}

// What lies between the elements of a view must not come into a sum.
TEST(ReduceTest, ReadsNothingBesideTheElements) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    Tensor all = Tensor::Full({200, 50}, kNan, dtype);
    Tensor x = all.Narrow(0, 3, 190).Narrow(1, 5, 37);
    x.CopyFrom(Integers({190, 37}, dtype));
    for (const Axes& axes : {Axes(0), Axes(1), Axes()}) ExpectRight(x, axes);
  }
}

TEST(ReduceTest, SumsManyOnesExactly) {
  // 2^24 + 2^22: float32 adding one by one stops at 2^24.
  constexpr int64_t kMany = 20'971'520;
  EXPECT_EQ(Sum(Tensor::Ones({kMany})).item<float>(), 20971520.0f);
  const Tensor one = Tensor::Ones({1, 3});
  EXPECT_THAT(Sum(one.Expand({kMany, 3}), 0).value().ToVector<float>(),
              ElementsAre(20971520.0f, 20971520.0f, 20971520.0f));
}

TEST(ReduceTest, SumsOfDoublesAreAccurate) {
  // The exact sums, rounded once (Python's math.fsum). Adding one by one is off by 1e-6 and 1e-12.
  EXPECT_NEAR(Sum(Tensor::Full({1'000'000}, 0.1, DType::kFloat64)).item<double>(), 100000.0, 5e-10);
  std::vector<double> harmonic;
  for (int k = 1; k <= 1'000'000; ++k) harmonic.push_back(1.0 / k);
  const Tensor x = Tensor::FromVector(harmonic);
  EXPECT_NEAR(Sum(x).item<double>(), 14.392726722865724, 2e-14);
  const Tensor columns = x.Reshape({1'000'000, 1}).Expand({1'000'000, 2});
  EXPECT_NEAR(Sum(columns, 0).value().at<double>({1}), 14.392726722865724, 2e-14);
  EXPECT_NEAR(Sum(x.To(DType::kFloat32)).item<float>(), 14.3927267, 2e-6);
}

TEST(ReduceTest, IntegersWrapAndBoolsCount) {
  const int32_t big = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(Sum(Tensor::FromVector(std::vector<int32_t>{big, 1})).item<int32_t>(),
            std::numeric_limits<int32_t>::min());
  const Tensor bools = Tensor::Ones({300}, DType::kBool);
  EXPECT_EQ(Sum(bools).dtype(), DType::kInt64);
  EXPECT_EQ(Sum(bools).item<int64_t>(), 300);
  EXPECT_EQ(SumTo(bools, {1}).item<int64_t>(), 300);
  EXPECT_EQ(Sum(Tensor::Full({300}, 200, DType::kUInt8)).item<int64_t>(), 60'000);
  EXPECT_EQ(Mean(Tensor::FromVector(std::vector<int64_t>{1, 2})).item<float>(), 1.5f);
}

TEST(ReduceTest, MeanDivides) {
  // 49 * (1 / 49) is not 1, in either float type.
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    EXPECT_EQ(Mean(Tensor::Ones({49}, dtype)).item<double>(), 1);
  }
  EXPECT_TRUE(std::isnan(Mean(Tensor::Ones({0})).item<float>()));
}

TEST(ReduceTest, InfinitiesAndNan) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const int64_t size : {2, 50'000}) {
      Tensor x = Tensor::Ones({size}, dtype);
      x.Narrow(0, size - 1, 1).Fill(kInf);
      EXPECT_EQ(Sum(x).item<double>(), kInf);
      EXPECT_EQ(Sum(x.Reshape({size, 1}).Expand({size, 2}), 0).value().at<double>({0}), kInf);
      x.Narrow(0, 0, 1).Fill(-kInf);
      EXPECT_TRUE(std::isnan(Sum(x).item<double>()));
    }
  }
}

TEST(ReduceTest, OfNothing) {
  EXPECT_THAT(Sum(Tensor::Ones({0, 3}), 0).value().ToVector<float>(), ElementsAre(0, 0, 0));
  EXPECT_EQ(Sum(Tensor::Ones({3, 0}), 0).shape(), Shape({0}));
  EXPECT_EQ(Sum(Tensor::Ones({3, 0}), 0).value().size(), 0);
  EXPECT_EQ(LogSumExp(Tensor::Ones({0})).item<float>(), -kInf);
  EXPECT_EQ(Max(Tensor::Ones({3, 0}), 0).value().size(), 0);
  EXPECT_THAT(ThrownMessage([] {
                Max(Tensor::Ones({0, 3}), 0);
              }),
              HasSubstr("[max] of no elements: [0,3]"));
  EXPECT_THAT(ThrownMessage([] { ArgMin(Tensor::Ones({0}), 0); }),
              HasSubstr("[argmin] of no elements"));
}

TEST(ReduceTest, ErrorsNameTheOpAndTheLine) {
  const Tensor x = Tensor::Ones({2, 3});
  EXPECT_THAT(ThrownMessage([&] { Sum(x, {1, -1}); }), HasSubstr("[sum] an axis is given twice"));
  EXPECT_THAT(ThrownMessage([&] { Mean(x, 2); }), HasSubstr("[mean]"));
  EXPECT_THAT(ThrownMessage([&] { Mean(x, 2); }), HasSubstr("reduce_test.cc"));
  EXPECT_THAT(ThrownMessage([&] { SumTo(x, {2}); }),
              HasSubstr("[sum_to] [2] does not broadcast to [2,3]"));
}

TEST(ExtremeTest, TiesGoToTheFirstAndNanWins) {
  // Rows shorter and longer than a vector, and than a piece of a row.
  for (const int64_t size : {5, 33, 100'000}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      Tensor x = Tensor::Zeros({size}, dtype);
      EXPECT_EQ(ArgMax(x, 0).item<int64_t>(), 0);
      x.Narrow(0, 2, size - 2).Fill(7);
      EXPECT_EQ(ArgMax(x, 0).item<int64_t>(), 2);
      EXPECT_EQ(ArgMin(x, 0).item<int64_t>(), 0);
      x.Narrow(0, size - 1, 1).Fill(8);
      EXPECT_EQ(ArgMax(x, 0).item<int64_t>(), size - 1);
      x.Narrow(0, size - 2, 2).Fill(kNan);
      x.Narrow(0, 0, 1).Fill(kInf);
      EXPECT_EQ(ArgMax(x, 0).item<int64_t>(), size - 2);
      EXPECT_EQ(ArgMin(x, 0).item<int64_t>(), size - 2);
      EXPECT_TRUE(std::isnan(Max(x).item<double>()));
      EXPECT_TRUE(std::isnan(Min(x).item<double>()));
    }
  }
  const Tensor zeros = Tensor::FromVector(std::vector<float>{-0.0f, 0.0f});
  EXPECT_TRUE(std::signbit(Max(zeros).item<float>()));
  EXPECT_THAT(ArgMax(Tensor::FromVector(std::vector<bool>{false, true, true, false}), 0)
                  .value()
                  .ToVector<int64_t>(),
              ElementsAre(1));
  EXPECT_EQ(Max(Tensor::FromVector(std::vector<uint8_t>{3, 250, 7})).item<uint8_t>(), 250);
}

// Over all axes but the last: columns that fill vectors and others, of more rows than a task has,
// with ties, NaN and signed zeros, on each SIMD target.
TEST(ExtremeTest, OfColumnsAsOneByOne) {
  const KernelSettings settings;
  std::mt19937 engine(1);
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32}) {
    for (const Shape& shape : {Shape{3, 5, 1},
                               {2, 7, 3},
                               {2, 5, 16},
                               {3, 4, 17},
                               {2, 9, 70},
                               {1, 3000, 33},
                               {2, 40, 2000}}) {
      std::vector<double> values(NumElements(shape));
      for (double& value : values) {
        value = static_cast<double>(engine() % 7) - 3;
        if (IsFloating(dtype) && engine() % 200 == 0) value = kNan;
        if (value == 0 && engine() % 2) value = -0.0;
      }
      const Tensor x = Tensor::FromVector(values, shape).To(dtype);
      const int64_t n = shape[1], inner = shape[2];
      ForEachTarget([&] {
        for (const bool largest : {true, false}) {
          const Tensor found = (largest ? Max(x, 1) : Min(x, 1)).value(),
                       places = (largest ? ArgMax(x, 1) : ArgMin(x, 1)).value();
          const std::vector<int64_t> rows = places.ToVector<int64_t>();
          const std::vector<double> best_values = found.To(DType::kFloat64).ToVector<double>();
          for (int64_t i = 0; i < found.size(); ++i) {
            const double* const column = &values[i / inner * n * inner + i % inner];
            int64_t best = 0;
            for (int64_t r = 1; r < n; ++r) {
              const double a = column[r * inner], b = column[best * inner];
              if (!std::isnan(b) && (std::isnan(a) || (largest ? a > b : a < b))) best = r;
            }
            ASSERT_EQ(rows[i], best) << ToString(shape) << " " << i;
            const double value = best_values[i];
            ASSERT_TRUE(value == column[best * inner] || std::isnan(column[best * inner]));
            if (IsFloating(dtype)) {
              ASSERT_EQ(std::signbit(value), std::signbit(column[best * inner]));
            }
          }
        }
      });
    }
  }
}

TEST(ExtremeTest, GradientGoesToTheFirstOfEquals) {
  const Variable x =
      DifferentiableLeaf(Tensor::FromVector(std::vector<float>{1, 5, 5, 2, 2, 2}, {2, 3}));
  const auto gradient = [&](const Variable& y) {
    return Grad(Sum(y), x).value().ToVector<float>();
  };
  EXPECT_THAT(gradient(Max(x, 1)), ElementsAre(0, 1, 0, 1, 0, 0));
  EXPECT_THAT(gradient(Max(x, 0)), ElementsAre(0, 1, 1, 1, 0, 0));
  EXPECT_THAT(gradient(Min(x)), ElementsAre(1, 0, 0, 0, 0, 0));
  EXPECT_THAT(gradient(Max(Transpose(x))), ElementsAre(0, 1, 0, 0, 0, 0));
}

TEST(LogSumExpTest, ClosedForms) {
  const auto of = [](const std::vector<double>& x, DType dtype) {
    return LogSumExp(Tensor::FromVector(x).To(dtype)).item<double>();
  };
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double tolerance = dtype == DType::kFloat32 ? 1e-6 : 1e-14;
    EXPECT_NEAR(of({0, 0}, dtype), 0.6931471805599453, tolerance);      // ln 2
    EXPECT_NEAR(of({0, 1}, dtype), 1.3132616875182228, 2 * tolerance);  // ln(1 + e)
    EXPECT_NEAR(of({1e4, 1e4}, dtype), 10000.693147180560, 1e4 * tolerance);
    EXPECT_NEAR(of({-1e4, -1e4}, dtype), -9999.3068528194400, 1e4 * tolerance);
    EXPECT_EQ(of({1e4, -1e4}, dtype), 1e4);
    EXPECT_EQ(of({-kInf, -kInf}, dtype), -kInf);
    EXPECT_EQ(of({-kInf, 3}, dtype), 3);
    EXPECT_EQ(of({kInf, 3, -kInf}, dtype), kInf);
    EXPECT_TRUE(std::isnan(of({1, kNan, 2}, dtype)));
    EXPECT_TRUE(std::isnan(of({-kInf, kNan}, dtype)));
    // n equal terms: x + ln n, in one piece and in several.
    EXPECT_NEAR(of(std::vector<double>(1000, -1), dtype), 5.907755278982137, 6 * tolerance);
    EXPECT_NEAR(of(std::vector<double>(100'000, -1), dtype), 10.512925464970229, 6 * tolerance);
  }
}

TEST(LogSumExpTest, EveryAxis) {
  const Tensor x = Fractions({5, 37, 4}, DType::kFloat64);
  for (const Axes& axes : {Axes(0), Axes(1), Axes(2), Axes({0, 2}), Axes()}) {
    const Variable y = LogSumExp(x, axes);
    std::vector<double> sums(y.size(), 0);
    ForEachElement(x, axes, [&](int64_t to, int64_t, double v) { sums[to] += std::exp(v); });
    const std::vector<double> single =
        LogSumExp(x.To(DType::kFloat32), axes).value().ToVector<double>();
    for (size_t i = 0; i < sums.size(); ++i) {
      EXPECT_NEAR(y.value().ToVector<double>()[i], std::log(sums[i]), 1e-13);
      EXPECT_NEAR(single[i], std::log(sums[i]), 1e-6);
    }
  }
}

TEST(ReduceTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const Shape& shape :
         {Shape{300'001}, {9000, 37}, {37, 9000}, {3, 400, 101}, {2, 60'000}}) {
      const Tensor x = Fractions(shape, dtype);
      for (int axis = -1; axis < x.rank(); ++axis) {
        const Axes axes = axis < 0 ? Axes() : Axes(axis);
        SetNumThreads(1);
        const Tensor sum = Sum(x, axes).value(), lse = LogSumExp(x, axes).value(),
                     max = Max(x, axes).value();
        for (const int many : {2, 3, 8}) {
          SetNumThreads(many);
          EXPECT_TRUE(BitwiseEqual(Sum(x, axes).value(), sum)) << ToString(shape) << " " << axis;
          EXPECT_TRUE(BitwiseEqual(LogSumExp(x, axes).value(), lse)) << ToString(shape) << axis;
          EXPECT_TRUE(BitwiseEqual(Max(x, axes).value(), max)) << ToString(shape) << " " << axis;
        }
      }
    }
  }
  SetNumThreads(threads);
}

}  // namespace
}  // namespace wengert

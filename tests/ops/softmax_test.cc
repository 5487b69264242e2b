// Softmax and LogSoftmax against scipy.special's values and loops in double.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor Values(const Shape& shape, DType dtype, double scale = 3) {
  std::mt19937 engine(5);
  std::vector<double> values(NumElements(shape));
  for (double& value : values) value = (static_cast<double>(engine()) / 2147483648.0 - 1) * scale;
  return Tensor::FromVector(values, shape).To(dtype);
}

TEST(SoftmaxTest, PublishedValues) {
  // scipy.special.softmax and log_softmax of [1, 2, 3].
  const double softmax[] = {0.09003057317038046, 0.24472847105479764, 0.6652409557748218};
  const double log_softmax[] = {-2.4076059644443806, -1.4076059644443806, -0.4076059644443806};
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const double tolerance = dtype == DType::kFloat32 ? 2e-7 : 1e-15;
    const Tensor x = Tensor::FromVector(std::vector<double>{1, 2, 3}).To(dtype);
    for (int i = 0; i < 3; ++i) {
      EXPECT_NEAR(Softmax(x).value().ToVector<double>()[i], softmax[i], tolerance);
      EXPECT_NEAR(LogSoftmax(x).value().ToVector<double>()[i], log_softmax[i], 2 * tolerance);
    }
  }
  EXPECT_EQ(Softmax(Tensor::FromVector(std::vector<int64_t>{1, 1})).dtype(), DType::kFloat32);
}

TEST(SoftmaxTest, Jacobians) {
  // d y_i / d x_j = y_i (delta_ij - y_j); of the logarithm, delta_ij - y_j.
  const double y[] = {0.09003057317038046, 0.24472847105479764, 0.6652409557748218};
  const Tensor x = Tensor::FromVector(std::vector<double>{1, 2, 3});
  const Tensor of_softmax = Jacobian([](const Variable& v) { return Softmax(v); }, x).value();
  const Tensor of_log = Jacobian([](const Variable& v) { return LogSoftmax(v); }, x).value();
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      EXPECT_NEAR(of_softmax.at<double>({i, j}), y[i] * ((i == j) - y[j]), 1e-15);
      EXPECT_NEAR(of_log.at<double>({i, j}), (i == j) - y[j], 1e-15);
    }
  }
}

TEST(SoftmaxTest, AgreesWithLoopsOnEveryAxis) {
  std::vector<Shape> shapes = {{1}, {2, 3, 4, 5}, {3, 1000}, {7, 5000}, {20, 3, 40}};
  for (int64_t size = 1; size < 40; ++size) shapes.push_back({3, size});
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const Shape& shape : shapes) {
      const Tensor x = Values(shape, dtype);
      for (int axis = 0; axis < x.rank(); ++axis) {
        // The axis last, as rows.
        const int64_t n = x.dim(axis);
        const auto rows = [&](const Tensor& t) {
          std::vector<int> order;
          for (int i = 0; i < t.rank(); ++i) {
            if (i != axis) order.push_back(i);
          }
          order.push_back(axis);
          return t.Permute(order).ToVector<double>();
        };
        const std::vector<double> in = rows(x), y = rows(Softmax(x, axis).value()),
                                  log_y = rows(LogSoftmax(x, axis - x.rank()).value());
        const double tolerance = dtype == DType::kFloat32 ? 4e-7 : 1e-14;
        double sum = 0;
        for (int64_t i = 0; i < x.size(); ++i) {
          if (i % n == 0) {
            sum = 0;
            for (int64_t k = i; k < i + n; ++k) sum += std::exp(in[k]);
          }
          ASSERT_NEAR(y[i] * sum / std::exp(in[i]), 1, 2 * tolerance) << ToString(shape) << axis;
          ASSERT_NEAR(log_y[i], in[i] - std::log(sum), 4 * tolerance) << ToString(shape) << axis;
        }
      }
    }
  }
}

TEST(SoftmaxTest, Views) {
  const Tensor x = Values({30, 40}, DType::kFloat32);
  for (const Tensor& view :
       {x.T(), x.Flip(1), x.Narrow(1, 3, 20), x.Narrow(1, 1, 13, 3),
        x.Narrow(0, 2, 1).Expand({4, 40}), x.Narrow(1, 2, 1).Expand({30, 5})}) {
    for (const int axis : {0, 1}) {
      EXPECT_TRUE(BitwiseEqual(Softmax(view, axis).value(), Softmax(view.Clone(), axis).value()));
      EXPECT_TRUE(
          BitwiseEqual(LogSoftmax(view, axis).value(), LogSoftmax(view.Clone(), axis).value()));
    }
  }
}

TEST(SoftmaxTest, LargeInputs) {
  const Tensor x = Tensor::FromVector(std::vector<float>{1e4, -1e4, 1e4, -1e4, -1e4, -1e4}, {2, 3});
  EXPECT_THAT(Softmax(x).value().ToVector<float>(),
              testing::Pointwise(testing::FloatEq(), {0.5f, 0.f, 0.5f, 1 / 3.f, 1 / 3.f, 1 / 3.f}));
  const float ln2 = 0.69314718f, ln3 = 1.0986123f;
  EXPECT_THAT(LogSoftmax(x).value().ToVector<float>(),
              testing::Pointwise(testing::FloatEq(), {-ln2, -20000.693f, -ln2, -ln3, -ln3, -ln3}));
}

TEST(SoftmaxTest, NanAndInfinityStayInTheirRow) {
  for (const int64_t size : {3, 50}) {
    Tensor x = Tensor::Zeros({4, size});
    x.Narrow(0, 0, 1).Narrow(1, 1, 1).Fill(kNan);
    x.Narrow(0, 1, 1).Narrow(1, 1, 1).Fill(kInf);
    x.Narrow(0, 2, 1).Fill(-kInf);
    x.Narrow(0, 3, 1).Narrow(1, 1, 1).Fill(-kInf);
    const Tensor y = Softmax(x).value(), log_y = LogSoftmax(x).value();
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t row = 0; row < 3; ++row) {
        EXPECT_TRUE(std::isnan(y.at<float>({row, i})));
        EXPECT_TRUE(std::isnan(log_y.at<float>({row, i})));
      }
      const auto others = static_cast<double>(size - 1);
      EXPECT_FLOAT_EQ(y.at<float>({3, i}), i == 1 ? 0 : 1 / others);
      EXPECT_FLOAT_EQ(log_y.at<float>({3, i}), i == 1 ? -kInf : -std::log(others));
    }
  }
}

TEST(SoftmaxTest, NothingAndErrors) {
  EXPECT_EQ(Softmax(Tensor::Ones({3, 0})).value().shape(), Shape({3, 0}));
  EXPECT_EQ(LogSoftmax(Tensor::Ones({0, 3}), 1).value().shape(), Shape({0, 3}));
  for (const auto& [shape, axis] : {std::pair{Shape{2, 3}, 2}, {{}, 0}}) {
    try {
      Softmax(Tensor::Ones(shape), axis);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("[softmax]"));
      EXPECT_THAT(error.what(), HasSubstr("softmax_test.cc"));
    }
  }
}

TEST(SoftmaxTest, SameBitsForAnyNumberOfThreads) {
  const int threads = NumThreads();
  // 37 columns: rows of neighbouring tasks meet within a vector.
  for (const Shape& shape : {Shape{5000, 37}, {7, 40'001}, {37, 3, 1000}}) {
    const Tensor x = Values(shape, DType::kFloat32);
    for (int axis = 0; axis < x.rank(); ++axis) {
      SetNumThreads(1);
      const Tensor y = Softmax(x, axis).value(), log_y = LogSoftmax(x, axis).value();
      for (const int many : {2, 3, 8}) {
        SetNumThreads(many);
        EXPECT_TRUE(BitwiseEqual(Softmax(x, axis).value(), y));
        EXPECT_TRUE(BitwiseEqual(LogSoftmax(x, axis).value(), log_y));
      }
    }
  }
  SetNumThreads(threads);
}

}  // namespace
}  // namespace wengert

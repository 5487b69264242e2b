#include "tensor/convert.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(ConvertTest, FloatToInteger) {
  const Tensor t = Tensor::FromVector<float>(
      {1.9f, -1.9f, 300, -5, 1e10f, -1e10f, 1e20f, -1e20f, kInfinity, -kInfinity, kNaN});
  EXPECT_THAT(t.To(DType::kUInt8).ToVector<uint8_t>(),
              ElementsAre(1, 0, 255, 0, 255, 0, 255, 0, 255, 0, 0));
  EXPECT_THAT(t.To(DType::kInt32).ToVector<int32_t>(),
              ElementsAre(1, -1, 300, -5, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX,
                          INT32_MIN, 0));
  EXPECT_THAT(t.To(DType::kInt64).ToVector<int64_t>(),
              ElementsAre(1, -1, 300, -5, 10000000000, -10000000000, INT64_MAX, INT64_MIN,
                          INT64_MAX, INT64_MIN, 0));
  EXPECT_THAT(t.To(DType::kBool).ToVector<bool>(), Each(true));
}

TEST(ConvertTest, AtTheEdges) {
  EXPECT_EQ(Tensor::Full({}, 2147483520.0f).item<int32_t>(), 2147483520);
  EXPECT_EQ(Tensor::Full({}, 2147483648.0f).item<int32_t>(), INT32_MAX);
  EXPECT_EQ(Tensor::Full({}, 2147483646.5, DType::kFloat64).item<int32_t>(), 2147483646);
  EXPECT_EQ(Tensor::Full({}, -2147483648.5, DType::kFloat64).item<int32_t>(), INT32_MIN);
  EXPECT_EQ(Tensor::Full({}, 255.9).item<uint8_t>(), 255);
  EXPECT_EQ(Tensor::Full({}, -0.9).item<uint8_t>(), 0);
  EXPECT_EQ(Tensor::Full({}, 0x1p63, DType::kFloat64).item<int64_t>(), INT64_MAX);
  EXPECT_EQ(Tensor::Full({}, 0x1.fffffffffffffp62, DType::kFloat64).item<int64_t>(),
            9223372036854774784);
  EXPECT_EQ(Tensor::Full({}, -0x1p63, DType::kFloat64).item<int64_t>(), INT64_MIN);
}

TEST(ConvertTest, IntegersWrapAndFloatsRound) {
  const Tensor t = Tensor::FromVector<int64_t>({300, -1, int64_t{1} << 31, 16777217});
  EXPECT_THAT(t.To(DType::kUInt8).ToVector<int>(), ElementsAre(44, 255, 0, 1));
  EXPECT_THAT(t.To(DType::kInt32).ToVector<int>(), ElementsAre(300, -1, INT32_MIN, 16777217));
  EXPECT_THAT(t.To(DType::kFloat32).ToVector<double>(), ElementsAre(300, -1, 2147483648, 16777216));
  EXPECT_THAT(t.To(DType::kBool).To(DType::kInt64).ToVector<int>(), ElementsAre(1, 1, 1, 1));
  EXPECT_EQ(Tensor::Full({}, 1e300, DType::kFloat64).item<float>(), kInfinity);
}

TEST(ConvertTest, SharesWhenTheTypeIsTheSame) {
  const Tensor t = Tensor::Ones({2});
  EXPECT_TRUE(t.To(DType::kFloat32).SharesStorage(t));
  EXPECT_FALSE(t.To(DType::kFloat64).SharesStorage(t));
}

// By comparison in long double, which holds every element type exactly.
template <class To, class From>
To Expected(From from) {
  const long double value = from;
  if constexpr (std::is_same_v<To, bool>) return std::isnan(value) || value != 0;
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return 0;
    const long double clamped = std::clamp<long double>(value, std::numeric_limits<To>::min(),
                                                        std::numeric_limits<To>::max());
    return static_cast<To>(static_cast<int64_t>(clamped));
  }
  return static_cast<To>(from);
}

template <class T>
std::vector<T> Samples(int count) {
  std::mt19937_64 random(7);
  std::vector<T> values;
  for (int i = 0; i < count; ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      const double sign = random() % 2 ? 1 : -1;
      values.push_back(static_cast<T>(sign * std::exp2(static_cast<double>(random() % 700) / 10)));
      if (i % 13 == 5) values.back() = static_cast<T>(kNaN);
      if (i % 13 == 6) values.back() = 0;
      if (i % 13 == 7) values.back() = static_cast<T>(sign) * static_cast<T>(kInfinity);
    } else {
      values.push_back(static_cast<T>(random() >> random() % 64));
    }
  }
  return values;
}

template <class From, class To>
void CheckPair() {
  const int64_t count = 6 * 35;
  const std::vector<From> values = Samples<From>(count);
  std::vector<To> expected, expected_transposed;
  for (From value : values) expected.push_back(Expected<To>(value));
  for (int column = 0; column < 35; ++column) {
    for (int row = 0; row < 6; ++row) expected_transposed.push_back(expected[row * 35 + column]);
  }
  const Tensor t = Tensor::FromVector(values, {6, 35});
  const auto expect_equal = [](const Tensor& result, const std::vector<To>& expected) {
    EXPECT_TRUE(BitwiseEqual(result, Tensor::FromVector(expected, result.shape())))
        << Name(DTypeOf<From>()) << " to " << Name(DTypeOf<To>());
  };
  expect_equal(t.To(DTypeOf<To>()), expected);
  expect_equal(t.T().To(DTypeOf<To>()), expected_transposed);
  // Every other column of a wider target.
  Tensor wide = Tensor::Zeros({6, 70}, DTypeOf<To>());
  wide.Narrow(1, 1, 35, 2).CopyFrom(t);
  expect_equal(wide.Narrow(1, 1, 35, 2).Clone(), expected);
  EXPECT_THAT(wide.Narrow(1, 0, 35, 2).template ToVector<double>(), Each(0.0));
}

template <class From>
void CheckAllTargets() {
  CheckPair<From, bool>();
  CheckPair<From, uint8_t>();
  CheckPair<From, int32_t>();
  CheckPair<From, int64_t>();
  CheckPair<From, float>();
  CheckPair<From, double>();
}

TEST(ConvertTest, AllPairs) {
  CheckAllTargets<bool>();
  CheckAllTargets<uint8_t>();
  CheckAllTargets<int32_t>();
  CheckAllTargets<int64_t>();
  CheckAllTargets<float>();
  CheckAllTargets<double>();
}

}  // namespace
}  // namespace wengert

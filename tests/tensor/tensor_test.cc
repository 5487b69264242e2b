#include "tensor/tensor.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(TensorTest, Undefined) {
  const Tensor t;
  EXPECT_FALSE(t.defined());
  EXPECT_FALSE(t.OwnsStorage());
  EXPECT_FALSE(t.SharesStorage(t));
  EXPECT_EQ(t.ToString(), "undefined");
  EXPECT_EQ(ThrownMessage([&] { t.data<float>(); }), "[data] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.item<float>(); }), "[item] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.at<float>({}); }), "[at] the tensor is undefined");
  EXPECT_EQ(ThrownMessage([&] { t.ToVector<float>(); }), "[to_vector] the tensor is undefined");
}

TEST(TensorTest, EmptyAtEveryRank) {
  Shape shape;
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    for (int i = 0; i < kNumDTypes; ++i) {
      Tensor t = Tensor::Empty(shape, static_cast<DType>(i));
      EXPECT_TRUE(t.defined());
      EXPECT_TRUE(t.OwnsStorage());
      EXPECT_TRUE(t.IsContiguous());
      EXPECT_EQ(t.rank(), rank);
      EXPECT_EQ(t.shape(), shape);
      EXPECT_EQ(t.strides(), ContiguousStrides(shape));
      EXPECT_EQ(t.size(), int64_t{1} << rank);
      EXPECT_EQ(t.bytes(), t.size() * static_cast<int64_t>(SizeOf(t.dtype())));
      t.Fill(1);
      EXPECT_THAT(t.ToVector<double>(), Each(1.0));
      const Tensor shared = t;
      EXPECT_FALSE(t.OwnsStorage());
      EXPECT_TRUE(t.SharesStorage(shared));
    }
    if (rank < kMaxRank) shape.Append(2);
  }
}

TEST(TensorTest, EmptyErrors) {
  EXPECT_EQ(ThrownMessage([] {
              Tensor::Empty({2, -1});
            }),
            "[empty] shape [2,-1] has a negative dimension");
  EXPECT_EQ(ThrownMessage([] {
              Tensor::Empty({int64_t{1} << 40, int64_t{1} << 40});
            }),
            "[empty] shape [1099511627776,1099511627776] has more than 2^62 elements");
  // 2^62 elements are a shape, but their bytes are no size_t.
  EXPECT_THAT(ThrownMessage([] { Tensor::Empty({int64_t{1} << 62}, DType::kFloat64); }),
              HasSubstr("[allocate] 16.0 EiB asked for"));
}

TEST(TensorTest, ZeroSize) {
  const Tensor t = Tensor::Zeros({2, 0, 3});
  EXPECT_EQ(t.size(), 0);
  EXPECT_TRUE(t.IsContiguous());
  EXPECT_THAT(t.ToVector<float>(), IsEmpty());
  EXPECT_TRUE(BitwiseEqual(t.Permute({2, 1, 0}).Clone(), Tensor::Ones({3, 0, 2})));
  Tensor target = Tensor::Empty({2, 0, 3});
  target.CopyFrom(Tensor::Ones({1}));
  EXPECT_EQ(ThrownMessage([&] { t.item<float>(); }), "[item] [2,0,3] has 0 elements, not 1");
}

TEST(TensorTest, Full) {
  EXPECT_THAT(Tensor::Zeros({3}).ToVector<float>(), ElementsAre(0, 0, 0));
  EXPECT_THAT(Tensor::Ones({2}, DType::kInt32).ToVector<int>(), ElementsAre(1, 1));
  EXPECT_THAT(Tensor::Full({2}, 2.75, DType::kInt64).ToVector<int64_t>(), ElementsAre(2, 2));
  EXPECT_THAT(Tensor::Full({2}, -0.5, DType::kBool).ToVector<bool>(), ElementsAre(true, true));
  EXPECT_THAT(Tensor::Full({2}, 1e300, DType::kUInt8).ToVector<uint8_t>(), ElementsAre(255, 255));
  EXPECT_EQ(Tensor::Full({}, 0.1, DType::kFloat64).item<double>(), 0.1);
  EXPECT_EQ(Tensor::Full({}, 7, DType::kUInt8).item<int>(), 7);
  EXPECT_EQ(Tensor::Ones({}).dtype(), DType::kFloat32);
  // Beyond the size that is filled in parallel.
  EXPECT_THAT(Tensor::Full({321, 1001}, 3).ToVector<float>(), Each(3.0f));
}

TEST(TensorTest, Arange) {
  EXPECT_THAT(Tensor::Arange(0, 4).ToVector<int64_t>(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(Tensor::Arange(0, 4).dtype(), DType::kInt64);
  EXPECT_THAT(Tensor::Arange(5, 0, -2).ToVector<int64_t>(), ElementsAre(5, 3, 1));
  EXPECT_THAT(Tensor::Arange(0, 1, 0.25, DType::kFloat32).ToVector<float>(),
              ElementsAre(0, 0.25, 0.5, 0.75));
  EXPECT_THAT(Tensor::Arange(3, 3).ToVector<int64_t>(), IsEmpty());
  EXPECT_THAT(Tensor::Arange(3, 0).ToVector<int64_t>(), IsEmpty());
  EXPECT_EQ(ThrownMessage([] { Tensor::Arange(0, 4, 0); }),
            "[arange] start 0, stop 4, step 0: the step must not be 0");
  EXPECT_EQ(ThrownMessage([] { Tensor::Arange(0, kInfinity); }),
            "[arange] start 0, stop inf, step 1: all must be finite");
  EXPECT_EQ(ThrownMessage([] { Tensor::Arange(kNaN, 1); }),
            "[arange] start nan, stop 1, step 1: all must be finite");
  EXPECT_EQ(ThrownMessage([] { Tensor::Arange(0, 1, kNaN); }),
            "[arange] start 0, stop 1, step nan: all must be finite");
  EXPECT_EQ(ThrownMessage([] { Tensor::Arange(0, 1e300, 1e-300); }),
            "[arange] start 0, stop 1e+300, step 1e-300: more than 2^62 elements");
}

TEST(TensorTest, Linspace) {
  EXPECT_THAT(Tensor::Linspace(0, 1, 5).ToVector<float>(), ElementsAre(0, 0.25, 0.5, 0.75, 1));
  EXPECT_EQ(Tensor::Linspace(0, 1, 5).dtype(), DType::kFloat32);
  EXPECT_THAT(Tensor::Linspace(3, -3, 3, DType::kInt64).ToVector<int64_t>(), ElementsAre(3, 0, -3));
  EXPECT_THAT(Tensor::Linspace(7, 9, 1).ToVector<float>(), ElementsAre(7));
  EXPECT_THAT(Tensor::Linspace(7, 9, 0).ToVector<float>(), IsEmpty());
  // Both ends exactly, though neither is a multiple of the step.
  const std::vector<double> tenths =
      Tensor::Linspace(0.1, 0.7, 8, DType::kFloat64).ToVector<double>();
  EXPECT_EQ(tenths.front(), 0.1);
  EXPECT_EQ(tenths.back(), 0.7);
  EXPECT_THAT(Tensor::Linspace(0, 10, 11, DType::kInt32).ToVector<int>(),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_EQ(ThrownMessage([] { Tensor::Linspace(0, 1, -1); }),
            "[linspace] -1 values from 0 to 1: bounds must be finite, their number not negative");
  EXPECT_THAT(ThrownMessage([] { Tensor::Linspace(0, kInfinity, 3); }),
              HasSubstr("3 values from 0 to inf"));
}

TEST(TensorTest, Eye) {
  EXPECT_THAT(Tensor::Eye(2).ToVector<float>(), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(Tensor::Eye(2, 3, DType::kInt32).ToVector<int>(), ElementsAre(1, 0, 0, 0, 1, 0));
  EXPECT_THAT(Tensor::Eye(3, 2, DType::kBool).ToVector<int>(), ElementsAre(1, 0, 0, 1, 0, 0));
  EXPECT_EQ(Tensor::Eye(0).shape(), Shape({0, 0}));
  EXPECT_EQ(Tensor::Eye(0, 4).shape(), Shape({0, 4}));
  EXPECT_EQ(Tensor::Eye(3, 0).shape(), Shape({3, 0}));
  EXPECT_THAT(ThrownMessage([] { Tensor::Eye(-1); }), HasSubstr("[eye]"));
}

template <class T>
void ExpectRoundTrip(const std::vector<T>& values) {
  const Tensor t = Tensor::FromVector(values);
  EXPECT_EQ(t.dtype(), DTypeOf<T>());
  EXPECT_EQ(t.shape(), Shape({static_cast<int64_t>(values.size())}));
  EXPECT_EQ(t.ToVector<T>(), values);
  const Tensor column = Tensor::FromVector(values, {static_cast<int64_t>(values.size()), 1});
  EXPECT_EQ(column.ToVector<T>(), values);
}

TEST(TensorTest, VectorsOfEveryElementType) {
  ExpectRoundTrip<bool>({true, false, true});
  ExpectRoundTrip<uint8_t>({0, 7, 255});
  ExpectRoundTrip<int32_t>({INT32_MIN, -1, INT32_MAX});
  ExpectRoundTrip<int64_t>({INT64_MIN, -1, INT64_MAX});
  ExpectRoundTrip<long long>({INT64_MIN, -1, INT64_MAX});
  ExpectRoundTrip<float>({-0.5f, 1e-45f, 3e38f});
  ExpectRoundTrip<double>({-0.5, 5e-324, 1e308});
  ExpectRoundTrip<float>({});
  const float values[] = {1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::FromSpan<float>(values, {2, 3});
  EXPECT_EQ(t.at<float>({1, 0}), 4);
  EXPECT_EQ(ThrownMessage([] {
              Tensor::FromVector<float>({1, 2, 3, 4, 5}, {2, 3});
            }),
            "[from_vector] 5 values for shape [2,3], which has 6 elements");
  EXPECT_EQ(ThrownMessage([] { Tensor::FromVector<bool>({true}, {0}); }),
            "[from_vector] 1 value for shape [0], which has 0 elements");
  EXPECT_EQ(ThrownMessage([&] { Tensor::FromSpan<float>(values, {}); }),
            "[from_span] 6 values for shape [], which has 1 element");
}

TEST(TensorTest, ElementsConvert) {
  const Tensor t = Tensor::FromVector<double>({1.75, -2.5, 300, kNaN}, {2, 2});
  EXPECT_EQ(t.at<int32_t>({0, 0}), 1);
  EXPECT_EQ(t.at<uint8_t>({0, 1}), 0);
  EXPECT_EQ(t.at<uint8_t>({1, 0}), 255);
  EXPECT_EQ(t.at<int64_t>({1, 1}), 0);
  EXPECT_TRUE(t.at<bool>({-1, -1}));
  EXPECT_EQ(t.at<float>({0, -1}), -2.5f);
  EXPECT_EQ(Tensor::Full({1, 1}, 2.5).item<int>(), 2);
  EXPECT_THAT(t.Narrow(0, 0, 1).ToVector<long long>(), ElementsAre(1, -2));
}

TEST(TensorTest, AccessErrors) {
  Tensor t = Tensor::Zeros({2, 3}, DType::kInt64);
  EXPECT_EQ(ThrownMessage([&] {
              t.at<int>({2, 0});
            }),
            "[at] index [2,0] is out of range for [2,3]");
  EXPECT_EQ(ThrownMessage([&] {
              t.at<int>({0, -4});
            }),
            "[at] index [0,-4] is out of range for [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.at<int>({0}); }), "[at] index [0] is out of range for [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.item<int>(); }), "[item] [2,3] has 6 elements, not 1");
  EXPECT_EQ(ThrownMessage([&] { t.data<float>(); }),
            "[data] asked for float32, but the tensor is int64 [2,3]");
  EXPECT_EQ(ThrownMessage([&] { t.mutable_data<int32_t>(); }),
            "[data] asked for int32, but the tensor is int64 [2,3]");
  t.mutable_data<int64_t>()[4] = 9;
  EXPECT_EQ(t.data<long long>()[4], 9);
  EXPECT_EQ(t.at<int>({1, 1}), 9);
}

TEST(TensorTest, BitwiseEqual) {
  const Tensor a = Tensor::FromVector<float>({0.0f, 1, 2, 3}, {2, 2});
  EXPECT_TRUE(BitwiseEqual(a, a.Clone()));
  EXPECT_TRUE(BitwiseEqual(a, a.T().Clone().T()));
  EXPECT_FALSE(BitwiseEqual(a, a.T()));
  EXPECT_FALSE(BitwiseEqual(a, a.Reshape({4})));
  EXPECT_FALSE(BitwiseEqual(a, a.To(DType::kFloat64)));
  EXPECT_FALSE(BitwiseEqual(a, Tensor::FromVector<float>({-0.0f, 1, 2, 3}, {2, 2})));
  const Tensor nan = Tensor::Full({2}, kNaN);
  EXPECT_TRUE(BitwiseEqual(nan, nan.Clone()));
  EXPECT_TRUE(BitwiseEqual(Tensor(), Tensor()));
  EXPECT_FALSE(BitwiseEqual(Tensor(), a));
  EXPECT_FALSE(BitwiseEqual(a, Tensor()));
}

template <class T>
void ExpectFindsOneBadElement(const Shape& shape) {
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                      -std::numeric_limits<T>::infinity()}) {
    for (const int64_t at : {int64_t{0}, NumElements(shape) / 2, NumElements(shape) - 1}) {
      Tensor tensor = Tensor::Full(shape, std::numeric_limits<T>::max(), DTypeOf<T>());
      EXPECT_TRUE(AllFinite(tensor));
      tensor.mutable_data<T>()[at] = bad;
      EXPECT_FALSE(AllFinite(tensor)) << bad << " at " << at << " of " << ToString(shape);
      EXPECT_FALSE(AllFinite(tensor.Flip(0)));
    }
  }
}

TEST(AllFiniteTest, FindsOneBadElement) {
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{33, 41}, Shape{300, 1000}}) {
    ExpectFindsOneBadElement<float>(shape);
    ExpectFindsOneBadElement<double>(shape);
  }
}

TEST(AllFiniteTest, NothingAndIntegersAreFinite) {
  EXPECT_TRUE(AllFinite(Tensor::Empty({0, 3})));
  EXPECT_TRUE(AllFinite(Tensor::Full({5}, 255, DType::kUInt8)));
  EXPECT_TRUE(AllFinite(Tensor::FromVector<float>({0.f, -0.f, 1e-45f})));
}

// What a view leaves out does not count.
TEST(AllFiniteTest, SeesTheElementsOfAViewOnly) {
  Tensor tensor = Tensor::Zeros({10});
  tensor.mutable_data<float>()[3] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(AllFinite(tensor.Narrow(0, 4, 6)));
  EXPECT_FALSE(AllFinite(tensor.Narrow(0, 3, 1)));
}

}  // namespace
}  // namespace wengert

#include "tensor/dtype.h"

#include "gtest/gtest.h"

namespace wengert {
namespace {

TEST(DTypeTest, NamesAndSizes) {
  EXPECT_EQ(Name(DType::kBool), "bool");
  EXPECT_EQ(Name(DType::kUInt8), "uint8");
  EXPECT_EQ(Name(DType::kInt32), "int32");
  EXPECT_EQ(Name(DType::kInt64), "int64");
  EXPECT_EQ(Name(DType::kFloat32), "float32");
  EXPECT_EQ(Name(DType::kFloat64), "float64");
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    DispatchDType(dtype, [&]<class T>() {
      EXPECT_EQ(SizeOf(dtype), sizeof(T));
      EXPECT_EQ(DTypeOf<T>(), dtype);
      EXPECT_EQ(IsFloating(dtype), std::is_floating_point_v<T>);
    });
  }
  EXPECT_EQ(DTypeOf<long long>(), DType::kInt64);
}

TEST(DTypeTest, Promotion) {
  EXPECT_EQ(Promote(DType::kBool, DType::kUInt8), DType::kUInt8);
  EXPECT_EQ(Promote(DType::kInt64, DType::kFloat32), DType::kFloat32);
  EXPECT_EQ(Promote(DType::kFloat64, DType::kFloat32), DType::kFloat64);
  EXPECT_EQ(PromoteWithNumber(DType::kFloat32, true), DType::kFloat32);
  EXPECT_EQ(PromoteWithNumber(DType::kInt32, true), DType::kFloat32);
  EXPECT_EQ(PromoteWithNumber(DType::kInt32, false), DType::kInt32);
  EXPECT_EQ(PromoteWithNumber(DType::kBool, false), DType::kInt64);
  EXPECT_EQ(PromoteWithNumber(DType::kBool, true), DType::kFloat32);
}

}  // namespace
}  // namespace wengert

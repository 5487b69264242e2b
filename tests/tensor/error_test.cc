#include "tensor/error.h"

#include "gtest/gtest.h"

namespace wengert {
namespace {

TEST(ErrorTest, NamesTheOp) {
  const Error error("matmul", "inner dimensions differ: [32,1600] x [1024,128]");
  EXPECT_STREQ(error.what(), "[matmul] inner dimensions differ: [32,1600] x [1024,128]");
  EXPECT_EQ(error.op(), "matmul");
  EXPECT_EQ(error.message(), "inner dimensions differ: [32,1600] x [1024,128]");
  EXPECT_FALSE(error.has_place());
}

TEST(ErrorTest, AddsThePlaceOnTheWayOut) {
  const SourceLocation where = SourceLocation::current();
  const std::string place = ToString(where);
  EXPECT_TRUE(place.ends_with("error_test.cc:" + std::to_string(where.line()))) << place;
  try {
    try {
      throw Error("add", "shapes [2] and [3] do not broadcast");
    } catch (Error& error) {
      error.AddPlace(where, "cnn/fc1/weight");
      throw;
    }
  } catch (const std::exception& error) {
    EXPECT_EQ(error.what(),
              "[add] shapes [2] and [3] do not broadcast (" + place + ", reading cnn/fc1/weight)");
  }
}

TEST(ErrorTest, PlaceWithoutALayerPath) {
  const SourceLocation where = SourceLocation::current();
  Error error("exp", "no");
  error.AddPlace(where, "");
  EXPECT_TRUE(error.has_place());
  EXPECT_EQ(error.what(), "[exp] no (" + ToString(where) + ")");
  EXPECT_EQ(error.message(), "no");
}

}  // namespace
}  // namespace wengert

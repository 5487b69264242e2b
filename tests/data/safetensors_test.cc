#include "data/formats/safetensors.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/safetensors_files.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

template <class T>
Tensor Values(const std::vector<T>& values) {
  return Tensor::FromVector<T>(values);
}

class SafetensorsTest : public ::testing::Test {
 protected:
  absl::StatusOr<SafetensorsFile> Read(const std::string& bytes) {
    PutFile(path_, bytes);
    return ReadSafetensors(path_);
  }
  std::string WriteError(const std::vector<NamedTensor>& tensors,
                         const SafetensorsMetadata& metadata = {}) {
    return ThrownMessage([&] { WriteSafetensors(path_, tensors, metadata).IgnoreError(); });
  }
  void ExpectRoundTrip(const std::vector<NamedTensor>& tensors) {
    const absl::Status written = WriteSafetensors(path_, tensors);
    ASSERT_TRUE(written.ok()) << written;
    const absl::StatusOr<SafetensorsFile> read = ReadSafetensors(path_);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->tensors.size(), tensors.size());
    for (const NamedTensor& expected : tensors) {
      const auto found = std::find_if(read->tensors.begin(), read->tensors.end(),
                                      [&](const auto& t) { return t.name == expected.name; });
      ASSERT_NE(found, read->tensors.end()) << expected.name;
      EXPECT_TRUE(BitwiseEqual(found->tensor, expected.tensor)) << expected.name;
      EXPECT_TRUE(found->tensor.OwnsStorage());
    }
  }

  const std::string folder_ = TestFolder();
  const std::string path_ = folder_ + "/file.safetensors";
};

TEST_F(SafetensorsTest, EveryDTypeMakesTheRoundTrip) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  ExpectRoundTrip({
      {"float32", Values<float>({0, -0.f, 1.5, kInf, -kInf, std::nanf("7"), 1e-45f})},
      {"float64", Values<double>({-0., 1e300, std::nan(""), 5e-324})},
      {"int64", Values<int64_t>({0, -1, INT64_MAX, INT64_MIN})},
      {"int32", Values<int32_t>({0, -1, INT32_MAX, INT32_MIN})},
      {"uint8", Values<uint8_t>({0, 1, 255})},
      {"bool", Values<bool>({true, false, true})},
  });
}

TEST_F(SafetensorsTest, EveryShapeMakesTheRoundTrip) {
  for (const Shape& shape :
       {Shape{}, {0}, {1}, {0, 3}, {3, 0, 2}, {2, 3, 4}, {500, 300}, {1, 2, 1, 2, 1, 2, 1, 2}}) {
    const Tensor tensor = Tensor::Arange(0, NumElements(shape)).Reshape(shape);
    for (int dtype = 0; dtype < kNumDTypes; ++dtype) {
      ExpectRoundTrip({{"a", tensor.To(static_cast<DType>(dtype))}});
    }
    ExpectRoundTrip({{"before", tensor}, {"empty", Tensor::Zeros({0})}, {"next", tensor}});
  }
  ExpectRoundTrip({});
}

TEST_F(SafetensorsTest, ViewsAreWrittenRowByRow) {
  const Tensor a = Tensor::Arange(0, 12, 1, DType::kInt32).Reshape({3, 4});
  ExpectRoundTrip({{"transposed", a.T()},
                   {"columns", a.Narrow(1, 1, 2)},
                   {"rows", a.Narrow(0, 1, 2)},
                   {"flipped", a.Flip(0)},
                   {"expanded", a.Narrow(0, 0, 1).Expand({3, 4})}});
}

TEST_F(SafetensorsTest, NamesAndMetadataMayHaveAnyCharacters) {
  const std::string odd = std::string("\0\n\"\\/\x1f\x7f", 7) + " \u00e9\u20ac\U0001f600";
  const SafetensorsMetadata metadata{{odd, odd}, {"", ""}, {"format", "pt"}};
  ASSERT_TRUE(WriteSafetensors(path_, {{{odd, Tensor::Ones({1})}}}, metadata).ok());
  const absl::StatusOr<SafetensorsFile> read = ReadSafetensors(path_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->metadata, metadata);
  EXPECT_EQ(read->tensors[0].name, odd);
}

// The bytes that Python's safetensors 0.8 writes for the same tensors.
TEST_F(SafetensorsTest, WritesTheOfficialBytes) {
  const std::vector<NamedTensor> tensors{
      {"uint8", Values<uint8_t>({7})},     {"b/float32", Values<float>({1, -2})},
      {"bool", Values<bool>({true})},      {"int32", Tensor::Full({}, 258, DType::kInt32)},
      {"int64", Values<int64_t>({-2})},    {"float64", Tensor::Full({1, 1}, 0.5, DType::kFloat64)},
      {"a/float32", Tensor::Zeros({0, 2})}};
  ASSERT_TRUE(WriteSafetensors(path_, tensors, {{"b", "1"}, {"a", "x\n\u00e9/\""}}).ok());
  std::string header = R"({"__metadata__":{"a":"x\n)"
                       "\u00e9"
                       R"(/\"","b":"1"},)"
                       R"("int64":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                       R"("float64":{"dtype":"F64","shape":[1,1],"data_offsets":[8,16]},)"
                       R"("a/float32":{"dtype":"F32","shape":[0,2],"data_offsets":[16,16]},)"
                       R"("b/float32":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},)"
                       R"("int32":{"dtype":"I32","shape":[],"data_offsets":[24,28]},)"
                       R"("uint8":{"dtype":"U8","shape":[1],"data_offsets":[28,29]},)"
                       R"("bool":{"dtype":"BOOL","shape":[1],"data_offsets":[29,30]}})";
  ASSERT_EQ(header.size(), 463);
  header += ' ';
  const std::string data(
      "\xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\xe0\x3f"
      "\0\0\x80\x3f\0\0\0\xc0\x02\x01\0\0\x07\x01",
      30);
  EXPECT_EQ(FileBytes(path_), SafetensorsBytes(header, data));
}

TEST_F(SafetensorsTest, ReadsWhatOtherWritersMayWrite) {
  // Names out of the order of their data, spaces, padding, escapes, keys in another order.
  const absl::StatusOr<SafetensorsFile> read = Read(
      SafetensorsBytes("{ \"z\" : {\"data_offsets\":[4,8],\"shape\":[ 1 ],\"dtype\":\"F32\"},\n"
                       "\"\\u0061\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]},"
                       "\"__metadata__\":{\"k\":\"v\"}}   \n",
                       std::string("\x05\0\0\0\0\0\x80\x3f", 8)));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->tensors.size(), 2);
  EXPECT_EQ(read->tensors[0].name, "a");
  EXPECT_EQ(read->tensors[0].tensor.shape(), Shape{});
  EXPECT_EQ(read->tensors[0].tensor.item<int32_t>(), 5);
  EXPECT_EQ(read->tensors[1].name, "z");
  EXPECT_EQ(read->tensors[1].tensor.ToVector<float>(), std::vector<float>{1});
  EXPECT_THAT(read->metadata, ElementsAre(Pair("k", "v")));

  EXPECT_TRUE(Read(SafetensorsBytes("{}")).ok());
  EXPECT_TRUE(Read(SafetensorsBytes("{\"__metadata__\":{}}")).ok());
}

TEST_F(SafetensorsTest, MisuseOfTheWriterThrowsAndLeavesNoFile) {
  const Tensor one = Tensor::Ones({1});
  EXPECT_EQ(WriteError({{"a", one}, {"b", one}, {"a", one}}), "[safetensors] \"a\" comes twice");
  EXPECT_EQ(WriteError({{"__metadata__", one}}),
            "[safetensors] \"__metadata__\" cannot be the name of a tensor");
  EXPECT_EQ(WriteError({{"a", Tensor()}}), "[safetensors] \"a\" is undefined");
  EXPECT_THAT(WriteError({{"\xff", one}}), HasSubstr(" is not UTF-8"));
  EXPECT_THAT(WriteError({{"a", one}}, {{"k", "\xff"}}), HasSubstr(" is not UTF-8"));
  std::string large;
  large.assign(100'000'000, 'x');
  EXPECT_THAT(WriteError({{"a", one}}, {{"k", large}}),
              HasSubstr("header of 100000080 bytes; at most 100000000"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SafetensorsTest, AFileThatCannotBeWrittenIsAStatus) {
  const std::vector<NamedTensor> tensors{{"a", Tensor::Ones({1})}};
  EXPECT_EQ(WriteSafetensors(folder_, tensors).message(), folder_ + ": Is a directory");
  EXPECT_EQ(WriteSafetensors(folder_ + "/no/file", tensors).message(),
            folder_ + "/no/file: No such file or directory");
}

}  // namespace
}  // namespace wengert

#include "data/formats/safetensors.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/pool.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace {
std::atomic<size_t> largest_allocation = 0;  // since it was last set to 0
}  // namespace

// Not inline: else g++ takes free for a mistake where it sees the new.
[[gnu::noinline]] void* operator new(size_t size) {
  if (size > largest_allocation) largest_allocation = size;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr int64_t kMiB = 1 << 20;

// A file: the length of `header`, `header`, `data`.
std::string File(const std::string& header, const std::string& data = "") {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> 8 * i);
  return bytes + header + data;
}

// With one tensor "a".
std::string OneTensor(const std::string& fields, const std::string& data = "") {
  return File("{\"a\":{" + fields + "}}", data);
}

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
  // What is wrong with the file, after its name.
  std::string Message(const std::string& bytes) {
    const std::string message(Read(bytes).status().message());
    EXPECT_THAT(message, StartsWith(path_ + ": "));
    return message.substr(std::min(message.size(), path_.size() + 2));
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
  EXPECT_EQ(FileBytes(path_), File(header, data));
}

TEST_F(SafetensorsTest, ReadsWhatOtherWritersMayWrite) {
  // Names out of the order of their data, spaces, padding, escapes, keys in another order.
  const absl::StatusOr<SafetensorsFile> read =
      Read(File("{ \"z\" : {\"data_offsets\":[4,8],\"shape\":[ 1 ],\"dtype\":\"F32\"},\n"
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

  EXPECT_TRUE(Read(File("{}")).ok());
  EXPECT_TRUE(Read(File("{\"__metadata__\":{}}")).ok());
}

TEST_F(SafetensorsTest, OtherFilesAreErrors) {
  EXPECT_EQ(ReadSafetensors(path_).status().message(), path_ + ": No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(ReadSafetensors(path_).status()));
  EXPECT_EQ(ReadSafetensors(folder_).status().message(), folder_ + ": Is a directory");
  EXPECT_EQ(ReadSafetensors("/dev/zero").status().message(),
            "/dev/zero: at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(""), "at byte 0: the file ends inside the length of its header");
  EXPECT_EQ(Message("PK\x03\x04 a zip file"),
            "at byte 0: a header of 8800140462016121680 bytes; at most 100000000 are allowed");
  EXPECT_TRUE(absl::IsDataLoss(Read("plain text").status()));
}

TEST_F(SafetensorsTest, HeadersThatAreNoHeaders) {
  EXPECT_EQ(Message(File("")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(File(" {}")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(File("\xef\xbb\xbf{}")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(File("[]")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(File("{")), "at byte 9: the header is not JSON - unexpected end of input");
  EXPECT_EQ(Message(File("{}}")), "at byte 10: the header is not JSON - unexpected '}'");
  EXPECT_EQ(Message(File("{}{")), "at byte 10: the header is not JSON - unexpected '{'");
  EXPECT_EQ(Message(File("{\"a\":nan}")), "at byte 14: the header is not JSON - invalid literal");
  EXPECT_EQ(Message(File("{\"a\":1e999}")), "at byte 17: the header is not JSON");
  EXPECT_EQ(Message(File("{\"\xff\":{}}")),
            "at byte 10: the header is not JSON - invalid string: ill-formed UTF-8 byte");
  EXPECT_EQ(Message(File("{\"\xc0\xaf\":{}}")),  // an overlong '/'
            "at byte 10: the header is not JSON - invalid string: ill-formed UTF-8 byte");
  EXPECT_THAT(Message(File("{\"\\ud800\":{}}")), HasSubstr("surrogate U+D800..U+DBFF must be"));
  EXPECT_THAT(Message(File("{\"\n\":{}}")), HasSubstr("control character U+000A (LF)"));
  EXPECT_EQ(Message(File(std::string("{}\0", 3))), "at byte 10: a zero byte in the header");
  EXPECT_EQ(Message(File(std::string("{}\0garbage", 10))), "at byte 10: a zero byte in the header");
}

TEST_F(SafetensorsTest, ValuesOfTheWrongType) {
  EXPECT_EQ(Message(File(R"({"a":1})")), R"("a" is a number, not an object)");
  EXPECT_EQ(Message(File(R"({"a":null})")), R"("a" is null, not an object)");
  EXPECT_EQ(Message(File(R"({"a":["U8",[0],[0,0]]})")), R"("a" is an array, not an object)");
  EXPECT_EQ(Message(File(R"({"__metadata__":null})")), R"("__metadata__" is null, not an object)");
  EXPECT_EQ(Message(File(R"({"__metadata__":{"a":1}})")),
            R"(metadata "a" is a number, not a string)");
  EXPECT_EQ(Message(File(R"({"__metadata__":{"a":{}}})")),
            R"(metadata "a" is an object, not a string)");
  EXPECT_EQ(Message(File(R"({"__metadata__":{"a":["b"]}})")),
            R"(metadata "a" is an array, not a string)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":1)")),
            R"(tensor "a" has a number as dtype, not a string)");
  EXPECT_EQ(Message(OneTensor(R"("shape":2)")),
            R"(tensor "a" has a number as shape, not an array)");
  EXPECT_EQ(Message(OneTensor(R"("shape":"2")")),
            R"(tensor "a" has a string as shape, not an array)");
  EXPECT_EQ(Message(OneTensor(R"("shape":[true])")), R"(tensor "a" has a bool in shape)");
  EXPECT_EQ(Message(OneTensor(R"("shape":["2"])")), R"(tensor "a" has a string in shape)");
  EXPECT_EQ(Message(OneTensor(R"("shape":[[2]])")), R"(tensor "a" has an array in shape)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[{}])")),
            R"(tensor "a" has an object in data_offsets)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":{})")),
            R"(tensor "a" has an object as data_offsets, not an array)");
}

TEST_F(SafetensorsTest, NumbersThatAreNoSizes) {
  const auto shape = [&](const std::string& dims) {
    return Message(OneTensor(R"("dtype":"F32","data_offsets":[0,0],"shape":[)" + dims + "]"));
  };
  EXPECT_EQ(shape("-1"), R"(tensor "a" has a negative number in shape)");
  EXPECT_EQ(shape("-0"), R"(tensor "a" has a negative number in shape)");
  const std::string no_integer = R"(tensor "a" has a number that is not a 64-bit integer in shape)";
  for (const char* number : {"1.5", "0.0", "1e2", "18446744073709551616", "-9223372036854775809"}) {
    EXPECT_EQ(shape(number), no_integer) << number;
  }
  EXPECT_EQ(shape("18446744073709551615"), R"(tensor "a" has 18446744073709551615 in shape)");
  EXPECT_EQ(shape("4611686018427387905"), R"(tensor "a" has 4611686018427387905 in shape)");
  // Products that are 0 in 64 bits, and such as only the 0 makes small.
  EXPECT_EQ(shape("4294967296,4294967296"),
            R"(tensor "a" has an impossible shape: [4294967296,4294967296])");
  EXPECT_EQ(shape("4611686018427387904"),
            R"(tensor "a" has an impossible shape: [4611686018427387904])");
  EXPECT_EQ(shape("0,4294967296,4294967296"),
            R"(tensor "a" has an impossible shape: [0,4294967296,4294967296])");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])")),
            R"(tensor "a" has a negative number in data_offsets)");
  EXPECT_EQ(
      Message(OneTensor(R"("dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0])")),
      R"(tensor "a" has 18446744073709551615 in data_offsets)");
}

TEST_F(SafetensorsTest, FieldsThatAreMissingOrTooMany) {
  EXPECT_EQ(Message(OneTensor("")), R"(tensor "a" has no dtype)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"U8")")), R"(tensor "a" has no shape)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"U8","shape":[0])")), R"(tensor "a" has no data_offsets)");
  EXPECT_EQ(Message(OneTensor(R"("extra":1)")), R"(tensor "a" has an unknown key "extra")");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[])")),
            R"(tensor "a" has fewer than two data_offsets)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[0])")),
            R"(tensor "a" has fewer than two data_offsets)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[0,0,0])")),
            R"(tensor "a" has more than two data_offsets)");
}

TEST_F(SafetensorsTest, DuplicatesAreFound) {
  const std::string a = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(Message(File("{\"a\":" + a + ",\"b\":" + a + ",\"a\":" + a + "}")),
            R"("a" comes twice)");
  EXPECT_EQ(Message(File("{\"a\":" + a + ",\"\\u0061\":" + a + "}")), R"("a" comes twice)");
  EXPECT_EQ(Message(File(R"({"__metadata__":{},"__metadata__":{}})")),
            R"("__metadata__" comes twice)");
  EXPECT_EQ(Message(File(R"({"__metadata__":{"k":"1","k":"1"}})")), R"(metadata "k" comes twice)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"U8","dtype":"U8")")), R"(tensor "a" has two keys dtype)");
  EXPECT_EQ(Message(OneTensor(R"("shape":[1],"shape":[1])")), R"(tensor "a" has two keys shape)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[0,0],"data_offsets":[0,0])")),
            R"(tensor "a" has two keys data_offsets)");
}

TEST_F(SafetensorsTest, WhatIsNotSupportedIsNamed) {
  for (const std::string dtype : {"F16", "BF16", "I8", "U64", "F8_E4M3", "f32", ""}) {
    const absl::Status status = Read(OneTensor("\"dtype\":\"" + dtype + "\"")).status();
    EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
    EXPECT_EQ(status.message(), path_ + ": tensor \"a\" has dtype \"" + dtype +
                                    "\"; known: I64, F64, F32, I32, U8, BOOL");
  }
  const std::string shape = R"("dtype":"U8","data_offsets":[0,1],"shape":[1,1,1,1,1,1,1,1)";
  EXPECT_TRUE(Read(OneTensor(shape + "]", "x")).ok());
  const absl::Status status = Read(OneTensor(shape + ",1]", "x")).status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_EQ(status.message(), path_ + ": tensor \"a\" has more than 8 dimensions");
}

TEST_F(SafetensorsTest, OffsetsThatDoNotFit) {
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", "1234")),
            R"(tensor "a" has data_offsets [0,4], but float32[2] takes 8 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", "1234")),
            R"(tensor "a" has data_offsets [4,0], but float32[1] takes 4 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[0],"data_offsets":[1,0])", "1234")),
            R"(tensor "a" has data_offsets [1,0], but float32[0] takes 0 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[1],"data_offsets":[1,5])", "12345")),
            R"(tensor "a" begins at 1, after a hole that begins at 0)");
  const auto two = [&](const std::string& offsets) {
    return Message(File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("b":{"dtype":"F32","shape":[1],"data_offsets":)" +
                            offsets + "}}",
                        "123456789012"));
  };
  EXPECT_EQ(two("[0,4]"), R"(tensor "b" begins at 0, before the last one ends, at 4)");
  EXPECT_EQ(two("[3,7]"), R"(tensor "b" begins at 3, before the last one ends, at 4)");
  EXPECT_EQ(two("[5,9]"), R"(tensor "b" begins at 5, after a hole that begins at 4)");
  EXPECT_THAT(two("[4,8]"), HasSubstr("more bytes after the last tensor"));
}

TEST_F(SafetensorsTest, BytesThatAreMissingOrTooMany) {
  const std::string a = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  EXPECT_EQ(Message(OneTensor(a, "1234567")),
            R"(the file ends inside tensor "a", after 7 of its 8 bytes)");
  EXPECT_EQ(Message(OneTensor(a, "123456789")), "at byte 70: more bytes after the last tensor");
  EXPECT_EQ(Message(File("{}", "x")), "at byte 10: more bytes after the last tensor");
}

TEST_F(SafetensorsTest, BoolsAreZeroOrOne) {
  const std::string a = R"("dtype":"BOOL","shape":[3],"data_offsets":[0,3])";
  EXPECT_TRUE(Read(OneTensor(a, std::string("\1\0\1", 3))).ok());
  for (const char byte : {'\x02', '\x80', '\xff'}) {
    EXPECT_EQ(Message(OneTensor(a, std::string("\1\0", 2) + byte)),
              R"(tensor "a" has a bool that is neither 0 nor 1)");
  }
}

TEST_F(SafetensorsTest, MessagesShowHostileNamesShort) {
  EXPECT_EQ(Message(File(R"({"\n\u001b[2J\"":1})")), R"("\n\x1b[2J\"" is a number, not an object)");
  const std::string message = Message(File("{\"" + std::string(kMiB, 'n') + "\":1}"));
  EXPECT_EQ(message, "\"" + std::string(200, 'n') + "\"... is a number, not an object");
  // The euro sign has 3 bytes, 200 is in the middle of the 67th.
  std::string euros;
  for (int i = 0; i < 100; ++i) euros += "\u20ac";
  EXPECT_EQ(Message(File("{\"" + euros + "\":1}")),
            "\"" + euros.substr(0, 3 * 66) + "\"... is a number, not an object");
  EXPECT_LT(Message(File("{\"" + std::string(kMiB, 'n'))).size(), 200);
  EXPECT_LT(Message(OneTensor("\"dtype\":\"" + std::string(kMiB, 'n') + "\"")).size(), 400);
}

TEST_F(SafetensorsTest, MemoryFollowsWhatIsReadNotWhatIsClaimed) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 300'000; ++i) deep += i % 2 ? "[" : "{\"a\":";
  std::string header_of_99_mb = File("{}");
  header_of_99_mb.replace(0, 8, std::string("\xc0\x9e\xe6\x05\0\0\0\0", 8));  // 99,000,000
  std::string header_of_2_64 = File("{}");
  header_of_2_64.replace(0, 8, std::string(8, '\xff'));
  const std::pair<std::string, std::string> cases[] = {
      {File(deep), R"(tensor "a" has an unknown key "a")"},
      {File("{\"a\":" + std::string(1'000'000, '[')), R"("a" is an array, not an object)"},
      {header_of_99_mb, "at byte 10: the file ends inside its header of 99000000 bytes"},
      {header_of_2_64,
       "at byte 0: a header of 18446744073709551615 bytes; at most 100000000 are allowed"},
      {OneTensor(R"("dtype":"U8","shape":[4611686018427387904],)"
                 R"("data_offsets":[0,4611686018427387904])",
                 "x"),
       R"(the file ends inside tensor "a", after 1 of its 4611686018427387904 bytes)"},
      {OneTensor(R"("dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000])",
                 std::string(kMiB, 'x')),
       R"(the file ends inside tensor "a", after 1048576 of its 4000000000 bytes)"},
  };
  for (const auto& [bytes, message] : cases) {
    PutFile(path_, bytes);
    const int64_t pool = GetPoolStatistics().live_bytes;
    ResetPoolPeak();
    largest_allocation = 0;
    const absl::Status status = ReadSafetensors(path_).status();
    const size_t largest = largest_allocation;
    EXPECT_EQ(status.message(), path_ + ": " + message);
    EXPECT_LE(largest, 4 * bytes.size() + kMiB) << message;
    EXPECT_LE(GetPoolStatistics().peak_bytes - pool, kMiB) << message;
  }
}

TEST_F(SafetensorsTest, TruncationAtEveryByteIsAnError) {
  ASSERT_TRUE(WriteSafetensors(path_, {{{"a", Values<float>({1, 2})}, {"b", Values<bool>({true})}}},
                               {{"k", "v"}})
                  .ok());
  const std::string bytes = FileBytes(path_);
  ASSERT_TRUE(Read(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = Read(bytes.substr(0, size)).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << size << ": " << status;
    EXPECT_THAT(Message(bytes.substr(0, size)), HasSubstr("the file ends inside")) << size;
  }
}

// A flipped bit may give another valid file (another name, say), never a crash, and never tensors
// that are not exactly what the file has.
TEST_F(SafetensorsTest, EveryFlippedBitOfTheHeaderGivesAStatusOrAFile) {
  ASSERT_TRUE(WriteSafetensors(path_, {{{"a", Values<float>({1, 2})}, {"b", Values<bool>({true})}}},
                               {{"k", "v"}})
                  .ok());
  const std::string bytes = FileBytes(path_);
  int valid = 0;
  for (size_t byte = 0; byte < bytes.size() - 9; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      const absl::StatusOr<SafetensorsFile> read = Read(flipped);
      if (!read.ok()) {
        EXPECT_THAT(std::string(read.status().message()), StartsWith(path_ + ": "));
        continue;
      }
      ++valid;
      ASSERT_EQ(read->tensors.size(), 2) << byte << ":" << bit;
      EXPECT_EQ(read->tensors[0].tensor.bytes(), 8);
      EXPECT_EQ(read->tensors[1].tensor.bytes(), 1);
    }
  }
  EXPECT_GT(valid, 0);
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

// Files that are damaged, or made to do harm: each gives a Status that says what is wrong, and none
// makes the reader allocate more than it has read.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/formats/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/pool.h"
#include "tests/data/safetensors_files.h"
#include "tests/data/test_files.h"

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

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kMiB = 1 << 20;

// With one tensor "a".
std::string OneTensor(const std::string& fields, const std::string& data = "") {
  return SafetensorsBytes("{\"a\":{" + fields + "}}", data);
}

class HostileSafetensorsTest : public ::testing::Test {
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

  const std::string folder_ = TestFolder();
  const std::string path_ = folder_ + "/file.safetensors";
};

TEST_F(HostileSafetensorsTest, OtherFilesAreErrors) {
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

TEST_F(HostileSafetensorsTest, HeadersThatAreNoHeaders) {
  EXPECT_EQ(Message(SafetensorsBytes("")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(SafetensorsBytes(" {}")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(SafetensorsBytes("\xef\xbb\xbf{}")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(SafetensorsBytes("[]")),
            "at byte 8: not a safetensors file: its header does not begin with {");
  EXPECT_EQ(Message(SafetensorsBytes("{")),
            "at byte 9: the header is not JSON - unexpected end of input");
  EXPECT_EQ(Message(SafetensorsBytes("{}}")),
            "at byte 10: the header is not JSON - unexpected '}'");
  EXPECT_EQ(Message(SafetensorsBytes("{}{")),
            "at byte 10: the header is not JSON - unexpected '{'");
  EXPECT_EQ(Message(SafetensorsBytes("{\"a\":nan}")),
            "at byte 14: the header is not JSON - invalid literal");
  EXPECT_EQ(Message(SafetensorsBytes("{\"a\":1e999}")), "at byte 17: the header is not JSON");
  EXPECT_EQ(Message(SafetensorsBytes("{\"\xff\":{}}")),
            "at byte 10: the header is not JSON - invalid string: ill-formed UTF-8 byte");
  EXPECT_EQ(Message(SafetensorsBytes("{\"\xc0\xaf\":{}}")),  // an overlong '/'
            "at byte 10: the header is not JSON - invalid string: ill-formed UTF-8 byte");
  EXPECT_THAT(Message(SafetensorsBytes("{\"\\ud800\":{}}")),
              HasSubstr("surrogate U+D800..U+DBFF must be"));
  EXPECT_THAT(Message(SafetensorsBytes("{\"\n\":{}}")), HasSubstr("control character U+000A (LF)"));
  EXPECT_EQ(Message(SafetensorsBytes(std::string("{}\0", 3))),
            "at byte 10: a zero byte in the header");
  EXPECT_EQ(Message(SafetensorsBytes(std::string("{}\0garbage", 10))),
            "at byte 10: a zero byte in the header");
}

TEST_F(HostileSafetensorsTest, ValuesOfTheWrongType) {
  EXPECT_EQ(Message(SafetensorsBytes(R"({"a":1})")), R"("a" is a number, not an object)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"a":null})")), R"("a" is null, not an object)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"a":["U8",[0],[0,0]]})")),
            R"("a" is an array, not an object)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":null})")),
            R"("__metadata__" is null, not an object)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":{"a":1}})")),
            R"(metadata "a" is a number, not a string)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":{"a":{}}})")),
            R"(metadata "a" is an object, not a string)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":{"a":["b"]}})")),
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

TEST_F(HostileSafetensorsTest, NumbersThatAreNoSizes) {
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

TEST_F(HostileSafetensorsTest, FieldsThatAreMissingOrTooMany) {
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

TEST_F(HostileSafetensorsTest, DuplicatesAreFound) {
  const std::string a = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(Message(SafetensorsBytes("{\"a\":" + a + ",\"b\":" + a + ",\"a\":" + a + "}")),
            R"("a" comes twice)");
  EXPECT_EQ(Message(SafetensorsBytes("{\"a\":" + a + ",\"\\u0061\":" + a + "}")),
            R"("a" comes twice)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":{},"__metadata__":{}})")),
            R"("__metadata__" comes twice)");
  EXPECT_EQ(Message(SafetensorsBytes(R"({"__metadata__":{"k":"1","k":"1"}})")),
            R"(metadata "k" comes twice)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"U8","dtype":"U8")")), R"(tensor "a" has two keys dtype)");
  EXPECT_EQ(Message(OneTensor(R"("shape":[1],"shape":[1])")), R"(tensor "a" has two keys shape)");
  EXPECT_EQ(Message(OneTensor(R"("data_offsets":[0,0],"data_offsets":[0,0])")),
            R"(tensor "a" has two keys data_offsets)");
}

TEST_F(HostileSafetensorsTest, WhatIsNotSupportedIsNamed) {
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

TEST_F(HostileSafetensorsTest, OffsetsThatDoNotFit) {
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", "1234")),
            R"(tensor "a" has data_offsets [0,4], but float32[2] takes 8 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", "1234")),
            R"(tensor "a" has data_offsets [4,0], but float32[1] takes 4 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[0],"data_offsets":[1,0])", "1234")),
            R"(tensor "a" has data_offsets [1,0], but float32[0] takes 0 bytes)");
  EXPECT_EQ(Message(OneTensor(R"("dtype":"F32","shape":[1],"data_offsets":[1,5])", "12345")),
            R"(tensor "a" begins at 1, after a hole that begins at 0)");
  const auto two = [&](const std::string& offsets) {
    return Message(SafetensorsBytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                    R"("b":{"dtype":"F32","shape":[1],"data_offsets":)" +
                                        offsets + "}}",
                                    "123456789012"));
  };
  EXPECT_EQ(two("[0,4]"), R"(tensor "b" begins at 0, before the last one ends, at 4)");
  EXPECT_EQ(two("[3,7]"), R"(tensor "b" begins at 3, before the last one ends, at 4)");
  EXPECT_EQ(two("[5,9]"), R"(tensor "b" begins at 5, after a hole that begins at 4)");
  EXPECT_THAT(two("[4,8]"), HasSubstr("more bytes after the last tensor"));
}

TEST_F(HostileSafetensorsTest, BytesThatAreMissingOrTooMany) {
  const std::string a = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  EXPECT_EQ(Message(OneTensor(a, "1234567")),
            R"(the file ends inside tensor "a", after 7 of its 8 bytes)");
  EXPECT_EQ(Message(OneTensor(a, "123456789")), "at byte 70: more bytes after the last tensor");
  EXPECT_EQ(Message(SafetensorsBytes("{}", "x")), "at byte 10: more bytes after the last tensor");
}

TEST_F(HostileSafetensorsTest, BoolsAreZeroOrOne) {
  const std::string a = R"("dtype":"BOOL","shape":[3],"data_offsets":[0,3])";
  EXPECT_TRUE(Read(OneTensor(a, std::string("\1\0\1", 3))).ok());
  for (const char byte : {'\x02', '\x80', '\xff'}) {
    EXPECT_EQ(Message(OneTensor(a, std::string("\1\0", 2) + byte)),
              R"(tensor "a" has a bool that is neither 0 nor 1)");
  }
}

TEST_F(HostileSafetensorsTest, MessagesShowHostileNamesShort) {
  EXPECT_EQ(Message(SafetensorsBytes(R"({"\n\u001b[2J\"":1})")),
            R"("\n\x1b[2J\"" is a number, not an object)");
  const std::string message = Message(SafetensorsBytes("{\"" + std::string(kMiB, 'n') + "\":1}"));
  EXPECT_EQ(message, "\"" + std::string(200, 'n') + "\"... is a number, not an object");
  // The euro sign has 3 bytes, 200 is in the middle of the 67th.
  std::string euros;
  for (int i = 0; i < 100; ++i) euros += "\u20ac";
  EXPECT_EQ(Message(SafetensorsBytes("{\"" + euros + "\":1}")),
            "\"" + euros.substr(0, 3 * 66) + "\"... is a number, not an object");
  EXPECT_LT(Message(SafetensorsBytes("{\"" + std::string(kMiB, 'n'))).size(), 200);
  EXPECT_LT(Message(OneTensor("\"dtype\":\"" + std::string(kMiB, 'n') + "\"")).size(), 400);
}

TEST_F(HostileSafetensorsTest, MemoryFollowsWhatIsReadNotWhatIsClaimed) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 300'000; ++i) deep += i % 2 ? "[" : "{\"a\":";
  std::string header_of_99_mb = SafetensorsBytes("{}");
  header_of_99_mb.replace(0, 8, std::string("\xc0\x9e\xe6\x05\0\0\0\0", 8));  // 99,000,000
  std::string header_of_2_64 = SafetensorsBytes("{}");
  header_of_2_64.replace(0, 8, std::string(8, '\xff'));
  const std::pair<std::string, std::string> cases[] = {
      {SafetensorsBytes(deep), R"(tensor "a" has an unknown key "a")"},
      {SafetensorsBytes("{\"a\":" + std::string(1'000'000, '[')),
       R"("a" is an array, not an object)"},
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

TEST_F(HostileSafetensorsTest, TruncationAtEveryByteIsAnError) {
  ASSERT_TRUE(WriteSafetensors(path_,
                               {{{"a", Tensor::FromVector<float>({1, 2})},
                                 {"b", Tensor::FromVector<bool>({true})}}},
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
TEST_F(HostileSafetensorsTest, EveryFlippedBitOfTheHeaderGivesAStatusOrAFile) {
  ASSERT_TRUE(WriteSafetensors(path_,
                               {{{"a", Tensor::FromVector<float>({1, 2})},
                                 {"b", Tensor::FromVector<bool>({true})}}},
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

}  // namespace
}  // namespace wengert

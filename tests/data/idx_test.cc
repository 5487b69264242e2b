#include "data/formats/idx.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;

std::string Message(const std::string& bytes, int rank) {
  return std::string(ParseIdx(bytes, rank, "f").status().message());
}

std::string Counting(int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(200 + i);
  return bytes;
}

TEST(IdxTest, ReadsDimensionsAndElements) {
  const absl::StatusOr<Tensor> tensor = ParseIdx(Idx(0x803, {2, 3, 4}, Counting(24)), 3, "f");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->dtype(), DType::kUInt8);
  EXPECT_EQ(tensor->shape(), (Shape{2, 3, 4}));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(tensor->data<uint8_t>()[i], 200 + i);

  const absl::StatusOr<Tensor> large = ParseIdx(Idx(0x801, {70000}, Counting(70000)), 1, "f");
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_EQ(large->shape(), Shape{70000});
}

TEST(IdxTest, ReadsPlainAndPackedFiles) {
  const std::string folder = TestFolder();
  const std::string bytes = Idx(0x801, {3}, "abc");
  PutFile(folder + "/plain", bytes);
  PutFile(folder + "/packed.gz", Gzip(bytes));
  for (const char* name : {"/plain", "/packed.gz"}) {
    const absl::StatusOr<Tensor> tensor = ReadIdx(folder + name, 1, 11);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->ToVector<uint8_t>(), (std::vector<uint8_t>{'a', 'b', 'c'}));
    EXPECT_TRUE(absl::IsResourceExhausted(ReadIdx(folder + name, 1, 10).status()));
  }
  EXPECT_TRUE(absl::IsNotFound(ReadIdx(folder + "/none", 1, 11).status()));
}

TEST(IdxTest, WrongMagicIsNamed) {
  const std::string elements = Counting(24);
  EXPECT_EQ(ParseIdx(Idx(0x804, {2, 3, 4}, elements), 3, "dir/images.gz").status().message(),
            "dir/images.gz: at byte 0: magic 0x00000804, expected 0x00000803 (unsigned bytes, 3 "
            "dimensions)");
  EXPECT_EQ(Message(Idx(0xd01, {24}, elements), 1),
            "f: at byte 0: magic 0x00000d01, expected 0x00000801 (unsigned bytes, 1 dimension)");
  for (int bit = 0; bit < 32; ++bit) {
    EXPECT_THAT(Message(Idx(0x803 ^ (1u << bit), {2, 3, 4}, elements), 3),
                HasSubstr("f: at byte 0: magic"));
  }
}

TEST(IdxTest, EveryFlippedBitOfADimensionIsFound) {
  const std::string bytes = Idx(0x803, {2, 3, 4}, Counting(24));
  for (int byte = 4; byte < 16; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      const absl::Status status = ParseIdx(flipped, 3, "f").status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << byte << ":" << bit;
    }
  }
}

TEST(IdxTest, TruncationAtEveryByteIsFound) {
  const std::string bytes = Idx(0x803, {2, 3, 4}, Counting(24));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Message(bytes.substr(0, size), 3),
              "f: at byte " + std::to_string(size) +
                  (size < 16 ? ": the file ends inside its header"
                             : ": the file ends before its [2,3,4] elements do"));
  }
}

TEST(IdxTest, TrailingBytesAreFound) {
  EXPECT_EQ(Message(Idx(0x803, {2, 3, 4}, Counting(27)), 3),
            "f: at byte 40: 3 more bytes after the [2,3,4] elements");
}

TEST(IdxTest, ImpossibleDimensionsAreFoundWithoutAllocating) {
  EXPECT_EQ(Message(Idx(0x803, {2, 0, 4}, ""), 3), "f: at byte 8: dimension 1 is 0");
  EXPECT_EQ(Message(Idx(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, "x"), 3),
            "f: at byte 17: the file ends before its [4294967295,4294967295,4294967295] elements "
            "do");
  // The product is 2^66, which is 0 in 64 bits.
  EXPECT_THAT(Message(Idx(0x803, {0x80000000, 0x80000000, 16}, ""), 3),
              HasSubstr("the file ends before"));
}

}  // namespace
}  // namespace wengert

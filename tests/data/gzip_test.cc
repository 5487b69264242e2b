#include "data/formats/gzip.h"

#include <string>

#include "absl/status/status.h"
#include "data/formats/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"

namespace wengert {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

// Text that packs to several blocks' worth of matches and literals.
std::string Text(int lines) {
  std::string text;
  uint32_t state = 1;
  for (int i = 0; i < lines; ++i) {
    state = state * 1664525 + 1013904223;
    text += "line " + std::to_string(i) + " of the text: " + std::to_string(state) + "\n";
  }
  return text;
}

class GzipTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Read(const std::string& packed, int64_t max_bytes = kMiB) {
    PutFile(path_, packed);
    return ReadGzip(path_, max_bytes);
  }
  std::string Message(const std::string& packed, int64_t max_bytes = kMiB) {
    return std::string(Read(packed, max_bytes).status().message());
  }

  const std::string path_ = TestFolder() + "/file.gz";
};

TEST_F(GzipTest, UnpacksWhatWasPacked) {
  for (const int lines : {0, 1, 1000, 20000}) {
    const std::string text = Text(lines);
    const absl::StatusOr<std::string> read = Read(Gzip(text));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == text) << lines;
  }
}

TEST_F(GzipTest, UnpacksRunsThatFillTheOutputBufferManyTimes) {
  const std::string zeros(50 * kMiB, '\0');
  const absl::StatusOr<std::string> read = Read(Gzip(zeros), 50 * kMiB);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == zeros);
}

// A stream from outside: `printf hello | gzip -9n`.
TEST_F(GzipTest, UnpacksTheFileOfAnotherProgram) {
  const unsigned char packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                                  0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86,
                                  0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00};
  const absl::StatusOr<std::string> read =
      Read(std::string(reinterpret_cast<const char*>(packed), sizeof(packed)));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, "hello");
}

TEST_F(GzipTest, UnpacksConcatenatedMembers) {
  const absl::StatusOr<std::string> read = Read(Gzip("one,") + Gzip("") + Gzip("two"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, "one,two");
}

TEST_F(GzipTest, MissingFilesAndFoldersAreErrors) {
  const absl::Status missing = ReadGzip(path_, kMiB).status();
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  EXPECT_EQ(missing.message(), path_ + ": No such file or directory");

  const std::string folder = TestFolder();
  EXPECT_EQ(ReadGzip(folder, kMiB).status().message(), folder + ": Is a directory");
  EXPECT_EQ(ReadFile(folder, kMiB).status().message(), folder + ": Is a directory");
  EXPECT_EQ(ReadGzip(folder + "/no/file.gz", kMiB).status().message(),
            folder + "/no/file.gz: No such file or directory");
}

TEST_F(GzipTest, OtherFilesAreErrors) {
  EXPECT_EQ(Message(""), path_ + ": at byte 0: the file is empty");
  EXPECT_EQ(Message("plain text"), path_ + ": at byte 0: not a gzip file");
  const std::string packed = Gzip("text");
  EXPECT_EQ(Message(packed + "more"),
            path_ + ": at byte " + std::to_string(packed.size()) + ": not gzip, after gzip data");
  EXPECT_TRUE(absl::IsDataLoss(Read("plain text").status()));
}

TEST_F(GzipTest, TruncationAtEveryByteIsAnError) {
  const std::string packed = Gzip(Text(20));
  for (size_t size = 1; size < packed.size(); ++size) {
    EXPECT_EQ(Message(packed.substr(0, size)),
              path_ + ": at byte " + std::to_string(size) + ": the file ends inside its gzip data");
  }
  for (size_t size = 1; size < 20; ++size) {
    EXPECT_THAT(Message(packed + Gzip("more").substr(0, size)),
                EndsWith("the file ends inside its gzip data"));
  }
}

// No flipped bit may give other contents. The time, the flags and the system in the header mean
// nothing to us, nor do the bits that fill the last byte of the data.
TEST_F(GzipTest, EveryFlippedBitIsFoundOrHarmless) {
  const std::string text = Text(20);
  const std::string packed = Gzip(text);
  for (size_t byte = 0; byte < packed.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = packed;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      const absl::StatusOr<std::string> read = Read(flipped);
      if (read.ok()) {
        EXPECT_TRUE(*read == text) << byte << ":" << bit;
        EXPECT_TRUE((byte >= 3 && byte < 10) || byte == packed.size() - 9) << byte << ":" << bit;
      } else {
        EXPECT_THAT(read.status().message(), HasSubstr(path_ + ": at byte ")) << read.status();
      }
    }
  }
}

TEST_F(GzipTest, NamesTheDamage) {
  std::string packed = Gzip("text");
  const std::string end = std::to_string(packed.size());
  std::string wrong = packed;
  wrong[wrong.size() - 1] ^= 1;
  EXPECT_EQ(Message(wrong),
            path_ + ": at byte " + end + ": damaged gzip data: incorrect length check");
  wrong = packed;
  wrong[wrong.size() - 5] ^= 1;
  EXPECT_THAT(Message(wrong), EndsWith("damaged gzip data: incorrect data check"));
  wrong = packed;
  wrong[2] = 7;
  EXPECT_THAT(Message(wrong), EndsWith("damaged gzip data: unknown compression method"));
  wrong = packed;
  wrong[3] = static_cast<char>(0x80);
  EXPECT_THAT(Message(wrong), EndsWith("damaged gzip data: unknown header flags set"));
}

TEST_F(GzipTest, StopsAtTheLimit) {
  const std::string text(100000, 'x');
  EXPECT_TRUE(Read(Gzip(text), 100000).ok());
  const absl::Status status = Read(Gzip(text), 99999).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(status.message(), path_ + " (unpacked): more than 99999 bytes");
  EXPECT_FALSE(Read(Gzip("one") + Gzip("two"), 5).ok());
  EXPECT_FALSE(Read(Gzip("one"), 0).ok());
  EXPECT_TRUE(Read(Gzip(""), 0).ok());
}

TEST(ReadFileTest, ReadsAllOrNothing) {
  const std::string path = TestFolder() + "/file";
  for (const int lines : {0, 1, 20000}) {
    const std::string text = Text(lines);
    const int64_t size = static_cast<int64_t>(text.size());
    PutFile(path, text);
    const absl::StatusOr<std::string> read = ReadFile(path, size);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == text);
    if (lines == 0) continue;
    const absl::Status status = ReadFile(path, size - 1).status();
    EXPECT_TRUE(absl::IsResourceExhausted(status));
    EXPECT_EQ(status.message(), path + ": more than " + std::to_string(size - 1) + " bytes");
  }
}

}  // namespace
}  // namespace wengert

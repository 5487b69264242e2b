#include "data/formats/png.h"

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kSignature = "\x89PNG\r\n\x1a\n";

std::string BigEndian(uint64_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes; i-- > 0;) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string Chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  return BigEndian(data.size()) + checked +
         BigEndian(crc32(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size()));
}

std::string Packed(const std::string& rows) {
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(rows.data()), rows.size()),
            Z_OK);
  packed.resize(size);
  return packed;
}

// Colour types of the standard.
enum Kind { kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6 };

struct Header {
  uint32_t width, height;
  int bits;
  int kind;
  int interlaced = 0;
};
std::string HeaderChunk(const Header& h) {
  return Chunk("IHDR", BigEndian(h.width) + BigEndian(h.height) + BigEndian(h.bits, 1) +
                           BigEndian(h.kind, 1) + std::string(2, '\0') +
                           BigEndian(h.interlaced, 1));
}
// rows: each with the byte that names its filter, 0. `more`: chunks before the pixels.
std::string Png(const Header& header, const std::vector<uint8_t>& rows,
                const std::string& more = "") {
  return kSignature + HeaderChunk(header) + more +
         Chunk("IDAT", Packed(std::string(rows.begin(), rows.end()))) + Chunk("IEND", "");
}

class PngTest : public ::testing::Test {
 protected:
  absl::StatusOr<Tensor> Read(const std::string& bytes) {
    PutFile(path_, bytes);
    return ReadPng(path_);
  }
  std::vector<int32_t> Pixels(const std::string& bytes, const Shape& shape) {
    const absl::StatusOr<Tensor> read = Read(bytes);
    EXPECT_TRUE(read.ok()) << read.status();
    if (!read.ok()) return {};
    EXPECT_EQ(read->shape(), shape);
    EXPECT_EQ(read->dtype(), DType::kUInt8);
    return read->ToVector<int32_t>();
  }
  std::string Message(const std::string& bytes) {
    const absl::Status status = Read(bytes).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    return std::string(status.message());
  }

  const std::string folder_ = TestFolder();
  const std::string path_ = folder_ + "/picture.png";
};

// Numbers without a pattern, so that no pixel can stand in for another.
Tensor Picture(int64_t height, int64_t width, int64_t channels) {
  std::vector<uint8_t> values;
  uint32_t state = 1;
  for (int64_t i = 0; i < height * width * channels; ++i) {
    state = state * 1664525 + 1013904223;
    values.push_back(static_cast<uint8_t>(state >> 24));
  }
  return Tensor::FromVector(values, {height, width, channels});
}

TEST_F(PngTest, ReadsWhatItWrote) {
  for (const Shape& shape : {Shape{1, 1, 1}, {1, 1, 3}, {28, 28, 1}, {7, 131, 3}, {200, 3, 1}}) {
    const Tensor picture = Picture(shape[0], shape[1], shape[2]);
    ASSERT_TRUE(WritePng(path_, picture).ok());
    const absl::StatusOr<Tensor> read = ReadPng(path_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(BitwiseEqual(*read, picture)) << ToString(shape);
  }
}

TEST_F(PngTest, WritesViewsRowByRow) {
  const Tensor view = Picture(6, 9, 3).Narrow(1, 1, 7).Transpose(0, 1).Flip(0);
  ASSERT_TRUE(WritePng(path_, view).ok());
  EXPECT_TRUE(BitwiseEqual(ReadPng(path_).value(), view.Clone()));
}

// What is written is what the standard says, as unpacked here.
TEST_F(PngTest, WritesOneRowAsTheStandardSays) {
  ASSERT_TRUE(WritePng(path_, Tensor::FromVector(std::vector<uint8_t>{7, 7, 9}, {1, 3, 1})).ok());
  const std::string bytes = FileBytes(path_);
  EXPECT_THAT(bytes, StartsWith(kSignature + HeaderChunk({3, 1, 8, kGrey})));
  EXPECT_THAT(bytes, ::testing::EndsWith(Chunk("IEND", "")));
}

TEST_F(PngTest, ConvertsFewBits) {
  EXPECT_THAT(Pixels(Png({3, 1, 1, kGrey}, {0, 0b10100000}), {1, 3, 1}), ElementsAre(255, 0, 255));
  EXPECT_THAT(Pixels(Png({4, 1, 2, kGrey}, {0, 0b00011011}), {1, 4, 1}),
              ElementsAre(0, 85, 170, 255));
  EXPECT_THAT(Pixels(Png({3, 1, 4, kGrey}, {0, 0x0f, 0x30}), {1, 3, 1}), ElementsAre(0, 255, 51));
}

TEST_F(PngTest, ConvertsSixteenBits) {
  EXPECT_THAT(Pixels(Png({3, 1, 16, kGrey}, {0, 0, 0, 100, 100, 255, 255}), {1, 3, 1}),
              ElementsAre(0, 100, 255));
  EXPECT_THAT(Pixels(Png({1, 1, 16, kRgb}, {0, 1, 1, 20, 20, 250, 250}), {1, 1, 3}),
              ElementsAre(1, 20, 250));
}

TEST_F(PngTest, ConvertsPalettes) {
  const std::string colors = Chunk("PLTE", std::string("\x0a\x14\x1e\xc8\xd2\xdc\x01\x02\x03", 9));
  EXPECT_THAT(Pixels(Png({3, 1, 2, kPalette}, {0, 0b01001000}, colors), {1, 3, 3}),
              ElementsAre(200, 210, 220, 10, 20, 30, 1, 2, 3));
  const std::string clear = Chunk("tRNS", std::string(1, '\0'));  // the first is transparent
  EXPECT_THAT(Pixels(Png({2, 1, 8, kPalette}, {0, 0, 2}, colors + clear), {1, 2, 3}),
              ElementsAre(255, 255, 255, 1, 2, 3));
}

TEST_F(PngTest, LaysTheTransparentOnWhite) {
  EXPECT_THAT(Pixels(Png({2, 1, 8, kGreyAlpha}, {0, 40, 255, 40, 0}), {1, 2, 1}),
              ElementsAre(40, 255));
  EXPECT_THAT(Pixels(Png({2, 1, 8, kRgba}, {0, 1, 2, 3, 255, 1, 2, 3, 0}), {1, 2, 3}),
              ElementsAre(1, 2, 3, 255, 255, 255));
  EXPECT_THAT(
      Pixels(Png({2, 1, 8, kGrey}, {0, 40, 41}, Chunk("tRNS", BigEndian(41, 2))), {1, 2, 1}),
      ElementsAre(40, 255));
  const std::vector<int32_t> half = Pixels(Png({1, 1, 8, kGreyAlpha}, {0, 0, 128}), {1, 1, 1});
  ASSERT_EQ(half.size(), 1);
  EXPECT_GT(half[0], 100);
  EXPECT_LT(half[0], 200);
}

// Adam7 sends pixel (0, 0), then (0, 1), then the second row.
TEST_F(PngTest, ReadsInterlacedRows) {
  EXPECT_THAT(Pixels(Png({2, 2, 8, kGrey, 1}, {0, 1, 0, 2, 0, 3, 4}), {2, 2, 1}),
              ElementsAre(1, 2, 3, 4));
}

TEST_F(PngTest, OtherFilesAreErrors) {
  EXPECT_EQ(Message(""), path_ + ": at byte 0: not a PNG file");
  EXPECT_EQ(Message("P5 28 28 255 "), path_ + ": at byte 0: not a PNG file");
  EXPECT_EQ(Message("\xff\xd8\xff\xe0 JFIF"), path_ + ": at byte 0: not a PNG file");
  EXPECT_EQ(ReadPng(folder_).status().message(), folder_ + ": Is a directory");
  const absl::Status missing = ReadPng(folder_ + "/no.png").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_EQ(missing.message(), folder_ + "/no.png: No such file or directory");
}

TEST_F(PngTest, TruncationAtEveryByteIsAnError) {
  ASSERT_TRUE(WritePng(path_, Picture(5, 6, 3)).ok());
  const std::string whole = FileBytes(path_);
  for (size_t size = kSignature.size(); size < whole.size(); ++size) {
    EXPECT_EQ(Message(whole.substr(0, size)),
              path_ + ": at byte " + std::to_string(size) + ": the file ends inside its picture");
  }
  EXPECT_TRUE(Read(whole + "more").ok());
}

TEST_F(PngTest, EveryFlippedBitIsAnError) {
  ASSERT_TRUE(WritePng(path_, Picture(5, 6, 3)).ok());
  const std::string whole = FileBytes(path_);
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      EXPECT_THAT(Message(flipped), StartsWith(path_ + ": at byte ")) << byte << ":" << bit;
    }
  }
}

// The check sums are right, and what they sum is wrong.
TEST_F(PngTest, WrongContentsAreErrors) {
  const auto damaged = StartsWith(path_ + ": damaged PNG data: ");
  EXPECT_THAT(Message(Png({0, 1, 8, kGrey}, {0})), damaged);
  EXPECT_THAT(Message(Png({1, 1, 3, kGrey}, {0, 0})), damaged);
  EXPECT_THAT(Message(Png({1, 1, 8, /*kind=*/5}, {0, 0})), damaged);
  EXPECT_THAT(Message(Png({1, 1, 8, kPalette}, {0, 0})), damaged);  // without a palette
  EXPECT_THAT(Message(Png({2, 2, 8, kGrey}, {0, 1, 2, 0, 3})), damaged);
  EXPECT_THAT(Message(Png({2, 2, 8, kGrey}, {/*filter*/ 9, 1, 2, 0, 3, 4})), damaged);
  EXPECT_THAT(Message(kSignature + HeaderChunk({1, 1, 8, kGrey}) + Chunk("IDAT", "not packed") +
                      Chunk("IEND", "")),
              damaged);
  EXPECT_THAT(Message(kSignature + HeaderChunk({1, 1, 8, kGrey}) + Chunk("IEND", "")), damaged);
  EXPECT_THAT(Message(kSignature + Chunk("IEND", "")), damaged);
}

TEST_F(PngTest, HugePicturesAreErrors) {
  const absl::Status status = Read(Png({8193, 8193, 8, kGrey}, {0})).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(status.message(), path_ + ": 8193 x 8193 pixels, more than 67108864");
  EXPECT_THAT(Message(Png({0x7fffffff, 0x7fffffff, 16, kRgba}, {0})), HasSubstr(path_));
}

TEST_F(PngTest, WritingNoPictureThrows) {
  const std::string expected = ", expected uint8 [H,W,1] or [H,W,3] of 1 to 67108864 pixels (";
  const auto message = [&](const Tensor& pixels) {
    return ThrownMessage([&] { ASSERT_TRUE(WritePng(path_, pixels).ok()); });
  };
  EXPECT_THAT(message(Tensor()), HasSubstr("[write_png] the picture is undefined" + expected));
  EXPECT_THAT(message(Tensor::Zeros({2, 2, 1})), HasSubstr("is float32[2,2,1]" + expected));
  EXPECT_THAT(message(Tensor()), HasSubstr("png_test.cc:"));
  for (const Shape& shape : {Shape{2, 2}, {2, 2, 2}, {2, 2, 4}, {0, 2, 1}, {1, 2, 2, 1}}) {
    EXPECT_THAT(message(Tensor::Zeros(shape, DType::kUInt8)),
                HasSubstr(ToString(shape) + expected));
  }
  const Tensor huge = Tensor::Zeros({1, 1, 1}, DType::kUInt8).Expand({8193, 8193, 1});
  EXPECT_THAT(message(huge), HasSubstr("[8193,8193,1]" + expected));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PngTest, WritesWholeOrNotAtAll) {
  const Tensor picture = Picture(2, 2, 1);
  const absl::Status missing = WritePng(folder_ + "/no/picture.png", picture);
  EXPECT_EQ(missing.message(), folder_ + "/no/picture.png: No such file or directory");
  EXPECT_EQ(WritePng(folder_, picture).message(), folder_ + ": Is a directory");
  ASSERT_TRUE(WritePng(path_, picture).ok());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().string(), path_);
    ++files;
  }
  EXPECT_EQ(files, 1);
}

}  // namespace
}  // namespace wengert

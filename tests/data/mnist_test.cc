#include "data/mnist.h"

#include <stdlib.h>
#include <zlib.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "data/runfiles.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> Histogram(const Tensor& labels) {
  std::vector<int> counts(10);
  for (const int32_t label : labels.ToVector<int32_t>()) ++counts.at(label);
  return counts;
}

uint32_t Crc32(const Tensor& pixels) { return crc32(0, pixels.data<uint8_t>(), pixels.size()); }

int64_t PixelSum(const Tensor& pixels) {
  const uint8_t* p = pixels.data<uint8_t>();
  return std::accumulate(p, p + pixels.size(), int64_t{0});
}

// The embedded data. Counts of labels are those that Keras and PyTorch see; sums and checksums were
// taken with Python's zlib.
TEST(MnistTest, LoadsTheEmbeddedTrainingData) {
  const absl::StatusOr<MnistSplit> train = LoadMnistTrain();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->images.shape(), (Shape{60000, 28, 28, 1}));
  EXPECT_EQ(train->images.dtype(), DType::kUInt8);
  EXPECT_TRUE(train->images.IsContiguous());
  EXPECT_EQ(train->labels.shape(), Shape{60000});
  EXPECT_EQ(train->labels.dtype(), DType::kInt32);
  EXPECT_THAT(Histogram(train->labels),
              ElementsAre(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949));
  EXPECT_THAT(train->labels.Narrow(0, 0, 10).ToVector<int32_t>(),
              ElementsAre(5, 0, 4, 1, 9, 2, 1, 3, 1, 4));
  EXPECT_EQ(PixelSum(train->images), 1567298545);
  EXPECT_EQ(PixelSum(train->images.Narrow(0, 0, 1)), 27525);
  EXPECT_EQ(PixelSum(train->images.Narrow(0, 1, 1)), 31095);
  EXPECT_EQ(PixelSum(train->images.Narrow(0, 59999, 1)), 20920);
  EXPECT_THAT(train->images.Narrow(0, 0, 1).Narrow(1, 5, 1).Narrow(2, 12, 12).ToVector<uint8_t>(),
              ElementsAre(3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127));
}

TEST(MnistTest, LoadsTheEmbeddedTestData) {
  const absl::StatusOr<MnistSplit> test = LoadMnistTest();
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_EQ(test->images.shape(), (Shape{10000, 28, 28, 1}));
  EXPECT_EQ(test->labels.shape(), Shape{10000});
  EXPECT_THAT(Histogram(test->labels),
              ElementsAre(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009));
  EXPECT_THAT(test->labels.Narrow(0, 0, 10).ToVector<int32_t>(),
              ElementsAre(7, 2, 1, 0, 4, 1, 4, 9, 5, 9));
  EXPECT_EQ(PixelSum(test->images), 264923200);
  EXPECT_EQ(PixelSum(test->images.Narrow(0, 9999, 1)), 41833);
}

TEST(MnistTest, LoadsBothSplits) {
  const absl::StatusOr<Mnist> mnist = LoadMnist();
  ASSERT_TRUE(mnist.ok()) << mnist.status();
  EXPECT_EQ(Crc32(mnist->train.images), 0xf3639b56);
  EXPECT_EQ(Crc32(mnist->test.images), 0xe4ca5f57);
}

// A small data set in a folder of its own, for damaging.
class MnistFolderTest : public ::testing::Test {
 protected:
  MnistFolderTest() { Put(Images(3), Labels(std::string("\x00\x09\x05", 3))); }

  static std::string Images(uint32_t count, uint32_t height = 28, uint32_t width = 28) {
    return Idx(0x803, {count, height, width}, std::string(count * height * width, '\x80'));
  }
  static std::string Labels(const std::string& labels) {
    return Idx(0x801, {static_cast<uint32_t>(labels.size())}, labels);
  }
  void Put(const std::string& images, const std::string& labels) {
    PutFile(images_, Gzip(images));
    PutFile(labels_, Gzip(labels));
  }
  std::string Message() const { return std::string(LoadMnistTrain(folder_).status().message()); }

  const std::string folder_ = TestFolder();
  const std::string images_ = folder_ + "/train-images-idx3-ubyte.gz";
  const std::string labels_ = folder_ + "/train-labels-idx1-ubyte.gz";
};

TEST_F(MnistFolderTest, LoadsAnyFolder) {
  const absl::StatusOr<MnistSplit> split = LoadMnistTrain(folder_);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->images.shape(), (Shape{3, 28, 28, 1}));
  EXPECT_THAT(split->labels.ToVector<int32_t>(), ElementsAre(0, 9, 5));
}

TEST_F(MnistFolderTest, LoadsPlainFilesWhenThePackedAreAbsent) {
  std::filesystem::remove(images_);
  PutFile(folder_ + "/train-images-idx3-ubyte", Images(3));
  PutFile(folder_ + "/train-labels-idx1-ubyte", "not read: there is a packed file");
  const absl::StatusOr<MnistSplit> split = LoadMnistTrain(folder_);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->images.dim(0), 3);
  std::filesystem::remove(labels_);
  EXPECT_EQ(Message(), folder_ +
                           "/train-labels-idx1-ubyte: at byte 0: magic 0x6e6f7420, expected "
                           "0x00000801 (unsigned bytes, 1 dimension)");
}

TEST_F(MnistFolderTest, MissingFilesAreNamed) {
  std::filesystem::remove(images_);
  EXPECT_EQ(Message(), images_ + ": No such file or directory");
  std::filesystem::remove(labels_);
  EXPECT_EQ(Message(), labels_ + ": No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(LoadMnistTrain(folder_ + "/none").status()));
  const std::string test_labels = folder_ + "/t10k-labels-idx1-ubyte.gz";
  EXPECT_EQ(LoadMnist(folder_).status().message(), test_labels + ": No such file or directory");
}

TEST_F(MnistFolderTest, EmptyFilesAndFoldersInsteadOfFilesAreNamed) {
  PutFile(images_, "");
  EXPECT_EQ(Message(), images_ + ": at byte 0: the file is empty");
  std::filesystem::remove(images_);
  std::filesystem::create_directory(images_);
  EXPECT_EQ(Message(), images_ + ": Is a directory");
}

TEST_F(MnistFolderTest, LabelsAreDigits) {
  Put(Images(3), Labels("\x09\x01\x0a"));
  EXPECT_EQ(Message(), labels_ + ": at byte 10: label 10, expected 0 to 9");
  Put(Images(3), Labels("\xff\x01\x0a"));
  EXPECT_EQ(Message(), labels_ + ": at byte 8: label 255, expected 0 to 9");
}

TEST_F(MnistFolderTest, CountsAgree) {
  Put(Images(2), Labels("\x01\x02\x03"));
  EXPECT_EQ(Message(),
            absl::StrCat(images_, ": at byte 4: 2 images, but ", labels_, " has 3 labels"));
  Put(Images(4), Labels("\x01\x02\x03"));
  EXPECT_THAT(Message(), HasSubstr("4 images"));
}

TEST_F(MnistFolderTest, ImagesHave28x28Pixels) {
  Put(Images(3, 28, 27), Labels("\x01\x02\x03"));
  EXPECT_EQ(Message(), images_ + ": at byte 8: images of 28x27 pixels, expected 28x28");
  Put(Images(3, 32, 28), Labels("\x01\x02\x03"));
  EXPECT_EQ(Message(), images_ + ": at byte 8: images of 32x28 pixels, expected 28x28");
}

TEST_F(MnistFolderTest, SwappedFilesAreFound) {
  Put(Labels("\x01\x02\x03"), Images(3));
  EXPECT_THAT(Message(), HasSubstr("train-labels-idx1-ubyte.gz: at byte 0: magic 0x00000803"));
}

TEST_F(MnistFolderTest, EveryDamagedHeaderByteIsFound) {
  const std::string images = Images(3), labels = Labels("\x01\x02\x03");
  for (size_t byte = 0; byte < 16; ++byte) {
    std::string damaged = images;
    damaged[byte] ^= 1;
    Put(damaged, labels);
    EXPECT_THAT(Message(), HasSubstr(images_ + ": at byte ")) << byte;
  }
  for (size_t byte = 0; byte < 8; ++byte) {
    std::string damaged = labels;
    damaged[byte] ^= 1;
    Put(images, damaged);
    EXPECT_THAT(Message(), HasSubstr(labels_ + ": at byte ")) << byte;
  }
}

// The shipped file, cut at 16 places and with a flipped bit at each of them.
TEST_F(MnistFolderTest, TheRealFileDamagedIsFound) {
  const absl::StatusOr<std::string> folder = FindDataFolder("data/mnist");
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::string packed = FileBytes(*folder + "/t10k-images-idx3-ubyte.gz");
  const std::string images = folder_ + "/t10k-images-idx3-ubyte.gz";
  PutFile(folder_ + "/t10k-labels-idx1-ubyte.gz",
          FileBytes(*folder + "/t10k-labels-idx1-ubyte.gz"));
  PutFile(images, packed);
  ASSERT_TRUE(LoadMnistTest(folder_).ok());
  for (size_t i = 0; i < 16; ++i) {
    const size_t place = 10 + (packed.size() - 11) * i / 15;
    PutFile(images, packed.substr(0, place));
    EXPECT_EQ(LoadMnistTest(folder_).status().message(),
              absl::StrCat(images, ": at byte ", place, ": the file ends inside its gzip data"));
    std::string flipped = packed;
    flipped[place] = static_cast<char>(flipped[place] ^ (1 << i % 8));
    PutFile(images, flipped);
    EXPECT_THAT(LoadMnistTest(folder_).status().message(), HasSubstr(images + ": at byte "));
  }
}

TEST(FindDataFolderTest, LooksInRunfilesAndInTheWorkingFolder) {
  const std::string folder = TestFolder();
  const std::filesystem::path working = std::filesystem::current_path();
  const char* runfiles = getenv("RUNFILES_DIR");
  const std::string saved = runfiles ? runfiles : "";

  std::filesystem::create_directories(folder + "/wengert/some/data");
  setenv("RUNFILES_DIR", folder.c_str(), 1);
  EXPECT_EQ(FindDataFolder("some/data").value(), folder + "/wengert/some/data");
  // The runfiles of another program do not hide ours.
  setenv("RUNFILES_DIR", "/nowhere", 1);
  std::filesystem::current_path(folder + "/wengert");
  EXPECT_EQ(FindDataFolder("some/data").value(), "some/data");
  const absl::Status status = FindDataFolder("no/data").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(status.message(), HasSubstr("no folder no/data; looked for "
                                          "/nowhere/wengert/no/data, "));
  EXPECT_THAT(status.message(), HasSubstr(".runfiles/wengert/no/data, "));
  EXPECT_THAT(status.message(), HasSubstr("/wengert/no/data. Name the folder, or start"));

  // Beside the program, where Bazel puts it for programs that are started directly.
  unsetenv("RUNFILES_DIR");
  if (getenv("TEST_SRCDIR")) {
    EXPECT_EQ(
        FindDataFolder("data/mnist").value(),
        std::filesystem::read_symlink("/proc/self/exe").string() + ".runfiles/wengert/data/mnist");
  }
  std::filesystem::current_path(working);
  if (runfiles) setenv("RUNFILES_DIR", saved.c_str(), 1);
}

}  // namespace
}  // namespace wengert

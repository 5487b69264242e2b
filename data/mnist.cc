// Reads MNIST's four IDX files and checks that they belong together.
#include "data/mnist.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "data/formats/idx.h"
#include "data/runfiles.h"

namespace wengert {
namespace {

constexpr int64_t kSide = 28;
constexpr int kClasses = 10;
constexpr int64_t kMaxFileBytes = int64_t{1} << 28;  // 342,000 images

// The path with .gz if there is such a file or neither, so that a message names what we ship.
std::string GzipOrPlain(const std::string& path) {
  std::error_code error;
  std::string packed = path + ".gz";
  const bool plain =
      !std::filesystem::exists(packed, error) && std::filesystem::exists(path, error);
  return plain ? path : packed;
}

absl::StatusOr<MnistSplit> LoadSplit(std::string folder, const std::string& prefix) {
  if (folder.empty()) {
    absl::StatusOr<std::string> found = FindDataFolder("data/mnist");
    if (!found.ok()) return found.status();
    folder = *std::move(found);
  }
  const std::string images_path =
      GzipOrPlain(absl::StrCat(folder, "/", prefix, "-images-idx3-ubyte"));
  const std::string labels_path =
      GzipOrPlain(absl::StrCat(folder, "/", prefix, "-labels-idx1-ubyte"));

  // The labels first: they are small, and so most mistakes show at once.
  const absl::StatusOr<Tensor> labels = ReadIdx(labels_path, 1, kMaxFileBytes);
  if (!labels.ok()) return labels.status();
  const uint8_t* values = labels->data<uint8_t>();
  for (int64_t i = 0; i < labels->size(); ++i) {
    if (values[i] >= kClasses) {
      return BadFile(labels_path, IdxDataOffset(1) + i,
                     absl::StrCat("label ", values[i], ", expected 0 to ", kClasses - 1));
    }
  }

  const absl::StatusOr<Tensor> images = ReadIdx(images_path, 3, kMaxFileBytes);
  if (!images.ok()) return images.status();
  const int64_t count = images->dim(0), height = images->dim(1), width = images->dim(2);
  if (height != kSide || width != kSide) {
    return BadFile(
        images_path, 8,
        absl::StrCat("images of ", height, "x", width, " pixels, expected ", kSide, "x", kSide));
  }
  if (count != labels->size()) {
    return BadFile(
        images_path, 4,
        absl::StrCat(count, " images, but ", labels_path, " has ", labels->size(), " labels"));
  }
  return MnistSplit{.images = images->Unsqueeze(-1), .labels = labels->To(DType::kInt32)};
}

}  // namespace

absl::StatusOr<MnistSplit> LoadMnistTrain(const std::string& folder) {
  return LoadSplit(folder, "train");
}

absl::StatusOr<MnistSplit> LoadMnistTest(const std::string& folder) {
  return LoadSplit(folder, "t10k");
}

absl::StatusOr<Mnist> LoadMnist(const std::string& folder) {
  absl::StatusOr<MnistSplit> test = LoadMnistTest(folder);  // the smaller one first
  if (!test.ok()) return test.status();
  absl::StatusOr<MnistSplit> train = LoadMnistTrain(folder);
  if (!train.ok()) return train.status();
  return Mnist{.train = *std::move(train), .test = *std::move(test)};
}

}  // namespace wengert

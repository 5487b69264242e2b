#include "models/digits/data.h"

#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "data/mnist.h"
#include "models/command_line.h"

ABSL_FLAG(std::string, data, "", "folder with the four MNIST files; empty: the embedded ones");
ABSL_FLAG(int64_t, subset, 0, "train on the first so many images only; 0: all");
ABSL_FLAG(
    std::string, validation, "none",
    "after each epoch measure on: \"test\", the test set; \"held_out\", the last 5,000 training "
    "images, which are then not trained on; \"none\"");

namespace wengert::mnist {
namespace {

constexpr int64_t kHeldOut = 5000;
constexpr int64_t kTestBatch = 500;
constexpr int64_t kPrefetch = 2;

}  // namespace

absl::StatusOr<Loaders> MakeLoaders(int64_t batch_size,
                                    absl::FunctionRef<Tensor(const Tensor& images)> arrange,
                                    const AugmentOptions& augment) {
  const int64_t subset = absl::GetFlag(FLAGS_subset);
  if (absl::Status status = CheckNotNegative({{"subset", subset}}); !status.ok()) return status;
  const std::string validation = absl::GetFlag(FLAGS_validation);
  if (validation != "none" && validation != "test" && validation != "held_out") {
    return absl::InvalidArgumentError(
        absl::StrCat("--validation=", validation, "; known: none, test, held_out"));
  }
  absl::StatusOr<Mnist> data = LoadMnist(absl::GetFlag(FLAGS_data));
  if (!data.ok()) return data.status();
  const int64_t all = data->train.images.dim(0);
  const int64_t held_out = validation == "held_out" ? kHeldOut : 0;
  if (subset > all) {
    return absl::InvalidArgumentError(
        absl::StrCat("--subset=", subset, ": there are ", all, " images"));
  }
  if (all <= held_out) {
    return absl::InvalidArgumentError(absl::StrCat("--validation=held_out: of ", all, " images"));
  }
  const Tensor test_images = arrange(data->test.images);
  if (!augment.IsNone() && test_images.rank() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("--augment: the model reads no images, but ", ToString(test_images.shape())));
  }
  const auto part = [&](int64_t first, int64_t count, const LoaderOptions& options) {
    return Loader(arrange(data->train.images.Narrow(0, first, count).Contiguous()),
                  data->train.labels.Narrow(0, first, count).Contiguous(), options);
  };
  const LoaderOptions measured = {.batch_size = kTestBatch, .scale = true};
  Loaders loaders = {.training = part(0, all - held_out,
                                      {.batch_size = batch_size,
                                       .shuffle = true,
                                       .seed = absl::GetFlag(FLAGS_seed),
                                       .scale = true,
                                       .limit = subset,
                                       .augment = augment,
                                       .prefetch = augment.IsNone() ? 0 : kPrefetch}),
                     .validation = std::nullopt,
                     .test = Loader(test_images, data->test.labels, measured)};
  if (validation == "test") loaders.validation = loaders.test;
  if (held_out > 0) loaders.validation = part(all - held_out, held_out, measured);
  return loaders;
}

}  // namespace wengert::mnist

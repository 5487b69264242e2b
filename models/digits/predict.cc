#include "models/digits/predict.h"

#include <cstdio>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "autograd/modes.h"
#include "data/formats/file.h"
#include "data/formats/png.h"
#include "models/command_line.h"
#include "models/digits/digit.h"
#include "models/digits/explain.h"
#include "ops/ops.h"

ABSL_FLAG(std::string, predict, "",
          "do not train: PNG file with one digit, of any size, to read with the weights of --load");
ABSL_FLAG(std::string, explain, "",
          "PNG file to write heat maps to: what in --predict's digit speaks for the prediction "
          "(red) and against it (blue)");

namespace wengert::mnist {
namespace {

constexpr int64_t kShown = 3;

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_load).empty()) {
    return absl::InvalidArgumentError("--predict needs --load");
  }
  for (const char* flag : {"save", "test_only", "epochs", "subset", "validation", "recipe"}) {
    if (FlagGiven(flag)) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, " means nothing to --predict"));
    }
  }
  if (const std::string path = absl::GetFlag(FLAGS_explain); !path.empty()) {
    // Begun and dropped: a place that takes no file is known before the work.
    if (const auto file = OutputFile::Create(path); !file.ok()) return file.status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> Predict(const Model& model) {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const std::string path = absl::GetFlag(FLAGS_predict);
  const absl::StatusOr<Tensor> pixels = ReadPng(path);
  if (!pixels.ok()) return pixels.status();
  const absl::StatusOr<Tensor> digit = DigitFromPicture(*pixels);
  if (!digit.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", digit.status().message()));
  }
  if (absl::Status status = LoadWeights(model.weights); !status.ok()) return status;

  const bool quiet = absl::GetFlag(FLAGS_quiet);
  const Tensor image = (Cast(digit->Unsqueeze(0), DType::kFloat32) / 255).value();
  const ValuesAndIndices top = TopK(Softmax(model.forward(image)), kShown);
  const Tensor probabilities = top.values.value(), classes = top.indices.value();
  if (!quiet) {
    for (int64_t i = 0; i < kShown; ++i) {
      std::printf("%lld  %6.2f %%\n", static_cast<long long>(classes.at<int64_t>({0, i})),
                  100 * probabilities.at<double>({0, i}));
    }
  }
  const int64_t predicted = classes.at<int64_t>({0, 0});
  if (const std::string to = absl::GetFlag(FLAGS_explain); !to.empty()) {
    Generator generator(absl::GetFlag(FLAGS_seed));
    const Tensor maps = HeatMaps(model.forward, image, predicted, generator);
    if (absl::Status status = WritePng(to, maps); !status.ok()) return status;
    if (!quiet) {
      std::printf("Wrote %s, from left to right: %s\n", to.c_str(),
                  absl::StrJoin(kHeatMaps, ", ").c_str());
    }
  }
  std::printf("digit=%lld probability=%.4f model=%s\n", static_cast<long long>(predicted),
              probabilities.at<double>({0, 0}), model.recipe.model.c_str());
  return EXIT_SUCCESS;
}

}  // namespace wengert::mnist

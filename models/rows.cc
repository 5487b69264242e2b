// Trains a recurrent classifier on MNIST, row by row or pixel by pixel, and tests it.
#include "models/digits/rows.h"

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "models/command_line.h"
#include "models/digits/training.h"

ABSL_FLAG(std::string, cell, "lstm", "rnn, lstm or gru");
ABSL_FLAG(int64_t, hidden, 0, "units of the cell; 0: the model's");
ABSL_FLAG(bool, pixels, false, "784 steps of one pixel each, not 28 of a row each");
ABSL_FLAG(bool, permuted, false, "the pixels in a random order, the same for every image and seed");

namespace wengert::rows {
namespace {

absl::StatusOr<int> Run() {
  const int64_t hidden = absl::GetFlag(FLAGS_hidden);
  if (absl::Status status = CheckNotNegative({{"hidden", hidden}}); !status.ok()) return status;
  const Reading reading = absl::GetFlag(FLAGS_permuted) ? Reading::kPermuted
                          : absl::GetFlag(FLAGS_pixels) ? Reading::kPixels
                                                        : Reading::kRows;
  Generator generator(absl::GetFlag(FLAGS_seed));
  absl::StatusOr<mnist::Model> model =
      MakeModel(absl::GetFlag(FLAGS_cell), reading, hidden, generator);
  if (!model.ok()) return model.status();
  const std::string label =
      absl::StrCat("cell=", model->recipe.model, " input=", std::string(Name(reading)));
  return mnist::TrainAndTest(*model, generator, label, [reading](const Tensor& images) {
    return Sequences(images, reading);
  });
}

}  // namespace
}  // namespace wengert::rows

int main(int argc, char** argv) {
  return wengert::RunMain(argc, argv, "rows",
                          "trains a recurrent network on MNIST, read as sequences, and tests it",
                          &wengert::rows::Run);
}

#include "models/digits/rows.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "data/permutation.h"
#include "models/last_state.h"
#include "nn/recurrent.h"
#include "ops/ops.h"

namespace wengert::rows {
namespace {

constexpr int64_t kSide = 28, kPixels = kSide * kSide;

// A cell's initial weights for one pixel at a time.
template <class Cell>
void ReadPixels(Cell& cell, Generator& rng) {
  RememberFor(kPixels, cell, rng);
  // Most pixels are 0, and Glorot's bound of 0.15 would leave the gates deaf to the others.
  constexpr double kBound = 3;
  cell.weight_ih.Set(Uniform(cell.weight_ih.shape(), rng, -kBound, kBound));
}
void ReadPixels(nn::RnnCell&, Generator&) {}  // has no gates

template <class Layer>
mnist::Model Make(Reading reading, int64_t hidden, const mnist::Recipe& recipe, Generator& rng) {
  const bool by_row = reading == Reading::kRows;
  const Shape image = by_row ? Shape{kSide, kSide} : Shape{kPixels, 1};
  if (hidden == 0) hidden = by_row ? 128 : 64;
  LastState<Layer> classifier({.in = image[1], .hidden = hidden, .out = 10}, rng);
  if (!by_row) ReadPixels(classifier.recurrent.cells[0], rng);
  return mnist::Wrap(std::move(classifier), recipe, image);
}

}  // namespace

std::string_view Name(Reading reading) {
  switch (reading) {
    case Reading::kRows:
      return "rows";
    case Reading::kPixels:
      return "pixels";
    case Reading::kPermuted:
      return "permuted";
  }
  return "";
}

Tensor Sequences(const Tensor& images, Reading reading) {
  const int64_t n = images.dim(0);
  if (reading == Reading::kRows) return images.Reshape({n, kSide, kSide});
  if (reading == Reading::kPixels) return images.Reshape({n, kPixels, 1});
  const std::vector<int64_t> order = RandomPermutation(kPixels, kPixelOrderSeed, 0);
  const Tensor source = images.Contiguous();
  Tensor permuted = Tensor::Empty({n, kPixels, 1}, DType::kUInt8);
  const uint8_t* from = source.data<uint8_t>();
  uint8_t* to = permuted.mutable_data<uint8_t>();
  for (int64_t i = 0; i < n; ++i, from += kPixels) {
    for (const int64_t pixel : order) *to++ = from[pixel];
  }
  return permuted;
}

absl::StatusOr<mnist::Model> MakeModel(std::string_view cell, Reading reading, int64_t hidden,
                                       Generator& rng) {
  mnist::Recipe recipe{.model = std::string(cell),
                       .optimizer = "adam",
                       .batch_size = 128,
                       .epochs = 10,
                       .schedule = "cosine",
                       .learning_rate = 2e-3,
                       .clip_norm = 1};
  if (reading != Reading::kRows) {
    recipe.batch_size = 32;
    recipe.epochs = 8;
    recipe.learning_rate = 1e-2;
  }
  if (cell == "rnn") {
    recipe.learning_rate = 1e-3;
    return Make<nn::Rnn>(reading, hidden, recipe, rng);
  }
  if (cell == "lstm") return Make<nn::Lstm>(reading, hidden, recipe, rng);
  if (cell == "gru") return Make<nn::Gru>(reading, hidden, recipe, rng);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown cell \"", std::string(cell), "\"; known: rnn, lstm, gru"));
}

}  // namespace wengert::rows

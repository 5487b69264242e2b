// Classifiers that read a digit as a sequence: row by row, or pixel by pixel.
#ifndef WENGERT_MODELS_DIGITS_ROWS_H_
#define WENGERT_MODELS_DIGITS_ROWS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "models/digits/recipe.h"
#include "tensor/tensor.h"

namespace wengert::rows {

enum class Reading {
  kRows,      // 28 steps of 28 pixels
  kPixels,    // 784 steps of one pixel, in reading order
  kPermuted,  // the same in the order of RandomPermutation(784, kPixelOrderSeed, 0)
};
inline constexpr uint64_t kPixelOrderSeed = 1;
std::string_view Name(Reading reading);  // rows, pixels, permuted

// images: [N,28,28,1] -> [N,28,28] or [N,784,1], uint8.
Tensor Sequences(const Tensor& images, Reading reading);

// cell: rnn, lstm or gru; an unknown one gives InvalidArgument. hidden 0: as many as the recipe is
// made for. Pixel by pixel, the gates are told to remember.
absl::StatusOr<mnist::Model> MakeModel(std::string_view cell, Reading reading, int64_t hidden,
                                       Generator& rng);

}  // namespace wengert::rows

#endif  // WENGERT_MODELS_DIGITS_ROWS_H_

// Recurrent classifiers that read a digit as a sequence: row by row, or pixel by pixel.
#ifndef WENGERT_MODELS_ROWS_MODELS_H_
#define WENGERT_MODELS_ROWS_MODELS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "models/recipe.h"
#include "nn/layers.h"
#include "nn/recurrent.h"

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

// The class is read off the state after the last step.
template <class Layer>
struct Classifier {
  Layer recurrent;
  nn::Dense head;

  Classifier(int64_t features, int64_t hidden, Generator& rng)
      : recurrent({.in = features, .hidden = hidden}, rng), head({.in = hidden, .out = 10}, rng) {}
  Variable operator()(const Variable& x) const { return head(recurrent(x).last); }
  template <class V>
  void Visit(V&& v) {
    v("recurrent", recurrent), v("head", head);
  }
};

// Biases with which gates remember for 1 to `steps` steps (Tallec and Ollivier 2018, section 3):
// log(u), u uniform in [1, steps - 1], for the gate that keeps, and the opposite for the LSTM's
// input gate. An RnnCell has no gates and stays as it is.
void RememberFor(int64_t steps, nn::LstmCell& cell, Generator& rng);
void RememberFor(int64_t steps, nn::GruCell& cell, Generator& rng);
void RememberFor(int64_t steps, nn::RnnCell& cell, Generator& rng);

// cell: rnn, lstm or gru; an unknown one gives InvalidArgument. hidden 0: as many as the recipe is
// made for. Pixel by pixel, the gates are told to remember.
absl::StatusOr<mnist::Model> MakeModel(std::string_view cell, Reading reading, int64_t hidden,
                                       Generator& rng);

}  // namespace wengert::rows

#endif  // WENGERT_MODELS_ROWS_MODELS_H_

// Heat maps: which pixels of a digit speak for a class, by several methods.
#ifndef WENGERT_MODELS_DIGITS_EXPLAIN_H_
#define WENGERT_MODELS_DIGITS_EXPLAIN_H_

#include <cstdint>

#include "autograd/modes.h"
#include "nn/explain/target.h"
#include "tensor/tensor.h"

namespace wengert::mnist {

// The tiles of HeatMaps, from left to right.
inline constexpr const char* kHeatMaps[] = {"the digit",
                                            "saliency",
                                            "SmoothGrad",
                                            "integrated gradients",
                                            "occlusion (5 x 5)",
                                            "LIME (4 x 4)",
                                            "Shapley values (4 x 4)"};

// image: floats [1, 28, 28, 1] -> uint8 [H, W, 3]: the tiles side by side, a pixel of the image as
// a square of 8 x 8. Red is what speaks for `digit`, one of the classes that the model gives logits
// of; blue speaks against it, white does neither. The strongest pixel of each tile has full colour.
Tensor HeatMaps(explain::Model model, const Tensor& image, int64_t digit, Generator& generator);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_EXPLAIN_H_

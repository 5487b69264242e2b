// Pictures made of images: many in a grid, each pixel a square.
#ifndef WENGERT_MODELS_PICTURES_H_
#define WENGERT_MODELS_PICTURES_H_

#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// Floats from 0 (black) to 1, of any shape -> uint8 0 to 255, rounded; what is outside is clipped.
Tensor ToGreyLevels(const Tensor& x);
// Each pixel as factor x factor pixels: uint8 [N, H, W, C] -> [N, H factor, W factor, C].
Tensor Enlarge(const Tensor& images, int64_t factor);
// uint8 [N, H, W, C] -> uint8 [rows (H + kTileGap) + kTileGap, columns (W + kTileGap) + kTileGap,
// C]: the images row by row, with grey between and around them. Throws Error unless they fill the
// rows.
inline constexpr int64_t kTileGap = 2;
Tensor Tiles(const Tensor& images, int64_t columns);

}  // namespace wengert

#endif  // WENGERT_MODELS_PICTURES_H_

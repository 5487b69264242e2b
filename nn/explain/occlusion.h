// Occlusion: what a model loses when a part of an image is covered.
#ifndef WENGERT_NN_EXPLAIN_OCCLUSION_H_
#define WENGERT_NN_EXPLAIN_OCCLUSION_H_

#include "nn/explain/target.h"

namespace wengert::explain {

struct OcclusionOptions {
  int64_t window = 1;  // rows and columns of the square that covers
  int64_t stride = 1;  // from one square to the next; at most the window
  Tensor baseline;     // what covers; expands to x; undefined: zeros
  int64_t batch_size = 64;
};
// x: [N, H, W, C] -> float64 [N, H, W]: how much F falls when a square with the pixel in it is
// covered, on average over the squares that have it (Zeiler and Fergus 2014, "Visualizing and
// Understanding Convolutional Networks"). Squares begin at every stride-th pixel, and the last of a
// row or column ends at the edge. No gradient is taken: F can be any function. Throws Error on a
// window that is larger than the image, a stride above the window, and as Saliency does.
Tensor Occlusion(Model model, const Tensor& x, const Target& target = {},
                 const OcclusionOptions& options = {},
                 SourceLocation where = SourceLocation::current());

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_OCCLUSION_H_

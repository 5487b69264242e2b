// Convolution, pooling, resizing and windows, channels last: images [N, H, W, C] and sequences
// [N, T, C]. For what all ops have in common see ops/ops.h.
#ifndef WENGERT_OPS_IMAGES_H_
#define WENGERT_OPS_IMAGES_H_

#include <cstdint>

#include "autograd/variable.h"

namespace wengert {

// kValid: no padding. kSame: the output has ceil(in / stride) rows; what padding is odd goes to the
// end. kCausal (Conv1d alone): the same length, with all padding before the first step, so that no
// output sees a later step. Or explicit pixels; of sequences, left and right count.
struct Padding {
  enum Mode { kValid, kSame, kCausal, kExplicit };
  Mode mode = kValid;
  int64_t top = 0, left = 0, bottom = 0, right = 0;

  static Padding Valid() { return {}; }
  static Padding Same() { return {.mode = kSame}; }
  static Padding Causal() { return {.mode = kCausal}; }
  static Padding Pixels(int64_t all) { return {kExplicit, all, all, all, all}; }
  static Padding Steps(int64_t before, int64_t after) { return {kExplicit, 0, before, 0, after}; }
};
struct Conv2dOptions {
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t groups = 1;
  Padding padding = {};
};
// x: [N, H, W, in], kernel: [kh, kw, in / groups, out] -> [N, H', W', out]. As everywhere in deep
// learning this is cross-correlation: the kernel is not flipped.
Variable Conv2d(const Variable& x, const Variable& kernel, const Conv2dOptions& options = {},
                SourceLocation where = SourceLocation::current());
// x: [N, T, in], kernel: [k, in / groups, out] -> [N, T', out].
Variable Conv1d(const Variable& x, const Variable& kernel, const Conv2dOptions& options = {},
                SourceLocation where = SourceLocation::current());
// Each channel by kernels of its own: x: [N, H, W, in], kernel: [kh, kw, in, multiplier] ->
// [N, H', W', in multiplier]; channel c gives the channels from c multiplier on. groups stays 1.
Variable DepthwiseConv2d(const Variable& x, const Variable& kernel,
                         const Conv2dOptions& options = {},
                         SourceLocation where = SourceLocation::current());

struct ConvTransposeOptions {
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t groups = 1;
  Padding padding = {};        // what the convolution that is transposed has
  int64_t output_padding = 0;  // below stride; explicit padding alone
};
// The adjoint of Conv2d: x: [N, H, W, in], kernel: [kh, kw, out / groups, in] -> [N, H', W', out].
// Each pixel of x adds itself times the kernel at stride times its place. With the span
// k = (kh - 1) dilation + 1, as in Keras, H' is H stride + max(k - stride, 0) if padding is valid
// and H stride if it is the same; explicit, as in PyTorch:
// (H - 1) stride + k - top - bottom + output_padding.
Variable ConvTranspose2d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options = {},
                         SourceLocation where = SourceLocation::current());
// x: [N, T, in], kernel: [k, out / groups, in] -> [N, T', out].
Variable ConvTranspose1d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options = {},
                         SourceLocation where = SourceLocation::current());

struct Pool2dOptions {
  int64_t window = 2;
  int64_t stride = 0;  // 0: the window
  Padding padding = {};
};
// x: [N, H, W, C] -> [N, H', W', C]. Padding never wins a maximum and does not count in a mean. A
// tie's gradient goes to the first in row-major order; NaN wins.
Variable MaxPool2d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
Variable AvgPool2d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
// x: [N, T, C] -> [N, T', C].
Variable MaxPool1d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
Variable AvgPool1d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
// x: [N, H, W, C] -> [N, height, width, C]: row i is of the input's rows floor(i H / height) to
// ceil((i + 1) H / height), columns alike. The windows overlap where they do not divide.
Variable AdaptiveMaxPool2d(const Variable& x, int64_t height, int64_t width,
                           SourceLocation where = SourceLocation::current());
Variable AdaptiveAvgPool2d(const Variable& x, int64_t height, int64_t width,
                           SourceLocation where = SourceLocation::current());
// Of whole images, [N, H, W, C] -> [N, C] ([N, 1, 1, C] if dims are kept), and whole sequences,
// [N, T, C] -> [N, C] ([N, 1, C]).
Variable GlobalMaxPool2d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalAvgPool2d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalMaxPool1d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalAvgPool1d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());

enum class Interpolation { kNearest, kBilinear };
// x: [N, H, W, C] -> [N, height, width, C]. Pixels are squares with half-pixel centers, as in
// TensorFlow, and in PyTorch without align_corners: output row i lies at (i + 1/2) H / height - 1/2
// in x, columns alike. kNearest takes the nearest pixel, of two the latter, and keeps the dtype.
// kBilinear weighs the two nearest rows and columns; the border repeats. Shrinking skips pixels:
// there is no filter against aliasing.
Variable Resize(const Variable& x, int64_t height, int64_t width,
                Interpolation interpolation = Interpolation::kBilinear,
                SourceLocation where = SourceLocation::current());

struct UnfoldOptions {
  int64_t window_h = 1, window_w = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  Padding padding = {};
};
// The windows of a convolution as rows: x: [N, H, W, C] -> [N, H', W', window_h * window_w * C],
// 0 in the padding (im2col; torch.nn.Unfold). Elements of a row are in the order of a kernel
// [kh, kw, in, out]: Conv2d(x, kernel) is MatMul(Unfold(x), Reshape(kernel, {-1, out})).
Variable Unfold(const Variable& x, const UnfoldOptions& options,
                SourceLocation where = SourceLocation::current());
// Its adjoint (col2im; torch.nn.Fold): adds up the windows at their places in [N, height, width,
// C]; what they have in the padding is lost.
Variable Fold(const Variable& windows, int64_t height, int64_t width, const UnfoldOptions& options,
              SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_OPS_IMAGES_H_

// A picture of a digit as MNIST's images are made.
#ifndef WENGERT_MODELS_DIGITS_DIGIT_H_
#define WENGERT_MODELS_DIGITS_DIGIT_H_

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace wengert::mnist {

// pixels: uint8 [H, W, 1 or 3], dark on light or light on dark, of any size -> uint8 [28, 28, 1]:
// 0 is background, 255 ink. As the data set's page says (LeCun, Cortes, Burges, "The MNIST
// database"), the digit is scaled, with its aspect ratio, to fit a box of 20 x 20 pixels in grey
// levels, and the box is placed so that its centre of mass is the image's centre.
//
// The mean of the outermost pixels is the background; if that is the lighter half of the picture's
// range, the picture is inverted. What differs from it no more than some outermost pixel does is
// background too, up to a quarter of the full contrast. A picture of one grey level is
// InvalidArgument.
absl::StatusOr<Tensor> DigitFromPicture(const Tensor& pixels);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_DIGIT_H_

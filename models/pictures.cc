#include "models/pictures.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tensor/error.h"

namespace wengert {

Tensor ToGreyLevels(const Tensor& x) {
  return Cast(Round(Clip(Variable(x) * 255, 0, 255)), DType::kUInt8).value();
}

Tensor Enlarge(const Tensor& images, int64_t factor) {
  return Repeat(Repeat(images, factor, 1), factor, 2).value();
}

Tensor Tiles(const Tensor& images, int64_t columns) {
  constexpr int kGrey = 128;
  const int64_t n = images.dim(0), height = images.dim(1), width = images.dim(2);
  if (columns < 1 || n == 0 || n % columns != 0) {
    throw Error("tiles", absl::StrCat(n, " images do not fill rows of ", columns));
  }
  const int64_t row_step = height + kTileGap, column_step = width + kTileGap;
  Tensor picture = Tensor::Full(
      {n / columns * row_step + kTileGap, columns * column_step + kTileGap, images.dim(3)}, kGrey,
      images.dtype());
  for (int64_t i = 0; i < n; ++i) {
    picture.Narrow(0, kTileGap + i / columns * row_step, height)
        .Narrow(1, kTileGap + i % columns * column_step, width)
        .CopyFrom(images.Narrow(0, i, 1).Squeeze(0));
  }
  return picture;
}

}  // namespace wengert

#include "models/digits/digit.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "models/pictures.h"
#include "ops/ops.h"

namespace wengert::mnist {
namespace {

constexpr int64_t kSide = 28, kBox = 20;

struct Range {
  int64_t first, count;
};
// From the first to the last true entry of a bool vector; there must be one.
Range Extent(const Tensor& there) {
  const std::vector<int64_t> indices = Nonzero(there).value().ToVector<int64_t>();
  return {indices.front(), indices.back() - indices.front() + 1};
}

// Float32 [H, W]: how bright (Rec. 601) each pixel is, from 0 to 1.
Tensor Brightness(const Tensor& pixels) {
  const Variable levels = Cast(pixels, DType::kFloat32) / 255;
  if (pixels.dim(2) == 1) return Squeeze(levels, 2).value();
  const Tensor weights = Tensor::FromVector(std::vector<float>{0.299f, 0.587f, 0.114f});
  return Sum(levels * weights, -1).value();
}

// [H, W] -> its outermost pixels, a vector.
Tensor Border(const Tensor& x) {
  const int64_t inner = std::max<int64_t>(x.dim(0) - 2, 0);
  const Variable parts[] = {
      x.Narrow(0, 0, 1).Reshape({-1}), x.Narrow(0, x.dim(0) - 1, 1).Reshape({-1}),
      x.Narrow(0, std::min<int64_t>(1, x.dim(0) - 1), inner).Narrow(1, 0, 1).Reshape({-1}),
      x.Narrow(0, std::min<int64_t>(1, x.dim(0) - 1), inner)
          .Narrow(1, x.dim(1) - 1, 1)
          .Reshape({-1})};
  return Concat(parts, 0).value();
}

// Row i of [out, in] averages the stretch of `in` pixels that pixel i of `out` covers.
Tensor Averages(int64_t in, int64_t out) {
  Tensor weights = Tensor::Zeros({out, in});
  float* const w = weights.mutable_data<float>();
  const double step = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    const double begin = static_cast<double>(i) * step, end = begin + step;
    for (auto k = static_cast<int64_t>(begin); k < std::min<int64_t>(in, std::ceil(end)); ++k) {
      const double covered =
          std::min(end, static_cast<double>(k + 1)) - std::max(begin, static_cast<double>(k));
      w[i * in + k] = static_cast<float>(std::max(0.0, covered) / step);
    }
  }
  return weights;
}

// The index of the centre of mass along each axis of [H, W].
double CentreOfMass(const Tensor& ink, int axis) {
  const Variable mass = Sum(ink, 1 - axis);
  const Variable positions =
      Cast(Tensor::Arange(0, static_cast<double>(ink.dim(axis))), DType::kFloat32);
  return Dot(mass, positions).item<double>() / Sum(mass).item<double>();
}

// Where a box of `size` begins whose centre of mass comes to the middle; never over the edge.
int64_t Start(double centre, int64_t size) {
  return std::clamp<int64_t>(std::lround(kSide / 2.0 - centre), 0, kSide - size);
}

}  // namespace

absl::StatusOr<Tensor> DigitFromPicture(const Tensor& pixels) {
  const Tensor brightness = Brightness(pixels);
  const double darkest = Min(brightness).item<double>(), lightest = Max(brightness).item<double>();
  const double background = Mean(Border(brightness)).item<double>();
  const bool inverted = background > (darkest + lightest) / 2;
  const Variable above = inverted ? background - Variable(brightness) : brightness - background;
  const double most = inverted ? background - darkest : lightest - background;
  constexpr double kFaintest = 2.0 / 255;  // less is no contrast but rounding
  if (most < kFaintest) {
    return absl::InvalidArgumentError("there is no digit: the picture is of one grey level");
  }
  const Tensor contrast = Maximum(above / most, 0).value();
  const double noise = std::min(0.25, Max(Border(contrast)).item<double>());
  const Tensor ink = Where(Greater(contrast, noise), contrast, 0).value();

  const Range rows = Extent(Any(ink, 1).value()), columns = Extent(Any(ink, 0).value());
  const double scale =
      static_cast<double>(kBox) / static_cast<double>(std::max(rows.count, columns.count));
  const auto scaled = [scale](int64_t length) {
    return std::max<int64_t>(1, std::lround(static_cast<double>(length) * scale));
  };
  const int64_t height = scaled(rows.count), width = scaled(columns.count);
  const Tensor digit =
      ink.Narrow(0, rows.first, rows.count).Narrow(1, columns.first, columns.count);
  const Variable small =
      MatMul(MatMul(Averages(rows.count, height), digit), Averages(columns.count, width).T());
  const Tensor box = (small / Max(small)).value();  // thin strokes have become faint

  Tensor image = Tensor::Zeros({kSide, kSide, 1}, DType::kUInt8);
  image.Narrow(0, Start(CentreOfMass(box, 0), height), height)
      .Narrow(1, Start(CentreOfMass(box, 1), width), width)
      .CopyFrom(ToGreyLevels(box).Unsqueeze(2));
  return image;
}

}  // namespace wengert::mnist

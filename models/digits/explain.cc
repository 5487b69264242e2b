#include "models/digits/explain.h"

#include <iterator>
#include <vector>

#include "models/pictures.h"
#include "nn/explain/gradients.h"
#include "nn/explain/lime.h"
#include "nn/explain/occlusion.h"
#include "nn/explain/shapley.h"
#include "ops/ops.h"

namespace wengert::mnist {
namespace {

constexpr int64_t kSide = 28;

// Scores of the pixels, in any dtype and a shape of 28 x 28 elements -> uint8 [28, 28, 3].
Tensor Colors(const Tensor& scores) {
  const Variable map = Cast(Reshape(scores, {kSide, kSide}), DType::kFloat32);
  const double strongest = Max(Abs(map)).item<double>();
  const Variable share = strongest > 0 ? map / strongest : map;
  const Variable red = 1 - Relu(-share), blue = 1 - Relu(share);
  const Variable channels[] = {red, 1 - Abs(share), blue};
  return ToGreyLevels(Stack(channels, -1).value());
}

}  // namespace

Tensor HeatMaps(explain::Model model, const Tensor& image, int64_t digit, Generator& generator) {
  const Tensor segments = explain::GridSegments(kSide, kSide, kSide / 4, kSide / 4);
  const auto spread = [&](const Tensor& scores) { return Gather(scores, segments, 1).value(); };
  const Tensor grey = ToGreyLevels(image.Squeeze(0)).Expand({kSide, kSide, 3});
  const Variable tiles[] = {
      grey,
      Colors(explain::Saliency(model, image, digit)),
      Colors(explain::SmoothGrad(model, image, digit, generator)),
      Colors(explain::IntegratedGradients(model, image, digit)),
      Colors(explain::Occlusion(model, image, digit, {.window = 5})),
      Colors(spread(explain::Lime(model, image, digit, generator, {.segments = segments}).weights)),
      Colors(spread(explain::ShapleyValues(model, image, digit, generator, /*permutations=*/20,
                                           {.segments = segments})))};
  static_assert(std::size(tiles) == std::size(kHeatMaps));
  return Tiles(Enlarge(Stack(tiles).value(), 8), std::size(tiles));
}

}  // namespace wengert::mnist

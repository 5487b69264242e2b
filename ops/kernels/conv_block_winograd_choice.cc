// Where the Winograd convolution block and the visit to the winners are no slower than oneDNN's
// convolution and its gradients, even without the passes for bias, relu and pooling that those
// need besides. Measured on AVX-512 with 5 to 256 channels, images of 3 to 64 pixels a side and
// batches of 1 to 256.
#include "ops/kernels/conv_block_winograd.h"
#include "ops/kernels/winograd.h"

namespace wengert {
namespace {

bool TakesGeometry(const Conv2dGeometry& g) {
  return g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.groups == 1 && g.batch > 0;
}

}  // namespace

bool PrefersWinogradBlock(const ConvBlockGeometry& block) {
  const Conv2dGeometry& g = block.conv;
  if (!TakesGeometry(g)) return false;
  // With few channels the transforms cost more than the products that they save.
  if (g.in_c * g.out_c < 512) return false;
  if (block.pool) return g.out_h >= 2 && g.out_w >= 2 && g.in_c >= 8 && g.out_c >= 16;
  // Tiles past the edge of an odd image cost as much as whole ones: there must be fewer products,
  // 16 of a tile, than the 9 of each pixel.
  const int64_t tiles = (g.out_h + 1) / 2 * ((g.out_w + 1) / 2), pixels = g.out_h * g.out_w;
  return 32 * tiles <= 15 * pixels && g.in_c >= 16 && g.out_c > 16;
}

bool PrefersWinogradBlockBackward(const ConvBlockGeometry& block) {
  const Conv2dGeometry& g = block.conv;
  // The kernel is packed and its gradient transposed, however few windows there are.
  const int64_t windows = g.batch * (g.out_h / 2) * (g.out_w / 2);
  return TakesGeometry(g) && block.pool && windows >= 16 && g.in_c >= 8 && g.out_c >= 8 &&
         g.in_c * g.out_c >= 128;
}

bool PrefersWinogradKernelGradient(const Conv2dGeometry& g) {
  const int64_t tiles = (g.out_h + 1) / 2 * ((g.out_w + 1) / 2), pixels = g.out_h * g.out_w;
  return TakesGeometry(g) && 32 * tiles <= 15 * pixels && g.batch * tiles >= 64 && g.in_c >= 16 &&
         g.out_c >= 16;
}

}  // namespace wengert

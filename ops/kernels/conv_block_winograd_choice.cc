// Where Winograd's filtering and the visit to the winners are no slower than oneDNN's convolution
// and its gradients, even without the passes for bias, relu and pooling that those need besides.
// Measured on AVX-512 with 5 to 256 channels, images of 3 to 64 pixels a side and batches of 1 to
// 256.
#include "ops/kernels/conv_block_winograd.h"
#include "ops/kernels/winograd.h"

namespace wengert {
namespace {

bool TakesGeometry(const Conv2dGeometry& g) {
  return g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.groups == 1 && g.batch > 0 && g.in_h > 0 &&
         g.in_w > 0 && g.out_h > 0 && g.out_w > 0 && g.in_c > 0 && g.out_c > 0;
}

// An image of results, cut into tiles of 2x2.
struct Image {
  int64_t height, width;

  int64_t tiles() const { return (height + 1) / 2 * ((width + 1) / 2); }
  // Tiles past the edge of an odd image cost as much as whole ones. There must be fewer products,
  // 16 of a tile, than the 9 of each pixel; `share`, of 32, says how many fewer.
  bool Fills(int64_t share) const { return 32 * tiles() <= share * height * width; }
};

// Whether there are tiles enough to pay for the transform of the kernel.
bool PaysForKernel(const Conv2dGeometry& g, const Image& image) {
  return 512 * g.batch * image.tiles() >= g.in_c * g.out_c;
}

}  // namespace

bool PrefersWinogradBlock(const ConvBlockGeometry& block) {
  const Conv2dGeometry& g = block.conv;
  const Image image = {g.out_h, g.out_w};
  if (!TakesGeometry(g) || !PaysForKernel(g, image)) return false;
  // With few channels the transforms cost more than the products that they save.
  if (g.in_c * g.out_c < 512) return false;
  if (block.pool) return g.out_h >= 2 && g.out_w >= 2 && g.in_c >= 8 && g.out_c >= 16;
  return image.Fills(15) && g.in_c >= 16 && g.out_c > 16;
}

bool PrefersWinogradBlockBackward(const ConvBlockGeometry& block) {
  const Conv2dGeometry& g = block.conv;
  // The kernel is packed and its gradient transposed, however few windows there are.
  const int64_t windows = g.batch * (g.out_h / 2) * (g.out_w / 2);
  return TakesGeometry(g) && block.pool && windows >= 16 && g.in_c >= 8 && g.out_c >= 8 &&
         g.in_c * g.out_c >= 128;
}

bool PrefersWinogradInputGradient(const Conv2dGeometry& g) {
  const Image image = {g.in_h, g.in_w};
  const bool takes_padding =
      g.pad_top <= 2 && g.pad_left <= 2 && g.pad_bottom <= 2 && g.pad_right <= 2;
  return TakesGeometry(g) && takes_padding && PaysForKernel(g, image) &&
         g.batch * image.tiles() >= 32 && image.Fills(11) && g.in_c > 16 && g.out_c >= 16 &&
         g.in_c * g.out_c >= 512;
}

bool PrefersWinogradKernelGradient(const Conv2dGeometry& g) {
  const Image image = {g.out_h, g.out_w};
  return TakesGeometry(g) && g.batch * image.tiles() >= 64 && image.Fills(13) && g.in_c >= 16 &&
         g.out_c >= 32;
}

}  // namespace wengert

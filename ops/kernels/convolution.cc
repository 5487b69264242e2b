#include "ops/kernels/convolution.h"

#include "ops/kernels/conv_block_direct.h"
#include "ops/kernels/conv_block_winograd.h"
#include "ops/kernels/winograd.h"

namespace wengert {

void Convolution(const Conv2dGeometry& g, const float* x, const float* w, float* y) {
  const ConvBlockGeometry block = {.conv = g};
  if (PrefersDirectBlock(block)) return DirectBlockForward(block, x, w, nullptr, y, nullptr);
  if (PrefersWinogradBlock(block)) return WinogradBlockForward(block, x, w, nullptr, y, nullptr);
  Conv2dForward(g, x, w, y);
}

void ConvolutionInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx) {
  if (PrefersWinogradInputGradient(g)) return WinogradInputGradient(g, dy, w, dx);
  Conv2dInputGradient(g, dy, w, dx);
}

void ConvolutionKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy,
                               float* dw) {
  const ConvBlockGeometry block = {.conv = g};
  if (PrefersDirectBlock(block)) {
    return DirectBlockBackward(block, x, nullptr, nullptr, nullptr, dy, nullptr, dw, nullptr);
  }
  if (PrefersWinogradKernelGradient(g)) return WinogradKernelGradient(g, x, dy, dw);
  Conv2dKernelGradient(g, x, dy, dw);
}

}  // namespace wengert

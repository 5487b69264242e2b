#include <algorithm>
#include <utility>

#include "ops/kernels/conv_block_winograd.h"
#include "ops/kernels/winograd.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

// The convolution that makes dx of dy.
Conv2dGeometry TurnedAround(const Conv2dGeometry& g) {
  Conv2dGeometry turned = g;
  std::swap(turned.in_h, turned.out_h);
  std::swap(turned.in_w, turned.out_w);
  std::swap(turned.in_c, turned.out_c);
  turned.pad_top = g.kernel_h - 1 - g.pad_top;
  turned.pad_left = g.kernel_w - 1 - g.pad_left;
  turned.pad_bottom = g.kernel_h - 1 - g.pad_bottom;
  turned.pad_right = g.kernel_w - 1 - g.pad_right;
  return turned;
}

}  // namespace

void WinogradInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx) {
  const int64_t taps = g.kernel_h * g.kernel_w, tap_size = g.in_c * g.out_c;
  const StoragePtr storage = StoragePtr::Allocate(taps * tap_size * sizeof(float));
  float* const turned = reinterpret_cast<float*>(storage->data());
  constexpr int64_t kBlock = 32;  // rows of the kernel, whose lines stay in L1
  const int64_t blocks = (g.in_c + kBlock - 1) / kBlock;
  ParallelFor(taps * blocks, [&](int64_t task) {
    const int64_t tap = task / blocks, begin = task % blocks * kBlock;
    const int64_t end = std::min(begin + kBlock, g.in_c);
    const float* const from = w + tap * tap_size;
    float* const to = turned + (taps - 1 - tap) * tap_size;
    for (int64_t o = 0; o < g.out_c; ++o) {
      for (int64_t i = begin; i < end; ++i) to[o * g.in_c + i] = from[i * g.out_c + o];
    }
  });
  WinogradBlockForward({.conv = TurnedAround(g)}, dy, turned, nullptr, dx, nullptr);
}

}  // namespace wengert

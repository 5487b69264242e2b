// The gradients of the convolution block: through the winners of the pooling, or, where infinities
// or NaN meet zeros, through the convolution's whole output gradient.
#include <algorithm>

#include "ops/kernels/conv_block_winners.h"
#include "ops/kernels/conv_block_winograd.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

// The convolution's output gradient: dy at the winners.
StoragePtr UnpooledGradient(const Conv2dGeometry& g, const PooledGradient& from) {
  const int64_t row = g.out_w * g.out_c, windows_h = g.out_h / 2, windows_w = g.out_w / 2;
  StoragePtr storage = StoragePtr::Allocate(g.batch * g.out_h * row * sizeof(float));
  float* const full = reinterpret_cast<float*>(storage->data());
  ParallelFor(g.batch, [&](int64_t n) {
    float* const image = full + n * g.out_h * row;
    std::fill_n(image, g.out_h * row, 0.0f);
    for (int64_t window = 0; window < windows_h * windows_w; ++window) {
      const int64_t first = (n * windows_h * windows_w + window) * g.out_c;
      float* const pixel = image + window / windows_w * 2 * row + window % windows_w * 2 * g.out_c;
      for (int64_t c = 0; c < g.out_c; ++c) {
        const int64_t winner = from.winners[first + c];
        const bool passes = !from.relu || from.y[first + c] > 0;
        pixel[winner / 2 * row + winner % 2 * g.out_c + c] = passes ? from.dy[first + c] : 0;
      }
    }
  });
  return storage;
}

}  // namespace

void WinogradBlockBackward(const ConvBlockGeometry& g, const float* x, const float* w,
                           const float* y, const uint8_t* winners, const float* dy, float* dx,
                           float* dw, float* dbias) {
  const PooledGradient gradient{g.conv.out_c, g.relu, y, winners, dy};
  StoragePtr full;
  const auto whole_gradient = [&] {
    if (!full) full = UnpooledGradient(g.conv, gradient);
    return reinterpret_cast<const float*>(full->data());
  };
  if ((dw != nullptr || dbias != nullptr) && !WinnersKernelGradient(g, x, gradient, dw, dbias)) {
    Conv2dKernelGradient(g.conv, x, whole_gradient(), dw);
  }
  if (dx != nullptr && !WinnersInputGradient(g, w, gradient, dx)) {
    Conv2dInputGradient(g.conv, whole_gradient(), w, dx);
  }
}

}  // namespace wengert

// Looking for NaN and infinities: the bits of the exponent are all set.
#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>

#include "tensor/parallel.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

constexpr int64_t kTask = 1 << 16;  // elements

template <class T, class Bits>
bool AllFinite(const T* data, int64_t size) {
  constexpr Bits kExponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  constexpr int64_t kBlock = 1024;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t end = std::min(size, begin + kBlock);
    Bits found = 0;  // without a branch inside: vectors
    for (int64_t i = begin; i < end; ++i) {
      found |= (std::bit_cast<Bits>(data[i]) & kExponent) == kExponent;
    }
    if (found) return false;
  }
  return true;
}

}  // namespace

bool AllFinite(const Tensor& tensor) {
  if (!IsFloating(tensor.dtype())) return true;
  const Tensor dense = tensor.Contiguous();
  const int64_t size = dense.size();
  std::atomic<bool> finite = true;
  ParallelFor((size + kTask - 1) / kTask, [&](int64_t task) {
    const int64_t begin = task * kTask, count = std::min(kTask, size - begin);
    const bool good = dense.dtype() == DType::kFloat32
                          ? AllFinite<float, uint32_t>(dense.data<float>() + begin, count)
                          : AllFinite<double, uint64_t>(dense.data<double>() + begin, count);
    if (!good) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

}  // namespace wengert

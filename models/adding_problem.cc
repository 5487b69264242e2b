#include "models/adding_problem.h"

#include "data/permutation.h"
#include "tensor/error.h"

namespace wengert::adding {

Batch Sequences(int64_t count, int64_t length, uint64_t seed, int64_t first) {
  if (length < 2) throw Error("adding", "two numbers need two steps");
  Tensor inputs = Tensor::Empty({count, length, 2});
  Tensor targets = Tensor::Empty({count, 1});
  float* x = inputs.mutable_data<float>();
  const uint64_t of_seed = SplitMix64(seed).Next();
  for (int64_t n = 0; n < count; ++n, x += 2 * length) {
    // Hashed, so that neighbouring sequences start far apart in the generator's cycle.
    SplitMix64 random(SplitMix64(of_seed + static_cast<uint64_t>(first + n)).Next());
    for (int64_t t = 0; t < length; ++t) {
      x[2 * t] = static_cast<float>(random.Next() >> 40) * 0x1p-23f - 1;
      x[2 * t + 1] = 0;
    }
    const uint64_t half = static_cast<uint64_t>(length) / 2;
    const uint64_t a = random.Below(half), b = half + random.Below(length - half);
    x[2 * a + 1] = x[2 * b + 1] = 1;
    targets.mutable_data<float>()[n] = 0.5f + (x[2 * a] + x[2 * b]) / 4;
  }
  return {.inputs = inputs, .targets = targets, .index = first};
}

}  // namespace wengert::adding

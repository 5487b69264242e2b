// SplitMix64 and the Fisher-Yates shuffle.
#include "data/permutation.h"

#include <numeric>
#include <utility>

namespace wengert {

uint64_t SplitMix64::Next() {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint64_t SplitMix64::Below(uint64_t bound) {
  // The high half of a 128-bit product is the number; it is biased only when the low half falls
  // under 2^64 mod bound.
  for (;;) {
    const unsigned __int128 product = static_cast<unsigned __int128>(Next()) * bound;
    const uint64_t low = static_cast<uint64_t>(product);
    if (low >= bound || low >= -bound % bound) return static_cast<uint64_t>(product >> 64);
  }
}

std::vector<int64_t> RandomPermutation(int64_t size, uint64_t seed, uint64_t epoch) {
  // Hashed twice, so that neighbouring seeds and epochs start far apart in the generator's cycle.
  SplitMix64 random(SplitMix64(SplitMix64(seed).Next() + epoch).Next());
  std::vector<int64_t> order(size);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = size - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  return order;
}

}  // namespace wengert

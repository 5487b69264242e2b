// Random orders that are the same on every machine and with every standard library.
#ifndef WENGERT_DATA_PERMUTATION_H_
#define WENGERT_DATA_PERMUTATION_H_

#include <cstdint>
#include <vector>

namespace wengert {

// Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014), as published in
// splitmix64.c by Vigna. 2^64 numbers, then again.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Uniform in [0, bound), without bias; bound > 0. Lemire: Fast random integer generation in an
  // interval (ACM TOMACS 29(1), 2019), algorithm 5.
  uint64_t Below(uint64_t bound);

 private:
  uint64_t state_;
};

// 0 ... size - 1 in an order drawn uniformly (Fisher-Yates), which only these numbers determine.
std::vector<int64_t> RandomPermutation(int64_t size, uint64_t seed, uint64_t epoch);

}  // namespace wengert

#endif  // WENGERT_DATA_PERMUTATION_H_

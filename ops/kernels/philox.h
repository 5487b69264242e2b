// Random numbers from a counter: Philox4x32-10 of J. Salmon, M. Moraes, R. Dror and D. Shaw,
// "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. What element i gets depends on the seed
// and the counter alone, so tasks fill their parts in any order, on any number of threads.
#ifndef WENGERT_OPS_KERNELS_PHILOX_H_
#define WENGERT_OPS_KERNELS_PHILOX_H_

#include <array>
#include <cstdint>

#include "tensor/tensor.h"

namespace wengert {

// The generator itself: four words for a counter of four words and a key of two.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The words of a random op: number 4 i + j is word j at (counter + i, 0) with the seed as key.
struct RandomStream {
  uint64_t seed;
  uint64_t counter;
};

// How many words an element of a Uniform or Normal tensor takes.
constexpr int64_t WordsPerElement(DType dtype) { return dtype == DType::kFloat64 ? 2 : 1; }

// All of these fill a contiguous y; y is float32 or float64 unless said otherwise.
// Multiples of 2^-24 (float64: 2^-53) in [0, 1), scaled to [low, high).
void FillUniform(const RandomStream& stream, double low, double high, Tensor& y);
// By the inverse of the distribution function: M. Wichura, "Algorithm AS 241", Applied Statistics
// 37 (1988); float32 reaches 6.3 standard deviations.
void FillNormal(const RandomStream& stream, double mean, double stddev, Tensor& y);
// 1 where a word is below probability * 2^32, else 0; any dtype.
void FillBernoulli(const RandomStream& stream, double probability, Tensor& y);
// 0 .. n - 1 in an order that is uniform over all of them; int64, n < 2^32.
void FillPermutation(const RandomStream& stream, Tensor& y);
// y = 0 where a word is below rate * 2^32, else x / (1 - rate). x: any strides; may be y.
void DropoutKernel(const RandomStream& stream, double rate, const Tensor& x, Tensor& y);

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_PHILOX_H_

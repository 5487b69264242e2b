// For tests of kernels: random numbers, every SIMD target of this processor, settings put back.
#ifndef WENGERT_TESTS_OPS_KERNEL_TEST_H_
#define WENGERT_TESTS_OPS_KERNEL_TEST_H_

#include <cstdint>
#include <random>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "tensor/cache.h"
#include "tensor/parallel.h"

namespace wengert {

class RandomIntegers {
 public:
  explicit RandomIntegers(uint32_t seed) : engine_(seed) {}
  // Both bounds included; the same numbers on every platform.
  int64_t Int(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }

 protected:
  std::mt19937 engine_;
};

// Kernels run on these SIMD targets only; 0: on the processor's best.
inline void UseTargets(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// Calls f with kernels running on each SIMD target that this processor has.
template <class F>
void ForEachTarget(F f) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    UseTargets(target);
    SCOPED_TRACE(hwy::TargetName(target));
    f();
  }
  UseTargets(0);
}

// Puts the number of threads, the SIMD targets and the cache's size back: a member of a fixture.
class KernelSettings {
 public:
  ~KernelSettings() {
    SetNumThreads(threads_);
    UseTargets(0);
    cache_bytes = cache_bytes_;
  }

 private:
  const int threads_ = NumThreads();
  const int64_t cache_bytes_ = cache_bytes;
};

}  // namespace wengert

#endif  // WENGERT_TESTS_OPS_KERNEL_TEST_H_

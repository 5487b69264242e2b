// Flush-to-zero for a scope: subnormal results and inputs count as zero while values are computed,
// so decaying values never meet the processor's slow path. The caller's mode comes back after.
#ifndef WENGERT_AUTOGRAD_FLUSH_TO_ZERO_H_
#define WENGERT_AUTOGRAD_FLUSH_TO_ZERO_H_

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace wengert {

class FlushToZeroScope {
 public:
#if defined(__x86_64__)
  FlushToZeroScope() : previous_(_mm_getcsr()) { _mm_setcsr(previous_ | kFlush); }
  ~FlushToZeroScope() { _mm_setcsr(previous_); }

 private:
  static constexpr uint32_t kFlush = 0x8040;  // FTZ (results) and DAZ (inputs)
  uint32_t previous_;
#elif defined(__aarch64__)
  FlushToZeroScope() : previous_(Get()) { Set(previous_ | kFlush); }
  ~FlushToZeroScope() { Set(previous_); }

 private:
  static constexpr uint64_t kFlush = uint64_t{1} << 24;  // FPCR.FZ
  static uint64_t Get() {
    uint64_t fpcr;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
  }
  static void Set(uint64_t fpcr) { asm volatile("msr fpcr, %0" : : "r"(fpcr)); }
  uint64_t previous_;
#else
  FlushToZeroScope() {}
  ~FlushToZeroScope() {}

 public:
#endif
  FlushToZeroScope(const FlushToZeroScope&) = delete;
};

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_FLUSH_TO_ZERO_H_

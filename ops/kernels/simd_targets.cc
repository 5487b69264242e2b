// Which SIMD targets this processor runs: what Highway's headers ask of its shared library. That
// library measures the processor's clock for 9 ms whenever a program starts that is linked with it,
// so Wengert is linked with these functions instead.
#include "ops/kernels/simd_targets.h"

#include <atomic>

#include "hwy/targets.h"
#if HWY_ARCH_X86
#include <cpuid.h>
#endif

namespace wengert {
namespace {

#if HWY_ARCH_X86
// Two features that __builtin_cpu_supports does not know with every compiler. Whether the operating
// system saves the registers that they use is AVX's to say.
bool HasF16cAndLzcnt() {
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_F16C)) return false;
  return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & bit_LZCNT);
}
#endif

int64_t TargetsOfProcessor() {
  int64_t targets = HWY_ENABLED_BASELINE;
#if HWY_ARCH_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    HasF16cAndLzcnt();
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw");
  if (avx2) targets |= HWY_AVX2;
  if (avx3) targets |= HWY_AVX3;
#endif
  return targets;
}

constinit std::atomic<int64_t> targets_for_test = 0;

}  // namespace
}  // namespace wengert

namespace hwy {

int64_t SupportedTargets() {
  if (const int64_t forced = wengert::targets_for_test) return forced;
  static const int64_t targets = wengert::TargetsOfProcessor();
  return targets;
}

void SetSupportedTargetsForTest(int64_t targets) {
  wengert::targets_for_test = targets;
  GetChosenTarget().DeInit();
}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy

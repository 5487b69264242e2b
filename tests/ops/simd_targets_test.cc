// Which SIMD targets are chosen, and that tests may choose.
#include "ops/kernels/simd_targets.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

TEST(SimdTargetsTest, TheBaselineIsAlwaysThere) {
  EXPECT_EQ(hwy::SupportedTargets() & HWY_ENABLED_BASELINE, HWY_ENABLED_BASELINE);
}

#if HWY_ARCH_X86
// The kernel lists what the processor has and the kernel supports.
TEST(SimdTargetsTest, AreThoseOfTheProcessor) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) {
  }
  if (line.empty()) GTEST_SKIP() << "no /proc/cpuinfo";
  line += ' ';
  const auto has = [&](const char* flag) {
    return line.find(std::string(" ") + flag + " ") != std::string::npos;
  };
  const bool avx2 =
      has("avx2") && has("fma") && has("bmi1") && has("bmi2") && has("f16c") && has("abm");
  const bool avx3 = avx2 && has("avx512f") && has("avx512vl") && has("avx512dq") && has("avx512bw");
  EXPECT_EQ((hwy::SupportedTargets() & HWY_AVX2) != 0, avx2);
  EXPECT_EQ((hwy::SupportedTargets() & HWY_AVX3) != 0, avx3);
}
#endif

TEST(SimdTargetsTest, ATestMayChoose) {
  const KernelSettings restore;
  UseTargets(HWY_STATIC_TARGET);
  EXPECT_EQ(hwy::SupportedTargets(), HWY_STATIC_TARGET);
  UseTargets(0);
  EXPECT_NE(hwy::SupportedTargets(), 0);
}

}  // namespace
}  // namespace wengert

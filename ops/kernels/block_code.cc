#include "ops/kernels/block_code.h"

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "ops/kernels/simd_targets.h"
// clang-format off
#include "hwy/targets.h"
// clang-format on
#if defined(__x86_64__)
#include "ops/kernels/block_code_generator.h"
#endif

namespace wengert {

#if defined(__x86_64__)
constexpr size_t kMaxCodes = 4096;  // of some 4 KB each

bool HasCode(Row row) { return block_code::ConstantOf(row).has_value(); }

BlockCode GetBlockCode(absl::Span<const CodeStep> steps, absl::Span<const CodeValue> values) {
  const int64_t targets = hwy::SupportedTargets();
  if (!(targets & (HWY_AVX2 | HWY_AVX3))) return {};
  const bool avx512 = targets & HWY_AVX3;
  std::string key(1, static_cast<char>(avx512));
  for (const CodeStep& step : steps) {
    for (const int part : {static_cast<int>(step.row), int{step.in[0]}, int{step.in[1]},
                           int{step.in[2]}, int{step.out}}) {
      key.push_back(static_cast<char>(part));
    }
  }
  for (const CodeValue value : values) key.push_back(static_cast<char>(value));

  // Kept until the process ends, as the program's own code is.
  static auto& mutex = *new std::mutex;
  static auto& codes =
      *new absl::flat_hash_map<std::string, std::unique_ptr<block_code::Generator>>;
  const std::lock_guard lock(mutex);
  auto found = codes.find(key);
  if (found == codes.end()) {
    if (codes.size() >= kMaxCodes) return {};
    std::unique_ptr<block_code::Generator> code;
    try {
      code = std::make_unique<block_code::Generator>(steps, values, avx512);
    } catch (const Xbyak::Error&) {  // no memory that can be executed: remembered as null
    }
    found = codes.emplace(std::move(key), std::move(code)).first;
  }
  return found->second ? found->second->code() : BlockCode{};
}

#else  // Other processors interpret.

bool HasCode(Row) { return false; }
BlockCode GetBlockCode(absl::Span<const CodeStep>, absl::Span<const CodeValue>) { return {}; }

#endif  // __x86_64__

}  // namespace wengert

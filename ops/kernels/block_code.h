// Machine code for a run of simple float32 instructions of a block program: one loop over vectors
// whose values stay in the processor's registers, where interpretation writes a block of each to
// the L1 cache and reads it again. Each is the instruction, or the few, that its kernel has too, so
// the bits are the kernels'.
#ifndef WENGERT_OPS_KERNELS_BLOCK_CODE_H_
#define WENGERT_OPS_KERNELS_BLOCK_CODE_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "ops/kernels/elementwise.h"

namespace wengert {

// Values are numbered. Each is given by an operand or computed by one step.
struct CodeStep {
  Row row;
  uint8_t in[3];  // a unary row reads in[0], a binary one in[1] too
  uint8_t out;
};
enum class CodeValue : uint8_t {
  kGiven,   // count elements
  kOne,     // given: one element for all
  kStored,  // computed, and read afterwards
  kLocal,   // computed, and read by later steps only
};
inline constexpr size_t kMaxCodeValues = 64;

struct BlockCode {
  // Computes `count` elements of each step. places[i]: where the value values[i] lies. Two values
  // may share memory if no step reads the one after the other is computed. Reads up to a vector
  // past the end, writes exactly.
  void (*run)(std::byte* const* places, int64_t count);
  // Those that it reads or writes in memory: all but the local ones, and of these the ones for
  // which there are not enough registers.
  absl::Span<const uint8_t> values;
};

// Whether there is code for the row on float32.
bool HasCode(Row row);

// `run` is null if this processor is not served (it needs AVX2) or the system refuses memory that
// can be executed. What was made is kept: the same steps again are a lookup.
BlockCode GetBlockCode(absl::Span<const CodeStep> steps, absl::Span<const CodeValue> values);

// Making code takes as long as interpreting some thousand elements does, once: programs of fewer
// elements than this are interpreted. Tests set it.
inline int64_t least_size_for_code = 4096;

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_BLOCK_CODE_H_

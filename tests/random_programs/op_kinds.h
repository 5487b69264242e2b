// The vocabulary of random programs: every way that an instruction is recorded, by family.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_OP_KINDS_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_OP_KINDS_H_

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "tests/random_programs/program.h"

namespace wengert::random_programs {

absl::Span<const OpKind> ElementwiseKinds();
absl::Span<const OpKind> ViewKinds();
absl::Span<const OpKind> ReductionKinds();
absl::Span<const OpKind> DenseKinds();  // products, convolutions, losses, recurrence
absl::Span<const OpKind> TapeKinds();   // what changes how the tape records
// Bring large values back; used when a value has grown.
absl::Span<const OpKind> SquashKinds();
const OpKind& ClipIntegersKind();

std::vector<const OpKind*> Vocabulary();

inline bool IsReal(const ValueInfo& x) { return x.floating(); }
inline bool IsRealWithElements(const ValueInfo& x) { return x.floating() && x.size() > 0; }
inline bool IsNumeric(const ValueInfo& x) { return x.dtype != DType::kBool; }

inline Wanted Like(const ValueInfo& x, const Shape& shape) {
  return {.shape = shape, .dtype = x.dtype};
}
// A shape that broadcasts with x's: the same, a scalar, a row, a column, now and then a larger one.
Shape PartnerShape(Random& random, const Shape& shape);

// Records the expression; its text is the expression itself.
#define WENGERT_RECORDS(...)        \
  [](Call& call) -> Results {       \
    const VariableSpan x = call.x;  \
    call.text = #__VA_ARGS__;       \
    return {Variable(__VA_ARGS__)}; \
  }

template <class... Parts>
void Say(Call& call, const Parts&... parts) {
  call.text = absl::StrCat(parts...);
}

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_OP_KINDS_H_

// Makes random programs from seeds.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_GENERATE_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_GENERATE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "tests/random_programs/program.h"

namespace wengert::random_programs {

// The same seed and vocabulary give the same program. Its values were computed once, op by op:
// all are finite, and what grew was brought back.
Program Generate(uint64_t seed, absl::Span<const OpKind* const> vocabulary);

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_GENERATE_H_

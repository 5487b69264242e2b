// Cuts a program that fails down to what a developer can read.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_MINIMIZE_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_MINIMIZE_H_

#include "absl/functional/function_ref.h"
#include "tests/random_programs/program.h"

namespace wengert::random_programs {

// Removes instructions while `fails` stays true: first many at a time, then one by one. What others
// read becomes a leaf of the same shape and range, or the instruction's own operand.
Program Minimize(Program program, absl::FunctionRef<bool(const Program&)> fails);

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_MINIMIZE_H_

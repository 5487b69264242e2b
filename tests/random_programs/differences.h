// Gradients against differences of values, along directions.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_DIFFERENCES_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_DIFFERENCES_H_

#include <string>

#include "tests/random_programs/program.h"

namespace wengert::random_programs {

// What is wrong with a float64 program's gradients, or "". All leaves move at once, along two
// directions, and some values between, each alone; second derivatives too if the program is smooth.
std::string CompareDifferences(Program program);

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_DIFFERENCES_H_

// What must hold of every random program.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_CHECK_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_CHECK_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/random_programs/program.h"
#include "tests/random_programs/run.h"

namespace wengert::random_programs {

// One way to run a program. With one thread it gives what eager execution gives: the same bits, or
// to a tolerance if the program has composites. Run again, and with more threads, it gives the same
// bits in any case. It leaves no node, no memory and nothing pending behind.
struct Check {
  RunOptions options;
  std::vector<int> more_threads = {};
  // Instead: gradients are those of directional differences, in float64.
  bool differences = false;
};
std::string ToString(const Check& check);

std::vector<Check> ChecksOf(const Program& program);

// What eager execution gives.
struct Reference {
  explicit Reference(const Program& program);
  // True if a derivative is not finite, or so large that its rounding is all that is compared.
  bool Explodes() const;

  Outcome eager, as_loss;
};

// What is wrong, or "".
std::string Perform(const Program& program, const Check& check, const Reference& reference);

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_CHECK_H_

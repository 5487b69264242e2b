// Whatever is held, dropped, read or differentiated, in whatever order and with however many
// threads: a graph of hundreds of ops gives the bits of eager execution, and the derivatives that
// its values have. Hundreds of graphs; more, or others, by flags:
//
//   ./bazelw test //tests/random_programs:random_programs_test --test_timeout=7200
//       --test_arg=--graphs=10000 --test_arg=--seed=1
//
// A graph that fails is printed with its seed, cut down to the instructions that matter.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tensor/pool.h"
#include "tests/random_programs/check.h"
#include "tests/random_programs/generate.h"
#include "tests/random_programs/minimize.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr int kParts = 4;  // that run side by side
int64_t graphs = 280;
uint64_t first_seed = 1;

std::string Again(const Program& program, const Check& check) {
  try {
    return Perform(program, check, Reference(program));
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Of a program that has failed a check.
std::string Report(uint64_t seed, const Program& program, const Check& check,
                   const std::string& text) {
  const Program least =
      Minimize(program, [&](const Program& p) { return !Again(p, check).empty(); });
  return "seed " + std::to_string(seed) + ", " + ToString(check) + ": " + text +
         "\nCut down: " + Again(least, check) + "\n" + Listing(least);
}

class RandomProgramsTest : public testing::TestWithParam<int> {};

TEST_P(RandomProgramsTest, GiveTheSameBitsInEveryWay) {
  const std::vector<const OpKind*> vocabulary = Vocabulary();
  int64_t explode = 0, failures = 0;
  for (int64_t i = GetParam(); i < graphs && failures < 2; i += kParts) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(i);
    std::printf("%lld ", static_cast<long long>(seed));  // the last one, should it crash
    std::fflush(stdout);
    TrimPool();  // a large program's memory is not for the small ones after it
    try {
      const Program program = Generate(seed, vocabulary);
      const Reference reference(program);
      if (reference.Explodes()) {
        ++explode;
        continue;
      }
      for (const Check& check : ChecksOf(program)) {
        const std::string text = Perform(program, check, reference);
        if (text.empty()) continue;
        ADD_FAILURE() << Report(seed, program, check, text);
        ++failures;
        break;
      }
    } catch (const std::exception& error) {
      ADD_FAILURE() << "seed " << seed << ", eager execution throws " << error.what();
      ++failures;
    }
  }
  EXPECT_LE(explode, 1 + graphs / kParts / 20) << "programs whose derivatives are not finite";
}

INSTANTIATE_TEST_SUITE_P(Parts, RandomProgramsTest, testing::Range(0, kParts));

}  // namespace
}  // namespace wengert::random_programs

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view value = argv[i];
    const bool known = absl::ConsumePrefix(&value, "--graphs=")
                           ? absl::SimpleAtoi(value, &wengert::random_programs::graphs)
                           : absl::ConsumePrefix(&value, "--seed=") &&
                                 absl::SimpleAtoi(value, &wengert::random_programs::first_seed);
    if (!known) {
      std::fprintf(stderr, "--graphs=NUMBER and --seed=NUMBER are known, not %s\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}

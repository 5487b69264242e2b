// The checks that every case of every op passes. The mutants of mutants_test.cc show that each of
// them can fail.
#ifndef WENGERT_TESTS_GRADIENT_TABLE_CHECKS_H_
#define WENGERT_TESTS_GRADIENT_TABLE_CHECKS_H_

#include <string>
#include <string_view>
#include <vector>

#include "autograd/registry.h"
#include "tests/gradient_table/run.h"

namespace wengert::gradient_table {

// The worst that was seen, for the printed table.
struct Figures {
  double first_order = 0;
  double second_order = 0;
  double adjoint = -1;  // < 0: no linear case
};

// Gives what is wrong with the case, or nothing.
struct Check {
  std::string_view name;
  std::string (*run)(const TestedCase& tested, Figures& figures);
};

// Against mathematics.
std::string CheckFirstOrder(const TestedCase& tested, Figures& figures);
std::string CheckSecondOrder(const TestedCase& tested, Figures& figures);
std::string CheckAdjoint(const TestedCase& tested, Figures& figures);
std::string CheckFloat32(const TestedCase& tested, Figures& figures);
// Against itself, run in another way.
std::string CheckStrides(const TestedCase& tested, Figures& figures);
std::string CheckEager(const TestedCase& tested, Figures& figures);
std::string CheckReadingOrder(const TestedCase& tested, Figures& figures);
std::string CheckThreads(const TestedCase& tested, Figures& figures);
// Against what it declares.
std::string CheckInferred(const TestedCase& tested, Figures& figures);
std::string CheckUses(const TestedCase& tested, Figures& figures);
std::string CheckReleases(const TestedCase& tested, Figures& figures);
std::string CheckWrongInputs(const TestedCase& tested, Figures& figures);

inline constexpr Check kChecks[] = {
    {"order 1", &CheckFirstOrder},   {"order 2", &CheckSecondOrder},
    {"adjoint", &CheckAdjoint},      {"float32", &CheckFloat32},
    {"strides", &CheckStrides},      {"eager", &CheckEager},
    {"reading", &CheckReadingOrder}, {"threads", &CheckThreads},
    {"inferred", &CheckInferred},    {"uses", &CheckUses},
    {"releases", &CheckReleases},    {"wrong inputs", &CheckWrongInputs},
};
// The check; an exception that leaves it is its failure.
std::string RunCheck(const Check& check, const TestedCase& tested, Figures& figures);

// What is wrong with the list of cases itself.
std::string CheckCases(const RegisteredOp& op, absl::Span<const OpCase> cases);

// The ops of this program that the table is about, by name.
std::vector<RegisteredOp> TestedOps();
std::vector<OpCase> CasesOf(const RegisteredOp& op);
TestedCase MakeTested(const RegisteredOp& op, const OpCase& of);

// Every check of every case of the op: what is wrong, a line each, or nothing.
std::string CheckOp(const RegisteredOp& op, Figures& figures);
// The same of an op by its name; one that this program cannot call is wrong, too.
std::string CheckOp(std::string_view name);

}  // namespace wengert::gradient_table

#endif  // WENGERT_TESTS_GRADIENT_TABLE_CHECKS_H_

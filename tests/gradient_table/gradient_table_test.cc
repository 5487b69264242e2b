// Every op that can be called, in every one of its cases, passes every check.
#include <cctype>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "tests/gradient_table/checks.h"

namespace wengert {

// For GoogleTest, which finds it here.
void PrintTo(const RegisteredOp& op, std::ostream* stream) { *stream << op.name; }

namespace gradient_table {
namespace {

class GradientTable : public ::testing::TestWithParam<RegisteredOp> {};

TEST_P(GradientTable, PassesEveryCheck) {
  Figures figures;
  EXPECT_EQ(CheckOp(GetParam(), figures), "");
}

TEST(CheckOp, FindsOpsByName) {
  EXPECT_EQ(CheckOp("neg"), "");
  EXPECT_EQ(CheckOp("nag"), "no op \"nag\" is called in this program\n");
}

std::string NameOf(const ::testing::TestParamInfo<RegisteredOp>& info) {
  std::string name(info.param.name);
  for (char& c : name) {
    if (!std::isalnum(c)) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Op, GradientTable, ::testing::ValuesIn(TestedOps()), NameOf);

}  // namespace
}  // namespace gradient_table
}  // namespace wengert

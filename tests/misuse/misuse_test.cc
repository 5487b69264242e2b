#include "tests/misuse/misuse.h"

#include "gtest/gtest.h"

namespace wengert {
namespace {

void ExpectSaid(const Misuse& misuse) {
  const std::string message = misuse.message();
  size_t at = 0;
  std::vector<std::string> wanted = misuse.words;
  if (!misuse.place.empty()) wanted.push_back(misuse.place);
  for (const std::string& words : wanted) {
    const size_t found = message.find(words, at);
    EXPECT_NE(found, std::string::npos) << "\"" << words << "\" is not (in this order) in\n"
                                        << message;
    if (found != std::string::npos) at = found + words.size();
  }
}

TEST_P(MisuseTest, IsExplained) { ExpectSaid(GetParam()); }

// A debugger's mode says no less.
TEST_P(MisuseTest, IsExplainedWhenEager) {
  const EagerGuard eager;
  ExpectSaid(GetParam());
}

}  // namespace
}  // namespace wengert

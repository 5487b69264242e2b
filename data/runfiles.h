// Finds data that Bazel puts beside a program (its runfiles).
#ifndef WENGERT_DATA_RUNFILES_H_
#define WENGERT_DATA_RUNFILES_H_

#include <string>

#include "absl/status/statusor.h"

namespace wengert {

// The folder `name` of this workspace, such as "data/mnist": in $RUNFILES_DIR (which tests have),
// in PROGRAM.runfiles beside the running program, or in the working directory (`bazel run`, or the
// top of the source tree). If it is in none of them, the error names the places.
absl::StatusOr<std::string> FindDataFolder(const std::string& name);

}  // namespace wengert

#endif  // WENGERT_DATA_RUNFILES_H_

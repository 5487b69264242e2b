// What the models' programs share: flags, the checks of flags, and the body of main.
#ifndef WENGERT_MODELS_COMMAND_LINE_H_
#define WENGERT_MODELS_COMMAND_LINE_H_

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "absl/flags/declare.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

ABSL_DECLARE_FLAG(int64_t, batch_size);    // 0: the model's
ABSL_DECLARE_FLAG(double, learning_rate);  // 0: the model's
ABSL_DECLARE_FLAG(uint64_t, seed);
ABSL_DECLARE_FLAG(bool, quiet);
// --threads is there too; RunMain sees to it.

namespace wengert {

inline constexpr int kInterrupted = 130;  // the exit code, as shells report Ctrl-C

// InvalidArgument that names the first flag below 0.
absl::Status CheckNotNegative(
    std::initializer_list<std::pair<std::string_view, int64_t>> names_and_values);

// The body of main: parses the flags, checks those above, sets the threads and calls `run`, which
// gives the exit code. A Status or an exception becomes one line on stderr that begins with `name`,
// and EXIT_FAILURE. Ctrl-C waits to be asked for (InterruptScope).
int RunMain(int argc, char** argv, std::string_view name, std::string_view usage,
            absl::FunctionRef<absl::StatusOr<int>()> run);

}  // namespace wengert

#endif  // WENGERT_MODELS_COMMAND_LINE_H_

// What the models' programs share: flags, the checks of flags, and the body of main.
#ifndef WENGERT_MODELS_COMMAND_LINE_H_
#define WENGERT_MODELS_COMMAND_LINE_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nn/module.h"

ABSL_DECLARE_FLAG(int64_t, batch_size);    // 0: the model's
ABSL_DECLARE_FLAG(double, learning_rate);  // 0: the model's
ABSL_DECLARE_FLAG(uint64_t, seed);
ABSL_DECLARE_FLAG(bool, quiet);
ABSL_DECLARE_FLAG(std::string, load);  // safetensors files
ABSL_DECLARE_FLAG(std::string, save);
// --threads is there too; RunMain sees to it.

namespace wengert {

inline constexpr int kInterrupted = 130;  // the exit code, as shells report Ctrl-C

// InvalidArgument that names the first flag below 0.
absl::Status CheckNotNegative(
    std::initializer_list<std::pair<std::string_view, int64_t>> names_and_values);

// Before training: sets the parameters to --load's, if it is given. A place that --save cannot
// write to is an error now and not only after the training.
absl::Status LoadWeights(const std::vector<NamedParameter>& weights);
// After training: writes them to --save, if it is given, and says so unless --quiet.
absl::Status SaveWeights(const std::vector<NamedParameter>& weights);

// Whether the flag has another value than its default.
bool FlagGiven(std::string_view flag);

// The body of main: parses the flags, checks those above, sets the threads and calls `run`, which
// gives the exit code. A Status or an exception becomes one line on stderr that begins with `name`,
// and EXIT_FAILURE. Ctrl-C waits to be asked for (InterruptScope).
int RunMain(int argc, char** argv, std::string_view name, std::string_view usage,
            absl::FunctionRef<absl::StatusOr<int>()> run);

// The same for a program whose first argument says what to do: "train", say.
struct Command {
  std::string_view name;
  absl::StatusOr<int> (*run)();
  // Flags of the program's own that mean nothing to this command: giving one is an error.
  std::vector<std::string_view> other_flags;
};
int RunMain(int argc, char** argv, std::string_view name, std::string_view usage,
            const std::vector<Command>& commands);

}  // namespace wengert

#endif  // WENGERT_MODELS_COMMAND_LINE_H_

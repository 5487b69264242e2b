#include "models/command_line.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "nn/save.h"
#include "nn/train/interrupt.h"
#include "tensor/parallel.h"

ABSL_FLAG(int64_t, batch_size, 0, "examples per step; 0: the model's");
ABSL_FLAG(double, learning_rate, 0, "0: the model's");
ABSL_FLAG(uint64_t, seed, 1, "of the initial weights and of the data's order");
ABSL_FLAG(int, threads, 0, "0: one per core");
ABSL_FLAG(bool, quiet, false, "print only the last line");
ABSL_FLAG(std::string, load, "",
          "safetensors file with the weights to begin with, as --save writes it");
ABSL_FLAG(std::string, save, "",
          "safetensors file to write the weights to after training, Ctrl-C included");

namespace wengert {
namespace {

absl::Status CheckFlags() {
  const int threads = absl::GetFlag(FLAGS_threads);
  absl::Status status =
      CheckNotNegative({{"batch_size", absl::GetFlag(FLAGS_batch_size)}, {"threads", threads}});
  if (!status.ok()) return status;
  constexpr int kMostThreads = 1024;
  if (threads > kMostThreads) {
    return absl::InvalidArgumentError(absl::StrCat("--threads: at most ", kMostThreads));
  }
  const double rate = absl::GetFlag(FLAGS_learning_rate);
  if (!(rate >= 0 && std::isfinite(rate))) {
    return absl::InvalidArgumentError(absl::StrCat("--learning_rate=", rate, " is not a rate"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckNotNegative(
    std::initializer_list<std::pair<std::string_view, int64_t>> names_and_values) {
  for (const auto& [name, value] : names_and_values) {
    if (value < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", std::string(name), "=", value, " is negative"));
    }
  }
  return absl::OkStatus();
}

absl::Status LoadWeights(const std::vector<NamedParameter>& weights) {
  if (const std::string path = absl::GetFlag(FLAGS_load); !path.empty()) {
    if (absl::Status status = Load(weights, path); !status.ok()) return status;
  }
  if (const std::string path = absl::GetFlag(FLAGS_save); !path.empty()) {
    // Begun and dropped.
    if (const auto file = OutputFile::Create(path); !file.ok()) return file.status();
  }
  return absl::OkStatus();
}

absl::Status SaveWeights(const std::vector<NamedParameter>& weights) {
  const std::string path = absl::GetFlag(FLAGS_save);
  if (path.empty()) return absl::OkStatus();
  absl::Status status = Save(weights, path);
  if (status.ok() && !absl::GetFlag(FLAGS_quiet)) std::printf("Saved to %s\n", path.c_str());
  return status;
}

bool FlagGiven(std::string_view flag) {
  const absl::CommandLineFlag* found =
      absl::FindCommandLineFlag(absl::string_view(flag.data(), flag.size()));
  return found != nullptr && found->CurrentValue() != found->DefaultValue();
}

namespace {

// `run` gets the arguments that are not flags.
int Main(int argc, char** argv, std::string_view name, std::string_view usage,
         absl::FunctionRef<absl::StatusOr<int>(const std::vector<char*>&)> run) {
  const std::string program(name);
  const auto fail = [&](const std::string& message) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
    return EXIT_FAILURE;
  };
  absl::SetProgramUsageMessage(std::string(usage));
  absl::FlagsUsageConfig config;  // else --help shows the flags of the program's own file only
  config.contains_help_flags = [](absl::string_view file) {
    return absl::StrContains(file, "models/");
  };
  absl::SetFlagsUsageConfig(config);
  std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  arguments.erase(arguments.begin());  // the program
  // `bazel run` starts programs in a folder of its own: paths are meant from where the user is.
  if (const char* folder = std::getenv("BUILD_WORKING_DIRECTORY")) {
    std::error_code error;
    std::filesystem::current_path(folder, error);
    if (error) return fail(absl::StrCat(folder, ": ", error.message()));
  }
  try {
    const InterruptScope interrupt;  // before there are threads
    if (absl::Status status = CheckFlags(); !status.ok()) {
      return fail(std::string(status.message()));
    }
    if (const int threads = absl::GetFlag(FLAGS_threads); threads > 0) SetNumThreads(threads);
    const absl::StatusOr<int> exit_code = run(arguments);
    return exit_code.ok() ? *exit_code : fail(std::string(exit_code.status().message()));
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

absl::Status Unexpected(const char* argument) {
  return absl::InvalidArgumentError(absl::StrCat("unexpected argument \"", argument, "\""));
}

}  // namespace

int RunMain(int argc, char** argv, std::string_view name, std::string_view usage,
            absl::FunctionRef<absl::StatusOr<int>()> run) {
  return Main(argc, argv, name, usage,
              [&](const std::vector<char*>& arguments) -> absl::StatusOr<int> {
                if (!arguments.empty()) return Unexpected(arguments[0]);
                return run();
              });
}

int RunMain(int argc, char** argv, std::string_view name, std::string_view usage,
            const std::vector<Command>& commands) {
  return Main(
      argc, argv, name, usage, [&](const std::vector<char*>& arguments) -> absl::StatusOr<int> {
        std::string known;
        for (const Command& command : commands) {
          absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(command.name));
          if (arguments.empty() || arguments[0] != command.name) continue;
          if (arguments.size() > 1) return Unexpected(arguments[1]);
          for (const std::string_view flag : command.other_flags) {
            if (!FlagGiven(flag)) continue;
            return absl::InvalidArgumentError(absl::StrCat(
                "--", std::string(flag), " means nothing to ", std::string(command.name)));
          }
          return command.run();
        }
        const std::string given = arguments.empty()
                                      ? "no command"
                                      : absl::StrCat("unknown command \"", arguments[0], "\"");
        return absl::InvalidArgumentError(absl::StrCat(given, "; known: ", known));
      });
}

}  // namespace wengert

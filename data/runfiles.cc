// The places where Bazel keeps runfiles on Linux.
#include "data/runfiles.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace wengert {
namespace {

constexpr char kWorkspace[] = "wengert";  // as in WORKSPACE

}  // namespace

absl::StatusOr<std::string> FindDataFolder(const std::string& name) {
  std::vector<std::string> places;
  if (const char* runfiles = std::getenv("RUNFILES_DIR")) {
    places.push_back(absl::StrCat(runfiles, "/", kWorkspace, "/", name));
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    places.push_back(absl::StrCat(program.string(), ".runfiles/", kWorkspace, "/", name));
  }
  places.push_back(name);
  for (const std::string& place : places) {
    if (std::filesystem::is_directory(place, error)) return place;
  }
  places.back() = absl::StrCat(std::filesystem::current_path(error).string(), "/", name);
  return absl::NotFoundError(
      absl::StrCat("no folder ", name, "; looked for ", absl::StrJoin(places, ", "),
                   ". Name the folder, or start the program with bazel run"));
}

}  // namespace wengert

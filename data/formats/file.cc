// Files through stdio; what stdio cannot say (syncing) through POSIX.
#include "data/formats/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wengert {

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return absl::ErrnoToStatus(errno, path);
  return InputFile(path, file);
}

absl::StatusOr<int64_t> InputFile::Read(absl::Span<char> buffer) {
  const size_t bytes = std::fread(buffer.data(), 1, buffer.size(), file_.get());
  // A directory opens like a file and fails here.
  if (bytes < buffer.size() && std::ferror(file_.get())) return absl::ErrnoToStatus(errno, path_);
  return static_cast<int64_t>(bytes);
}

absl::StatusOr<std::string> InputFile::ReadAtMost(int64_t bytes) {
  constexpr int64_t kChunk = 1 << 18;
  std::string result;
  for (;;) {
    const int64_t before = static_cast<int64_t>(result.size());
    const int64_t wanted = std::min(kChunk, bytes - before);
    result.resize(before + wanted);
    const absl::StatusOr<int64_t> read =
        Read({result.data() + before, static_cast<size_t>(wanted)});
    if (!read.ok()) return read.status();
    if (*read < wanted || before + wanted == bytes) {
      result.resize(before + *read);
      return result;
    }
  }
}

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::file_status there = fs::status(path, ignored);
  if (fs::is_directory(there)) return absl::ErrnoToStatus(EISDIR, path);
  // Say, /dev/null: renaming would replace it.
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file"));
  }
  if (fs::exists(there) && access(path.c_str(), W_OK) != 0) return absl::ErrnoToStatus(errno, path);
  std::error_code missing;
  fs::path target = fs::canonical(path, missing);
  if (missing) target = path;

  static std::atomic<int> counter = 0;
  for (;;) {
    const std::string temporary =
        absl::StrCat(target.string(), ".", getpid(), "-", counter++, ".tmp");
    // x: only if new. (mkstemp would make a file that only its owner may read.)
    std::FILE* file = std::fopen(temporary.c_str(), "wbxe");
    if (file != nullptr) return OutputFile(path, target.string(), temporary, file);
    if (errno != EEXIST) return absl::ErrnoToStatus(errno, path);
  }
}

OutputFile::~OutputFile() {
  if (file_) unlink(temporary_.c_str());
}

absl::Status OutputFile::Write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size()) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, path_);
}

absl::Status OutputFile::Commit() {
  // The contents before the name: else a power cut could leave the name with half a file.
  const bool written = std::fflush(file_.get()) == 0 && fsync(fileno(file_.get())) == 0;
  if (!written || std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, path_);  // the destructor removes the temporary file
  }
  file_.reset();
  const std::string folder = (std::filesystem::path(target_).parent_path() / ".").string();
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some file systems cannot do this, and say EINVAL.
  const bool synced = descriptor >= 0 && (fsync(descriptor) == 0 || errno == EINVAL);
  const absl::Status status = synced ? absl::OkStatus() : absl::ErrnoToStatus(errno, folder);
  if (descriptor >= 0) close(descriptor);
  return status;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> bytes = file->ReadAtMost(max_bytes);
  if (!bytes.ok()) return bytes;
  char next;
  const absl::StatusOr<int64_t> more = file->Read({&next, 1});
  if (!more.ok()) return more.status();
  if (*more > 0) return FileTooLarge(path, max_bytes);
  return bytes;
}

absl::Status BadFile(const std::string& path, int64_t offset, const std::string& message) {
  return absl::DataLossError(absl::StrCat(path, ": at byte ", offset, ": ", message));
}

absl::Status FileTooLarge(const std::string& path, int64_t max_bytes) {
  return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", max_bytes, " bytes"));
}

std::string ShownName(std::string_view name) {
  size_t length = std::min<size_t>(name.size(), 200);
  // Not in the middle of a character.
  while (length > 0 && length < name.size() && (name[length] & 0xc0) == 0x80) --length;
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(std::string(name.substr(0, length))), "\"",
                      length < name.size() ? "..." : "");
}

}  // namespace wengert

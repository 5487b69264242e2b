// Reading through stdio.
#include "data/formats/file.h"

#include <cerrno>

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

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  std::string result;
  std::string chunk(1 << 18, '\0');
  for (;;) {
    const absl::StatusOr<int64_t> bytes = file->Read(absl::MakeSpan(chunk));
    if (!bytes.ok()) return bytes.status();
    if (*bytes > max_bytes - static_cast<int64_t>(result.size())) {
      return FileTooLarge(path, max_bytes);
    }
    result.append(chunk, 0, *bytes);
    if (*bytes < static_cast<int64_t>(chunk.size())) return result;
  }
}

absl::Status BadFile(const std::string& path, int64_t offset, const std::string& message) {
  return absl::DataLossError(absl::StrCat(path, ": at byte ", offset, ": ", message));
}

absl::Status FileTooLarge(const std::string& path, int64_t max_bytes) {
  return absl::ResourceExhaustedError(absl::StrCat(path, ": more than ", max_bytes, " bytes"));
}

}  // namespace wengert

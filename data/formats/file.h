// Reads files in pieces, words what is wrong with them by file and offset, and writes files whole
// or not at all.
#ifndef WENGERT_DATA_FORMATS_FILE_H_
#define WENGERT_DATA_FORMATS_FILE_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace wengert {

namespace internal {
struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;
}  // namespace internal

// A file that is open for reading, from its first byte to its last.
class InputFile {
 public:
  static absl::StatusOr<InputFile> Open(const std::string& path);

  // Fills `buffer`; fewer bytes come only at the end of the file.
  absl::StatusOr<int64_t> Read(absl::Span<char> buffer);
  // The next `bytes`; fewer come only at the end of the file. Memory grows with what was really
  // read.
  absl::StatusOr<std::string> ReadAtMost(int64_t bytes);

 private:
  InputFile(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  internal::FilePtr file_;
};

// A file that is written whole or not at all: what is at `path` stays as it is until Commit puts
// the new file in its place. Until then the bytes are in a temporary file in the same folder, which
// goes with this object.
class OutputFile {
 public:
  // A symbolic link keeps its place: what it points to is replaced. Fails when `path` is something
  // other than a regular file, or write-protected, or its folder takes no file.
  static absl::StatusOr<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&&) = default;
  ~OutputFile();

  absl::Status Write(std::string_view bytes);
  // Once, as the last call. When it is OK the file will survive a power cut; when it is not, what
  // was at `path` is there still (but if only the very last step failed: that the folder, too, is
  // on the disk).
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string target, std::string temporary, std::FILE* file)
      : path_(std::move(path)),
        target_(std::move(target)),
        temporary_(std::move(temporary)),
        file_(file) {}

  std::string path_;  // for messages
  std::string target_, temporary_;
  internal::FilePtr file_;  // null after Commit, and when moved from
};

// The whole file, unless it has more than `max_bytes`. Memory grows with what was really read.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// kDataLoss, "train-labels-idx1-ubyte: at byte 4: <message>": the contents are not what they must
// be.
absl::Status BadFile(const std::string& path, int64_t offset, const std::string& message);
// kResourceExhausted, "train-labels-idx1-ubyte: more than 100 bytes".
absl::Status FileTooLarge(const std::string& path, int64_t max_bytes);

// A name out of a file as a message may show it: quoted, on one line, at most 200 bytes of it.
std::string ShownName(std::string_view name);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_FILE_H_

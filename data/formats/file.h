// Reads files in pieces, and words what is wrong with them: by file and offset.
#ifndef WENGERT_DATA_FORMATS_FILE_H_
#define WENGERT_DATA_FORMATS_FILE_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace wengert {

// A file that is open for reading, from its first byte to its last.
class InputFile {
 public:
  static absl::StatusOr<InputFile> Open(const std::string& path);

  // Fills `buffer`; fewer bytes come only at the end of the file.
  absl::StatusOr<int64_t> Read(absl::Span<char> buffer);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  InputFile(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// The whole file, unless it has more than `max_bytes`. Memory grows with what was really read.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// kDataLoss, "train-labels-idx1-ubyte: at byte 4: <message>": the contents are not what they must
// be.
absl::Status BadFile(const std::string& path, int64_t offset, const std::string& message);
// kResourceExhausted, "train-labels-idx1-ubyte: more than 100 bytes".
absl::Status FileTooLarge(const std::string& path, int64_t max_bytes);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_FILE_H_

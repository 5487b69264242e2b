// gzip through zlib's inflate.
#include "data/formats/gzip.h"

#include <zlib.h>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "data/formats/file.h"

namespace wengert {
namespace {

constexpr int kGzipOnly = 15 + 16;  // zlib's code: the largest window, a gzip header
constexpr int64_t kMagicBytes = 2;

// What zlib found wrong in the member that begins at `member`.
absl::Status Damaged(const std::string& path, int64_t member, const z_stream& stream) {
  const int64_t read = static_cast<int64_t>(stream.total_in);
  if (read > kMagicBytes) {
    return BadFile(path, member + read, absl::StrCat("damaged gzip data: ", stream.msg));
  }
  return BadFile(path, member, member == 0 ? "not a gzip file" : "not gzip, after gzip data");
}

}  // namespace

absl::StatusOr<std::string> ReadGzip(const std::string& path, int64_t max_bytes) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();

  z_stream stream = {};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": no memory to unpack it"));
  }
  absl::Cleanup end = [&stream] { inflateEnd(&stream); };

  std::string result;
  std::string packed(1 << 16, '\0'), unpacked(1 << 18, '\0');
  int64_t member = 0;  // offset of the current member
  for (;;) {
    // While zlib fills the whole buffer it may hold more output back.
    if (stream.avail_in == 0 && stream.avail_out > 0) {
      const absl::StatusOr<int64_t> bytes = file->Read(absl::MakeSpan(packed));
      if (!bytes.ok()) return bytes.status();
      if (*bytes == 0) break;
      stream.next_in = reinterpret_cast<Bytef*>(packed.data());
      stream.avail_in = static_cast<uInt>(*bytes);
    }
    stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
    stream.avail_out = static_cast<uInt>(unpacked.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    if (code == Z_MEM_ERROR) {
      return absl::ResourceExhaustedError(absl::StrCat(path, ": no memory to unpack it"));
    }
    // Z_BUF_ERROR only says that more input is wanted.
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return Damaged(path, member, stream);
    }
    const int64_t bytes = static_cast<int64_t>(unpacked.size() - stream.avail_out);
    if (bytes > max_bytes - static_cast<int64_t>(result.size())) {
      return FileTooLarge(absl::StrCat(path, " (unpacked)"), max_bytes);
    }
    result.append(unpacked, 0, bytes);
    if (code == Z_STREAM_END) {
      member += static_cast<int64_t>(stream.total_in);
      inflateReset(&stream);  // sets total_in to 0
    }
  }
  const int64_t file_size = member + static_cast<int64_t>(stream.total_in);
  if (file_size == 0) return BadFile(path, 0, "the file is empty");
  if (stream.total_in > 0) return BadFile(path, file_size, "the file ends inside its gzip data");
  return result;
}

}  // namespace wengert

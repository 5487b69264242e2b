// The IDX format as http://yann.lecun.com/exdb/mnist describes it: all numbers are big-endian.
#include "data/formats/idx.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/formats/file.h"
#include "data/formats/gzip.h"

namespace wengert {
namespace {

constexpr uint32_t kUnsignedBytes = 0x0800;

uint32_t BigEndian32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

absl::StatusOr<Tensor> ParseIdx(std::string_view bytes, int rank, const std::string& path) {
  const int64_t size = static_cast<int64_t>(bytes.size());
  const uint32_t expected_magic = kUnsignedBytes | static_cast<uint32_t>(rank);
  if (size >= 4 && BigEndian32(bytes.data()) != expected_magic) {
    return BadFile(
        path, 0,
        absl::StrFormat("magic 0x%08x, expected 0x%08x (unsigned bytes, %d dimension%s)",
                        BigEndian32(bytes.data()), expected_magic, rank, rank == 1 ? "" : "s"));
  }
  if (size < IdxDataOffset(rank)) return BadFile(path, size, "the file ends inside its header");

  Shape shape;
  for (int axis = 0; axis < rank; ++axis) {
    shape.Append(BigEndian32(bytes.data() + 4 + 4 * axis));
    if (shape[axis] == 0) {
      return BadFile(path, 4 + 4 * axis, absl::StrCat("dimension ", axis, " is 0"));
    }
  }
  const int64_t available = size - IdxDataOffset(rank);
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    // At each step and by division: the whole product may overflow.
    if (dim > available / elements) {
      return BadFile(path, size,
                     absl::StrCat("the file ends before its ", ToString(shape), " elements do"));
    }
    elements *= dim;
  }
  if (elements < available) {
    return BadFile(
        path, IdxDataOffset(rank) + elements,
        absl::StrCat(available - elements, " more bytes after the ", ToString(shape), " elements"));
  }
  Tensor result = Tensor::Empty(shape, DType::kUInt8);
  std::memcpy(result.mutable_data<uint8_t>(), bytes.data() + IdxDataOffset(rank), elements);
  return result;
}

absl::StatusOr<Tensor> ReadIdx(const std::string& path, int rank, int64_t max_bytes) {
  const absl::StatusOr<std::string> bytes =
      absl::EndsWith(path, ".gz") ? ReadGzip(path, max_bytes) : ReadFile(path, max_bytes);
  if (!bytes.ok()) return bytes.status();
  return ParseIdx(*bytes, rank, path);
}

}  // namespace wengert

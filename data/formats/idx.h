// Reads IDX files, the format of MNIST: a magic number, the dimensions, the elements row by row.
#ifndef WENGERT_DATA_FORMATS_IDX_H_
#define WENGERT_DATA_FORMATS_IDX_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace wengert {

// Where the elements begin: after the magic number and `rank` dimensions of 4 bytes each.
constexpr int64_t IdxDataOffset(int rank) { return 4 + 4 * rank; }

// The uint8 tensor in `bytes`, the contents of an IDX file of unsigned bytes with `rank` dimensions
// (1 to 8). `path` is for the messages only: "train-images-idx3-ubyte.gz: at byte 0: magic
// 0x00000801, expected 0x00000803 (unsigned bytes, 3 dimensions)".
absl::StatusOr<Tensor> ParseIdx(std::string_view bytes, int rank, const std::string& path);

// Reads the file, through gzip if `path` ends in .gz; offsets in messages about the IDX format are
// then those of the unpacked bytes. `max_bytes`: the most that the unpacked file may have.
absl::StatusOr<Tensor> ReadIdx(const std::string& path, int rank, int64_t max_bytes);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_IDX_H_

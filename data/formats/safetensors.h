// Reads and writes safetensors files, the format in which weights are exchanged
// (https://github.com/huggingface/safetensors): a JSON header with each tensor's name, dtype and
// shape, then the elements.
#ifndef WENGERT_DATA_FORMATS_SAFETENSORS_H_
#define WENGERT_DATA_FORMATS_SAFETENSORS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace wengert {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

using SafetensorsMetadata = std::map<std::string, std::string>;  // the header's __metadata__

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;  // in the order of their elements in the file
  SafetensorsMetadata metadata;
};

// dtypes: F32, F64, I64, I32, U8 and BOOL; kUnimplemented names the tensor that has another, or
// more than kMaxRank dimensions. Otherwise what the official reader refuses is refused, kDataLoss,
// and so are four things that it lets pass: a name that comes twice, keys that the format does not
// have, a header that does not begin with '{', bools other than 0 and 1. Memory grows with what was
// really read, whatever the header says.
absl::StatusOr<SafetensorsFile> ReadSafetensors(const std::string& path);

// Writes the bytes that the official writer would: tensors sorted by dtype, then by name (and
// metadata by key, which it leaves to chance). The elements of any view are written row by row. The
// file is written whole or not at all, see OutputFile. Names that are not distinct or not UTF-8,
// the name "__metadata__" and undefined tensors throw Error.
absl::Status WriteSafetensors(const std::string& path, absl::Span<const NamedTensor> tensors,
                              const SafetensorsMetadata& metadata = {});

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_SAFETENSORS_H_

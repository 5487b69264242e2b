// The header of a safetensors file: from JSON, checked, and to JSON.
#ifndef WENGERT_DATA_FORMATS_SAFETENSORS_HEADER_H_
#define WENGERT_DATA_FORMATS_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace wengert {

constexpr int64_t kSafetensorsHeaderOffset = 8;  // after the header's length
constexpr int64_t kMaxSafetensorsHeaderBytes = 100'000'000;
constexpr char kSafetensorsMetadataKey[] = "__metadata__";  // so no tensor has this name

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kBool;
  Shape shape;
  // Of its bytes, counted from the end of the header.
  int64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // each begins where the one before it ends
  std::map<std::string, std::string> metadata;
};

// Errors are those of ReadSafetensors; `path` is for the messages. Memory is proportional to
// `json`.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         const std::string& path);

// The official writer's text, padded with spaces to a multiple of 8. Throws Error when a name or
// the metadata are not UTF-8.
std::string SafetensorsHeaderText(const SafetensorsHeader& header);

// The rank of a dtype in the order in which the official writer stores tensors.
int SafetensorsOrder(DType dtype);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_SAFETENSORS_HEADER_H_

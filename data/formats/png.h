// Reads and writes PNG files (https://www.w3.org/TR/png).
#ifndef WENGERT_DATA_FORMATS_PNG_H_
#define WENGERT_DATA_FORMATS_PNG_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace wengert {

inline constexpr int64_t kMaxPngPixels = int64_t{1} << 26;
inline constexpr int64_t kMaxPngBytes = int64_t{1} << 28;  // of a file that is read

// uint8 [H, W, C]: C is 1 for grey files and 3 (red, green, blue) for those with colours or a
// palette. All kinds are converted: samples of 1, 2, 4 and 16 bits, interlaced rows; what is
// transparent lies on white; another gamma becomes that of sRGB. A file that is missing, damaged,
// cut short, larger than the limits or no PNG is an error that names it; so is a wrong check sum in
// any chunk. What follows the last chunk is not looked at.
absl::StatusOr<Tensor> ReadPng(const std::string& path);

// pixels: uint8 [H, W, 1] (grey) or [H, W, 3]; else, or with no pixels or more than kMaxPngPixels,
// throws Error. The file is written whole or not at all, see OutputFile.
absl::Status WritePng(const std::string& path, const Tensor& pixels,
                      SourceLocation where = SourceLocation::current());

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_PNG_H_

// Reads gzip files (RFC 1952).
#ifndef WENGERT_DATA_FORMATS_GZIP_H_
#define WENGERT_DATA_FORMATS_GZIP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace wengert {

// The unpacked contents of the file: of all its members, if several were concatenated. An error
// names the file and the offset in it (of the packed bytes): it is missing, not gzip, cut short,
// damaged (every member's CRC and length are checked), followed by something else, or unpacks to
// more than `max_bytes`. Memory grows with what was really unpacked, whatever a header says.
absl::StatusOr<std::string> ReadGzip(const std::string& path, int64_t max_bytes);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_GZIP_H_

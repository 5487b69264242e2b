// UTF-8 to Unicode code points and back (RFC 3629).
#ifndef WENGERT_DATA_FORMATS_UTF8_H_
#define WENGERT_DATA_FORMATS_UTF8_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wengert {

// Strict: what is cut short, longer than needed, a surrogate or above U+10FFFF is an error, with
// the offset of its first byte. `path` is for the message: "a.txt: at byte 7: not UTF-8 (0xc3
// 0x28)".
absl::StatusOr<std::u32string> DecodeUtf8(std::string_view bytes, const std::string& path);

// Throws Error on what is no code point that UTF-8 can hold.
void AppendUtf8(char32_t code_point, std::string& bytes);
std::string EncodeUtf8(std::u32string_view text);

// As a message names it: "U+00E9 'é'", or "U+000A" where there is nothing to see.
std::string ShownCodePoint(char32_t code_point);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_UTF8_H_

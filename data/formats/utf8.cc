#include "data/formats/utf8.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/formats/file.h"
#include "tensor/error.h"

namespace wengert {
namespace {

bool IsCodePoint(char32_t c) { return c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF); }

// How many bytes the sequence that begins with `lead` has; 0: none begins with it.
size_t SequenceLength(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

// The code point at the beginning of `bytes`, and its length; length 0 where there is none.
struct Decoded {
  char32_t code_point;
  size_t length;
};
Decoded DecodeOne(std::string_view bytes) {
  const uint8_t lead = static_cast<uint8_t>(bytes[0]);
  const size_t length = SequenceLength(lead);
  if (length <= 1) return {lead, length};
  if (bytes.size() < length) return {0, 0};
  char32_t c = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    const uint8_t next = static_cast<uint8_t>(bytes[i]);
    if ((next & 0xC0) != 0x80) return {0, 0};
    c = c << 6 | (next & 0x3F);
  }
  constexpr char32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};  // that needs so many bytes
  return {c, c >= kFirst[length] && IsCodePoint(c) ? length : 0};
}

}  // namespace

absl::StatusOr<std::u32string> DecodeUtf8(std::string_view bytes, const std::string& path) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const auto [code_point, length] = DecodeOne(bytes.substr(at));
    if (length == 0) {
      std::string shown;
      for (const char byte : bytes.substr(at, 4)) {
        absl::StrAppendFormat(&shown, "%s0x%02x", shown.empty() ? "" : " ",
                              static_cast<uint8_t>(byte));
      }
      return BadFile(path, static_cast<int64_t>(at), absl::StrCat("not UTF-8 (", shown, ")"));
    }
    text += code_point;
    at += length;
  }
  return text;
}

void AppendUtf8(char32_t c, std::string& bytes) {
  if (!IsCodePoint(c)) {
    throw Error("utf8", absl::StrFormat("0x%x is no code point", static_cast<uint32_t>(c)));
  }
  const auto continuation = [c](int shift) {
    return static_cast<char>(0x80 | (c >> shift & 0x3F));
  };
  if (c < 0x80) {
    bytes += static_cast<char>(c);
    return;
  }
  if (c < 0x800) {
    bytes += static_cast<char>(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    bytes += static_cast<char>(0xE0 | c >> 12);
    bytes += continuation(6);
  } else {
    bytes += static_cast<char>(0xF0 | c >> 18);
    bytes += continuation(12);
    bytes += continuation(6);
  }
  bytes += continuation(0);
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string bytes;
  for (const char32_t c : text) AppendUtf8(c, bytes);
  return bytes;
}

std::string ShownCodePoint(char32_t c) {
  std::string shown = absl::StrFormat("U+%04X", static_cast<uint32_t>(c));
  const bool control = c < 0x20 || (c >= 0x7F && c < 0xA0);
  if (!control && IsCodePoint(c)) absl::StrAppend(&shown, " '", EncodeUtf8({&c, 1}), "'");
  return shown;
}

}  // namespace wengert

#include "data/formats/utf8.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

std::string Message(std::string_view bytes) {
  const absl::StatusOr<std::u32string> text = DecodeUtf8(bytes, "a.txt");
  EXPECT_EQ(text.status().code(), absl::StatusCode::kDataLoss) << bytes;
  return std::string(text.status().message());
}

// The examples of RFC 3629, section 7, and the ends of each length's range.
TEST(Utf8Test, DecodesAndEncodes) {
  const std::vector<std::pair<std::string, std::u32string>> pairs{
      {"", U""},
      {std::string(1, '\0'), std::u32string(1, U'\0')},
      {"A\xE2\x89\xA2\xCE\x91.", {0x41, 0x2262, 0x391, 0x2E}},
      {"\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4", {0xD55C, 0xAD6D, 0xC5B4}},
      {"\xEF\xBB\xBF\xF0\xA3\x8E\xB4", {0xFEFF, 0x233B4}},
      {"\x7F\xC2\x80\xDF\xBF", {0x7F, 0x80, 0x7FF}},
      {"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", {0x800, 0xD7FF, 0xE000, 0xFFFF}},
      {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", {0x10000, 0x10FFFF}},
  };
  for (const auto& [bytes, text] : pairs) {
    const absl::StatusOr<std::u32string> decoded = DecodeUtf8(bytes, "a.txt");
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, text);
    EXPECT_EQ(EncodeUtf8(text), bytes);
  }
}

TEST(Utf8Test, EveryCodePointComesBack) {
  std::u32string all;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c < 0xD800 || c > 0xDFFF) all += c;
  }
  const absl::StatusOr<std::u32string> decoded = DecodeUtf8(EncodeUtf8(all), "a.txt");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(*decoded == all);
}

TEST(Utf8Test, RefusesWhatIsNotUtf8AndNamesTheByte) {
  EXPECT_EQ(Message("ab\xC3("), "a.txt: at byte 2: not UTF-8 (0xc3 0x28)");
  EXPECT_EQ(Message("\xC3\xA9\x80z"), "a.txt: at byte 2: not UTF-8 (0x80 0x7a)");  // no lead
  for (const char* bad : {
           "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",  // longer than needed
           "\xED\xA0\x80", "\xED\xBF\xBF",                              // surrogates
           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xFE",      // above U+10FFFF
           "\xC2", "\xE2\x89", "\xF0\x90\x80",                          // cut short
           "\xE2\x41\x80", "\xE2\x89\x41", "\xF0\x90\x41\x80",          // no continuation
       }) {
    EXPECT_EQ(Message(std::string("\xE2\x89\xA2 x") + bad).find("a.txt: at byte 5: not UTF-8 (0x"),
              0u);
  }
}

TEST(Utf8Test, EncodesNothingElse) {
  std::string bytes;
  EXPECT_EQ(ThrownMessage([&] { AppendUtf8(0xD800, bytes); }), "[utf8] 0xd800 is no code point");
  EXPECT_EQ(ThrownMessage([&] { AppendUtf8(0x110000, bytes); }),
            "[utf8] 0x110000 is no code point");
  EXPECT_EQ(bytes, "");
}

TEST(Utf8Test, ShowsCodePoints) {
  EXPECT_EQ(ShownCodePoint(U'é'), "U+00E9 'é'");
  EXPECT_EQ(ShownCodePoint(0x1F600), "U+1F600 '\xF0\x9F\x98\x80'");
  EXPECT_EQ(ShownCodePoint('\n'), "U+000A");
  EXPECT_EQ(ShownCodePoint(0x7F), "U+007F");
}

}  // namespace
}  // namespace wengert

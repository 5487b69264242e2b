// Text for language models: files, a vocabulary of characters, and streams of chunks. A character
// is a Unicode code point.
#ifndef WENGERT_DATA_TEXT_H_
#define WENGERT_DATA_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace wengert {

// The characters of a UTF-8 file, unpacked if its name ends in .gz. An empty path stands for the
// embedded text, nine plays of Shakespeare's. A file without characters is an error.
absl::StatusOr<std::u32string> LoadText(const std::string& path = "");

// Numbers the characters of a text, in the order of their code points.
class Vocabulary {
 public:
  Vocabulary() = default;
  explicit Vocabulary(std::u32string_view text);  // every character that occurs in it

  int64_t size() const { return static_cast<int64_t>(characters_.size()); }
  const std::u32string& characters() const { return characters_; }  // rising
  bool Contains(char32_t character) const;
  // An error names the first character that is not here: "U+00E9 'é' at position 3 is not among the
  // 65 characters of the vocabulary". Positions count characters from 0.
  absl::StatusOr<std::vector<int32_t>> Encode(std::u32string_view text) const;

 private:
  std::u32string characters_;
};

// A text cut for truncated back-propagation through time: `streams` consecutive pieces of equal
// length, each cut into chunks of `steps` tokens. Row s * streams + b is chunk s of stream b, so
// batch s of a Loader that takes `streams` rows at a time, in order, goes on where batch s - 1
// ended, row by row. Less than a chunk of every stream is left out.
struct TextStreams {
  Tensor inputs;   // int32 [chunks * streams, steps]
  Tensor targets;  // the same shape: the token after each
};
// An error says how many tokens it takes: one chunk per stream, and one more.
absl::StatusOr<TextStreams> CutIntoStreams(absl::Span<const int32_t> tokens, int64_t streams,
                                           int64_t steps);

}  // namespace wengert

#endif  // WENGERT_DATA_TEXT_H_

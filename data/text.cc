#include "data/text.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "data/formats/gzip.h"
#include "data/formats/utf8.h"
#include "data/runfiles.h"

namespace wengert {

constexpr int64_t kMaxFileBytes = int64_t{1} << 28;

absl::StatusOr<std::u32string> LoadText(const std::string& path) {
  std::string name = path;
  if (path.empty()) {
    const absl::StatusOr<std::string> folder = FindDataFolder("data/text");
    if (!folder.ok()) return folder.status();
    name = absl::StrCat(*folder, "/shakespeare.txt.gz");
  }
  const absl::StatusOr<std::string> bytes =
      absl::EndsWith(name, ".gz") ? ReadGzip(name, kMaxFileBytes) : ReadFile(name, kMaxFileBytes);
  if (!bytes.ok()) return bytes.status();
  if (bytes->empty()) return BadFile(name, 0, "the text is empty");
  return DecodeUtf8(*bytes, name);
}

Vocabulary::Vocabulary(std::u32string_view text) : characters_(text) {
  std::sort(characters_.begin(), characters_.end());
  characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
}

bool Vocabulary::Contains(char32_t character) const {
  return std::binary_search(characters_.begin(), characters_.end(), character);
}

absl::StatusOr<std::vector<int32_t>> Vocabulary::Encode(std::u32string_view text) const {
  std::vector<int32_t> tokens;
  tokens.reserve(text.size());
  for (const char32_t character : text) {
    const auto found = std::lower_bound(characters_.begin(), characters_.end(), character);
    if (found == characters_.end() || *found != character) {
      return absl::InvalidArgumentError(absl::StrCat(ShownCodePoint(character), " at position ",
                                                     tokens.size(), " is not among the ", size(),
                                                     " characters of the vocabulary"));
    }
    tokens.push_back(static_cast<int32_t>(found - characters_.begin()));
  }
  return tokens;
}

absl::StatusOr<TextStreams> CutIntoStreams(absl::Span<const int32_t> tokens, int64_t streams,
                                           int64_t steps) {
  if (streams < 1 || steps < 1) {
    throw Error("text_streams", absl::StrCat(streams, " streams of ", steps, " steps"));
  }
  const int64_t available = static_cast<int64_t>(tokens.size()) - 1;  // the last one is no input
  const int64_t chunks = std::max<int64_t>(0, available) / streams / steps;
  if (chunks == 0) {
    return absl::InvalidArgumentError(absl::StrCat("the text is too short: ", tokens.size(),
                                                   " characters, but ", streams, " streams of ",
                                                   steps, " steps each, and one more, are needed"));
  }
  TextStreams result{Tensor::Empty({chunks * streams, steps}, DType::kInt32),
                     Tensor::Empty({chunks * streams, steps}, DType::kInt32)};
  int32_t* inputs = result.inputs.mutable_data<int32_t>();
  int32_t* targets = result.targets.mutable_data<int32_t>();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t stream = 0; stream < streams; ++stream) {
      const int64_t row = chunk * streams + stream;
      const int32_t* from = tokens.data() + (stream * chunks + chunk) * steps;
      std::copy_n(from, steps, inputs + row * steps);
      std::copy_n(from + 1, steps, targets + row * steps);
    }
  }
  return result;
}

}  // namespace wengert

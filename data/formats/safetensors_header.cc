#include "data/formats/safetensors_header.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/formats/file.h"
#include "nlohmann/json.hpp"
#include "tensor/error.h"

namespace wengert {
namespace {

using Json = nlohmann::json;

// In the order of the official writer: elements with the strictest alignment first.
constexpr std::pair<DType, std::string_view> kDTypes[] = {
    {DType::kInt64, "I64"}, {DType::kFloat64, "F64"}, {DType::kFloat32, "F32"},
    {DType::kInt32, "I32"}, {DType::kUInt8, "U8"},    {DType::kBool, "BOOL"}};
static_assert(std::size(kDTypes) == kNumDTypes);

// What a tensor may have. A dimension of 0 counts as 1, as it does there.
constexpr int64_t kMostBytes = int64_t{1} << 62;

// The bytes of a tensor, or -1 when it is impossible.
int64_t Bytes(const SafetensorsEntry& entry) {
  int64_t bytes = SizeOf(entry.dtype);
  bool empty = false;
  for (const int64_t dim : entry.shape) {
    empty |= dim == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(dim, 1), &bytes) || bytes > kMostBytes) {
      return -1;
    }
  }
  return empty ? 0 : bytes;
}

// Takes the header from the parser's events. Whatever is not where the format wants it ends the
// parsing: nothing nests without end, and nothing is kept that is not used.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(std::string path) : path_(std::move(path)) {}

  absl::Status status;
  SafetensorsHeader header;

  bool null() override { return Refuse("null"); }
  bool boolean(bool) override { return Refuse("a bool"); }
  bool number_integer(int64_t) override { return Refuse("a negative number"); }
  bool number_float(double, const std::string&) override {
    return Refuse("a number that is not a 64-bit integer");
  }
  bool binary(Json::binary_t&) override { return Refuse("binary data"); }

  bool number_unsigned(uint64_t number) override {
    if (at_ != At::kShape && at_ != At::kOffsets) return Refuse("a number");
    if (number > kMostBytes) return FailTensor(absl::StrCat("has ", number, " in ", key_));
    if (at_ == At::kOffsets) {
      if (++num_offsets_ > 2) return FailTensor("has more than two data_offsets");
      (num_offsets_ == 1 ? entry().begin : entry().end) = static_cast<int64_t>(number);
      return true;
    }
    if (entry().shape.rank() == kMaxRank) {
      return Unsupported(absl::StrCat("has more than ", kMaxRank, " dimensions"));
    }
    entry().shape.Append(static_cast<int64_t>(number));
    return true;
  }

  bool string(std::string& text) override {
    if (at_ == At::kMetadataValue) {
      header.metadata[key_] = std::move(text);
      at_ = At::kMetadata;
      return true;
    }
    if (at_ != At::kDType) return Refuse("a string");
    const auto* known = std::find_if(std::begin(kDTypes), std::end(kDTypes),
                                     [&](const auto& pair) { return pair.second == text; });
    if (known == std::end(kDTypes)) {
      return Unsupported(
          absl::StrCat("has dtype ", ShownName(text), "; known: I64, F64, F32, I32, U8, BOOL"));
    }
    entry().dtype = known->first;
    at_ = At::kTensor;
    return true;
  }

  bool start_object(size_t) override {
    if (at_ == At::kStart) {
      at_ = At::kRoot;
    } else if (at_ == At::kRootValue && key_ == kSafetensorsMetadataKey) {
      at_ = At::kMetadata;
    } else if (at_ == At::kRootValue) {
      at_ = At::kTensor;
      header.entries.push_back({.name = key_});
      has_dtype_ = has_shape_ = has_offsets_ = false;
    } else {
      return Refuse("an object");
    }
    return true;
  }

  bool key(std::string& key) override {
    if (at_ == At::kRoot) {
      if (!names_.insert(key).second) return Fail(ShownName(key), "comes twice");
      at_ = At::kRootValue;
    } else if (at_ == At::kMetadata) {
      if (header.metadata.contains(key)) return Fail("metadata " + ShownName(key), "comes twice");
      at_ = At::kMetadataValue;
    } else {
      bool* seen = nullptr;
      if (key == "dtype") {
        seen = &has_dtype_, at_ = At::kDType;
      } else if (key == "shape") {
        seen = &has_shape_, at_ = At::kShapeValue;
      } else if (key == "data_offsets") {
        seen = &has_offsets_, at_ = At::kOffsetsValue;
      } else {
        return FailTensor("has an unknown key " + ShownName(key));
      }
      if (std::exchange(*seen, true)) return FailTensor(absl::StrCat("has two keys ", key));
    }
    key_ = std::move(key);
    return true;
  }

  bool end_object() override {
    if (at_ == At::kTensor && !CheckTensor()) return false;
    at_ = at_ == At::kRoot ? At::kStart : At::kRoot;
    return true;
  }

  bool start_array(size_t) override {
    if (at_ == At::kShapeValue) {
      at_ = At::kShape;
    } else if (at_ == At::kOffsetsValue) {
      at_ = At::kOffsets;
      num_offsets_ = 0;
    } else {
      return Refuse("an array");
    }
    return true;
  }

  bool end_array() override {
    if (at_ == At::kOffsets && num_offsets_ < 2) {
      return FailTensor("has fewer than two data_offsets");
    }
    at_ = At::kTensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text goes on to quote all that it read last; wanted is what stands before.
    const std::string_view text = error.what();
    const size_t begin = text.find(" - "), end = text.find("; ", begin);
    const std::string reason(begin == text.npos ? "" : text.substr(begin, end - begin));
    status = BadFile(path_, kSafetensorsHeaderOffset + static_cast<int64_t>(position) - 1,
                     absl::StrCat("the header is not JSON", reason));
    return false;
  }

 private:
  // Where the parser is: in an object before a key, or before a value, or in an array.
  enum class At {
    kStart,
    kRoot,
    kRootValue,
    kMetadata,
    kMetadataValue,
    kTensor,
    kDType,
    kShapeValue,
    kShape,
    kOffsetsValue,
    kOffsets,
  };

  SafetensorsEntry& entry() { return header.entries.back(); }

  bool CheckTensor() {
    if (!has_dtype_) return FailTensor("has no dtype");
    if (!has_shape_) return FailTensor("has no shape");
    if (!has_offsets_) return FailTensor("has no data_offsets");
    const SafetensorsEntry& tensor = entry();
    const int64_t bytes = Bytes(tensor);
    if (bytes < 0) {
      return FailTensor(absl::StrCat("has an impossible shape: ", ToString(tensor.shape)));
    }
    // Both are in [0, 2^62].
    if (tensor.end - tensor.begin != bytes) {
      return FailTensor(absl::StrCat("has data_offsets [", tensor.begin, ",", tensor.end, "], but ",
                                     std::string(Name(tensor.dtype)), ToString(tensor.shape),
                                     " takes ", bytes, " bytes"));
    }
    return true;
  }

  bool Fail(std::string_view subject, std::string_view what) {
    status = absl::DataLossError(
        absl::StrCat(path_, ": ", std::string(subject), " ", std::string(what)));
    return false;
  }
  bool FailTensor(std::string_view what) { return Fail("tensor " + ShownName(entry().name), what); }
  bool Unsupported(std::string_view what) {
    FailTensor(what);
    status = absl::UnimplementedError(status.message());
    return false;
  }
  // A value of a kind that does not belong where it stands.
  bool Refuse(const std::string& kind) {
    switch (at_) {
      case At::kRootValue:
        return Fail(ShownName(key_), absl::StrCat("is ", kind, ", not an object"));
      case At::kMetadataValue:
        return Fail("metadata " + ShownName(key_), absl::StrCat("is ", kind, ", not a string"));
      case At::kDType:
        return FailTensor(absl::StrCat("has ", kind, " as dtype, not a string"));
      case At::kShapeValue:
      case At::kOffsetsValue:
        return FailTensor(absl::StrCat("has ", kind, " as ", key_, ", not an array"));
      default:  // in an array: nowhere else does the parser let a value stand
        return FailTensor(absl::StrCat("has ", kind, " in ", key_));
    }
  }

  const std::string path_;
  At at_ = At::kStart;
  std::string key_;
  absl::flat_hash_set<std::string> names_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;  // of the last entry
  int num_offsets_ = 0;
};

// As JSON; the library escapes what the official writer escapes.
std::string Quoted(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error("safetensors", ShownName(text) + " is not UTF-8");
  }
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         const std::string& path) {
  if (json.empty() || json.front() != '{') {
    return BadFile(path, kSafetensorsHeaderOffset,
                   "not a safetensors file: its header does not begin with {");
  }
  // The parser would take it for the end.
  if (const size_t zero = json.find('\0'); zero != json.npos) {
    return BadFile(path, kSafetensorsHeaderOffset + static_cast<int64_t>(zero),
                   "a zero byte in the header");
  }
  HeaderReader reader(path);
  if (!Json::sax_parse(json.begin(), json.end(), &reader)) return reader.status;

  // The header may list the tensors in any order.
  std::vector<SafetensorsEntry>& entries = reader.header.entries;
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  int64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != end) {
      return absl::DataLossError(absl::StrCat(
          path, ": tensor ", ShownName(entry.name), " begins at ", entry.begin,
          entry.begin < end ? ", before the last one ends, at " : ", after a hole that begins at ",
          end));
    }
    end = entry.end;
  }
  return std::move(reader.header);
}

std::string SafetensorsHeaderText(const SafetensorsHeader& header) {
  std::vector<std::string> items;
  if (!header.metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : header.metadata) {
      pairs.push_back(absl::StrCat(Quoted(key), ":", Quoted(value)));
    }
    items.push_back(
        absl::StrCat(Quoted(kSafetensorsMetadataKey), ":{", absl::StrJoin(pairs, ","), "}"));
  }
  for (const SafetensorsEntry& entry : header.entries) {
    const std::string dtype(kDTypes[SafetensorsOrder(entry.dtype)].second);
    items.push_back(absl::StrCat(Quoted(entry.name), ":{\"dtype\":\"", dtype,
                                 "\",\"shape\":", ToString(entry.shape), ",\"data_offsets\":[",
                                 entry.begin, ",", entry.end, "]}"));
  }
  std::string text = absl::StrCat("{", absl::StrJoin(items, ","), "}");
  text.append((8 - text.size() % 8) % 8, ' ');  // aligns the elements
  return text;
}

int SafetensorsOrder(DType dtype) {
  int i = 0;
  while (kDTypes[i].first != dtype) ++i;
  return i;
}

}  // namespace wengert

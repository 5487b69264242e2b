#include "data/formats/csv.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/formats/file.h"

namespace wengert {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {
    if (bytes_.substr(0, kByteOrderMark.size()) == kByteOrderMark) at_ = kByteOrderMark.size();
  }
  bool AtEnd() const { return at_ == bytes_.size(); }

  // The next row, which is there; leaves its line end behind.
  absl::Status Row(std::vector<std::string>& fields) {
    for (;;) {
      std::string& field = fields.emplace_back();
      const bool quoted = Next() == '"';
      if (absl::Status s = quoted ? Quoted(field) : Plain(field); !s.ok()) return s;
      if (AtEnd()) return absl::OkStatus();
      if (Next() == ',') {
        ++at_;
        continue;
      }
      if (Next() == '\r') ++at_;
      if (Next() != '\n') {
        return Bad(at_ - (at_ > 0 && bytes_[at_ - 1] == '\r'),
                   quoted ? "text after the closing quote" : "a carriage return alone");
      }
      ++at_;
      return absl::OkStatus();
    }
  }

 private:
  // The byte under way; '\0' at the end.
  char Next() const { return AtEnd() ? '\0' : bytes_[at_]; }
  absl::Status Bad(size_t at, const char* problem) const {
    return BadFile(path_, static_cast<int64_t>(at), problem);
  }
  absl::Status Plain(std::string& field) {
    for (; !AtEnd() && Next() != ',' && Next() != '\n' && Next() != '\r'; ++at_) {
      if (Next() == '"') return Bad(at_, "a quote within a field that does not begin with one");
      field += Next();
    }
    return absl::OkStatus();
  }
  absl::Status Quoted(std::string& field) {
    const size_t opening = at_++;
    for (;; ++at_) {
      if (AtEnd()) return Bad(opening, "a quote that is never closed");
      if (Next() == '"') {
        ++at_;
        if (AtEnd() || Next() != '"') return absl::OkStatus();
      }
      field += Next();
    }
  }

  std::string_view bytes_;
  const std::string& path_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<CsvTable> ParseCsv(std::string_view bytes, const std::string& path) {
  CsvTable table{.path = path, .header = {}, .rows = {}};
  Parser parser(bytes, path);
  if (parser.AtEnd()) return BadFile(path, 0, "no header");
  if (absl::Status status = parser.Row(table.header); !status.ok()) return status;
  while (!parser.AtEnd()) {
    std::vector<std::string> fields;
    if (absl::Status status = parser.Row(fields); !status.ok()) return status;
    if (fields.size() != table.header.size()) {
      return absl::DataLossError(absl::StrCat(path, ": row ", table.rows.size() + 2, " has ",
                                              fields.size(), " fields, the header ",
                                              table.header.size()));
    }
    table.rows.push_back(std::move(fields));
  }
  return table;
}

absl::StatusOr<CsvTable> ReadCsv(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, kMaxFileBytes);
  if (!bytes.ok()) return bytes.status();
  return ParseCsv(*bytes, path);
}

absl::StatusOr<std::vector<double>> CsvTable::Numbers(std::string_view column) const {
  const auto found = std::find(header.begin(), header.end(), column);
  if (found == header.end() || std::find(found + 1, header.end(), column) != header.end()) {
    const auto show = [](std::string* out, const std::string& name) { *out += ShownName(name); };
    return absl::NotFoundError(
        absl::StrCat(path, ": ", found == header.end() ? "no column " : "two columns ",
                     ShownName(column), "; there are ", absl::StrJoin(header, ", ", show)));
  }
  const size_t index = found - header.begin();
  std::vector<double> numbers;
  for (const std::vector<std::string>& row : rows) {
    const std::string& cell = row[index];
    double number;
    if (!absl::SimpleAtod(cell, &number) || !std::isfinite(number)) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": row ", numbers.size() + 2, ", column ", ShownName(column), ": ",
          cell.empty() ? "missing" : absl::StrCat(ShownName(cell), " is not a number")));
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace wengert

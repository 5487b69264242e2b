// Reads CSV files (RFC 4180) with a header row.
#ifndef WENGERT_DATA_FORMATS_CSV_H_
#define WENGERT_DATA_FORMATS_CSV_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace wengert {

struct CsvTable {
  std::string path;                            // for messages
  std::vector<std::string> header;             // the columns' names
  std::vector<std::vector<std::string>> rows;  // of as many fields each

  // The column as numbers. A cell that is empty or no finite number is an error: "sales.csv: row 7,
  // column "price": "n/a" is not a number". The header is row 1, as spreadsheets count. So is a
  // name that no column has, or two.
  absl::StatusOr<std::vector<double>> Numbers(std::string_view column) const;
};

// Fields are separated by commas, rows by LF or CRLF. A field in double quotes may hold commas,
// line ends, and quotes as two of them. Errors name the byte: a quote within a field that does not
// begin with one, text after a closing quote, a quote that is never closed, a carriage return
// alone; or the row that has more or fewer fields than the header. A byte order mark is skipped.
absl::StatusOr<CsvTable> ParseCsv(std::string_view bytes, const std::string& path);
absl::StatusOr<CsvTable> ReadCsv(const std::string& path);

}  // namespace wengert

#endif  // WENGERT_DATA_FORMATS_CSV_H_

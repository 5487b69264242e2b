#include "data/formats/csv.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"

namespace wengert {
namespace {

using Rows = std::vector<std::vector<std::string>>;

CsvTable Parsed(const std::string& bytes) {
  absl::StatusOr<CsvTable> table = ParseCsv(bytes, "a.csv");
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? *std::move(table) : CsvTable();
}
std::string Message(const std::string& bytes) {
  const absl::StatusOr<CsvTable> table = ParseCsv(bytes, "a.csv");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kDataLoss) << bytes;
  return std::string(table.status().message());
}

// The examples of RFC 4180, section 2.
TEST(CsvTest, FieldsOfTheRfc) {
  const CsvTable plain = Parsed("field_name,b,c\r\naaa,bbb,ccc\r\nzzz,yyy,xxx");
  EXPECT_EQ(plain.header, (std::vector<std::string>{"field_name", "b", "c"}));
  EXPECT_EQ(plain.rows, (Rows{{"aaa", "bbb", "ccc"}, {"zzz", "yyy", "xxx"}}));
  const CsvTable quoted =
      Parsed("a,b,c\r\n\"aaa\",\"b\r\nbb\",\"ccc\"\r\n\"aaa\",\"b\"\"bb\",\"c,c\"\r\n");
  EXPECT_EQ(quoted.rows, (Rows{{"aaa", "b\r\nbb", "ccc"}, {"aaa", "b\"bb", "c,c"}}));
}

TEST(CsvTest, LineEndsSpacesAndEmptyFields) {
  EXPECT_EQ(Parsed("a,b\n1,\n,2\n\"\",\"\"\"\"\n").rows, (Rows{{"1", ""}, {"", "2"}, {"", "\""}}));
  EXPECT_EQ(Parsed("a\n 1 \n").rows, (Rows{{" 1 "}}));
  EXPECT_EQ(Parsed("a,b").rows, Rows());
  EXPECT_EQ(Parsed("a,\n1,").rows, (Rows{{"1", ""}}));
  EXPECT_EQ(Parsed("a\n\n").rows, (Rows{{""}}));
  EXPECT_EQ(Parsed("\xEF\xBB\xBF\"a\"\n1\n").header, (std::vector<std::string>{"a"}));
}

TEST(CsvTest, NamesTheByte) {
  EXPECT_EQ(Message(""), "a.csv: at byte 0: no header");
  EXPECT_EQ(Message("a\n1\"2\n"),
            "a.csv: at byte 3: a quote within a field that does not begin with one");
  EXPECT_EQ(Message("a\n\"1\"2\n"), "a.csv: at byte 5: text after the closing quote");
  EXPECT_EQ(Message("a\n\"1\"\r2\n"), "a.csv: at byte 5: text after the closing quote");
  EXPECT_EQ(Message("a,b\n1,\"2\n"), "a.csv: at byte 6: a quote that is never closed");
  EXPECT_EQ(Message("a,b\n1,\""), "a.csv: at byte 6: a quote that is never closed");
  EXPECT_EQ(Message("a\r1\n"), "a.csv: at byte 1: a carriage return alone");
  EXPECT_EQ(Message("a\n1\r"), "a.csv: at byte 3: a carriage return alone");
}

TEST(CsvTest, EveryRowHasTheHeadersFields) {
  EXPECT_EQ(Message("a,b\n1,2\n3\n"), "a.csv: row 3 has 1 fields, the header 2");
  EXPECT_EQ(Message("a,b\n1,2,\n"), "a.csv: row 2 has 3 fields, the header 2");
  EXPECT_EQ(Message("a,b\n1,2\n\n"), "a.csv: row 3 has 1 fields, the header 2");
}

TEST(CsvTest, NumbersOfAColumn) {
  const CsvTable table =
      Parsed("day,\"price, in EUR\"\nMon,1\nTue,-2.5e3\n\"Wed\nnight\",\"+.5\"\n");
  const absl::StatusOr<std::vector<double>> numbers = table.Numbers("price, in EUR");
  ASSERT_TRUE(numbers.ok()) << numbers.status();
  EXPECT_EQ(*numbers, (std::vector<double>{1, -2500, 0.5}));
  EXPECT_EQ(table.Numbers("Price").status().message(),
            "a.csv: no column \"Price\"; there are \"day\", \"price, in EUR\"");
  EXPECT_EQ(Parsed("a,b,a\n").Numbers("a").status().message(),
            "a.csv: two columns \"a\"; there are \"a\", \"b\", \"a\"");
}

TEST(CsvTest, CellsThatAreNoNumbers) {
  for (const auto& [cell, problem] : std::vector<std::pair<std::string, std::string>>{
           {"", "missing"},
           {"n/a", "\"n/a\" is not a number"},
           {"1,5", "\"1,5\" is not a number"},
           {"1 2", "\"1 2\" is not a number"},
           {"nan", "\"nan\" is not a number"},
           {"inf", "\"inf\" is not a number"},
           {"1e999", "\"1e999\" is not a number"},
       }) {
    const CsvTable table = Parsed("day,price\nMon,1\nTue,\"" + cell + "\"\n");
    const absl::Status status = table.Numbers("price").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << cell;
    EXPECT_EQ(status.message(), "a.csv: row 3, column \"price\": " + problem);
  }
}

TEST(CsvTest, ReadsFiles) {
  const std::string path = TestFolder() + "/a.csv";
  EXPECT_EQ(ReadCsv(path).status().code(), absl::StatusCode::kNotFound);
  PutFile(path, "a\n1\n");
  const absl::StatusOr<CsvTable> table = ReadCsv(path);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->path, path);
  EXPECT_EQ(table->rows, (Rows{{"1"}}));
}

}  // namespace
}  // namespace wengert

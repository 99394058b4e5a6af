// Tables with a header row, as RFC 4180 writes them (quotes, embedded commas and newlines), read whole and
// without copies. A cell knows its place, so that a reader's error can say file:line:column.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/error.h"

namespace orrery {

class CsvTable {
 public:
  // Throws InputError for an empty file, a duplicate or empty column name, a row with another number of
  // cells, an open quote.
  // `#` lines before the header are skipped.
  CsvTable(std::string text, std::string file);

  const std::vector<std::string>& columns() const { return columns_; }
  size_t rows() const { return row_begin_.size(); }
  int find(std::string_view column) const;  // index, or -1
  int at(std::string_view column) const;    // throws InputError with the nearest name

  std::string_view cell(size_t row, int column) const;  // unquoted; "" for column -1
  double number(size_t row, int column) const;          // throws InputError
  double number_or(size_t row, int column,
                   double absent) const;  // `absent` for an empty cell and for column -1
  int64_t integer(size_t row, int column, int64_t low, int64_t high) const;
  int64_t integer_or(size_t row, int column, int64_t absent, int64_t low, int64_t high) const;
  Place place(size_t row, int column) const;
  [[noreturn]] void fail(size_t row, int column, const std::string& message) const;
  const std::string& file() const { return file_; }

 private:
  std::string file_, text_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> cells_;  // row-major; quoted cells with doubled quotes are unescaped in place
  std::vector<uint32_t> row_begin_;      // byte offset of each row in text_, for its place
  std::vector<uint32_t> row_line_;
};

CsvTable read_csv(const std::string& path);

// One row as RFC 4180 writes it, without the newline.
std::string csv_row(std::span<const std::string> cells);

}  // namespace orrery

#include "orrery/base/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

CsvTable::CsvTable(std::string text, std::string file) : file_(std::move(file)), text_(std::move(text)) {
  if (text_.size() > UINT32_MAX) throw InputError(Place{file_, 0, 0}, "is larger than 4 GiB; split it");
  char* const base = text_.data();
  char* const end = base + text_.size();
  char* at = base;
  if (text_.starts_with("\xEF\xBB\xBF")) at += 3;
  uint32_t line = 1;
  while (at < end && *at == '#') {
    at = std::find(at, end, '\n');
    if (at < end) ++at;
    ++line;
  }
  bool header = true;
  std::vector<std::string_view> row;
  while (at < end) {
    uint32_t row_line = line;
    char* row_start = at;
    row.clear();
    bool more = true;
    while (more) {
      char* begin = at;
      if (at < end && *at == '"') {
        char* out = ++at;
        begin = at;
        while (true) {
          if (at >= end) {
            int column = static_cast<int>(begin - row_start);
            throw InputError(Place{file_, static_cast<int>(row_line), column}, "this quote is never closed",
                             text_);
          }
          if (*at == '"' && at + 1 < end && at[1] == '"')
            ++at;
          else if (*at == '"')
            break;
          if (*at == '\n') ++line;
          *out++ = *at++;
        }
        row.emplace_back(begin, static_cast<size_t>(out - begin));
        std::fill(out, at, ' ');  // what unescaping left over; its newlines would be counted twice
        ++at;
        while (at < end && (*at == ' ' || *at == '\r')) ++at;
        if (at < end && *at != ',' && *at != '\n') {
          char* line_start = at;
          while (line_start > base && line_start[-1] != '\n') --line_start;
          throw InputError(Place{file_, static_cast<int>(line), static_cast<int>(at - line_start) + 1},
                           "text follows a closing quote; expected ',' or the end of the row (a quote inside "
                           "quotes is written twice)",
                           text_);
        }
      } else {
        while (at < end && *at != ',' && *at != '\n') ++at;
        char* stop = at;
        if (stop > begin && stop[-1] == '\r') --stop;
        row.emplace_back(begin, static_cast<size_t>(stop - begin));
      }
      more = at < end && *at == ',';
      if (at < end) ++at;
    }
    ++line;
    if (row.size() == 1 && row[0].empty()) continue;
    if (header) {
      for (std::string_view name : row) {
        name = trimmed(name);
        if (name.empty() || find(name) >= 0) {
          throw InputError(Place{file_, static_cast<int>(row_line), 1},
                           name.empty() ? "a column has no name"
                                        : fmt::format("column '{}' stands twice", printable(name)));
        }
        columns_.emplace_back(name);
      }
      header = false;
      continue;
    }
    if (row.size() != columns_.size()) {
      throw InputError(
          Place{file_, static_cast<int>(row_line), 1},
          fmt::format("this row has {} cells; expected {}, as in the header", row.size(), columns_.size()),
          text_);
    }
    cells_.insert(cells_.end(), row.begin(), row.end());
    row_begin_.push_back(static_cast<uint32_t>(row_start - base));
    row_line_.push_back(row_line);
  }
  if (header) throw InputError(Place{file_, 1, 1}, "is empty; expected a header row with column names");
}

int CsvTable::find(std::string_view column) const {
  auto found = std::find(columns_.begin(), columns_.end(), column);
  return found == columns_.end() ? -1 : static_cast<int>(found - columns_.begin());
}

int CsvTable::at(std::string_view column) const {
  int index = find(column);
  if (index < 0) {
    throw InputError(Place{file_, 1, 1}, fmt::format("column '{}' is missing from the header ({})", column,
                                                     join(columns_, ", ")));
  }
  return index;
}

std::string_view CsvTable::cell(size_t row, int column) const {
  return column < 0 ? std::string_view() : cells_[row * columns_.size() + static_cast<size_t>(column)];
}

double CsvTable::number(size_t row, int column) const {
  std::string_view text = trimmed(cell(row, column));
  double value = 0;
  auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || stop != text.data() + text.size() || !std::isfinite(value)) {
    fail(row, column,
         fmt::format("'{}' in column '{}' is not a number", printable(text, 40),
                     columns_[static_cast<size_t>(column)]));
  }
  return value;
}

double CsvTable::number_or(size_t row, int column, double absent) const {
  return trimmed(cell(row, column)).empty() ? absent : number(row, column);
}

int64_t CsvTable::integer(size_t row, int column, int64_t low, int64_t high) const {
  double value = number(row, column);
  if (value != std::floor(value) || value < static_cast<double>(low) || value > static_cast<double>(high)) {
    fail(row, column,
         fmt::format("'{}' in column '{}'; expected a whole number from {} to {}",
                     printable(cell(row, column), 40), columns_[static_cast<size_t>(column)], low, high));
  }
  constexpr double kTwoTo63 = 9223372036854775808.0;  // the first double past int64
  return value >= kTwoTo63 ? INT64_MAX : static_cast<int64_t>(value);
}

int64_t CsvTable::integer_or(size_t row, int column, int64_t absent, int64_t low, int64_t high) const {
  return trimmed(cell(row, column)).empty() ? absent : integer(row, column, low, high);
}

Place CsvTable::place(size_t row, int column) const {
  Place place{file_, static_cast<int>(row_line_[row]), 1};
  if (column >= 0) {  // a quoted cell before this one may span lines
    const char* line = text_.data() + row_begin_[row];
    const char* text = cell(row, column).data();
    for (const char* at = line; at < text; ++at) {
      if (*at == '\n') line = at + 1, ++place.line;
    }
    place.column = static_cast<int>(text - line) + 1;
  }
  return place;
}

void CsvTable::fail(size_t row, int column, const std::string& message) const {
  throw InputError(place(row, column), message, text_);
}

CsvTable read_csv(const std::string& path) {
  return CsvTable(read_file(path), path);
}

std::string csv_row(std::span<const std::string> cells) {
  std::string result;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i) result += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      result += cells[i];
      continue;
    }
    result += '"';
    for (char c : cells[i]) {
      if (c == '"') result += '"';
      result += c;
    }
    result += '"';
  }
  return result;
}

}  // namespace orrery

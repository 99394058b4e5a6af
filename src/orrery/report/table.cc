#include "orrery/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/csv.h"

namespace orrery::report {
namespace {

constexpr const char* kNothing = "–";

std::string group_thousands(const std::string& number) {
  std::string digits = number;
  size_t begin = digits.starts_with('-') ? 1 : 0;
  size_t end = std::min(digits.find('.'), digits.size());
  for (size_t i = end; i > begin + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

// Digits behind the point that show three significant ones.
int significant_decimals(double value) {
  if (value == 0) return 0;
  int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  // 9.996 rounds to 10.0: one digit fewer.
  if (std::abs(value) * std::pow(10, 2 - exponent) >= 999.5) ++exponent;
  return std::max(0, 2 - exponent);
}

// With a margin, as many digits as it leaves certain: one of its own, two where it begins with 1 or 2 ("61
// ±5", "12.9 ±1.1").
int certain_decimals(double margin) {
  constexpr double kTwoDigitsBelow = 2.95;
  int exponent = static_cast<int>(std::floor(std::log10(margin)));
  bool two = margin / std::pow(10, exponent) < kTwoDigitsBelow;
  return std::max(0, (two ? 1 : 0) - exponent);
}

bool has_margin(const Cell& cell) {
  const Number* n = std::get_if<Number>(&cell);
  return n && std::isfinite(n->margin) && n->margin > 0;
}

std::string exact(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}

std::string markdown_cell(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '|' || c == '\\') out += '\\';
    if (c == '<') {
      out += "&lt;";
    } else {
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return out;
}

std::string heading(const Column& column, const char* open, const char* close) {
  return column.unit.empty() ? column.name : column.name + open + column.unit + close;
}

bool numeric(const Table& table, size_t column) {
  bool any = false;
  for (const auto& row : table.rows) {
    if (column >= row.size() || std::holds_alternative<std::monostate>(row[column])) continue;
    if (std::holds_alternative<std::string>(row[column])) return false;
    any = true;
  }
  return any;
}

}  // namespace

std::string show(double value, int decimals) {
  if (!std::isfinite(value)) return kNothing;
  constexpr double kSmallest = 1e-3, kLargest = 1e15;
  double size = std::abs(value);
  if (size >= kLargest || (decimals == kSignificant && size > 0 && size < kSmallest)) {
    return fmt::format("{:.2e}", value);
  }
  if (decimals == kSignificant) decimals = significant_decimals(value);
  std::string digits = fmt::format("{:.{}f}", value, decimals);
  if (digits.starts_with('-') && digits.find_first_not_of("-0.") == std::string::npos) digits.erase(0, 1);
  return group_thousands(digits);
}

std::string show(const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) return kNothing;
  if (const std::string* text = std::get_if<std::string>(&cell)) return *text;
  const Number& n = std::get<Number>(cell);
  if (!std::isfinite(n.value) || !has_margin(cell)) return show(n.value, n.decimals);
  int decimals = n.decimals == kSignificant ? certain_decimals(n.margin) : n.decimals;
  return show(n.value, decimals) + " ±" + show(n.margin, decimals);
}

std::string to_markdown(const Table& table) {
  std::string out;
  if (!table.title.empty()) out += "**" + markdown_cell(table.title) + "**\n\n";
  std::string rule = "|";
  out += "|";
  for (size_t c = 0; c < table.columns.size(); ++c) {
    out += " " + markdown_cell(heading(table.columns[c], ", ", "")) + " |";
    rule += numeric(table, c) ? "---:|" : "---|";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    out += "|";
    for (size_t c = 0; c < table.columns.size(); ++c) {
      out += " " + (c < row.size() ? markdown_cell(show(row[c])) : std::string()) + " |";
    }
    out += "\n";
  }
  for (const std::string& note : table.notes) out += "\n" + markdown_cell(note) + "\n";
  return out;
}

std::string to_csv(const Table& table) {
  std::vector<bool> margins(table.columns.size());
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size() && c < margins.size(); ++c)
      margins[c] = margins[c] || has_margin(row[c]);
  }
  std::vector<std::string> cells;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    cells.push_back(heading(table.columns[c], "_", ""));
    if (margins[c]) cells.push_back(cells.back() + "_margin");
  }
  std::string out = csv_row(cells) + "\n";
  for (const auto& row : table.rows) {
    cells.clear();
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const Number* n = c < row.size() ? std::get_if<Number>(&row[c]) : nullptr;
      const std::string* text = c < row.size() ? std::get_if<std::string>(&row[c]) : nullptr;
      cells.push_back(n ? exact(n->value) : text ? *text : std::string());
      if (margins[c]) cells.push_back(n && has_margin(row[c]) ? exact(n->margin) : std::string());
    }
    out += csv_row(cells) + "\n";
  }
  return out;
}

std::string to_json(const Table& table, int indent) {
  using json = nlohmann::ordered_json;
  auto value = [](double v) { return std::isfinite(v) ? json(v) : json(nullptr); };
  json columns = json::array(), rows = json::array();
  for (const Column& column : table.columns)
    columns.push_back({{"name", column.name}, {"unit", column.unit}});
  for (const auto& row : table.rows) {
    json cells = json::array();
    for (const Cell& cell : row) {
      if (const Number* n = std::get_if<Number>(&cell)) {
        cells.push_back(has_margin(cell) ? json{{"value", value(n->value)}, {"margin", n->margin}}
                                         : value(n->value));
      } else if (const std::string* text = std::get_if<std::string>(&cell)) {
        cells.push_back(*text);
      } else {
        cells.push_back(nullptr);
      }
    }
    rows.push_back(std::move(cells));
  }
  json out = {{"title", table.title}, {"columns", columns}, {"rows", rows}, {"notes", table.notes}};
  return out.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace orrery::report

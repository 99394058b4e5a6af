// A titled table of typed cells: what a command or a validation has to say in rows. It holds values, not
// layout, and renders as Markdown (docs), CSV and JSON here and for a terminal in terminal_table.h.
//
// A number that is not finite, and a cell that holds nothing, show as "–" (JSON null, CSV empty): NaN is
// never printed.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace orrery::report {

inline constexpr int kSignificant = -1;  // three significant digits, thousands grouped

struct Number {
  double value = 0;
  int decimals = kSignificant;  // digits behind the point, or kSignificant
  double margin = 0;  // shown behind "±" where positive, in the unit and with the decimals of the value
};

using Cell = std::variant<std::monostate, std::string, Number>;

inline Cell number(double value, int decimals = kSignificant) {
  return Number{value, decimals, 0};
}
inline Cell number_with_margin(double value, double margin, int decimals = kSignificant) {
  return Number{value, decimals, margin};
}

struct Column {
  std::string name = {};
  std::string unit = {};  // "ms", "%", "" for none; shown beside the name
};

struct Table {
  std::string title = {};
  std::vector<Column> columns = {};
  size_t keys = 1;  // leading columns that name a row: each block repeats them where a terminal is narrower
                    // than the table
  // A row has at most columns.size() cells. Where it has fewer, its last cell runs across the rest of the
  // line on a terminal
  // ("NO  350 GB of weights; ..."), and the missing ones are empty in the other forms.
  std::vector<std::vector<Cell>> rows = {};
  std::vector<std::string> notes = {};  // sentences below the table
};

// "9,140", "12.9 ±1.1", "1.2e-07", "–": a cell as a person reads it.
std::string show(const Cell& cell);
// value with `decimals` digits behind the point or, with kSignificant, three significant ones; "–" when it is
// not finite.
std::string show(double value, int decimals = kSignificant);

std::string to_markdown(const Table& table);  // GitHub's pipes; the title in bold above, the notes below
std::string to_csv(const Table& table);  // header "name_unit"; values unrounded; margins in a column of their
                                         // own where a column has any
std::string to_json(const Table& table,
                    int indent = 2);  // {"title", "columns": [{"name", "unit"}], "rows": [[...]], "notes"}

}  // namespace orrery::report

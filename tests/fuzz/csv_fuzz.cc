// rooms: base
// Any bytes as CSV: a table or an InputError; every cell can be asked for as text and as number, and a
// written row reads back.
#include <cstdlib>
#include <string>
#include <vector>

#include "orrery/base/csv.h"

namespace {

void ask_everything(const orrery::CsvTable& table) {
  for (size_t row = 0; row < table.rows(); ++row) {
    std::vector<std::string> cells;
    for (size_t column = 0; column < table.columns().size(); ++column) {
      int index = static_cast<int>(column);
      cells.emplace_back(table.cell(row, index));
      try {
        table.number(row, index);
        table.integer(row, index, INT64_MIN, INT64_MAX);
      } catch (const orrery::InputError&) {
      }
    }
    std::string header = "c0";
    for (size_t i = 1; i < cells.size(); ++i) header += ",c" + std::to_string(i);
    if (cells.size() == 1 && cells[0].empty()) continue;  // an empty line is no row
    orrery::CsvTable again(header + "\n" + orrery::csv_row(cells) + "\n", "again.csv");
    for (size_t i = 0; i < cells.size(); ++i) {
      if (again.rows() != 1 || again.cell(0, static_cast<int>(i)) != cells[i]) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    ask_everything(orrery::CsvTable(std::string(reinterpret_cast<const char*>(data), size), "fuzz.csv"));
  } catch (const orrery::InputError&) {
  }
  return 0;
}

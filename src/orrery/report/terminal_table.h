// Tables and paragraphs on a terminal: columns aligned by display width (UTF-8, wide and combining
// characters), numbers on the right, their margins aligned on "±". Where a table is a little wider than the
// terminal, the names in its first column give way in their middle; where that does not help, it continues in
// further blocks that repeat the key columns, so that no figure is ever cut. Colour only where a person
// looks: a terminal, without NO_COLOR (no-color.org).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "orrery/report/table.h"

namespace orrery::report {

struct TerminalStyle {
  int width = 120;  // columns; what is piped has no width of its own
  bool colour = false;
};
// Of the terminal behind a file descriptor; 40 <= width. $COLUMNS overrides the width.
TerminalStyle terminal_style(int file_descriptor);

// Columns that the text takes; bytes that are not UTF-8 count one each, control characters none.
int display_width(std::string_view text);

enum class Tone { Plain, Strong, Good, Bad, Muted };
// How the cell of a row and column is drawn where there is colour.
using ToneOf = std::function<Tone(size_t row, size_t column)>;

std::string to_terminal(const Table& table, const TerminalStyle& style, const ToneOf& tone = {});
// The text broken at spaces into lines of at most style.width, those after the first indented by `hanging`;
// ends with a newline.
std::string paragraph(std::string_view text, const TerminalStyle& style, int hanging = 0);
std::string toned(std::string_view text, Tone tone, const TerminalStyle& style);

}  // namespace orrery::report

#include "orrery/report/terminal_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <sstream>

namespace orrery::report {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

Table sample() {
  return {
      .title = "",
      .columns = {{"GPU", ""}, {"TTFT", "ms"}, {"größe", "GB"}, {"checked on", ""}},
      .rows = {
          {std::string("H200"), number_with_margin(61.2, 5.1), number(141, 0), std::string("models")},
          {std::string("日本語"), number_with_margin(1234, 56), number(9.5, 1), std::string("none")},
          {std::string("T4"), std::string("NO: 16.1 GB of weights")},
          {std::string("?"), number(std::numeric_limits<double>::quiet_NaN()), {}, std::string("kernels")}}};
}

TEST(TerminalTable, display_width_counts_columns_not_bytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("±5"), 2);
  EXPECT_EQ(display_width("größe"), 5);
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\xff\xfe"), 2);  // not UTF-8
  EXPECT_EQ(display_width("\xe2\x82"), 2);  // cut short
}

TEST(TerminalTable, columns_line_up_whatever_the_script) {
  auto lines = lines_of(to_terminal(sample(), {.width = 80}));
  ASSERT_EQ(lines.size(), 5u);
  auto column_of = [](const std::string& line, const char* word) {
    size_t at = line.find(word);
    return at == std::string::npos ? -1 : display_width(line.substr(0, at));
  };
  int checked = column_of(lines[0], "checked on");
  EXPECT_EQ(column_of(lines[1], "models"), checked);
  EXPECT_EQ(column_of(lines[2], "none"), checked);
  EXPECT_EQ(column_of(lines[4], "kernels"), checked);
  EXPECT_EQ(column_of(lines[1], "±"), column_of(lines[2], "±"));
  for (const std::string& line : lines) EXPECT_FALSE(line.ends_with(' ')) << '"' << line << '"';
}

TEST(TerminalTable, the_last_cell_of_a_short_row_runs_across_and_wraps) {
  auto lines = lines_of(to_terminal(sample(), {.width = 80}));
  EXPECT_NE(lines[3].find("NO: 16.1 GB of weights"), std::string::npos);
  Table table = sample();
  table.rows[2][1] =
      std::string("NO: a long reason that has more words than this terminal has room for in one line");
  for (const std::string& line : lines_of(to_terminal(table, {.width = 60})))
    EXPECT_LE(display_width(line), 60) << line;
}

TEST(TerminalTable, a_narrow_terminal_gets_blocks_and_loses_no_cell) {
  std::string text = to_terminal(sample(), {.width = 40});
  for (const std::string& line : lines_of(text)) EXPECT_LE(display_width(line), 40) << line;
  for (const auto& row : sample().rows) {
    for (const Cell& cell : row) {
      std::string shown = show(cell);
      EXPECT_NE(text.find(shown.substr(0, shown.find(' '))), std::string::npos) << shown;
    }
  }
}

TEST(TerminalTable, blocks_repeat_the_key_columns) {
  Table table = sample();
  table.keys = 2;
  std::string text = to_terminal(table, {.width = 24});
  size_t heads = 0;
  for (const std::string& line : lines_of(text))
    heads += line.starts_with("GPU") && line.find("TTFT ms") != std::string::npos;
  EXPECT_EQ(heads, 2u) << text;
}

TEST(TerminalTable, long_names_give_way_in_their_middle_before_the_table_breaks) {
  Table table = sample();
  table.rows[0][0] = std::string("RTX-PRO-6000-Blackwell-Server-Edition");
  std::string text = to_terminal(table, {.width = 64});
  auto lines = lines_of(text);
  EXPECT_EQ(lines.size(), 5u) << text;
  EXPECT_TRUE(lines[1].starts_with("RTX-PRO")) << text;
  EXPECT_NE(lines[1].find("…"), std::string::npos) << text;
  EXPECT_NE(lines[1].find("Edition"), std::string::npos) << text;
  for (const std::string& line : lines) EXPECT_LE(display_width(line), 64) << line;
}

TEST(TerminalTable, colour_comes_only_when_asked_for) {
  auto bad = [](size_t, size_t) { return Tone::Bad; };
  EXPECT_EQ(to_terminal(sample(), {.width = 80, .colour = false}, bad).find('\x1b'), std::string::npos);
  EXPECT_NE(to_terminal(sample(), {.width = 80, .colour = true}, bad).find("\x1b[1;31m"), std::string::npos);
}

TEST(TerminalTable, control_characters_of_hostile_names_do_not_reach_the_terminal) {
  Table table = sample();
  table.rows[0][0] = std::string("evil\x1b[2J\r\nname");
  table.notes = {"note \x1b]0;title\x07"};
  std::string text = to_terminal(table, {.width = 80});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
}

TEST(TerminalTable, nothing_is_not_a_number) {
  std::string text = to_terminal(sample(), {.width = 80});
  EXPECT_EQ(text.find("nan"), std::string::npos);
}

TEST(TerminalTable, an_empty_table_is_empty) {
  EXPECT_EQ(to_terminal({}, {.width = 80}), "\n");
  EXPECT_EQ(lines_of(to_terminal({.columns = {{"GPU", ""}}}, {.width = 80})).size(), 1u);
}

TEST(TerminalTable, paragraphs_break_at_spaces_within_the_width) {
  std::string text =
      paragraph("one two three four five six seven eight nine ten eleven twelve", {.width = 20}, 2);
  auto lines = lines_of(text);
  ASSERT_GT(lines.size(), 2u);
  for (const std::string& line : lines) EXPECT_LE(display_width(line), 20);
  EXPECT_TRUE(lines[1].starts_with("  ") && !lines[1].starts_with("   ")) << lines[1];
}

TEST(TerminalTable, what_is_piped_has_no_colour_and_columns_sets_the_width) {
  setenv("COLUMNS", "77", 1);
  TerminalStyle style = terminal_style(-1);
  unsetenv("COLUMNS");
  EXPECT_EQ(style.width, 77);
  EXPECT_FALSE(style.colour);
  EXPECT_EQ(terminal_style(-1).width, 120);
}

}  // namespace
}  // namespace orrery::report

#include "orrery/base/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/random.h"
#include "orrery/base/test_support.h"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Csv, reads_plain_quoted_and_multi_line_cells) {
  CsvTable table(
      "# a note\n# another\nname, size ,text\r\na,1,\"x,y\"\r\nb,2,\"say \"\"hi\"\"\nand go\"\nc,3,\n",
      "t.csv");
  EXPECT_THAT(table.columns(), ElementsAre("name", "size", "text"));
  ASSERT_EQ(table.rows(), 3u);
  EXPECT_EQ(table.cell(0, 2), "x,y");
  EXPECT_EQ(table.cell(1, 2), "say \"hi\"\nand go");
  EXPECT_EQ(table.cell(2, 2), "");
  EXPECT_EQ(table.cell(2, -1), "");
  EXPECT_EQ(table.number(1, table.at("size")), 2);
}

TEST(Csv, a_cell_knows_its_place_behind_quotes_and_newlines) {
  CsvTable table("a,b,c\n1,\"x\"\"y\",zz\n\"two\nlines\",5,six\n7,8,nine\n", "t.csv");
  auto place = [&](size_t row, int column) {
    Place at = table.place(row, column);
    return std::to_string(at.line) + ":" + std::to_string(at.column);
  };
  EXPECT_EQ(place(0, 0), "2:1");
  EXPECT_EQ(place(0, 1), "2:4");
  EXPECT_EQ(place(0, 2), "2:10");
  EXPECT_EQ(place(1, 1), "4:8");
  EXPECT_EQ(place(2, 2), "5:5");
  EXPECT_EQ(error_of([&] { table.number(1, 2); }),
            "t.csv:4:10: 'six' in column 'c' is not a number\n  lines\",5,six\n           ^");
}

TEST(Csv, newlines_behind_doubled_quotes_are_counted_once) {
  CsvTable table("a,b\n\"\"\"\n\",1\nx,2\n", "t.csv");
  EXPECT_EQ(table.cell(0, 0), "\"\n");
  EXPECT_EQ(table.place(0, 1).line, 3);
  EXPECT_EQ(table.place(1, 1).line, 4);
}

TEST(Csv, malformed_tables_are_refused_with_their_place) {
  auto wrong = [](const char* text) { return error_of([&] { CsvTable(text, "t.csv"); }); };
  EXPECT_THAT(wrong(""), StartsWith("t.csv:1:1: is empty"));
  EXPECT_THAT(wrong("# only a note\n"), HasSubstr("is empty"));
  EXPECT_THAT(wrong("a,a\n"), StartsWith("t.csv:1:1: column 'a' stands twice"));
  EXPECT_THAT(wrong("a,,b\n"), HasSubstr("a column has no name"));
  EXPECT_THAT(wrong("a,b\n1,2\n3\n"), StartsWith("t.csv:3:1: this row has 1 cells; expected 2"));
  EXPECT_THAT(wrong("a,b\n1,\"open\n"), StartsWith("t.csv:2:3: this quote is never closed"));
  EXPECT_THAT(wrong("a,b\n1,\"x\"y\n"), StartsWith("t.csv:2:6: text follows a closing quote"));
}

TEST(Csv, numbers_may_stand_between_blanks_and_nothing_else) {
  CsvTable table("v\n 12 \n1e-3\n-7\n0x10\n1 2\ninf\n1e999\n2.5\n", "t.csv");
  EXPECT_EQ(table.number(0, 0), 12);
  EXPECT_EQ(table.number(1, 0), 1e-3);
  EXPECT_EQ(table.integer(2, 0, -10, 10), -7);
  for (size_t row : {3u, 4u, 5u, 6u})
    EXPECT_THAT(error_of([&] { table.number(row, 0); }), HasSubstr("is not a number")) << row;
  EXPECT_THAT(error_of([&] { table.integer(7, 0, 0, 10); }),
              HasSubstr("expected a whole number from 0 to 10"));
  EXPECT_THAT(error_of([&] { table.integer(0, 0, 0, 10); }),
              HasSubstr("expected a whole number from 0 to 10"));
}

TEST(Csv, an_empty_cell_takes_the_value_for_absent_ones) {
  CsvTable table("a,b\n,1\n  ,2\n", "t.csv");
  EXPECT_EQ(table.number_or(0, 0, 5), 5);
  EXPECT_EQ(table.integer_or(1, 0, 6, 0, 9), 6);
  EXPECT_EQ(table.number_or(0, -1, 7), 7);
  EXPECT_THAT(error_of([&] { table.number(0, 0); }), HasSubstr("'' in column 'a' is not a number"));
}

TEST(Csv, a_missing_column_is_named_with_those_that_are_there) {
  CsvTable table("gpu,latency\nx,1\n", "t.csv");
  EXPECT_THAT(error_of([&] { table.at("latency_ms"); }),
              HasSubstr("column 'latency_ms' is missing from the header (gpu, latency)"));
}

TEST(Csv, what_is_written_reads_back) {
  Random random(Seed{7});
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<std::string> cells(1 + random.index(5));
    for (std::string& cell : cells) {
      for (uint64_t i = random.index(8); i > 0; --i) cell += "ab,\"\n\r 1"[random.index(8)];
    }
    if (cells.size() == 1 && cells[0].empty()) continue;
    std::string header = "c0";
    for (size_t i = 1; i < cells.size(); ++i) header += ",c" + std::to_string(i);
    CsvTable table(header + "\n" + csv_row(cells) + "\n", "t.csv");
    ASSERT_EQ(table.rows(), 1u);
    for (size_t i = 0; i < cells.size(); ++i) EXPECT_EQ(table.cell(0, static_cast<int>(i)), cells[i]);
  }
}

TEST(Csv, half_a_million_rows_keep_their_line_numbers) {
  std::string text = "a,b\n";
  for (int i = 0; i < 500'000; ++i) text += std::to_string(i) + ",x\n";
  CsvTable table(std::move(text), "t.csv");
  EXPECT_EQ(table.rows(), 500'000u);
  EXPECT_EQ(table.number(499'999, 0), 499'999);
  EXPECT_EQ(table.place(499'999, 1).line, 500'001);
}

}  // namespace
}  // namespace orrery

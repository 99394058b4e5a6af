#include "orrery/report/table.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "orrery/base/csv.h"

namespace orrery::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Table sample() {
  return {.title = "GEMM, GPU left out",
          .columns = {{"GPU", ""}, {"mean error", "%"}, {"rows", ""}},
          .rows = {{std::string("A100 | <b>"), number_with_margin(11.62, 1.25, 1), number(8800, 0)},
                   {std::string("H100"), number(kNan, 1), number(kInfinity)},
                   {std::string("L40S"), std::string("not measured")}},
          .notes = {"by mean"}};
}

TEST(Table, numbers_show_three_significant_digits_and_group_thousands) {
  EXPECT_EQ(show(9140.4), "9,140");
  EXPECT_EQ(show(1234567.0), "1,234,567");
  EXPECT_EQ(show(12.94), "12.9");
  EXPECT_EQ(show(9.996), "10.0");
  EXPECT_EQ(show(0.2149), "0.215");
  EXPECT_EQ(show(-1234.0), "-1,234");
  EXPECT_EQ(show(-0.001, 1), "0.0");
  EXPECT_EQ(show(0.0), "0");
  EXPECT_EQ(show(1.2e-7), "1.20e-07");
  EXPECT_EQ(show(999.7), "1,000");
}

TEST(Table, a_margin_decides_the_digits) {
  EXPECT_EQ(show(number_with_margin(61.2, 5.1)), "61 ±5");
  EXPECT_EQ(show(number_with_margin(0.139, 0.054)), "0.14 ±0.05");
  EXPECT_EQ(show(number_with_margin(11.62, 1.25, 2)), "11.62 ±1.25");
  EXPECT_EQ(show(number_with_margin(12.94, 1.08)), "12.9 ±1.1");
  EXPECT_EQ(show(number_with_margin(9140, 731)), "9,140 ±731");
  EXPECT_EQ(show(number_with_margin(61, kNan)), "61.0");
}

TEST(Table, nan_and_infinity_are_never_printed) {
  for (const std::string& text : {to_markdown(sample()), to_csv(sample()), to_json(sample())}) {
    EXPECT_EQ(text.find("nan"), std::string::npos) << text;
    EXPECT_EQ(text.find("inf"), std::string::npos) << text;
  }
  EXPECT_EQ(show(kNan), "–");
  EXPECT_EQ(show(Cell{}), "–");
}

TEST(Table, markdown_escapes_what_would_break_it) {
  std::string text = to_markdown(sample());
  EXPECT_NE(text.find("A100 \\| &lt;b>"), std::string::npos) << text;
  EXPECT_NE(text.find("|---|---|---:|"), std::string::npos) << text;
}

TEST(Table, csv_keeps_every_digit_and_gives_margins_a_column) {
  CsvTable csv(to_csv(sample()), "sample.csv");
  ASSERT_EQ(csv.rows(), 3u);
  EXPECT_EQ(csv.number(0, csv.at("mean error_%")), 11.62);
  EXPECT_EQ(csv.number(0, csv.at("mean error_%_margin")), 1.25);
  EXPECT_EQ(csv.cell(1, csv.at("rows")), "");
}

TEST(Table, json_is_valid_and_typed) {
  auto json = nlohmann::json::parse(to_json(sample()));
  EXPECT_EQ(json["rows"][0][1]["value"], 11.62);
  EXPECT_EQ(json["rows"][0][2], 8800);
  EXPECT_TRUE(json["rows"][1][1].is_null());
  EXPECT_EQ(json["rows"][2].size(), 2u);
}

TEST(Table, json_survives_text_that_is_not_utf8) {
  Table table = sample();
  table.title = "bad \xff byte";
  EXPECT_NO_THROW(nlohmann::json::parse(to_json(table)));
}

}  // namespace
}  // namespace orrery::report

#include "orrery/base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>

namespace orrery {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text, Unit unit) {
  try {
    parse_quantity(text, unit);
  } catch (const UnitError& wrong) {
    return wrong.what();
  }
  return "no error";
}

TEST(Units, dimensions_follow_the_arithmetic) {
  static_assert(std::is_same_v<decltype(Bytes(1) / BytesPerSecond(1)), Seconds>);
  static_assert(std::is_same_v<decltype(Cycles(1) / Hertz(1)), Seconds>);
  static_assert(std::is_same_v<decltype(Watts(1) * Seconds(1)), Joules>);
  static_assert(std::is_same_v<decltype(Flops(1) / FlopsPerSecond(1)), Seconds>);
  static_assert(std::is_same_v<decltype(Seconds(1) / Seconds(2)), double>);
  static_assert(!std::is_convertible_v<double, Seconds> && !std::is_convertible_v<Seconds, Bytes>);
  EXPECT_DOUBLE_EQ((gigabytes(80) / BytesPerSecond(3.2e12)).value(), 0.025);
}

TEST(Units, a_gigabyte_is_not_a_gibibyte) {
  EXPECT_EQ(parse_quantity("80 GB", Unit::Bytes), 80e9);
  EXPECT_EQ(parse_quantity("80GiB", Unit::Bytes), 80 * 1073741824.0);
  EXPECT_EQ(parse_quantity(" 3.35 TB/s ", Unit::BytesPerSecond), 3.35e12);
  EXPECT_EQ(parse_quantity("400 Gbit/s", Unit::BytesPerSecond), 50e9);
  EXPECT_DOUBLE_EQ(parse_quantity("3.6 USD/hour", Unit::DollarsPerHour), 0.001);
  EXPECT_DOUBLE_EQ(parse_quantity("4 \u00b5s", Unit::Seconds), 4e-6);
  EXPECT_EQ(parse_quantity("132", Unit::None), 132);
}

TEST(Units, a_wrong_unit_says_what_was_expected) {
  EXPECT_THAT(error_of("80", Unit::Bytes), HasSubstr("has no unit; expected a size such as '80 GB'"));
  EXPECT_THAT(error_of("700 GB", Unit::Watts), HasSubstr("unit 'GB' does not fit here; expected a power"));
  EXPECT_THAT(error_of("132 W", Unit::None), HasSubstr("carries a unit"));
  EXPECT_THAT(error_of("fast", Unit::Hertz), HasSubstr("is not a number with a unit"));
  EXPECT_THAT(error_of("nan GB", Unit::Bytes), HasSubstr("is not a number"));
  EXPECT_THAT(error_of("1e300 TB", Unit::Seconds), HasSubstr("does not fit here"));
  EXPECT_THAT(error_of("1e300 TB", Unit::Bytes), HasSubstr("is too large"));
  EXPECT_THAT(error_of("80 gb", Unit::Bytes), HasSubstr("unit 'gb'"));
}

TEST(Units, what_is_shown_has_three_digits_and_a_prefix) {
  EXPECT_EQ(format(Bytes(80e9)), "80.0 GB");
  EXPECT_EQ(format(BytesPerSecond(1.935e12)), "1.94 TB/s");
  EXPECT_EQ(format(Seconds(0.0129)), "12.9 ms");
  EXPECT_EQ(format(Seconds(0)), "0.00 ns");
  EXPECT_EQ(format(Seconds(0.9999e-3)), "1.00 ms");
  EXPECT_EQ(format(Watts(700)), "700 W");
}

TEST(Units, what_is_shown_reads_back_to_half_a_digit) {
  for (double si : {1.0, 12.34, 999.4, 1.5e4, 7.77e8, 3.35e12}) {
    for (Unit unit : {Unit::Bytes, Unit::BytesPerSecond, Unit::Hertz}) {
      if (unit == Unit::BytesPerSecond && si > 1e3 && si < 1e6) continue;  // shown in B/s, with more digits
      EXPECT_NEAR(parse_quantity(format_quantity(si, unit), unit), si, si * 0.0051);
    }
  }
}

}  // namespace
}  // namespace orrery

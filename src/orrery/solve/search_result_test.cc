#include "orrery/solve/search_result.h"

#include <gtest/gtest.h>

namespace orrery::solve {
namespace {

TEST(SearchResult, gap_is_relative_to_the_objective_in_both_senses) {
  EXPECT_DOUBLE_EQ(relative_gap(100, 90), 0.1);
  EXPECT_DOUBLE_EQ(relative_gap(100, 110), 0.1);
  EXPECT_DOUBLE_EQ(relative_gap(-50, -60), 0.2);
}

TEST(SearchResult, gap_of_equal_values_is_zero_even_at_zero) {
  EXPECT_EQ(relative_gap(0, 0), 0);
  EXPECT_TRUE(std::isinf(relative_gap(0, 1)));
}

TEST(SearchResult, a_fresh_result_is_infeasible_and_empty) {
  SearchResult<int> result;
  EXPECT_FALSE(result.best.has_value());
  EXPECT_STREQ(name(result.stop), "infeasible");
}

}  // namespace
}  // namespace orrery::solve

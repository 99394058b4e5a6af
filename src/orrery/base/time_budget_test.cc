#include "orrery/base/time_budget.h"

#include <gtest/gtest.h>

namespace orrery {
namespace {

TEST(TimeBudget, parts_are_of_what_is_left_and_never_without_limit) {
  RunContext context;
  context.threads = 2;
  context.time = Seconds(1000);
  const TimeBudget budget(context);
  EXPECT_FALSE(budget.spent());
  const double half = budget.part(.5).time->value();
  EXPECT_LE(half, 500);
  EXPECT_GT(half, 400);
  EXPECT_LE(budget.each_of(5).time->value(), 1000. / 3);
  context.time = Seconds(1e-9);
  const TimeBudget none(context);
  EXPECT_TRUE(none.spent());
  EXPECT_GT(none.part(.5).time->value(), 0);
}

TEST(TimeBudget, no_limit_stays_none) {
  const TimeBudget budget({});
  EXPECT_FALSE(budget.spent());
  EXPECT_FALSE(budget.part(.1).time);
  EXPECT_FALSE(budget.each_of(8).time);
}

}  // namespace
}  // namespace orrery

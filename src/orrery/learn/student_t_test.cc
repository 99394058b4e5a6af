#include "orrery/learn/student_t.h"

#include <gtest/gtest.h>

namespace orrery::learn {
namespace {

TEST(StudentT, quantiles_of_the_tables) {
  EXPECT_NEAR(student_t_quantile(.975, 1), 12.7062, 1e-3);
  EXPECT_NEAR(student_t_quantile(.95, 2), 2.9200, 1e-4);
  EXPECT_NEAR(student_t_quantile(.95, 3), 2.3534, 1e-4);
  EXPECT_NEAR(student_t_quantile(.95, 4), 2.1318, 1e-4);
  EXPECT_NEAR(student_t_quantile(.05, 7), -1.8946, 1e-4);
  EXPECT_NEAR(student_t_quantile(.95, 1000), 1.6464, 1e-3);
  EXPECT_NEAR(student_t_quantile(.5, 6), 0, 1e-9);
}

}  // namespace
}  // namespace orrery::learn

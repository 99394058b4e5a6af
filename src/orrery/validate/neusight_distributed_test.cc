#include "orrery/validate/neusight_distributed.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace orrery::validate {
namespace {

TEST(NeusightDistributed, every_row_with_an_option_is_in_the_table) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the measured iterations: set ORRERY_DATA";
  std::vector<DistributedRow> rows = evaluate_neusight_distributed(folder, schedule::Predictor());
  ASSERT_EQ(rows.size(), 12u);
  report::Table table = neusight_distributed_table(rows);
  EXPECT_EQ(table.rows.size(), rows.size());
  for (const DistributedRow& row : rows) {
    double ratio = row.ours.time.value / row.measured;
    EXPECT_GT(ratio, .7) << row.gpu << " " << neusight_workload_name(row.workload);
    EXPECT_LT(ratio, 1.4) << row.gpu << " " << neusight_workload_name(row.workload);
  }
}

}  // namespace
}  // namespace orrery::validate

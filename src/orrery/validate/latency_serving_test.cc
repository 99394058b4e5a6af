#include "orrery/validate/latency_serving.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace orrery::validate {
namespace {

// Steps of 10 ms that decode and of 50 ms with a prompt; the second request is scheduled while a step of the
// first is running.
TEST(LoggedSchedule, steps_and_batches_of_a_made_up_run_are_recovered) {
  std::vector<ServedRequest> requests = {{0, 0.05, 1.09, 300, 101}, {0.25, 0.31, 0.81, 500, 51}};
  LoggedSchedule schedule = logged_schedule(requests, 2048);
  ASSERT_EQ(schedule.steps.size(), 6u);
  const double counts[] = {1, 20, 1, 1, 50, 28};
  const size_t decoding[] = {0, 1, 1, 1, 2, 1}, chunks[] = {1, 0, 0, 1, 0, 0};
  for (size_t s = 0; s < 6; ++s) {
    EXPECT_NEAR(schedule.steps[s].count, counts[s], 0.05) << s;
    EXPECT_EQ(schedule.steps[s].decoding.size(), decoding[s]) << s;
    EXPECT_EQ(schedule.steps[s].chunks.size(), chunks[s]) << s;
  }
  EXPECT_EQ(schedule.steps[3].chunks[0].tokens, 500);
  EXPECT_NEAR(schedule.steps[1].mean_context, 300 + 11, 1);
  EXPECT_FALSE(schedule.preempted[0] || schedule.preempted[1]);
}

TEST(LoggedSchedule, a_prompt_longer_than_the_budget_is_cut_into_chunks) {
  LoggedSchedule schedule = logged_schedule({{0, 0.3, 0.4, 5000, 11}}, 2048);
  ASSERT_EQ(schedule.steps.size(), 4u);
  EXPECT_EQ(schedule.steps[0].chunks[0].tokens, 2048);
  EXPECT_EQ(schedule.steps[2].chunks[0].tokens, 904);
  EXPECT_EQ(schedule.steps[2].chunks[0].cached, 4096);
  EXPECT_NEAR(schedule.steps[3].count, 10, 0.05);
}

TEST(MeasuredServing, time_per_output_token_and_prefill_time_are_within_twelve_percent) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  std::vector<ServingScores> scores = evaluate_serving(data);
  std::fputs(report::to_markdown(serving_table(scores)).c_str(), stdout);
  for (const ServingScores& s : scores) {
    if (s.predictor != "default") continue;
    EXPECT_LE(s.tpot_error, 0.12) << s.gpu;
    EXPECT_LE(s.prefill_error, 0.12) << s.gpu;
  }
}

TEST(ServingTable, a_row_for_each_score_with_all_its_cells) {
  ServingScores scores;
  scores.gpu = "RTX-4090";
  scores.predictor = "default";
  report::Table table = serving_table({scores, scores});
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].size(), table.columns.size());
  EXPECT_EQ(show(table.rows[1][0]), "RTX-4090");
}

}  // namespace
}  // namespace orrery::validate

#include "orrery/explore/schedule_program.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"
#include "orrery/schedule/cores/exact_schedule.h"

namespace orrery::explore {
namespace {

using schedule::CoreCounts;
using schedule::TaskGraph;
using schedule::TaskId;

TaskGraph random_tasks(Random& random, size_t tasks, bool pairs, int64_t scale = 1) {
  TaskGraph graph;
  for (size_t v = 0; v < tasks; ++v) {
    std::vector<TaskId> before;
    for (size_t u = 0; u < v; ++u) {
      if (random.index(v + 1) < 2) before.push_back(static_cast<TaskId>(u));
    }
    const auto kinds = static_cast<uint8_t>(1 + random.index(pairs ? 3 : 2));
    graph.add({scale * (1 + static_cast<int64_t>(random.index(9))), kinds, graph::kNone}, before);
  }
  return graph;
}

TEST(ScheduleProgram, equals_the_shortest_schedule_of_small_graphs) {
  Random random(Seed{21});
  double sum = 0, worst = 1;
  const int graphs = 12;
  for (int i = 0; i < graphs; ++i) {
    TaskGraph tasks = random_tasks(random, 4 + random.index(4), i % 2);
    const CoreCounts counts{static_cast<int>(1 + random.index(2)), static_cast<int>(1 + random.index(2))};
    const ScheduleProgram found = solve_schedule(tasks, counts);
    const schedule::ExactSchedule exact = schedule::exact_schedule(tasks, counts);
    EXPECT_EQ(schedule::broken_schedule(tasks, found.schedule), "");
    EXPECT_EQ(found.schedule.makespan, exact.schedule.makespan) << i;
    EXPECT_TRUE(found.proven()) << i;
    const double ratio = static_cast<double>(schedule::ListScheduler(tasks).schedule(counts).makespan) /
                         static_cast<double>(exact.schedule.makespan);
    sum += ratio;
    worst = std::max(worst, ratio);
  }
  RecordProperty("greedy_mean", std::to_string(sum / graphs));
  RecordProperty("greedy_worst", std::to_string(worst));
}

TEST(ScheduleProgram, long_tasks_are_scaled_and_laid_out_with_their_true_lengths) {
  Random random(Seed{5});
  for (int i = 0; i < 5; ++i) {
    TaskGraph tasks = random_tasks(random, 6, true, 1'234'567);
    const ScheduleProgram found = solve_schedule(tasks, {2, 1});
    EXPECT_EQ(schedule::broken_schedule(tasks, found.schedule), "");
    EXPECT_EQ(found.schedule.makespan, schedule::exact_schedule(tasks, {2, 1}).schedule.makespan);
    EXPECT_LE(found.bound, found.schedule.makespan);
  }
}

TEST(ScheduleProgram, chooses_the_counts_that_a_budget_allows) {
  Random random(Seed{8});
  for (int i = 0; i < 10; ++i) {
    TaskGraph tasks = random_tasks(random, 6, i % 2);
    const CoreCosts costs{3, 2, 8};
    const ScheduleProgram found = solve_counts(tasks, {2, 3}, costs);
    int64_t best = INT64_MAX;
    for (int matrix = 1; matrix <= 2; ++matrix) {
      for (int vector = 1; vector <= 3; ++vector) {
        if (matrix * costs.matrix + vector * costs.vector > costs.budget) continue;
        best = std::min(best, schedule::exact_schedule(tasks, {matrix, vector}).schedule.makespan);
      }
    }
    EXPECT_EQ(found.schedule.makespan, best) << i;
    EXPECT_LE(found.schedule.counts.matrix * costs.matrix + found.schedule.counts.vector * costs.vector,
              costs.budget);
  }
}

}  // namespace
}  // namespace orrery::explore

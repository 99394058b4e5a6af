#include "orrery/explore/schedule_program.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "orrery/base/random.h"
#include "orrery/schedule/cores/exact_schedule.h"

namespace orrery::explore {
namespace {

using schedule::CoreCounts;
using schedule::TaskGraph;
using schedule::TaskId;

// Each task after up to three of the twelve before it; pairs: some need both kinds.
TaskGraph random_tasks(Random& random, size_t tasks, bool pairs, uint64_t longest = 40, int64_t scale = 1) {
  constexpr uint64_t kWindow = 12;
  TaskGraph graph;
  for (size_t v = 0; v < tasks; ++v) {
    std::vector<TaskId> before;
    for (size_t i = random.index(4); v > 0 && i-- > 0;)
      before.push_back(static_cast<TaskId>(v - 1 - random.index(std::min<uint64_t>(v, kWindow))));
    std::ranges::sort(before);
    before.erase(std::unique(before.begin(), before.end()), before.end());
    const auto kinds = static_cast<uint8_t>(1 + random.index(pairs ? 3 : 2));
    graph.add({scale * (1 + static_cast<int64_t>(random.index(longest))), kinds, graph::kNone}, before);
  }
  return graph;
}

constexpr Seconds kPatience(600);  // seconds of a clock, of which a busy machine gives a program few

TEST(ScheduleProgram, equals_the_shortest_schedule_of_a_hundred_small_graphs) {
  Random random(Seed{5});
  for (int i = 0; i < 100; ++i) {
    TaskGraph tasks = random_tasks(random, 2 + random.index(13), i % 2);
    const CoreCounts counts{static_cast<int>(1 + random.index(3)), static_cast<int>(1 + random.index(2))};
    const ScheduleProgram found = solve_schedule(tasks, counts, kPatience);
    const schedule::ExactSchedule exact = schedule::exact_schedule(tasks, counts);
    EXPECT_TRUE(exact.proven()) << i;
    EXPECT_EQ(schedule::broken_schedule(tasks, found.schedule), "");
    EXPECT_EQ(found.schedule.makespan, exact.schedule.makespan) << i;
    EXPECT_TRUE(found.proven()) << i;
  }
}

TEST(ScheduleProgram, long_tasks_are_scaled_and_laid_out_with_their_true_lengths) {
  Random random(Seed{5});
  for (int i = 0; i < 5; ++i) {
    TaskGraph tasks = random_tasks(random, 6, true, 9, 1'234'567);
    const ScheduleProgram found = solve_schedule(tasks, {2, 1});
    EXPECT_EQ(schedule::broken_schedule(tasks, found.schedule), "");
    EXPECT_EQ(found.schedule.makespan, schedule::exact_schedule(tasks, {2, 1}).schedule.makespan);
    EXPECT_LE(found.bound, found.schedule.makespan);
  }
}

TEST(ScheduleProgram, chooses_the_counts_that_a_budget_allows) {
  Random random(Seed{8});
  for (int i = 0; i < 10; ++i) {
    TaskGraph tasks = random_tasks(random, 6, i % 2, 9);
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

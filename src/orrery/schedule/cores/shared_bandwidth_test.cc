#include "orrery/schedule/cores/shared_bandwidth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "orrery/base/random.h"

namespace orrery::schedule {
namespace {

SharedSchedule shared(const TaskGraph& graph, CoreCounts counts, const std::vector<double>& demand) {
  return share_bandwidth(graph, ListScheduler(graph).schedule(counts), demand);
}

TEST(SharedBandwidth, two_tasks_of_all_the_bandwidth_take_the_time_of_both) {
  TaskGraph graph;
  graph.add({10, kMatrixCore, graph::kNone}, {});
  graph.add({10, kVectorCore, graph::kNone}, {});
  EXPECT_DOUBLE_EQ(shared(graph, {1, 1}, {1, 1}).makespan, 20);
  EXPECT_DOUBLE_EQ(shared(graph, {1, 1}, {0.5, 0.5}).makespan, 10);
}

TEST(SharedBandwidth, a_task_that_asks_for_less_than_its_part_keeps_its_pace) {
  TaskGraph graph;
  for (int i = 0; i < 3; ++i) graph.add({12, kMatrixCore, graph::kNone}, {});
  // The first gets its 0.2, the others 0.4 each of their 0.8 and 0.6.
  const SharedSchedule laid = shared(graph, {3, 1}, {0.2, 0.8, 0.6});
  EXPECT_DOUBLE_EQ(laid.end[0], 12);
  // From 12 on 0.5 each: the third has 4 cycles of 0.6, 2.4 of bandwidth, 4.8 long.
  EXPECT_NEAR(laid.end[2], 16.8, 1e-12);
  // By then the second got 0.4·12 + 0.5·4.8 = 7.2 of its 9.6; the rest at its own pace of 0.8.
  EXPECT_NEAR(laid.end[1], 19.8, 1e-12);
}

// Tasks that all ask for everything: the i-th to end does so when all have had its length of service.
TEST(SharedBandwidth, independent_tasks_end_as_under_processor_sharing) {
  Random random(Seed{5});
  for (int round = 0; round < 50; ++round) {
    TaskGraph graph;
    const size_t tasks = 1 + random.index(9);
    std::vector<double> lengths;
    for (size_t v = 0; v < tasks; ++v) {
      lengths.push_back(static_cast<double>(1 + random.index(1000)));
      graph.add({static_cast<int64_t>(lengths.back()), kMatrixCore, graph::kNone}, {});
    }
    const SharedSchedule laid = shared(graph, {static_cast<int>(tasks), 1}, std::vector<double>(tasks, 1.0));
    for (size_t v = 0; v < tasks; ++v) {
      double expected = 0;
      for (double other : lengths) expected += std::min(other, lengths[v]);
      EXPECT_NEAR(laid.end[v], expected, 1e-9 * expected);
    }
  }
}

TEST(SharedBandwidth, lies_between_the_schedule_and_one_task_after_another) {
  Random random(Seed{6});
  for (int round = 0; round < 200; ++round) {
    TaskGraph graph;
    const size_t tasks = 2 + random.index(120);
    std::vector<double> demand, small, none(tasks, 0.0);
    const CoreCounts counts{static_cast<int>(1 + random.index(5)), static_cast<int>(1 + random.index(3))};
    for (size_t v = 0; v < tasks; ++v) {
      std::vector<TaskId> before;
      for (size_t n = random.index(3); v > 0 && n-- > 0;)
        before.push_back(static_cast<TaskId>(random.index(v)));
      std::sort(before.begin(), before.end());
      before.erase(std::unique(before.begin(), before.end()), before.end());
      graph.add(
          {static_cast<int64_t>(random.index(50)), static_cast<uint8_t>(1 + random.index(3)), graph::kNone},
          before);
      demand.push_back(random.index(3) == 0 ? 1.0 : static_cast<double>(random.index(101)) / 100);
      small.push_back(demand.back() / (counts.matrix + counts.vector + 1));
    }
    const CoreSchedule alone = ListScheduler(graph).schedule(counts);
    const auto makespan = static_cast<double>(alone.makespan);
    // Nothing asked, and never more than there is: the schedule itself, start by start.
    for (const auto& demands : {none, small}) {
      const SharedSchedule laid = share_bandwidth(graph, alone, demands);
      EXPECT_EQ(laid.makespan, makespan);
      for (size_t v = 0; v < tasks; ++v) EXPECT_EQ(laid.start[v], static_cast<double>(alone.start[v]));
    }
    const SharedSchedule laid = share_bandwidth(graph, alone, demand);
    double serial = 0, bandwidth = 0;
    for (size_t v = 0; v < tasks; ++v) {
      const auto duration = static_cast<double>(graph[v].duration);
      serial += duration;
      bandwidth += duration * demand[v];
      EXPECT_GE(laid.start[v], static_cast<double>(alone.start[v]));
      EXPECT_GE(laid.end[v], laid.start[v] + duration - 1e-9);
      for (TaskId p : graph.predecessors(v)) EXPECT_GE(laid.start[v], laid.end[p] - 1e-9);
    }
    EXPECT_GE(laid.makespan, makespan);
    EXPECT_GE(laid.makespan, bandwidth - 1e-6);
    EXPECT_LE(laid.makespan, serial + 1e-6);
  }
}

TEST(SharedBandwidth, refuses_demands_that_are_no_shares) {
  TaskGraph graph;
  graph.add({1, kMatrixCore, graph::kNone}, {});
  EXPECT_THROW(shared(graph, {1, 1}, {}), std::invalid_argument);
  EXPECT_THROW(shared(graph, {1, 1}, {1.5}), std::invalid_argument);
  EXPECT_THROW(shared(graph, {1, 1}, {-0.1}), std::invalid_argument);
}

}  // namespace
}  // namespace orrery::schedule

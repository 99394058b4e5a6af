#include "orrery/schedule/cores/gang_schedule.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"

namespace orrery::schedule {
namespace {

TEST(GangSchedule, a_diamond_on_two_cores_goes_below_its_critical_path) {
  TaskGraph graph;
  TaskId a = graph.add({4, kMatrixCore, graph::kNone}, {});
  TaskId b = graph.add({6, kMatrixCore, graph::kNone}, {a}),
         c = graph.add({6, kMatrixCore, graph::kNone}, {a});
  graph.add({4, kMatrixCore, graph::kNone}, {b, c});
  const GangModes modes{{1, 2}, {{4, 3}, {6, 4}, {6, 4}, {4, 3}}};
  const GangSchedule gangs = gang_schedule(graph, modes, {2, 1});
  EXPECT_EQ(broken_gang_schedule(graph, modes, gangs), "");
  EXPECT_EQ(gangs.makespan, 12);
  EXPECT_EQ(gang_schedule(graph, modes, {1, 1}).makespan, 20);
}

TEST(GangSchedule, is_legal_and_no_longer_than_on_single_cores) {
  Random random(Seed{4});
  for (int i = 0; i < 100; ++i) {
    TaskGraph graph;
    GangModes modes{{1, 2, 4}, {}};
    const size_t tasks = 2 + random.index(80);
    for (size_t v = 0; v < tasks; ++v) {
      std::vector<TaskId> before;
      for (size_t n = random.index(3); v > 0 && n-- > 0;)
        before.push_back(static_cast<TaskId>(random.index(v)));
      std::sort(before.begin(), before.end());
      before.erase(std::unique(before.begin(), before.end()), before.end());
      const auto length = static_cast<int64_t>(random.index(50));
      const auto kinds = static_cast<uint8_t>(random.index(4));
      graph.add({length, kinds, graph::kNone}, before);
      modes.durations.push_back({length});
      if (kinds & kMatrixCore) modes.durations.back() = {length, (length + 1) * 3 / 5, length * 2 / 5};
    }
    const CoreCounts counts{static_cast<int>(1 + random.index(5)), static_cast<int>(1 + random.index(3))};
    const GangSchedule gangs = gang_schedule(graph, modes, counts);
    EXPECT_EQ(broken_gang_schedule(graph, modes, gangs), "");
    GangModes single = modes;
    for (auto& durations : single.durations) durations.resize(1);
    EXPECT_LE(gangs.makespan, gang_schedule(graph, single, counts).makespan);
  }
}

}  // namespace
}  // namespace orrery::schedule

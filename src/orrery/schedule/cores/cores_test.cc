#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "orrery/base/random.h"
#include "orrery/schedule/cores/criticality.h"
#include "orrery/schedule/cores/exact_schedule.h"
#include "orrery/schedule/cores/list_schedule.h"
#include "orrery/schedule/cores/local_search.h"
#include "orrery/schedule/cores/mirror_conflicts.h"
#include "orrery/schedule/cores/task_graph.h"

namespace orrery::schedule {
namespace {

constexpr uint8_t kPair = kMatrixCore | kVectorCore;

// Random tasks; each depends on up to three of the twelve before it. pairs: some need both kinds.
TaskGraph random_graph(Random& random, size_t tasks, bool pairs, uint64_t longest = 40) {
  TaskGraph graph;
  for (size_t v = 0; v < tasks; ++v) {
    std::vector<TaskId> before;
    for (size_t i = random.index(4); v > 0 && i-- > 0;)
      before.push_back(static_cast<TaskId>(v - 1 - random.index(std::min<size_t>(v, 12))));
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    auto kinds = static_cast<uint8_t>(1 + random.index(pairs ? 3 : 2));
    graph.add({static_cast<int64_t>(random.index(longest)) + 1, kinds, graph::kNone}, before);
  }
  return graph;
}

int64_t all_durations(const TaskGraph& graph) {
  int64_t sum = 0;
  for (size_t v = 0; v < graph.size(); ++v) sum += graph[v].duration;
  return sum;
}

TEST(Cores, a_diamond_takes_twenty_on_one_core_and_fourteen_on_two) {
  TaskGraph graph;
  TaskId a = graph.add({4, kMatrixCore, graph::kNone}, {});
  TaskId b = graph.add({6, kMatrixCore, graph::kNone}, {a}),
         c = graph.add({6, kMatrixCore, graph::kNone}, {a});
  graph.add({4, kMatrixCore, graph::kNone}, {b, c});
  ListScheduler scheduler(graph);
  EXPECT_EQ(scheduler.schedule({1, 1}).makespan, 20);
  EXPECT_EQ(scheduler.schedule({2, 1}).makespan, 14);
  EXPECT_EQ(scheduler.criticality().critical_path, 14);
  EXPECT_EQ(scheduler.criticality().slack(b), 0);
}

TEST(Cores, greedy_takes_nine_where_six_is_possible) {
  TaskGraph graph;
  auto add = [&](int64_t duration, uint8_t kinds, std::initializer_list<TaskId> before) {
    return graph.add({duration, kinds, graph::kNone}, before);
  };
  TaskId v1 = add(1, kVectorCore, {});
  add(3, kMatrixCore, {});
  add(2, kMatrixCore, {});
  TaskId t1 = add(1, kMatrixCore, {});
  add(3, kMatrixCore, {v1, t1});
  add(5, kVectorCore, {});
  EXPECT_EQ(ListScheduler(graph).schedule({2, 1}).makespan, 9);
  ExactSchedule exact = exact_schedule(graph, {2, 1});
  EXPECT_EQ(exact.schedule.makespan, 6);
  EXPECT_TRUE(exact.proven());
  EXPECT_EQ(broken_schedule(graph, exact.schedule), "");
}

TEST(Cores, every_sink_has_a_latest_start) {
  TaskGraph graph;
  TaskId root = graph.add({2, kMatrixCore, graph::kNone}, {});
  TaskId short_one = graph.add({3, kVectorCore, graph::kNone}, {root}),
         long_one = graph.add({9, kMatrixCore, graph::kNone}, {root});
  Criticality c = criticality(graph);
  EXPECT_EQ(c.critical_path, 11);
  EXPECT_EQ(c.alap(short_one), 8);
  EXPECT_EQ(c.alap(long_one), 2);
  EXPECT_EQ(c.slack(short_one), 6);
}

TEST(Cores, a_chain_of_half_a_million_is_no_deeper_than_any_other) {
  TaskGraph graph;
  TaskId last = graph.add({1, kMatrixCore, graph::kNone}, {});
  for (int i = 1; i < 500000; ++i) last = graph.add({1, kMatrixCore, graph::kNone}, {last});
  ListScheduler scheduler(graph);
  EXPECT_EQ(scheduler.criticality().critical_path, 500000);
  EXPECT_EQ(scheduler.schedule({2, 2}).makespan, 500000);
}

TEST(Cores, schedules_of_random_graphs_keep_every_law) {
  Random random(Seed{14});
  for (int i = 0; i < 200; ++i) {
    const bool pairs = i % 2;
    TaskGraph graph = random_graph(random, 2 + random.index(499), pairs);
    ListScheduler scheduler(graph);
    const Criticality& c = scheduler.criticality();
    for (size_t v = 0; v < graph.size(); ++v) EXPECT_GE(c.slack(v), 0);
    CoreCounts counts{static_cast<int>(1 + random.index(4)), static_cast<int>(1 + random.index(4))};
    CoreSchedule s = scheduler.schedule(counts);
    ASSERT_EQ(broken_schedule(graph, s), "");
    EXPECT_GE(s.makespan, c.critical_path);
    EXPECT_LE(s.makespan, all_durations(graph));
    EXPECT_GE(s.makespan, threshold_bound(graph, c, counts));
    EXPECT_GE(threshold_bound(graph, c, counts), makespan_bound(graph, c, counts));
    const auto work = graph.work();
    if (!pairs) {
      double graham = static_cast<double>(work[0]) / counts.matrix +
                      static_cast<double>(work[1]) / counts.vector + static_cast<double>(c.critical_path);
      EXPECT_LE(static_cast<double>(s.makespan), graham);
    }
    std::array<int64_t, kCoreKinds> busy{};
    for (size_t v = 0; v < graph.size(); ++v) {
      EXPECT_GE(s.start[v], s.ready[v]);
      for (size_t kind = 0; kind < kCoreKinds; ++kind)
        busy[kind] += s.core[v][kind] != kNoCore ? graph[v].duration : 0;
    }
    EXPECT_EQ(busy, work);
    CoreSchedule again = ListScheduler(graph).schedule(counts);
    EXPECT_EQ(again.start, s.start);
    EXPECT_EQ(again.core, s.core);
    EXPECT_EQ(scheduler.makespan(counts), s.makespan);
  }
}

TEST(Cores, a_task_that_needs_both_kinds_is_not_passed_for_ever) {
  TaskGraph graph;
  // Two chains keep both kinds busy at staggered times; the pair is the most urgent once they run.
  TaskId head = graph.add({1, kMatrixCore, graph::kNone}, {});
  TaskId m = graph.add({2, kMatrixCore, graph::kNone}, {}), v = graph.add({3, kVectorCore, graph::kNone}, {});
  TaskId pair = graph.add({5, kPair, graph::kNone}, {head});
  graph.add({10000, kMatrixCore, graph::kNone}, {pair});
  for (int i = 0; i < 200; ++i) {
    m = graph.add({2, kMatrixCore, graph::kNone}, {m});
    v = graph.add({3, kVectorCore, graph::kNone}, {v});
  }
  CoreSchedule s = ListScheduler(graph).schedule({1, 1});
  EXPECT_EQ(broken_schedule(graph, s), "");
  EXPECT_LT(s.start[pair], 3 * (kMostPasses + 3));
}

// The shortest schedule over all orders in which tasks can be appended, without any bound.
int64_t shortest(const TaskGraph& graph, CoreCounts counts) {
  std::vector<int64_t> end(graph.size(), -1);
  std::array<std::vector<int64_t>, kCoreKinds> free;
  for (size_t kind = 0; kind < kCoreKinds; ++kind) free[kind].assign(static_cast<size_t>(counts.of(kind)), 0);
  int64_t best = INT64_MAX;
  std::function<void(size_t, int64_t)> append = [&](size_t placed, int64_t makespan) {
    if (placed == graph.size()) {
      best = std::min(best, makespan);
      return;
    }
    for (size_t v = 0; v < graph.size(); ++v) {
      if (end[v] >= 0) continue;
      int64_t start = 0;
      bool ready = true;
      for (TaskId p : graph.predecessors(v)) {
        ready = ready && end[p] >= 0;
        start = std::max(start, end[p]);
      }
      if (!ready) continue;
      auto kept = free;
      for (size_t kind = 0; kind < kCoreKinds; ++kind) {
        if (graph[v].kinds >> kind & 1)
          start = std::max(start, *std::min_element(free[kind].begin(), free[kind].end()));
      }
      for (size_t kind = 0; kind < kCoreKinds; ++kind) {
        if (graph[v].kinds >> kind & 1)
          *std::min_element(free[kind].begin(), free[kind].end()) = start + graph[v].duration;
      }
      end[v] = start + graph[v].duration;
      append(placed + 1, std::max(makespan, end[v]));
      end[v] = -1;
      free = kept;
    }
  };
  append(0, 0);
  return best;
}

TEST(Cores, branch_and_bound_equals_brute_force) {
  Random random(Seed{5});
  for (int i = 0; i < 150; ++i) {
    TaskGraph graph = random_graph(random, 2 + random.index(6), i % 2);
    CoreCounts counts{static_cast<int>(1 + random.index(2)), static_cast<int>(1 + random.index(2))};
    ExactSchedule exact = exact_schedule(graph, counts);
    EXPECT_TRUE(exact.proven());
    EXPECT_EQ(broken_schedule(graph, exact.schedule), "");
    EXPECT_EQ(exact.schedule.makespan, shortest(graph, counts));
  }
}

TEST(Cores, greedy_is_near_the_optimum_of_small_graphs) {
  Random random(Seed{9});
  double sum = 0, worst = 1, improved = 0;
  int graphs = 100;
  for (int i = 0; i < graphs; ++i) {
    TaskGraph graph = random_graph(random, 8 + random.index(7), i % 2);
    CoreCounts counts{static_cast<int>(1 + random.index(2)), static_cast<int>(1 + random.index(2))};
    ExactSchedule exact = exact_schedule(graph, counts);
    ASSERT_TRUE(exact.proven());
    ListScheduler greedy(graph);
    const auto shortest_makespan = static_cast<double>(exact.schedule.makespan);
    double ratio = static_cast<double>(greedy.schedule(counts).makespan) / shortest_makespan;
    EXPECT_GE(ratio, 1);
    CoreSchedule better = improved_schedule(graph, counts, 200, Seed{static_cast<uint64_t>(i)});
    EXPECT_EQ(broken_schedule(graph, better), "");
    improved += static_cast<double>(better.makespan) / shortest_makespan;
    sum += ratio;
    worst = std::max(worst, ratio);
  }
  RecordProperty("mean", std::to_string(sum / graphs));
  RecordProperty("worst", std::to_string(worst));
  RecordProperty("improved_mean", std::to_string(improved / graphs));
  EXPECT_LE(improved / graphs, 1.005);
  EXPECT_LE(sum / graphs, 1.03);
  EXPECT_LE(worst, 1.5);
}

// A forward chain with a side branch a layer, and its backward with input and weight gradients apart.
TaskGraph training_graph(int layers) {
  TaskGraph graph;
  std::vector<TaskId> forward, side;
  TaskId last = graph.add({10, kMatrixCore, graph::kNone}, {});
  forward.push_back(last);
  for (int i = 1; i < layers; ++i) {
    TaskId act = graph.add({3, kVectorCore, graph::kNone}, {last});
    side.push_back(graph.add({8, kMatrixCore, graph::kNone}, {act}));
    last = graph.add({10, kMatrixCore, graph::kNone}, {act});
    forward.push_back(last);
  }
  for (int i = layers; i-- > 0;) {
    TaskId stash = forward[static_cast<size_t>(i)];
    graph.add({10, kMatrixCore, stash}, {last, stash});  // weight gradient
    last = graph.add({10, kMatrixCore, stash}, {last});
  }
  return graph;
}

TEST(MirrorConflicts, end_where_no_core_helps_in_few_schedules) {
  TaskGraph graph = training_graph(20);
  ListScheduler scheduler(graph);
  ConflictResolution found = resolve_mirror_conflicts(scheduler, [](CoreCounts) { return true; });
  EXPECT_LE(found.kept.back().makespan, scheduler.criticality().critical_path * 1.01);
  EXPECT_LE(found.schedules(), 12);
  EXPECT_GT(found.kept.front().makespan, 1.3 * static_cast<double>(found.kept.back().makespan));
  for (size_t i = 1; i < found.kept.size(); ++i)
    EXPECT_LT(found.kept[i].makespan, found.kept[i - 1].makespan);
}

TEST(MirrorConflicts, stay_within_what_is_affordable) {
  TaskGraph graph = training_graph(20);
  ListScheduler scheduler(graph);
  ConflictResolution found = resolve_mirror_conflicts(scheduler, [](CoreCounts c) { return c.matrix < 2; });
  for (const CoreStep& step : found.kept) EXPECT_LT(step.counts.matrix, 2);
  EXPECT_LE(found.schedules(), 4);
}

TEST(MirrorConflicts, a_chain_is_worth_one_core_of_each_kind) {
  TaskGraph graph;
  TaskId last = graph.add({5, kMatrixCore, graph::kNone}, {});
  for (int i = 0; i < 30; ++i) last = graph.add({5, static_cast<uint8_t>(1 + i % 3), graph::kNone}, {last});
  ListScheduler scheduler(graph);
  ConflictResolution found = resolve_mirror_conflicts(scheduler, [](CoreCounts) { return true; });
  EXPECT_EQ(found.schedules(), 1);
  EXPECT_EQ(found.kept.back().counts, (CoreCounts{1, 1}));
}

TEST(TaskGraph, of_an_operator_graph_keeps_dependencies_durations_and_cores) {
  graph::GraphBuilder builder;
  graph::TensorId in = builder.input(Bytes(100), graph::TensorKind::Input);
  graph::OperatorShape gemm = graph::make(graph::GemmSize{1, 8, 8, 8}, DataType::BF16, DataType::BF16),
                       relu =
                           graph::make(graph::OperatorKind::Relu, {.rows = 8, .columns = 8}, DataType::BF16);
  graph::TensorId a = builder.add("a", 0, gemm, std::vector<graph::TensorId>{in}, Bytes(128));
  graph::TensorId b = builder.add("b", 0, relu, std::vector<graph::TensorId>{a}, Bytes(128));
  builder.add("c", 0, gemm, std::vector<graph::TensorId>{b, builder.view(a, Bytes(128)), a}, Bytes(128));
  graph::Graph graph = builder.take(1);
  std::vector<cost::OperatorCost> costs(graph.kernels.size());
  costs[0].time = Seconds(10e-9);  // 10 cycles of 1 GHz
  costs[0].engines = kMatrixCore;
  costs[1].time = Seconds(2.5e-9);
  costs[1].engines = kVectorCore;
  TaskGraph tasks = task_graph(graph, costs, Hertz(1e9));
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].duration, 10);
  EXPECT_EQ(tasks[1].duration, 3);
  EXPECT_EQ(tasks[1].kinds, kVectorCore);
  EXPECT_EQ(std::vector<TaskId>(tasks.predecessors(2).begin(), tasks.predecessors(2).end()),
            (std::vector<TaskId>{0, 1}));
  EXPECT_EQ(ListScheduler(tasks).schedule({1, 1}).makespan, 23);
}

}  // namespace
}  // namespace orrery::schedule

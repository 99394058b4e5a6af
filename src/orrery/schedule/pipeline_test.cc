#include "orrery/schedule/pipeline.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <queue>

#include "orrery/base/error.h"
#include "orrery/base/random.h"

namespace orrery::schedule {
namespace {

using enum PipelineSchedule;

StageCost stage(double forward, double backward, double send = 0) {
  return {Seconds(forward), Seconds(backward), Seconds(send), Seconds(send)};
}

// The same semantics from another side: a queue of events in time, messages that travel, stages that wake up.
// Whole numbers of ticks, so that nothing depends on rounding.
class ByEvents {
 public:
  ByEvents(std::vector<StageCost> stages, const PipelineOptions& options)
      : stages_(std::move(stages)), options_(options), at_(stages_.size()), free_(stages_.size()) {}

  double run() {
    int p = static_cast<int>(stages_.size());
    for (int s = 0; s < p; ++s) orders_.push_back(pipeline_order(options_, s, p));
    for (int j = 0; j < options_.micro_batches; ++j) there_[{0, j, false}] = 0;
    for (int s = 0; s < p; ++s) wake_.push({0, s});
    double last = 0;
    while (!wake_.empty()) {
      auto [now, s] = wake_.top();
      wake_.pop();
      auto& at = at_[static_cast<size_t>(s)];
      const auto& order = orders_[static_cast<size_t>(s)];
      if (at == order.size() || free_[static_cast<size_t>(s)] > now) continue;
      PipelineStep task = order[at];
      auto found = there_.find({s, task.micro_batch, task.backward});
      if (found == there_.end() || found->second > now) continue;  // the message will wake the stage
      ++at;
      const StageCost& cost = stages_[static_cast<size_t>(s)];
      double end = now + (task.backward ? cost.backward : cost.forward).value();
      last = std::max(last, end);
      double until = deliver(s, task, end, cost);
      if (!options_.blocking_sends) until = end;
      free_[static_cast<size_t>(s)] = until;
      last = std::max(last, until);
      wake_.push({until, s});
    }
    return last;
  }

 private:
  double deliver(int s, PipelineStep task, double end, const StageCost& cost) {
    int p = static_cast<int>(stages_.size());
    if (!task.backward && s == p - 1) {
      there_[{s, task.micro_batch, true}] = end;
      wake_.push({end, s});
      return end;
    }
    if (task.backward && s == 0) return end;
    double& wire = wires_[{s, task.backward}];
    wire = std::max(wire, end) + (task.backward ? cost.send_backward : cost.send_forward).value();
    int to = task.backward ? s - 1 : s + 1;
    there_[{to, task.micro_batch, task.backward}] = wire;
    wake_.push({wire, to});
    return wire;
  }

  std::vector<StageCost> stages_;
  PipelineOptions options_;
  std::vector<std::vector<PipelineStep>> orders_;
  std::vector<size_t> at_;
  std::vector<double> free_;
  std::map<std::tuple<int, int, bool>, double> there_;
  std::map<std::pair<int, bool>, double> wires_;
  std::priority_queue<std::pair<double, int>, std::vector<std::pair<double, int>>, std::greater<>> wake_;
};

TEST(Pipeline, equal_stages_take_the_closed_form) {
  for (PipelineSchedule schedule : {GPipe, OneForwardOneBackward}) {
    for (int p = 1; p <= 9; ++p) {
      for (int m = 1; m <= 20; ++m) {
        std::vector<StageCost> stages(static_cast<size_t>(p), stage(2, 5));
        PipelineRun run = run_pipeline(stages, {.micro_batches = m, .schedule = schedule});
        EXPECT_DOUBLE_EQ(run.time.value(), (m + p - 1) * 7.0) << p << " " << m;
        EXPECT_NEAR(run.bubble_share(), static_cast<double>(p - 1) / (m + p - 1), 1e-12);
      }
    }
  }
}

// Closed forms of unlike stages only bound it: Σ load + (m - 1)·max load is 51 here, (m + p - 1)·max 55.
TEST(Pipeline, unlike_stages_take_less_than_their_closed_forms) {
  const std::vector<StageCost> unlike = {stage(1, 2), stage(2, 3), stage(1.5, 2.5), stage(1.5, 2.5)},
                               alike(4, stage(1, 2));
  EXPECT_DOUBLE_EQ(run_pipeline(unlike, {.micro_batches = 8}).time.value(), 49);
  EXPECT_DOUBLE_EQ(run_pipeline(alike, {.micro_batches = 8}).time.value(), 33);
}

TEST(Pipeline, forwards_alone_take_the_closed_form) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = 1; m <= 9; ++m) {
      std::vector<StageCost> stages(static_cast<size_t>(p), stage(3, 0, 1));
      EXPECT_DOUBLE_EQ(run_pipeline(stages, {.micro_batches = m, .train = false}).time.value(),
                       3 * (m + p - 1) + (p - 1));
    }
  }
}

TEST(Pipeline, unequal_stages_agree_with_a_simulation_by_events) {
  Random random(Seed{7});
  for (int round = 0; round < 3000; ++round) {
    std::vector<StageCost> stages(1 + random.index(6));
    for (StageCost& s : stages) {
      s = {Seconds(static_cast<double>(1 + random.index(9))),
           Seconds(static_cast<double>(1 + random.index(15))), Seconds(static_cast<double>(random.index(6))),
           Seconds(static_cast<double>(random.index(6)))};
    }
    PipelineOptions options{.micro_batches = 1 + static_cast<int>(random.index(12)),
                            .schedule = random.index(2) ? GPipe : OneForwardOneBackward,
                            .train = random.index(5) > 0,
                            .blocking_sends = random.index(2) == 1};
    EXPECT_EQ(run_pipeline(stages, options).time.value(), ByEvents(stages, options).run())
        << stages.size() << " stages, " << options.micro_batches << " micro-batches";
  }
}

TEST(Pipeline, tasks_never_overlap_and_come_behind_what_they_read) {
  Random random(Seed{11});
  for (int round = 0; round < 300; ++round) {
    std::vector<StageCost> stages(2 + random.index(5));
    for (StageCost& s : stages)
      s = stage(random.uniform() + .1, random.uniform() + .1, random.uniform() * .2);
    PipelineOptions options{.micro_batches = 1 + static_cast<int>(random.index(10)),
                            .schedule = random.index(2) ? GPipe : OneForwardOneBackward};
    PipelineRun run = run_pipeline(stages, options);
    ASSERT_EQ(run.tasks.size(), 2 * stages.size() * static_cast<size_t>(options.micro_batches));
    std::map<std::tuple<int, int, bool>, double> end;
    for (const PipelineTask& t : run.tasks)
      end[{t.stage, t.micro_batch, t.backward}] = (t.start + t.duration).value();
    for (size_t i = 0; i < run.tasks.size(); ++i) {
      const PipelineTask& t = run.tasks[i];
      double earliest = 0;
      if (i > 0 && run.tasks[i - 1].stage == t.stage)
        earliest = (run.tasks[i - 1].start + run.tasks[i - 1].duration).value();
      if (t.backward) earliest = std::max(earliest, end.at({t.stage, t.micro_batch, false}));
      int from = t.backward ? t.stage + 1 : t.stage - 1;
      if (from >= 0 && from < static_cast<int>(stages.size()))
        earliest = std::max(earliest, end.at({from, t.micro_batch, t.backward}));
      EXPECT_GE(t.start.value(), earliest);
    }
  }
}

TEST(Pipeline, more_work_is_never_faster) {
  Random random(Seed{13});
  for (int round = 0; round < 50000; ++round) {
    std::vector<StageCost> stages(1 + random.index(6));
    for (StageCost& s : stages) s = stage(random.uniform(), random.uniform(), random.uniform() * .3);
    PipelineOptions options{.micro_batches = 1 + static_cast<int>(random.index(10)),
                            .schedule = random.index(2) ? GPipe : OneForwardOneBackward,
                            .blocking_sends = random.index(2) == 1};
    double before = run_pipeline(stages, options).time.value();
    std::vector<StageCost> more = stages;
    StageCost& grown = more[random.index(more.size())];
    Seconds* costs[] = {&grown.forward, &grown.backward, &grown.send_forward, &grown.send_backward};
    *costs[random.index(4)] += Seconds(random.uniform());
    EXPECT_GE(run_pipeline(more, options).time.value(), before - 1e-12);
    ++options.micro_batches;
    EXPECT_GE(run_pipeline(stages, options).time.value(), before - 1e-12);
  }
}

TEST(Pipeline, the_busiest_stage_and_the_longest_path_bound_the_time) {
  Random random(Seed{17});
  for (int round = 0; round < 500; ++round) {
    std::vector<StageCost> stages(1 + random.index(6));
    for (StageCost& s : stages) s = stage(random.uniform(), random.uniform(), random.uniform() * .3);
    PipelineOptions options{.micro_batches = 1 + static_cast<int>(random.index(10))};
    PipelineRun run = run_pipeline(stages, options);
    double path = 0, busiest = 0;
    for (size_t s = 0; s < stages.size(); ++s) {
      path += (stages[s].forward + stages[s].backward).value();
      if (s + 1 < stages.size()) path += stages[s].send_forward.value();
      if (s > 0) path += stages[s].send_backward.value();
      busiest = std::max(busiest, options.micro_batches * (stages[s].forward + stages[s].backward).value());
    }
    EXPECT_GE(run.time.value(), path - 1e-12);
    EXPECT_GE(run.time.value(), busiest - 1e-12);
    EXPECT_GE(run.bubble_share(), -1e-12);
    EXPECT_LT(run.bubble_share(), 1);
  }
}

TEST(Pipeline, one_forward_one_backward_keeps_fewer_activations) {
  std::vector<StageCost> stages(4, stage(1, 2));
  PipelineRun gpipe = run_pipeline(stages, {.micro_batches = 12, .schedule = GPipe});
  PipelineRun in_turn = run_pipeline(stages, {.micro_batches = 12});
  EXPECT_EQ(gpipe.kept, (std::vector<int>{12, 12, 12, 12}));
  EXPECT_EQ(in_turn.kept, (std::vector<int>{4, 3, 2, 1}));
}

TEST(Pipeline, nonsense_is_refused) {
  EXPECT_THROW(run_pipeline({}, {}), InputError);
  std::vector<StageCost> stages(2, stage(1, 1));
  EXPECT_THROW(run_pipeline(stages, {.micro_batches = 0}), InputError);
  stages[1].backward = Seconds(-1);
  EXPECT_THROW(run_pipeline(stages, {}), InputError);
  stages[1].backward = Seconds(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THROW(run_pipeline(stages, {}), InputError);
  EXPECT_EQ(parse_pipeline_schedule("gpipe"), GPipe);
  EXPECT_EQ(parse_pipeline_schedule("1f1b"), OneForwardOneBackward);
  EXPECT_FALSE(parse_pipeline_schedule("chimera"));
}

}  // namespace
}  // namespace orrery::schedule

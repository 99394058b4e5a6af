#include "orrery/schedule/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/error.h"

namespace orrery::schedule {
namespace {

constexpr double kNotYet = -1;

// One run: each stage has a place in its order, each task a time at which what it reads is there.
class Simulation {
 public:
  Simulation(std::span<const StageCost> stages, const PipelineOptions& options)
      : costs_(stages), options_(options), stages_(stages.size()) {
    auto tasks = static_cast<size_t>(options.micro_batches);
    for (size_t s = 0; s < stages_.size(); ++s) {
      stages_[s].order = pipeline_order(options, static_cast<int>(s), static_cast<int>(stages_.size()));
      stages_[s].forward_ready.assign(tasks, s == 0 ? 0 : kNotYet);
      stages_[s].backward_ready.assign(tasks, kNotYet);
    }
  }

  PipelineRun run() {
    // A stage that finished a task may go on, and so may the neighbour that it sent to.
    std::vector<size_t> awake;
    for (size_t s = stages_.size(); s-- > 0;) awake.push_back(s);
    while (!awake.empty()) {
      size_t s = awake.back();
      awake.pop_back();
      while (step(s, awake)) {
      }
    }
    return result();
  }

 private:
  struct Stage {
    std::vector<PipelineStep> order;
    std::vector<double> forward_ready, backward_ready;  // of each micro-batch: when its input is there
    std::vector<PipelineTask> done;
    double clock = 0, busy = 0;
    double link_forward = 0, link_backward = 0;  // when the link to a neighbour is free again
  };

  // Runs the next task of a stage if what it reads is there.
  bool step(size_t s, std::vector<size_t>& awake) {
    Stage& stage = stages_[s];
    if (stage.done.size() == stage.order.size()) return false;
    PipelineStep next = stage.order[stage.done.size()];
    auto j = static_cast<size_t>(next.micro_batch);
    double ready = next.backward ? stage.backward_ready[j] : stage.forward_ready[j];
    if (ready == kNotYet) return false;
    double duration = (next.backward ? costs_[s].backward : costs_[s].forward).value();
    double start = std::max(stage.clock, ready), end = start + duration;
    stage.done.push_back(
        {static_cast<int>(s), next.micro_batch, next.backward, Seconds(start), Seconds(duration)});
    stage.clock = end;
    stage.busy += duration;
    hand_over(s, next, end, awake);
    return true;
  }

  void hand_over(size_t s, PipelineStep task, double end, std::vector<size_t>& awake) {
    Stage& stage = stages_[s];
    auto j = static_cast<size_t>(task.micro_batch);
    bool last = s + 1 == stages_.size();
    if (!task.backward && last) {
      stage.backward_ready[j] = end;  // the loss is at hand
      return;
    }
    if (task.backward && s == 0) return;
    double& link = task.backward ? stage.link_backward : stage.link_forward;
    double send = (task.backward ? costs_[s].send_backward : costs_[s].send_forward).value();
    link = std::max(link, end) + send;
    if (options_.blocking_sends) stage.clock = link;
    size_t to = task.backward ? s - 1 : s + 1;
    (task.backward ? stages_[to].backward_ready : stages_[to].forward_ready)[j] = link;
    awake.push_back(to);
  }

  PipelineRun result() const {
    PipelineRun run;
    for (const Stage& stage : stages_) {
      run.tasks.insert(run.tasks.end(), stage.done.begin(), stage.done.end());
      run.busy.push_back(Seconds(stage.busy));
      run.end.push_back(Seconds(stage.clock));
      run.time = std::max(run.time, Seconds(stage.clock));
      int kept = 0, most = 0;
      for (const PipelineTask& task : stage.done) {
        kept += task.backward ? -1 : 1;
        most = std::max(most, kept);
      }
      run.kept.push_back(options_.train ? most : 1);
    }
    return run;
  }

  std::span<const StageCost> costs_;
  const PipelineOptions& options_;
  std::vector<Stage> stages_;
};

}  // namespace

std::string_view name(PipelineSchedule schedule) {
  return schedule == PipelineSchedule::GPipe ? "gpipe" : "1f1b";
}

std::optional<PipelineSchedule> parse_pipeline_schedule(std::string_view text) {
  for (PipelineSchedule schedule : {PipelineSchedule::GPipe, PipelineSchedule::OneForwardOneBackward}) {
    if (name(schedule) == text) return schedule;
  }
  return std::nullopt;
}

double PipelineRun::bubble_share() const {
  double all = time.value() * static_cast<double>(busy.size()), worked = 0;
  for (Seconds stage : busy) worked += stage.value();
  return all > 0 ? 1 - worked / all : 0;
}

std::vector<PipelineStep> pipeline_order(const PipelineOptions& options, int stage, int stages) {
  int m = options.micro_batches;
  std::vector<PipelineStep> order;
  bool in_turn = options.train && options.schedule == PipelineSchedule::OneForwardOneBackward;
  int ahead = in_turn ? std::min(stages - 1 - stage, m) : m;
  for (int j = 0; j < ahead; ++j) order.push_back({j, false});
  if (in_turn) {
    for (int j = ahead; j < m; ++j) {
      order.push_back({j, false});
      order.push_back({j - ahead, true});
    }
    for (int j = m - ahead; j < m; ++j) order.push_back({j, true});
  } else if (options.train) {
    for (int j = m; j-- > 0;) order.push_back({j, true});
  }
  return order;
}

PipelineRun run_pipeline(std::span<const StageCost> stages, const PipelineOptions& options) {
  if (stages.empty() || options.micro_batches < 1) {
    throw InputError(
        fmt::format("a pipeline of {} stages and {} micro-batches; expected at least one of each",
                    stages.size(), options.micro_batches));
  }
  for (const StageCost& stage : stages) {
    for (Seconds cost : {stage.forward, stage.backward, stage.send_forward, stage.send_backward}) {
      if (!(cost.value() >= 0 && std::isfinite(cost.value())))
        throw InputError(fmt::format("a stage costs {} s; expected a time from 0 on", cost.value()));
    }
  }
  return Simulation(stages, options).run();
}

}  // namespace orrery::schedule

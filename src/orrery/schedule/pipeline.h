// A pipeline of stages over micro-batches, as an event simulation: when every stage works on which
// micro-batch, and when it waits.
//
// Each stage takes its tasks in the fixed order of the schedule and starts one as soon as it is free and what
// the task reads has arrived: forward j of stage s needs forward j of stage s−1 and its transfer, backward j
// of stage s needs backward j of stage s+1 and its transfer. Transfers run beside the computation, one after
// another on each directed link between neighbours; with `blocking_sends` the sending stage waits until its
// message is out.
//
//   GPipe       all forwards, then all backwards from the last micro-batch (Huang et al. 2019, arXiv
//   1811.06965) 1F1B        stage s of p runs min(p−1−s, m) forwards ahead, then one forward and one backward
//   in turn (PipeDream-
//               Flush, Narayanan et al. 2021, arXiv 2104.04473, figure 4): the same time for equal stages,
//               but at most p−s micro-batches' activations are kept instead of m
//
// With equal stages and free transfers both take (m + p − 1)(f + b), a share (p − 1)/(m + p − 1) of it idle.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "orrery/base/units.h"

namespace orrery::schedule {

enum class PipelineSchedule : uint8_t { GPipe, OneForwardOneBackward };
std::string_view name(PipelineSchedule schedule);  // "gpipe", "1f1b"
std::optional<PipelineSchedule> parse_pipeline_schedule(std::string_view text);

// Of one stage and one micro-batch.
struct StageCost {
  Seconds forward, backward;            // backward 0 and no training: a pipeline of forward passes
  Seconds send_forward, send_backward;  // of its result to the next stage, of its gradient to the one before
};

struct PipelineOptions {
  int micro_batches = 1;
  PipelineSchedule schedule = PipelineSchedule::OneForwardOneBackward;
  bool train = true;            // false: forwards alone
  bool blocking_sends = false;  // a stage waits for its own messages
};

struct PipelineTask {
  int stage = 0, micro_batch = 0;
  bool backward = false;
  Seconds start, duration;
};

struct PipelineRun {
  Seconds time;                     // until the last stage is done
  std::vector<PipelineTask> tasks;  // by stage, then in the order of its work
  std::vector<Seconds> busy, end;   // of each stage
  std::vector<int> kept;            // of each stage: most micro-batches whose activations are kept at once
  // Idle time of all stages over stages × time.
  double bubble_share() const;
};

// The order in which a stage works: (micro-batch, backward).
struct PipelineStep {
  int micro_batch = 0;
  bool backward = false;
  bool operator==(const PipelineStep&) const = default;
};
std::vector<PipelineStep> pipeline_order(const PipelineOptions& options, int stage, int stages);

// Throws InputError without stages or micro-batches, and for costs that are negative or no numbers.
PipelineRun run_pipeline(std::span<const StageCost> stages, const PipelineOptions& options);

}  // namespace orrery::schedule

// What forecast_iteration (iteration.h) answers: one iteration over many devices, stage by stage and link by
// link.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/interval.h"
#include "orrery/base/timeline.h"
#include "orrery/graph/model_config.h"
#include "orrery/schedule/pipeline.h"

namespace orrery::schedule {

struct StageForecast {
  int first_layer = 0, layers = 0;
  Seconds forward, backward;     // of one micro-batch
  Seconds busy;                  // computing, in the whole iteration, without the optimizer
  Seconds computed, reduced;     // when its last task ends, and its last gradient has arrived
  Seconds reduction, optimizer;  // of the link for gradients; of the update
  int kept = 1;                  // micro-batches whose activations are kept at once, at most
};

struct IterationForecast {
  Interval<Seconds> time;
  graph::Parallelism parallel;
  int devices() const { return parallel.data * parallel.tensor * parallel.pipeline; }
  int micro_batches = 1;
  int64_t micro_batch = 1;  // sequences
  PipelineSchedule schedule = PipelineSchedule::OneForwardOneBackward;
  std::string link;  // "8 x NVLink4, 4 x InfiniBand NDR"
  std::vector<StageForecast> stages;
  double bubble_share = 0;  // idle time of the stages within the pipeline, over stages × its time
  // Of the busiest stage; exposed: what the iteration would be shorter by with free links of that kind.
  struct Communication {
    Seconds total, exposed;
    Bytes bytes;  // of one device's tensors
  };
  Communication tensor, pipeline, data;
  Seconds optimizer, engine;
  Flops flops;        // of all devices
  Timeline timeline;  // a lane a stage, and one for its gradients
};

}  // namespace orrery::schedule

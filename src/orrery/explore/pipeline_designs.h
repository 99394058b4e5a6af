// Accelerators for a pipeline of stages: one design for all stages of all models (common), one a model
// (individual), one a stage (mosaic). Source: WHAM, arXiv 2404.14632, section on global search.
//
// Candidates are the best `top` designs of each distinct stage by a search of its own. A pipeline of stage
// times t_s = forward + backward, m micro-batches, is priced by
//   T = Σ_s (t_s + 2 c_s) + (m − 1) · max_s t_s + max_s u_s      c: one transfer, u: all-reduce and update
// which is exact for equal stages, and the winners by the event simulation of schedule/pipeline.h. A mosaic
// is exact by that formula: of every stage's candidates, and of every first few stages together, only those
// are kept that no other beats in sum of times, longest time and power, and the best 16 are simulated.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/explore/accelerator_search.h"
#include "orrery/schedule/pipeline.h"

namespace orrery::explore {

// Stages that are equal share one entry.
struct PipelineStage {
  AcceleratorWorkload forward, backward;  // of one micro-batch; backward without operators: inference
  int copies = 1;                         // stages in a row that are like this
  Seconds transfer;                       // of an activation to the next stage, and of its gradient back
  Seconds update;                         // once an iteration: all-reduce of gradients, optimizer
};
struct PipelineModel {
  std::string name;
  std::vector<PipelineStage> stages;  // in order
  int micro_batches = 8;
  schedule::PipelineSchedule schedule = schedule::PipelineSchedule::OneForwardOneBackward;
};

struct PipelineStudy {
  std::vector<PipelineModel> models;
  AcceleratorStudy
      base;         // its workloads are ignored; objective: throughput, or throughput a watt of all stages
  size_t top = 10;  // designs a stage that are kept; SIZE_MAX: all that are affordable
};

struct PipelineDesign {
  std::vector<DesignPoint> stages;  // one a stage, copies counted out
  Seconds closed_form, simulated;   // of an iteration
  double throughput = 0;            // samples a second, of the simulation
  Watts tdp;                        // of all stages
  double objective = 0;
};
struct PipelinePlan {
  std::vector<DesignPoint> candidates;
  std::vector<PipelineDesign> common, individual, mosaic;                       // one a model
  double common_objective = 0, individual_objective = 0, mosaic_objective = 0;  // geometric means
};

// The closed form. `times` one a stage: forward and backward of a micro-batch.
Seconds closed_form_time(const std::vector<schedule::StageCost>& stages, const std::vector<Seconds>& updates,
                         int micro_batches);

// Throws InputError for models without stages or micro-batches, and when no design is affordable.
PipelinePlan plan_pipelines(const PipelineStudy& study, const RunContext& context);

// A model's training cut into stages of whole layers, the first with the embedding and the last with the
// head; stages that are equal share one entry.
struct PipelineRequest {
  std::string model;
  int stages = 4, tensor = 1;
  int64_t micro_batch = 1, sequence = 512;
  int micro_batches = 8;
  BytesPerSecond link{4.294967296e9};  // between stages: PHAZE's PCIe 3.0 figure
  BytesPerSecond dram{700e9};          // an update moves the weights and their state once
};
PipelineModel pipeline_of_model(const PipelineRequest& request);

}  // namespace orrery::explore

// Iterations of four GPUs and fused inference that NeuSight's authors measured, beside their forecasts and
// ours (neusight/end_to_end.csv of the folder with measured data: the rows with an option).
#pragma once

#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/table.h"
#include "orrery/schedule/iteration.h"
#include "orrery/validate/neusight_graphs.h"

namespace orrery::validate {

struct DistributedRow {
  NeusightWorkload workload;
  std::string gpu;
  Seconds measured, theirs;
  schedule::IterationForecast ours;
  Seconds link_rule;  // ours with their rule for links instead of fitted collectives
};

// Predictor: any operator model and its engine terms. Throws InputError for files that are missing or
// damaged.
std::vector<DistributedRow> evaluate_neusight_distributed(const std::string& data_folder,
                                                          const schedule::Predictor& predictor);
// One of their workloads on a node of as many GPUs as its option says.
schedule::IterationForecast forecast_neusight(const NeusightWorkload& workload,
                                              const hardware::Device& device,
                                              const schedule::Predictor& predictor,
                                              const cost::CollectiveModel& collectives);

report::Table neusight_distributed_table(const std::vector<DistributedRow>& rows);

}  // namespace orrery::validate

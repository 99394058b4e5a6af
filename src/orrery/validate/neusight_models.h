// Whole models in eager FP32 against the iterations that NeuSight's authors measured on one GPU
// (end_to_end.csv, the rows without options): our forecast with and without sustained-load derating, the
// paper's and its baselines as they shipped them.
#pragma once

#include <string>
#include <vector>

#include "orrery/report/table.h"
#include "orrery/validate/neusight_data.h"
#include "orrery/validate/neusight_ours.h"

namespace orrery::validate {

struct NeuSightModelRow {
  NeuSightRun run;
  double measured = 0;  // s
  NeuSightShipped shipped;
  double ours = 0, rested = 0;  // weights of the paper's split; without derating
  double left_out = 0;          // weights of all kernels but the GPU's
  double low = 0, high = 0;     // of `ours`
};
// Throws InputError for data that are missing or damaged.
std::vector<NeuSightModelRow> evaluate_neusight_models(const std::string& data_folder,
                                                       const NeuSightOurWeights& weights);

bool is_amd(const std::string& gpu);  // as the data names GPUs

// Mean |predicted / measured − 1| by GPU and mode, then over the groups that the paper reports.
report::Table neusight_models_table(const std::vector<NeuSightModelRow>& rows);
report::Table neusight_model_rows_table(const std::vector<NeuSightModelRow>& rows);

}  // namespace orrery::validate

// `orrery validate neusight`: every table of the NeuSight paper's measurements, with the published predictors
// and ours. Parts:
//   kernels      the authors' test kernels, timed alone: error by GPU, class and predictor
//   operators    the operators of their models, forward, then backward
//   models       whole iterations on one GPU, with and without sustained-load derating
//   distributed  iterations on four GPUs, and fused inference
//   graphs       their operator graphs beside ours
//   faults       only when asked for: what each fault of the published predictor and of its graphs costs
#pragma once

#include <array>
#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/table.h"

namespace orrery::validate {

inline constexpr std::array kNeuSightParts = {"kernels", "operators", "models", "distributed", "graphs"};
inline constexpr const char* kNeuSightFaults = "faults";  // ten minutes of one core: nets trained again

struct NeuSightValidation {
  report::Table asked;  // what is asked of our weights, and what came out
  std::vector<report::Table> tables;
};

// `parts`: of kNeuSightParts, and kNeuSightFaults. Minutes, most of them for the fits without one GPU. Throws
// NotFound without a data folder, InputError for a part that does not exist and for files that are missing or
// damaged, Interrupted.
NeuSightValidation validate_neusight(const std::vector<std::string>& parts, const std::string& data_folder,
                                     const RunContext& context);

std::string neusight_markdown(const NeuSightValidation& result);

}  // namespace orrery::validate

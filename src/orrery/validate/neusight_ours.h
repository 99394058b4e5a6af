// Our FP32 law as columns of the tables of `orrery validate neusight`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/cost/weights.h"
#include "orrery/validate/neusight_predictors.h"

namespace orrery::validate {

// The default weights with another FP32 law in them. `fp32`: its JSON.
std::shared_ptr<const cost::Weights> weights_with_fp32(const std::string& fp32);

struct NeuSightOurWeights {
  std::shared_ptr<const cost::Weights> paper_split;  // trained as the paper's predictor was, for every GPU
  std::function<std::shared_ptr<const cost::Weights>(const std::string& gpu)>
      left_out;  // all rows but that GPU's
};
// Fits without a GPU are made when first asked for; seconds each.
NeuSightOurWeights neusight_our_weights(const std::string& data_folder, const RunContext& context);

// Columns "ours" and "ours, left out".
std::vector<NeuSightPredictor> neusight_our_predictors(const NeuSightOurWeights& weights);

}  // namespace orrery::validate

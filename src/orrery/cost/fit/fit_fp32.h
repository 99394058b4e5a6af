// Fits the FP32 model: the law's constants and each GPU's factors by robust least squares with priors, in
// turns; then a sum of trees a class on what is left; then bands from GPUs left out. Seeded; the same bits
// for any number of threads.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/cost/fit/fp32_data.h"
#include "orrery/cost/fp32/fp32_model.h"

namespace orrery::cost {

struct Fp32FitOptions {
  size_t rows_per_cell = 150;        // of a GPU and class, drawn for the constants
  size_t tree_rows_per_cell = 4000;  // the same for the trees
  double noise = .12, huber = 1.2, prior_weight = 6;
  Fp32Effects effect_spread = {.06, .1, .06, .4};
  int iterations = 25, rounds = 3;
  int trees = 150, leaves = 24;
  double learning_rate = .08;
  double aligned_weight = 4;   // of rows whose sizes are multiples of 32, as real models' are
  double residual_share = .5;  // on a GPU that was not measured
  uint64_t seed = 1;
  int threads = 1;
};

// `leave_out`: catalogue names of GPUs of which no row is used. Bands are left wide.
Fp32Model fit_fp32_law(const Fp32Data&, Fp32Purpose, const std::set<std::string>& leave_out,
                       const Fp32FitOptions&);

// One model a GPU that never saw it, in the order of data.devices; GPUs that the purpose does not learn from
// have an empty model.
std::vector<Fp32Model> fp32_left_out(const Fp32Data&, Fp32Purpose, const Fp32FitOptions&);

// `model` with bands from the errors of `left_out`, each GPU priced by the model that did not see it; `skip`:
// GPUs whose rows are not used.
Fp32Model with_bands(const Fp32Model& model, const Fp32Data&, Fp32Purpose,
                     const std::vector<Fp32Model>& left_out, const std::set<std::string>& skip,
                     const Fp32FitOptions&);

// The purposes, as files and commands name them: "paper-split", "all".
std::string_view name(Fp32Purpose);

struct Fp32Weights {
  std::string
      json;  // of the weight file, with what it saw: rows by GPU, seed, the command that makes it again
  size_t rows = 0;
  std::set<std::string> gpus;  // titles
};
// From the folder of the measured rows: a minute a purpose on one core.
Fp32Weights fit_fp32_weights(const std::string& folder, Fp32Purpose, uint64_t seed, int threads);

}  // namespace orrery::cost

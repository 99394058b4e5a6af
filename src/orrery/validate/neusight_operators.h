// Single FP32 operators against NeuSight's measurements: errors per GPU, class and predictor.
//
// Two sets: the authors' test kernels (neusight/kernels_test_nvidia: transformer shapes, each timed alone),
// and the operators of their models (neusight/node_labels), of which those above 0.05 ms count; less is the
// host's launch. There what the authors ship is scored beside.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "orrery/report/table.h"
#include "orrery/validate/neusight_predictors.h"

namespace orrery::validate {

// The classes in order, as tables name them; memory: what only moves bytes.
inline constexpr std::array<const char*, 6> kNeuSightClassTitles = {"linear",  "bmm",        "elementwise",
                                                                    "softmax", "layer norm", "memory"};

struct NeuSightScore {
  std::string gpu, of_class, predictor;  // "L4", "bmm", "NeuSight"; shipped ones: "NeuSight, shipped"
  bool unseen = false;                   // no row of the GPU was in the paper's training
  size_t rows = 0;
  // Of |predicted / measured − 1|: mean, median; Σ |predicted − measured| / Σ measured; mean of predicted /
  // measured − 1.
  double mean = 0, median = 0, weighted = 0, bias = 0;
  double covered = 0;  // share of the kernels within the predictor's 90 % band; operators of models: 0
  double width = 0;    // median of that band's width as a share of the forecast
};

enum class NeuSightPass : uint8_t { Forward, Backward };

// Sorted by GPU, then class, then as the predictors stand. Throws InputError for data that are missing or
// damaged. The same for any number of threads.
std::vector<NeuSightScore> score_neusight_kernels(const std::string& data_folder,
                                                  std::span<const NeuSightPredictor> predictors, int threads);
std::vector<NeuSightScore> score_neusight_operators(const std::string& data_folder,
                                                    std::span<const NeuSightPredictor> predictors,
                                                    NeuSightPass pass);

// Over all GPUs that are (not) in the paper's training: Σ |predicted − measured| / Σ measured of each class
// in order, and last of all operators together.
std::vector<double> weighted_errors_by_class(const std::string& data_folder, const NeuSightPredictor&,
                                             NeuSightPass pass, bool unseen);

// How many kernels lie within the 90 % bands of predictors, and how wide those are: GPUs and classes down.
std::vector<report::Table> neusight_band_tables(const std::vector<NeuSightScore>& scores,
                                                const std::vector<std::string>& predictors);

// GPUs and classes down, predictors across, a table each for the time-weighted and the median error and, for
// kernels, the mean.
std::vector<report::Table> neusight_score_tables(const std::string& title,
                                                 const std::vector<NeuSightScore>& scores);

}  // namespace orrery::validate

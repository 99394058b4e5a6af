// Makes a weights file of the published predictors: NeuSight, straight lines, Habitat; all from the same
// rows.
//
// Purposes: paper_split sees the rows that the published program was trained on (P4, P100, V100, T4, A100-40:
// training rows; MI100 and MI210), all sees every measured kernel, those of A100-80 and L4 included.
#pragma once

#include <memory>
#include <string>

#include "orrery/base/run_context.h"
#include "orrery/cost/neusight/options.h"
#include "orrery/cost/weights.h"

namespace orrery::cost {

enum class TrainingRows : uint8_t { PaperSplit, All };

struct NeuSightTraining {
  std::string measured;                   // the folder that holds neusight/kernels_*.csv.zst
  std::string preset = "neusight-paper";  // of data/presets, or a path
  TrainingRows rows = TrainingRows::PaperSplit;
  std::string output;  // folder
};

// Writes OUTPUT/neusight-paper-split.json or neusight-all.json (PRESET-paper-split.json for another preset)
// and returns its path. Minutes on two cores; the same bits for any number of threads. Throws InputError for
// rows or a preset that are wrong, Interrupted when asked to stop, and then writes nothing. Progress: one
// step a net.
std::string train_neusight(const NeuSightTraining&, const RunContext&);
// Steps of progress that it takes.
inline constexpr uint64_t kNeuSightNets = 12;

// NeuSight alone, with switches that need be no preset's, in memory: for comparing them.
std::shared_ptr<const Weights> train_neusight_switches(const std::string& measured, TrainingRows rows,
                                                       const NeuSightOptions& options,
                                                       const RunContext& context);

}  // namespace orrery::cost

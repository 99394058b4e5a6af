// Training of NeuSight's regressors: one perceptron a make and class of operators, on the symmetric error of
// the time that its utilization gives, over rows with the tile that was recorded for them.
//
// Rows that the published predictor learns from: all products; vector operators of more than 8192 rows and
// 512 columns; softmax and layer norm of more than 4096 rows and 512 columns.
#pragma once

#include <stop_token>
#include <vector>

#include "orrery/base/random.h"
#include "orrery/cost/fit/neusight/measured_operators.h"
#include "orrery/cost/neusight/neusight_model.h"
#include "orrery/learn/perceptron_fit.h"

namespace orrery::cost {

bool neusight_learns_from(const NeuSightOperator&);

// What one regressor is trained on.
struct NeuSightTask {
  bool amd = false;
  NeuSightClass of_class = NeuSightClass::Bmm;
  std::vector<uint32_t> rows;  // of the measured operators, with a tile, after filters and options.leave_out
};
// One for each make and class that has rows, the largest first.
std::vector<NeuSightTask> neusight_tasks(const MeasuredOperators&, const NeuSightOptions&);

// One thread; the same seed gives the same bits. Throws Interrupted when asked to stop.
NeuSightRegressor fit_neusight_regressor(const MeasuredOperators&, const NeuSightTask&,
                                         const NeuSightOptions&, Seed seed, std::stop_token stop);

// The table that tiles are looked up in: of the rows of all tasks of a make.
NeuSightTiles neusight_tiles(const MeasuredOperators&, const std::vector<NeuSightTask>&, bool amd);

// How a net of these tasks is trained; its order of rows comes from `seed`.
learn::PerceptronFitOptions net_training(const NeuSightOptions&, const NeuSightOptions::Schedule&, Seed seed,
                                         std::stop_token stop);

}  // namespace orrery::cost

// Training of the predictors that NeuSight was compared with, on the rows that it learns from: straight lines
// (linear_model.h) and Habitat (habitat_model.h).
#pragma once

#include <stop_token>
#include <vector>

#include "orrery/cost/fit/neusight/fit_neusight.h"
#include "orrery/cost/neusight/habitat_model.h"
#include "orrery/cost/neusight/linear_model.h"

namespace orrery::cost {

std::vector<LinearModel::OfDevice> fit_lines(const MeasuredOperators&, const std::vector<NeuSightTask>&);

// On the mean relative error; width, layers, epochs and rate as the options say for that class. One thread.
HabitatNet fit_habitat_net(const MeasuredOperators&, const NeuSightTask&, const NeuSightOptions&, Seed seed,
                           std::stop_token stop);
// Of V100 and P100, from all their rows (also small ones): medians over even steps in log bytes.
std::vector<ReferenceGpu> habitat_references(const MeasuredOperators&);

}  // namespace orrery::cost

// Corrections of the shipped laws from what a user measured, GPU by GPU: kernels correct kernels; serving
// runs correct the decode step, each standing for one observation of its mean step.
#pragma once

#include "orrery/base/run_context.h"
#include "orrery/cost/calibration.h"
#include "orrery/schedule/measurements.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {

// By Device::name. Throws InputError, with the row's place, for a GPU or model that is not known.
cost::Calibrations calibrate(const Measurements& measured, const Predictor& predictor,
                             const RunContext& context);

}  // namespace orrery::schedule

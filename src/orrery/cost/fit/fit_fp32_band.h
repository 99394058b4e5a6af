// The band of an FP32 class from the errors of models that never saw the GPU whose rows they priced.
//
// Of each GPU: the four factors that best take its rows' errors away, by robust least squares with a weak
// prior, and what they leave. The spread of a factor is the root of its mean square over GPUs, each counted
// by how much of it its rows show and how far they are trusted, with the prior of the fit as one GPU more
// (DerSimonian and Laird 1986 of several rates; about zero, since a law claims no error). A GPU more than
// those seen adds 1/n to its square.
#pragma once

#include <span>

#include "orrery/cost/fp32/fp32_band.h"

namespace orrery::cost {

struct Fp32BandRow {
  size_t gpu = 0;
  double residual = 0;  // log(measured / predicted)
  double trust = 1;     // of the recording, at most 1
  Fp32Elasticity elasticity = {};
};

// `prior`: the spread of each factor as the fit of the law takes it. Without rows: the default band.
Fp32Band fit_fp32_band(std::span<const Fp32BandRow> rows, const Fp32Effects& prior);

}  // namespace orrery::cost

// The measured FP32 operators that NeuSight was trained and tested on, as its predictor sees them. CSV with
// columns gpu, op, b, m, n, k, h, latency_ms, tile_a, tile_b, where a product is b × (m×n)·(n×k): there n is
// the contraction, tile_a tiles k and tile_b m; a vector operator is b rows of h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/cost/neusight/law.h"

namespace orrery::cost {

struct MeasuredOperator {
  uint32_t device = 0;  // of MeasuredOperators::devices
  NeuSightOperator op;
  NeuSightTile tile;  // columns 0: not recorded
  double seconds = 0;
};
struct MeasuredOperators {
  std::vector<NeuSightDevice> devices;  // in order of appearance
  std::vector<MeasuredOperator> rows;
};

// Device figures as the options state them. Throws InputError with file and line for a row that is none.
MeasuredOperators read_measured_operators(const std::vector<std::string>& files, const NeuSightOptions&);

}  // namespace orrery::cost

// Values for the tests of this room. Not installed.
#pragma once

#include <vector>

#include "orrery/base/random.h"

namespace orrery::learn {

// Standard normal.
inline std::vector<float> random_values(size_t n, Seed seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

}  // namespace orrery::learn

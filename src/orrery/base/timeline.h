// What happened when, for a person's eyes: drawn, never computed with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/base/units.h"

namespace orrery {

struct Event {
  uint32_t lane = 0, name = 0;  // indices into Timeline
  uint32_t source = 0;          // the producer's own id, opaque here
  Seconds start, duration;
};

struct Timeline {
  std::vector<std::string> lanes, names;
  std::vector<Event> events;
};

}  // namespace orrery

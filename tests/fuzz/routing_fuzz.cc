// rooms: trace
// Any bytes as a recording of routing: a profile whose shapes agree, or an InputError. The first byte picks
// the name that the file has, which some formats are told apart by, and whether the number of experts is
// known.
#include <cstdlib>
#include <string>

#include "orrery/base/error.h"
#include "orrery/trace/readers/routing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery::trace;
  if (size == 0) return 0;
  static const char* const kNames[] = {"f.tsv", "f.jsonl", "f.json", "f.npy"};
  RoutingOptions options;
  options.experts = data[0] & 4 ? 8 : 0;
  options.rule = static_cast<WeightRule>((data[0] >> 3) % 3);
  options.step_tokens = data[0] & 64 ? 2 : 0;
  try {
    const RoutingProfile profile = parse_routing(
        std::string(reinterpret_cast<const char*>(data) + 1, size - 1), kNames[data[0] & 3], options);
    const auto experts = static_cast<size_t>(profile.experts);
    bool sound = profile.load.size() == profile.layer_ids.size();
    for (const auto& load : profile.load) sound = sound && load.size() == experts;
    for (const auto& w : profile.transition) sound = sound && w.size() == experts * experts;
    for (const auto& step : profile.steps) sound = sound && step.size() == experts * profile.load.size();
    if (profile.tokens) {
      for (uint16_t e : profile.tokens->choice) sound = sound && e < experts;
    }
    if (!sound) std::abort();
  } catch (const orrery::InputError&) {
  }
  return 0;
}

// rooms: place trace
// Any bytes as an expert map: what is read is written in each form and read back equal, or refused.
#include <cstdlib>
#include <string>

#include "orrery/base/error.h"
#include "orrery/place/experts_plan.h"
#include "orrery/trace/expert_map.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    trace::ExpertMap map = trace::parse_expert_map(text, "fuzz.json");
    if (map.gpus == 0) map.gpus = 1;
    for (const auto form :
         {trace::ExpertMapForm::Sglang, trace::ExpertMapForm::Vllm, trace::ExpertMapForm::Ascend}) {
      const trace::ExpertMap back = trace::parse_expert_map(trace::write_expert_map(map, form), "back.json");
      if (back.slot_to_expert != map.slot_to_expert) std::abort();
    }
  } catch (const InputError&) {
  }
  for (const int ranks : {1, 2, 3}) {
    try {
      const place::ExpertPlan plan = place::plan_of_map(parse_json(text, "fuzz.json"), ranks);
      if (!place::plan_fault(plan).empty()) std::abort();
      if (place::plan_of_map(parse_json(place::plan_map_json(plan), "back.json"), ranks).slot_to_expert !=
          plan.slot_to_expert)
        std::abort();
    } catch (const InputError&) {
    }
  }
  return 0;
}

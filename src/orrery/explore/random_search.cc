// Designs in a seeded random order, none twice.
#include <algorithm>
#include <utility>

#include "orrery/explore/search_state.h"

namespace orrery::explore {

SearchEnd search_at_random(SearchState& state) {
  std::vector<DesignPoint> designs = state.designs();
  if (designs.empty()) return {solve::Stop::Infeasible, {}, {}};
  Random random(state.context().seed);
  const uint64_t most = std::min<uint64_t>(state.options().most_evaluations, designs.size());
  for (uint64_t i = 0; i < most && !state.must_end(); ++i) {
    std::swap(designs[i], designs[i + random.index(designs.size() - i)]);
    state.record(designs[i]);
  }
  return {state.ended().value_or(solve::Stop::WorkLimit), {}, {}};
}

}  // namespace orrery::explore

// What a rank may carry, and what to say when no map was found within it.
#pragma once

#include <optional>
#include <vector>

#include "orrery/place/experts_search.h"

namespace orrery::place {

// Tokens that a rank may carry: [profile][layer].
using LoadCaps = std::vector<std::vector<double>>;

// The asked cap; for one profile LPT's largest load where that is above.
LoadCaps load_caps(const ExpertProblem& problem, const ExpertPlan& lpt);

// Caps that `plan` is above are raised to what it carries, so that the plan lies in the space that a bound is
// then proven over. True where one was.
bool raise_caps(LoadCaps& caps, const ExpertProblem& problem, const ExpertPlan& plan);

// A plan above `max_load`, in loads over the mean.
struct CapShortfall {
  double asked = 1, reached = 1;  // of the layer and profile where the plan is fullest
  size_t profile = 0, layer = 0;  // which these are
  size_t layers_above = 0;        // of any profile
  // No map without copies is below: the rank with the busiest expert holds the lightest others at least. 1
  // where experts have copies.
  double least = 1;
};
std::optional<CapShortfall> cap_shortfall(const ExpertProblem& problem, const ExpertPlan& plan);

}  // namespace orrery::place

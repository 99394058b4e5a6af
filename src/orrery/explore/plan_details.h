// What a plan says beside its best design: the Pareto front, what a next step would bring, why nothing was
// feasible. Internal to the room.
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/accelerator/vector_costs.h"
#include "orrery/explore/search_state.h"

namespace orrery::explore {

// Designs that no other beats in throughput (geometric mean), TDP, area and energy at once; over the whole
// space where it is small enough to schedule, else over the designs that were tried, which a note says.
std::vector<EvaluatedDesign> pareto_front(SearchState& state, std::vector<std::string>& notes);

// Single changes of the design, best gain first: one core more or less, the next size, the next buffer, twice
// the DRAM bandwidth.
std::vector<NextStep> next_steps(const AcceleratorStudy& study, const EvaluatedDesign& best);

// Why no design of the space is feasible, the least that would have to give.
std::vector<solve::Shortfall> shortfalls(SearchState& state);

// Warnings: a critical path bound by memory, operators without cost, an area limit that is full.
void add_notes(const AcceleratorStudy& study, const EvaluatedDesign& best, std::vector<std::string>& notes);

}  // namespace orrery::explore

// Items to places with room for several: the transportation problem, and the general flow of least cost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orrery::solve {

// cost[i * places + g], size items * places; room[g] = how many items place g takes. kForbidden (infinity)
// bars a pair. Returns the place of each item with the least total cost, or nothing when no complete
// placement exists. Successive shortest paths over places, so O(items · places · (items + places²)).
struct Transport {
  std::vector<int> place_of_item;
  double cost = 0;
  bool feasible = false;
};
Transport solve_transportation(std::span<const double> cost, int items, std::span<const int> room);

// A flow network with whole capacities and real costs, built arc by arc.
class MinCostFlow {
 public:
  explicit MinCostFlow(int nodes) : first_(static_cast<size_t>(nodes), -1) {}
  // Returns the arc's number, for flow(). Costs may be negative where no cycle of negative cost arises.
  int add_arc(int from, int to, int64_t capacity, double cost);
  struct Result {
    int64_t flow = 0;
    double cost = 0;
  };
  // Sends up to `most` units from source to sink as cheaply as that many can be sent. Call once.
  Result solve(int source, int sink, int64_t most);
  int64_t flow(int arc) const { return arcs_[static_cast<size_t>(arc) * 2 + 1].room; }

 private:
  struct Arc {
    int to, next;
    int64_t room;
    double cost;
  };
  std::vector<int> first_;
  std::vector<Arc> arcs_;  // arc and its reverse side by side
};

}  // namespace orrery::solve

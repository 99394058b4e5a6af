// The largest flow through a network, and its parametric form: how evenly can divisible work be spread.
#pragma once

#include <span>
#include <utility>
#include <vector>

namespace orrery::solve {

// Dinic's algorithm over real capacities. Flows below `1e-12 · largest capacity` count as none.
class MaxFlow {
 public:
  explicit MaxFlow(int nodes) : first_(static_cast<size_t>(nodes), -1) {}
  int add_arc(int from, int to, double capacity);
  double solve(int source, int sink);  // call once
  double flow(int arc) const { return arcs_[static_cast<size_t>(arc) * 2 + 1].room; }
  // After solve: whether a node lies on the source's side of the least cut.
  bool on_source_side(int node) const { return level_[static_cast<size_t>(node)] >= 0; }

 private:
  struct Arc {
    int to, next;
    double room;
  };
  bool levels(int source, int sink);
  double push(int node, int sink, double most);
  std::vector<int> first_, level_, current_;
  std::vector<Arc> arcs_;
  double tolerance_ = 0;
};

// Work of `amount[i]` units may be split over the places that hold item i. min over splits of the largest
// load of a place, by Newton steps on the parametric cut: each infeasible level shows a set of items whose
// work, over the places that hold any of them, is a higher lower bound. Ends after at most `places` steps,
// exact to rounding.
struct Holding {
  int item, place;
};
struct FairSplit {
  double largest_load = 0;
  std::vector<double> amount;  // size holdings: what each holding takes
};
FairSplit solve_fair_split(std::span<const double> amount, int places, std::span<const Holding> holdings);

}  // namespace orrery::solve

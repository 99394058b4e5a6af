#include "orrery/solve/max_flow.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace orrery::solve {

int MaxFlow::add_arc(int from, int to, double capacity) {
  const auto number = static_cast<int>(arcs_.size() / 2);
  arcs_.push_back({to, first_[static_cast<size_t>(from)], capacity});
  first_[static_cast<size_t>(from)] = static_cast<int>(arcs_.size()) - 1;
  arcs_.push_back({from, first_[static_cast<size_t>(to)], 0});
  first_[static_cast<size_t>(to)] = static_cast<int>(arcs_.size()) - 1;
  if (capacity < std::numeric_limits<double>::infinity()) tolerance_ = std::max(tolerance_, 1e-12 * capacity);
  return number;
}

bool MaxFlow::levels(int source, int sink) {
  level_.assign(first_.size(), -1);
  std::vector<int> queue{source};
  level_[static_cast<size_t>(source)] = 0;
  for (size_t head = 0; head < queue.size(); ++head) {
    const auto v = static_cast<size_t>(queue[head]);
    for (int a = first_[v]; a >= 0; a = arcs_[static_cast<size_t>(a)].next) {
      const Arc& arc = arcs_[static_cast<size_t>(a)];
      if (arc.room <= tolerance_ || level_[static_cast<size_t>(arc.to)] >= 0) continue;
      level_[static_cast<size_t>(arc.to)] = level_[v] + 1;
      queue.push_back(arc.to);
    }
  }
  return level_[static_cast<size_t>(sink)] >= 0;
}

double MaxFlow::push(int node, int sink, double most) {
  if (node == sink) return most;
  double sent = 0;
  for (int& a = current_[static_cast<size_t>(node)]; a >= 0; a = arcs_[static_cast<size_t>(a)].next) {
    const auto k = static_cast<size_t>(a);
    const int to = arcs_[k].to;
    if (arcs_[k].room <= tolerance_ ||
        level_[static_cast<size_t>(to)] != level_[static_cast<size_t>(node)] + 1)
      continue;
    const double part = push(to, sink, std::min(most - sent, arcs_[k].room));
    arcs_[k].room -= part;
    arcs_[k ^ 1].room += part;
    sent += part;
    if (most - sent <= tolerance_) return sent;  // the arc may have more to give: stay at it
  }
  return sent;
}

double MaxFlow::solve(int source, int sink) {
  double total = 0;
  while (levels(source, sink)) {
    current_ = first_;
    const double sent = push(source, sink, std::numeric_limits<double>::infinity());
    if (sent <= tolerance_) break;
    total += sent;
  }
  return total;
}

FairSplit solve_fair_split(std::span<const double> amount, int places, std::span<const Holding> holdings) {
  const auto items = static_cast<int>(amount.size());
  FairSplit result;
  result.amount.assign(holdings.size(), 0);
  std::vector<char> held(amount.size(), 0);
  for (const Holding& h : holdings) held[static_cast<size_t>(h.item)] = 1;
  double total = 0;
  for (size_t i = 0; i < amount.size(); ++i) {
    if (amount[i] > 0 && !held[i]) throw std::logic_error("fair split: an item with work lies nowhere");
    total += amount[i];
  }
  if (total <= 0 || places == 0) return result;
  const int source = items + places, sink = source + 1;
  double level = total / places;
  for (int step = 0; step <= places + 1; ++step) {
    MaxFlow network(items + places + 2);
    for (int i = 0; i < items; ++i) network.add_arc(source, i, amount[static_cast<size_t>(i)]);
    for (int g = 0; g < places; ++g) network.add_arc(items + g, sink, level);
    for (const Holding& h : holdings)
      network.add_arc(h.item, items + h.place, amount[static_cast<size_t>(h.item)]);
    const double sent = network.solve(source, sink);
    result.largest_load = level;
    for (size_t k = 0; k < holdings.size(); ++k)
      result.amount[k] = network.flow(items + places + static_cast<int>(k));
    if (sent >= total * (1 - 1e-10)) break;
    // Items on the source's side can only be served by the places there.
    double work = 0;
    int holders = 0;
    for (int i = 0; i < items; ++i) work += network.on_source_side(i) ? amount[static_cast<size_t>(i)] : 0;
    for (int g = 0; g < places; ++g) holders += network.on_source_side(items + g);
    if (holders == 0 || work / holders <= level * (1 + 1e-13)) break;
    level = work / holders;
  }
  return result;
}

}  // namespace orrery::solve

#include "orrery/solve/transportation.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <stdexcept>

#include "orrery/solve/assignment.h"

namespace orrery::solve {
namespace {

constexpr double kUnreached = std::numeric_limits<double>::infinity();

// The cheapest way to make room: moving an item from place g to h costs cost[h] - cost[g] of the best item.
struct Moves {
  std::span<const double> cost;
  size_t places;
  std::vector<double> least;  // [g][h]
  std::vector<int> item;      // [g][h], -1 = none

  Moves(std::span<const double> c, size_t n)
      : cost(c), places(n), least(n * n, kUnreached), item(n * n, -1) {}
  void refresh(size_t g, const std::vector<int>& held) {
    std::fill_n(least.begin() + static_cast<ptrdiff_t>(g * places), places, kUnreached);
    std::fill_n(item.begin() + static_cast<ptrdiff_t>(g * places), places, -1);
    for (int i : held) {
      const double* row = cost.data() + static_cast<size_t>(i) * places;
      for (size_t h = 0; h < places; ++h) {
        if (row[h] - row[g] < least[g * places + h]) {
          least[g * places + h] = row[h] - row[g];
          item[g * places + h] = i;
        }
      }
    }
  }
};

}  // namespace

Transport solve_transportation(std::span<const double> cost, int items, std::span<const int> room) {
  const size_t places = room.size();
  if (cost.size() != static_cast<size_t>(items) * places)
    throw std::logic_error("transportation: the matrix has another shape than items * places");
  Transport result;
  std::vector<std::vector<int>> held(places);
  Moves moves(cost, places);
  std::vector<double> distance(places);
  std::vector<int> from(places);
  for (int i = 0; i < items; ++i) {
    // Bellman-Ford over places: move costs may be negative, cycles of them cannot be (each state is optimal).
    const double* row = cost.data() + static_cast<size_t>(i) * places;
    for (size_t g = 0; g < places; ++g) {
      distance[g] = room[g] > 0 ? row[g] : kUnreached;
      from[g] = -1;
    }
    bool changed = true;
    for (size_t round = 0; changed && round < places; ++round) {
      changed = false;
      for (size_t g = 0; g < places; ++g) {
        if (distance[g] == kUnreached) continue;
        for (size_t h = 0; h < places; ++h) {
          const double through = distance[g] + moves.least[g * places + h];
          // Relative slack keeps rounding from closing a cycle of zero cost.
          const double slack = distance[h] == kUnreached ? 0 : 1e-12 * (1 + std::abs(distance[h]));
          if (room[h] > 0 && through < distance[h] - slack) {
            distance[h] = through;
            from[h] = static_cast<int>(g);
            changed = true;
          }
        }
      }
    }
    size_t last = places;
    for (size_t g = 0; g < places; ++g) {
      const bool free = held[g].size() < static_cast<size_t>(std::max(0, room[g]));
      if (free && distance[g] < kUnreached && (last == places || distance[g] < distance[last])) last = g;
    }
    if (last == places) return result;
    std::vector<size_t> touched;
    while (from[last] >= 0) {
      const auto g = static_cast<size_t>(from[last]);
      const int moved = moves.item[g * places + last];
      std::erase(held[g], moved);
      held[last].push_back(moved);
      touched.push_back(last);
      last = g;
    }
    held[last].push_back(i);
    touched.push_back(last);
    for (size_t g : touched) moves.refresh(g, held[g]);
  }
  result.feasible = true;
  result.place_of_item.resize(static_cast<size_t>(items));
  for (size_t g = 0; g < places; ++g) {
    for (int i : held[g]) result.place_of_item[static_cast<size_t>(i)] = static_cast<int>(g);
  }
  for (int i = 0; i < items; ++i)
    result.cost += cost[static_cast<size_t>(i) * places +
                        static_cast<size_t>(result.place_of_item[static_cast<size_t>(i)])];
  return result;
}

int MinCostFlow::add_arc(int from, int to, int64_t capacity, double cost) {
  const auto number = static_cast<int>(arcs_.size() / 2);
  arcs_.push_back({to, first_[static_cast<size_t>(from)], capacity, cost});
  first_[static_cast<size_t>(from)] = static_cast<int>(arcs_.size()) - 1;
  arcs_.push_back({from, first_[static_cast<size_t>(to)], 0, -cost});
  first_[static_cast<size_t>(to)] = static_cast<int>(arcs_.size()) - 1;
  return number;
}

MinCostFlow::Result MinCostFlow::solve(int source, int sink, int64_t most) {
  const size_t nodes = first_.size();
  std::vector<double> potential(nodes, 0), distance(nodes);
  std::vector<int> arc_into(nodes);
  // Bellman-Ford once, for arcs of negative cost; then Dijkstra on reduced costs.
  bool changed = true;
  for (size_t round = 0; changed && round < nodes; ++round) {
    changed = false;
    for (size_t v = 0; v < nodes; ++v) {
      for (int a = first_[v]; a >= 0; a = arcs_[static_cast<size_t>(a)].next) {
        const Arc& arc = arcs_[static_cast<size_t>(a)];
        const auto to = static_cast<size_t>(arc.to);
        if (arc.room > 0 && potential[v] + arc.cost < potential[to]) {
          potential[to] = potential[v] + arc.cost;
          changed = true;
        }
      }
    }
  }
  if (changed) throw std::logic_error("min-cost flow: a cycle of negative cost");
  Result result;
  using Entry = std::pair<double, int>;
  while (result.flow < most) {
    std::fill(distance.begin(), distance.end(), kUnreached);
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    distance[static_cast<size_t>(source)] = 0;
    queue.emplace(0, source);
    while (!queue.empty()) {
      const auto [d, v] = queue.top();
      queue.pop();
      if (d > distance[static_cast<size_t>(v)]) continue;
      for (int a = first_[static_cast<size_t>(v)]; a >= 0; a = arcs_[static_cast<size_t>(a)].next) {
        const Arc& arc = arcs_[static_cast<size_t>(a)];
        if (arc.room == 0) continue;
        const auto to = static_cast<size_t>(arc.to);
        const double reduced = std::max(0.0, arc.cost + potential[static_cast<size_t>(v)] - potential[to]);
        if (d + reduced < distance[to]) {
          distance[to] = d + reduced;
          arc_into[to] = a;
          queue.emplace(distance[to], arc.to);
        }
      }
    }
    const double reached = distance[static_cast<size_t>(sink)];
    if (reached == kUnreached) break;
    for (size_t v = 0; v < nodes; ++v) potential[v] += std::min(distance[v], reached);
    int64_t amount = most - result.flow;
    for (int v = sink; v != source;) {
      const auto a = static_cast<size_t>(arc_into[static_cast<size_t>(v)]);
      amount = std::min(amount, arcs_[a].room);
      v = arcs_[a ^ 1].to;
    }
    for (int v = sink; v != source;) {
      const auto a = static_cast<size_t>(arc_into[static_cast<size_t>(v)]);
      arcs_[a].room -= amount;
      arcs_[a ^ 1].room += amount;
      result.cost += static_cast<double>(amount) * arcs_[a].cost;
      v = arcs_[a ^ 1].to;
    }
    result.flow += amount;
  }
  return result;
}

}  // namespace orrery::solve

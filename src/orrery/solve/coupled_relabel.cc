#include "orrery/solve/coupled_relabel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "orrery/solve/assignment.h"

namespace orrery::solve {
namespace {

// Groups of one level of the tree, and how to match those of the one side to those of the other.
class Matcher {
 public:
  Matcher(const std::vector<double>& flow, const std::vector<DistanceLevel>& levels, int places)
      : flow_(flow), levels_(levels), places_(static_cast<size_t>(places)) {}

  // Best names inside group y for the places of group x, of level v (levels.size() = all places).
  double match(size_t v, size_t x, size_t y, std::vector<int>& name_of) const {
    const size_t size = v == levels_.size() ? places_ : static_cast<size_t>(levels_[v].group);
    double own = 0;
    if (v < levels_.size()) {
      for (size_t g = x * size; g < (x + 1) * size; ++g) {
        for (size_t h = y * size; h < (y + 1) * size; ++h) own += flow_[g * places_ + h];
      }
      own *= levels_[v].step;
    }
    if (v == 0) {
      for (size_t k = 0; k < size; ++k) name_of[y * size + k] = static_cast<int>(x * size + k);
      return own;
    }
    const size_t inner = static_cast<size_t>(levels_[v - 1].group), children = size / inner;
    std::vector<double> cost(children * children);
    std::vector<int> names(places_);
    for (size_t a = 0; a < children; ++a) {
      for (size_t b = 0; b < children; ++b)
        cost[b * children + a] = -match(v - 1, x * children + a, y * children + b, names);
    }
    const Assignment chosen = solve_assignment(cost, static_cast<int>(children), static_cast<int>(children));
    for (size_t b = 0; b < children; ++b)
      match(v - 1, x * children + static_cast<size_t>(chosen.column_of_row[b]), y * children + b, name_of);
    return own - chosen.cost;
  }

 private:
  const std::vector<double>& flow_;
  const std::vector<DistanceLevel>& levels_;
  size_t places_;
};

std::vector<double> flow_between(const CoupledLayers& problem, size_t l, const std::vector<int>& from,
                                 const std::vector<int>& to) {
  const auto places = static_cast<size_t>(problem.places);
  std::vector<double> flow(places * places, 0);
  for (size_t i = 0; i < from.size(); ++i) {
    const float* row = problem.coupling[l].data() + i * to.size();
    double* out = flow.data() + static_cast<size_t>(from[i]) * places;
    for (size_t j = 0; j < to.size(); ++j) out[to[j]] += static_cast<double>(row[j]);
  }
  return flow;
}

double saved_by(const std::vector<double>& flow, const std::vector<DistanceLevel>& levels, int places) {
  double saved = 0;
  for (const DistanceLevel& level : levels) {
    for (int g = 0; g < places; ++g) {
      const int first = g / level.group * level.group;
      for (int h = first; h < first + level.group; ++h)
        saved +=
            level.step * flow[static_cast<size_t>(g) * static_cast<size_t>(places) + static_cast<size_t>(h)];
    }
  }
  return saved;
}

bool has_own(const CoupledLayers& problem) {
  return std::any_of(problem.own.begin(), problem.own.end(), [](const auto& own) { return !own.empty(); });
}

// Two blocks of `size` places, numbers a and b, that change names.
struct Exchange {
  int a, b, size;
  bool touches(int g) const { return g / size == a || g / size == b; }
  int renamed(int g) const {
    return g / size == a ? g + (b - a) * size : g / size == b ? g + (a - b) * size : g;
  }
};

// The step from layer l to l + 1 when names change in one of them, or in both.
double step_change(const CoupledLayers& problem, const Placement& placement, size_t l, bool left, bool right,
                   const Exchange& exchange) {
  double change = 0;
  const std::vector<int>&from = placement[l], &to = placement[l + 1];
  for (size_t i = 0; i < from.size(); ++i) {
    const bool inside = exchange.touches(from[i]);
    const int g = left ? exchange.renamed(from[i]) : from[i];
    const float* row = problem.coupling[l].data() + i * to.size();
    for (size_t j = 0; j < to.size(); ++j) {
      if (row[j] == 0 || !((left && inside) || (right && exchange.touches(to[j])))) continue;
      const int h = right ? exchange.renamed(to[j]) : to[j];
      change += static_cast<double>(row[j]) * (problem.distance(g, h) - problem.distance(from[i], to[j]));
    }
  }
  return change;
}

}  // namespace

Relabelling best_relabelling(const std::vector<double>& flow, const std::vector<DistanceLevel>& levels,
                             int places) {
  Relabelling result;
  result.name_of.resize(static_cast<size_t>(places));
  result.saved = Matcher(flow, levels, places).match(levels.size(), 0, 0, result.name_of);
  return result;
}

bool relabel_suffixes(const CoupledLayers& problem, Placement& placement) {
  if (has_own(problem)) return false;
  bool changed = false;
  for (size_t l = 0; l + 1 < placement.size(); ++l) {
    const std::vector<double> flow = flow_between(problem, l, placement[l], placement[l + 1]);
    const Relabelling best = best_relabelling(flow, problem.levels, problem.places);
    if (best.saved <= saved_by(flow, problem.levels, problem.places) * (1 + 1e-9)) continue;
    for (size_t k = l + 1; k < placement.size(); ++k) {
      for (int& g : placement[k]) g = best.name_of[static_cast<size_t>(g)];
    }
    changed = true;
  }
  return changed;
}

bool exchange_places(const CoupledLayers& problem, Placement& placement) {
  if (has_own(problem)) return false;
  double least = 1e-9;  // what is no more than rounding
  for (const std::vector<float>& w : problem.coupling) {
    for (float v : w) least = std::max(least, 1e-6 * static_cast<double>(v));
  }
  bool any = false;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t l = 0; l < placement.size(); ++l) {
      for (int a = 0; a < problem.places; ++a) {
        for (int b = a + 1; b < problem.places; ++b) {
          const Exchange exchange{a, b, 1};
          double change = 0;
          if (l > 0) change += step_change(problem, placement, l - 1, false, true, exchange);
          if (l + 1 < placement.size()) change += step_change(problem, placement, l, true, false, exchange);
          if (change >= -least) continue;
          for (int& g : placement[l]) g = exchange.renamed(g);
          changed = any = true;
        }
      }
    }
  }
  return any;
}

double swap_names(const CoupledLayers& problem, Placement& placement, size_t first, size_t last,
                  double temperature, Random& random) {
  // Siblings of a level of the tree, which costs the same anywhere inside the block; or any two places.
  const size_t level = random.index(problem.levels.size() + (problem.levels.size() > 1 ? 1 : 0));
  const bool siblings = level < problem.levels.size();
  const int size = siblings ? problem.levels[level].group : 1;
  const int parent =
      siblings && level + 1 < problem.levels.size() ? problem.levels[level + 1].group : problem.places;
  const auto choices = static_cast<size_t>(parent / size);
  if (choices < 2) return 0;
  if (!siblings) last = first + 1;
  const auto base = static_cast<int>(random.index(static_cast<size_t>(problem.places / parent)) * choices);
  const auto x = random.index(choices), y = random.index(choices - 1);
  const Exchange exchange{base + static_cast<int>(x), base + static_cast<int>(y < x ? y : y + 1), size};
  double change = 0;
  if (first > 0) change += step_change(problem, placement, first - 1, false, true, exchange);
  if (last < placement.size()) change += step_change(problem, placement, last - 1, true, false, exchange);
  if (change > 0 && random.uniform() >= std::exp(-change / temperature)) return 0;
  for (size_t l = first; l < last; ++l) {
    for (int& g : placement[l]) g = exchange.renamed(g);
  }
  return change;
}

Placement recombine(const CoupledLayers& problem, const std::vector<Placement>& found) {
  const size_t layers = problem.items.size(), pool = found.size();
  constexpr double kNever = std::numeric_limits<double>::infinity();
  // What a layer costs by itself; a violated cap outweighs all else.
  auto alone = [&](size_t l, size_t s) {
    double cost = 1e9 * cap_violation(problem, found[s], static_cast<int>(l));
    if (l < problem.scenarios.size())
      cost += problem.waiting * mean_peak(problem.scenarios[l], found[s][l], problem.places);
    return cost;
  };
  std::vector<double> best(pool);
  for (size_t s = 0; s < pool; ++s) best[s] = alone(0, s);
  std::vector<std::vector<size_t>> from(layers, std::vector<size_t>(pool, 0));
  std::vector<std::vector<std::vector<int>>> names(layers, std::vector<std::vector<int>>(pool));
  for (size_t l = 0; l + 1 < layers; ++l) {
    std::vector<double> next(pool, kNever);
    for (size_t t = 0; t < pool; ++t) {
      const double own = alone(l + 1, t);
      for (size_t s = 0; s < pool; ++s) {
        Relabelling match = best_relabelling(flow_between(problem, l, found[s][l], found[t][l + 1]),
                                             problem.levels, problem.places);
        const double cost = best[s] + own - match.saved;
        if (cost >= next[t]) continue;
        next[t] = cost;
        from[l + 1][t] = s;
        names[l + 1][t] = std::move(match.name_of);
      }
    }
    best = std::move(next);
  }
  std::vector<size_t> chosen(layers);
  chosen[layers - 1] = static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin());
  for (size_t l = layers - 1; l > 0; --l) chosen[l - 1] = from[l][chosen[l]];
  Placement result(layers);
  std::vector<int> name(static_cast<size_t>(problem.places));
  for (size_t g = 0; g < name.size(); ++g) name[g] = static_cast<int>(g);
  for (size_t l = 0; l < layers; ++l) {
    if (l > 0) {
      std::vector<int> composed(name.size());
      for (size_t g = 0; g < name.size(); ++g)
        composed[g] = name[static_cast<size_t>(names[l][chosen[l]][g])];
      name = std::move(composed);
    }
    for (int g : found[chosen[l]][l]) result[l].push_back(name[static_cast<size_t>(g)]);
  }
  return result;
}

namespace {

// A layer's placements that are one change away: swaps of two items on different places, and of all items of
// two places in different groups. The placement itself comes first.
std::vector<std::vector<int>> one_change_away(const CoupledLayers& problem, const std::vector<int>& place) {
  std::vector<std::vector<int>> result{place};
  for (size_t i = 0; i < place.size(); ++i) {
    for (size_t j = i + 1; j < place.size(); ++j) {
      if (place[i] == place[j]) continue;
      result.push_back(place);
      std::swap(result.back()[i], result.back()[j]);
    }
  }
  if (problem.levels.size() < 2) return result;
  const int group = problem.levels.back().group;
  for (int g = 0; g < problem.places; ++g) {
    for (int h = g + 1; h < problem.places; ++h) {
      if (g / group == h / group) continue;
      result.push_back(place);
      for (int& p : result.back()) p = p == g ? h : p == h ? g : p;
    }
  }
  return result;
}

}  // namespace

bool descend_together(const CoupledLayers& problem, Placement& placement, const RunContext& context) {
  constexpr size_t kMostChanges = 64;
  if (!problem.own.empty() || !problem.twins.empty()) return false;
  bool any = false;
  double cost = coupled_cost(problem, placement);
  while (!context.stop.stop_requested()) {
    std::vector<Placement> pool;
    for (size_t l = 0; l < placement.size(); ++l) {
      const auto changes = one_change_away(problem, placement[l]);
      if (changes.size() > kMostChanges) return any;
      // Layers with fewer changes offer themselves unchanged.
      pool.resize(std::max(pool.size(), changes.size()), placement);
      for (size_t k = 0; k < changes.size(); ++k) pool[k][l] = changes[k];
    }
    Placement together = recombine(problem, pool);
    const double after = coupled_cost(problem, together);
    if (after >= cost - 1e-9 * std::abs(cost)) return any;
    cost = after;
    placement = std::move(together);
    any = true;
  }
  return any;
}

}  // namespace orrery::solve

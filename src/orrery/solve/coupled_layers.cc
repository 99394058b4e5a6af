#include "orrery/solve/coupled_layers.h"

#include <algorithm>
#include <stdexcept>

namespace orrery::solve {

double CoupledLayers::distance(int g, int h) const {
  double d = 0;
  for (const DistanceLevel& level : levels) d += g / level.group != h / level.group ? level.step : 0;
  return d;
}

void CoupledLayers::finish() {
  const auto count = items.size();
  if (count == 0 || coupling.size() + 1 != count)
    throw std::logic_error("coupled layers: layers − 1 couplings");
  for (const DistanceLevel& level : levels) {
    if (level.group < 1 || places % level.group != 0) throw std::logic_error("coupled layers: uneven groups");
  }
  if (cap.size() != load.size()) throw std::logic_error("coupled layers: a cap for every profile");
  transposed.resize(coupling.size());
  for (size_t l = 0; l + 1 < count; ++l) {
    const auto n = static_cast<size_t>(items[l]), m = static_cast<size_t>(items[l + 1]);
    if (coupling[l].size() != n * m) throw std::logic_error("coupled layers: a coupling of another shape");
    transposed[l].resize(n * m);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < m; ++j) transposed[l][j * n + i] = coupling[l][i * m + j];
    }
  }
}

double crossing_cost(const CoupledLayers& problem, const Placement& placement) {
  double total = 0;
  for (size_t l = 0; l + 1 < problem.items.size(); ++l) {
    const auto n = static_cast<size_t>(problem.items[l]), m = static_cast<size_t>(problem.items[l + 1]);
    for (size_t i = 0; i < n; ++i) {
      const float* row = problem.coupling[l].data() + i * m;
      const int g = placement[l][i];
      for (size_t j = 0; j < m; ++j) {
        if (row[j] > 0) total += static_cast<double>(row[j]) * problem.distance(g, placement[l + 1][j]);
      }
    }
  }
  return total;
}

double coupled_cost(const CoupledLayers& problem, const Placement& placement) {
  double total = crossing_cost(problem, placement);
  if (problem.waiting > 0) {
    for (size_t l = 0; l < problem.scenarios.size(); ++l)
      total += problem.waiting * mean_peak(problem.scenarios[l], placement[l], problem.places);
  }
  for (size_t l = 0; l < problem.own.size(); ++l) {
    const auto places = static_cast<size_t>(problem.places);
    if (problem.own[l].empty()) continue;
    for (size_t i = 0; i < placement[l].size(); ++i)
      total += static_cast<double>(problem.own[l][i * places + static_cast<size_t>(placement[l][i])]);
  }
  return total;
}

namespace {

// Adds to table[g][i] the coupling to a neighbour whose item j sits on neighbour[j]; `rows` is
// neighbour-major: rows[j * items + i].
void add_neighbour(const CoupledLayers& problem, const std::vector<float>& rows, size_t items,
                   const std::vector<int>& neighbour, std::vector<float>& table) {
  const auto places = static_cast<size_t>(problem.places);
  std::vector<float> near(places * items, 0.F), all(items, 0.F);  // near[g][i]: coupling to items on place g
  for (size_t j = 0; j < neighbour.size(); ++j) {
    const float* from = rows.data() + j * items;
    float* to = near.data() + static_cast<size_t>(neighbour[j]) * items;
    for (size_t i = 0; i < items; ++i) to[i] += from[i];
  }
  for (size_t g = 0; g < places; ++g) {
    for (size_t i = 0; i < items; ++i) all[i] += near[g * items + i];
  }
  std::vector<float> inside(items);
  for (const DistanceLevel& level : problem.levels) {
    const auto group = static_cast<size_t>(level.group);
    const auto step = static_cast<float>(level.step);
    for (size_t first = 0; first < places; first += group) {
      std::fill(inside.begin(), inside.end(), 0.F);
      for (size_t g = first; g < first + group; ++g) {
        for (size_t i = 0; i < items; ++i) inside[i] += near[g * items + i];
      }
      for (size_t g = first; g < first + group; ++g) {
        float* to = table.data() + g * items;
        for (size_t i = 0; i < items; ++i) to[i] += step * (all[i] - inside[i]);
      }
    }
  }
}

}  // namespace

void coupled_table(const CoupledLayers& problem, const Placement& placement, int layer,
                   std::vector<float>& table) {
  const auto l = static_cast<size_t>(layer);
  const auto items = static_cast<size_t>(problem.items[l]), places = static_cast<size_t>(problem.places);
  table.assign(places * items, 0.F);
  if (l < problem.own.size() && !problem.own[l].empty()) {
    for (size_t i = 0; i < items; ++i) {
      for (size_t g = 0; g < places; ++g) table[g * items + i] = problem.own[l][i * places + g];
    }
  }
  if (l > 0) add_neighbour(problem, problem.coupling[l - 1], items, placement[l - 1], table);
  if (l + 1 < problem.items.size())
    add_neighbour(problem, problem.transposed[l], items, placement[l + 1], table);
}

double cap_violation(const CoupledLayers& problem, const Placement& placement, int layer) {
  const auto l = static_cast<size_t>(layer);
  double violation = 0;
  std::vector<double> load(static_cast<size_t>(problem.places));
  for (size_t p = 0; p < problem.load.size(); ++p) {
    std::fill(load.begin(), load.end(), 0.0);
    for (size_t i = 0; i < placement[l].size(); ++i)
      load[static_cast<size_t>(placement[l][i])] += problem.load[p][l][i];
    for (double v : load) violation += std::max(0.0, v / problem.cap[p][l] - 1 - 1e-12);
  }
  return violation;
}

}  // namespace orrery::solve

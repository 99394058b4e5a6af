#include "orrery/study/check/experts_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "orrery/solve/linear_program.h"

namespace orrery::study {
namespace {

constexpr double kRoom = 1 + 1e-9;  // of a cap, for rounding
constexpr size_t kMostPlacements = 3000;

size_t at(int i) {
  return static_cast<size_t>(i);
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum;
}

// Transitions of a layer step as shares, mean of the recordings.
std::vector<double> step_shares(const std::vector<RoutingPart>& recordings, size_t step) {
  std::vector<double> shares(recordings[0].transition[step].size(), 0);
  for (const RoutingPart& part : recordings) {
    const double total = sum_of(part.transition[step]);
    if (total <= 0) continue;
    for (size_t k = 0; k < shares.size(); ++k)
      shares[k] += part.transition[step][k] / total / static_cast<double>(recordings.size());
  }
  return shares;
}

struct LoadRow {
  const std::vector<double>* load;
  double least, most;
};
std::vector<LoadRow> load_rows(const std::vector<RoutingPart>& recordings, const LoadCaps& caps, size_t layer,
                               int ranks, int ranks_of_group) {
  std::vector<LoadRow> rows;
  for (size_t p = 0; p < caps.size(); ++p) {
    const double total = sum_of(recordings[p].load[layer]);
    const double most = caps[p][layer] * kRoom * total / ranks * ranks_of_group;
    rows.push_back({&recordings[p].load[layer], total - (ranks / ranks_of_group - 1.0) * most, most});
  }
  return rows;
}

// The most of a step's transitions that can stay in groups of `block` experts.
double most_kept(const std::vector<double>& shares, int experts, int block,
                 const std::vector<LoadRow>& before, const std::vector<LoadRow>& after, Seconds limit) {
  solve::LinearProgram program;
  for (double w : shares) program.add_column(0, 1, -w);
  for (const bool by_row : {true, false}) {
    for (int i = 0; i < experts; ++i) {
      std::vector<solve::Term> count;
      auto column = [&](int j) { return by_row ? i * experts + j : j * experts + i; };
      for (int j = 0; j < experts; ++j) count.push_back({column(j), 1});
      for (const LoadRow& row : by_row ? after : before) {
        std::vector<solve::Term> load = count;
        for (int j = 0; j < experts; ++j) load[at(j)].factor = (*row.load)[at(j)] / row.most;
        program.add_row(row.least / row.most, 1, std::move(load));
      }
      program.add_row(block, block, std::move(count));
    }
  }
  return std::min(1.0, -solve::LinearSolver(program).solve(limit).bound);
}

using Placements = std::vector<std::vector<int>>;  // each: [expert] rank

void fill(const ExpertMapOnRanks& shape, const std::function<bool(const std::vector<int>&)>& fits,
          std::vector<int>& place, std::vector<int>& room, Placements& found) {
  if (found.size() > kMostPlacements) return;
  if (place.size() == at(shape.experts)) {
    if (fits(place)) found.push_back(place);
    return;
  }
  for (int g = 0; g < shape.ranks; ++g) {
    if (room[at(g)] == 0) continue;
    --room[at(g)];
    place.push_back(g);
    fill(shape, fits, place, room, found);
    place.pop_back();
    ++room[at(g)];
  }
}

Placements placements_within(const ExpertMapOnRanks& shape, const std::vector<LoadRow>& rows) {
  auto fits = [&](const std::vector<int>& place) {
    return std::all_of(rows.begin(), rows.end(), [&](const LoadRow& row) {
      std::vector<double> carried(at(shape.ranks), 0);
      for (size_t e = 0; e < place.size(); ++e) carried[at(place[e])] += (*row.load)[e];
      return *std::max_element(carried.begin(), carried.end()) <= row.most;
    });
  };
  Placements found;
  std::vector<int> place, room(at(shape.ranks), shape.experts / shape.ranks);
  fill(shape, fits, place, room, found);
  return found;
}

// Ways to fill the ranks, up to a little above what is gone through.
double placement_count(const ExpertMapOnRanks& shape) {
  double count = 1;
  const int block = shape.experts / shape.ranks;
  for (int left = shape.experts; left > 0; left -= block) {
    for (int k = 0; k < block; ++k) count = count * (left - k) / (k + 1);
  }
  return count;
}

}  // namespace

std::optional<double> least_crossing_cost(const ExpertMapOnRanks& shape,
                                          const std::vector<RoutingPart>& recordings, const LoadCaps& caps) {
  if (placement_count(shape) > kMostPlacements) return std::nullopt;
  const size_t layers = recordings[0].load.size(), experts = at(shape.experts), ranks = at(shape.ranks);
  auto distance = [&](int g, int h) {
    return g == h ? 0.0 : shape.node(g) == shape.node(h) ? shape.inside : shape.between;
  };
  Placements before = placements_within(shape, load_rows(recordings, caps, 0, shape.ranks, 1));
  std::vector<double> cost(before.size(), 0);
  for (size_t l = 0; l + 1 < layers; ++l) {
    const std::vector<double> shares = step_shares(recordings, l);
    const Placements after = placements_within(shape, load_rows(recordings, caps, l + 1, shape.ranks, 1));
    std::vector<double> least(after.size(), std::numeric_limits<double>::infinity());
    for (size_t p = 0; p < before.size(); ++p) {
      // to[j][h]: what sending to expert j costs when it is on rank h.
      std::vector<double> to(experts * ranks, 0);
      for (size_t i = 0; i < experts; ++i) {
        for (size_t j = 0; j < experts; ++j) {
          for (size_t h = 0; h < ranks; ++h)
            to[j * ranks + h] += shares[i * experts + j] * distance(before[p][i], static_cast<int>(h));
        }
      }
      for (size_t q = 0; q < after.size(); ++q) {
        double sum = cost[p];
        for (size_t j = 0; j < experts; ++j) sum += to[j * ranks + at(after[q][j])];
        least[q] = std::min(least[q], sum);
      }
    }
    before = after;
    cost = least;
  }
  if (cost.empty()) return std::nullopt;
  return *std::min_element(cost.begin(), cost.end()) / std::max<double>(1, static_cast<double>(layers) - 1);
}

CrossingBound crossing_bound(const ExpertMapOnRanks& shape, const std::vector<RoutingPart>& recordings,
                             const LoadCaps& caps, Seconds limit) {
  if (const auto exact = least_crossing_cost(shape, recordings, caps)) return {*exact, true};
  const size_t steps = recordings[0].transition.size();
  const int block = shape.experts / shape.ranks;
  const bool levels = shape.ranks > shape.ranks_per_node && shape.between > shape.inside;
  const Seconds each(limit.value() / static_cast<double>(std::max<size_t>(1, steps * (levels ? 2 : 1))));
  CrossingBound bound;
  for (size_t l = 0; l < steps; ++l) {
    const std::vector<double> shares = step_shares(recordings, l);
    auto crossing = [&](int ranks_of_group) {
      return sum_of(shares) - most_kept(shares, shape.experts, block * ranks_of_group,
                                        load_rows(recordings, caps, l, shape.ranks, ranks_of_group),
                                        load_rows(recordings, caps, l + 1, shape.ranks, ranks_of_group),
                                        each);
    };
    bound.cost += shape.inside * std::max(0.0, crossing(1));
    if (levels) bound.cost += (shape.between - shape.inside) * std::max(0.0, crossing(shape.ranks_per_node));
  }
  bound.cost /= static_cast<double>(std::max<size_t>(1, steps));
  return bound;
}

namespace {

// At least, of a token with k choices of which `pairs` share a rank on average: linear between the even
// spreads of its choices on k, k − 1, … ranks, which is convex, so that the average of tokens is not below it
// either.
double fewest_ranks(double pairs, int k, int block) {
  double before = 0;
  for (int ranks = k; (ranks - 1) * block >= k; --ranks) {
    double even = 0;  // pairs when spread evenly on one rank less
    for (int g = 0; g < ranks - 1; ++g) {
      const int here = k / (ranks - 1) + (g < k % (ranks - 1));
      even += .5 * here * (here - 1);
    }
    if (pairs < even) return ranks - (pairs - before) / (even - before);
    before = even;
  }
  return std::ceil(static_cast<double>(k) / block);
}

}  // namespace

double distinct_rank_bound(const ExpertMapOnRanks& shape, const std::vector<RoutingPart>& recordings,
                           const LoadCaps& caps, Seconds limit) {
  const size_t layers = recordings[0].load.size(), experts = at(shape.experts);
  const int block = shape.experts / shape.ranks, k = recordings[0].tokens->top_k;
  double bound = 0;
  for (size_t l = 0; l < layers; ++l) {
    std::vector<double> pairs(experts * experts, 0);
    double tokens = 0;
    for (const RoutingPart& part : recordings) {
      tokens += static_cast<double>(part.last - part.first);
      for (size_t t = part.first; t < part.last; ++t) {
        const uint16_t* chosen = part.tokens->at(t, static_cast<int>(l));
        for (int a = 0; a < k; ++a) {
          for (int b = 0; b < k; ++b) {
            if (a != b) pairs[chosen[a] * experts + chosen[b]] += 1;
          }
        }
      }
    }
    // An expert with itself weighs more than with all others, so that the program keeps it.
    double self = tokens;
    for (size_t i = 0; i < experts; ++i)
      self = std::max(self, std::accumulate(pairs.begin() + static_cast<ptrdiff_t>(i * experts),
                                            pairs.begin() + static_cast<ptrdiff_t>((i + 1) * experts), 0.0));
    for (size_t i = 0; i < experts; ++i) pairs[i * experts + i] = self;
    const double total = sum_of(pairs);
    for (double& w : pairs) w /= total;
    const std::vector<LoadRow> rows = load_rows(recordings, caps, l, shape.ranks, 1);
    const double kept = total * most_kept(pairs, shape.experts, block, rows, rows,
                                          Seconds(limit.value() / static_cast<double>(layers)));
    const double shared =
        (kept - self * shape.experts) / 2 / std::max(1.0, tokens);  // each pair stands twice
    bound += fewest_ranks(shared, k, block) / static_cast<double>(layers);
  }
  return bound;
}

double load_bound(const ExpertMapOnRanks& shape, const RoutingPart& recording) {
  double bound = 0;
  for (const std::vector<double>& load : recording.load) {
    const double mean = sum_of(load) / shape.ranks;
    const double busiest = *std::max_element(load.begin(), load.end());
    const bool copies = shape.slots() > shape.experts;
    bound += (copies || mean <= 0 ? 1 : std::max(1.0, busiest / mean)) /
             static_cast<double>(recording.load.size());
  }
  return bound;
}

}  // namespace orrery::study

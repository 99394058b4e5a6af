#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_search.h"
#include "orrery/solve/assignment.h"
#include "orrery/solve/max_flow.h"

namespace orrery::place {
namespace {

// One layer's slots while copies and swaps are tried, with its largest load under the optimal split.
struct Trial {
  std::vector<int> slots;
  double theta = 0;
};

bool holds(const std::vector<int>& slots, int per_rank, int rank, int expert) {
  const auto from = slots.begin() + rank * per_rank;
  return std::find(from, from + per_rank, expert) != from + per_rank;
}

std::vector<solve::Holding> holdings_of(const std::vector<int>& slots, int ranks) {
  const auto per_rank = static_cast<int>(slots.size()) / ranks;
  std::vector<solve::Holding> holdings;
  for (size_t s = 0; s < slots.size(); ++s) holdings.push_back({slots[s], static_cast<int>(s) / per_rank});
  return holdings;
}

double largest_load(const std::vector<double>& load, const std::vector<int>& slots, int ranks) {
  return solve::solve_fair_split(load, ranks, holdings_of(slots, ranks)).largest_load;
}

// Two copies on one rank: the second is exchanged with a slot of another rank that makes both distinct.
// False when none does.
bool part_twins(std::vector<int>& slots, int ranks) {
  const int per_rank = static_cast<int>(slots.size()) / ranks;
  for (size_t s = 0; s < slots.size(); ++s) {
    const int rank = static_cast<int>(s) / per_rank;
    if (std::find(slots.begin() + rank * per_rank, slots.begin() + static_cast<ptrdiff_t>(s), slots[s]) ==
        slots.begin() + static_cast<ptrdiff_t>(s))
      continue;
    bool parted = false;
    for (size_t other = 0; other < slots.size() && !parted; ++other) {
      const int there = static_cast<int>(other) / per_rank;
      if (there == rank || holds(slots, per_rank, there, slots[s]) ||
          holds(slots, per_rank, rank, slots[other]))
        continue;
      std::swap(slots[s], slots[other]);
      parted = true;
    }
    if (!parted) return false;
  }
  return true;
}

// Copy counts by EPLB's rule, packed by falling share to the lightest rank that does not hold the expert.
std::vector<int> pack_copies(const std::vector<double>& load, int ranks, int slots) {
  std::vector<double> copies(load.size(), 1);
  for (size_t made = load.size(); made < static_cast<size_t>(slots); ++made) {
    size_t heaviest = load.size();
    for (size_t e = 0; e < load.size(); ++e) {
      if (copies[e] >= ranks) continue;
      if (heaviest == load.size() || load[e] / copies[e] > load[heaviest] / copies[heaviest]) heaviest = e;
    }
    if (heaviest == load.size()) return {};
    ++copies[heaviest];
  }
  std::vector<size_t> order(load.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return load[a] / copies[a] > load[b] / copies[b]; });
  const auto per_rank = static_cast<size_t>(slots / ranks);
  std::vector<std::vector<int>> held(static_cast<size_t>(ranks));
  std::vector<double> weight(static_cast<size_t>(ranks), 0);
  for (size_t e : order) {
    for (int c = 0; c < static_cast<int>(copies[e]); ++c) {
      size_t best = held.size();
      for (size_t g = 0; g < held.size(); ++g) {
        if (held[g].size() == per_rank ||
            std::find(held[g].begin(), held[g].end(), static_cast<int>(e)) != held[g].end())
          continue;
        if (best == held.size() || weight[g] < weight[best]) best = g;
      }
      if (best == held.size()) return {};
      held[best].push_back(static_cast<int>(e));
      weight[best] += load[e] / copies[e];
    }
  }
  std::vector<int> result;
  for (const std::vector<int>& of_rank : held) result.insert(result.end(), of_rank.begin(), of_rank.end());
  return result;
}

// One slot more on each rank: the lightest rank first takes a copy of the expert that carries most on the
// heaviest one. Under the optimal split more copies never raise the largest load.
std::vector<int> extend(const std::vector<double>& load, const std::vector<int>& slots, int ranks) {
  const size_t per_rank = slots.size() / static_cast<size_t>(ranks);
  std::vector<int> wide;
  std::vector<char> filled(static_cast<size_t>(ranks), 0);
  std::vector<std::vector<int>> held(static_cast<size_t>(ranks));
  for (size_t s = 0; s < slots.size(); ++s) held[s / per_rank].push_back(slots[s]);
  for (int added = 0; added < ranks; ++added) {
    std::vector<solve::Holding> holdings;
    for (int g = 0; g < ranks; ++g) {
      for (int e : held[static_cast<size_t>(g)]) holdings.push_back({e, g});
    }
    const solve::FairSplit split = solve::solve_fair_split(load, ranks, holdings);
    std::vector<double> weight(static_cast<size_t>(ranks), 0);
    for (size_t k = 0; k < holdings.size(); ++k)
      weight[static_cast<size_t>(holdings[k].place)] += split.amount[k];
    size_t lightest = filled.size();
    for (size_t g = 0; g < filled.size(); ++g) {
      if (!filled[g] && (lightest == filled.size() || weight[g] < weight[lightest])) lightest = g;
    }
    // The expert with most work on ranks that are full, and not here yet.
    double most = -1;
    int chosen = -1;
    for (size_t k = 0; k < holdings.size(); ++k) {
      const std::vector<int>& here = held[lightest];
      if (std::find(here.begin(), here.end(), holdings[k].item) != here.end()) continue;
      const double urgency = weight[static_cast<size_t>(holdings[k].place)] * 1e6 + split.amount[k];
      if (urgency > most) {
        most = urgency;
        chosen = holdings[k].item;
      }
    }
    if (chosen < 0) return {};
    held[lightest].push_back(chosen);
    filled[lightest] = 1;
  }
  for (const std::vector<int>& of_rank : held) wide.insert(wide.end(), of_rank.begin(), of_rank.end());
  return wide;
}

// Swaps between the heaviest and other ranks while they lower the largest load.
void improve(const std::vector<double>& load, Trial& trial, int ranks) {
  const int per_rank = static_cast<int>(trial.slots.size()) / ranks;
  const double mean = std::accumulate(load.begin(), load.end(), 0.0) / ranks;
  for (int round = 0; round < 8 && trial.theta > mean * 1.002; ++round) {
    const auto holdings = holdings_of(trial.slots, ranks);
    const solve::FairSplit split = solve::solve_fair_split(load, ranks, holdings);
    std::vector<double> weight(static_cast<size_t>(ranks), 0);
    for (size_t k = 0; k < holdings.size(); ++k)
      weight[static_cast<size_t>(holdings[k].place)] += split.amount[k];
    const auto heavy = static_cast<int>(std::max_element(weight.begin(), weight.end()) - weight.begin());
    const auto light = static_cast<int>(std::min_element(weight.begin(), weight.end()) - weight.begin());
    Trial best = trial;
    for (int a = heavy * per_rank; a < (heavy + 1) * per_rank; ++a) {
      for (int b = light * per_rank; b < (light + 1) * per_rank; ++b) {
        const auto s = static_cast<size_t>(a), t = static_cast<size_t>(b);
        if (holds(trial.slots, per_rank, light, trial.slots[s]) ||
            holds(trial.slots, per_rank, heavy, trial.slots[t]))
          continue;
        Trial other = trial;
        std::swap(other.slots[s], other.slots[t]);
        other.theta = largest_load(load, other.slots, ranks);
        if (other.theta < best.theta * (1 - 1e-9)) best = std::move(other);
      }
    }
    if (best.slots == trial.slots) break;
    trial = std::move(best);
  }
}

}  // namespace

ExpertPlan replicate_experts(const trace::RoutingProfile& profile, const RankGrid& grid, int slots) {
  ExpertPlan plan = contiguous_plan(profile, grid.ranks, slots);
  plan.planner = "joint";
  const int ranks = grid.ranks;
  // Without copies nothing is better known than LPT relieved by swaps; what follows only adds to it.
  std::optional<ExpertPlan> single;
  if (profile.experts % ranks == 0)
    single = rebalance_experts(lpt_plan(std::vector<const trace::RoutingProfile*>{&profile}, ranks), profile,
                               std::numeric_limits<size_t>::max());
  for (size_t l = 0; l < profile.load.size(); ++l) {
    const std::vector<double>& load = profile.load[l];
    Trial best;
    auto offer = [&](std::vector<int> candidate) {
      if (candidate.empty() || !part_twins(candidate, ranks)) return;
      Trial trial{std::move(candidate), 0};
      trial.theta = largest_load(load, trial.slots, ranks);
      if (best.slots.size() < trial.slots.size() || trial.theta < best.theta) best = std::move(trial);
    };
    const int first = (profile.experts + ranks - 1) / ranks * ranks;
    for (int count = first; count <= slots; count += ranks) {
      const std::vector<int> narrower = best.slots;
      best = {};
      if (!narrower.empty()) offer(extend(load, narrower, ranks));
      if (single && count == profile.experts) offer(single->slot_to_expert[l]);
      offer(pack_copies(load, ranks, count));
      offer(eplb({load}, count, 1, 1, ranks)[0]);
      if (best.slots.empty()) break;
      improve(load, best, ranks);
    }
    if (!best.slots.empty()) plan.slot_to_expert[l] = best.slots;
  }
  return plan;
}

ExpertPlan rebalance_experts(const ExpertPlan& current, const trace::RoutingProfile& profile,
                             size_t most_moved) {
  ExpertPlan plan = current;
  plan.planner = "rebalanced";
  const auto ranks = static_cast<size_t>(plan.ranks);
  const auto per_rank = static_cast<size_t>(plan.slots_per_rank());
  struct Move {
    double relief = 0;  // of the largest load, relative to the mean, per expert moved
    size_t a = 0, b = 0;
  };
  std::vector<std::vector<double>> weight(static_cast<size_t>(plan.layers()), std::vector<double>(ranks, 0));
  std::vector<std::vector<double>> share(weight.size());
  for (size_t l = 0; l < weight.size(); ++l) {
    const auto copies = plan.ranks_of(static_cast<int>(l));
    share[l] = profile.load[l];
    for (size_t e = 0; e < copies.size(); ++e) share[l][e] /= static_cast<double>(copies[e].size());
    for (size_t s = 0; s < plan.slot_to_expert[l].size(); ++s)
      weight[l][s / per_rank] += share[l][static_cast<size_t>(plan.slot_to_expert[l][s])];
  }
  auto best_move = [&](size_t l) {
    const std::vector<int>& slots = plan.slot_to_expert[l];
    const auto heavy =
        static_cast<size_t>(std::max_element(weight[l].begin(), weight[l].end()) - weight[l].begin());
    const double mean = std::max(1e-300, profile.total(static_cast<int>(l)) / plan.ranks);
    Move best;
    for (size_t a = heavy * per_rank; a < (heavy + 1) * per_rank; ++a) {
      for (size_t b = 0; b < slots.size(); ++b) {
        const size_t other = b / per_rank;
        if (other == heavy || holds(slots, static_cast<int>(per_rank), static_cast<int>(other), slots[a]) ||
            holds(slots, static_cast<int>(per_rank), static_cast<int>(heavy), slots[b]))
          continue;
        const double d = share[l][static_cast<size_t>(slots[a])] - share[l][static_cast<size_t>(slots[b])];
        if (d <= 0) continue;
        const double after = std::max(weight[l][heavy] - d, weight[l][other] + d);
        const double relief = (weight[l][heavy] - after) / mean;
        if (relief > best.relief) best = {relief, a, b};
      }
    }
    return best;
  };
  std::vector<Move> next(weight.size());
  for (size_t l = 0; l < weight.size(); ++l) next[l] = best_move(l);
  for (size_t moved = 0; moved + 2 <= most_moved; moved += 2) {
    const auto l = static_cast<size_t>(
        std::max_element(next.begin(), next.end(),
                         [](const Move& x, const Move& y) { return x.relief < y.relief; }) -
        next.begin());
    const Move& move = next[l];
    if (move.relief <= 1e-6) break;
    std::vector<int>& slots = plan.slot_to_expert[l];
    const double d =
        share[l][static_cast<size_t>(slots[move.a])] - share[l][static_cast<size_t>(slots[move.b])];
    weight[l][move.a / per_rank] -= d;
    weight[l][move.b / per_rank] += d;
    std::swap(slots[move.a], slots[move.b]);
    next[l] = best_move(l);
  }
  return plan;
}

namespace {

// rank_for[g]: the new name of rank g. Overlap of experts decides; nodes are matched as wholes.
std::vector<int> best_names(const std::vector<double>& overlap, const RankGrid& grid) {
  const auto ranks = static_cast<size_t>(grid.ranks), inner = static_cast<size_t>(grid.ranks_per_node);
  const size_t nodes = ranks / inner;
  std::vector<double> node_cost(nodes * nodes);
  std::vector<std::vector<int>> inside(nodes * nodes);
  for (size_t n = 0; n < nodes; ++n) {
    for (size_t q = 0; q < nodes; ++q) {
      std::vector<double> cost(inner * inner);
      for (size_t a = 0; a < inner; ++a) {
        for (size_t b = 0; b < inner; ++b)
          cost[a * inner + b] = -overlap[(n * inner + a) * ranks + q * inner + b];
      }
      solve::Assignment match =
          solve::solve_assignment(cost, static_cast<int>(inner), static_cast<int>(inner));
      node_cost[n * nodes + q] = match.cost;
      inside[n * nodes + q] = std::move(match.column_of_row);
    }
  }
  const solve::Assignment match =
      solve::solve_assignment(node_cost, static_cast<int>(nodes), static_cast<int>(nodes));
  std::vector<int> result(ranks);
  for (size_t n = 0; n < nodes; ++n) {
    const auto q = static_cast<size_t>(match.column_of_row[n]);
    for (size_t a = 0; a < inner; ++a)
      result[n * inner + a] = static_cast<int>(q * inner) + inside[n * nodes + q][a];
  }
  return result;
}

}  // namespace

ExpertPlan relabel_ranks(const ExpertPlan& plan, const ExpertPlan& current, const RankGrid& grid,
                         bool together) {
  ExpertPlan result = plan;
  const auto ranks = static_cast<size_t>(plan.ranks), per_rank = static_cast<size_t>(plan.slots_per_rank());
  std::vector<std::vector<double>> overlap(static_cast<size_t>(plan.layers()),
                                           std::vector<double>(ranks * ranks, 0));
  for (size_t l = 0; l < overlap.size(); ++l) {
    const auto old = current.ranks_of(static_cast<int>(l));
    for (size_t s = 0; s < plan.slot_to_expert[l].size(); ++s) {
      for (int g : old[static_cast<size_t>(plan.slot_to_expert[l][s])])
        overlap[together ? 0 : l][s / per_rank * ranks + static_cast<size_t>(g)] += 1;
    }
  }
  std::vector<int> names;
  for (size_t l = 0; l < overlap.size(); ++l) {
    if (l == 0 || !together) names = best_names(overlap[l], grid);
    for (size_t s = 0; s < plan.slot_to_expert[l].size(); ++s)
      result.slot_to_expert[l][static_cast<size_t>(names[s / per_rank]) * per_rank + s % per_rank] =
          plan.slot_to_expert[l][s];
  }
  return result;
}

}  // namespace orrery::place

#include "orrery/place/experts_baselines.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "orrery/solve/assignment.h"

namespace orrery::place {
namespace {

ExpertPlan empty_plan(const trace::RoutingProfile& profile, int ranks, const char* planner) {
  ExpertPlan plan;
  plan.experts = profile.experts;
  plan.ranks = ranks;
  plan.layer_ids = profile.layer_ids;
  plan.planner = planner;
  return plan;
}

std::vector<int> slots_by_rank(const std::vector<int>& rank_of, int ranks) {
  std::vector<int> slots;
  for (int g = 0; g < ranks; ++g) {
    for (size_t e = 0; e < rank_of.size(); ++e) {
      if (rank_of[e] == g) slots.push_back(static_cast<int>(e));
    }
  }
  return slots;
}

struct Packing {
  std::vector<int> pack, rank;  // of each item
};

// Items by falling weight, each to the lightest pack with room; one item a pack keeps its own number.
Packing pack_evenly(const std::vector<double>& weight, int packs) {
  const size_t items = weight.size();
  const auto room = items / static_cast<size_t>(packs);
  Packing result{std::vector<int>(items), std::vector<int>(items)};
  if (room == 1) {
    std::iota(result.pack.begin(), result.pack.end(), 0);
    return result;
  }
  std::vector<size_t> order(items);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return weight[a] > weight[b]; });
  std::vector<double> load(static_cast<size_t>(packs), 0);
  std::vector<size_t> count(static_cast<size_t>(packs), 0);
  for (size_t item : order) {
    size_t lightest = load.size();
    for (size_t p = 0; p < load.size(); ++p) {
      if (count[p] < room && (lightest == load.size() || load[p] < load[lightest])) lightest = p;
    }
    result.pack[item] = static_cast<int>(lightest);
    result.rank[item] = static_cast<int>(count[lightest]++);
    load[lightest] += weight[item];
  }
  return result;
}

std::vector<int> eplb_layer(const std::vector<double>& weight, int slots, int groups, int nodes, int ranks) {
  const size_t experts = weight.size(), group_size = experts / static_cast<size_t>(groups);
  const auto n_nodes = static_cast<size_t>(nodes);
  const size_t groups_per_node = static_cast<size_t>(groups) / n_nodes, per_node = experts / n_nodes;
  std::vector<double> group_weight(static_cast<size_t>(groups), 0);
  for (size_t e = 0; e < experts; ++e) group_weight[e / group_size] += weight[e];
  const Packing to_node = pack_evenly(group_weight, nodes);
  std::vector<int> expert_at(experts);  // by position: node, group's rank in it, index in the group
  for (size_t e = 0; e < experts; ++e) {
    const size_t q = e / group_size;
    const size_t position =
        (static_cast<size_t>(to_node.pack[q]) * groups_per_node + static_cast<size_t>(to_node.rank[q])) *
            group_size +
        e % group_size;
    expert_at[position] = static_cast<int>(e);
  }
  const size_t slots_per_node = static_cast<size_t>(slots) / n_nodes,
               slots_per_rank = static_cast<size_t>(slots / ranks);
  std::vector<int> result(static_cast<size_t>(slots));
  for (size_t node = 0; node < n_nodes; ++node) {
    std::vector<double> local(per_node);
    for (size_t k = 0; k < per_node; ++k)
      local[k] = weight[static_cast<size_t>(expert_at[node * per_node + k])];
    std::vector<size_t> copy(per_node);  // copies listed: originals, then extras as they were made
    std::iota(copy.begin(), copy.end(), size_t{0});
    std::vector<double> copies(per_node, 1);
    while (copy.size() < slots_per_node) {
      size_t heaviest = 0;
      for (size_t k = 1; k < per_node; ++k) {
        if (local[k] / copies[k] > local[heaviest] / copies[heaviest]) heaviest = k;
      }
      copy.push_back(heaviest);
      ++copies[heaviest];
    }
    std::vector<double> part(copy.size());
    for (size_t c = 0; c < copy.size(); ++c) part[c] = local[copy[c]] / copies[copy[c]];
    const Packing to_rank = pack_evenly(part, ranks / nodes);
    for (size_t c = 0; c < copy.size(); ++c) {
      const size_t slot = node * slots_per_node + static_cast<size_t>(to_rank.pack[c]) * slots_per_rank +
                          static_cast<size_t>(to_rank.rank[c]);
      result[slot] = expert_at[node * per_node + copy[c]];
    }
  }
  return result;
}

}  // namespace

ExpertPlan contiguous_plan(const trace::RoutingProfile& profile, int ranks, int slots) {
  ExpertPlan plan = empty_plan(profile, ranks, "contiguous");
  std::vector<int> map(static_cast<size_t>(slots));
  for (size_t s = 0; s < map.size(); ++s) map[s] = static_cast<int>(s) % profile.experts;
  plan.slot_to_expert.assign(profile.layer_ids.size(), map);
  return plan;
}

ExpertPlan random_plan(const trace::RoutingProfile& profile, int ranks, Seed seed) {
  ExpertPlan plan = contiguous_plan(profile, ranks, profile.experts);
  plan.planner = "random";
  Random random(seed);
  for (std::vector<int>& slots : plan.slot_to_expert) {
    for (size_t s = slots.size(); s > 1; --s) std::swap(slots[s - 1], slots[random.index(s)]);
  }
  return plan;
}

ExpertPlan lpt_plan(std::span<const trace::RoutingProfile* const> profiles, int ranks) {
  const trace::RoutingProfile& first = *profiles[0];
  ExpertPlan plan = empty_plan(first, ranks, "lpt");
  const auto experts = static_cast<size_t>(first.experts), n_ranks = static_cast<size_t>(ranks);
  if (experts % n_ranks != 0) throw std::logic_error("lpt: experts do not divide over ranks");
  for (size_t l = 0; l < first.layer_ids.size(); ++l) {
    std::vector<std::vector<double>> share;  // [profile][expert]
    std::vector<double> key(experts, 0);
    for (const trace::RoutingProfile* profile : profiles) {
      const double total = std::max(1e-300, profile->total(static_cast<int>(l)));
      share.emplace_back(experts);
      for (size_t e = 0; e < experts; ++e) {
        share.back()[e] = profile->load[l][e] / total;
        key[e] = std::max(key[e], share.back()[e]);
      }
    }
    std::vector<size_t> order(experts);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key[a] > key[b]; });
    std::vector<std::vector<double>> load(n_ranks, std::vector<double>(profiles.size(), 0));
    std::vector<size_t> count(n_ranks, 0);
    std::vector<int> rank_of(experts);
    for (size_t e : order) {
      size_t best = n_ranks;
      double least = 0;
      for (size_t g = 0; g < n_ranks; ++g) {
        if (count[g] == experts / n_ranks) continue;
        double after = 0;
        for (size_t p = 0; p < profiles.size(); ++p) after = std::max(after, load[g][p] + share[p][e]);
        if (best == n_ranks || after < least) {
          best = g;
          least = after;
        }
      }
      rank_of[e] = static_cast<int>(best);
      ++count[best];
      for (size_t p = 0; p < profiles.size(); ++p) load[best][p] += share[p][e];
    }
    plan.slot_to_expert.push_back(slots_by_rank(rank_of, ranks));
  }
  return plan;
}

std::vector<std::vector<int>> eplb(const std::vector<std::vector<double>>& weight, int slots, int groups,
                                   int nodes, int ranks) {
  if (groups % nodes != 0) groups = nodes = 1;
  const auto experts = static_cast<int>(weight.at(0).size());
  if (slots % ranks != 0 || slots < experts || experts % groups != 0 || ranks % nodes != 0)
    throw std::logic_error("eplb: slots, groups, nodes and ranks do not divide");
  std::vector<std::vector<int>> result;
  for (const std::vector<double>& of_layer : weight)
    result.push_back(eplb_layer(of_layer, slots, groups, nodes, ranks));
  return result;
}

ExpertPlan eplb_plan(const trace::RoutingProfile& profile, const RankGrid& grid, int slots, int groups) {
  ExpertPlan plan = empty_plan(profile, grid.ranks, "eplb");
  plan.slot_to_expert =
      eplb(profile.load, slots, groups, groups % grid.nodes() == 0 ? grid.nodes() : 1, grid.ranks);
  return plan;
}

ExpertPlan match_clusters(const std::vector<std::vector<int>>& cluster_of,
                          const trace::RoutingProfile& profile, const RankGrid& grid) {
  ExpertPlan plan = empty_plan(profile, grid.ranks, "two-stage");
  const auto ranks = static_cast<size_t>(grid.ranks), experts = static_cast<size_t>(profile.experts);
  std::vector<int> previous = cluster_of[0];  // rank of each expert of the layer before
  plan.slot_to_expert.push_back(slots_by_rank(previous, grid.ranks));
  for (size_t l = 0; l + 1 < cluster_of.size(); ++l) {
    std::vector<double> flow(ranks * ranks, 0);  // [cluster of the next layer][rank here]
    if (l < profile.transition.size()) {
      for (size_t i = 0; i < experts; ++i) {
        for (size_t j = 0; j < experts; ++j)
          flow[static_cast<size_t>(cluster_of[l + 1][j]) * ranks + static_cast<size_t>(previous[i])] +=
              static_cast<double>(profile.transition[l][i * experts + j]);
      }
    }
    // Σ_g flow · d(g, h), by what stays on h and in its node.
    std::vector<double> cost(ranks * ranks, 0);  // [cluster][rank]
    const auto inner = static_cast<size_t>(grid.ranks_per_node);
    for (size_t c = 0; c < ranks; ++c) {
      const double* of_cluster = flow.data() + c * ranks;
      const double total = std::accumulate(of_cluster, of_cluster + ranks, 0.0);
      for (size_t first = 0; first < ranks; first += inner) {
        const double in_node = std::accumulate(of_cluster + first, of_cluster + first + inner, 0.0);
        for (size_t h = first; h < first + inner; ++h)
          cost[c * ranks + h] = grid.between * (total - in_node) + grid.inside * (in_node - of_cluster[h]);
      }
    }
    const solve::Assignment match = solve::solve_assignment(cost, grid.ranks, grid.ranks);
    std::vector<int> next(experts);
    for (size_t e = 0; e < experts; ++e)
      next[e] = match.column_of_row[static_cast<size_t>(cluster_of[l + 1][e])];
    plan.slot_to_expert.push_back(slots_by_rank(next, grid.ranks));
    previous = std::move(next);
  }
  return plan;
}

ExpertPlan two_stage_plan(std::span<const trace::RoutingProfile* const> profiles, const RankGrid& grid) {
  const ExpertPlan clusters = lpt_plan(profiles, grid.ranks);
  std::vector<std::vector<int>> cluster_of;
  for (int l = 0; l < clusters.layers(); ++l) {
    cluster_of.emplace_back(static_cast<size_t>(clusters.experts));
    const auto ranks = clusters.ranks_of(l);
    for (size_t e = 0; e < ranks.size(); ++e) cluster_of.back()[e] = ranks[e][0];
  }
  return match_clusters(cluster_of, *profiles[0], grid);
}

}  // namespace orrery::place

#include "orrery/study/check/experts_recount.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "orrery/solve/linear_program.h"

namespace orrery::study {
namespace {

size_t at(int i) {
  return static_cast<size_t>(i);
}

// Ranks that hold an expert, rising.
std::vector<int> holders(const ExpertMapOnRanks& map, int layer, int expert) {
  std::vector<int> ranks;
  for (int s = 0; s < map.slots(); ++s) {
    if (map.slot[at(layer)][at(s)] == expert) ranks.push_back(map.rank_of_slot(s));
  }
  return ranks;
}

std::vector<std::vector<std::vector<int>>> all_holders(const ExpertMapOnRanks& map) {
  std::vector<std::vector<std::vector<int>>> result(map.slot.size());
  for (size_t l = 0; l < map.slot.size(); ++l) {
    for (int e = 0; e < map.experts; ++e) result[l].push_back(holders(map, static_cast<int>(l), e));
  }
  return result;
}

bool contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

double largest_over_mean(double largest, const std::vector<double>& load, int ranks) {
  double total = 0;
  for (double n : load) total += n;
  return total > 0 ? largest * ranks / total : 1;
}

void count_tokens(const trace::RoutingProfile& profile, size_t step_tokens, RoutingPart& part) {
  const trace::TokenTrace& trace = *part.tokens;
  const size_t layers = trace.layer_ids.size(), experts = at(part.experts);
  const bool top1 = profile.rule == trace::WeightRule::Top1;
  part.load.assign(layers, std::vector<double>(experts, 0));
  part.transition.assign(layers > 0 ? layers - 1 : 0, std::vector<double>(experts * experts, 0));
  // Steps: recorded forward passes, else `step_tokens` tokens each and no step of the rest.
  std::map<uint64_t, size_t> recorded;
  for (size_t t = part.first; t < part.last && !trace.step.empty(); ++t) recorded.emplace(trace.step[t], 0);
  size_t steps = step_tokens > 0 ? (part.last - part.first) / step_tokens : 0;
  if (!trace.step.empty()) {
    steps = 0;
    for (auto& [number, index] : recorded) index = steps++;
  }
  part.step_load.assign(steps, std::vector<double>(layers * experts, 0));
  for (size_t t = part.first; t < part.last; ++t) {
    const size_t step = !trace.step.empty() ? recorded.at(trace.step[t])
                        : step_tokens > 0   ? (t - part.first) / step_tokens
                                            : steps;
    for (size_t l = 0; l < layers; ++l) {
      const uint16_t* here = trace.at(t, static_cast<int>(l));
      for (int r = 0; r < part.top_k; ++r) {
        part.load[l][here[r]] += 1;
        if (step < steps) part.step_load[step][l * experts + here[r]] += 1;
      }
      if (l + 1 == layers) continue;
      const uint16_t* next = trace.at(t, static_cast<int>(l) + 1);
      for (int a = 0; a < trace.top_k; ++a) {
        for (int b = 0; b < trace.top_k; ++b) {
          const double weight = profile.rule == trace::WeightRule::AllPairs ? 1.0 / trace.top_k
                                : a == b && (!top1 || a == 0)               ? 1
                                                                            : 0;
          part.transition[l][here[a] * experts + next[b]] += weight;
        }
      }
    }
  }
}

// 1 − hold_out of the tokens; where steps are recorded, whole steps up to there, or all of the one that
// reaches over it where it is the first.
size_t planned_tokens(const trace::TokenTrace& trace, double hold_out) {
  const auto asked = static_cast<size_t>(std::llround((1 - hold_out) * static_cast<double>(trace.tokens())));
  if (trace.step.empty() || asked == 0 || asked >= trace.tokens()) return asked;
  size_t before = 0, behind = trace.tokens();
  for (size_t t = 1; t < trace.tokens(); ++t) {
    if (trace.step[t] == trace.step[t - 1]) continue;
    if (t <= asked) before = t;
    if (t >= asked) behind = std::min(behind, t);
  }
  return before > 0 ? before : behind;
}

void sum_steps(RoutingPart& part, size_t layers) {
  const size_t experts = at(part.experts);
  part.load.assign(layers, std::vector<double>(experts, 0));
  for (const std::vector<double>& step : part.step_load) {
    for (size_t k = 0; k < layers * experts; ++k) part.load[k / experts][k % experts] += step[k];
  }
}

}  // namespace

MapFaults map_faults(const ExpertMapOnRanks& map) {
  MapFaults faults;
  for (size_t l = 0; l < map.slot.size() && faults.shape.empty(); ++l) {
    if (map.slot[l].size() != map.slot[0].size() || map.slot[l].empty() ||
        map.slot[l].size() % at(map.ranks) != 0)
      faults.shape = fmt::format("layer {} has {} slots over {} GPUs, the first layer {}", l,
                                 map.slot[l].size(), map.ranks, map.slot[0].size());
  }
  if (!faults.shape.empty()) return faults;
  for (size_t l = 0; l < map.slot.size(); ++l) {
    std::set<int> seen;
    std::set<std::pair<int, int>> on_rank;
    for (int s = 0; s < map.slots(); ++s) {
      const int e = map.slot[l][at(s)];
      if ((e < 0 || e >= map.experts) && faults.identifier.empty())
        faults.identifier =
            fmt::format("layer {}, slot {}: expert {} is outside 0..{}", l, s, e, map.experts - 1);
      if (!on_rank.insert({map.rank_of_slot(s), e}).second && faults.doubled.empty())
        faults.doubled = fmt::format("layer {}: expert {} is twice on GPU {}", l, e, map.rank_of_slot(s));
      seen.insert(e);
    }
    for (int e = 0; e < map.experts && faults.missing.empty(); ++e) {
      if (!seen.contains(e)) faults.missing = fmt::format("layer {}: expert {} lies nowhere", l, e);
    }
  }
  return faults;
}

std::string cut_group(const ExpertMapOnRanks& map, int groups) {
  for (size_t l = 0; l < map.slot.size(); ++l) {
    std::map<int, int> node_of_group;
    for (int s = 0; s < map.slots(); ++s) {
      const int group = map.slot[l][at(s)] / (map.experts / groups), node = map.node(map.rank_of_slot(s));
      const auto [first, fresh] = node_of_group.emplace(group, node);
      if (!fresh && first->second != node)
        return fmt::format("layer {}: group {} lies on nodes {} and {}", l, group, first->second, node);
    }
  }
  return {};
}

RoutingParts split_routing(const trace::RoutingProfile& profile, double hold_out, size_t step_tokens) {
  RoutingParts parts;
  RoutingPart base;
  base.experts = profile.experts;
  base.top_k = profile.top_k;
  base.tokens = profile.tokens.get();
  parts.planned = base;
  if (profile.tokens) {
    const size_t all = profile.tokens->tokens();
    size_t cut = planned_tokens(*profile.tokens, hold_out);
    const bool has_later = hold_out > 0 && cut > 0 && cut < all;
    if (!has_later) cut = all;
    parts.planned.last = cut;
    count_tokens(profile, step_tokens, parts.planned);
    if (has_later) {
      parts.later = base;
      parts.later.first = cut;
      parts.later.last = all;
      count_tokens(profile, std::min(step_tokens, all - cut), parts.later);
    }
    return parts;
  }
  for (const std::vector<float>& w : profile.transition)
    parts.planned.transition.emplace_back(w.begin(), w.end());
  for (const std::vector<float>& step : profile.steps)
    parts.planned.step_load.emplace_back(step.begin(), step.end());
  parts.planned.load = profile.load;
  constexpr size_t kFewestSteps = 5;
  if (hold_out > 0 && profile.steps.size() >= kFewestSteps) {
    const auto cut = static_cast<ptrdiff_t>((1 - hold_out) * static_cast<double>(profile.steps.size()));
    parts.later = base;
    parts.later.step_load.assign(parts.planned.step_load.begin() + cut, parts.planned.step_load.end());
    parts.planned.step_load.resize(static_cast<size_t>(cut));
    sum_steps(parts.planned, profile.load.size());
    sum_steps(parts.later, profile.load.size());
  }
  return parts;
}

std::vector<double> rank_load(const ExpertMapOnRanks& map, int layer, const std::vector<double>& load) {
  std::vector<int> copies(at(map.experts), 0);
  for (int e : map.slot[at(layer)]) ++copies[at(e)];
  std::vector<double> result(at(map.ranks), 0);
  for (int s = 0; s < map.slots(); ++s) {
    const int e = map.slot[at(layer)][at(s)];
    result[at(map.rank_of_slot(s))] += load[at(e)] / copies[at(e)];
  }
  return result;
}

double least_largest_load(const ExpertMapOnRanks& map, int layer, const std::vector<double>& load) {
  // min θ: every expert's tokens go to its slots, and no rank gets more than θ.
  solve::LinearProgram program;
  double total = 0;
  for (double n : load) total += n;
  const double scale = total > 0 ? map.ranks / total : 0;
  const int theta = program.add_column(0, solve::kUnbounded, 1);
  std::vector<std::vector<solve::Term>> of_expert(at(map.experts)), of_rank(at(map.ranks), {{theta, -1.0}});
  for (int s = 0; s < map.slots(); ++s) {
    const int share = program.add_column(0, solve::kUnbounded, 0);
    of_expert[at(map.slot[at(layer)][at(s)])].push_back({share, 1});
    of_rank[at(map.rank_of_slot(s))].push_back({share, 1});
  }
  for (int e = 0; e < map.experts; ++e) {
    const double n = load[at(e)] * scale;
    program.add_row(n, n, of_expert[at(e)]);
  }
  for (std::vector<solve::Term>& row : of_rank) program.add_row(-solve::kUnbounded, 0, std::move(row));
  const double objective = solve::LinearSolver(program).solve().objective;
  return scale > 0 ? objective / scale : 0;
}

LoadRecount recount_load(const ExpertMapOnRanks& map, const std::vector<std::vector<double>>& load,
                         bool copies_evenly) {
  LoadRecount result;
  for (size_t l = 0; l < map.slot.size(); ++l) {
    const int layer = static_cast<int>(l);
    const std::vector<double> ranks = rank_load(map, layer, load[l]);
    const double largest = copies_evenly || map.slots() == map.experts
                               ? *std::max_element(ranks.begin(), ranks.end())
                               : least_largest_load(map, layer, load[l]);
    result.of_layer.push_back(largest_over_mean(largest, load[l], map.ranks));
    result.mean += result.of_layer.back() / static_cast<double>(map.slot.size());
    result.worst = std::max(result.worst, result.of_layer.back());
  }
  return result;
}

BalancednessRecount recount_balancedness(const ExpertMapOnRanks& map, const RoutingPart& part) {
  std::vector<double> values;
  const auto experts = static_cast<ptrdiff_t>(map.experts);
  for (const std::vector<double>& step : part.step_load) {
    for (size_t l = 0; l < map.slot.size(); ++l) {
      const auto begin = step.begin() + static_cast<ptrdiff_t>(l) * experts;
      const std::vector<double> load(begin, begin + experts);
      const std::vector<double> ranks = rank_load(map, static_cast<int>(l), load);
      values.push_back(1 / largest_over_mean(*std::max_element(ranks.begin(), ranks.end()), load, map.ranks));
    }
  }
  BalancednessRecount result;
  result.steps = part.step_load.size();
  if (values.empty()) return result;
  for (double v : values) result.mean += v / static_cast<double>(values.size());
  std::sort(values.begin(), values.end());
  constexpr size_t kTwentieth = 20;  // 95 % of the values are at least this one
  result.p95 = values[values.size() / kTwentieth];
  return result;
}

CrossingRecount recount_crossings(const ExpertMapOnRanks& map, const RoutingPart& part) {
  CrossingRecount result;
  const auto where = all_holders(map);
  for (size_t l = 0; l < part.transition.size(); ++l) {
    for (int i = 0; i < map.experts; ++i) {
      for (int j = 0; j < map.experts; ++j) {
        const double w = part.transition[l][at(i) * at(map.experts) + at(j)];
        const std::vector<int>&from = where[l][at(i)], &to = where[l + 1][at(j)];
        result.total += w;
        for (int g : from) {
          const double part_of_w = w / static_cast<double>(from.size());
          if (contains(to, g)) continue;
          result.gpu += part_of_w;
          const bool near =
              std::any_of(to.begin(), to.end(), [&](int h) { return map.node(h) == map.node(g); });
          result.node += near ? 0 : part_of_w;
          result.cost += part_of_w * (near ? map.inside : map.between);
        }
      }
    }
  }
  if (result.total > 0) {
    result.gpu /= result.total;
    result.node /= result.total;
    result.cost /= result.total;
  }
  return result;
}

BytesRecount recount_bytes(const ExpertMapOnRanks& map, const RoutingPart& part, const std::string& dispatch,
                           double bytes_per_vector) {
  BytesRecount result;
  const trace::TokenTrace& trace = *part.tokens;
  const auto where = all_holders(map);
  double vectors = 0, across = 0, once_a_node = 0, distinct = 0;
  auto send = [&](int from, int to) {
    vectors += from != to;
    across += map.node(from) != map.node(to);
  };
  for (size_t t = part.first; t < part.last; ++t) {
    const int home = static_cast<int>(trace.sequence[t] % static_cast<uint32_t>(map.ranks));
    int owner = -1;
    for (int l = 0; l < trace.layers(); ++l) {
      const int stands = dispatch == "stay" && owner >= 0 ? owner : home;
      std::vector<int> chosen;
      for (int r = 0; r < trace.top_k; ++r) {
        const std::vector<int>& copies = where[at(l)][trace.at(t, l)[r]];
        const auto near = std::find_if(copies.begin(), copies.end(),
                                       [&](int g) { return map.node(g) == map.node(stands); });
        chosen.push_back(contains(copies, stands) ? stands
                         : near != copies.end()   ? *near
                                                  : copies[(t - part.first) % copies.size()]);
      }
      const std::set<int> ranks(chosen.begin(), chosen.end());
      distinct += static_cast<double>(ranks.size());
      if (dispatch == "home") {
        std::set<int> nodes;
        for (int g : ranks) {
          send(home, g);
          send(g, home);
          if (map.node(g) != map.node(home)) nodes.insert(map.node(g));
        }
        once_a_node += 2 * static_cast<double>(nodes.size());
      } else if (dispatch == "naive") {
        for (int g : chosen) {
          send(home, g);
          send(g, home);
        }
      } else if (dispatch == "stay") {
        const int source = owner < 0 ? chosen[0] : owner;
        owner = chosen[0];
        for (int g : ranks) {
          send(source, g);
          send(g, owner);
        }
      } else {
        for (int g = 0; g < map.ranks; ++g) send(g, (g + 1) % map.ranks);
      }
    }
  }
  result.tokens = part.last - part.first;
  // A ring all-reduce moves 2 (G − 1)/G of a vector over each of its links.
  const double factor = dispatch == "replicated" ? 2.0 * (map.ranks - 1) / map.ranks : 1;
  result.total = vectors * bytes_per_vector * factor;
  result.network = (dispatch == "home" ? once_a_node : across) * bytes_per_vector * factor;
  result.distinct_ranks =
      distinct / static_cast<double>(std::max<size_t>(1, result.tokens * at(trace.layers())));
  return result;
}

}  // namespace orrery::study

#include "orrery/place/experts_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "orrery/base/storage.h"
#include "orrery/solve/max_flow.h"

namespace orrery::place {

std::vector<std::vector<int>> ExpertPlan::ranks_of(int layer) const {
  std::vector<std::vector<int>> result(static_cast<size_t>(experts));
  const std::vector<int>& slots_here = slot_to_expert[static_cast<size_t>(layer)];
  for (size_t s = 0; s < slots_here.size(); ++s)
    result[static_cast<size_t>(slots_here[s])].push_back(static_cast<int>(s) / slots_per_rank());
  return result;
}

std::string plan_fault(const ExpertPlan& plan) {
  if (plan.ranks < 1 || plan.experts < 1 || plan.slot_to_expert.empty()) return "holds no layer";
  if (plan.layer_ids.size() != plan.slot_to_expert.size())
    return "names another number of layers than it has";
  for (size_t l = 0; l < plan.slot_to_expert.size(); ++l) {
    const std::vector<int>& slots = plan.slot_to_expert[l];
    if (slots.size() != plan.slot_to_expert[0].size())
      return fmt::format("layer {} has {} slots, the first has {}", l, slots.size(), plan.slots());
    if (slots.size() % static_cast<size_t>(plan.ranks) != 0)
      return fmt::format("{} slots do not divide over {} ranks", slots.size(), plan.ranks);
    std::vector<int> last_rank(static_cast<size_t>(plan.experts), -1);
    for (size_t s = 0; s < slots.size(); ++s) {
      if (slots[s] < 0 || slots[s] >= plan.experts)
        return fmt::format("layer {}, slot {}: expert {} is outside 0..{}", l, s, slots[s], plan.experts - 1);
      const int rank = static_cast<int>(s) / plan.slots_per_rank();
      int& last = last_rank[static_cast<size_t>(slots[s])];
      if (last == rank) return fmt::format("layer {}: expert {} lies twice on rank {}", l, slots[s], rank);
      last = rank;
    }
    for (size_t e = 0; e < last_rank.size(); ++e) {
      if (last_rank[e] < 0) return fmt::format("layer {}: expert {} lies nowhere", l, e);
    }
  }
  return {};
}

namespace {

std::vector<double> rank_loads(const ExpertPlan& plan, int layer, const double* load, Split split) {
  std::vector<double> result(static_cast<size_t>(plan.ranks), 0);
  const auto ranks = plan.ranks_of(layer);
  if (split == Split::Optimal && plan.slots() > plan.experts) {
    std::vector<solve::Holding> holdings;
    for (size_t e = 0; e < ranks.size(); ++e) {
      for (int g : ranks[e]) holdings.push_back({static_cast<int>(e), g});
    }
    const solve::FairSplit fair =
        solve::solve_fair_split({load, static_cast<size_t>(plan.experts)}, plan.ranks, holdings);
    for (size_t k = 0; k < holdings.size(); ++k)
      result[static_cast<size_t>(holdings[k].place)] += fair.amount[k];
    return result;
  }
  for (size_t e = 0; e < ranks.size(); ++e) {
    for (int g : ranks[e]) result[static_cast<size_t>(g)] += load[e] / static_cast<double>(ranks[e].size());
  }
  return result;
}

double max_over_mean(const std::vector<double>& loads) {
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  if (total <= 0) return 1;
  return *std::max_element(loads.begin(), loads.end()) * static_cast<double>(loads.size()) / total;
}

}  // namespace

LoadFigures load_figures(const ExpertPlan& plan, const trace::RoutingProfile& profile, Split split) {
  LoadFigures figures;
  figures.mean = 0;
  figures.worst = 0;
  for (int l = 0; l < plan.layers(); ++l) {
    figures.rank_load.push_back(rank_loads(plan, l, profile.load[static_cast<size_t>(l)].data(), split));
    figures.max_over_mean.push_back(max_over_mean(figures.rank_load.back()));
    figures.mean += figures.max_over_mean.back() / plan.layers();
    figures.worst = std::max(figures.worst, figures.max_over_mean.back());
  }
  return figures;
}

std::vector<double> step_balance(const ExpertPlan& plan, const trace::RoutingProfile& profile) {
  std::vector<double> values;
  const auto experts = static_cast<size_t>(plan.experts);
  std::vector<double> load(experts);
  for (const std::vector<float>& step : profile.steps) {
    for (int l = 0; l < plan.layers(); ++l) {
      const float* of_layer = step.data() + static_cast<size_t>(l) * experts;
      std::copy(of_layer, of_layer + experts, load.begin());
      values.push_back(1 / max_over_mean(rank_loads(plan, l, load.data(), Split::Equal)));
    }
  }
  return values;
}

Balancedness balancedness(const ExpertPlan& plan, const trace::RoutingProfile& profile) {
  std::vector<double> values = step_balance(plan, profile);
  if (values.empty()) return {};
  Balancedness result;
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  const size_t low = values.size() / 20;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(low), values.end());
  result.p95 = values[low];
  result.steps = profile.steps.size();
  return result;
}

CrossingFigures crossing_figures(const ExpertPlan& plan, const trace::RoutingProfile& profile,
                                 const RankGrid& grid) {
  CrossingFigures figures;
  const auto experts = static_cast<size_t>(plan.experts);
  for (size_t l = 0; l < profile.transition.size(); ++l) {
    const auto from = plan.ranks_of(static_cast<int>(l)), to = plan.ranks_of(static_cast<int>(l) + 1);
    for (size_t i = 0; i < experts; ++i) {
      for (size_t j = 0; j < experts; ++j) {
        const double w = static_cast<double>(profile.transition[l][i * experts + j]);
        if (w == 0) continue;
        figures.total += w;
        for (int g : from[i]) {
          double least = grid.inside + grid.between + 1;
          bool same_node = false;
          for (int h : to[j]) {
            least = std::min(least, grid.distance(g, h));
            same_node = same_node || g / grid.ranks_per_node == h / grid.ranks_per_node;
          }
          const double part = w / static_cast<double>(from[i].size());
          figures.cost += part * least;
          figures.cross_gpu += std::find(to[j].begin(), to[j].end(), g) == to[j].end() ? part : 0;
          figures.cross_node += same_node ? 0 : part;
        }
      }
    }
  }
  if (figures.total > 0) {
    figures.cost /= figures.total;
    figures.cross_gpu /= figures.total;
    figures.cross_node /= figures.total;
  }
  return figures;
}

size_t moved_experts(const ExpertPlan& from, const ExpertPlan& to) {
  size_t moved = 0;
  for (int l = 0; l < to.layers(); ++l) {
    const auto before = from.ranks_of(l), after = to.ranks_of(l);
    for (size_t e = 0; e < after.size(); ++e) {
      for (int g : after[e]) moved += std::find(before[e].begin(), before[e].end(), g) == before[e].end();
    }
  }
  return moved;
}

std::string plan_map_json(const ExpertPlan& plan) {
  std::string text = "{\"physical_to_logical_map\": [";
  for (size_t l = 0; l < plan.slot_to_expert.size(); ++l)
    text += fmt::format("{}[{}]", l ? ",\n  " : "\n  ", fmt::join(plan.slot_to_expert[l], ", "));
  return text + "\n]}\n";  // no further key: SGLang hands all of them to a function that knows this one
}

ExpertPlan plan_of_map(const Node& root, int ranks) {
  const Node& map = root.is_map() ? root.at("physical_to_logical_map") : root;
  ExpertPlan plan;
  plan.ranks = ranks;
  plan.planner = "current";
  for (const Node& layer : map.items()) {
    std::vector<int> slots;
    for (const Node& expert : layer.items()) {
      slots.push_back(static_cast<int>(expert.as_integer(0, 65534)));
      plan.experts = std::max(plan.experts, slots.back() + 1);
    }
    plan.slot_to_expert.push_back(std::move(slots));
    plan.layer_ids.push_back(static_cast<int>(plan.layer_ids.size()));
  }
  if (const Node* ids = root.is_map() ? root.find("layer_ids") : nullptr) {
    plan.layer_ids.clear();
    for (const Node& id : ids->items()) plan.layer_ids.push_back(static_cast<int>(id.as_integer(0, 100000)));
  }
  if (const std::string fault = plan_fault(plan); !fault.empty()) map.fail("the map " + fault);
  return plan;
}

trace::ExpertMap map_of(const ExpertPlan& plan) {
  return {plan.slot_to_expert, plan.ranks};
}

ExpertPlan read_current_map(const std::string& path, const trace::RoutingProfile& like, int ranks) {
  std::string text = read_file(path);
  trace::ExpertMap map = trace::parse_expert_map(text, path, like.layer_ids);
  auto fail = [&](const std::string& message) {
    parse_json(std::move(text), path).fail("the map " + message);
  };
  if (map.gpus > 0 && map.gpus != ranks)
    fail(fmt::format("is of {} devices, the cluster has {} ranks; expected the same", map.gpus, ranks));
  if (map.layers() != like.layers())
    fail(fmt::format("has {} layers, the routing {}; expected the same model", map.layers(), like.layers()));
  ExpertPlan plan;
  plan.experts = like.experts;
  plan.ranks = ranks;
  plan.layer_ids = like.layer_ids;
  plan.slot_to_expert = std::move(map.slot_to_expert);
  plan.planner = "current";
  if (const std::string fault = plan_fault(plan); !fault.empty()) fail(fault);
  return plan;
}

ExpertPlan read_plan_map(const std::string& path, int ranks) {
  return plan_of_map(read_document(path), ranks);
}

}  // namespace orrery::place

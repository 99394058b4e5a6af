#include "orrery/place/experts_replay.h"

#include <algorithm>

namespace orrery::place {
namespace {

// The copy that a token standing on `from` uses.
int pick_copy(const std::vector<int>& ranks, int from, size_t token, const RankGrid& grid) {
  for (int g : ranks) {
    if (g == from) return g;
  }
  for (int g : ranks) {
    if (g / grid.ranks_per_node == from / grid.ranks_per_node) return g;
  }
  return ranks[token % ranks.size()];
}

class Counter {
 public:
  Counter(const ExpertPlan& plan, const RankGrid& grid, double bytes) : grid_(grid), bytes_(bytes) {
    result_.ranks = plan.ranks;
    result_.layer_pair.assign(static_cast<size_t>(plan.layers()),
                              std::vector<double>(static_cast<size_t>(plan.ranks * plan.ranks), 0));
  }
  void send(int layer, int from, int to) {
    if (from != to)
      result_.layer_pair[static_cast<size_t>(
          layer)][static_cast<size_t>(from) * static_cast<size_t>(result_.ranks) + static_cast<size_t>(to)] +=
          bytes_;
  }
  void network(double vectors) { result_.network += vectors * bytes_; }
  void distinct(size_t ranks) { distinct_ += ranks; }
  Replay finish(size_t tokens, size_t layers, bool own_network) {
    const auto ranks = static_cast<size_t>(result_.ranks);
    result_.tokens = tokens;
    result_.pair.assign(ranks * ranks, 0);
    for (const std::vector<double>& of_layer : result_.layer_pair) {
      for (size_t k = 0; k < of_layer.size(); ++k) result_.pair[k] += of_layer[k];
    }
    for (size_t g = 0; g < ranks; ++g) {
      for (size_t h = 0; h < ranks; ++h) {
        result_.total += result_.pair[g * ranks + h];
        const auto inner = static_cast<size_t>(grid_.ranks_per_node);
        if (g / inner != h / inner) result_.cross_node += result_.pair[g * ranks + h];
      }
    }
    if (!own_network) result_.network = result_.cross_node;
    if (tokens * layers > 0)
      result_.distinct_ranks = static_cast<double>(distinct_) / static_cast<double>(tokens * layers);
    return std::move(result_);
  }

 private:
  const RankGrid& grid_;
  double bytes_;
  size_t distinct_ = 0;
  Replay result_;
};

}  // namespace

Replay replay_tokens(const trace::TokenTrace& tokens, const ExpertPlan& plan, Dispatch dispatch,
                     const RankGrid& grid, double bytes_per_token) {
  Counter counter(plan, grid, bytes_per_token);
  std::vector<std::vector<std::vector<int>>> ranks_of;
  for (int l = 0; l < plan.layers(); ++l) ranks_of.push_back(plan.ranks_of(l));
  const auto k = static_cast<size_t>(tokens.top_k);
  std::vector<int> at(k), distinct, nodes;
  for (size_t t = 0; t < tokens.tokens(); ++t) {
    const int home = static_cast<int>(tokens.sequence[t] % static_cast<uint32_t>(grid.ranks));
    int owner = -1;
    for (int l = 0; l < plan.layers(); ++l) {
      const uint16_t* chosen = tokens.at(t, l);
      const int from = dispatch == Dispatch::Stay && owner >= 0 ? owner : home;
      for (size_t r = 0; r < k; ++r)
        at[r] = pick_copy(ranks_of[static_cast<size_t>(l)][chosen[r]], from, t, grid);
      distinct = at;
      std::sort(distinct.begin(), distinct.end());
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      counter.distinct(distinct.size());
      if (dispatch == Dispatch::Home) {
        for (int g : distinct) {
          counter.send(l, home, g);
          counter.send(l, g, home);
        }
        nodes.clear();
        for (int g : distinct) {
          const int node = g / grid.ranks_per_node;
          if (node != home / grid.ranks_per_node && (nodes.empty() || nodes.back() != node))
            nodes.push_back(node);
        }
        counter.network(2 * static_cast<double>(nodes.size()));
      } else if (dispatch == Dispatch::Naive) {
        for (int g : at) {
          counter.send(l, home, g);
          counter.send(l, g, home);
        }
      } else if (dispatch == Dispatch::Stay) {
        // Before the first layer the token is where it is computed: it starts at its first choice.
        const int source = owner < 0 ? at[0] : owner;
        owner = at[0];
        for (int g : distinct) {
          counter.send(l, source, g);
          counter.send(l, g, owner);
        }
      } else {
        // A ring all-reduce: every rank sends 2 (G − 1)/G of the vector to its neighbour.
        for (int g = 0; g < grid.ranks; ++g) counter.send(l, g, (g + 1) % grid.ranks);
      }
    }
  }
  Replay result =
      counter.finish(tokens.tokens(), static_cast<size_t>(plan.layers()), dispatch == Dispatch::Home);
  if (dispatch == Dispatch::Replicated && grid.ranks > 1) {
    const double factor = 2.0 * (grid.ranks - 1) / grid.ranks;
    for (double& b : result.pair) b *= factor;
    for (std::vector<double>& of_layer : result.layer_pair) {
      for (double& b : of_layer) b *= factor;
    }
    result.total *= factor;
    result.cross_node *= factor;
    result.network *= factor;
  }
  return result;
}

double all_to_all_seconds(const std::vector<double>& pair, double share, const RankGrid& grid,
                          const LinkSpeeds& links, Bottleneck bottleneck) {
  const auto ranks = static_cast<size_t>(grid.ranks), inner = static_cast<size_t>(grid.ranks_per_node);
  double worst = 0, latency = 0;
  std::vector<double> out(2 * ranks, 0), in(2 * ranks, 0);  // inside, then between
  for (size_t g = 0; g < ranks; ++g) {
    for (size_t h = 0; h < ranks; ++h) {
      const double bytes = pair[g * ranks + h] * share;
      if (bytes == 0) continue;
      const bool across = g / inner != h / inner;
      const double speed = across ? links.between : links.inside;
      latency = std::max(latency, across ? links.between_latency : links.inside_latency);
      if (bottleneck == Bottleneck::Pair) worst = std::max(worst, bytes / speed);
      out[(across ? ranks : 0) + g] += bytes / speed;
      in[(across ? ranks : 0) + h] += bytes / speed;
    }
  }
  if (bottleneck == Bottleneck::Port) {
    for (size_t k = 0; k < out.size(); ++k) worst = std::max({worst, out[k], in[k]});
  }
  return worst + 2 * latency;  // dispatch and combine
}

}  // namespace orrery::place

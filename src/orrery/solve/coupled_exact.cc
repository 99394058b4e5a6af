#include "orrery/solve/coupled_exact.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "orrery/base/threads.h"

namespace orrery::solve {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

using State = std::vector<uint8_t>;  // place of every item

void list_states(size_t item, std::vector<int>& room, State& state, std::vector<State>& out) {
  if (item == state.size()) {
    out.push_back(state);
    return;
  }
  for (size_t g = 0; g < room.size(); ++g) {
    if (room[g] == 0) continue;
    --room[g];
    state[item] = static_cast<uint8_t>(g);
    list_states(item + 1, room, state, out);
    ++room[g];
  }
}

// The states of one layer that meet its caps, with the two halves of each as codes in base `places`: a sum
// over items is then two table look-ups.
struct LayerStates {
  std::vector<uint32_t> state;
  std::vector<uint16_t> low, high;
};

class ChainProgram {
 public:
  ChainProgram(const CoupledLayers& problem, std::span<const int> room)
      : problem_(problem),
        items_(static_cast<size_t>(problem.items[0])),
        places_(static_cast<size_t>(problem.places)),
        half_((items_ + 1) / 2) {
    for (int n : problem.items) {
      if (static_cast<size_t>(n) != items_) throw std::logic_error("exact chain: layers of different sizes");
    }
    State state(items_);
    std::vector<int> left(room.begin(), room.end());
    list_states(0, left, state, states_);
  }

  std::optional<CoupledOptimum> solve(const RunContext& context) {
    const size_t layers = problem_.items.size();
    std::vector<LayerStates> kept;
    for (size_t l = 0; l < layers; ++l) {
      kept.push_back(within_caps(l));
      if (kept.back().state.empty()) return std::nullopt;
    }
    std::vector<std::vector<uint32_t>> from(layers);
    std::vector<double> best = own_costs(0, kept[0]);
    for (size_t l = 0; l + 1 < layers; ++l) {
      if (context.stop.stop_requested()) return std::nullopt;
      best = step(l, kept[l], kept[l + 1], best, from[l + 1], context.threads);
    }
    const auto last = static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin());
    CoupledOptimum optimum{Placement(layers), 0};
    size_t at = last;
    for (size_t l = layers; l-- > 0;) {
      const State& state = states_[kept[l].state[at]];
      optimum.placement[l].assign(state.begin(), state.end());
      if (l > 0) at = from[l][at];
    }
    optimum.cost = coupled_cost(problem_, optimum.placement);
    return optimum;
  }

 private:
  LayerStates within_caps(size_t l) const {
    LayerStates result;
    std::vector<double> load(places_);
    for (size_t s = 0; s < states_.size(); ++s) {
      bool fits = true;
      for (size_t p = 0; fits && p < problem_.load.size(); ++p) {
        std::fill(load.begin(), load.end(), 0.0);
        for (size_t i = 0; i < items_; ++i) load[states_[s][i]] += problem_.load[p][l][i];
        for (double v : load) fits = fits && v <= problem_.cap[p][l] * (1 + 1e-12);
      }
      if (!fits) continue;
      size_t low = 0, high = 0;
      for (size_t i = half_; i-- > 0;) low = low * places_ + states_[s][i];
      for (size_t i = items_; i-- > half_;) high = high * places_ + states_[s][i];
      result.state.push_back(static_cast<uint32_t>(s));
      result.low.push_back(static_cast<uint16_t>(low));
      result.high.push_back(static_cast<uint16_t>(high));
    }
    return result;
  }

  std::vector<double> own_costs(size_t l, const LayerStates& kept) const {
    std::vector<double> cost(kept.state.size(), 0);
    if (problem_.waiting > 0 && l < problem_.scenarios.size()) {
      for (size_t s = 0; s < cost.size(); ++s) {
        const State& state = states_[kept.state[s]];
        cost[s] +=
            problem_.waiting *
            mean_peak(problem_.scenarios[l], std::vector<int>(state.begin(), state.end()), problem_.places);
      }
    }
    if (l >= problem_.own.size() || problem_.own[l].empty()) return cost;
    for (size_t s = 0; s < cost.size(); ++s) {
      for (size_t i = 0; i < items_; ++i)
        cost[s] += static_cast<double>(problem_.own[l][i * places_ + states_[kept.state[s]][i]]);
    }
    return cost;
  }

  // sums[code] = Σ over the items of a half of add[item][its place].
  void sum_codes(const std::vector<double>& add, size_t first, size_t last, std::vector<double>& sums) const {
    sums.assign(1, 0.0);
    for (size_t i = first; i < last; ++i) {
      const size_t width = sums.size();
      sums.resize(width * places_);
      for (size_t g = places_; g-- > 0;) {
        for (size_t c = 0; c < width; ++c) sums[g * width + c] = sums[c] + add[i * places_ + g];
      }
    }
  }

  std::vector<double> step(size_t l, const LayerStates& here, const LayerStates& next,
                           const std::vector<double>& best, std::vector<uint32_t>& from, int threads) const {
    // Chunks over the next layer's states would redo the tables; chunks over this layer's keep their own
    // minimum, merged in order, so the answer does not depend on the threads.
    constexpr size_t kChunk = 256;
    const size_t chunks = (here.state.size() + kChunk - 1) / kChunk;
    std::vector<std::vector<double>> least(chunks);
    std::vector<std::vector<uint32_t>> arg(chunks);
    parallel_for(here.state.size(), kChunk, threads, [&](size_t begin, size_t end, size_t chunk) {
      std::vector<double> add(items_ * places_), low, high;
      least[chunk].assign(next.state.size(), kNever);
      arg[chunk].assign(next.state.size(), 0);
      for (size_t s = begin; s < end; ++s) {
        fill_costs(l, states_[here.state[s]], add);
        sum_codes(add, 0, half_, low);
        sum_codes(add, half_, items_, high);
        for (double& v : low) v += best[s];
        double* out = least[chunk].data();
        uint32_t* who = arg[chunk].data();
        for (size_t t = 0; t < next.state.size(); ++t) {
          const double cost = low[next.low[t]] + high[next.high[t]];
          if (cost < out[t]) {
            out[t] = cost;
            who[t] = static_cast<uint32_t>(s);
          }
        }
      }
    });
    std::vector<double> result = own_costs(l + 1, next);
    from.assign(next.state.size(), 0);
    for (size_t t = 0; t < next.state.size(); ++t) {
      double lowest = kNever;
      for (size_t c = 0; c < chunks; ++c) {
        if (least[c][t] < lowest) {
          lowest = least[c][t];
          from[t] = arg[c][t];
        }
      }
      result[t] += lowest;
    }
    return result;
  }

  // add[j][g] = Σ_i W_l[i][j] · d(place of i, g).
  void fill_costs(size_t l, const State& state, std::vector<double>& add) const {
    std::fill(add.begin(), add.end(), 0.0);
    for (size_t i = 0; i < items_; ++i) {
      for (size_t g = 0; g < places_; ++g) {
        const double d = problem_.distance(state[i], static_cast<int>(g));
        if (d == 0) continue;
        for (size_t j = 0; j < items_; ++j)
          add[j * places_ + g] += d * static_cast<double>(problem_.coupling[l][i * items_ + j]);
      }
    }
  }

  const CoupledLayers& problem_;
  size_t items_, places_, half_;
  std::vector<State> states_;
};

}  // namespace

double count_placements(int items, std::span<const int> room) {
  double count = 1;
  int left = items;
  for (int r : room) {
    for (int k = 0; k < r; ++k) count *= static_cast<double>(left - k) / (k + 1);
    left -= r;
  }
  return count;
}

std::optional<CoupledOptimum> solve_coupled_exact(const CoupledLayers& problem, std::span<const int> room,
                                                  const RunContext& context) {
  return ChainProgram(problem, room).solve(context);
}

}  // namespace orrery::solve

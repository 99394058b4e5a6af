#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <span>

#include "orrery/base/threads.h"
#include "orrery/solve/coupled_layers.h"
#include "orrery/solve/coupled_relabel.h"

namespace orrery::solve {
namespace {

using Clock = std::chrono::steady_clock;

// One layer while it changes and its neighbours stand still.
class Layer {
 public:
  Layer(const CoupledLayers& problem, size_t l)
      : problem_(problem),
        l_(l),
        items_(static_cast<size_t>(problem.items[l])),
        places_(static_cast<size_t>(problem.places)),
        profiles_(problem.load.size()),
        load_(profiles_ * places_) {
    if (problem.waiting > 0 && l < problem.scenarios.size() && problem.scenarios[l].count() > 0)
      peaks_.emplace(problem.scenarios[l], problem.places);
  }

  void begin(const Placement& placement) {
    coupled_table(problem_, placement, static_cast<int>(l_), table_);
    place_ = placement[l_];
    if (peaks_) peaks_->begin(place_);
    std::fill(load_.begin(), load_.end(), 0.0);
    for (size_t p = 0; p < profiles_; ++p) {
      for (size_t i = 0; i < items_; ++i)
        load_[p * places_ + static_cast<size_t>(place_[i])] += problem_.load[p][l_][i];
    }
    if (l_ < problem_.twins.size() && !problem_.twins[l_].empty()) {
      twins_ = problem_.twins[l_];
      int most = -1;
      for (int t : twins_) most = std::max(most, t);
      holds_.assign(static_cast<size_t>(most + 1) * places_, 0);
      for (size_t i = 0; i < items_; ++i) {
        if (twins_[i] >= 0)
          ++holds_[static_cast<size_t>(twins_[i]) * places_ + static_cast<size_t>(place_[i])];
      }
    }
  }

  size_t items() const { return items_; }
  const std::vector<int>& place() const { return place_; }
  double change(size_t i, size_t j) const {
    const auto g = static_cast<size_t>(place_[i]), h = static_cast<size_t>(place_[j]);
    const float* at_g = table_.data() + g * items_;
    const float* at_h = table_.data() + h * items_;
    const double crossings = static_cast<double>((at_h[i] - at_g[i]) + (at_g[j] - at_h[j]));
    return peaks_ ? crossings + problem_.waiting * peaks_->change(i, place_[i], j, place_[j]) : crossings;
  }
  bool same_place(size_t i, size_t j) const { return place_[i] == place_[j]; }

  enum class Caps { Worse, Same, Better };
  Caps caps_after(size_t i, size_t j) const {
    double before = 0, after = 0;
    const auto g = static_cast<size_t>(place_[i]), h = static_cast<size_t>(place_[j]);
    for (size_t p = 0; p < profiles_; ++p) {
      const double limit = problem_.cap[p][l_] * (1 + 1e-12);
      const double delta = problem_.load[p][l_][j] - problem_.load[p][l_][i];
      const double at_g = load_[p * places_ + g], at_h = load_[p * places_ + h];
      before += (std::max(0.0, at_g - limit) + std::max(0.0, at_h - limit)) / limit;
      after += (std::max(0.0, at_g + delta - limit) + std::max(0.0, at_h - delta - limit)) / limit;
    }
    if (after > before) return Caps::Worse;
    return after < before - 1e-12 ? Caps::Better : Caps::Same;
  }
  // Two copies of one item on one place.
  bool would_double(size_t i, size_t j) const {
    if (twins_.empty()) return false;
    const auto g = static_cast<size_t>(place_[i]), h = static_cast<size_t>(place_[j]);
    if (twins_[i] == twins_[j]) return twins_[i] >= 0;
    return (twins_[i] >= 0 && holds_[static_cast<size_t>(twins_[i]) * places_ + h] > 0) ||
           (twins_[j] >= 0 && holds_[static_cast<size_t>(twins_[j]) * places_ + g] > 0);
  }
  void swap(size_t i, size_t j) {
    const auto g = static_cast<size_t>(place_[i]), h = static_cast<size_t>(place_[j]);
    for (size_t p = 0; p < profiles_; ++p) {
      const double delta = problem_.load[p][l_][j] - problem_.load[p][l_][i];
      load_[p * places_ + g] += delta;
      load_[p * places_ + h] -= delta;
    }
    if (!twins_.empty()) {
      move_twin(twins_[i], g, h);
      move_twin(twins_[j], h, g);
    }
    if (peaks_) peaks_->swap(i, place_[i], j, place_[j]);
    std::swap(place_[i], place_[j]);
  }

 private:
  void move_twin(int twin, size_t from, size_t to) {
    if (twin < 0) return;
    --holds_[static_cast<size_t>(twin) * places_ + from];
    ++holds_[static_cast<size_t>(twin) * places_ + to];
  }
  const CoupledLayers& problem_;
  size_t l_, items_, places_, profiles_;
  std::vector<float> table_;
  std::vector<int> place_, twins_;
  std::vector<uint8_t> holds_;
  std::vector<double> load_;
  std::optional<ScenarioPeaks> peaks_;
};

// Metropolis steps on one layer; returns the sum of the accepted changes.
double metropolis(Layer& layer, size_t proposals, double temperature, Random random) {
  double sum = 0;
  const size_t n = layer.items();
  for (size_t k = 0; k < proposals; ++k) {
    const uint64_t draw = random.next();
    const size_t i = static_cast<size_t>(((draw >> 32) * n) >> 32);
    const size_t j = static_cast<size_t>(((draw & 0xffffffffu) * n) >> 32);
    if (layer.same_place(i, j)) continue;
    const double change = layer.change(i, j);
    const bool likely =
        change <= 0 || (change < 16 * temperature && random.uniform() < std::exp(-change / temperature));
    if (!likely) {
      if (change < 64 * temperature) continue;
    }
    const Layer::Caps caps = layer.caps_after(i, j);
    if (caps == Layer::Caps::Worse || (!likely && caps != Layer::Caps::Better) || layer.would_double(i, j))
      continue;
    layer.swap(i, j);
    sum += change;
  }
  return sum;
}

double median_change(const CoupledLayers& problem, const Placement& placement, Random random) {
  std::vector<double> changes;
  for (size_t l = 0; l < problem.items.size(); ++l) {
    Layer layer(problem, l);
    layer.begin(placement);
    for (int k = 0; k < 64; ++k) {
      const size_t i = random.index(layer.items()), j = random.index(layer.items());
      if (layer.same_place(i, j)) continue;
      if (double change = std::abs(layer.change(i, j)); change > 0) changes.push_back(change);
    }
  }
  if (changes.empty()) return 1;
  std::nth_element(changes.begin(), changes.begin() + static_cast<ptrdiff_t>(changes.size() / 2),
                   changes.end());
  return changes[changes.size() / 2];
}

// Best swaps of one layer until none improves; true when anything changed.
bool descend_layer(Layer& layer, double scale) {
  bool any = false, changed = true;
  while (changed) {
    changed = false;
    for (size_t i = 0; i < layer.items(); ++i) {
      for (size_t j = i + 1; j < layer.items(); ++j) {
        if (layer.same_place(i, j)) continue;
        const double change = layer.change(i, j);
        if (change >= -scale) continue;
        if (layer.caps_after(i, j) == Layer::Caps::Worse || layer.would_double(i, j)) continue;
        layer.swap(i, j);
        changed = any = true;
      }
    }
  }
  return any;
}

}  // namespace

AnnealResult anneal_coupled(const CoupledLayers& problem, Placement start, const AnnealOptions& options,
                            const RunContext& context) {
  const auto began = Clock::now();
  const double seconds = context.time ? context.time->value() * options.time_share : 0;
  Random random(context.seed);
  const size_t layers = problem.items.size();
  std::vector<Layer> work;
  double mean_items = 0;
  for (size_t l = 0; l < layers; ++l) {
    work.emplace_back(problem, l);
    mean_items += static_cast<double>(problem.items[l]) / static_cast<double>(layers);
  }
  AnnealResult result;
  Placement current = std::move(start);
  double cost = coupled_cost(problem, current);
  auto violated = [&] {
    double sum = 0;
    for (size_t l = 0; l < layers; ++l) sum += cap_violation(problem, current, static_cast<int>(l));
    return sum;
  };
  result.placement = current;
  result.cost = cost;
  double best_violation = violated();
  const double scale = median_change(problem, current, random);
  const double hot = options.hottest * scale, cold = options.coldest * scale;
  // A phase of one parity makes `proposals` per item; a sweep of all pairs is items / (2 proposals) phases.
  const auto rounds =
      static_cast<size_t>(std::max(1.0, options.sweeps * mean_items / (2 * options.proposals)));
  std::vector<double> sums(layers);
  // Threads pay only where a phase is long.
  const double phase_work = options.proposals * mean_items * static_cast<double>(layers);
  const int threads = phase_work > 50000 ? context.threads : 1;
  for (size_t round = 0; round < rounds; ++round) {
    double progress = static_cast<double>(round) / static_cast<double>(rounds);
    if (seconds > 0) {
      const double spent = std::chrono::duration<double>(Clock::now() - began).count();
      if (spent > seconds) result.cut = true;
      // What the clock allows decides the temperature where it would cut the schedule.
      progress = std::max(progress, std::min(1.0, spent / seconds));
    }
    if (context.stop.stop_requested()) result.cut = true;
    if (result.cut) break;
    const double temperature = hot * std::pow(cold / hot, progress);
    for (size_t parity = 0; parity < std::min<size_t>(2, layers); ++parity) {
      const size_t count = (layers - parity + 1) / 2;
      const uint64_t phase = round * 2 + parity;
      parallel_for(count, 1, threads, [&](size_t begin, size_t end, size_t) {
        for (size_t k = begin; k < end; ++k) {
          const size_t l = 2 * k + parity;
          work[l].begin(current);
          const auto proposals =
              static_cast<size_t>(options.proposals * static_cast<double>(problem.items[l]));
          sums[l] =
              metropolis(work[l], proposals, temperature, Random(context.seed.derive(1 + phase).derive(l)));
        }
      });
      for (size_t l = parity; l < layers; l += 2) {
        current[l] = work[l].place();
        cost += sums[l];
        result.proposals += static_cast<uint64_t>(options.proposals * static_cast<double>(problem.items[l]));
      }
    }
    for (size_t l = 0; l < layers && problem.own.empty(); ++l) {
      const size_t last = random.index(2) ? layers : l + 1 + random.index(layers - l);
      cost += swap_names(problem, current, l, last, temperature, random);
    }
    if (best_violation > 0) {
      const double now = violated();
      if (now < best_violation || (now == best_violation && cost < result.cost)) {
        best_violation = now;
        result.cost = cost;
        result.placement = current;
      }
    } else if (cost < result.cost) {
      result.cost = cost;
      result.placement = current;
    }
  }
  if (result.cut) return result;
  RunContext rest = context;
  if (context.time)
    rest.time = Seconds(context.time->value() - std::chrono::duration<double>(Clock::now() - began).count());
  result.cost = descend_coupled(problem, result.placement, rest);
  return result;
}

double descend_coupled(const CoupledLayers& problem, Placement& placement, const RunContext& context) {
  const auto began = Clock::now();
  const size_t layers = problem.items.size();
  double scale = 1e-9;
  for (const std::vector<float>& w : problem.coupling) {
    for (float v : w) scale = std::max(scale, 1e-6 * static_cast<double>(v));
  }
  std::vector<char> stale(layers, 1);  // a layer needs another look when it or a neighbour changed
  bool changed = true;
  while (changed) {
    changed = relabel_suffixes(problem, placement);
    // With levels an exchange of places is more than a renaming.
    if (problem.levels.size() > 1 && problem.places <= 16)
      changed = exchange_places(problem, placement) || changed;
    if (changed) std::fill(stale.begin(), stale.end(), 1);
    for (size_t k = 0; k < 2 * layers; ++k) {
      const size_t l = k < layers ? k : 2 * layers - 1 - k;
      if (!stale[l]) continue;
      if (context.stop.stop_requested() ||
          (context.time && Clock::now() - began > std::chrono::duration<double>(context.time->value())))
        return coupled_cost(problem, placement);
      stale[l] = 0;
      Layer layer(problem, l);
      layer.begin(placement);
      if (!descend_layer(layer, scale)) continue;
      placement[l] = layer.place();
      changed = true;
      if (l > 0) stale[l - 1] = 1;
      if (l + 1 < layers) stale[l + 1] = 1;
    }
  }
  return coupled_cost(problem, placement);
}

}  // namespace orrery::solve

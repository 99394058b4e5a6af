// A genetic search over the places of a design's values in the space: tournaments of three, uniform
// crossover, every gene mutated with probability 0.1 to another value, the best one kept. What is over a
// limit loses every tournament.
#include <algorithm>
#include <array>
#include <limits>

#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

constexpr size_t kPopulation = 50, kTournament = 3, kGenes = 6;
constexpr double kMutation = 0.1, kUnfit = -std::numeric_limits<double>::infinity();

using Genes = std::array<size_t, kGenes>;
struct Individual {
  Genes genes{};
  double fitness = kUnfit;
};

class Breeding {
 public:
  explicit Breeding(SearchState& state)
      : state_(state), space_(state.study().space), random_(state.context().seed) {
    sizes_ = {space_.matrix_cores.size(),
              space_.columns.size(),
              space_.rows.size(),
              space_.vector_cores.size(),
              space_.lanes_equal_columns ? 1 : space_.lanes.size(),
              space_.global_buffers.size()};
  }

  void run() {
    std::vector<Individual> population(kPopulation);
    for (Individual& one : population) {
      // A start within the limits, where there is one in a few tries.
      for (int tries = 0; tries < 100; ++tries) {
        for (size_t g = 0; g < kGenes; ++g) one.genes[g] = random_.index(sizes_[g]);
        if (state_.evaluator().affordable(design(one.genes))) break;
      }
      one.fitness = fitness(one.genes);
    }
    uint64_t idle = 0;
    while (!ended() && idle < kIdleGenerations) {
      const size_t tried = state_.records().size();
      std::vector<Individual> next = {*best_of(population)};
      while (next.size() < kPopulation && !ended())
        next.push_back(child(tournament(population), tournament(population)));
      population = std::move(next);
      idle = state_.records().size() == tried ? idle + 1 : 0;
    }
  }

 private:
  static constexpr uint64_t kIdleGenerations = 100;  // without a design that is new

  bool ended() { return state_.must_end() || state_.records().size() >= state_.options().most_evaluations; }

  DesignPoint design(const Genes& g) const {
    const int columns = space_.columns[g[1]];
    return {space_.matrix_cores[g[0]],
            columns,
            space_.rows[g[2]],
            space_.vector_cores[g[3]],
            space_.lanes_equal_columns ? columns : space_.lanes[g[4]],
            space_.global_buffers[g[5]]};
  }

  double fitness(const Genes& genes) {
    const DesignPoint point = design(genes);
    if (!state_.evaluator().affordable(point)) return kUnfit;
    const DesignRecord& record = state_.record(point);
    return record.meets_throughput ? record.objective : kUnfit;
  }

  static std::vector<Individual>::const_iterator best_of(const std::vector<Individual>& population) {
    return std::max_element(population.begin(), population.end(),
                            [](const Individual& a, const Individual& b) { return a.fitness < b.fitness; });
  }

  const Individual& tournament(const std::vector<Individual>& population) {
    const Individual* best = &population[random_.index(population.size())];
    for (size_t i = 1; i < kTournament; ++i) {
      const Individual& other = population[random_.index(population.size())];
      if (other.fitness > best->fitness) best = &other;
    }
    return *best;
  }

  Individual child(const Individual& a, const Individual& b) {
    Individual born;
    for (size_t g = 0; g < kGenes; ++g) {
      born.genes[g] = random_.index(2) == 0 ? a.genes[g] : b.genes[g];
      if (random_.uniform() < kMutation) born.genes[g] = random_.index(sizes_[g]);
    }
    born.fitness = fitness(born.genes);
    return born;
  }

  SearchState& state_;
  const AcceleratorSpace& space_;
  Random random_;
  std::array<size_t, kGenes> sizes_{};
};

}  // namespace

SearchEnd search_by_breeding(SearchState& state) {
  if (state.designs().empty()) return {solve::Stop::Infeasible, {}, {}};
  Breeding(state).run();
  return {state.ended().value_or(solve::Stop::WorkLimit), {}, {}};
}

}  // namespace orrery::explore

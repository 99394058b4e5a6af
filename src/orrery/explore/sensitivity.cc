#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "orrery/explore/design_evaluator.h"
#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

hardware::EnergyTable& energy(AcceleratorStudy& study) {
  return std::get<hardware::Accelerator>(study.base.architecture).energy;
}

struct Parameter {
  std::string_view name;
  void (*scale)(AcceleratorStudy&, double);
};
constexpr std::array<Parameter, 10> kParameters = {{
    {"energy of a multiply-accumulate",
     [](AcceleratorStudy& s, double f) { energy(s).multiply_accumulate *= f; }},
    {"energy of registers", [](AcceleratorStudy& s, double f) { energy(s).registers *= f; }},
    {"energy of the global buffer",
     [](AcceleratorStudy& s, double f) { energy(s).global_at_reference *= f; }},
    {"energy of DRAM", [](AcceleratorStudy& s, double f) { energy(s).dram *= f; }},
    {"leakage", [](AcceleratorStudy& s, double f) { energy(s).leakage *= f; }},
    {"area of processing elements", [](AcceleratorStudy& s, double f) { s.logic_area_factor *= f; }},
    {"area of memories", [](AcceleratorStudy& s, double f) { s.memory_area_factor *= f; }},
    {"DRAM bandwidth", [](AcceleratorStudy& s, double f) { s.base.memory_bandwidth *= f; }},
    {"global buffer bandwidth",
     [](AcceleratorStudy& s, double f) {
       std::get<hardware::Accelerator>(s.base.architecture).global_bytes_per_cycle *= f;
     }},
    {"vector cycles", [](AcceleratorStudy& s, double f) { s.options.vector_factor *= f; }},
}};

double throughput_ratio(DesignEvaluator& evaluator, const DesignPoint& a, const DesignPoint& b) {
  const std::vector<double> one = evaluator.evaluate(a).seconds, other = evaluator.evaluate(b).seconds;
  double logarithms = 0, weights = 0;
  for (size_t w = 0; w < one.size(); ++w) {
    const double weight = evaluator.study().workloads[w].weight;
    logarithms += weight * std::log(other[w] / one[w]);
    weights += weight;
  }
  return std::exp(logarithms / weights);
}

}  // namespace

std::vector<SensitivityRow> plan_sensitivity(const AcceleratorStudy& study, const DesignPoint& best,
                                             const RunContext& context, const std::vector<double>& factors) {
  std::vector<SensitivityRow> rows;
  const SearchOptions options;
  for (const Parameter& parameter : kParameters) {
    for (double factor : factors) {
      if (context.stop.stop_requested()) return rows;
      AcceleratorStudy moved = study;
      parameter.scale(moved, factor);
      SearchState state(moved, options, context);
      search_exactly(state);
      SensitivityRow row;
      row.parameter = parameter.name;
      row.factor = factor;
      DesignEvaluator& evaluator = state.evaluator();
      const double own = evaluator.evaluate(best).objective;
      // Where a limit no longer admits the plan's design, what remains is what it loses all the same.
      row.best = state.found() ? state.best().point : best;
      row.loss = std::max(0.0, 1 - own / std::max(own, state.best_objective()));
      row.within_limits = evaluator.affordable(best);
      if (study.reference) {
        row.gain_over_reference = own / evaluator.evaluate(*study.reference).objective;
        row.throughput_over_reference = throughput_ratio(evaluator, best, *study.reference);
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace orrery::explore

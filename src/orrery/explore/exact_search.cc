// Best-first branch and bound: designs wait in a heap by what they could be worth at most, under ever tighter
// and dearer bounds (design_evaluator.h), each computed when the one before it is the greatest that is left.
// When no design left could exceed the best that was scheduled, that is the optimum.
#include <algorithm>
#include <limits>
#include <queue>

#include "orrery/base/threads.h"
#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

enum class Tier : uint8_t { Work, CriticalPath };

struct Open {
  double bound;
  double area;
  uint32_t design;
  Tier tier;
  // The greatest bound first, then the smallest design.
  bool operator<(const Open& other) const {
    if (bound != other.bound) return bound < other.bound;
    if (area != other.area) return area > other.area;
    return design > other.design;
  }
};

constexpr size_t kLooks = 64;  // designs that are bounded between two looks at the clock
constexpr double kNever = -std::numeric_limits<double>::infinity();

}  // namespace

SearchEnd search_exactly(SearchState& state) {
  const std::vector<DesignPoint>& designs = state.designs();
  DesignEvaluator& evaluator = state.evaluator();
  SearchEnd end;
  if (designs.empty()) return {solve::Stop::Infeasible, {}, {}};
  std::vector<Open> first;
  first.reserve(designs.size());
  for (size_t i = 0; i < designs.size(); ++i) {
    if (i % kLooks == 0 && state.must_end()) return {*state.ended(), {}, {}};
    const double bound = evaluator.work_bound(designs[i]);
    if (bound == kNever) continue;
    first.push_back(
        {bound, evaluator.prices().price(designs[i]).core_area, static_cast<uint32_t>(i), Tier::Work});
  }
  std::priority_queue<Open> open(std::less<Open>(), std::move(first));
  while (!open.empty()) {
    const Open node = open.top();
    end.bound = std::max(node.bound, state.best_objective());
    if (state.found() && node.bound <= state.best_objective()) break;
    if (state.must_end()) {
      end.stop = *state.ended();
      return end;
    }
    open.pop();
    const DesignPoint& design = designs[node.design];
    if (node.tier == Tier::Work) {
      const double bound = std::min(node.bound, evaluator.critical_path_bound(design));
      if (bound != kNever) open.push({bound, node.area, node.design, Tier::CriticalPath});
      continue;
    }
    // What is left is bounded by this one, so it is the greatest bound of its tier over the whole space.
    if (!end.bound_of_any_schedule) end.bound_of_any_schedule = node.bound;
    state.record(design);
  }
  if (!state.found()) return {solve::Stop::Infeasible, {}, {}};
  end.stop = solve::Stop::Proven;
  end.bound = state.best_objective();
  return end;
}

SearchEnd search_exhaustively(SearchState& state) {
  const std::vector<DesignPoint>& designs = state.designs();
  if (designs.empty()) return {solve::Stop::Infeasible, {}, {}};
  // A few sizes of cores at a time; threads share tables and keep schedules of their own.
  constexpr size_t kBatch = 4096, kChunk = 256;
  double any = kNever;
  for (size_t start = 0; start < designs.size() && !state.must_end(); start += kBatch) {
    const size_t count = std::min({kBatch, designs.size() - start,
                                   static_cast<size_t>(std::min<uint64_t>(
                                       state.context().max_evaluations - state.records().size(), kBatch))});
    std::vector<DesignScore> scores(count);
    std::vector<double> bounds((count + kChunk - 1) / kChunk, kNever);
    std::vector<SearchWork> work(bounds.size());
    parallel_for(count, kChunk, state.context().threads, [&](size_t begin, size_t stop, size_t chunk) {
      DesignEvaluator evaluator(state.study(), state.evaluator().costs());
      for (size_t i = begin; i < stop && !state.interrupted(); ++i) {
        const DesignPoint& design = designs[start + i];
        bounds[chunk] = std::max(bounds[chunk], evaluator.critical_path_bound(design));
        scores[i] = evaluator.evaluate(design);
      }
      work[chunk] = evaluator.take_work();
    });
    for (size_t i = 0; i < count; ++i) {
      if (!scores[i].seconds.empty()) state.note(designs[start + i], std::move(scores[i]));
    }
    for (double bound : bounds) any = std::max(any, bound);
    for (const SearchWork& part : work) state.evaluator().add_work(part);
  }
  if (state.records().size() < designs.size()) {
    state.must_end();  // for its reason
    SearchEnd end{state.ended().value_or(solve::Stop::Interrupted), state.best_objective(), {}};
    for (const DesignPoint& design : designs) {
      if (!state.tried(design)) end.bound = std::max(*end.bound, state.evaluator().work_bound(design));
    }
    return end;
  }
  if (!state.found()) return {solve::Stop::Infeasible, {}, {}};
  return {solve::Stop::Proven, state.best_objective(), any};
}

}  // namespace orrery::explore

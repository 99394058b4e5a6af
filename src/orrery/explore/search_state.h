// What all searches of accelerator_search.h share: the designs tried so far with the best among them, the
// limits of the run, and the space that is affordable. Internal to the room.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/explore/accelerator_search.h"
#include "orrery/explore/design_evaluator.h"

namespace orrery::explore {

// Designs of the space within area and power, grouped by sizes of cores.
std::vector<DesignPoint> affordable_designs(const AcceleratorSpace& space, const DesignPrices& prices);

class SearchState {
 public:
  SearchState(const AcceleratorStudy& study, const SearchOptions& options, const RunContext& context);

  const AcceleratorStudy& study() const { return study_; }
  const SearchOptions& options() const { return options_; }
  const RunContext& context() const { return context_; }
  DesignEvaluator& evaluator() { return evaluator_; }
  const std::vector<DesignPoint>& designs();  // affordable ones, enumerated at first call

  // The design's score, scheduled at the first call alone.
  const DesignRecord& record(const DesignPoint& point);
  // A score that was found elsewhere.
  const DesignRecord& note(const DesignPoint& point, DesignScore score);
  bool tried(const DesignPoint& point) const { return index_.contains(point); }

  // Whether the run must end: stop, time, evaluations, or the target that was asked for; keeps the reason.
  bool must_end();
  std::optional<solve::Stop> ended() const { return ended_; }
  // Of these, what may come at any moment: stop and time. On any thread.
  bool interrupted() const {
    return context_.stop.stop_requested() || (context_.time && elapsed() >= context_.time->value());
  }

  bool found() const { return best_.has_value(); }
  double best_objective() const { return best_ ? records_[*best_].objective : -1; }
  const DesignRecord& best() const { return records_[*best_]; }
  const std::vector<DesignRecord>& records() const { return records_; }
  std::vector<DesignPoint> top(size_t most) const;
  double elapsed() const;
  // Evaluations and seconds until an objective of at least `objective` was tried; none where it never was.
  struct Reached {
    uint64_t evaluations = 0;
    double seconds = 0;
  };
  std::optional<Reached> target_reached() const { return reached_; }

 private:
  using Clock = std::chrono::steady_clock;
  bool better(const DesignRecord& a, const DesignRecord& b) const;
  const AcceleratorStudy& study_;
  const SearchOptions options_;
  const RunContext context_;
  Clock::time_point started_ = Clock::now();
  DesignEvaluator evaluator_;
  std::optional<std::vector<DesignPoint>> designs_;
  std::vector<DesignRecord> records_;
  std::map<DesignPoint, size_t> index_;
  std::optional<size_t> best_;
  std::optional<solve::Stop> ended_;
  std::optional<Reached> reached_;
};

// How a search ended: why, and what no design of the space exceeds (under the greedy scheduler, and under
// any).
struct SearchEnd {
  solve::Stop stop = solve::Stop::WorkLimit;
  std::optional<double> bound, bound_of_any_schedule;
};
SearchEnd search_exactly(SearchState&);
SearchEnd search_exhaustively(SearchState&);
SearchEnd search_by_pruning(SearchState&);
SearchEnd search_at_random(SearchState&);
SearchEnd search_by_regression(SearchState&);
SearchEnd search_by_breeding(SearchState&);

}  // namespace orrery::explore

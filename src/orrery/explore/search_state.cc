#include "orrery/explore/search_state.h"

#include <algorithm>

namespace orrery::explore {

std::vector<DesignPoint> affordable_designs(const AcceleratorSpace& space, const DesignPrices& prices) {
  std::vector<DesignPoint> designs;
  DesignPoint p;
  auto counts = [&] {
    for (int matrix : space.matrix_cores) {
      bool any = false;
      for (int vector : space.vector_cores) {
        p.matrix_cores = matrix;
        p.vector_cores = vector;
        const DesignPrices::Price price = prices.price(p);
        if (!prices.affordable(price)) break;  // more cores take more
        any = true;
        if (matrix > 1 && vector > 1 && price.core_area < space.least_area.value()) continue;
        designs.push_back(p);
      }
      if (!any) break;
    }
  };
  for (int64_t buffer : space.global_buffers) {
    for (int columns : space.columns) {
      for (int rows : space.rows) {
        p.global_buffer = buffer;
        p.columns = columns;
        p.rows = rows;
        if (space.lanes_equal_columns) {
          p.lanes = columns;
          counts();
          continue;
        }
        for (int lanes : space.lanes) {
          p.lanes = lanes;
          counts();
        }
      }
    }
  }
  return designs;
}

SearchState::SearchState(const AcceleratorStudy& study, const SearchOptions& options,
                         const RunContext& context)
    : study_(study), options_(options), context_(context), evaluator_(study) {}

const std::vector<DesignPoint>& SearchState::designs() {
  if (!designs_) designs_ = affordable_designs(study_.space, evaluator_.prices());
  return *designs_;
}

bool SearchState::better(const DesignRecord& a, const DesignRecord& b) const {
  if (a.objective != b.objective) return a.objective > b.objective;
  const DesignPrices& prices = evaluator_.prices();
  const double area_a = prices.price(a.point).core_area, area_b = prices.price(b.point).core_area;
  if (area_a != area_b) return area_a < area_b;
  return a.point < b.point;
}

const DesignRecord& SearchState::record(const DesignPoint& point) {
  if (auto found = index_.find(point); found != index_.end()) return records_[found->second];
  return note(point, evaluator_.evaluate(point));
}

const DesignRecord& SearchState::note(const DesignPoint& point, DesignScore score) {
  auto [place, fresh] = index_.try_emplace(point, records_.size());
  if (!fresh) return records_[place->second];
  records_.push_back({point, score.objective, std::move(score.seconds), score.meets_throughput});
  const DesignRecord& added = records_.back();
  if (added.meets_throughput && (!best_ || better(added, records_[*best_]))) {
    best_ = records_.size() - 1;
    if (context_.progress) context_.progress->note(tuple_text(point));
  }
  if (!reached_ && options_.target > 0 && added.meets_throughput && added.objective >= options_.target)
    reached_ = Reached{records_.size(), elapsed()};
  if (context_.progress) context_.progress->advance();
  return added;
}

double SearchState::elapsed() const {
  return std::chrono::duration<double>(Clock::now() - started_).count();
}

bool SearchState::must_end() {
  if (ended_) return true;
  if (context_.stop.stop_requested()) {
    ended_ = solve::Stop::Interrupted;
  } else if (context_.time && elapsed() >= context_.time->value()) {
    ended_ = solve::Stop::TimeLimit;
  } else if (records_.size() >= context_.max_evaluations) {
    ended_ = solve::Stop::WorkLimit;
  } else if (reached_) {
    ended_ = solve::Stop::GapReached;
  }
  return ended_.has_value();
}

std::vector<DesignPoint> SearchState::top(size_t most) const {
  std::vector<size_t> order;
  for (size_t i = 0; i < records_.size(); ++i) {
    if (records_[i].meets_throughput) order.push_back(i);
  }
  most = std::min(most, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
                    [&](size_t a, size_t b) { return better(records_[a], records_[b]); });
  std::vector<DesignPoint> points;
  for (size_t i = 0; i < most; ++i) points.push_back(records_[order[i]].point);
  return points;
}

}  // namespace orrery::explore

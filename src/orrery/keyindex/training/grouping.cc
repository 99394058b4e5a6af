#include "orrery/keyindex/training/grouping.h"

#include <algorithm>

namespace orrery::keyindex {

std::vector<size_t> group_starts(std::span<const std::string_view> keys, const GroupingOptions& options) {
  std::vector<size_t> starts;
  for (size_t begin = 0; begin < keys.size();) {
    starts.push_back(begin);
    const size_t left = keys.size() - begin;
    size_t size = std::min(left, options.forward_step);
    const auto length = [&] { return feature_length(keys.subspan(begin, size)); };
    while (size < left && length() < options.feature_bound)
      size = std::min(left, size + options.forward_step);
    while (size > options.least_keys && length() > options.feature_bound)
      size -= std::min(options.backward_step, size - options.least_keys);
    begin += std::max<size_t>(1, size);
  }
  return starts;
}

LearnedSearch::LearnedSearch(std::span<const std::string_view> strings, size_t most_models,
                             std::shared_ptr<const PrefixCdf> cdf)
    : strings_(strings) {
  if (strings.empty()) return;
  // The grouping of the strings themselves, then neighbours joined evenly until few enough are left.
  std::vector<size_t> groups = group_starts(strings);
  const size_t models = std::min(std::max<size_t>(1, most_models), groups.size());
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::GramInt64);
  for (size_t i = 0; i < models; ++i) starts_.push_back(groups[i * groups.size() / models]);
  for (size_t i = 0; i < models; ++i) {
    const size_t end = i + 1 < models ? starts_[i + 1] : strings.size();
    TrainJob job{.keys = strings.subspan(starts_[i], end - starts_[i]), .inserted = {}, .removed = {}};
    job.options.keep_memo = false;
    job.options.cdf = cdf;
    models_.push_back(trainer->train(std::move(job)).model);
  }
}

size_t LearnedSearch::upper_bound(std::string_view key) const {
  if (strings_.empty()) return 0;
  size_t piece = 0;
  while (piece + 1 < starts_.size() && strings_[starts_[piece + 1]] <= key) ++piece;
  const LinearModel& model = models_[piece];
  const std::span<const std::string_view> within = strings_.subspan(starts_[piece], model.keys());
  const size_t at = model.lower_bound(within, key);
  return starts_[piece] + at + (at < within.size() && within[at] == key);
}

double LearnedSearch::mean_window() const {
  double total = 0;
  for (const LinearModel& model : models_) total += static_cast<double>(model.window() * model.keys());
  return strings_.empty() ? 0 : total / static_cast<double>(strings_.size());
}

}  // namespace orrery::keyindex

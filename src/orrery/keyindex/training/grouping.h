// How sorted keys are cut into groups, each with a model of its own: SIA's greedy rule. A group starts empty,
// takes `forward_step` keys while fewer than `feature_bound` bytes tell its keys apart, then gives back
// `backward_step` while more do, but never holds fewer than `least_keys` (the last one may).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "orrery/keyindex/training/trainer.h"

namespace orrery::keyindex {

struct GroupingOptions {
  size_t forward_step = 550, backward_step = 50, feature_bound = 4, least_keys = 400;
};

// Where each group begins; first 0, ascending; empty for no keys.
std::vector<size_t> group_starts(std::span<const std::string_view> keys, const GroupingOptions& options = {});

// A search among sorted strings, such as the separators of an inner node or the first keys of groups, by at
// most `most_models` linear models and a search within their bounds: SIA's root. Immutable; any thread may
// search.
class LearnedSearch {
 public:
  LearnedSearch() = default;
  // The strings must outlive it. cdf: may be null; then bytes are the features.
  LearnedSearch(std::span<const std::string_view> strings, size_t most_models = 4,
                std::shared_ptr<const PrefixCdf> cdf = nullptr);

  // How many of the strings are <= key.
  size_t upper_bound(std::string_view key) const;
  double mean_window() const;  // of the searches for the strings themselves
  size_t models() const { return models_.size(); }

 private:
  std::span<const std::string_view> strings_;
  std::vector<size_t> starts_;  // of the models' pieces
  std::vector<LinearModel> models_;
};

}  // namespace orrery::keyindex

#include "orrery/keyindex/training/linear_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orrery::keyindex {

LinearModel::LinearModel(FeatureMap map, std::span<const double> beta, size_t keys)
    : map_(std::move(map)), weights_(beta.begin(), beta.end()), keys_(static_cast<uint32_t>(keys)) {
  weights_.resize(FeatureMap::kWeightRoom);
}

double LinearModel::position(std::string_view key) const {
  return weights_.empty() ? 0 : map_.dot(key, weights_.data());
}

size_t LinearModel::predict(std::string_view key) const {
  if (keys_ == 0) return 0;
  const double at = position(key);
  if (!(at > 0)) return 0;
  return at >= keys_ - 1 ? keys_ - 1 : static_cast<size_t>(at);
}

void LinearModel::bound(std::span<const std::string_view> keys) {
  int64_t least = std::numeric_limits<int64_t>::max(), most = std::numeric_limits<int64_t>::min();
  for (size_t i = 0; i < keys.size(); ++i) {
    const int64_t error = static_cast<int64_t>(i) - static_cast<int64_t>(predict(keys[i]));
    least = std::min(least, error);
    most = std::max(most, error);
  }
  constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();
  const bool fits = !keys.empty() && least >= -kLimit && most <= kLimit;
  least_ = fits ? static_cast<int32_t>(least) : 1;
  most_ = fits ? static_cast<int32_t>(most) : 0;
}

size_t LinearModel::window() const {
  return most_ < least_ ? keys_ : static_cast<size_t>(int64_t{most_} - least_ + 1);
}

double LinearModel::rms(std::span<const std::string_view> keys) const {
  double sum = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const double error = position(keys[i]) - static_cast<double>(i);
    sum += error * error;
  }
  return keys.empty() ? 0 : std::sqrt(sum / static_cast<double>(keys.size()));
}

size_t LinearModel::lower_bound(std::span<const std::string_view> keys, std::string_view key) const {
  if (most_ < least_) return gallop(keys, key, 0, keys.size());
  const auto guess = static_cast<int64_t>(predict(key)), size = static_cast<int64_t>(keys.size());
  return gallop(keys, key, static_cast<size_t>(std::clamp<int64_t>(guess + least_, 0, size)),
                static_cast<size_t>(std::clamp<int64_t>(guess + most_ + 1, 0, size)));
}

size_t gallop(std::span<const std::string_view> keys, std::string_view key, size_t from, size_t to) {
  // Invariant wanted: keys[from - 1] < key <= keys[to], past the ends taken as holding.
  for (size_t step = 1; from > 0 && keys[from - 1] >= key; step *= 2) {
    to = from - 1;
    from = from > step ? from - step : 0;
  }
  for (size_t step = 1; to < keys.size() && keys[to] < key; step *= 2) {
    from = to + 1;
    to = std::min(keys.size(), to + step);
  }
  const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
  return static_cast<size_t>(std::lower_bound(begin, keys.begin() + static_cast<std::ptrdiff_t>(to), key) -
                             keys.begin());
}

}  // namespace orrery::keyindex

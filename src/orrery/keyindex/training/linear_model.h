// position = clamp(bias + w · row(key)), and how far a member's true position can lie from it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "orrery/keyindex/training/feature_map.h"

namespace orrery::keyindex {

class LinearModel {
 public:
  LinearModel() = default;
  // beta: of the columns of `map`; keys: how many positions there are.
  LinearModel(FeatureMap map, std::span<const double> beta, size_t keys);

  const FeatureMap& map() const { return map_; }
  size_t keys() const { return keys_; }
  std::span<const double> beta() const { return {weights_.data(), map_.columns()}; }
  double position(std::string_view key) const;  // unclamped; finite
  size_t predict(std::string_view key) const;   // within [0, keys)

  // The bounds over `keys`, the sorted group, made anew: position of key i lies in
  // [predict + least_error, predict + most_error].
  void bound(std::span<const std::string_view> keys);
  int32_t least_error() const { return least_; }
  int32_t most_error() const { return most_; }
  // Keys that a member's search looks through: most - least + 1, or all where there are no bounds.
  size_t window() const;
  double rms(std::span<const std::string_view> keys) const;  // of position - rank

  // The first position whose key is not below `key`; `keys` is what bound() was given. Members are found
  // within the window; a search that ends at its edge gallops on from there.
  size_t lower_bound(std::span<const std::string_view> keys, std::string_view key) const;

 private:
  FeatureMap map_;
  std::vector<double> weights_;  // zeros up to FeatureMap::kWeightRoom; none before a fit
  uint32_t keys_ = 0;
  int32_t least_ = 1, most_ = 0;  // most < least: none
};

// lower_bound over `keys` from a guess: gallops from [from, to) to where `key` must lie.
size_t gallop(std::span<const std::string_view> keys, std::string_view key, size_t from, size_t to);

}  // namespace orrery::keyindex

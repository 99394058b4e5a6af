#include "orrery/keyindex/training/feature_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

constexpr double kCdfSteps = 1 << 20;

unsigned char byte_at(std::string_view key, size_t position) {
  return position < key.size() ? static_cast<unsigned char>(key[position]) : 0;
}

// The positions in [begin, end) where some key differs from the first.
std::vector<uint32_t> varying(std::span<const std::string_view> keys, size_t begin, size_t end, size_t most) {
  std::vector<uint32_t> found;
  constexpr size_t kChunk = 64;
  for (size_t at = begin; at < end && found.size() < most; at += kChunk) {
    const size_t length = std::min(kChunk, end - at);
    unsigned char differs[kChunk] = {}, first[kChunk] = {}, bytes[kChunk];
    const auto load = [&](std::string_view key, unsigned char* out) {
      const size_t have = key.size() > at ? std::min(length, key.size() - at) : 0;
      if (have) std::memcpy(out, key.data() + at, have);
      if (have < kChunk) std::memset(out + have, 0, kChunk - have);
    };
    load(keys.front(), first);
    for (std::string_view key : keys) {
      load(key, bytes);
      for (size_t k = 0; k < kChunk; ++k) differs[k] |= bytes[k] ^ first[k];
    }
    for (size_t k = 0; k < length && found.size() < most; ++k)
      if (differs[k]) found.push_back(static_cast<uint32_t>(at + k));
  }
  return found;
}

ORRERY_CLONES double dot_of_row(const int32_t* row, const double* weights, size_t padded) {
  double sums[8] = {};
  for (size_t j = 0; j < padded; j += 8)
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += row[j + lane] * weights[j + lane];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  size_t k = 0;
  for (; k + 8 <= shorter; k += 8) {
    uint64_t x, y;
    std::memcpy(&x, a.data() + k, 8);
    std::memcpy(&y, b.data() + k, 8);
    if (x != y) return k + static_cast<size_t>(__builtin_ctzll(x ^ y)) / 8;
  }
  while (k < shorter && a[k] == b[k]) ++k;
  return k;
}

size_t longest_neighbour_prefix(std::span<const std::string_view> keys) {
  size_t longest = 0;
  for (size_t i = 1; i < keys.size(); ++i) longest = std::max(longest, common_prefix(keys[i - 1], keys[i]));
  return longest;
}

size_t feature_length(std::span<const std::string_view> keys) {
  if (keys.size() < 2) return 1;
  return longest_neighbour_prefix(keys) - common_prefix(keys.front(), keys.back()) + 1;
}

FeatureMap FeatureMap::of_bytes(std::span<const std::string_view> keys, size_t most_columns) {
  FeatureMap map;
  const size_t begin = common_prefix(keys.front(), keys.back());
  const size_t end = keys.size() < 2 ? keys.front().size() : longest_neighbour_prefix(keys) + 1;
  map.positions_ = varying(keys, begin, end, most_columns);
  map.known_end_ = static_cast<uint32_t>(
      map.full(most_columns) && !map.positions_.empty() ? map.positions_.back() + 1 : end);
  // Any centre near the middle serves: it keeps the columns from looking like the bias.
  for (uint32_t position : map.positions_) {
    int sum = 0;
    for (size_t quarter = 1; quarter <= 3; ++quarter)
      sum += byte_at(keys[keys.size() * quarter / 4], position);
    map.centres_.push_back(static_cast<int16_t>(sum / 3));
  }
  map.refresh();
  return map;
}

FeatureMap FeatureMap::of_cdf(std::span<const std::string_view> keys, std::shared_ptr<const PrefixCdf> cdf) {
  FeatureMap map;
  map.kind_ = Kind::Cdf;
  map.cdf_ = std::move(cdf);
  map.prefix_ = keys.front().substr(0, common_prefix(keys.front(), keys.back()));
  const double low = (*map.cdf_)(keys.front(), map.prefix_.size());
  const double high = (*map.cdf_)(keys.back(), map.prefix_.size());
  map.low_ = (low + high) / 2;
  map.scale_ = high > low ? kCdfSteps / (high - low) : 0;
  return map;
}

void FeatureMap::refresh() {
  constant_.assign((known_end_ + 63) / 64, ~uint64_t{0});
  if (known_end_ % 64 != 0) constant_.back() = (uint64_t{1} << known_end_ % 64) - 1;
  for (uint32_t position : positions_)
    if (position < known_end_) constant_[position / 64] &= ~(uint64_t{1} << position % 64);
  window_.clear();
  if (positions_.empty() || positions_.back() - positions_.front() >= kWindow || positions_.size() > 32)
    return;
  for (uint32_t position : positions_) window_.push_back(static_cast<uint8_t>(position - positions_.front()));
  window_.resize(32);
}

void FeatureMap::bytes_row(std::string_view key, int32_t* out) const {
  const size_t features = positions_.size();
  if (!window_.empty()) {
    const size_t first = positions_.front();
    const size_t have = key.size() > first ? std::min(kWindow, key.size() - first) : 0;
    if (have == 0) {
      for (size_t j = 0; j < features; ++j) out[j] = -centres_[j];
    } else {
      gather_bytes(reinterpret_cast<const unsigned char*>(key.data()) + first, have,
                   {window_.data(), centres_.data(), features}, out);
    }
    return;
  }
  for (size_t j = 0; j < features; ++j) out[j] = byte_at(key, positions_[j]) - centres_[j];
}

double FeatureMap::dot(std::string_view key, const double* weights) const {
  if (kind_ == Kind::Bytes && !window_.empty()) {
    const size_t first = positions_.front();
    const size_t have = key.size() > first ? std::min(kWindow, key.size() - first) : 0;
    return weights[0] + gathered_dot(reinterpret_cast<const unsigned char*>(key.data()) + (have ? first : 0),
                                     have, {window_.data(), centres_.data(), positions_.size()}, weights + 1);
  }
  alignas(64) std::array<int32_t, kMostColumns + 1> values{};
  row(key, values.data());
  return dot_of_row(values.data(), weights, (columns() + 7) / 8 * 8);
}

void FeatureMap::add_rows(std::span<const std::string_view> keys, int32_t* sums) const {
  if (kind_ == Kind::Bytes && !window_.empty()) {
    sums[0] += static_cast<int32_t>(keys.size());
    return add_gathered_bytes(keys, positions_.front(), {window_.data(), centres_.data(), positions_.size()},
                              sums + 1);
  }
  std::array<int32_t, kMostColumns + 1> one;
  for (std::string_view key : keys) {
    row(key, one.data());
    for (size_t j = 0; j < columns(); ++j) sums[j] += one[j];
  }
}

void FeatureMap::row(std::string_view key, int32_t* out) const {
  out[0] = 1;
  if (kind_ == Kind::Bytes) return bytes_row(key, out + 1);
  const int order = key.substr(0, prefix_.size()).compare(prefix_);
  const double rank = order < 0 ? 0 : order > 0 ? 1 : (*cdf_)(key, prefix_.size());
  out[1] = static_cast<int32_t>(std::clamp((rank - low_) * scale_, -kCdfSteps, kCdfSteps));
}

std::vector<uint32_t> FeatureMap::differing(std::string_view key, std::string_view reference) const {
  std::vector<uint32_t> found;
  for (size_t word = 0; word < constant_.size(); ++word)
    for (uint64_t differs = constant_[word] & differing_bytes(key, reference, word * 64); differs != 0;
         differs &= differs - 1)
      found.push_back(static_cast<uint32_t>(word * 64) + static_cast<uint32_t>(__builtin_ctzll(differs)));
  return found;
}

size_t FeatureMap::insert(uint32_t position, std::string_view reference) {
  const auto place = std::lower_bound(positions_.begin(), positions_.end(), position) - positions_.begin();
  positions_.insert(positions_.begin() + place, position);
  centres_.insert(centres_.begin() + place, static_cast<int16_t>(byte_at(reference, position)));
  refresh();
  return static_cast<size_t>(place) + 1;
}

void FeatureMap::truncate(size_t most_columns) {
  if (positions_.size() <= most_columns) return;
  positions_.resize(most_columns);
  centres_.resize(most_columns);
  known_end_ = positions_.empty() ? 0 : positions_.back() + 1;
  refresh();
}

}  // namespace orrery::keyindex

#include "orrery/keyindex/training/prefix_cdf.h"

#include <algorithm>

namespace orrery::keyindex {
namespace {

constexpr uint64_t kStart = 0xcbf29ce484222325ull;

uint64_t extended(uint64_t hash, unsigned char byte) {
  return (hash ^ byte) * 0x9e3779b97f4a7c15ull;
}
size_t row_of(uint64_t hash, size_t rows) {
  return static_cast<size_t>(hash >> 40) % rows;
}
uint64_t hash_of(std::string_view prefix) {
  uint64_t hash = kStart;
  for (unsigned char byte : prefix) hash = extended(hash, byte);
  return hash;
}

}  // namespace

PrefixCdf::PrefixCdf(std::span<const std::string_view> keys, size_t most_sampled) : cells_(kRows * kSymbols) {
  std::vector<uint32_t> counts(cells_.size());
  const size_t step = std::max<size_t>(1, keys.size() / std::max<size_t>(1, most_sampled));
  for (size_t i = 0; i < keys.size(); i += step) {
    uint64_t hash = kStart;
    const size_t longest = std::min(keys[i].size(), kLongest);
    for (size_t k = 0; k <= longest; ++k) {
      const bool end = k == keys[i].size();
      const unsigned char byte = end ? 0 : static_cast<unsigned char>(keys[i][k]);
      ++counts[row_of(hash, kRows) * kSymbols + (end ? 0 : byte + 1u)];
      if (end) break;
      hash = extended(hash, byte);
    }
  }
  for (size_t row = 0; row < kRows; ++row) {
    double total = 0, below = 0;
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) total += counts[row * kSymbols + symbol];
    // A byte that was never seen after this prefix still gets a little room, so that ranks stay strictly
    // apart.
    const double missing = 1e-3, scale = 1 / (total + missing * kSymbols);
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) {
      const double chance = (counts[row * kSymbols + symbol] + missing) * scale;
      cells_[row * kSymbols + symbol] = {static_cast<float>(below), static_cast<float>(chance)};
      below += chance;
    }
  }
}

double PrefixCdf::operator()(std::string_view key, size_t prefix) const {
  if (key.size() < prefix) return 0;
  uint64_t hash = hash_of(key.substr(0, std::min(prefix, kLongest)));
  double rank = 0, chance = 1;
  for (size_t k = prefix; chance > kSmallest; ++k) {
    // Past what was counted the row of the longest prefix goes on serving.
    const Cell* row = &cells_[row_of(hash, kRows) * kSymbols];
    if (k >= key.size()) break;  // the end sorts first: nothing below it
    const auto byte = static_cast<unsigned char>(key[k]);
    const Cell cell = row[byte + 1u];
    rank += chance * cell.below;
    chance *= cell.chance;
    if (k < kLongest) hash = extended(hash, byte);
  }
  return std::min(rank, 1.0);
}

}  // namespace orrery::keyindex

// The share of keys below a key, by a table of bytes after hashed prefixes: the string model of LITS (Yang et
// al., VLDB 2024). P(next byte | prefix) is counted over a sample; the rank of a key is the sum over its
// bytes of the chance of its prefix times the chance of a smaller byte.
//
// Immutable once made; any thread may read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace orrery::keyindex {

class PrefixCdf {
 public:
  // keys: sorted; every (size / most_sampled)-th is counted.
  explicit PrefixCdf(std::span<const std::string_view> keys, size_t most_sampled = 200'000);

  // The rank of `key` within [0, 1] among the keys that share its first `prefix` bytes: non-decreasing over
  // such keys. A key shorter than the prefix has rank 0.
  double operator()(std::string_view key, size_t prefix) const;
  size_t bytes() const { return cells_.size() * sizeof(Cell); }

 private:
  struct Cell {
    float below = 0, chance = 0;  // of a smaller next byte, of this one
  };
  static constexpr size_t kRows = 2048, kSymbols = 257, kLongest = 48;  // rows; end of key and 256 bytes
  static constexpr double kSmallest = 1e-9;
  std::vector<Cell> cells_;
};

}  // namespace orrery::keyindex

// What a group's linear model sees of a key: small integers, one a column.
//
// Bytes: the bytes, as unsigned numbers less a fixed centre, at those positions that tell the group's keys
// apart (zero past a key's end). Positions below known_end() that are no column hold the same byte in every
// key that was trained with; that is what lets a column be added later without reading those keys (memo.h).
// SIA's raw-byte features (arXiv 2403.11472), less constant columns. Cdf: one column, the key's rank by a
// PrefixCdf, in 2^20 steps between two anchors; beyond them it is clamped.
//
// Column 0 of a row is the 1 of the bias.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/keyindex/training/prefix_cdf.h"

namespace orrery::keyindex {

constexpr size_t kMostColumns = 63;  // features; a row has one place more, for the bias

size_t common_prefix(std::string_view a, std::string_view b);
// The longest prefix that two neighbours share; 0 for fewer than two keys.
size_t longest_neighbour_prefix(std::span<const std::string_view> keys);
// f of SIA: the bytes after the common prefix that are needed to tell all apart.
size_t feature_length(std::span<const std::string_view> keys);

class FeatureMap {
 public:
  enum class Kind : uint8_t { Bytes, Cdf };

  FeatureMap() = default;
  // keys: sorted, at least one. At most `most_columns` (<= kMostColumns) positions, the first ones.
  static FeatureMap of_bytes(std::span<const std::string_view> keys, size_t most_columns);
  static FeatureMap of_cdf(std::span<const std::string_view> keys, std::shared_ptr<const PrefixCdf> cdf);

  Kind kind() const { return kind_; }
  size_t columns() const { return kind_ == Kind::Cdf ? 2 : positions_.size() + 1; }  // with the bias
  size_t known_end() const { return known_end_; }
  bool full(size_t most_columns) const { return positions_.size() >= most_columns; }
  std::span<const uint32_t> positions() const { return positions_; }
  std::span<const int16_t> centres() const { return centres_; }

  // Row of a key: size columns(), row[0] = 1.
  void row(std::string_view key, int32_t* out) const;
  void prefetch(std::string_view key) const {  // what row() will read
    __builtin_prefetch(key.data() + (positions_.empty() ? 0 : positions_.front()));
  }
  // Adds the rows of all keys to `sums`, size columns().
  void add_rows(std::span<const std::string_view> keys, int32_t* sums) const;

  // row · weights, size columns(), with zeros up to kWeightRoom: the model's whole arithmetic.
  static constexpr size_t kWeightRoom = 64;
  double dot(std::string_view key, const double* weights) const;

  // Positions that are no column though `key` differs there from `reference`, a key that was trained with;
  // sorted. Cdf: none, ever.
  std::vector<uint32_t> differing(std::string_view key, std::string_view reference) const;
  // Adds the column of a position that all trained keys share with `reference`; the centre is the shared
  // byte, so the column of those keys is 0. Returns its place in a row.
  size_t insert(uint32_t position, std::string_view reference);
  void truncate(size_t most_columns);  // drops the last columns beyond so many

  size_t bytes() const { return positions_.size() * (sizeof(uint32_t) + sizeof(int16_t)); }
  bool operator==(const FeatureMap&) const = default;

 private:
  void bytes_row(std::string_view key, int32_t* out) const;
  void refresh();

  Kind kind_ = Kind::Bytes;
  uint32_t known_end_ = 0;
  std::vector<uint32_t> positions_;
  std::vector<int16_t> centres_;
  // Where all positions lie within a window (simd.h): the offset of each from the first, for one shuffle.
  std::vector<uint8_t> window_;
  // Bit p of word w: position 64 w + p is below known_end() and no column.
  std::vector<uint64_t> constant_;
  // Cdf
  std::shared_ptr<const PrefixCdf> cdf_;
  std::string prefix_;
  double low_ = 0, scale_ = 0;
};

}  // namespace orrery::keyindex

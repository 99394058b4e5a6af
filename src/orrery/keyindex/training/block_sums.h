// z = Aᵀy kept up to date while keys come and go and every later key's position moves.
//
// y is a key's rank, so an insertion at rank j adds the sum of all old rows after j, and the new row times
// its rank. The sums of rows are kept for blocks of about 64 consecutive keys: of those only the blocks in
// which something happened are read, and of these no more than the part before or after it, whichever is
// shorter. All in 64-bit integers: z is the direct product, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "orrery/keyindex/training/feature_map.h"

namespace orrery::keyindex {

// A key that left: its rank among the keys that were there before the change.
struct RemovedKey {
  uint32_t rank = 0;
  std::string_view key;
};

// Integer rows of keys, row-major, each `stride` (a multiple of 16) wide and zero past its columns.
class RowMatrix {
 public:
  RowMatrix(const FeatureMap& map, size_t rows);
  int32_t* row(size_t i) { return &values_[i * stride_]; }
  const int32_t* row(size_t i) const { return &values_[i * stride_]; }
  const int32_t* data() const { return values_.data(); }
  size_t rows() const { return rows_; }
  size_t stride() const { return stride_; }

 private:
  size_t rows_, stride_;
  std::vector<int32_t> values_;
};
RowMatrix rows_of(const FeatureMap& map, std::span<const std::string_view> keys);

class BlockSums {
 public:
  static constexpr size_t kBlock = 64, kMostInBlock = 128;

  BlockSums() = default;
  BlockSums(const RowMatrix& rows, size_t columns);

  struct Change {
    uint64_t rows_read = 0;  // of old keys
    // Each block as it is now: ranks [first, last), and the block it was before where nothing happened in it.
    struct Block {
      uint32_t first, last;
      int32_t before;  // -1: its keys changed
    };
    std::vector<Block> blocks;
  };
  // keys: those there now, sorted. inserted: ranks among them of the new ones, ascending; added: their rows,
  // in that order. removed: ascending; taken: their rows.
  Change apply(const FeatureMap& map, std::span<const std::string_view> keys,
               std::span<const uint32_t> inserted, const RowMatrix& added,
               std::span<const RemovedKey> removed, const RowMatrix& taken);

  void insert_zero_column(size_t column);
  void truncate(size_t columns);

  size_t keys() const { return keys_; }
  std::span<const int64_t> z() const { return z_; }  // Σ row · rank, size columns
  std::vector<int64_t> column_sums() const;
  // Aᵀ(y - mean y): what the solve takes, so that the bias does not swamp it. Exact up to the last halving.
  std::vector<double> centred_z() const;
  size_t bytes() const { return counts_.size() * 2 + sums_.size() * 4 + z_.size() * 8; }

 private:
  void drop_empty_blocks();
  void split_block(size_t block, const FeatureMap& map, std::span<const std::string_view> its_keys);
  size_t columns_ = 0, keys_ = 0;
  std::vector<uint16_t> counts_;
  std::vector<int32_t> sums_;  // blocks × columns
  std::vector<int64_t> z_;
};

}  // namespace orrery::keyindex

#include "orrery/keyindex/training/block_sums.h"

#include <algorithm>
#include <array>

#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

// Old keys that follow one another without a change between them.
struct Run {
  size_t rank = 0, length = 0;  // as ranked now
  int64_t shift = 0;            // how far they moved
};

ORRERY_CLONES void add_row(int32_t* sum, const int32_t* row, size_t width) {
  for (size_t j = 0; j < width; ++j) sum[j] += row[j];
}
ORRERY_CLONES void add_product(int64_t* z, const int32_t* row, int64_t factor, size_t width) {
  for (size_t j = 0; j < width; ++j) z[j] += factor * row[j];
}

using Row = std::array<int32_t, kMostColumns + 1>;

Row sum_of(const FeatureMap& map, std::span<const std::string_view> keys) {
  Row sum{};
  map.add_rows(keys, sum.data());
  return sum;
}

}  // namespace

RowMatrix::RowMatrix(const FeatureMap& map, size_t rows)
    : rows_(rows), stride_((map.columns() + 15) / 16 * 16), values_(rows * stride_) {}

RowMatrix rows_of(const FeatureMap& map, std::span<const std::string_view> keys) {
  RowMatrix rows(map, keys.size());
  for (size_t i = 0; i < keys.size(); ++i) map.row(keys[i], rows.row(i));
  return rows;
}

BlockSums::BlockSums(const RowMatrix& rows, size_t columns)
    : columns_(columns), keys_(rows.rows()), z_(columns) {
  for (size_t begin = 0; begin < keys_; begin += kBlock) {
    const size_t end = std::min(keys_, begin + kBlock);
    alignas(64) Row sum{};
    std::array<int64_t, kMostColumns + 1> within{};
    for (size_t i = begin; i < end; ++i) {
      add_row(sum.data(), rows.row(i), rows.stride());
      add_product(within.data(), rows.row(i), static_cast<int64_t>(i), rows.stride());
    }
    counts_.push_back(static_cast<uint16_t>(end - begin));
    sums_.insert(sums_.end(), sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(columns));
    for (size_t j = 0; j < columns; ++j) z_[j] += within[j];
  }
}

BlockSums::Change BlockSums::apply(const FeatureMap& map, std::span<const std::string_view> keys,
                                   std::span<const uint32_t> inserted, const RowMatrix& added,
                                   std::span<const RemovedKey> removed, const RowMatrix& taken) {
  Change change;
  if (counts_.empty()) {
    counts_.push_back(0);
    sums_.resize(columns_);
  }
  size_t before = 0, now = 0, next_in = 0, next_out = 0;  // ranks of old and present keys; events
  std::vector<Run> runs;
  int32_t old_block = -1;
  // Rows end in zeros up to whole vectors; so do these.
  const size_t width = added.stride();
  alignas(64) std::array<int64_t, kMostColumns + 1> z{};
  alignas(64) Row sum{};
  const auto take_in = [&] {
    add_product(z.data(), added.row(next_in), static_cast<int64_t>(now), width);
    add_row(sum.data(), added.row(next_in), width);
    ++next_in, ++now;
  };
  for (size_t block = 0; block < counts_.size(); ++block) {
    const auto kept = sums_.begin() + static_cast<std::ptrdiff_t>(block * columns_);
    std::copy_n(kept, columns_, sum.begin());
    size_t left = counts_[block];
    const size_t first = now;
    runs.clear();
    const size_t events = next_in + next_out;
    for (size_t i = now + left; i < std::min(keys.size(), now + left + kBlock); ++i)
      map.prefetch(keys[i]);  // for the next block
    ++old_block;
    // The rows that stay, before what comes in is added to the block's sum.
    alignas(64) Row staying = sum;
    while (left > 0) {
      if (next_out < removed.size() && removed[next_out].rank == before) {
        const int32_t* row = taken.row(next_out++);
        add_product(z.data(), row, -static_cast<int64_t>(before), width);
        for (size_t j = 0; j < width; ++j) sum[j] -= row[j], staying[j] -= row[j];
        ++before, --left;
      } else if (next_in < inserted.size() && inserted[next_in] == now) {
        take_in();
      } else {
        size_t length = left;
        if (next_out < removed.size()) length = std::min(length, removed[next_out].rank - before);
        if (next_in < inserted.size()) length = std::min(length, inserted[next_in] - now);
        runs.push_back({now, length, static_cast<int64_t>(now) - static_cast<int64_t>(before)});
        before += length, now += length, left -= length;
      }
    }
    if (block + 1 == counts_.size())
      while (next_in < inserted.size()) take_in();
    std::copy_n(sum.begin(), columns_, kept);
    // All as the longest run, then the others by what they differ.
    if (!runs.empty()) {
      const Run longest = *std::max_element(runs.begin(), runs.end(),
                                            [](const Run& a, const Run& b) { return a.length < b.length; });
      add_product(z.data(), staying.data(), longest.shift, width);
      for (const Run& run : runs) {
        if (run.shift == longest.shift) continue;
        alignas(64) const Row rows = sum_of(map, keys.subspan(run.rank, run.length));
        add_product(z.data(), rows.data(), run.shift - longest.shift, width);
        change.rows_read += run.length;
      }
    }
    if (now - first <= kMostInBlock) {
      counts_[block] = static_cast<uint16_t>(now - first);
      const bool changed = events != next_in + next_out;
      if (now > first)
        change.blocks.push_back(
            {static_cast<uint32_t>(first), static_cast<uint32_t>(now), changed ? -1 : old_block});
      continue;
    }
    for (size_t from = first; from < now; from += kBlock)
      change.blocks.push_back(
          {static_cast<uint32_t>(from), static_cast<uint32_t>(std::min(now, from + kBlock)), -1});
    split_block(block, map, keys.subspan(first, now - first));
    change.rows_read += now - first;
    block += (now - first + kBlock - 1) / kBlock - 1;  // those just made are done
  }
  for (size_t j = 0; j < columns_; ++j) z_[j] += z[j];
  keys_ = keys.size();
  drop_empty_blocks();
  return change;
}

void BlockSums::split_block(size_t block, const FeatureMap& map, std::span<const std::string_view> its_keys) {
  std::vector<uint16_t> counts;
  std::vector<int32_t> sums;
  for (size_t begin = 0; begin < its_keys.size(); begin += kBlock) {
    const size_t length = std::min(kBlock, its_keys.size() - begin);
    const Row sum = sum_of(map, its_keys.subspan(begin, length));
    counts.push_back(static_cast<uint16_t>(length));
    sums.insert(sums.end(), sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(columns_));
  }
  const auto at = static_cast<std::ptrdiff_t>(block), columns = static_cast<std::ptrdiff_t>(columns_);
  counts_.erase(counts_.begin() + at);
  counts_.insert(counts_.begin() + at, counts.begin(), counts.end());
  sums_.erase(sums_.begin() + at * columns, sums_.begin() + (at + 1) * columns);
  sums_.insert(sums_.begin() + at * columns, sums.begin(), sums.end());
}

void BlockSums::drop_empty_blocks() {
  size_t to = 0;
  for (size_t block = 0; block < counts_.size(); ++block) {
    if (counts_[block] == 0) continue;
    counts_[to] = counts_[block];
    if (to != block) std::copy_n(&sums_[block * columns_], columns_, &sums_[to * columns_]);
    ++to;
  }
  counts_.resize(to);
  sums_.resize(to * columns_);
}

void BlockSums::insert_zero_column(size_t column) {
  std::vector<int32_t> wider;
  wider.reserve(sums_.size() + counts_.size());
  for (size_t block = 0; block < counts_.size(); ++block)
    for (size_t j = 0; j <= columns_; ++j)
      wider.push_back(j == column ? 0 : sums_[block * columns_ + j - (j > column)]);
  sums_ = std::move(wider);
  z_.insert(z_.begin() + static_cast<std::ptrdiff_t>(column), 0);
  ++columns_;
}

void BlockSums::truncate(size_t columns) {
  std::vector<int32_t> narrower;
  for (size_t block = 0; block < counts_.size(); ++block)
    narrower.insert(narrower.end(), &sums_[block * columns_], &sums_[block * columns_] + columns);
  sums_ = std::move(narrower);
  z_.resize(columns);
  columns_ = columns;
}

std::vector<int64_t> BlockSums::column_sums() const {
  std::vector<int64_t> total(columns_);
  for (size_t block = 0; block < counts_.size(); ++block)
    for (size_t j = 0; j < columns_; ++j) total[j] += sums_[block * columns_ + j];
  return total;
}

std::vector<double> BlockSums::centred_z() const {
  const std::vector<int64_t> sums = column_sums();
  std::vector<double> centred(columns_);
  for (size_t j = 0; j < columns_; ++j)
    centred[j] = static_cast<double>(2 * z_[j] - (static_cast<int64_t>(keys_) - 1) * sums[j]) / 2;
  return centred;
}

}  // namespace orrery::keyindex

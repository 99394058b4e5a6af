#include "orrery/keyindex/point_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <optional>
#include <vector>

namespace orrery::keyindex {
namespace {

constexpr uint32_t kWidth = 19;       // of a shard whose hashes come from keys
constexpr uint32_t kLeastWidth = 13;  // fewer bits: the hashes are made anew
constexpr size_t kLeastBuckets = 64;  // 2^(kWidth - 13)
constexpr size_t kMostBuckets = 160;
constexpr double kLoad = 0.70;  // at building
constexpr double kLoadToGrow =
    0.5;  // below it a full bucket is bad luck, or an adversary, and growth no help

}  // namespace

PointTable::PointTable(BlockPool& pool, size_t expected, HashOf hash_of)
    : pool_(pool), hash_of_(std::move(hash_of)) {
  double buckets = std::max(1.0, static_cast<double>(expected) / (kLoad * kEntries));
  uint32_t depth = 0;
  while (depth < 26 && buckets / static_cast<double>(size_t{1} << depth) > kMostBuckets * 0.8) ++depth;
  Shard shard;
  shard.width = kWidth;
  shard.depth = static_cast<uint8_t>(depth);
  Unit unit = pool_.allocate(sizeof(uint64_t) << depth);
  auto* words = reinterpret_cast<std::atomic<uint64_t>*>(pool_.at(unit));
  // Shards fill alike: of one size they would all grow within the same few inserts. Sizes from nine tenths to
  // eleven tenths spread that out.
  const double mean = buckets / static_cast<double>(size_t{1} << depth) + 1;
  for (size_t i = 0; i < size_t{1} << depth; ++i) {
    constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;  // a low-discrepancy sequence of fractions
    const double fraction = static_cast<double>(i * kGoldenRatio >> 32) / 4294967296.0;
    shard.buckets = static_cast<uint16_t>(
        std::clamp(mean * (.9 + .2 * fraction), double{kLeastBuckets}, double{kMostBuckets}));
    new_buckets(shard);
    new (words + i) std::atomic<uint64_t>(shard.word());
  }
  directory_.store(unit | uint64_t{depth} << 32, std::memory_order_release);
}

PointTable::PointTable(BlockPool& pool, Saved saved, HashOf hash_of)
    : pool_(pool), hash_of_(std::move(hash_of)), directory_(saved.directory_word) {}

PointTable::~PointTable() = default;

PointTable::Bucket* PointTable::new_buckets(Shard& shard) {
  shard.unit = pool_.allocate(shard.bytes());
  std::memset(pool_.at(shard.unit), 0, shard.bytes());
  return reinterpret_cast<Bucket*>(pool_.at(shard.unit));
}

uint32_t PointTable::slots_holding(const Bucket& bucket, Reference reference) {
#if defined(__SSE2__) && !ORRERY_RACY_ATOMIC
  const auto* references = reinterpret_cast<const char*>(bucket.references);
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(reference));
  const auto equal = [&](size_t from) {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(references + from * 4));
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, wanted))));
  };
  return equal(0) | equal(4) << 4 | equal(6) << 6;
#else
  uint32_t slots = 0;
  for (size_t slot = 0; slot < kEntries; ++slot)
    slots |= uint32_t{bucket.references[slot].load(std::memory_order_relaxed) == reference} << slot;
  return slots;
#endif
}

// Home and the buckets behind it cannot be frozen by growth while home is held: growth locks in ascending
// order.
bool PointTable::put_into(Bucket* home, uint16_t mark, Reference reference) {
  for (uint16_t behind = 0; behind <= kReach; ++behind) {
    Bucket& bucket = home[behind];
    if (behind > 0)
      while (!try_lock(bucket)) racy::pause();
    const uint32_t free = slots_holding(bucket, 0);
    if (free) {
      const auto slot = static_cast<size_t>(std::countr_zero(free));
      racy::store(&bucket.marks[slot], static_cast<uint16_t>(mark | behind));
      bucket.references[slot].store(reference, std::memory_order_release);
    }
    if (behind > 0) unlock(bucket);
    if (!free) continue;
    if (behind > 0) home->word.fetch_or(kSpilled, std::memory_order_relaxed);
    return true;
  }
  return false;
}

// The buckets of a shard that nobody sees yet, and how many entries of each are taken.
class PointTable::FreshShard {
 public:
  FreshShard(PointTable& table, Shard shard)
      : shard_(shard), buckets_(table.new_buckets(shard_)), taken_(shard.buckets + kReach) {}
  Shard shard() const { return shard_; }
  void put(const Place& at, Reference reference) {
    for (uint16_t behind = 0; behind <= kReach; ++behind) {
      uint8_t& taken = taken_[at.bucket + behind];
      if (taken == kEntries) continue;
      Bucket& bucket = buckets_[at.bucket + behind];
      bucket.marks[taken] = static_cast<uint16_t>(at.mark | behind);
      bucket.references[taken++].store(reference, std::memory_order_relaxed);
      if (behind > 0) add_flags(at.bucket, kSpilled);
      return;
    }
    add_flags(at.bucket, kLost | kSpilled);
  }
  void add_flags(size_t bucket, uint32_t flags) {
    std::atomic<uint32_t>& word = buckets_[bucket].word;
    word.store(word.load(std::memory_order_relaxed) | flags, std::memory_order_relaxed);
  }

 private:
  Shard shard_;
  Bucket* buckets_;
  std::vector<uint8_t> taken_;
};

// Where the buckets of a reference's home are full.
void PointTable::insert_growing(const Place& full, uint64_t hash, Reference reference) {
  Place at = full;
  while (true) {
    const bool grows = grow(at, hash);
    at = lock_home(hash);
    const bool fits = put_into(at.home, at.mark, reference);
    // Where growth is no help the tree answers for this bucket.
    unlock(*at.home, fits || grows ? 0 : kLost | kSpilled);
    if (fits || !grows) return;
  }
}

PointTable::Held PointTable::hold(uint64_t hash, Reference reference) {
  Place at = lock_home(hash);
  Held held{at.home, at.home, kEntries};
  for (uint16_t behind = 0; behind <= kReach; ++behind) {
    Bucket& bucket = at.home[behind];
    if (behind > 0)
      while (!try_lock(bucket)) racy::pause();
    if (const uint32_t slots = slots_holding(bucket, reference)) {
      held.bucket = &bucket;
      held.slot = static_cast<size_t>(std::countr_zero(slots));
      return held;
    }
    if (behind > 0) unlock(bucket);
    if (!(at.home->word.load(std::memory_order_relaxed) & kSpilled)) break;
  }
  return held;
}

void PointTable::release(const Held& held) {
  if (held.bucket != held.home) unlock(*held.bucket);
  unlock(*held.home);
}

void PointTable::remove(uint64_t hash, Reference reference) {
  Held held = hold(hash, reference);
  if (held.slot < kEntries) held.bucket->references[held.slot].store(0, std::memory_order_release);
  release(held);
}

void PointTable::lose(uint64_t hash, Reference reference) {
  Held held = hold(hash, reference);
  if (reference != 0 && held.slot < kEntries)
    held.bucket->references[held.slot].store(0, std::memory_order_release);
  held.home->word.fetch_or(kLost | kSpilled, std::memory_order_relaxed);
  release(held);
}

void PointTable::replace(uint64_t hash, Reference old_reference, Reference reference) {
  Held held = hold(hash, old_reference);
  if (held.slot < kEntries) held.bucket->references[held.slot].store(reference, std::memory_order_release);
  release(held);
}

void PointTable::double_directory(uint64_t& word) {
  auto depth = static_cast<uint32_t>(word >> 32);
  size_t size = size_t{1} << depth;
  Unit unit = pool_.allocate(2 * size * sizeof(uint64_t));
  auto* words = reinterpret_cast<std::atomic<uint64_t>*>(pool_.at(unit));
  for (size_t i = 0; i < 2 * size; ++i)
    new (words + i) std::atomic<uint64_t>(directory(word)[i / 2].load(std::memory_order_relaxed));
  uint64_t old = word;
  word = unit | uint64_t{depth + 1} << 32;
  directory_.store(word, std::memory_order_release);
  pool_.retire(static_cast<Unit>(old), size * sizeof(uint64_t));
}

// Grows the shard of `hash` unless another thread has; false where that would not help.
bool PointTable::grow(const Place& full, uint64_t hash) {
  std::lock_guard lock(growing_);
  uint64_t directory_word = directory_.load(std::memory_order_relaxed);
  auto depth = static_cast<uint32_t>(directory_word >> 32);
  size_t index = depth == 0 ? 0 : hash >> (64 - depth);
  uint64_t shard_word = directory(directory_word)[index].load(std::memory_order_relaxed);
  if (shard_word != full.shard) return true;
  const Shard old = Shard::of(shard_word);
  pool_.touch(old.unit, old.bytes());
  auto* buckets = reinterpret_cast<Bucket*>(pool_.at(old.unit));
  size_t all = size_t{old.buckets} + kReach, entries = 0;
  for (size_t b = 0; b < all; ++b)
    for (const auto& reference : buckets[b].references)
      entries += reference.load(std::memory_order_relaxed) != 0;
  if (static_cast<double>(entries) < kLoadToGrow * static_cast<double>(kEntries * old.buckets)) return false;

  size_t larger = old.buckets + old.buckets / 4;
  bool splits = larger > kMostBuckets && old.depth < 40;
  bool from_keys = splits && old.width <= kLeastWidth;
  Shard shape;
  shape.buckets = static_cast<uint16_t>(splits ? std::max(kLeastBuckets, larger / 2) : larger);
  shape.width = from_keys ? kWidth : static_cast<uint8_t>(old.width - (splits ? 1 : 0));
  shape.depth = static_cast<uint8_t>(old.depth + (splits ? 1 : 0));
  FreshShard low(*this, shape);
  std::optional<FreshShard> high;
  if (splits) high.emplace(*this, shape);
  auto put = [&](uint64_t bits,
                 Reference reference) {  // bits: the hash from the old shard's depth on, at the top
    FreshShard& to = splits && bits >> 63 ? *high : low;
    to.put(place(to.shard().word(), splits ? bits << 1 >> shape.depth : bits >> shape.depth), reference);
  };
  for (size_t b = 0; b < all; ++b) {
    Bucket& bucket = buckets[b];
    while (!try_lock(bucket)) racy::pause();  // and never unlocks it
    for (size_t slot = 0; slot < kEntries; ++slot) {
      Reference reference = bucket.references[slot].load(std::memory_order_relaxed);
      if (reference == 0) continue;
      if (from_keys) {
        put(hash_of_(reference) << old.depth, reference);
        continue;
      }
      uint64_t mark = bucket.marks[slot], home = b - (mark & ((1u << kBehindBits) - 1)),
               bits = mark >> kBehindBits;
      bits = old.width >= kMarkBits ? bits << (old.width - kMarkBits) : bits >> (kMarkBits - old.width);
      // At most 8 + 19 bits: a short division.
      const uint64_t x = (static_cast<uint32_t>(home << old.width | bits) + old.buckets - 1u) / old.buckets;
      put(x << (64 - old.width), reference);
    }
    if (b < old.buckets && bucket.word.load(std::memory_order_relaxed) & kLost) {
      // Its hashes are spread over these buckets now.
      double parts = splits ? 2.0 * shape.buckets : shape.buckets;
      auto first = static_cast<size_t>(static_cast<double>(b) * parts / old.buckets);
      auto last = static_cast<size_t>(static_cast<double>(b + 1) * parts / old.buckets);
      for (size_t to = first; to <= last && to < static_cast<size_t>(parts); ++to)
        (to < shape.buckets ? low : *high).add_flags(to % shape.buckets, kLost | kSpilled);
    }
  }
  if (splits && old.depth == depth) {
    double_directory(directory_word);
    ++depth;
    index = hash >> (64 - depth);
  }
  size_t covered = size_t{1} << (depth - old.depth), first = index & ~(covered - 1);
  auto* words = const_cast<std::atomic<uint64_t>*>(directory(directory_word));
  for (size_t i = 0; i < covered; ++i)
    words[first + i].store((splits && i >= covered / 2 ? *high : low).shard().word(),
                           std::memory_order_release);
  pool_.retire(old.unit, old.bytes());
  return true;
}

PointTable::Stats PointTable::stats() const {
  Stats stats;
  EpochGuard inside;
  uint64_t word = directory_.load(std::memory_order_acquire);
  size_t size = size_t{1} << (word >> 32);
  stats.bytes = size * sizeof(uint64_t);
  uint64_t before = 0;
  for (size_t i = 0; i < size; ++i) {
    uint64_t shard_word = directory(word)[i].load(std::memory_order_acquire);
    if (shard_word == before) continue;
    before = shard_word;
    Shard shard = Shard::of(shard_word);
    ++stats.shards;
    stats.buckets += shard.buckets;
    stats.bytes += shard.bytes();
    const auto* buckets = reinterpret_cast<const Bucket*>(pool_.at(shard.unit));
    for (size_t b = 0; b < size_t{shard.buckets} + kReach; ++b) {
      stats.lost_buckets += (buckets[b].word.load(std::memory_order_relaxed) & kLost) != 0;
      for (size_t slot = 0; slot < kEntries; ++slot) {
        if (buckets[b].references[slot].load(std::memory_order_relaxed) == 0) continue;
        ++stats.entries;
        stats.displaced += (racy::load<uint16_t>(&buckets[b].marks[slot]) & ((1u << kBehindBits) - 1)) != 0;
      }
    }
  }
  return stats;
}

void PointTable::for_each(const std::function<void(Reference)>& visit) const {
  uint64_t word = directory_.load(std::memory_order_acquire), before = 0;
  for (size_t i = 0; i < size_t{1} << (word >> 32); ++i) {
    uint64_t shard_word = directory(word)[i].load(std::memory_order_acquire);
    if (shard_word == before) continue;
    before = shard_word;
    Shard shard = Shard::of(shard_word);
    const auto* buckets = reinterpret_cast<const Bucket*>(pool_.at(shard.unit));
    for (size_t b = 0; b < size_t{shard.buckets} + kReach; ++b)
      for (const auto& reference : buckets[b].references)
        if (Reference found = reference.load(std::memory_order_relaxed)) visit(found);
  }
}

}  // namespace orrery::keyindex

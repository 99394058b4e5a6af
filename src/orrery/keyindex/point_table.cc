#include "orrery/keyindex/point_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <vector>

namespace orrery::keyindex {
namespace {

constexpr uint32_t kWidth = 19;       // of a shard whose hashes come from keys
constexpr uint32_t kLeastWidth = 13;  // fewer bits: the hashes are made anew
constexpr size_t kLeastBuckets = 64;  // 2^(kWidth - 13)
constexpr size_t kMostBuckets = 160;
constexpr double kLoad = 0.76;  // at building
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
    shard.unit = new_buckets(shard.buckets);
    new (words + i) std::atomic<uint64_t>(shard.word());
  }
  directory_.store(unit | uint64_t{depth} << 32, std::memory_order_release);
}

PointTable::PointTable(BlockPool& pool, Saved saved, HashOf hash_of)
    : pool_(pool), hash_of_(std::move(hash_of)), directory_(saved.directory_word) {}

PointTable::~PointTable() = default;

Unit PointTable::new_buckets(size_t buckets) {
  size_t bytes = (buckets + kReach) * sizeof(Bucket);
  Unit unit = pool_.allocate(bytes);
  std::memset(pool_.at(unit), 0, bytes);
  return unit;
}

bool PointTable::try_lock(Bucket& bucket) {
  uint32_t word = bucket.word.load(std::memory_order_relaxed);
  bool taken =
      !(word & kLocked) && bucket.word.compare_exchange_strong(
                               word, word | kLocked, std::memory_order_acquire, std::memory_order_relaxed);
  racy::after_marking();
  return taken;
}

void PointTable::unlock(Bucket& bucket, uint32_t flags) {
  uint32_t word = bucket.word.load(std::memory_order_relaxed);
  bucket.word.store(((word & ~kLocked) | flags) + kStep, std::memory_order_release);
}

PointTable::Place PointTable::lock_home(uint64_t hash) {
  while (true) {
    Place at = locate(hash);
    if (try_lock(*at.home)) return at;
    racy::pause();
  }
}

uint32_t PointTable::free_slots(const Bucket& bucket) {
#if defined(__SSE2__) && !ORRERY_RACY_ATOMIC
  const auto* references = reinterpret_cast<const char*>(bucket.references);
  const __m128i none = _mm_setzero_si128();
  const auto zeros = [&](size_t from) {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(references + from * 4));
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, none))));
  };
  return zeros(0) | zeros(4) << 4 | zeros(6) << 6;
#else
  uint32_t slots = 0;
  for (size_t slot = 0; slot < kEntries; ++slot)
    slots |= uint32_t{bucket.references[slot].load(std::memory_order_relaxed) == 0} << slot;
  return slots;
#endif
}

// Home and the buckets behind it cannot be frozen by growth while home is held: growth locks in ascending
// order. kShared: others see the buckets; home is locked, those behind it are locked here.
template <bool kShared>
bool PointTable::put_into(Bucket* home, uint16_t mark, Reference reference) {
  for (uint16_t behind = 0; behind <= kReach; ++behind) {
    Bucket& bucket = home[behind];
    if (kShared && behind > 0)
      while (!try_lock(bucket)) racy::pause();
    const uint32_t free = free_slots(bucket);
    if (free) {
      const auto slot = static_cast<size_t>(std::countr_zero(free));
      racy::store(&bucket.marks[slot], static_cast<uint16_t>(mark | behind));
      bucket.references[slot].store(reference, std::memory_order_release);
    }
    if (kShared && behind > 0) unlock(bucket);
    if (!free) continue;
    if (behind > 0) add_flags<kShared>(*home, kSpilled);
    return true;
  }
  return false;
}

template <bool kShared>
void PointTable::add_flags(Bucket& bucket, uint32_t flags) {
  if (kShared)
    bucket.word.fetch_or(flags, std::memory_order_relaxed);
  else
    bucket.word.store(bucket.word.load(std::memory_order_relaxed) | flags, std::memory_order_relaxed);
}

void PointTable::insert(uint64_t hash, Reference reference) {
  while (true) {
    Place at = lock_home(hash);
    if (put_into<true>(at.home, at.mark, reference)) {
      unlock(*at.home);
      return;
    }
    unlock(*at.home);
    if (grow(at, hash)) continue;
    at = lock_home(hash);  // no help: the tree answers for this bucket
    bool fits = put_into<true>(at.home, at.mark, reference);
    unlock(*at.home, fits ? 0 : kLost | kSpilled);
    return;
  }
}

PointTable::Held PointTable::hold(uint64_t hash, Reference reference) {
  Place at = lock_home(hash);
  Held held{at.home, at.home, kEntries};
  for (uint16_t behind = 0; behind <= kReach; ++behind) {
    Bucket& bucket = at.home[behind];
    if (behind > 0)
      while (!try_lock(bucket)) racy::pause();
    for (size_t slot = 0; slot < kEntries; ++slot) {
      if (bucket.references[slot].load(std::memory_order_relaxed) != reference) continue;
      held.bucket = &bucket;
      held.slot = slot;
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
  Shard fresh[2];
  for (Shard& shard : fresh) {
    shard.buckets = static_cast<uint16_t>(splits ? std::max(kLeastBuckets, larger / 2) : larger);
    shard.width = from_keys ? kWidth : static_cast<uint8_t>(old.width - (splits ? 1 : 0));
    shard.depth = static_cast<uint8_t>(old.depth + (splits ? 1 : 0));
    shard.unit = &shard == fresh || splits ? new_buckets(shard.buckets) : 0;
  }
  auto put = [&](uint64_t bits,
                 Reference reference) {  // bits: the hash from the old shard's depth on, at the top
    Shard& shard = fresh[splits ? bits >> 63 : 0];
    Place at = place(shard.word(), splits ? bits << 1 >> shard.depth : bits >> shard.depth);
    if (!put_into<false>(at.home, at.mark, reference)) add_flags<false>(*at.home, kLost | kSpilled);
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
      double parts = splits ? 2.0 * fresh[0].buckets : fresh[0].buckets;
      auto first = static_cast<size_t>(static_cast<double>(b) * parts / old.buckets);
      auto last = static_cast<size_t>(static_cast<double>(b + 1) * parts / old.buckets);
      for (size_t to = first; to <= last && to < static_cast<size_t>(parts); ++to) {
        const Shard& shard = fresh[to / fresh[0].buckets];
        add_flags<false>(reinterpret_cast<Bucket*>(pool_.at(shard.unit))[to % fresh[0].buckets],
                         kLost | kSpilled);
      }
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
    words[first + i].store(fresh[splits && i >= covered / 2].word(), std::memory_order_release);
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

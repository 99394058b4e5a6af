// From the hash of a key to the place of its record: what makes a get of a present key two cache misses.
// Optional; it holds references, never keys, so the tree alone is always enough.
//
// Buckets of one cache line hold ten entries {13 bits of the hash, 3 bits: how many buckets behind its home,
// 32 bits reference}. The buckets form shards of 64 to 160; a directory by the hash's first bits leads to a
// shard. Within a shard `width` hash bits x choose bucket and entry bits as the high and low part of x *
// buckets, and while 2^(width - 13) <= buckets, x can be had back from bucket and entry exactly: a shard
// grows by a quarter, or splits in two, without touching a key, a few microseconds at a time. Each split uses
// up one bit of `width`; when few are left the hashes are made anew from the keys.
//
// Threads: a bucket's word counts its changes (a reader checks it after reading, also for the value it read
// through it) and holds a lock bit for writers. A grown shard's old buckets stay locked for ever, which sends
// everybody back to the directory. Locks are taken in ascending order of buckets, after a leaf's lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "orrery/keyindex/block_pool.h"
#include "orrery/keyindex/epoch.h"
#include "orrery/keyindex/racy.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace orrery::keyindex {

class PointTable {
 public:
  using Reference = uint32_t;  // never 0
  using HashOf = std::function<uint64_t(Reference)>;

  // For about `expected` keys. `hash_of` reads the key behind a reference; it may be called under bucket
  // locks.
  PointTable(BlockPool& pool, size_t expected, HashOf hash_of);
  // As saved: the directory lies in the pool already.
  struct Saved {
    uint64_t directory_word;
  };
  PointTable(BlockPool& pool, Saved saved, HashOf hash_of);
  ~PointTable();

  void prefetch(uint64_t hash) const { __builtin_prefetch(locate(hash).home); }

  enum class Answer { Absent, Found, Unknown };  // Unknown: ask the tree
  // Calls check(reference) for entries that may be the key's until it returns true. What check read is right
  // when Found comes back; it can be called again after it returned true.
  template <class Check>
  Answer find(uint64_t hash, Check&& check) const;
  // The same in steps for where misses are to be overlapped, and without checks of a snapshot's pages: the
  // bucket; the first entry there that may be the key's; whether the bucket is still as it was then.
  struct Bucket;
  struct Probe {
    const Bucket* bucket = nullptr;
    uint16_t mark = 0;
    uint32_t word = 0, slots = 0;
    Reference reference = 0;  // 0: none
  };
  Probe begin_probe(uint64_t hash) const { return probe_at(locate_unchecked(hash)); }
  static void read_bucket(Probe& probe);
  // Whether the entry may lie in the bucket behind; the probe is led there.
  static bool goes_on(Probe& probe);
  static bool unchanged(const Probe& probe);
  static bool says_absent(const Probe& probe);  // if it is unchanged

  // Whether no key of this hash is here or ever got lost; false says nothing.
  bool surely_absent(uint64_t hash) const {
    Probe probe = probe_at(locate(hash));
    read_bucket(probe);
    return says_absent(probe) && unchanged(probe);
  }

  void insert(uint64_t hash, Reference reference) {
    insert(hash, reference, [] {});
  }
  // Runs `write`, which makes what the reference leads to, once the bucket is locked and before others can
  // find it. A lock waits for all that was written before; this order has nothing to wait for.
  template <class Write>
  void insert(uint64_t hash, Reference reference, Write&& write);
  void remove(uint64_t hash, Reference reference);
  void replace(uint64_t hash, Reference old_reference, Reference reference);
  // Takes the entry out, if it is there; gets of this hash are Unknown from now on.
  void lose(uint64_t hash, Reference reference);
  // Runs `change` while no reader's find can end with Found through this entry.
  template <class Change>
  void change_value(uint64_t hash, Reference reference, Change&& change);

  uint64_t directory_word() const { return directory_.load(std::memory_order_relaxed); }  // for snapshots
  struct Stats {
    size_t shards = 0, buckets = 0, entries = 0, displaced = 0, lost_buckets = 0, bytes = 0;
  };
  Stats stats() const;
  // Calls visit(reference) for all; no writer may be at work.
  void for_each(const std::function<void(Reference)>& visit) const;

 private:
  static constexpr size_t kEntries = 10, kReach = 5;
  static constexpr uint32_t kLocked = 1, kSpilled = 2, kLost = 4, kStep = 8;
  static constexpr uint32_t kMarkBits = 13, kBehindBits = 3;

 public:
  struct alignas(64) Bucket {
    std::atomic<uint32_t>
        word;  // lock, spilled: entries of this home lie behind it; lost: some are not here at all
    uint16_t marks[kEntries];                     // racy
    std::atomic<Reference> references[kEntries];  // 0: free
  };
  static_assert(sizeof(Bucket) == 64);

 private:
  struct Shard {
    uint32_t unit = 0;
    uint16_t buckets = 0;
    uint8_t width = 0, depth = 0;
    uint64_t word() const {
      return unit | uint64_t{buckets} << 32 | uint64_t{width} << 48 | uint64_t{depth} << 56;
    }
    static Shard of(uint64_t word) {
      return {static_cast<uint32_t>(word), static_cast<uint16_t>(word >> 32),
              static_cast<uint8_t>(word >> 48), static_cast<uint8_t>(word >> 56)};
    }
    size_t bytes() const { return (size_t{buckets} + kReach) * sizeof(Bucket); }
  };
  struct Place {
    Bucket* home;
    uint32_t bucket;  // its number in the shard
    uint16_t mark;
    uint64_t shard;  // its word
  };
  struct Held {  // an entry whose bucket is locked, and its home
    Bucket *home = nullptr, *bucket = nullptr;
    size_t slot = 0;
  };

  const std::atomic<uint64_t>* directory(uint64_t word) const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(base_ + size_t{static_cast<Unit>(word)} * kUnit);
  }
  // width hash bits x behind the shard's depth: the bucket is the whole part of x * buckets / 2^width, the
  // mark the first bits of what is left.
  Place place(uint64_t shard_word, uint64_t hash) const {
    uint64_t unused = (0 - (shard_word >> 48)) & 63;  // 64 - width
    uint64_t x = hash << (shard_word >> 56 & 63) >> unused << unused;
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(x) * (shard_word >> 32 & 0xffff);
    auto bucket = static_cast<uint64_t>(product >> 64);
    auto mark = static_cast<uint16_t>(static_cast<uint64_t>(product) >> (64 - kMarkBits) << kBehindBits);
    auto* home = reinterpret_cast<Bucket*>(base_ + (static_cast<Unit>(shard_word) + bucket) * kUnit);
    return {home, static_cast<uint32_t>(bucket), mark, shard_word};
  }
  Place locate_unchecked(uint64_t hash) const {
    uint64_t word = directory_.load(std::memory_order_acquire);
    size_t index = hash >> 1 >> (~(word >> 32) & 63);  // the first bits, as many as the directory is deep
    return place(directory(word)[index].load(std::memory_order_acquire), hash);
  }
  Place locate(uint64_t hash) const {
    Place at = locate_unchecked(hash);
    pool_.touch(static_cast<Unit>(at.shard) + at.bucket, (kReach + 1) * sizeof(Bucket));
    return at;
  }
  static Probe probe_at(const Place& at) { return {.bucket = at.home, .mark = at.mark}; }
  static uint32_t slots_with(const Bucket& bucket, uint16_t mark);
  static bool try_lock(Bucket& bucket) {
    uint32_t word = bucket.word.load(std::memory_order_relaxed);
    bool taken =
        !(word & kLocked) && bucket.word.compare_exchange_strong(
                                 word, word | kLocked, std::memory_order_acquire, std::memory_order_relaxed);
    racy::after_marking();
    return taken;
  }
  static void unlock(Bucket& bucket, uint32_t flags = 0) {
    uint32_t word = bucket.word.load(std::memory_order_relaxed);
    bucket.word.store(((word & ~kLocked) | flags) + kStep, std::memory_order_release);
  }
  Place lock_home(uint64_t hash) {
    while (true) {
      Place at = locate(hash);
      if (try_lock(*at.home)) [[likely]]
        return at;
      racy::pause();
    }
  }
  void insert_growing(const Place& full, uint64_t hash, Reference reference);
  Held hold(uint64_t hash, Reference reference);
  static void release(const Held& held);
  static uint32_t slots_holding(const Bucket& bucket, Reference reference);  // 0: free slots
  static bool put_into(Bucket* home, uint16_t mark, Reference reference);
  class FreshShard;
  bool grow(const Place& place, uint64_t hash);
  void double_directory(uint64_t& word);
  Bucket* new_buckets(Shard& shard);  // names them in `shard`

  BlockPool& pool_;
  char* const base_ = pool_.at(0);
  HashOf hash_of_;
  std::atomic<uint64_t> directory_{0};  // unit, depth << 32
  std::mutex growing_;
};

inline uint32_t PointTable::slots_with(const Bucket& bucket, uint16_t mark) {
#if defined(__SSE2__) && !ORRERY_RACY_ATOMIC
  // The first 32 bytes as 16-bit lanes: two of the word, ten marks, four of references.
  const auto* lanes = reinterpret_cast<const __m128i*>(&bucket);
  const __m128i wanted = _mm_set1_epi16(static_cast<short>(mark));
  __m128i low = _mm_cmpeq_epi16(_mm_load_si128(lanes), wanted);
  __m128i high = _mm_cmpeq_epi16(_mm_load_si128(lanes + 1), wanted);
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) >> 2 & 0x3ff;
#else
  uint32_t slots = 0;
  for (size_t i = 0; i < kEntries; ++i)
    slots |= uint32_t{racy::load<uint16_t>(&bucket.marks[i]) == mark} << i;
  return slots;
#endif
}

template <class Check>
PointTable::Answer PointTable::find(uint64_t hash, Check&& check) const {
again:
  Place at = locate(hash);
  const Bucket* bucket = at.home;
  uint32_t home_word = 0;
  for (uint16_t behind = 0; behind <= kReach; ++behind, ++bucket) {
    uint32_t word = bucket->word.load(std::memory_order_acquire);
    if (word & kLocked) [[unlikely]] {
      racy::pause();
      goto again;
    }
    if (behind == 0) home_word = word;
    for (uint32_t slots = slots_with(*bucket, at.mark | behind); slots; slots &= slots - 1) {
      Reference reference = bucket->references[__builtin_ctz(slots)].load(std::memory_order_acquire);
      if (reference == 0 || !check(reference)) continue;
      racy::before_validation();
      if (bucket->word.load(std::memory_order_relaxed) != word) [[unlikely]]
        goto again;
      return Answer::Found;
    }
    racy::before_validation();
    if (bucket->word.load(std::memory_order_relaxed) != word) [[unlikely]]
      goto again;
    if (!(home_word & kSpilled)) break;
  }
  return home_word & kLost ? Answer::Unknown : Answer::Absent;
}

inline void PointTable::read_bucket(Probe& probe) {
  probe.word = probe.bucket->word.load(std::memory_order_acquire);
  probe.slots = slots_with(*probe.bucket, probe.mark);
  if (probe.slots)
    probe.reference = probe.bucket->references[__builtin_ctz(probe.slots)].load(std::memory_order_acquire);
}

inline bool PointTable::goes_on(Probe& probe) {
  if (probe.reference || (probe.word & (kSpilled | kLocked)) != kSpilled) return false;
  ++probe.bucket;
  ++probe.mark;
  read_bucket(probe);
  return true;
}

inline bool PointTable::unchanged(const Probe& probe) {
  racy::before_validation();
  return !(probe.word & kLocked) && probe.bucket->word.load(std::memory_order_relaxed) == probe.word;
}

inline bool PointTable::says_absent(const Probe& probe) {
  return !(probe.word & (kSpilled | kLost)) && probe.slots == 0;
}

template <class Write>
void PointTable::insert(uint64_t hash, Reference reference, Write&& write) {
  Place at = lock_home(hash);
  write();
  const bool fits = put_into(at.home, at.mark, reference);
  unlock(*at.home);
  if (!fits) [[unlikely]]
    insert_growing(at, hash, reference);
}

template <class Change>
void PointTable::change_value(uint64_t hash, Reference reference, Change&& change) {
  Held held = hold(hash, reference);
  change();
  release(held);
}

}  // namespace orrery::keyindex

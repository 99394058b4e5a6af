// A leaf: up to 64 records with neighbouring keys in one block of at most 4 KiB, in place.
//
//   tags[64]      one hash byte a slot (0: none), so that a get compares one key
//   header        version word, id, counts, the bytes that all keys share
//   offsets[64]   where the record of a slot begins, from the start of the block (even)
//   heads[64]     the first four bytes of each key after the shared ones, big-endian, for order
//   heap          records {u16 meta, u64 value, key bytes}, appended and never moved within a block
//
// Slots [0, sorted) are in key order; a short tail behind them is in order of arrival and is merged when it
// is full or when a scan comes. The records that a leaf without a name in the point table was built with lie
// in order of their hash, so that the place of one is known from the hash to within a few cache lines before
// the leaf has been read; those of a leaf with one in order of key. Where the keys share 16 bytes or more,
// records hold only what follows. A key longer than kInlineKey bytes lies in a block of its own, whole.
//
// Threads: a writer holds the lock bit of the version word; a reader takes the word before and after reading
// and reads again where it changed or was locked. A leaf that has been replaced (kReplaced) is never changed
// again: what a reader finds in it was true when it was replaced. Key bytes and block-wide fields never
// change.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "orrery/keyindex/block_pool.h"
#include "orrery/keyindex/racy.h"
#include "orrery/keyindex/wide.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace orrery::keyindex {

inline constexpr size_t kSlots = 64;
inline constexpr size_t kTail = 16;         // unsorted slots at most
inline constexpr size_t kLeafBytes = 4096;  // at most, so that half an offset fits 11 bits
inline constexpr size_t kInlineKey = 480;   // longer keys lie out of line
// Shared bytes from which records leave them out: more than a short key (key_hash.h) has, so that a get of
// one need not look which way its record went.
inline constexpr size_t kStrippedFrom = 16;
inline constexpr size_t kSharedAtMost = 512;
inline constexpr size_t kRecordHead = 10;  // meta and value
inline constexpr uint16_t kOutOfLine =
    0x8000;  // meta: the record holds {u32 unit, u32 size} of the key's block
inline constexpr uint16_t kWholeKey = 0x4000;  // meta: the record's bytes are the whole key
inline constexpr uint16_t kSizeMask = 0x0fff;

inline uint8_t tag_of(uint64_t hash) {
  auto tag = static_cast<uint8_t>(hash);
  return tag == 0 ? 1 : tag;
}
inline uint32_t place_of(uint64_t hash) {  // 16 bits: the order of records in the heap
  return static_cast<uint32_t>(hash >> 8) & 0xffff;
}
inline uint32_t head_of(std::string_view bytes) {  // big-endian, zeros behind a short one
  uint32_t head = 0;
  if (bytes.size() >= 4) {
    std::memcpy(&head, bytes.data(), 4);
    return std::endian::native == std::endian::little ? __builtin_bswap32(head) : head;
  }
  for (size_t i = 0; i < 4; ++i)
    head = head << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u);
  return head;
}
// A record as it lies in a heap.
struct Record {
  const char* at;
  uint16_t meta() const {
    uint16_t meta;
    std::memcpy(&meta, at, 2);
    return meta;
  }
  size_t size() const { return meta() & kSizeMask; }  // of the bytes behind the value
  const char* bytes() const { return at + kRecordHead; }
  uint64_t value() const { return racy::load<uint64_t>(at + 2); }  // under a version check, or the lock
  Unit key_block() const {
    Unit unit;
    std::memcpy(&unit, bytes(), 4);
    return unit;
  }
  uint32_t key_block_size() const {
    uint32_t size;
    std::memcpy(&size, bytes() + 4, 4);
    return size;
  }
};

// What a leaf is built from: keys in order, given as the bytes behind a base that all share.
struct LeafEntry {
  std::string_view rest;
  Unit key_block = 0;     // where the key lies out of line
  uint32_t key_size = 0;  // of the whole key
  uint64_t value = 0;
  uint64_t hash = 0;
};

class Leaf {
 public:
  static constexpr uint32_t kLocked = 1, kReplaced = 2, kStep = 4;
  static constexpr size_t kHeader = 64 + 4 + 4 + 6 * 2;  // where the shared bytes begin
  static constexpr size_t kArrays = kSlots * 6;          // offsets and heads

  uint8_t tags[kSlots];
  std::atomic<uint32_t> version;
  uint32_t id;                                  // names it in the point table; 0: has no name there
  uint16_t capacity;                            // bytes of the block
  uint16_t built_end;                           // where the records in hash order end
  uint16_t shared;                              // bytes that all keys share
  uint16_t slots_sorted, slots_used, heap_end;  // racy
  char shared_bytes[4];                         // and on, behind the struct

  static const Leaf* at(const BlockPool& pool, Unit unit) {
    return reinterpret_cast<const Leaf*>(pool.at(unit));
  }
  static Leaf* mutable_at(const BlockPool& pool, Unit unit) { return reinterpret_cast<Leaf*>(pool.at(unit)); }

  // --- fields that never change in a block
  const char* base() const { return reinterpret_cast<const char*>(this); }
  char* base() { return reinterpret_cast<char*>(this); }
  std::string_view shared_part() const { return {base() + kHeader, shared}; }
  size_t stripped() const { return shared >= kStrippedFrom ? shared : 0; }  // bytes that records leave out
  size_t offsets_at() const { return (kHeader + shared + 3) & ~size_t{3}; }
  size_t heads_at() const { return offsets_at() + kSlots * 2; }
  size_t heap_at() const { return offsets_at() + kArrays; }

  // --- racy fields
  size_t sorted() const { return racy::load<uint16_t>(&slots_sorted); }
  size_t used() const {
    size_t count = racy::load<uint16_t>(&slots_used);
    return count <= kSlots ? count : kSlots;
  }
  size_t offset(size_t slot) const { return racy::load<uint16_t>(base() + offsets_at() + 2 * slot); }
  uint32_t head(size_t slot) const { return racy::load<uint32_t>(base() + heads_at() + 4 * slot); }
  Record record(size_t slot) const { return {base() + offset(slot)}; }

  static std::string_view long_key(const BlockPool& pool, Record record) {
    pool.touch(record.key_block(), record.key_block_size());
    return {pool.at(record.key_block()), record.key_block_size()};
  }
  // The bytes of a record's key behind those that the leaf's keys share.
  std::string_view key_after_shared(const BlockPool& pool, Record record) const {
    if (record.meta() & kOutOfLine) return long_key(pool, record).substr(shared);
    return std::string_view(record.bytes(), record.size()).substr(shared - stripped());
  }

  template <bool kWide = false>
  bool shares(std::string_view key) const {
    return key.size() >= shared && same_bytes<kWide>(key.data(), base() + kHeader, shared);
  }

  // --- reading
  uint32_t begin_reading() const {
    uint32_t seen = version.load(std::memory_order_acquire);
    while (seen & kLocked) {
      racy::pause();
      seen = version.load(std::memory_order_acquire);
    }
    return seen;
  }
  bool unchanged(uint32_t seen) const {
    racy::before_validation();
    return version.load(std::memory_order_relaxed) == seen;
  }

  // A bit a slot whose tag is `tag`.
  template <bool kWide = false>
  uint64_t slots_with(uint8_t tag) const;
  template <bool kWide = false>
  static bool holds(const BlockPool& pool, Record record, std::string_view key, size_t stripped) {
    uint16_t meta = record.meta();
    if (meta & kOutOfLine) [[unlikely]]
      return record.key_block_size() == key.size() && long_key(pool, record) == key;
    return (meta & kSizeMask) == key.size() - stripped &&
           same_bytes<kWide>(record.bytes(), key.data() + stripped, key.size() - stripped);
  }
  // The slot of a key, or kSlots. `key` has the shared bytes where stripped() > 0.
  template <bool kWide = false>
  size_t find(const BlockPool& pool, std::string_view key, uint64_t hash) const {
    size_t without = stripped();
    for (uint64_t slots = slots_with<kWide>(tag_of(hash)); slots; slots &= slots - 1) {
      auto slot = static_cast<size_t>(__builtin_ctzll(slots));
      if (holds<kWide>(pool, record(slot), key, without)) return slot;
    }
    return kSlots;
  }
  // Of the sorted slots, how many have keys below `key` (which has the shared bytes).
  size_t rank(const BlockPool& pool, std::string_view key) const;
  ORRERY_WIDE size_t rank_wide(const BlockPool& pool, std::string_view key) const;

  // --- writing; the caller holds the lock
  bool lock() {  // false: it has been replaced
    uint32_t seen = version.load(std::memory_order_relaxed);
    while (true) {
      if (seen & kReplaced) return false;
      if (!(seen & kLocked) && version.compare_exchange_weak(seen, seen | kLocked, std::memory_order_acquire,
                                                             std::memory_order_relaxed))
        break;
      racy::pause();
      seen = version.load(std::memory_order_relaxed);
    }
    racy::after_marking();
    return true;
  }
  bool try_lock() {
    uint32_t seen = version.load(std::memory_order_relaxed);
    bool taken = !(seen & (kLocked | kReplaced)) &&
                 version.compare_exchange_strong(seen, seen | kLocked, std::memory_order_acquire,
                                                 std::memory_order_relaxed);
    racy::after_marking();
    return taken;
  }
  void unlock(bool replaced = false) {
    uint32_t held = version.load(std::memory_order_relaxed);
    version.store(((held & ~kLocked) + kStep) | (replaced ? kReplaced : 0u), std::memory_order_release);
  }
  static size_t record_bytes(size_t bytes) { return (kRecordHead + bytes + 1) & ~size_t{1}; }
  bool has_room(size_t key_bytes) const {
    return slots_used < kSlots && heap_end + record_bytes(key_bytes) <= capacity;
  }
  // The new record begins at heap_end. `key` has the shared bytes; key_block is 0 or where its bytes lie.
  void append(std::string_view key, Unit key_block, uint64_t hash, uint64_t value);
  bool tail_full() const { return slots_used - slots_sorted >= static_cast<int>(kTail); }
  void merge_tail(const BlockPool& pool);
  void remove(size_t slot);
  void set_value(size_t slot, uint64_t value) { racy::store(base() + offset(slot) + 2, value); }
};
static_assert(offsetof(Leaf, shared_bytes) == Leaf::kHeader);

// Bytes that `entries` take as one leaf with no room, and the leaf's shared bytes: `base` and what the
// entries share behind it.
struct LeafShape {
  size_t shared = 0, bytes = 0, heap = 0;
};
// `base` is at most kSharedAtMost bytes.
LeafShape leaf_shape(std::string_view base, std::span<const LeafEntry> entries);
// Builds a leaf with room for `room` more records of the mean size; the block has its size in `capacity`.
Unit build_leaf(BlockPool& pool, std::string_view base, std::span<const LeafEntry> entries, size_t room,
                uint32_t id, bool locked);
// The same leaf in a block with room for `bytes` more; same offsets, locked. Its original must be locked.
Unit grow_leaf(BlockPool& pool, const Leaf& leaf, size_t bytes);

template <bool kWide>
inline uint64_t Leaf::slots_with(uint8_t tag) const {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return equal_among_64_wide(tags, tag);
#endif
#if defined(__SSE2__)
#if ORRERY_RACY_ATOMIC
  uint8_t copy[kSlots];
  racy::read(copy, tags, sizeof copy);
  const uint8_t* from = copy;
#else
  const uint8_t* from = tags;
#endif
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(tag));
  uint64_t slots = 0;
  for (int part = 3; part >= 0; --part) {
    __m128i have = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * part));
    slots = slots << 16 | static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(have, wanted)));
  }
  return slots;
#else
  uint8_t copy[kSlots];
  racy::read(copy, tags, sizeof copy);
  uint64_t slots = 0;
  for (size_t slot = 0; slot < kSlots; ++slot) slots |= uint64_t{copy[slot] == tag} << slot;
  return slots;
#endif
}

}  // namespace orrery::keyindex

// The inside of a StringIndex: the way from a key to its record, and who may change what.
//
// Locks, in the order in which they may be taken: a leaf's lock bit, the structure mutex (inner nodes), ids,
// the table's buckets. A leaf's neighbour is only ever tried, never waited for. A leaf that is replaced stays
// as it was; the new ones are locked until the point table leads to them, so that no value can change while
// some readers still see the old.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/keyindex/block_pool.h"
#include "orrery/keyindex/epoch.h"
#include "orrery/keyindex/inner_node.h"
#include "orrery/keyindex/key_hash.h"
#include "orrery/keyindex/leaf.h"
#include "orrery/keyindex/point_table.h"
#include "orrery/keyindex/string_index.h"
#include "orrery/keyindex/wide.h"

namespace orrery::keyindex {

inline constexpr size_t kLoadedSlots = 48;    // of a leaf at bulk load, and the most that a merge makes
inline constexpr size_t kLoadedBytes = 3520;  // of a leaf at bulk load, at most
inline constexpr size_t kRoom = 16;           // records that a new leaf has room for: all that its slots take
inline constexpr size_t kMergeBelow = 12;     // a leaf with fewer slots looks for a neighbour
inline constexpr size_t kMergedSlots = 40;    // at most so many together
inline constexpr uint32_t kIdBits = 21, kOffsetBits = 11;
inline constexpr uint32_t kIds = 1u << kIdBits;  // leaves beyond that many are not in the point table

// Where a descent ended.
struct Path {
  Unit node = 0;     // of level 1
  size_t child = 0;  // in it
  Unit leaf = 0;
};

class StringIndex::Impl {
 public:
  explicit Impl(IndexOptions options);  // empty
  explicit Impl(const std::string& snapshot);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  // --- reading (index_read.cc)
  std::optional<uint64_t> get(std::string_view key) const {
    Answer answer = getter.load(std::memory_order_relaxed)(*this, key);
    return answer.found ? std::optional(answer.value) : std::nullopt;
  }
  void get_batch(const std::string_view* keys, uint64_t* values, uint8_t* found, size_t count) const;
  Path descend(std::string_view key) const { return wide ? descend_wide(key) : descend_as<false>(key); }
  Path edge(bool last) const;                        // the first or last leaf
  Path descend_below(std::string_view bound) const;  // the leaf before a separator
  const InnerNode& node(Unit unit) const {
    const InnerNode& node = *InnerNode::at(pool, unit);
    pool.touch(unit, InnerNode::kHeader);
    pool.touch(unit, node.bytes);
    return node;
  }
  const Leaf& leaf(Unit unit) const {
    const Leaf& leaf = *Leaf::at(pool, unit);
    pool.touch(unit, sizeof(Leaf));
    pool.touch(unit, leaf.capacity);
    return leaf;
  }
  Leaf& leaf(Unit unit) { return const_cast<Leaf&>(static_cast<const Impl*>(this)->leaf(unit)); }

  // --- writing (index_write.cc)
  enum class Mode { Insert, Put };
  bool write(std::string_view key, uint64_t value, Mode mode);
  bool remove(std::string_view key);

  // --- building and looking (index_load.cc, index_verify.cc, snapshot.cc)
  void bulk_load(const std::function<bool(std::string_view&, uint64_t&)>& next, uint64_t expected);
  void clear();
  IndexStats stats() const;
  void verify() const;
  void save(const std::string& path) const;
  void load(const std::string& path);

  // The records of a leaf in order of key, as slots.
  static size_t slots_in_order(const BlockPool& pool, const Leaf& leaf, uint8_t* slots);

  const bool wide = has_wide();
  // An optional that fits two registers, so that one getter can jump into the other.
  struct Answer {
    uint64_t value = 0, found = 0;
    static Answer of(const std::optional<uint64_t>& value) { return {value.value_or(0), value.has_value()}; }
  };
  // The way of get() that fits the processor, the table and whether pages of a snapshot are unchecked.
  using Getter = Answer (*)(const Impl&, std::string_view);
  mutable std::atomic<Getter> getter{nullptr};
  void choose_getter() const;
  mutable BlockPool pool;
  std::atomic<Unit> root{0};
  std::unique_ptr<PointTable> table;
  IndexOptions options;

  // Ids of leaves: addresses[id] is the leaf's block.
  std::atomic<Unit>* addresses = nullptr;
  uint32_t reference(uint32_t id, size_t offset) const {
    return id << kOffsetBits | static_cast<uint32_t>(offset / 2);
  }

  // Counts, spread over lines so that writers do not share one.
  struct alignas(64) Count {
    std::atomic<int64_t> keys{0}, key_bytes{0};
  };
  mutable std::array<Count, 32> counts;
  int64_t total(std::atomic<int64_t> Count::*what) const {
    int64_t sum = 0;
    for (Count& count : counts) sum += (count.*what).load(std::memory_order_relaxed);
    return sum;
  }

  mutable std::atomic<bool> writers_stopped{false};
  mutable std::mutex saving;
  std::atomic<uint64_t> splits{0}, merges{0}, growths{0};

  uint32_t new_id();  // 0: none left
  void retire_id(uint32_t id);
  mutable std::mutex ids;
  uint32_t next_id = 1;
  std::vector<uint32_t> free_ids;
  std::deque<std::pair<uint32_t, uint64_t>> retired_ids;  // id, epoch
  mutable std::mutex structure;

  static Hint hint_of(const Leaf& leaf) {
    size_t heap = leaf.heap_at() / 32, length = (leaf.built_end - leaf.heap_at()) / 32;
    return static_cast<Hint>(heap | length << 6);
  }

 private:
  friend class Cursor;
  void reserve_addresses();
  struct Rebuilt;
  PointTable::HashOf hash_reader();

  // Each in two ways (wide.h); the names in _wide are what a function for any processor may call.
  template <bool kWide>
  Path descend_as(std::string_view key) const;
  template <bool kWide, bool kShort>  // kShort: of at most kShortKey bytes
  Answer get_through_table(std::string_view key, uint64_t hash) const;
  template <bool kWide>
  std::optional<uint64_t> get_from_tree(std::string_view key, uint64_t hash) const;
  template <bool kWide>
  std::optional<uint64_t> get_from_leaf(Unit unit, std::string_view key, uint64_t hash) const;
  template <bool kWide>
  void get_batch_as(const std::string_view* keys, uint64_t* values, uint8_t* found, size_t count) const;
  template <bool kWide>
  void batch_from_table(const std::string_view* key, uint64_t* values, uint8_t* found, size_t many) const;
  template <bool kWide>
  void batch_from_tree(const std::string_view* key, uint64_t* values, uint8_t* found, size_t many) const;
  template <bool kWide, bool kShort>
  bool is_record_of(const char* block, uint32_t reference, std::string_view key) const;
  ORRERY_WIDE Path descend_wide(std::string_view key) const;
  template <bool kWide>
  Answer get_through_tree(std::string_view key) const;
  ORRERY_WIDE static Answer get_long_through_table_wide(const Impl& index, std::string_view key);
  ORRERY_WIDE static Answer get_through_table_wide(const Impl& index, std::string_view key);
  ORRERY_WIDE static Answer get_through_tree_wide(const Impl& index, std::string_view key);
  static Answer get_through_table_plain(const Impl& index, std::string_view key);
  static Answer get_through_tree_plain(const Impl& index, std::string_view key);
  static Answer get_from_image(const Impl& index, std::string_view key);
  ORRERY_WIDE void get_batch_wide(const std::string_view* keys, uint64_t* values, uint8_t* found,
                                  size_t count) const;
  __attribute__((noinline)) Answer get_carefully(std::string_view key) const;
  bool read_record(uint32_t reference, std::string_view key, uint64_t& value) const;
  const char* block_of(uint32_t reference) const {
    return pool.at(addresses[reference >> kOffsetBits].load(std::memory_order_acquire));
  }
  static size_t offset_of(uint32_t reference) { return (reference & ((1u << kOffsetBits) - 1)) * 2; }
  void prefetch_for_writing(const Path& path) const;
  void prefetch_whole(const InnerNode& above, size_t child) const;
  template <bool kAlone>  // no other get is under way beside this one
  void prefetch_leaf(Unit unit, Hint hint, uint64_t hash) const;
  void count(uint32_t thread, int64_t keys, int64_t bytes) {
    Count& mine = counts[std::min<size_t>(thread, counts.size() - 1)];
    if (thread < counts.size() - 1) {  // its alone
      mine.keys.store(mine.keys.load(std::memory_order_relaxed) + keys, std::memory_order_relaxed);
      mine.key_bytes.store(mine.key_bytes.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
    } else {
      mine.keys.fetch_add(keys, std::memory_order_relaxed);
      mine.key_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
  }
  void append(Leaf& leaf, std::string_view key, uint64_t hash, uint64_t value);
  Leaf* grow(Leaf& leaf, Unit unit, std::string_view key);
  void split(Leaf& leaf, Unit unit, std::string_view key, uint64_t hash, uint64_t value);
  bool merge(Leaf& leaf, Unit unit, std::string_view key);
  void cut(Rebuilt& rebuilt, size_t pieces, bool appending);
  void move_references(const Rebuilt& rebuilt);
  Unit new_key_block(std::string_view key);

  // Under the structure mutex: the nodes from the root to `level` on the way to `key`.
  struct Step {
    Unit node;
    size_t child;
  };
  std::vector<Step> way_to(std::string_view key) const;
  void commit(const std::vector<Step>& way, size_t depth, InnerPlan plan);
};

}  // namespace orrery::keyindex

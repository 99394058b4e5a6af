#include <algorithm>

#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kBatch = 16;     // gets in flight: about as many misses as a core keeps open
constexpr size_t kNodeLines = 8;  // of an inner node, fetched at once: its trie reads one after the other

}  // namespace

// The tags, the header with the offsets behind it, and where the records of this hash lie if they were built
// in order of hash: half the square root of their number, in records, off on either side.
inline void StringIndex::Impl::prefetch_leaf(Unit unit, Hint hint, uint64_t hash) const {
  const char* block = pool.at(unit);
  size_t heap = (hint & 63u) * 32, length = (hint >> 6) * 32u;
  const char* guess = block + heap + (length * place_of(hash) >> 16);
  __builtin_prefetch(block);
  __builtin_prefetch(block + 64);
  __builtin_prefetch(guess);
  __builtin_prefetch(block + 128);
  __builtin_prefetch(guess - 64);
  __builtin_prefetch(guess + 64);
  __builtin_prefetch(block + 192);
  if (length > 1024) {
    __builtin_prefetch(guess - 128);
    __builtin_prefetch(guess + 128);
  }
}

Path StringIndex::Impl::descend(std::string_view key) const {
  Unit unit = root.load(std::memory_order_acquire);
  while (true) {
    const InnerNode& inner = node(unit);
    size_t child = inner.find(key);
    Unit below = inner.child(child).load(std::memory_order_acquire);
    if (inner.level == 1) return {unit, child, below};
    const char* block = pool.at(below);
    for (size_t line = 0; line < kNodeLines; ++line) __builtin_prefetch(block + 64 * line);
    unit = below;
  }
}

Path StringIndex::Impl::edge(bool last) const {
  Unit unit = root.load(std::memory_order_acquire);
  while (true) {
    const InnerNode& inner = node(unit);
    size_t child = last ? inner.children - 1u : 0u;
    Unit below = inner.child(child).load(std::memory_order_acquire);
    if (inner.level == 1) return {unit, child, below};
    unit = below;
  }
}

Path StringIndex::Impl::descend_below(std::string_view bound) const {
  Unit unit = root.load(std::memory_order_acquire);
  while (true) {
    const InnerNode& inner = node(unit);
    size_t child = inner.find(bound);
    if (child > 0 && inner.separator(child) == bound) --child;
    Unit below = inner.child(child).load(std::memory_order_acquire);
    if (inner.level == 1) return {unit, child, below};
    unit = below;
  }
}

// Whether a reference from the table is this key's, and its value then; to be validated by the table.
inline bool StringIndex::Impl::read_record(uint32_t reference, std::string_view key, uint64_t& value) const {
  Unit unit = addresses[reference >> kOffsetBits].load(std::memory_order_acquire);
  pool.touch(unit, kLeafBytes);
  const auto* block = reinterpret_cast<const Leaf*>(pool.at(unit));
  Record record{block->base() + (reference & ((1u << kOffsetBits) - 1)) * 2};
  size_t stripped = 0;
  if (!(record.meta() & kWholeKey)) {
    if (!block->shares(key)) return false;
    stripped = block->stripped();
  }
  if (!Leaf::holds(pool, record, key, stripped)) return false;
  value = record.value();
  return true;
}

inline std::optional<uint64_t> StringIndex::Impl::get_from_leaf(Unit unit, std::string_view key,
                                                                uint64_t hash) const {
  const Leaf& found = leaf(unit);
  while (true) {
    uint32_t seen = found.begin_reading();
    std::optional<uint64_t> value;
    if (found.shares(key)) {
      size_t slot = found.find(pool, key, hash);
      if (slot < kSlots) value = found.record(slot).value();
    }
    if (found.unchanged(seen)) return value;
  }
}

std::optional<uint64_t> StringIndex::Impl::get_from_tree(std::string_view key, uint64_t hash) const {
  Path path = descend(key);
  prefetch_leaf(path.leaf, InnerNode::at(pool, path.node)->hint(path.child).load(std::memory_order_relaxed),
                hash);
  return get_from_leaf(path.leaf, key, hash);
}

std::optional<uint64_t> StringIndex::Impl::get(std::string_view key) const {
  if (key.size() > kLongestKey) return std::nullopt;
  uint64_t hash = hash_key(key);
  EpochGuard inside;
  if (table) {
    uint64_t value = 0;
    PointTable::Answer answer =
        table->find(hash, [&](uint32_t reference) { return read_record(reference, key, value); });
    if (answer == PointTable::Answer::Found) return value;
    if (answer == PointTable::Answer::Absent) return std::nullopt;
  }
  return get_from_tree(key, hash);
}

// The leaves of several keys, their descents interleaved: all paths in one tree are equally long.
void StringIndex::Impl::batch_leaves(const std::string_view* key, const uint64_t* hash, Unit* at,
                                     size_t many) const {
  Unit start = root.load(std::memory_order_acquire);
  std::fill_n(at, many, start);
  for (uint16_t level = node(start).level; level > 0; --level) {
    for (size_t i = 0; i < many; ++i) {
      const InnerNode& inner = node(at[i]);
      size_t child = inner.find(key[i]);
      at[i] = inner.child(child).load(std::memory_order_acquire);
      if (level == 1) {
        prefetch_leaf(at[i], inner.hint(child).load(std::memory_order_relaxed), hash[i]);
        continue;
      }
      const char* block = pool.at(at[i]);
      for (size_t line = 0; line < kNodeLines; ++line) __builtin_prefetch(block + 64 * line);
    }
  }
}

void StringIndex::Impl::get_batch(const std::string_view* keys, uint64_t* values, uint8_t* found,
                                  size_t count) const {
  EpochGuard inside;
  for (size_t begin = 0; begin < count; begin += kBatch) {
    size_t many = std::min(kBatch, count - begin);
    const std::string_view* key = keys + begin;
    uint64_t hash[kBatch];
    Unit leaves[kBatch];
    for (size_t i = 0; i < many; ++i) hash[i] = hash_key(key[i]);
    if (table) {
      for (size_t i = 0; i < many; ++i) table->prefetch(hash[i]);
      for (size_t i = 0; i < many; ++i) {
        uint32_t reference = table->guess(hash[i]);
        const char* block = pool.at(addresses[reference >> kOffsetBits].load(std::memory_order_acquire));
        const char* record = block + (reference & ((1u << kOffsetBits) - 1)) * 2;
        __builtin_prefetch(record);
        __builtin_prefetch(record + std::min<size_t>(key[i].size() + kRecordHead, 127));
        if (key[i].size() > 2 * kStrippedFrom) {  // it may be a leaf that strips what its keys share
          __builtin_prefetch(block + 64);
          __builtin_prefetch(block + 128);
        }
      }
    } else {
      batch_leaves(key, hash, leaves, many);
    }
    for (size_t i = 0; i < many; ++i) {
      std::optional<uint64_t> value;
      uint64_t seen = 0;
      PointTable::Answer answer = PointTable::Answer::Unknown;
      if (table)
        answer =
            table->find(hash[i], [&](uint32_t reference) { return read_record(reference, key[i], seen); });
      if (answer == PointTable::Answer::Found)
        value = seen;
      else if (answer == PointTable::Answer::Unknown)
        value = table ? get_from_tree(key[i], hash[i]) : get_from_leaf(leaves[i], key[i], hash[i]);
      found[begin + i] = value.has_value();
      if (value) values[begin + i] = *value;
    }
  }
}

}  // namespace orrery::keyindex

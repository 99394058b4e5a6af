#include <algorithm>

#include "orrery/keyindex/index_impl.h"
#include "orrery/keyindex/inner_trie.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kBatch = 16;     // gets in flight: about as many misses as a core keeps open
constexpr size_t kNodeLines = 8;  // of an inner node, fetched at once: its trie reads one after the other

}  // namespace

// The tags, the header with the offsets behind it, and where the records of this hash lie if they were built
// in order of hash: half the square root of their number, in records, off on either side.
template <bool kAlone>
inline void StringIndex::Impl::prefetch_leaf(Unit unit, Hint hint, uint64_t hash) const {
  const auto fetch = [](const char* line) {
    if constexpr (kAlone)
      racy::fetch(line);
    else
      __builtin_prefetch(line);
  };
  const char* block = pool.at(unit);
  size_t heap = (hint & 63u) * 32, length = (hint >> 6) * 32u;
  const char* guess = block + heap + (length * place_of(hash) >> 16);
  fetch(block);
  fetch(block + 64);
  fetch(guess);
  fetch(block + 128);
  fetch(guess - 64);
  fetch(guess + 64);
  fetch(block + 192);
  if (length > 896) {
    fetch(guess - 128);
    fetch(guess + 128);
  }
}

template <bool kWide>
inline Path StringIndex::Impl::descend_as(std::string_view key) const {
  Unit unit = root.load(std::memory_order_acquire);
  while (true) {
    const InnerNode& inner = node(unit);
    size_t child = inner.find_as<kWide>(key);
    Unit below = inner.child(child).load(std::memory_order_acquire);
    if (inner.level == 1) return {unit, child, below};
    if (inner.level == 2) {  // nodes above are few and in the cache
      const char* block = pool.at(below);
      for (size_t line = 0; line < kNodeLines; ++line) __builtin_prefetch(block + 64 * line);
    }
    unit = below;
  }
}
template Path StringIndex::Impl::descend_as<false>(std::string_view key) const;

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
  pool.touch(addresses[reference >> kOffsetBits].load(std::memory_order_acquire), kLeafBytes);
  const char* block = block_of(reference);
  const auto* leaf = reinterpret_cast<const Leaf*>(block);
  Record record{block + offset_of(reference)};
  size_t stripped = 0;
  if (!(record.meta() & kWholeKey)) {
    if (!leaf->shares(key)) return false;
    stripped = leaf->stripped();
  }
  if (!Leaf::holds(pool, record, key, stripped)) return false;
  value = record.value();
  return true;
}

// The same for inline keys, without checks of pages. Which way a record was written comes from memory late,
// and a branch on it that went the wrong way would throw away what later gets have under way. Short keys
// nearly all lie whole; for long ones both ways take the same steps.
template <bool kWide, bool kShort>
inline bool StringIndex::Impl::is_record_of(const char* block, uint32_t reference,
                                            std::string_view key) const {
  Record record{block + offset_of(reference)};
  size_t meta = record.meta();
  if constexpr (kShort)
    return meta == (key.size() | kWholeKey) &&
           same_short_bytes<kWide>(record.bytes(), key.data(), key.size());
  const auto* leaf = reinterpret_cast<const Leaf*>(block);
  const size_t whole = meta / kWholeKey & 1, stripped = leaf->shared & (whole - 1);
  const size_t left = key.size() - stripped;
  return stripped <= key.size() && meta == (left | whole * kWholeKey) &&
         same_long_bytes<kWide>(record.bytes(), key.data() + stripped, left) &&
         same_long_bytes<kWide>(block + Leaf::kHeader, key.data(), stripped);
}

template <bool kWide>
inline std::optional<uint64_t> StringIndex::Impl::get_from_leaf(Unit unit, std::string_view key,
                                                                uint64_t hash) const {
  const Leaf& found = leaf(unit);
  while (true) {
    uint32_t seen = found.begin_reading();
    std::optional<uint64_t> value;
    if (found.shared < kStrippedFrom || found.shares<kWide>(key)) {
      size_t slot = found.find<kWide>(pool, key, hash);
      if (slot < kSlots) value = found.record(slot).value();
    }
    if (found.unchanged(seen)) return value;
  }
}

template <bool kWide>
inline std::optional<uint64_t> StringIndex::Impl::get_from_tree(std::string_view key, uint64_t hash) const {
  Path path = descend_as<kWide>(key);
  prefetch_leaf<true>(path.leaf,
                      InnerNode::at(pool, path.node)->hint(path.child).load(std::memory_order_relaxed), hash);
  return get_from_leaf<kWide>(path.leaf, key, hash);
}
template std::optional<uint64_t> StringIndex::Impl::get_from_tree<false>(std::string_view key,
                                                                         uint64_t hash) const;

// For what the quick ways leave: displaced entries, long keys, pages of a snapshot that may be damaged,
// writers in the way.
StringIndex::Impl::Answer StringIndex::Impl::get_carefully(std::string_view key) const {
  if (key.size() > kLongestKey) return {};
  uint64_t hash = hash_key(key);
  EpochGuard inside;
  if (table) {
    uint64_t value = 0;
    PointTable::Answer answer =
        table->find(hash, [&](uint32_t reference) { return read_record(reference, key, value); });
    if (answer == PointTable::Answer::Found) return {value, 1};
    if (answer == PointTable::Answer::Absent) return {};
  }
  return Answer::of(get_from_tree<false>(key, hash));
}

// Nearly all gets of present keys end in here: less than a hundred instructions, so that the processor has
// the misses of the next ones under way meanwhile.
template <bool kWide, bool kShort>
inline StringIndex::Impl::Answer StringIndex::Impl::get_through_table(std::string_view key,
                                                                      uint64_t hash) const {
  epoch::Thread* thread = epoch::mine;
  if (!thread || thread->inside.load(std::memory_order_relaxed) != 0) [[unlikely]]
    return get_carefully(key);
  epoch::enter_mine(thread);  // and nothing throws before it leaves
  PointTable::Probe probe = table->begin_probe(hash);
  PointTable::read_bucket(probe);
  const bool displaced = PointTable::goes_on(probe);
  const char* block = block_of(probe.reference);  // of reference 0: none that is looked at
  if (probe.reference && is_record_of<kWide, kShort>(block, probe.reference, key)) [[likely]] {
    uint64_t value = Record{block + offset_of(probe.reference)}.value();
    if (PointTable::unchanged(probe)) [[likely]] {
      epoch::leave(thread);
      return {value, 1};
    }
  }
  bool absent =
      !displaced && probe.reference == 0 && PointTable::says_absent(probe) && PointTable::unchanged(probe);
  epoch::leave(thread);
  return absent ? Answer{0, 0} : get_carefully(key);
}

template <bool kWide>
inline StringIndex::Impl::Answer StringIndex::Impl::get_through_tree(std::string_view key) const {
  EpochGuard inside;
  return Answer::of(get_from_tree<kWide>(key, hash_key(key)));
}

StringIndex::Impl::Answer StringIndex::Impl::get_through_table_wide(const Impl& index, std::string_view key) {
  if (key.size() > kShortKey) return get_long_through_table_wide(index, key);
  return index.get_through_table<ORRERY_HAS_WIDE, true>(key, hash_short_key(key));
}
StringIndex::Impl::Answer StringIndex::Impl::get_long_through_table_wide(const Impl& index,
                                                                         std::string_view key) {
  if (key.size() > kInlineKey) return index.get_carefully(key);
  return index.get_through_table<ORRERY_HAS_WIDE, false>(key, hash_key(key));
}
StringIndex::Impl::Answer StringIndex::Impl::get_through_tree_wide(const Impl& index, std::string_view key) {
  return index.get_through_tree<ORRERY_HAS_WIDE>(key);
}
StringIndex::Impl::Answer StringIndex::Impl::get_through_table_plain(const Impl& index,
                                                                     std::string_view key) {
  if (key.size() > kInlineKey) return index.get_carefully(key);
  return index.get_through_table<false, false>(key, hash_key(key));
}
StringIndex::Impl::Answer StringIndex::Impl::get_through_tree_plain(const Impl& index, std::string_view key) {
  return index.get_through_tree<false>(key);
}
StringIndex::Impl::Answer StringIndex::Impl::get_from_image(const Impl& index, std::string_view key) {
  if (index.pool.all_checked()) index.choose_getter();
  return index.get_carefully(key);
}

void StringIndex::Impl::choose_getter() const {
  Getter best = wide ? get_through_tree_wide : get_through_tree_plain;
  if (table) best = wide ? get_through_table_wide : get_through_table_plain;
  getter.store(pool.all_checked() ? best : get_from_image, std::memory_order_relaxed);
}

// Buckets, then records, are under way together for all keys of a batch.
template <bool kWide>
inline void StringIndex::Impl::batch_from_table(const std::string_view* key, uint64_t* values, uint8_t* found,
                                                size_t many) const {
  PointTable::Probe probe[kBatch];
  const char* block[kBatch];
  for (size_t i = 0; i < many; ++i) {
    probe[i] = table->begin_probe(hash_key(key[i]));
    __builtin_prefetch(probe[i].bucket);
  }
  for (size_t i = 0; i < many; ++i) {
    PointTable::read_bucket(probe[i]);
    block[i] = block_of(probe[i].reference);  // of reference 0: none that is looked at
    const char* record = block[i] + offset_of(probe[i].reference);
    __builtin_prefetch(record);
    __builtin_prefetch(record + std::min<size_t>(key[i].size() + kRecordHead, 127));
    if (key[i].size() > kStrippedFrom) {  // it may be a leaf that strips what its keys share
      __builtin_prefetch(block[i] + 64);
      __builtin_prefetch(block[i] + 128);
    }
  }
  for (size_t i = 0; i < many; ++i) {
    const uint32_t reference = probe[i].reference;
    const bool same = reference && (key[i].size() <= kShortKey
                                        ? is_record_of<kWide, true>(block[i], reference, key[i])
                                        : key[i].size() <= kInlineKey &&
                                              is_record_of<kWide, false>(block[i], reference, key[i]));
    if (same) [[likely]] {
      values[i] = Record{block[i] + offset_of(reference)}.value();
      found[i] = 1;
      if (PointTable::unchanged(probe[i])) [[likely]]
        continue;
    }
    Answer answer = get_carefully(key[i]);
    found[i] = answer.found != 0;
    if (answer.found) values[i] = answer.value;
  }
}

// The descents interleaved: all paths in one tree are equally long.
template <bool kWide>
inline void StringIndex::Impl::batch_from_tree(const std::string_view* key, uint64_t* values, uint8_t* found,
                                               size_t many) const {
  uint64_t hash[kBatch];
  Unit at[kBatch];
  for (size_t i = 0; i < many; ++i) hash[i] = hash_key(key[i]);
  Unit start = root.load(std::memory_order_acquire);
  std::fill_n(at, many, start);
  for (uint16_t level = node(start).level; level > 0; --level) {
    for (size_t i = 0; i < many; ++i) {
      const InnerNode& inner = node(at[i]);
      size_t child = inner.find_as<kWide>(key[i]);
      at[i] = inner.child(child).load(std::memory_order_acquire);
      if (level == 1) {
        prefetch_leaf<false>(at[i], inner.hint(child).load(std::memory_order_relaxed), hash[i]);
      } else if (level == 2) {
        const char* block = pool.at(at[i]);
        for (size_t line = 0; line < kNodeLines; ++line) __builtin_prefetch(block + 64 * line);
      }
    }
  }
  for (size_t i = 0; i < many; ++i) {
    std::optional<uint64_t> value = get_from_leaf<kWide>(at[i], key[i], hash[i]);
    found[i] = value.has_value();
    if (value) values[i] = *value;
  }
}

template <bool kWide>
inline void StringIndex::Impl::get_batch_as(const std::string_view* keys, uint64_t* values, uint8_t* found,
                                            size_t count) const {
  EpochGuard inside;
  bool quick = table && pool.all_checked();
  for (size_t begin = 0; begin < count; begin += kBatch) {
    size_t many = std::min(kBatch, count - begin);
    if (quick)
      batch_from_table<kWide>(keys + begin, values + begin, found + begin, many);
    else if (!table)
      batch_from_tree<kWide>(keys + begin, values + begin, found + begin, many);
    else
      for (size_t i = begin; i < begin + many; ++i) {
        Answer answer = get_carefully(keys[i]);
        found[i] = answer.found != 0;
        if (answer.found) values[i] = answer.value;
      }
  }
}

void StringIndex::Impl::get_batch(const std::string_view* keys, uint64_t* values, uint8_t* found,
                                  size_t count) const {
  if (wide)
    get_batch_wide(keys, values, found, count);
  else
    get_batch_as<false>(keys, values, found, count);
}

Path StringIndex::Impl::descend_wide(std::string_view key) const {
  return descend_as<ORRERY_HAS_WIDE>(key);
}
void StringIndex::Impl::get_batch_wide(const std::string_view* keys, uint64_t* values, uint8_t* found,
                                       size_t count) const {
  get_batch_as<ORRERY_HAS_WIDE>(keys, values, found, count);
}

}  // namespace orrery::keyindex

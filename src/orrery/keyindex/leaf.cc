#include "orrery/keyindex/leaf.h"

#include <algorithm>
#include <array>

#include "orrery/base/error.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kRoomBytes = 448;  // of a new leaf at most: long records would leave much of it empty

size_t common(std::string_view a, std::string_view b) {
  size_t most = std::min(a.size(), b.size()), size = 0;
  while (size < most && a[size] == b[size]) ++size;
  return size;
}

// Writes a record at `to`; `bytes` is what it stores of the key.
void put_record(char* to, std::string_view bytes, bool whole, Unit key_block, size_t key_size,
                uint64_t value) {
  uint16_t meta;
  if (key_block) {
    meta = static_cast<uint16_t>(kOutOfLine | 8);
    auto size = static_cast<uint32_t>(key_size);
    std::memcpy(to + kRecordHead, &key_block, 4);
    std::memcpy(to + kRecordHead + 4, &size, 4);
  } else {
    meta = static_cast<uint16_t>(bytes.size() | (whole ? kWholeKey : 0));
    if (!bytes.empty()) std::memcpy(to + kRecordHead, bytes.data(), bytes.size());
  }
  std::memcpy(to, &meta, 2);
  racy::store(to + 2, value);
}

size_t stored_bytes(const LeafEntry& entry, size_t base, size_t stripped) {
  return entry.key_block ? 8 : entry.rest.size() + base - stripped;
}

}  // namespace

size_t Leaf::rank(const BlockPool& pool, std::string_view key) const {
  std::string_view rest = key.substr(shared);
  uint32_t wanted = head_of(rest);
  size_t low = 0, high = std::min(sorted(), kSlots);
  while (low < high) {
    size_t middle = (low + high) / 2;
    uint32_t have = head(middle);
    bool below = have < wanted;
    if (have == wanted) below = key_after_shared(pool, record(middle)) < rest;
    if (below)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

size_t Leaf::rank_wide(const BlockPool& pool, std::string_view key) const {
#if ORRERY_HAS_WIDE
  std::string_view rest = key.substr(shared);
  uint32_t wanted = head_of(rest);
  size_t count = std::min(sorted(), kSlots);
  auto [below, equal] = below_and_equal_wide(base() + heads_at(), count, wanted);
  for (; equal > 0 && key_after_shared(pool, record(below)) < rest; --equal) ++below;
  return below;
#else
  return rank(pool, key);
#endif
}

void Leaf::append(std::string_view key, Unit key_block, uint64_t hash, uint64_t value) {
  size_t slot = slots_used, at = heap_end, without = stripped();
  std::string_view bytes = key_block ? std::string_view() : key.substr(without);
  put_record(base() + at, bytes, without == 0, key_block, key.size(), value);
  size_t size = record_bytes(key_block ? 8 : bytes.size());
  racy::store(base() + offsets_at() + 2 * slot, static_cast<uint16_t>(at));
  racy::store(base() + heads_at() + 4 * slot, head_of(key.substr(shared)));
  racy::store(&heap_end, static_cast<uint16_t>(at + size));
  racy::store(&slots_used, static_cast<uint16_t>(slot + 1));
  racy::store(&tags[slot], tag_of(hash));
}

void Leaf::merge_tail(const BlockPool& pool) {
  size_t all = slots_used, ordered = slots_sorted;
  if (ordered == all) return;
  uint8_t tag[kSlots], new_tag[kSlots];
  uint16_t where[kSlots], new_where[kSlots];
  uint32_t first[kSlots], new_first[kSlots];
  std::memcpy(tag, tags, all);
  std::memcpy(where, base() + offsets_at(), 2 * all);
  std::memcpy(first, base() + heads_at(), 4 * all);
  auto below = [&](size_t a, size_t b) {
    if (first[a] != first[b]) return first[a] < first[b];
    return key_after_shared(pool, {base() + where[a]}) < key_after_shared(pool, {base() + where[b]});
  };
  uint8_t tail[kSlots];
  size_t length = 0;
  for (size_t slot = ordered; slot < all; ++slot) {  // insertion sort: a handful
    size_t at = length++;
    for (; at > 0 && below(slot, tail[at - 1]); --at) tail[at] = tail[at - 1];
    tail[at] = static_cast<uint8_t>(slot);
  }
  size_t to = all, from = ordered;  // from the back; what lies before the first new key stays where it is
  while (length > 0) {
    size_t source = from > 0 && below(tail[length - 1], from - 1) ? --from : tail[--length];
    --to;
    new_tag[to] = tag[source];
    new_where[to] = where[source];
    new_first[to] = first[source];
  }
  racy::write(tags + to, new_tag + to, all - to);
  racy::write(base() + offsets_at() + 2 * to, new_where + to, 2 * (all - to));
  racy::write(base() + heads_at() + 4 * to, new_first + to, 4 * (all - to));
  racy::store(&slots_sorted, static_cast<uint16_t>(all));
}

void Leaf::remove(size_t slot) {
  size_t last = slots_used - 1;
  if (slot < slots_sorted) {
    uint8_t tag[kSlots];
    uint16_t where[kSlots];
    uint32_t first[kSlots];
    size_t moved = last - slot;
    std::memcpy(tag, tags + slot + 1, moved);
    std::memcpy(where, base() + offsets_at() + 2 * (slot + 1), 2 * moved);
    std::memcpy(first, base() + heads_at() + 4 * (slot + 1), 4 * moved);
    racy::write(tags + slot, tag, moved);
    racy::write(base() + offsets_at() + 2 * slot, where, 2 * moved);
    racy::write(base() + heads_at() + 4 * slot, first, 4 * moved);
    racy::store(&slots_sorted, static_cast<uint16_t>(slots_sorted - 1));
  } else {
    racy::store(&tags[slot], tags[last]);
    racy::store(base() + offsets_at() + 2 * slot, static_cast<uint16_t>(offset(last)));
    racy::store(base() + heads_at() + 4 * slot, head(last));
  }
  racy::store(&tags[last], uint8_t{0});
  racy::store(&slots_used, static_cast<uint16_t>(last));
}

LeafShape leaf_shape(std::string_view base, std::span<const LeafEntry> entries) {
  LeafShape shape;
  size_t shared = base.size();
  if (!entries.empty()) shared += common(entries.front().rest, entries.back().rest);
  shape.shared = entries.empty() ? 0 : std::min(shared, kSharedAtMost);
  size_t stripped = shape.shared >= kStrippedFrom ? shape.shared : 0;
  for (const LeafEntry& entry : entries)
    shape.heap += Leaf::record_bytes(stored_bytes(entry, base.size(), stripped));
  shape.bytes = ((Leaf::kHeader + shape.shared + 3) & ~size_t{3}) + Leaf::kArrays + shape.heap;
  return shape;
}

Unit build_leaf(BlockPool& pool, std::string_view base, std::span<const LeafEntry> entries, size_t room,
                uint32_t id, bool locked) {
  LeafShape shape = leaf_shape(base, entries);
  size_t mean = entries.empty() ? 32 : shape.heap / entries.size();
  size_t bytes =
      std::min(kLeafBytes, (shape.bytes + std::min(room * mean, kRoomBytes) + kUnit - 1) / kUnit * kUnit);
  if (shape.bytes > bytes) throw Error("a leaf is larger than a block");
  Unit unit = pool.allocate(bytes);
  Leaf& leaf = *Leaf::mutable_at(pool, unit);
  std::memset(leaf.tags, 0, sizeof leaf.tags);
  leaf.version.store(locked ? Leaf::kLocked : 0, std::memory_order_relaxed);
  leaf.id = id;
  leaf.capacity = static_cast<uint16_t>(bytes);
  leaf.shared = static_cast<uint16_t>(shape.shared);
  leaf.slots_sorted = leaf.slots_used = static_cast<uint16_t>(entries.size());
  if (shape.shared > 0) {
    if (!base.empty()) std::memcpy(leaf.base() + Leaf::kHeader, base.data(), base.size());
    std::memcpy(leaf.base() + Leaf::kHeader + base.size(), entries.front().rest.data(),
                shape.shared - base.size());
  }

  // In order of hash, so that a get knows about where a record lies before it has read the leaf. Where the
  // point table tells that exactly, in order of key, so that a scan reads lines one after the other.
  std::array<uint32_t, kSlots> order;  // place in the high half, slot in the low one
  for (size_t i = 0; i < entries.size(); ++i)
    order[i] = (id == 0 ? place_of(entries[i].hash) << 16 : 0) | static_cast<uint32_t>(i);
  if (id == 0) std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(entries.size()));
  size_t stripped = leaf.stripped(), at = leaf.heap_at();
  for (size_t i = 0; i < entries.size(); ++i) {
    size_t slot = order[i] & 0xffff;
    const LeafEntry& entry = entries[slot];
    char* record = leaf.base() + at;
    size_t size = stored_bytes(entry, base.size(), stripped);
    if (stripped >= base.size() || entry.key_block) {
      put_record(record, entry.key_block ? std::string_view() : entry.rest.substr(stripped - base.size()),
                 stripped == 0, entry.key_block, entry.key_size, entry.value);
    } else {  // the base comes back into the record
      size_t again = base.size() - stripped;
      char whole[kInlineKey];
      std::memcpy(whole, base.data() + stripped, again);
      std::memcpy(whole + again, entry.rest.data(), entry.rest.size());
      put_record(record, {whole, size}, stripped == 0, 0, entry.key_size, entry.value);
    }
    auto offset = static_cast<uint16_t>(at);
    uint32_t head = head_of(entry.rest.substr(shape.shared - base.size()));
    std::memcpy(leaf.base() + leaf.offsets_at() + 2 * slot, &offset, 2);
    std::memcpy(leaf.base() + leaf.heads_at() + 4 * slot, &head, 4);
    leaf.tags[slot] = tag_of(entry.hash);
    at += Leaf::record_bytes(size);
  }
  leaf.heap_end = leaf.built_end = static_cast<uint16_t>(at);
  return unit;
}

Unit grow_leaf(BlockPool& pool, const Leaf& leaf, size_t bytes) {
  size_t size = std::min(kLeafBytes, (leaf.capacity + bytes + kUnit - 1) / kUnit * kUnit);
  Unit unit = pool.allocate(size);
  Leaf& larger = *Leaf::mutable_at(pool, unit);
  std::memcpy(larger.base(), leaf.base(), 64);
  larger.version.store(leaf.version.load(std::memory_order_relaxed), std::memory_order_relaxed);
  std::memcpy(larger.base() + 68, leaf.base() + 68, leaf.heap_end - 68);
  larger.capacity = static_cast<uint16_t>(size);
  return unit;
}

}  // namespace orrery::keyindex

#include <sys/mman.h>

#include <algorithm>

#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kLoadedLeaves = 48;  // children of a node of level 1 after bulk load, at most
constexpr size_t kLoadedNodes = 96;   // of a higher one

size_t common(std::string_view a, std::string_view b) {
  size_t most = std::min(a.size(), b.size()), size = 0;
  while (size < most && a[size] == b[size]) ++size;
  return size;
}

// One level of the tree as it is built: what its nodes or leaves are called and where they begin.
struct Level {
  std::vector<Unit> units;
  std::vector<Hint> hints;
  std::vector<std::string> separators;  // before each; the first is ""
};

Level build_level(BlockPool& pool, const Level& below, uint16_t level) {
  size_t all = below.units.size(), most = level == 1 ? kLoadedLeaves : kLoadedNodes;
  size_t nodes = (all + most - 1) / most;
  Level made;
  for (size_t n = 0; n < nodes; ++n) {
    auto first = static_cast<std::ptrdiff_t>(all * n / nodes),
         end = static_cast<std::ptrdiff_t>(all * (n + 1) / nodes);
    InnerPlan plan;
    plan.level = level;
    plan.last = n + 1 == nodes;
    if (!plan.last) plan.high = below.separators[static_cast<size_t>(end)];
    plan.separators.assign(below.separators.begin() + first, below.separators.begin() + end);
    plan.children.assign(below.units.begin() + first, below.units.begin() + end);
    plan.hints.assign(below.hints.begin() + first, below.hints.begin() + end);
    made.units.push_back(build_inner(pool, plan));
    made.hints.push_back(0);
    made.separators.emplace_back(plan.separators.front());
  }
  return made;
}

}  // namespace

void StringIndex::Impl::reserve_addresses() {
  void* range = mmap(nullptr, kIds * sizeof(Unit), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw Error("no memory for an index");
  addresses = static_cast<std::atomic<Unit>*>(range);
}

StringIndex::Impl::Impl(IndexOptions given) : options(given) {
  reserve_addresses();
  clear();
  choose_getter();
}

StringIndex::Impl::Impl(const std::string& snapshot) {
  reserve_addresses();
  try {
    load(snapshot);
    choose_getter();
  } catch (...) {
    munmap(addresses, kIds * sizeof(Unit));
    throw;
  }
}

StringIndex::Impl::~Impl() {
  munmap(addresses, kIds * sizeof(Unit));
}

PointTable::HashOf StringIndex::Impl::hash_reader() {
  return [this](uint32_t reference) {
    const Leaf& leaf = this->leaf(addresses[reference >> kOffsetBits].load(std::memory_order_acquire));
    Record record{leaf.base() + (reference & ((1u << kOffsetBits) - 1)) * 2};
    std::string key(leaf.shared_part());
    key += leaf.key_after_shared(pool, record);
    return hash_key(key);
  };
}

// One empty leaf under one node.
void StringIndex::Impl::clear() {
  if (options.point_table) table = std::make_unique<PointTable>(pool, 0, hash_reader());
  Unit leaf = build_leaf(pool, {}, {}, kRoom, new_id(), false);
  const Leaf& empty = *Leaf::at(pool, leaf);
  if (empty.id) addresses[empty.id].store(leaf, std::memory_order_release);
  InnerPlan plan;
  plan.separators = {""};
  plan.children = {leaf};
  plan.hints = {hint_of(empty)};
  root.store(build_inner(pool, plan), std::memory_order_release);
}

void StringIndex::Impl::bulk_load(const std::function<bool(std::string_view&, uint64_t&)>& next,
                                  uint64_t expected) {
  if (total(&Count::keys) != 0) throw InputError("bulk load fills an empty index; this one holds keys");
  if (table && expected > 0) table = std::make_unique<PointTable>(pool, expected, hash_reader());
  Level leaves;
  std::vector<LeafEntry> entries;
  std::vector<size_t> begins;  // of the keys of `entries` in `text`
  std::string text, before;    // `before`: the last key of the leaf before
  size_t shared = 0, whole = 0;
  auto key_of = [&](size_t i) {
    size_t end = i + 1 < begins.size() ? begins[i + 1] : text.size();
    return std::string_view(text).substr(begins[i], end - begins[i]);
  };
  auto finish_leaf = [&] {
    for (size_t i = 0; i < entries.size(); ++i)
      entries[i].rest = entries[i].key_block
                            ? std::string_view(pool.at(entries[i].key_block), entries[i].key_size)
                            : key_of(i);
    Unit unit = build_leaf(pool, {}, entries, std::min(kRoom, kSlots - entries.size()), new_id(), false);
    const Leaf& leaf = *Leaf::at(pool, unit);
    if (leaf.id) addresses[leaf.id].store(unit, std::memory_order_release);
    leaves.separators.push_back(leaves.units.empty() ? "" : shortest_separator(before, entries.front().rest));
    leaves.units.push_back(unit);
    leaves.hints.push_back(hint_of(leaf));
    if (table) {
      for (const LeafEntry& entry : entries) table->prefetch(entry.hash);
      for (size_t slot = 0; slot < entries.size(); ++slot) {
        if (leaf.id)
          table->insert(entries[slot].hash, reference(leaf.id, leaf.offset(slot)));
        else
          table->lose(entries[slot].hash, 0);
      }
    }
    before = std::string(entries.back().rest);
    entries.clear();
    begins.clear();
    text.clear();
    shared = whole = 0;
  };
  uint64_t position = 0;
  int64_t key_bytes = 0;
  std::string last;
  std::string_view key;
  uint64_t value = 0;
  while (next(key, value)) {
    auto what = [&] { return "key " + std::to_string(position + 1) + " ('" + printable(key, 60) + "')"; };
    if (key.size() > kLongestKey)
      throw InputError(what() + " has " + std::to_string(key.size()) + " bytes; expected at most " +
                       std::to_string(kLongestKey));
    if (position > 0 && key <= last)
      throw InputError(what() + (key == last ? " is there twice" : " is below the one before it") +
                       "; expected keys in strictly ascending byte order");
    last = key;
    LeafEntry entry;
    entry.key_size = static_cast<uint32_t>(key.size());
    entry.value = value;
    entry.hash = hash_key(key);
    size_t bytes = Leaf::record_bytes(key.size() > kInlineKey ? 8 : key.size());
    if (!entries.empty()) {
      size_t together = std::min(
          shared, common(std::string_view(text).substr(0, begins.size() > 1 ? begins[1] : text.size()), key));
      size_t stripped = together >= kStrippedFrom ? std::min(together, kSharedAtMost) : 0;
      size_t size = Leaf::kHeader + std::min(together, kSharedAtMost) + 3 + Leaf::kArrays + whole + bytes;
      size -= std::min(size, (entries.size() + 1) * stripped);
      if (entries.size() >= kLoadedSlots || size > kLoadedBytes)
        finish_leaf();
      else
        shared = together;
    }
    if (entries.empty()) shared = key.size();
    if (key.size() > kInlineKey) {
      entry.key_block = new_key_block(key);
    }
    begins.push_back(text.size());
    text += key;
    whole += bytes;
    entries.push_back(entry);
    key_bytes += static_cast<int64_t>(key.size());
    ++position;
  }
  if (position == 0) return;
  finish_leaf();
  Level level = std::move(leaves);
  uint16_t height = 0;
  do level = build_level(pool, level, ++height);
  while (level.units.size() > 1);
  root.store(level.units[0], std::memory_order_release);
  count(0, static_cast<int64_t>(position), key_bytes);
}

IndexStats StringIndex::Impl::stats() const {
  IndexStats stats;
  EpochGuard inside;
  stats.keys = static_cast<uint64_t>(total(&Count::keys));
  stats.key_bytes = static_cast<uint64_t>(total(&Count::key_bytes));
  std::vector<Unit> level = {root.load(std::memory_order_acquire)};
  while (!level.empty()) {
    ++stats.levels;
    std::vector<Unit> below;
    for (Unit unit : level) {
      const InnerNode& inner = node(unit);
      ++stats.inner_nodes;
      stats.inner_bytes += (inner.bytes + kUnit - 1) / kUnit * kUnit;
      for (size_t i = 0; i < inner.children; ++i) {
        Unit child = inner.child(i).load(std::memory_order_acquire);
        if (inner.level > 1) {
          below.push_back(child);
          continue;
        }
        const Leaf& found = leaf(child);
        ++stats.leaves;
        stats.leaf_bytes += found.capacity;
      }
    }
    level = std::move(below);
  }
  if (table) {
    PointTable::Stats points = table->stats();
    stats.table_bytes = points.bytes + next_id * sizeof(Unit);
    stats.table_entries = points.entries;
    stats.table_displaced = points.displaced;
  }
  stats.allocated_bytes = pool.used_bytes() + (table ? next_id * sizeof(Unit) : 0);
  stats.long_key_bytes =
      stats.allocated_bytes -
      std::min(stats.allocated_bytes, stats.leaf_bytes + stats.inner_bytes + stats.table_bytes);
  stats.splits = splits.load(std::memory_order_relaxed);
  stats.merges = merges.load(std::memory_order_relaxed);
  stats.growths = growths.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace orrery::keyindex

#include <algorithm>
#include <cstring>

#include "orrery/base/error.h"
#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kMostLeaves = 64;  // children of a node of level 1: it is built anew at each split below
constexpr size_t kMostNodes = 128;  // children of a higher node
constexpr size_t kFewChildren = 12;

void check_size(std::string_view key) {
  if (key.size() > kLongestKey)
    throw InputError("a key has " + std::to_string(key.size()) + " bytes; expected at most " +
                     std::to_string(kLongestKey));
}

size_t common(std::string_view a, std::string_view b) {
  size_t most = std::min(a.size(), b.size()), size = 0;
  while (size < most && a[size] == b[size]) ++size;
  return size;
}

// A locked leaf. Where an operation fails on its way (memory is full, a page of a snapshot is damaged) the
// lock is given back, and the leaf is as it was.
class LeafHold {
 public:
  explicit LeafHold(Leaf* leaf) : leaf_(leaf) {}
  ~LeafHold() {
    if (leaf_) leaf_->unlock();
  }
  LeafHold(const LeafHold&) = delete;
  LeafHold& operator=(const LeafHold&) = delete;
  void take(Leaf* leaf) { leaf_ = leaf; }  // in place of the one that was held
  void given_up() { leaf_ = nullptr; }     // who was called has unlocked it

 private:
  Leaf* leaf_;
};

}  // namespace

// The records of one leaf or several neighbours, and the leaves made of them.
struct StringIndex::Impl::Rebuilt {
  std::string base;  // shared by all keys; at most kSharedAtMost bytes
  std::vector<LeafEntry> entries;
  std::vector<uint32_t> old_references;  // 0: not in the table yet
  std::deque<std::string> assembled;     // bytes that entries point to
  std::vector<Unit> leaves;
  std::vector<Hint> hints;
  std::vector<std::string> separators;  // before each leaf but the first

  // Adds a leaf's records behind those that are there.
  void take(const Impl& index, const Leaf& leaf) {
    uint8_t slots[kSlots];
    size_t count = slots_in_order(index.pool, leaf, slots);
    std::string key(leaf.shared_part());
    for (size_t i = 0; i < count; ++i) {
      Record record = leaf.record(slots[i]);
      LeafEntry entry;
      entry.value = record.value();
      std::string_view tail = leaf.key_after_shared(index.pool, record);
      if (record.meta() & kOutOfLine) entry.key_block = record.key_block();
      key.resize(leaf.shared);
      key += tail;
      entry.key_size = static_cast<uint32_t>(key.size());
      entry.hash = hash_key(key);
      if (leaf.shared == base.size()) {
        entry.rest = tail;
      } else {
        size_t drop = base.size();  // <= leaf.shared
        if (leaf.shared - drop == 0) {
          entry.rest = tail;
        } else if (entry.key_block) {
          entry.rest = Leaf::long_key(index.pool, record).substr(drop);
        } else {
          assembled.push_back(key.substr(drop));
          entry.rest = assembled.back();
        }
      }
      entries.push_back(entry);
      old_references.push_back(leaf.id ? index.reference(leaf.id, leaf.offset(slots[i])) : 0);
    }
  }
  void add(LeafEntry entry) {
    auto at = std::lower_bound(entries.begin(), entries.end(), entry,
                               [](const LeafEntry& a, const LeafEntry& b) { return a.rest < b.rest; });
    old_references.insert(old_references.begin() + (at - entries.begin()), 0u);
    entries.insert(at, entry);
  }
  bool fits_one(size_t first, size_t count) const {
    return count <= kSlots &&
           leaf_shape(base, std::span(entries).subspan(first, count)).bytes <= kLoadedBytes;
  }
};

uint32_t StringIndex::Impl::new_id() {
  if (!table) return 0;
  std::lock_guard lock(ids);
  if (free_ids.empty() && retired_ids.size() >= 256) {
    uint64_t oldest = epoch::advance();
    while (!retired_ids.empty() && retired_ids.front().second < oldest) {
      free_ids.push_back(retired_ids.front().first);
      retired_ids.pop_front();
    }
  }
  if (!free_ids.empty()) {
    uint32_t id = free_ids.back();
    free_ids.pop_back();
    return id;
  }
  return next_id < kIds ? next_id++ : 0;
}

void StringIndex::Impl::retire_id(uint32_t id) {
  if (id == 0) return;
  std::lock_guard lock(ids);
  retired_ids.push_back({id, epoch::current.load(std::memory_order_seq_cst)});
}

Unit StringIndex::Impl::new_key_block(std::string_view key) {
  if (key.size() <= kInlineKey) return 0;
  Unit unit = pool.allocate(key.size());
  std::memcpy(pool.at(unit), key.data(), key.size());
  return unit;
}

void StringIndex::Impl::append(Leaf& leaf, std::string_view key, uint64_t hash, uint64_t value) {
  if (leaf.tail_full()) leaf.merge_tail(pool);
  const Unit key_block = new_key_block(key);
  const auto write = [&] { leaf.append(key, key_block, hash, value); };
  if (table && leaf.id)
    table->insert(hash, reference(leaf.id, leaf.heap_end), write);
  else
    write();
  if (table && !leaf.id) table->lose(hash, 0);
}

// What an insert writes: tags, header, the ends of offsets, heads and heap; before the lock, which waits for
// all of it.
void StringIndex::Impl::prefetch_for_writing(const Path& path) const {
  Hint hint = InnerNode::at(pool, path.node)->hint(path.child).load(std::memory_order_relaxed);
  const char* block = pool.at(path.leaf);
  size_t heap = (hint & 63u) * 32, end = heap + (hint >> 6) * 32u;
  __builtin_prefetch(block);
  __builtin_prefetch(block + 64);
  __builtin_prefetch(block + end);
  __builtin_prefetch(block + heap - 64);
  __builtin_prefetch(block + end + 64);
  __builtin_prefetch(block + 128);
  __builtin_prefetch(block + 192);
  __builtin_prefetch(block + end + 128);
}

bool StringIndex::Impl::write(std::string_view key, uint64_t value, Mode mode) {
  check_size(key);
  uint64_t hash = hash_key(key);
  WriteGuard inside(this, writers_stopped);
  if (table) table->prefetch(hash);
  while (true) {
    Path path = descend(key);
    prefetch_for_writing(path);
    Leaf* leaf = &this->leaf(path.leaf);
    if (!leaf->lock()) continue;
    LeafHold hold(leaf);
    bool shares = leaf->shares(key);
    // Of a locked leaf all keys are in the table, whose marks are finer than the leaf's tags.
    if (shares && !(table && leaf->id && table->surely_absent(hash))) {
      size_t slot = leaf->find(pool, key, hash);
      if (slot < kSlots) {
        if (mode == Mode::Put) {
          auto change = [&] { leaf->set_value(slot, value); };
          if (table && leaf->id)
            table->change_value(hash, reference(leaf->id, leaf->offset(slot)), change);
          else
            change();
        }
        return false;
      }
    }
    size_t bytes = key.size() > kInlineKey ? 8 : key.size() - (shares ? leaf->stripped() : 0);
    if (shares && !leaf->has_room(bytes)) {
      if (Leaf* larger = leaf->slots_used < kSlots ? grow(*leaf, path.leaf, key) : nullptr) {
        leaf = larger;
        hold.take(larger);
      }
    }
    if (shares && leaf->has_room(bytes)) {
      append(*leaf, key, hash, value);
    } else {
      split(*leaf, path.leaf, key, hash, value);
      hold.given_up();
    }
    count(inside.thread_number(), 1, static_cast<int64_t>(key.size()));
    return true;
  }
}

// A larger block for a locked leaf, with the same offsets, so that the table needs no change. Returns the new
// leaf, locked, the old one given up; null where the block is as large as one can be, or room would hardly be
// gained.
Leaf* StringIndex::Impl::grow(Leaf& old, Unit unit, std::string_view key) {
  size_t mean = (old.heap_end - old.heap_at()) / std::max<size_t>(old.slots_used, 1);
  size_t record = Leaf::record_bytes(key.size() > kInlineKey ? 8 : key.size() - old.stripped());
  size_t more = std::min(std::max(kRoom * mean, record), kLeafBytes - old.capacity);
  if (old.heap_end + record > old.capacity + more) return nullptr;
  Unit larger = grow_leaf(pool, old, more);
  Leaf& leaf = *Leaf::mutable_at(pool, larger);
  {
    std::lock_guard lock(structure);
    std::vector<Step> way = way_to(key);
    InnerNode& above = *InnerNode::mutable_at(pool, way.back().node);
    above.child(way.back().child).store(larger, std::memory_order_release);
    above.hint(way.back().child).store(hint_of(leaf), std::memory_order_relaxed);
  }
  if (leaf.id) addresses[leaf.id].store(larger, std::memory_order_release);
  size_t bytes = old.capacity;
  old.unlock(true);
  pool.retire(unit, bytes);
  growths.fetch_add(1, std::memory_order_relaxed);
  return &leaf;
}

// Puts the records in the places of new leaves: cuts them, builds the leaves (locked) and names the
// separators.
void StringIndex::Impl::cut(Rebuilt& rebuilt, size_t pieces, bool appending) {
  size_t all = rebuilt.entries.size(), first = 0;
  std::string last_key;
  for (size_t piece = 0; first < all || piece == 0; ++piece) {
    size_t left = all - first,
           many = pieces > piece ? (left + (pieces - piece) - 1) / (pieces - piece) : left;
    if (appending && piece == 0) many = all - 1;  // keys come in order: the left leaf stays full
    while (many > 1 && !rebuilt.fits_one(first, many)) many = many > 8 ? many - 4 : many - 1;
    auto part = std::span<const LeafEntry>(rebuilt.entries).subspan(first, many);
    if (piece > 0) {
      std::string key = rebuilt.base + std::string(part.front().rest);
      rebuilt.separators.push_back(shortest_separator(last_key, key));
    }
    Unit unit = build_leaf(pool, rebuilt.base, part, std::min(kRoom, kSlots - many), new_id(), true);
    const Leaf& leaf = *Leaf::at(pool, unit);
    if (leaf.id) addresses[leaf.id].store(unit, std::memory_order_release);
    rebuilt.leaves.push_back(unit);
    rebuilt.hints.push_back(hint_of(leaf));
    first += many;
    if (many > 0) last_key = rebuilt.base + std::string(part.back().rest);
  }
}

// Leads the table to the records' new places.
void StringIndex::Impl::move_references(const Rebuilt& rebuilt) {
  if (!table) return;
  for (const LeafEntry& entry : rebuilt.entries) table->prefetch(entry.hash);
  size_t at = 0;
  for (Unit unit : rebuilt.leaves) {
    const Leaf& leaf = *Leaf::at(pool, unit);
    for (size_t slot = 0; slot < leaf.slots_used; ++slot, ++at) {
      uint64_t hash = rebuilt.entries[at].hash;
      uint32_t old = rebuilt.old_references[at];
      uint32_t now = leaf.id ? reference(leaf.id, leaf.offset(slot)) : 0;
      if (old && now)
        table->replace(hash, old, now);
      else if (now)
        table->insert(hash, now);
      else
        table->lose(hash, old);
    }
  }
}

// Replaces a locked leaf by new ones that hold its records and one more.
void StringIndex::Impl::split(Leaf& old, Unit unit, std::string_view key, uint64_t hash, uint64_t value) {
  for (size_t at = 0; at < old.capacity; at += 64) __builtin_prefetch(old.base() + at);
  Rebuilt rebuilt;
  size_t base = std::min(old.slots_used ? common(old.shared_part(), key) : 0, kSharedAtMost);
  rebuilt.base = std::string(key.substr(0, base));
  rebuilt.entries.reserve(kSlots + 1);
  rebuilt.old_references.reserve(kSlots + 1);
  rebuilt.take(*this, old);
  LeafEntry entry;
  entry.rest = key.substr(base);
  entry.key_size = static_cast<uint32_t>(key.size());
  entry.key_block = new_key_block(key);
  entry.value = value;
  entry.hash = hash;
  bool last = rebuilt.entries.empty() || rebuilt.entries.back().rest < entry.rest;
  rebuilt.add(entry);
  size_t all = rebuilt.entries.size();
  bool one = all <= kLoadedSlots && rebuilt.fits_one(0, all);
  cut(rebuilt, one ? 1 : 2, !one && last && all > kLoadedSlots);
  {
    std::lock_guard lock(structure);
    std::vector<Step> way = way_to(key);
    InnerPlan plan = plan_of(node(way.back().node));
    auto child = static_cast<std::ptrdiff_t>(way.back().child);
    plan.children[way.back().child] = rebuilt.leaves[0];
    plan.hints[way.back().child] = rebuilt.hints[0];
    plan.children.insert(plan.children.begin() + child + 1, rebuilt.leaves.begin() + 1, rebuilt.leaves.end());
    plan.hints.insert(plan.hints.begin() + child + 1, rebuilt.hints.begin() + 1, rebuilt.hints.end());
    plan.separators.insert(plan.separators.begin() + child + 1, rebuilt.separators.begin(),
                           rebuilt.separators.end());
    commit(way, way.size() - 1, std::move(plan));
  }
  move_references(rebuilt);
  size_t bytes = old.capacity;
  uint32_t id = old.id;
  old.unlock(true);
  pool.retire(unit, bytes);
  retire_id(id);
  for (Unit made : rebuilt.leaves) Leaf::mutable_at(pool, made)->unlock();
  splits.fetch_add(1, std::memory_order_relaxed);
}

bool StringIndex::Impl::remove(std::string_view key) {
  if (key.size() > kLongestKey) return false;
  uint64_t hash = hash_key(key);
  WriteGuard inside(this, writers_stopped);
  if (table) table->prefetch(hash);
  while (true) {
    Path path = descend(key);
    Leaf& leaf = this->leaf(path.leaf);
    if (!leaf.lock()) continue;
    LeafHold hold(&leaf);
    size_t slot = leaf.shares(key) ? leaf.find(pool, key, hash) : kSlots;
    if (slot == kSlots) return false;
    Record record = leaf.record(slot);
    if (table && leaf.id) table->remove(hash, reference(leaf.id, leaf.offset(slot)));
    leaf.remove(slot);
    if (record.meta() & kOutOfLine) pool.retire(record.key_block(), record.key_block_size());
    count(inside.thread_number(), -1, -static_cast<int64_t>(key.size()));
    if (leaf.slots_used < kMergeBelow && merge(leaf, path.leaf, key)) hold.given_up();
    return true;
  }
}

// Joins a locked leaf with a neighbour below the same node where both together are small, and gives up its
// lock; false where there is none such, and the leaf stays locked.
bool StringIndex::Impl::merge(Leaf& leaf, Unit unit, std::string_view key) {
  Rebuilt rebuilt;
  Leaf* neighbour = nullptr;
  LeafHold hold(nullptr);  // the neighbour
  Unit neighbour_unit = 0;
  {
    std::lock_guard lock(structure);
    std::vector<Step> way = way_to(key);
    const InnerNode& above = node(way.back().node);
    size_t child = way.back().child, left = child;
    for (int side : {1, -1}) {
      if (neighbour || (side < 0 && child == 0) || (side > 0 && child + 1 >= above.children)) continue;
      size_t other = side > 0 ? child + 1 : child - 1;
      neighbour_unit = above.child(other).load(std::memory_order_relaxed);
      Leaf& candidate = this->leaf(neighbour_unit);
      if (candidate.used() + leaf.slots_used > kMergedSlots || !candidate.try_lock()) continue;
      neighbour = &candidate;
      hold.take(neighbour);
      left = std::min(child, other);
    }
    if (neighbour) {
      const Leaf& low = left == child ? leaf : *neighbour;
      const Leaf& high = left == child ? *neighbour : leaf;
      std::string_view base = low.shared_part().substr(0, common(low.shared_part(), high.shared_part()));
      if (low.slots_used == 0) base = high.shared_part();
      if (high.slots_used == 0) base = low.shared_part();
      rebuilt.base = std::string(base);
      rebuilt.take(*this, low);
      rebuilt.take(*this, high);
    }
    if (!neighbour || (!rebuilt.entries.empty() && !rebuilt.fits_one(0, rebuilt.entries.size())))
      return false;
    if (rebuilt.entries.empty()) rebuilt.base.clear();
    cut(rebuilt, 1, false);
    InnerPlan plan = plan_of(above);
    auto at = static_cast<std::ptrdiff_t>(left);
    plan.children[left] = rebuilt.leaves[0];
    plan.hints[left] = rebuilt.hints[0];
    plan.children.erase(plan.children.begin() + at + 1);
    plan.hints.erase(plan.hints.begin() + at + 1);
    plan.separators.erase(plan.separators.begin() + at + 1);
    commit(way, way.size() - 1, std::move(plan));
  }
  move_references(rebuilt);
  hold.given_up();
  for (auto [gone, at] : {std::pair{&leaf, unit}, std::pair{neighbour, neighbour_unit}}) {
    size_t bytes = gone->capacity;
    uint32_t id = gone->id;
    gone->unlock(true);
    pool.retire(at, bytes);
    retire_id(id);
  }
  Leaf::mutable_at(pool, rebuilt.leaves[0])->unlock();
  merges.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::vector<StringIndex::Impl::Step> StringIndex::Impl::way_to(std::string_view key) const {
  std::vector<Step> way;
  Unit unit = root.load(std::memory_order_relaxed);
  while (true) {
    const InnerNode& inner = node(unit);
    size_t child = inner.find(key);
    way.push_back({unit, child});
    if (inner.level == 1) return way;
    unit = inner.child(child).load(std::memory_order_relaxed);
  }
}

// Puts what `plan` says in the place of the node at way[depth]: one node, or two where it is too large, or
// one joined with a neighbour where it is small; and on upwards.
void StringIndex::Impl::commit(const std::vector<Step>& way, size_t depth, InnerPlan plan) {
  Unit old = way[depth].node;
  size_t most = plan.level == 1 ? kMostLeaves : kMostNodes, count = plan.children.size();
  auto retire = [&](Unit unit) { pool.retire(unit, node(unit).bytes); };
  if (count > most) {
    size_t half = count / 2;
    auto cut_at = static_cast<std::ptrdiff_t>(half);
    InnerPlan right = plan;
    right.separators.erase(right.separators.begin(), right.separators.begin() + cut_at);
    right.children.erase(right.children.begin(), right.children.begin() + cut_at);
    right.hints.erase(right.hints.begin(), right.hints.begin() + cut_at);
    plan.separators.resize(half);
    plan.children.resize(half);
    plan.hints.resize(half);
    plan.last = false;
    plan.high = right.separators.front();
    Unit nodes[2] = {build_inner(pool, plan), build_inner(pool, right)};
    InnerPlan above;
    size_t at = 0;
    if (depth == 0) {
      above.level = static_cast<uint16_t>(plan.level + 1);
      above.separators = {""};
      above.children = {0};
      above.hints = {0};
    } else {
      above = plan_of(node(way[depth - 1].node));
      at = way[depth - 1].child;
    }
    above.children[at] = nodes[0];
    above.children.insert(above.children.begin() + static_cast<std::ptrdiff_t>(at) + 1, nodes[1]);
    above.hints.insert(above.hints.begin() + static_cast<std::ptrdiff_t>(at) + 1, Hint{0});
    above.separators.insert(above.separators.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                            right.separators.front());
    if (depth == 0)
      root.store(build_inner(pool, above), std::memory_order_release);
    else
      commit(way, depth - 1, std::move(above));
    retire(old);
    return;
  }
  if (depth > 0 && count < kFewChildren && node(way[depth - 1].node).children > 1) {
    InnerPlan above = plan_of(node(way[depth - 1].node));
    size_t at = way[depth - 1].child, other = at > 0 ? at - 1 : at + 1, left = std::min(at, other);
    Unit beside = above.children[other];
    InnerPlan sibling = plan_of(node(beside));
    if (sibling.children.size() + count <= most * 3 / 4) {
      InnerPlan& low = at < other ? plan : sibling;
      InnerPlan& high = at < other ? sibling : plan;
      low.children.insert(low.children.end(), high.children.begin(), high.children.end());
      low.hints.insert(low.hints.end(), high.hints.begin(), high.hints.end());
      low.separators.insert(low.separators.end(), high.separators.begin(), high.separators.end());
      low.last = high.last;
      low.high = high.high;
      auto gone = static_cast<std::ptrdiff_t>(left) + 1;
      above.children[left] = build_inner(pool, low);
      above.children.erase(above.children.begin() + gone);
      above.hints.erase(above.hints.begin() + gone);
      above.separators.erase(above.separators.begin() + gone);
      commit(way, depth - 1, std::move(above));
      retire(old);
      retire(beside);
      return;
    }
  }
  if (depth == 0 && plan.level > 1 && count == 1) {
    root.store(plan.children[0], std::memory_order_release);
  } else {
    Unit unit = build_inner(pool, plan);
    if (depth == 0)
      root.store(unit, std::memory_order_release);
    else
      InnerNode::mutable_at(pool, way[depth - 1].node)
          ->child(way[depth - 1].child)
          .store(unit, std::memory_order_release);
  }
  retire(old);
}

}  // namespace orrery::keyindex

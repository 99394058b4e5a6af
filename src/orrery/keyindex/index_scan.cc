#include <algorithm>

#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kFetchAhead = 12;  // entries before a leaf's end

}  // namespace

size_t StringIndex::Impl::slots_in_order(const BlockPool& pool, const Leaf& leaf, uint8_t* slots) {
  size_t count = leaf.used(), ordered = std::min(leaf.sorted(), count);
  for (size_t i = 0; i < ordered; ++i) slots[i] = static_cast<uint8_t>(i);
  auto below = [&](size_t a, size_t b) {
    uint32_t x = leaf.head(a), y = leaf.head(b);
    if (x != y) return x < y;
    return leaf.key_after_shared(pool, leaf.record(a)) < leaf.key_after_shared(pool, leaf.record(b));
  };
  for (size_t slot = ordered; slot < count; ++slot) {
    size_t at = slot;
    for (; at > 0 && below(slot, slots[at - 1]); --at) slots[at] = slots[at - 1];
    slots[at] = static_cast<uint8_t>(slot);
  }
  return count;
}

// All lines of a leaf but its tags, since a scan reads them all and in no order of theirs.
void StringIndex::Impl::prefetch_whole(const InnerNode& above, size_t child) const {
  if (child >= above.children) return;
  const char* block = pool.at(above.child(child).load(std::memory_order_acquire));
  Hint hint = above.hint(child).load(std::memory_order_relaxed);
  size_t end = (hint & 63u) * 32 + (hint >> 6) * 32u + 64;
  for (size_t at = 64; at < end; at += 64) __builtin_prefetch(block + at);
}

Cursor::Cursor(const StringIndex::Impl& index, Way way, std::string_view from, std::string_view prefix,
               bool at_end)
    : index_(index), way_(way), at_end_(at_end), from_(from), prefix_(prefix) {
  epoch::stay();
}

Cursor::~Cursor() {
  epoch::stay_no_longer();
}

bool Cursor::next_leaf() {
  const InnerNode& node = index_.node(node_);
  Path path;
  bool bounded = false;
  if (way_ == Way::Up) {
    if (child_ + 1 < node.children) {
      path = {node_, child_ + 1, node.child(child_ + 1).load(std::memory_order_acquire)};
    } else {
      if (node.last) return false;
      bounded = true;
      from_ = node.high();
      path = index_.descend(from_);
    }
  } else if (child_ > 0) {
    path = {node_, child_ - 1, node.child(child_ - 1).load(std::memory_order_acquire)};
  } else {
    if (node.low().empty()) return false;
    bounded = true;
    from_ = node.low();
    path = index_.descend_below(from_);
  }
  node_ = path.node;
  child_ = path.child;
  inclusive_ = way_ == Way::Up;
  read_leaf(path.leaf, bounded);
  return true;
}

inline void Cursor::copy_record(Record from, size_t stripped, Item& item) const {
  uint16_t meta = from.meta();
  item.value = from.value();
  item.bytes = from.bytes();
  item.size = meta & kSizeMask;
  item.before = static_cast<uint32_t>(stripped);
  if (meta & kOutOfLine) [[unlikely]] {
    std::string_view whole = Leaf::long_key(index_.pool, from);
    item.bytes = whole.data();
    item.size = static_cast<uint32_t>(whole.size());
    item.before = 0;
  }
}

// Copies where the records of a leaf lie, in this cursor's order, from `from_` on if `bounded`.
void Cursor::read_leaf(Unit unit, bool bounded) {
  const BlockPool& pool = index_.pool;
  const Leaf& leaf = index_.leaf(unit);
  size_t shared = leaf.shared, stripped = leaf.stripped();
  if (stripped) std::memcpy(buffer_, leaf.shared_part().data(), stripped);
  while (true) {
    uint32_t seen = leaf.begin_reading();
    uint8_t slots[kSlots];
    size_t count = leaf.used(), first = 0, end = count;
    bool ordered = leaf.sorted() >= count;
    if (!ordered) {
      WriteGuard inside(&index_, index_.writers_stopped);
      Leaf& mine = const_cast<Leaf&>(leaf);
      if (mine.lock()) {
        mine.merge_tail(pool);
        mine.unlock();
        continue;
      }
      if (!leaf.unchanged(seen)) continue;  // it has been replaced just now, and is final
      count = StringIndex::Impl::slots_in_order(pool, leaf, slots);
    }
    const char* offsets = leaf.base() + leaf.offsets_at();
    auto record = [&](size_t i) {
      return Record{leaf.base() + racy::load<uint16_t>(offsets + 2 * (ordered ? i : slots[i]))};
    };
    if (bounded) {
      size_t below = 0;  // keys < from_
      std::string_view from = from_;
      if (!leaf.shares(from)) {
        below = leaf.shared_part() < from ? count : 0;
      } else if (ordered) {
        below = std::min(index_.wide ? leaf.rank_wide(pool, from) : leaf.rank(pool, from), count);
      } else {
        while (below < count && leaf.key_after_shared(pool, record(below)) < from.substr(shared)) ++below;
      }
      if (way_ == Way::Up) {
        first = below;
      } else {
        end = below;
        if (inclusive_ && below < count && leaf.shares(from) &&
            leaf.key_after_shared(pool, record(below)) == from.substr(shared))
          ++end;
      }
    }
    count_ = end - first;
    if (ordered && way_ == Way::Up)
      for (size_t i = 0; i < count_; ++i)
        copy_record({leaf.base() + racy::load<uint16_t>(offsets + 2 * (first + i))}, stripped, items_[i]);
    else
      for (size_t i = 0; i < count_; ++i)
        copy_record(record(way_ == Way::Up ? first + i : end - 1 - i), stripped, items_[i]);
    if (leaf.unchanged(seen)) break;
  }
  at_ = 0;
  hold_back();
}

// Shows all but the last items: with those the next leaf is fetched ahead, and not before, since most scans
// end within two leaves.
void Cursor::hold_back() {
  held_back_ = 0;
  if (!ahead_ || count_ <= kFetchAhead) return;
  held_back_ = kFetchAhead;
  count_ -= held_back_;
}

void Cursor::fetch_ahead() {
  index_.prefetch_whole(*InnerNode::at(index_.pool, node_), way_ == Way::Up ? child_ + 1 : child_ - 1);
}

// Keys at and above the prefix: those that have it come first.
void Cursor::cut_to_prefix() {
  count_ += held_back_;
  held_back_ = 0;
  size_t with = 0;
  while (with < count_) {
    at_ = with;
    if (!key().starts_with(prefix_)) break;
    ++with;
  }
  ended_ = with < count_;
  count_ = with;
  at_ = 0;
}

bool Cursor::refill() {
  if (held_back_ > 0) {
    count_ += held_back_;
    held_back_ = 0;
    fetch_ahead();
    return true;
  }
  count_ = 0;
  while (count_ == 0 && !ended_) {
    if (!started_) {
      started_ = true;
      Path path = at_end_ ? index_.edge(true) : index_.descend(from_);
      node_ = path.node;
      child_ = path.child;
      inclusive_ = true;
      index_.prefetch_whole(*InnerNode::at(index_.pool, node_), child_);
      if (ahead_) fetch_ahead();
      read_leaf(path.leaf, !at_end_);
    } else if (!next_leaf()) {
      ended_ = true;
    }
    if (!prefix_.empty() && count_ > 0) cut_to_prefix();
  }
  if (count_ > 0) return true;
  at_ = SIZE_MAX;
  return false;
}

Cursor StringIndex::scan(std::string_view from) const {
  return Cursor(*impl_, Cursor::Way::Up, from, {}, false);
}
Cursor StringIndex::scan_back() const {
  return Cursor(*impl_, Cursor::Way::Back, {}, {}, true);
}
Cursor StringIndex::scan_back(std::string_view from) const {
  return Cursor(*impl_, Cursor::Way::Back, from, {}, false);
}
Cursor StringIndex::scan_prefix(std::string_view prefix) const {
  return Cursor(*impl_, Cursor::Way::Up, prefix, prefix, false);
}

std::optional<std::pair<std::string, uint64_t>> StringIndex::lower_bound(std::string_view key) const {
  Cursor cursor(*impl_, Cursor::Way::Up, key, {}, false);
  cursor.ahead_ = false;
  if (!cursor.next()) return std::nullopt;
  return std::pair(std::string(cursor.key()), cursor.value());
}

}  // namespace orrery::keyindex

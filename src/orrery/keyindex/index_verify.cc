#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {

void StringIndex::verify() const {
  impl_->verify();
}

// Walks the tree in order: bounds of nodes, order of keys, that each is found on each way there is.
void StringIndex::Impl::verify() const {
  pool.touch_all();
  uint64_t keys = 0, key_bytes = 0, entries = 0;
  std::string last;
  auto fail = [&](const std::string& what) { throw InputError("the index is damaged: " + what); };
  auto visit = [&](auto&& self, Unit unit, const std::string& low, const std::string& high, bool last_node,
                   int above) -> void {
    if (unit == 0 || unit >= pool.end()) fail("a reference leads outside");
    const InnerNode& inner = node(unit);
    if (inner.level == 0 || (above >= 0 && inner.level != above - 1) || inner.children == 0)
      fail("an inner node has a wrong level");
    if (inner.low() != low || inner.last != last_node || (!last_node && inner.high() != high))
      fail("the bounds of an inner node are wrong");
    for (size_t i = 0; i < inner.children; ++i) {
      Unit child = inner.child(i).load(std::memory_order_acquire);
      bool last_child = i + 1 == inner.children;
      std::string begin = inner.separator(i), end = last_child ? high : inner.separator(i + 1);
      if (inner.find(begin) != i) fail("a separator is not found in its node");
      bool open = last_node && last_child;
      if (inner.level > 1) {
        self(self, child, begin, end, open, inner.level);
        continue;
      }
      if (child == 0 || child >= pool.end()) fail("a reference leads outside");
      const Leaf& found = leaf(child);
      uint8_t slots[kSlots];
      size_t count = slots_in_order(pool, found, slots);
      for (size_t s = 0; s < count; ++s) {
        Record record = found.record(slots[s]);
        std::string key(found.shared_part());
        key += found.key_after_shared(pool, record);
        if (key < begin || (!open && key >= end))
          fail("key '" + printable(key, 60) + "' lies in the wrong leaf");
        if (keys > 0 && key <= last) fail("key '" + printable(key, 60) + "' is out of order");
        std::optional<uint64_t> value = get(key);
        if (!value || *value != record.value()) fail("key '" + printable(key, 60) + "' is not found");
        if (get_from_tree<false>(key, hash_key(key)) != value)
          fail("key '" + printable(key, 60) + "' is not found in the tree");
        ++keys;
        key_bytes += key.size();
        entries += found.id != 0;
        last = std::move(key);
      }
    }
  };
  EpochGuard inside;
  visit(visit, root.load(std::memory_order_acquire), "", "", true, -1);
  if (keys != static_cast<uint64_t>(total(&Count::keys)) ||
      key_bytes != static_cast<uint64_t>(total(&Count::key_bytes)))
    fail("it holds " + std::to_string(keys) + " keys, and its count says " +
         std::to_string(total(&Count::keys)));
  if (table && table->stats().entries > entries) fail("its point table has entries of keys that are gone");
}

}  // namespace orrery::keyindex

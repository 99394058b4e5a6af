// An ordered in-memory index from byte strings to 64-bit values: fast gets, inserts and ordered scans over
// names, words, paths, any bytes at all up to 64 KiB a key.
//
// Keys lie in leaves of up to 64 records (leaf.h), found through inner nodes (inner_node.h); a point table
// (point_table.h), which can be left out, leads straight to a record. docs/keyindex.md tells why and how
// fast.
//
// Threads: all operations may run at once from any number of threads, but for bulk_load, load and
// destruction. Each get, put, insert and remove takes effect at one moment between its call and its return. A
// scan shows every key that was there from its begin to its end, once and in order; of keys that come or go
// meanwhile it may show some. save() shows one moment: writers wait for it, readers go on.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::keyindex {

inline constexpr size_t kLongestKey = 65536;  // bytes

struct IndexOptions {
  bool point_table = true;
};

struct IndexStats {
  uint64_t keys = 0, key_bytes = 0;
  uint64_t leaves = 0, inner_nodes = 0, levels = 0;  // levels of inner nodes
  uint64_t leaf_bytes = 0, inner_bytes = 0, long_key_bytes = 0, table_bytes = 0;
  uint64_t allocated_bytes = 0;  // all blocks, those waiting for readers to leave included
  uint64_t table_entries = 0, table_displaced = 0;
  uint64_t splits = 0, merges = 0, growths = 0;  // of leaves since the index was made or loaded
  // Beyond the bytes of the keys themselves; values are counted.
  double bytes_per_key() const {
    return keys ? (static_cast<double>(allocated_bytes) - static_cast<double>(key_bytes)) /
                      static_cast<double>(keys)
                : 0.0;
  }
};

class Cursor;
struct Record;

class StringIndex {
 public:
  explicit StringIndex(IndexOptions options = {});
  ~StringIndex();
  StringIndex(StringIndex&&) noexcept;
  StringIndex& operator=(StringIndex&&) noexcept;

  // Fills an empty index from keys in strictly ascending byte order. Throws InputError naming the position of
  // the first key that is not, or that is too long; the index is empty then.
  void bulk_load(std::span<const std::string_view> keys, std::span<const uint64_t> values);
  // The same from a source: next(key, value) returns false at the end; the key may be overwritten by the next
  // call.
  void bulk_load(const std::function<bool(std::string_view& key, uint64_t& value)>& next,
                 uint64_t expected = 0);

  std::optional<uint64_t> get(std::string_view key) const;
  // Many at once, which overlaps their cache misses: values[i] is set where found[i] becomes 1. Sizes are
  // equal.
  void get_batch(std::span<const std::string_view> keys, std::span<uint64_t> values,
                 std::span<uint8_t> found) const;

  // Throw InputError for a key of more than kLongestKey bytes.
  bool insert(std::string_view key, uint64_t value);  // false: it is there, and keeps its value
  bool put(std::string_view key, uint64_t value);     // inserts or overwrites; true: it is new
  bool remove(std::string_view key);                  // false: it was not there

  // The first key >= `key`.
  std::optional<std::pair<std::string, uint64_t>> lower_bound(std::string_view key) const;
  // Cursors stand before their first entry; next() moves on.
  Cursor scan(std::string_view from = {}) const;  // keys >= from, ascending
  Cursor scan_back() const;                       // all, descending
  Cursor scan_back(std::string_view from) const;  // keys <= from, descending
  Cursor scan_prefix(std::string_view prefix) const;

  uint64_t size() const;
  bool empty() const { return size() == 0; }
  IndexStats stats() const;
  bool has_point_table() const;

  // Writes a snapshot beside PATH and renames it, so that a killed save leaves the old file.
  void save(const std::string& path) const;
  // Maps a snapshot: pages are read, and their checksums compared, when they are first touched; an operation
  // that touches a damaged one throws InputError naming file and page.
  static StringIndex load(const std::string& path);
  // Checks everything: checksums of a mapped snapshot, order of keys, counts, that each key is found. Throws
  // InputError with what is wrong and where. No writer may be at work.
  void verify() const;

  class Impl;

 private:
  friend class Cursor;
  std::unique_ptr<Impl> impl_;
};

// Walks an index in order, a leaf at a time. It keeps memory that writers have replaced from being used again
// while it lives, so it should not be kept for long; it belongs to the thread that made it.
class Cursor {
 public:
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor();

  bool next() {
    if (++at_ < count_) [[likely]]
      return true;
    return refill();
  }
  // Of the entry that next() moved to; the key lasts until the next call.
  std::string_view key() {
    const Item& item = items_[at_];
    if (item.before == 0) return {item.bytes, item.size};
    std::memcpy(buffer_ + item.before, item.bytes, item.size);
    return {buffer_, item.before + item.size};
  }
  uint64_t value() const { return items_[at_].value; }

 private:
  friend class StringIndex;
  struct Item {
    const char* bytes;
    uint32_t size;
    uint32_t before;  // bytes that the leaf's keys share and the record leaves out; they stand in buffer_
    uint64_t value;
  };
  enum class Way { Up, Back };
  Cursor(const StringIndex::Impl& index, Way way, std::string_view from, std::string_view prefix,
         bool at_end);
  bool refill();
  void copy_record(Record from, size_t stripped, Item& item) const;
  void hold_back();
  void fetch_ahead();
  bool next_leaf();
  void read_leaf(uint32_t unit, bool bounded);
  void cut_to_prefix();

  const StringIndex::Impl& index_;
  Way way_;
  bool at_end_, started_ = false, ended_ = false;
  bool ahead_ = true;      // fetch the next leaf already
  bool inclusive_ = true;  // whether from_ itself is wanted, going back
  uint32_t node_ = 0;      // the node above the leaf, as it was when it was reached
  size_t child_ = 0;       // the leaf's place in it
  std::string from_, prefix_;
  size_t at_ = SIZE_MAX, count_ = 0, held_back_ = 0;  // items: where it stands, shown, and more behind them
  Item items_[64];
  char buffer_[1024];
};

}  // namespace orrery::keyindex

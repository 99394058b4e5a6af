// An inner node: which of its children holds a key. Children are parted by separators, the shortest byte
// strings that do so (child i holds the keys in [separator i, separator i + 1)); they are searched in a
// static trie whose nodes compare eight bytes at once. A node never changes but for the references to its
// children; a split or merge below it builds a new one.
//
// Within a node all keys share the first `known` bytes, those that its lower and upper bound share, and the
// trie begins behind them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/keyindex/block_pool.h"

namespace orrery::keyindex {

// How a child can be prefetched before its header is known: where its heap begins and how long its records in
// hash order are, both in units of 32 bytes. Wrong hints cost time only.
using Hint = uint16_t;

struct InnerNode {
  uint32_t bytes;     // of the block
  uint16_t level;     // 1: its children are leaves
  uint16_t children;  // >= 1
  uint16_t known;     // bytes that all keys below share
  uint16_t unused;
  uint32_t children_at, hints_at, separators_at;  // from the start of the block
  bool last;                                      // no upper bound
  // the trie follows

  static const InnerNode* at(const BlockPool& pool, Unit unit) {
    return reinterpret_cast<const InnerNode*>(pool.at(unit));
  }
  static InnerNode* mutable_at(const BlockPool& pool, Unit unit) {
    return reinterpret_cast<InnerNode*>(pool.at(unit));
  }
  static constexpr size_t kHeader = 32;

  const char* base() const { return reinterpret_cast<const char*>(this); }
  const uint64_t* trie() const { return reinterpret_cast<const uint64_t*>(base() + kHeader); }
  const std::atomic<Unit>& child(size_t i) const {
    return reinterpret_cast<const std::atomic<Unit>*>(base() + children_at)[i];
  }
  std::atomic<Unit>& child(size_t i) {
    return const_cast<std::atomic<Unit>&>(static_cast<const InnerNode*>(this)->child(i));
  }
  const std::atomic<Hint>& hint(size_t i) const {
    return reinterpret_cast<const std::atomic<Hint>*>(base() + hints_at)[i];
  }
  std::atomic<Hint>& hint(size_t i) {
    return const_cast<std::atomic<Hint>&>(static_cast<const InnerNode*>(this)->hint(i));
  }
  // Strings: the lower bound, the upper bound, then separators 1 .. children - 1 without their `known` bytes.
  std::string_view stored(size_t i) const;
  std::string_view low() const { return stored(0); }
  std::string_view high() const { return stored(1); }                        // "" where `last`
  std::string_view separator_tail(size_t i) const { return stored(i + 1); }  // 1 <= i < children
  std::string separator(size_t i) const;                                     // whole; i == 0: low()

  size_t find(std::string_view key) const;  // the child that holds a key within the node's bounds
  template <bool kWide>
  size_t find_as(std::string_view key) const;  // the same (inner_trie.h)

 private:
  // How many of the separators [first, end) are at most `tail`, a key without its `known` bytes; and `first`.
  size_t compare_whole(std::string_view tail, size_t first, size_t end) const;
};

// What a node is built from; separators[0] is the lower bound. The bytes of bounds and separators lie in
// `storage`, or with whoever made the plan.
struct InnerPlan {
  uint16_t level = 1;
  bool last = true;
  std::string_view high;
  std::vector<std::string_view> separators;
  std::vector<Unit> children;
  std::vector<Hint> hints;
  std::shared_ptr<const std::string> storage = {};
};
Unit build_inner(BlockPool& pool, const InnerPlan& plan);
InnerPlan plan_of(const InnerNode& node);

// The shortest string s with left < s <= right.
std::string shortest_separator(std::string_view left, std::string_view right);

}  // namespace orrery::keyindex

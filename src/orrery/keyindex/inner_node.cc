#include "orrery/keyindex/inner_node.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "orrery/base/error.h"
#include "orrery/keyindex/inner_trie.h"

namespace orrery::keyindex {
namespace {

size_t common(std::string_view a, std::string_view b) {
  size_t most = std::min(a.size(), b.size()), size = 0;
  while (size < most && a[size] == b[size]) ++size;
  return size;
}

class TrieBuilder {
 public:
  explicit TrieBuilder(const std::vector<std::string_view>& separators) : separators_(separators) {}
  std::vector<uint64_t> build(size_t known) {
    words_.reserve(4 * separators_.size() + 16);
    firsts_.reserve(2 * separators_.size());
    node(1, separators_.size(), known);
    return std::move(words_);
  }

 private:
  // Writes the node over separators [first, end), which share their first `position` bytes; returns its
  // offset.
  size_t node(size_t first, size_t end, size_t position) {
    std::string_view low = first < end ? separators_[first] : std::string_view();
    size_t skip = 0;
    if (first < end) {
      skip = common(low.substr(position), separators_[end - 1].substr(position));
      if (end - first == 1) skip = skip > 8 ? skip - 8 : 0;  // the last bytes make the span
    }
    size_t at = words_.size(), spans_at = at + 1 + (skip + 7) / 8;
    size_t base = firsts_.size();  // a stack: nodes below use what is behind
    words_.resize(spans_at);
    for (size_t i = first; i < end; ++i) {
      uint64_t span = span_at<false>(separators_[i], position + skip);
      if (firsts_.size() > base && words_.back() == span) continue;
      words_.push_back(span);
      firsts_.push_back(i);
    }
    size_t spans = firsts_.size() - base;
    TrieHead head{static_cast<uint16_t>(spans), static_cast<uint16_t>(skip), static_cast<uint16_t>(first - 1),
                  static_cast<uint16_t>(end - 1)};
    std::memcpy(&words_[at], &head, 8);
    if (skip) std::memcpy(&words_[at + 1], low.data() + position, skip);
    size_t to_at = spans_at + spans;
    words_.resize(to_at + (spans + 1) / 2);
    for (size_t s = 0; s < spans; ++s) {
      size_t begin = firsts_[base + s], stop = s + 1 < spans ? firsts_[base + s + 1] : end;
      SpanTo to{static_cast<uint16_t>(begin - 1), go_on(begin, stop, position + skip)};
      std::memcpy(reinterpret_cast<char*>(words_.data() + to_at) + 4 * s, &to, 4);
    }
    firsts_.resize(base);
    return at;
  }

  uint16_t go_on(size_t first, size_t end, size_t position) {
    size_t shortest = separators_[first].size() - position;
    for (size_t i = first; i < end; ++i) shortest = std::min(shortest, separators_[i].size() - position);
    if (end - first == 1 && shortest <= 8) return static_cast<uint16_t>(SpanTo::kEndsHere | shortest);
    if (shortest < 8) return SpanTo::kCompare;
    size_t below = node(first, end, position + 8);
    return below < SpanTo::kEndsHere ? static_cast<uint16_t>(below) : SpanTo::kCompare;
  }

  const std::vector<std::string_view>& separators_;  // [0] is the lower bound and no part of the trie
  std::vector<uint64_t> words_;
  std::vector<size_t> firsts_;
};

}  // namespace

std::string_view InnerNode::stored(size_t i) const {
  const char* table = base() + separators_at;
  uint32_t begin, end;
  std::memcpy(&begin, table + 4 * i, 4);
  std::memcpy(&end, table + 4 * (i + 1), 4);
  return {table + begin, end - begin};
}

std::string InnerNode::separator(size_t i) const {
  std::string_view shared = low();
  if (i == 0) return std::string(shared);
  return std::string(shared.substr(0, known)).append(separator_tail(i));
}

size_t InnerNode::find(std::string_view key) const {
  return find_as<false>(key);
}

size_t InnerNode::compare_whole(std::string_view tail, size_t first, size_t end) const {
  while (first < end && separator_tail(first + 1) <= tail) ++first;
  return first;
}

Unit build_inner(BlockPool& pool, const InnerPlan& plan) {
  size_t known = plan.last ? 0 : common(plan.separators.front(), plan.high);
  known = std::min<size_t>(known, 0xffff);
  std::vector<uint64_t> words = TrieBuilder(plan.separators).build(known);
  size_t children = plan.children.size();
  InnerNode head{};
  head.level = plan.level;
  head.children = static_cast<uint16_t>(children);
  head.known = static_cast<uint16_t>(known);
  head.last = plan.last;
  head.children_at = static_cast<uint32_t>(InnerNode::kHeader + 8 * words.size());
  head.hints_at = head.children_at + static_cast<uint32_t>(4 * children);
  head.separators_at = (head.hints_at + static_cast<uint32_t>(2 * children) + 3) & ~3u;
  size_t strings = children + 1;  // the bounds and the separators between
  std::vector<uint32_t> ends(strings + 1);
  auto text = [&](size_t i) -> std::string_view {
    if (i == 0) return plan.separators.front();
    if (i == 1) return plan.high;
    return plan.separators[i - 1].substr(known);
  };
  ends[0] = static_cast<uint32_t>(4 * (strings + 1));
  for (size_t i = 0; i < strings; ++i) ends[i + 1] = ends[i] + static_cast<uint32_t>(text(i).size());
  head.bytes = head.separators_at + ends[strings];
  Unit unit = pool.allocate(head.bytes);
  char* block = pool.at(unit);
  static_assert(sizeof(InnerNode) <= InnerNode::kHeader);
  std::memcpy(block, &head, sizeof head);
  if (!words.empty()) std::memcpy(block + InnerNode::kHeader, words.data(), 8 * words.size());
  InnerNode& node = *InnerNode::mutable_at(pool, unit);
  for (size_t i = 0; i < children; ++i) {
    node.child(i).store(plan.children[i], std::memory_order_relaxed);
    node.hint(i).store(plan.hints[i], std::memory_order_relaxed);
  }
  std::memcpy(block + head.separators_at, ends.data(), 4 * ends.size());
  for (size_t i = 0; i < strings; ++i) {
    std::string_view bytes = text(i);
    if (!bytes.empty()) std::memcpy(block + head.separators_at + ends[i], bytes.data(), bytes.size());
  }
  return unit;
}

InnerPlan plan_of(const InnerNode& node) {
  InnerPlan plan;
  plan.level = node.level;
  plan.last = node.last;
  std::string_view shared = node.low().substr(0, node.known);
  size_t bytes = node.low().size() + node.high().size();
  for (size_t i = 1; i < node.children; ++i) bytes += shared.size() + node.separator_tail(i).size();
  auto storage = std::make_shared<std::string>();
  storage->reserve(bytes);  // so that views into it stay
  auto keep = [&](std::string_view start, std::string_view rest) {
    size_t at = storage->size();
    storage->append(start).append(rest);
    return std::string_view(*storage).substr(at);
  };
  plan.high = keep(node.high(), {});
  size_t room = node.children + 2u;
  plan.separators.reserve(room);
  plan.children.reserve(room);
  plan.hints.reserve(room);
  for (size_t i = 0; i < node.children; ++i) {
    plan.separators.push_back(i == 0 ? keep(node.low(), {}) : keep(shared, node.separator_tail(i)));
    plan.children.push_back(node.child(i).load(std::memory_order_relaxed));
    plan.hints.push_back(node.hint(i).load(std::memory_order_relaxed));
  }
  plan.storage = std::move(storage);
  return plan;
}

std::string shortest_separator(std::string_view left, std::string_view right) {
  return std::string(right.substr(0, common(left, right) + 1));
}

}  // namespace orrery::keyindex

// How an inner node's trie lies in memory, and the search in it. Words of 64 bits; a trie node at a word
// offset is
//   {u16 spans, u16 skip bytes, u16 first separator, u16 end separator}, the skip bytes padded to words,
//   the spans (eight key bytes, big-endian, zeros behind the end) in order, then for each {u16 first
//   separator, u16 what}.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "orrery/keyindex/inner_node.h"
#include "orrery/keyindex/wide.h"

namespace orrery::keyindex {

struct TrieHead {
  uint16_t spans, skip, first, end;
};
struct SpanTo {
  uint16_t first, what;
  // `what` says how to go on with a key that has exactly this span; else the word offset of the node below:
  static constexpr uint16_t kEndsHere = 0x8000;  // | n: one separator, which ends after n bytes of the span
  static constexpr uint16_t kCompare =
      0xffff;  // separators that end within the span and differ by NULs: compare whole
};

template <bool kWide>
inline size_t InnerNode::find_as(std::string_view key) const {
  const uint64_t* words = trie();
  size_t at = 0, position = known;
  while (true) {
    TrieHead head;
    std::memcpy(&head, words + at, 8);
    const uint64_t* spans = words + at + 1;
    if (head.skip) {
      const char* skipped = reinterpret_cast<const char*>(spans);
      if (position + head.skip > key.size() ||
          !same_bytes<kWide>(key.data() + position, skipped, head.skip)) {
        std::string_view mine = position < key.size() ? key.substr(position) : std::string_view();
        return mine < std::string_view(skipped, head.skip) ? head.first : head.end;
      }
      spans += (head.skip + 7u) / 8;
      position += head.skip;
    }
    uint64_t span = span_at<kWide>(key, position);
    size_t below = count_below<kWide>(spans, head.spans, span);
    if (below == head.spans) return head.end;
    SpanTo to;
    std::memcpy(&to, reinterpret_cast<const char*>(spans + head.spans) + 4 * below, 4);
    if (spans[below] != span) return to.first;
    if (to.what == SpanTo::kCompare) {
      size_t end = head.end;
      if (below + 1 < head.spans) {
        SpanTo after;
        std::memcpy(&after, reinterpret_cast<const char*>(spans + head.spans) + 4 * (below + 1), 4);
        end = after.first;
      }
      return compare_whole(key.substr(known), to.first, end);
    }
    if (to.what & SpanTo::kEndsHere) return to.first + (position + (to.what & 0xffu) <= key.size() ? 1u : 0u);
    at = to.what;
    position += 8;
  }
}

}  // namespace orrery::keyindex

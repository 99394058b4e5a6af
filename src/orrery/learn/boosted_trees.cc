#include "orrery/learn/boosted_trees.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "orrery/base/error.h"

// One source of the batch kernel, compiled for the wide vector units as well; the loader picks.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ORRERY_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define ORRERY_WIDE_VECTORS
#endif

namespace orrery::learn {
namespace {

constexpr std::size_t kBlock = 64;  // rows that walk the trees together
constexpr std::size_t kFirstInnerSlot = BoostedTrees::kMaxLeaves + 1;
constexpr std::size_t kSlots = kFirstInnerSlot + BoostedTrees::kMaxLeaves;

using Codes = std::uint8_t[kBlock];

// The number of thresholds below x, for each row of a block. Counting all of them is vector code, a search is
// not.
ORRERY_WIDE_VECTORS void encode(std::span<const float> thresholds, const float* x,
                                std::uint8_t* __restrict codes) {
  std::int32_t below[kBlock] = {};
  for (const float threshold : thresholds) {
    for (std::size_t r = 0; r < kBlock; ++r) below[r] += x[r] <= threshold ? 0 : 1;
  }
  for (std::size_t r = 0; r < kBlock; ++r) codes[r] = static_cast<std::uint8_t>(below[r]);
}

// Walks one block of rows through one tree and adds each row's leaf to its sum.
ORRERY_WIDE_VECTORS void walk(std::span<const BoostedTrees::Step> steps, const std::int32_t* leaves,
                              const std::uint8_t* codes, Codes* slots, std::int32_t* __restrict sum) {
  Codes* slot = slots + kFirstInnerSlot;
  for (const BoostedTrees::Step& step : steps) {
    const std::uint8_t* code = codes + step.feature * kBlock;
    const std::uint8_t* left = slots[step.left];
    const std::uint8_t* right = slots[step.right];
    std::uint8_t* __restrict out = *slot++;
    const std::uint8_t threshold = step.threshold;  // a copy: a byte written to `out` might alias it
    for (std::size_t r = 0; r < kBlock; ++r) {
      // Written without a branch, in bytes: compilers make vector code of this form.
      const auto go_right = static_cast<std::uint8_t>(code[r] > threshold ? 0xff : 0);
      out[r] = static_cast<std::uint8_t>((left[r] & ~go_right) | (right[r] & go_right));
    }
  }
  const std::uint8_t* index = steps.empty() ? slots[0] : slot[-1];
  for (std::size_t r = 0; r < kBlock; ++r) sum[r] += leaves[index[r]];
}

// A reader of blank-separated tokens.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : rest_(text) {}

  std::string_view next() {
    const std::size_t begin = rest_.find_first_not_of(' ');
    if (begin == std::string_view::npos) return rest_ = {};
    const std::size_t end = std::min(rest_.find(' ', begin), rest_.size());
    const std::string_view token = rest_.substr(begin, end - begin);
    rest_.remove_prefix(end);
    return token;
  }

  template <class T>
  bool number(T* value) {
    return parse(next(), value);
  }

  template <class T>
  static bool parse(std::string_view token, T* value) {
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), *value);
    return error == std::errc() && end == token.data() + token.size() && !token.empty();
  }

 private:
  std::string_view rest_;
};

template <class T>
void append(std::string* text, T value) {
  std::array<char, 40> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  if (!text->empty()) text->push_back(' ');
  text->append(digits.data(), end);
}

}  // namespace

BoostedTrees::BoostedTrees(double base, double step, std::vector<std::vector<float>> thresholds,
                           std::vector<std::uint32_t> first, std::vector<Node> nodes)
    : base_(base),
      step_(step),
      thresholds_(std::move(thresholds)),
      first_(std::move(first)),
      nodes_(std::move(nodes)) {
  plan_batches();
}

void BoostedTrees::plan_batches() {
  first_step_.assign(1, 0);
  first_leaf_.assign(1, 0);
  std::vector<std::uint16_t> slot;
  for (std::size_t t = 0; t < trees(); ++t) {
    const std::span<const Node> tree(nodes_.data() + first_[t], nodes_.data() + first_[t + 1]);
    slot.assign(tree.size(), 0);
    std::uint16_t leaf = 0;
    for (std::size_t i = 0; i < tree.size(); ++i) {
      if (tree[i].feature >= 0) continue;
      slot[i] = leaf++;
      leaves_.push_back(tree[i].leaf);
    }
    // In preorder every child follows its parent, so that walking back meets children first.
    std::uint16_t inner = 0;
    for (std::size_t i = tree.size(); i-- > 0;) {
      if (tree[i].feature < 0) continue;
      slot[i] = static_cast<std::uint16_t>(kFirstInnerSlot + inner++);
      steps_.push_back(
          {static_cast<std::uint16_t>(tree[i].feature), tree[i].threshold, slot[i + 1], slot[tree[i].right]});
    }
    first_step_.push_back(static_cast<std::uint32_t>(steps_.size()));
    first_leaf_.push_back(static_cast<std::uint32_t>(leaves_.size()));
  }
}

double BoostedTrees::predict(std::span<const float> row) const {
  std::array<std::uint8_t, 256> few;
  std::vector<std::uint8_t> many;
  std::uint8_t* codes = few.data();
  if (columns() > few.size()) {
    many.resize(columns());
    codes = many.data();
  }
  for (std::size_t f = 0; f < columns(); ++f) {
    const auto& edges = thresholds_[f];
    const auto above =
        std::partition_point(edges.begin(), edges.end(), [&](float edge) { return !(row[f] <= edge); });
    codes[f] = static_cast<std::uint8_t>(above - edges.begin());
  }
  std::int32_t sum = 0;
  for (std::size_t t = 0; t < trees(); ++t) {
    const Node* tree = nodes_.data() + first_[t];
    const Node* node = tree;
    while (node->feature >= 0) node = codes[node->feature] > node->threshold ? tree + node->right : node + 1;
    sum += node->leaf;
  }
  return base_ + step_ * sum;
}

void BoostedTrees::predict(std::span<const float> rows, std::span<double> out) const {
  struct Workspace {
    alignas(64) Codes slots[kSlots];
  };
  Workspace work;
  for (std::size_t leaf = 0; leaf < kFirstInnerSlot; ++leaf) {
    std::memset(work.slots[leaf], static_cast<int>(leaf), kBlock);
  }
  std::vector<std::uint8_t> codes(columns() * kBlock);
  alignas(64) float column[kBlock];
  alignas(64) std::int32_t sum[kBlock];
  for (std::size_t begin = 0; begin < out.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, out.size() - begin);
    if (count < 8) {  // a block costs about as much as eight rows alone
      for (std::size_t r = begin; r < begin + count; ++r)
        out[r] = predict(rows.subspan(r * columns(), columns()));
      continue;
    }
    for (std::size_t f = 0; f < columns(); ++f) {
      for (std::size_t r = 0; r < kBlock; ++r)
        column[r] = rows[(begin + std::min(r, count - 1)) * columns() + f];
      encode(thresholds_[f], column, codes.data() + f * kBlock);
    }
    std::fill(std::begin(sum), std::end(sum), 0);
    for (std::size_t t = 0; t < trees(); ++t) {
      walk({steps_.data() + first_step_[t], steps_.data() + first_step_[t + 1]},
           leaves_.data() + first_leaf_[t], codes.data(), work.slots, sum);
    }
    for (std::size_t r = 0; r < count; ++r) out[begin + r] = base_ + step_ * sum[r];
  }
}

std::string BoostedTrees::to_text() const {
  std::string text = "trees1";
  append(&text, base_);
  append(&text, step_);
  append(&text, columns());
  for (const auto& edges : thresholds_) {
    append(&text, edges.size());
    for (const float edge : edges) append(&text, edge);
  }
  append(&text, trees());
  for (const Node& node : nodes_) {
    if (node.feature < 0) {
      append(&text, node.leaf);
    } else {
      text += " f";
      text += std::to_string(node.feature) + ':' + std::to_string(node.threshold);
    }
  }
  return text;
}

BoostedTrees BoostedTrees::from_text(std::string_view text) {
  const auto fail = [](const std::string& reason) -> void { throw Error("boosted trees: " + reason); };
  Tokens tokens(text);
  if (tokens.next() != "trees1") fail("expected the format tag trees1 first");
  double base = 0;
  double step = 0;
  std::size_t columns = 0;
  if (!tokens.number(&base) || !tokens.number(&step) || !std::isfinite(base) || !std::isfinite(step)) {
    fail("expected base and step as finite numbers");
  }
  // No count may ask for more than the text can hold.
  if (!tokens.number(&columns) || columns > text.size()) fail("expected the number of columns");
  std::vector<std::vector<float>> thresholds(columns);
  for (std::size_t f = 0; f < columns; ++f) {
    std::size_t count = 0;
    if (!tokens.number(&count) || count >= static_cast<std::size_t>(kMaxBins)) {
      fail("column " + std::to_string(f) + ": expected a count of thresholds below 255");
    }
    for (std::size_t i = 0; i < count; ++i) {
      float edge = 0;
      if (!tokens.number(&edge) || !std::isfinite(edge) || (i > 0 && edge <= thresholds[f].back())) {
        fail("column " + std::to_string(f) + ": expected ascending thresholds");
      }
      thresholds[f].push_back(edge);
    }
  }
  std::size_t trees = 0;
  if (!tokens.number(&trees) || trees > text.size()) fail("expected the number of trees");
  std::vector<std::uint32_t> first(1, 0);
  std::vector<Node> nodes;
  std::vector<std::uint16_t> open;  // inner nodes whose right child is still to come
  for (std::size_t t = 0; t < trees; ++t) {
    const std::string tree = "tree " + std::to_string(t) + ": ";
    const std::size_t begin = nodes.size();
    int leaves = 0;
    open.clear();
    for (;;) {
      const std::string_view token = tokens.next();
      Node node;
      if (!token.empty() && token.front() == 'f') {
        const std::size_t colon = token.find(':');
        if (colon == std::string_view::npos || !Tokens::parse(token.substr(1, colon - 1), &node.feature) ||
            !Tokens::parse(token.substr(colon + 1), &node.threshold) || node.feature < 0 ||
            static_cast<std::size_t>(node.feature) >= columns ||
            node.threshold >= thresholds[static_cast<std::size_t>(node.feature)].size()) {
          fail(tree + "expected fCOLUMN:THRESHOLD within the columns above");
        }
        if (nodes.size() - begin >= 2 * static_cast<std::size_t>(kMaxLeaves)) fail(tree + "too many nodes");
        open.push_back(static_cast<std::uint16_t>(nodes.size() - begin));
        nodes.push_back(node);
        continue;
      }
      if (!Tokens::parse(token, &node.leaf)) fail(tree + "expected a leaf, an integer of 16 bits");
      if (++leaves > kMaxLeaves) fail(tree + "more than 255 leaves");
      nodes.push_back(node);
      if (open.empty()) break;
      nodes[begin + open.back()].right = static_cast<std::uint16_t>(nodes.size() - begin);
      open.pop_back();
    }
    first.push_back(static_cast<std::uint32_t>(nodes.size()));
  }
  if (!tokens.next().empty()) fail("text after the last tree");
  return BoostedTrees(base, step, std::move(thresholds), std::move(first), std::move(nodes));
}

}  // namespace orrery::learn

#include <algorithm>
#include <chrono>
#include <cmath>

#include "orrery/base/error.h"
#include "orrery/keyindex/baselines/baseline_index.h"
#include "orrery/keyindex/baselines/key_store.h"
#include "orrery/keyindex/training/grouping.h"

namespace orrery::keyindex {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A gapped array: slots in key order, gaps among them. A gap holds the key of the next used slot, so that the
// whole is sorted; past the last used slot nothing is looked at.
//
// The model was trained on ranks; a slot is its position times `spread`: an expansion that moves keys apart
// changes one factor and no factorization.
struct Node {
  std::vector<std::string_view> keys;
  std::vector<uint64_t> values;
  std::vector<bool> used, fresh;  // fresh: came after the last training
  size_t count = 0, extent = 0;   // used slots; one past the last of them
  double spread = 1;
  bool forgot = false;  // a trained key left: the memo does not hold for what is there
  LinearModel model;
  Memo memo;

  size_t lower_bound(std::string_view key) const {
    const std::span<const std::string_view> sorted(keys.data(), extent);
    const double at =
        extent ? std::clamp(model.position(key) * spread, 0.0, static_cast<double>(extent - 1)) : 0;
    const auto guess = static_cast<size_t>(at);
    size_t slot = gallop(sorted, key, guess, guess);
    // A gap that holds the key itself stands before its slot.
    while (slot < extent && !used[slot] && keys[slot] == key) ++slot;
    return slot;
  }
  bool holds(size_t slot, std::string_view key) const {
    return slot < extent && used[slot] && keys[slot] == key;
  }
};

class AlexLike : public BaselineIndex {
 public:
  explicit AlexLike(const BaselineOptions& options)
      : options_(options), trainer_(make_trainer(options.trainer)) {
    nodes_.push_back(std::make_unique<Node>());
    pivots_.emplace_back();
  }

  void bulk_load(std::span<const std::string_view> keys, std::span<const uint64_t> values) override {
    for (size_t i = 1; i < keys.size(); ++i)
      if (keys[i - 1] >= keys[i])
        throw InputError("keys to load are not in ascending order at place " + std::to_string(i + 1));
    nodes_.clear();
    pivots_.clear();
    const std::vector<size_t> starts = group_starts(keys);
    for (size_t g = 0; g < std::max<size_t>(1, starts.size()); ++g) {
      const size_t begin = starts.empty() ? 0 : starts[g],
                   end = g + 1 < starts.size() ? starts[g + 1] : keys.size();
      std::vector<std::string_view> stored;
      for (size_t i = begin; i < end; ++i) stored.push_back(store_.add(keys[i]));
      auto node = std::make_unique<Node>();
      rebuild(*node, stored, values.subspan(begin, end - begin), {}, {});
      pivots_.push_back(g == 0 ? std::string_view() : stored.front());
      nodes_.push_back(std::move(node));
    }
  }

  std::optional<uint64_t> get(std::string_view key) const override {
    const Node& node = *nodes_[find(key)];
    const size_t slot = node.lower_bound(key);
    if (!node.holds(slot, key)) return std::nullopt;
    return node.values[slot];
  }

  bool put(std::string_view key, uint64_t value) override {
    size_t at = find(key);
    size_t slot = nodes_[at]->lower_bound(key);
    if (nodes_[at]->holds(slot, key)) {
      nodes_[at]->values[slot] = value;
      return false;
    }
    if (static_cast<double>(nodes_[at]->count + 1) >
        options_.full_at * static_cast<double>(nodes_[at]->keys.size())) {
      expand(at);
      at = find(key);
      slot = nodes_[at]->lower_bound(key);
    }
    place(*nodes_[at], slot, store_.add(key), value);
    return true;
  }

  bool remove(std::string_view key) override {
    Node& node = *nodes_[find(key)];
    size_t slot = node.lower_bound(key);
    if (!node.holds(slot, key)) return false;
    node.forgot = node.forgot || !node.fresh[slot];
    node.used[slot] = node.fresh[slot] = false;
    --node.count;
    if (slot + 1 == node.extent) {
      while (node.extent > 0 && !node.used[node.extent - 1]) --node.extent;
      return true;
    }
    // This gap, and those before it, now stand for the next key.
    const std::string_view next = node.keys[slot + 1];
    node.keys[slot] = next;
    while (slot-- > 0 && !node.used[slot]) node.keys[slot] = next;
    return true;
  }

  std::vector<std::pair<std::string, uint64_t>> scan(std::string_view from, size_t count) const override {
    std::vector<std::pair<std::string, uint64_t>> out;
    for (size_t n = find(from); n < nodes_.size() && out.size() < count; ++n) {
      const Node& node = *nodes_[n];
      for (size_t slot = node.lower_bound(from); slot < node.extent && out.size() < count; ++slot)
        if (node.used[slot]) out.emplace_back(node.keys[slot], node.values[slot]);
    }
    return out;
  }

  BaselineStats stats() const override {
    BaselineStats stats = stats_;
    stats.full = trainer_->counters().full;
    stats.incremental = trainer_->counters().incremental;
    stats.rows_factorized = trainer_->counters().rows_factorized;
    stats.groups = nodes_.size();
    for (const auto& node : nodes_) stats.memo_bytes += node->memo.bytes();
    return stats;
  }

 private:
  size_t find(std::string_view key) const {
    return static_cast<size_t>(std::upper_bound(pivots_.begin() + 1, pivots_.end(), key) - pivots_.begin()) -
           1;
  }

  void place(Node& node, size_t slot, std::string_view key, uint64_t value) {
    if (slot == node.keys.size() || (slot < node.extent && node.used[slot])) {
      // The nearest gap, on either side.
      size_t right = slot, left = slot;
      while (right < node.keys.size() && node.used[right]) ++right;
      while (left > 0 && node.used[left - 1]) --left;
      const bool has_left = left > 0, has_right = right < node.keys.size();
      if (has_right && (!has_left || right - slot <= slot - left + 1)) {
        for (size_t i = right; i > slot; --i) move(node, i - 1, i);
        node.extent = std::max(node.extent, right + 1);
      } else {
        for (size_t i = left - 1; i + 1 < slot; ++i) move(node, i + 1, i);
        --slot;
      }
    }
    node.keys[slot] = key;
    node.values[slot] = value;
    node.used[slot] = node.fresh[slot] = true;
    node.extent = std::max(node.extent, slot + 1);
    // Gaps before it held the key after it.
    for (size_t i = slot; i-- > 0 && !node.used[i];) node.keys[i] = key;
    ++node.count;
  }

  static void move(Node& node, size_t from, size_t to) {
    node.keys[to] = node.keys[from];
    node.values[to] = node.values[from];
    node.used[to] = node.used[from];
    node.fresh[to] = node.fresh[from];
  }

  // More room, and a model of all that is there now; beyond the most keys, two nodes.
  void expand(size_t at) {
    Node& node = *nodes_[at];
    std::vector<std::string_view> keys;
    std::vector<uint64_t> values;
    std::vector<uint32_t> inserted;
    for (size_t slot = 0; slot < node.extent; ++slot) {
      if (!node.used[slot]) continue;
      if (node.fresh[slot]) inserted.push_back(static_cast<uint32_t>(keys.size()));
      keys.push_back(node.keys[slot]);
      values.push_back(node.values[slot]);
    }
    ++stats_.compactions;
    if (keys.size() <= options_.most_keys) {
      Memo memo = node.forgot ? Memo{} : std::move(node.memo);
      return rebuild(node, keys, values, inserted, std::move(memo));
    }
    ++stats_.splits;
    const size_t half = keys.size() / 2;
    const std::span<const std::string_view> all(keys);
    const std::span<const uint64_t> all_values(values);
    auto right = std::make_unique<Node>();
    rebuild(*right, all.subspan(half), all_values.subspan(half), {}, {});
    rebuild(node, all.first(half), all_values.first(half), {}, {});
    pivots_.insert(pivots_.begin() + static_cast<std::ptrdiff_t>(at) + 1, all[half]);
    nodes_.insert(nodes_.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(right));
  }

  void rebuild(Node& node, std::span<const std::string_view> keys, std::span<const uint64_t> values,
               std::span<const uint32_t> inserted, Memo memo) {
    Node fresh;
    auto start = Clock::now();
    if (!keys.empty()) {
      TrainJob job{.keys = keys, .inserted = inserted, .removed = {}, .memo = std::move(memo)};
      job.options.most_columns = options_.most_columns;
      job.options.keep_memo = options_.memo;
      job.options.bounds = options_.check_members;  // the search gallops and needs none
      TrainResult result = trainer_->train(std::move(job));
      fresh.model = std::move(result.model);
      fresh.memo = std::move(result.memo);
      if (options_.check_members) stats_.lost_members += members_lost(fresh.model, keys);
    }
    stats_.training += since(start);
    start = Clock::now();
    const size_t capacity = std::max<size_t>(
        16, static_cast<size_t>(std::ceil(static_cast<double>(keys.size()) / options_.filled_to)));
    fresh.keys.resize(capacity);
    fresh.values.resize(capacity);
    fresh.used.resize(capacity);
    fresh.fresh.resize(capacity);
    fresh.spread = keys.empty() ? 1 : static_cast<double>(capacity) / static_cast<double>(keys.size());
    spread_out(fresh, keys, values);
    node = std::move(fresh);
    stats_.merging += since(start);
  }

  // Each key where the model puts it, or behind the one before; always leaving room for those to come.
  static void spread_out(Node& node, std::span<const std::string_view> keys,
                         std::span<const uint64_t> values) {
    size_t next = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      const double wanted = std::max(0.0, node.model.position(keys[i]) * node.spread);
      const size_t last = node.keys.size() - (keys.size() - i);
      const size_t slot = std::min(last, std::max(next, static_cast<size_t>(std::min(wanted, 1e15))));
      for (size_t gap = next; gap < slot; ++gap) node.keys[gap] = keys[i];
      node.keys[slot] = keys[i];
      node.values[slot] = values[i];
      node.used[slot] = true;
      next = slot + 1;
    }
    node.count = keys.size();
    node.extent = next;
  }

  const BaselineOptions options_;
  const std::unique_ptr<Trainer> trainer_;
  KeyStore store_;
  std::vector<std::string_view> pivots_;
  std::vector<std::unique_ptr<Node>> nodes_;
  BaselineStats stats_;
};

}  // namespace

std::unique_ptr<BaselineIndex> make_alex_like(const BaselineOptions& options) {
  return std::make_unique<AlexLike>(options);
}

}  // namespace orrery::keyindex

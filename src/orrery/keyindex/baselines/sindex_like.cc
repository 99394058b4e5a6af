#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "orrery/base/error.h"
#include "orrery/keyindex/baselines/baseline_index.h"
#include "orrery/keyindex/baselines/grace_period.h"
#include "orrery/keyindex/baselines/key_store.h"
#include "orrery/keyindex/baselines/value_slot.h"
#include "orrery/keyindex/training/grouping.h"

namespace orrery::keyindex {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// New keys of a group, sorted. Once frozen it takes no key; values of those it has can still be written.
class DeltaBuffer {
 public:
  enum class Put { Inserted, Revived, Updated, Frozen };

  // What a frozen buffer answers where the key is not in it is Frozen.
  Put put(std::string_view key, uint64_t value, KeyStore& store) {
    const std::lock_guard lock(mutex_);
    const auto at = find(key);
    if (at != entries_.end() && at->first == key) {
      const ValueSlot::Write result = at->second->write(value);
      if (result == ValueSlot::Write::Done) return Put::Updated;
      if (result == ValueSlot::Write::Revived) return Put::Revived;
      return Put::Frozen;  // buried by the merge
    }
    if (frozen_) return Put::Frozen;
    slots_.emplace_back(value);
    entries_.insert(at, {store.add(key), &slots_.back()});
    return Put::Inserted;
  }
  ValueSlot* slot(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto at = find(key);
    return at != entries_.end() && at->first == key ? at->second : nullptr;
  }
  void freeze() {
    const std::lock_guard lock(mutex_);
    frozen_ = true;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  using Entry = std::pair<std::string_view, ValueSlot*>;
  std::vector<Entry> entries(std::string_view from = {}) {
    const std::lock_guard lock(mutex_);
    return {find(from), entries_.end()};
  }

 private:
  std::vector<Entry>::iterator find(std::string_view key) {
    return std::lower_bound(entries_.begin(), entries_.end(), key,
                            [](const Entry& entry, std::string_view k) { return entry.first < k; });
  }
  mutable std::mutex mutex_;
  bool frozen_ = false;
  std::vector<Entry> entries_;
  std::deque<ValueSlot> slots_;
};

struct Group {
  std::string_view pivot;  // keys below it belong to a group before
  std::vector<std::string_view> keys;
  std::deque<ValueSlot> slots;
  LinearModel model;
  Memo memo;  // the compaction's alone
  std::shared_ptr<DeltaBuffer> buffer = std::make_shared<DeltaBuffer>();
  std::atomic<DeltaBuffer*> temporary{nullptr};
  std::shared_ptr<DeltaBuffer> temporary_owner;
  std::atomic<Group*> next{nullptr};  // split off since the root was made

  ValueSlot* slot(std::string_view key) {
    const size_t at = model.lower_bound(keys, key);
    return at < keys.size() && keys[at] == key ? &slots[at] : nullptr;
  }
};

struct Root {
  std::vector<std::string_view> pivots;
  std::deque<std::atomic<Group*>> groups;
  LearnedSearch search;
};

class SIndexLike : public BaselineIndex {
 public:
  explicit SIndexLike(const BaselineOptions& options)
      : options_(options), trainer_(make_trainer(options.trainer)) {
    install({});
    if (options.background) worker_ = std::thread([this] { work(); });
  }
  ~SIndexLike() override {
    {
      const std::lock_guard lock(wake_mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (worker_.joinable()) worker_.join();
    for (Group* group : all_groups(*root_.load())) delete group;
    delete root_.load();
  }

  void bulk_load(std::span<const std::string_view> keys, std::span<const uint64_t> values) override {
    for (size_t i = 1; i < keys.size(); ++i)
      if (keys[i - 1] >= keys[i])
        throw InputError("keys to load are not in ascending order at place " + std::to_string(i + 1));
    const std::lock_guard lock(compaction_);
    std::vector<Group*> groups;
    const std::vector<size_t> starts = group_starts(keys);
    for (size_t g = 0; g < starts.size(); ++g) {
      const size_t begin = starts[g], end = g + 1 < starts.size() ? starts[g + 1] : keys.size();
      auto* group = new Group;
      for (size_t i = begin; i < end; ++i) {
        group->keys.push_back(store_.add(keys[i]));
        group->slots.emplace_back(values[i]);
      }
      group->pivot = g == 0 ? std::string_view() : group->keys.front();
      train(*group, {}, {}, {});
      groups.push_back(group);
    }
    Root* old = install(groups);
    if (old == nullptr) return;
    grace_.wait();
    for (Group* group : all_groups(*old)) delete group;
    delete old;
  }

  std::optional<uint64_t> get(std::string_view key) const override {
    GracePeriod::Guard guard(grace_);
    Group& group = find(key);
    for (ValueSlot* slot : places(group, key))
      if (slot)
        if (const std::optional<uint64_t> value = slot->read()) return value;
    return std::nullopt;
  }

  bool put(std::string_view key, uint64_t value) override {
    for (;;) {
      bool is_new = false, retry = false, crowded = false;
      {
        GracePeriod::Guard guard(grace_);
        Group& group = find(key);
        if (ValueSlot* slot = group.slot(key)) {
          const ValueSlot::Write result = slot->write(value);
          if (result != ValueSlot::Write::Dead) return result == ValueSlot::Write::Revived;
        }
        DeltaBuffer::Put result = group.buffer->put(key, value, store_);
        if (result == DeltaBuffer::Put::Frozen) {
          DeltaBuffer* temporary = group.temporary.load();
          if (temporary) result = temporary->put(key, value, store_);
          retry = !temporary || result == DeltaBuffer::Put::Frozen;
        }
        is_new = result != DeltaBuffer::Put::Updated;
        crowded = !options_.background && group.buffer->size() > options_.buffer_keys;
      }
      // Outside the guard, so that the merge that is waited for can pass its barrier.
      if (retry) {
        std::this_thread::yield();
        continue;
      }
      if (crowded) compact_around(key);
      return is_new;
    }
  }

  bool remove(std::string_view key) override {
    GracePeriod::Guard guard(grace_);
    Group& group = find(key);
    for (ValueSlot* slot : places(group, key))
      if (slot && slot->remove()) return true;
    return false;
  }

  std::vector<std::pair<std::string, uint64_t>> scan(std::string_view from, size_t count) const override {
    GracePeriod::Guard guard(grace_);
    const Root& root = *root_.load();
    std::vector<std::pair<std::string, uint64_t>> out;
    const size_t first = std::max<size_t>(1, root.search.upper_bound(from)) - 1;
    for (size_t g = first; g < root.groups.size() && out.size() < count; ++g) {
      // Just after the root was made anew, chains still reach into what it holds by itself.
      const Group* end = g + 1 < root.groups.size() ? root.groups[g + 1].load() : nullptr;
      for (Group* group = root.groups[g].load(); group && group != end && out.size() < count;
           group = group->next.load())
        scan_group(*group, from, count, out);
    }
    return out;
  }

  BaselineStats stats() const override {
    const std::lock_guard lock(compaction_);
    BaselineStats stats = stats_;
    stats.full = trainer_->counters().full;
    stats.incremental = trainer_->counters().incremental;
    stats.rows_factorized = trainer_->counters().rows_factorized;
    for (const Group* group : all_groups(*root_.load())) {
      stats.memo_bytes += group->memo.bytes();
      ++stats.groups;
    }
    return stats;
  }

 private:
  static std::vector<Group*> all_groups(const Root& root) {
    std::vector<Group*> all;
    for (const auto& place : root.groups)
      for (Group* group = place.load(); group; group = group->next.load()) all.push_back(group);
    return all;
  }

  // Makes a root over `groups` (all that there are) and publishes it; returns the one before.
  Root* install(const std::vector<Group*>& groups) {
    auto* root = new Root;
    for (Group* group : groups) {
      group->next.store(nullptr);
      root->pivots.push_back(group->pivot);
      root->groups.emplace_back(group);
    }
    if (groups.empty()) {
      root->pivots.emplace_back();
      root->groups.emplace_back(new Group);
    }
    root->search = LearnedSearch(root->pivots);
    chained_ = 0;
    return root_.exchange(root);
  }

  Group& find(std::string_view key) const {
    const Root& root = *root_.load();
    Group* group = root.groups[std::max<size_t>(1, root.search.upper_bound(key)) - 1].load();
    for (Group* next = group->next.load(); next && next->pivot <= key; next = next->next.load()) group = next;
    return *group;
  }

  static std::array<ValueSlot*, 3> places(Group& group, std::string_view key) {
    ValueSlot* buffered = group.buffer->slot(key);
    // The temporary one is looked up last: a key is put there only after the buffer was frozen without it.
    DeltaBuffer* temporary = group.temporary.load();
    return {group.slot(key), buffered, temporary ? temporary->slot(key) : nullptr};
  }

  static void scan_group(Group& group, std::string_view from, size_t count,
                         std::vector<std::pair<std::string, uint64_t>>& out) {
    std::vector<DeltaBuffer::Entry> buffered = group.buffer->entries(from);
    if (DeltaBuffer* temporary = group.temporary.load()) {
      const std::vector<DeltaBuffer::Entry> more = temporary->entries(from);
      const auto middle = static_cast<std::ptrdiff_t>(buffered.size());
      buffered.insert(buffered.end(), more.begin(), more.end());
      std::inplace_merge(buffered.begin(), buffered.begin() + middle, buffered.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    size_t at = group.model.lower_bound(group.keys, from), b = 0;
    while (out.size() < count && (at < group.keys.size() || b < buffered.size())) {
      const bool array =
          b >= buffered.size() || (at < group.keys.size() && group.keys[at] <= buffered[b].first);
      const std::string_view key = array ? group.keys[at] : buffered[b].first;
      const ValueSlot& slot = array ? group.slots[at++] : *buffered[b++].second;
      const std::optional<uint64_t> value = slot.read();
      if (value && (out.empty() || out.back().first != key)) out.emplace_back(key, *value);
    }
  }

  void train(Group& group, std::vector<uint32_t> inserted, const std::vector<RemovedKey>& removed,
             Memo memo) {
    if (group.keys.empty()) return;
    auto start = Clock::now();
    TrainJob job{.keys = group.keys, .inserted = inserted, .removed = removed, .memo = std::move(memo)};
    job.options.most_columns = options_.most_columns;
    job.options.keep_memo = options_.memo;
    job.options.deletes = options_.deletes;
    job.options.bounds = false;
    TrainResult result = trainer_->train(std::move(job));
    stats_.training += since(start);
    start = Clock::now();
    result.model.bound(group.keys);
    stats_.bounding += since(start);
    group.model = std::move(result.model);
    group.memo = std::move(result.memo);
    if (options_.check_members) stats_.lost_members += members_lost(group.model, group.keys);
  }

  // Two phases, as XIndex has them. Phase 1: freeze the buffer, let a temporary one take over, merge into an
  // array of references to the old slots, train, put the new group in the old one's place. Phase 2, when no
  // thread can see the old group: replace each reference by its value.
  void compact(std::atomic<Group*>& link) {
    Group& old = *link.load();
    auto start = Clock::now();
    old.buffer->freeze();
    grace_.wait();
    old.temporary_owner = std::make_shared<DeltaBuffer>();
    old.temporary.store(old.temporary_owner.get());

    auto fresh = std::make_unique<Group>();
    std::vector<uint32_t> inserted;
    std::vector<RemovedKey> removed;
    merge(old, *fresh, inserted, removed);
    fresh->pivot = old.pivot;
    fresh->buffer = old.temporary_owner;
    stats_.merging += since(start);

    std::unique_ptr<Group> right;
    if (fresh->keys.size() > options_.most_keys) right = split(*fresh);
    if (right) {
      // What comes in meanwhile is in the one temporary buffer: it is dealt out below.
      train(*fresh, {}, {}, {});
      train(*right, {}, {}, {});
      ++stats_.splits;
      ++chained_;
    } else {
      train(*fresh, std::move(inserted), removed, std::move(old.memo));
    }
    ++stats_.compactions;
    start = Clock::now();
    publish(link, old, std::move(fresh), std::move(right));
    stats_.merging += since(start);
  }

  void publish(std::atomic<Group*>& link, Group& old, std::unique_ptr<Group> left,
               std::unique_ptr<Group> right) {
    Group* first = left.release();
    Group* second = right.release();
    if (second) {
      // Keys of either half may be in the temporary buffer: no thread may add to it while it is dealt out.
      old.temporary_owner->freeze();
      grace_.wait();
      first->buffer = std::make_shared<DeltaBuffer>();
      second->buffer = std::make_shared<DeltaBuffer>();
      adopt(*old.temporary_owner, *first, *second);
      second->next.store(old.next.load());
      first->next.store(second);
    } else {
      first->next.store(old.next.load());
    }
    link.store(first);
    grace_.wait();
    for (Group* group : {first, second})
      if (group)
        for (ValueSlot& slot : group->slots) slot.resolve();
    if (second) settle(*old.temporary_owner, *first, *second);
    grace_.wait();
    delete &old;
  }

  // A split's temporary buffer becomes part of the arrays' side: its keys go into the halves' own buffers, by
  // reference until no thread can see the old group.
  void adopt(DeltaBuffer& from, Group& left, Group& right) {
    for (const auto& [key, slot] : from.entries()) {
      DeltaBuffer& to = *(key < right.pivot ? left : right).buffer;
      to.put(key, 0, store_);
      to.slot(key)->refer_to(slot);
    }
  }
  static void settle(DeltaBuffer& from, Group& left, Group& right) {
    for (const auto& [key, slot] : from.entries())
      (key < right.pivot ? left : right).buffer->slot(key)->resolve();
  }

  static void merge(Group& old, Group& fresh, std::vector<uint32_t>& inserted,
                    std::vector<RemovedKey>& removed) {
    const std::vector<DeltaBuffer::Entry> buffered = old.buffer->entries();
    fresh.keys.reserve(old.keys.size() + buffered.size());
    size_t b = 0;
    const auto take = [&](std::string_view key, ValueSlot& slot) {
      fresh.keys.push_back(key);
      fresh.slots.emplace_back();
      fresh.slots.back().refer_to(&slot);
    };
    const auto take_buffered = [&] {
      if (!buffered[b].second->bury_if_removed()) {
        inserted.push_back(static_cast<uint32_t>(fresh.keys.size()));
        take(buffered[b].first, *buffered[b].second);
      }
      ++b;
    };
    for (size_t i = 0; i < old.keys.size(); ++i) {
      while (b < buffered.size() && buffered[b].first < old.keys[i]) take_buffered();
      if (old.slots[i].bury_if_removed()) {
        removed.push_back({static_cast<uint32_t>(i), old.keys[i]});
      } else {
        take(old.keys[i], old.slots[i]);
      }
    }
    while (b < buffered.size()) take_buffered();
  }

  // The upper half of `group`, which keeps the lower one.
  static std::unique_ptr<Group> split(Group& group) {
    auto right = std::make_unique<Group>();
    const size_t half = group.keys.size() / 2;
    right->keys.assign(group.keys.begin() + static_cast<std::ptrdiff_t>(half), group.keys.end());
    right->pivot = right->keys.front();
    std::deque<ValueSlot> left_slots;
    for (size_t i = 0; i < group.slots.size(); ++i) {
      ValueSlot& to = (i < half ? left_slots : right->slots).emplace_back();
      to.refer_to(group.slots[i].referred());
    }
    group.slots.swap(left_slots);
    group.keys.resize(half);
    return right;
  }

  void compact_around(std::string_view key) {
    const std::lock_guard lock(compaction_);
    Root& root = *root_.load();
    std::atomic<Group*>* link = &root.groups[std::max<size_t>(1, root.search.upper_bound(key)) - 1];
    for (Group* next = link->load()->next.load(); next && next->pivot <= key; next = next->next.load())
      link = &link->load()->next;
    if (link->load()->buffer->size() > options_.buffer_keys) compact(*link);
    renew_root();
  }

  void renew_root() {
    const Root& root = *root_.load();
    if (chained_ <= 16 + root.groups.size() / 8) return;
    // Threads inside may still walk the old chains: the new root may cut these only when they are gone. So
    // the links stay and the new root simply reaches every group at once.
    auto* fresh = new Root;
    for (Group* group : all_groups(root)) {
      fresh->pivots.push_back(group->pivot);
      fresh->groups.emplace_back(group);
    }
    fresh->search = LearnedSearch(fresh->pivots);
    Root* old = root_.exchange(fresh);
    grace_.wait();
    for (auto& place : fresh->groups) place.load()->next.store(nullptr);
    grace_.wait();
    delete old;
    chained_ = 0;
  }

  // The background thread: round after round over all groups.
  void work() {
    while (!stop_) {
      {
        const std::lock_guard lock(compaction_);
        for (auto& place : root_.load()->groups)
          for (std::atomic<Group*>* link = &place; link->load() && !stop_; link = &link->load()->next)
            if (link->load()->buffer->size() > options_.buffer_keys) compact(*link);
        renew_root();
      }
      std::unique_lock lock(wake_mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(1), [this] { return stop_.load(); });
    }
  }

  const BaselineOptions options_;
  const std::unique_ptr<Trainer> trainer_;
  mutable GracePeriod grace_;
  KeyStore store_;
  std::atomic<Root*> root_{nullptr};
  mutable std::mutex compaction_;  // guards what follows, and who changes the structure
  BaselineStats stats_;
  size_t chained_ = 0;
  std::atomic<bool> stop_{false};
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::thread worker_;
};

}  // namespace

uint64_t members_lost(const LinearModel& model, std::span<const std::string_view> keys) {
  uint64_t lost = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto guess = static_cast<int64_t>(model.predict(keys[i])), rank = static_cast<int64_t>(i);
    const bool bounded = model.most_error() >= model.least_error();
    lost += bounded && (rank < guess + model.least_error() || rank > guess + model.most_error());
  }
  return lost;
}

std::unique_ptr<BaselineIndex> make_sindex_like(const BaselineOptions& options) {
  return std::make_unique<SIndexLike>(options);
}

}  // namespace orrery::keyindex

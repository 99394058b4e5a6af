// What the two structures from the literature offer, so that they can be run side by side, with and without a
// memo. They are there to measure training in; the index to use is StringIndex.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orrery/keyindex/training/trainer.h"

namespace orrery::keyindex {

struct BaselineOptions {
  TrainerKind trainer = TrainerKind::CpuF64;
  bool memo = true;  // false: full training at every compaction or expansion
  bool check_members =
      false;  // after each training, that every key of the group is found where the model says
  size_t most_columns = 30;
  Deletes deletes = Deletes::Exact;
  // SIndex-like
  size_t buffer_keys = 40;  // a compaction when a group's buffer holds more
  size_t most_keys = 2000;  // a group or node beyond it splits
  bool background = false;  // compactions on a thread of their own instead of within put()
  // ALEX-like
  double full_at = .8, filled_to = .6;  // density that expands a node, density after it
};

struct BaselineStats {
  uint64_t compactions = 0, splits = 0, full = 0, incremental = 0, rows_factorized = 0;
  uint64_t lost_members = 0;                       // keys that a check did not find: must stay 0
  double training = 0, merging = 0, bounding = 0;  // seconds
  uint64_t memo_bytes = 0, groups = 0;
};

class BaselineIndex {
 public:
  virtual ~BaselineIndex() = default;
  // keys: sorted, distinct; values: as many. Before anything else; throws InputError for keys out of order.
  virtual void bulk_load(std::span<const std::string_view> keys, std::span<const uint64_t> values) = 0;
  virtual std::optional<uint64_t> get(std::string_view key) const = 0;
  virtual bool put(std::string_view key, uint64_t value) = 0;  // true: it was not there
  virtual bool remove(std::string_view key) = 0;               // true: it was there
  // Up to `count` keys not below `from`, in order.
  virtual std::vector<std::pair<std::string, uint64_t>> scan(std::string_view from, size_t count) const = 0;
  virtual BaselineStats stats() const = 0;
};

// Groups of a sorted array and a buffer each (SIndex, Wang et al., APSys 2020; the concurrency is XIndex's,
// Tang et al., PPoPP 2020). All operations from any number of threads.
std::unique_ptr<BaselineIndex> make_sindex_like(const BaselineOptions& options);
// Gapped data nodes that expand and split (ALEX, Ding et al., SIGMOD 2020, with a linear model over bytes).
// One thread.
std::unique_ptr<BaselineIndex> make_alex_like(const BaselineOptions& options);

// Whether `key` is in reach of the model's own search; the check that SIA's benchmark leaves out.
uint64_t members_lost(const LinearModel& model, std::span<const std::string_view> keys);

}  // namespace orrery::keyindex

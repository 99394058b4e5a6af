// Training a group's model, in full or from its memo. One interface, four ways to compute:
//
//   cpu-f64      R in doubles. The incremental step adds the new rows to R (qr_factor.h) and solves RᵀRβ =
//   Aᵀy. cpu-f32      R in floats; a corrected step in doubles over all rows brings β to what doubles give.
//   gram-int64   AᵀA in integers: exact, also when keys leave.
//   fpga-model   R as SIA's accelerator computes it (fpga_model.h), with its cycles; more than 32 columns, or
//   more
//                columns than rows at first, go to the processor and are counted.
//
// What makes the memo work (SIA, arXiv 2403.11472): R depends on the keys alone. The positions y enter
// through z = Aᵀy only, which is made anew for every training (block_sums.h).
#pragma once

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/keyindex/training/block_sums.h"
#include "orrery/keyindex/training/linear_model.h"
#include "orrery/keyindex/training/r_tree.h"

namespace orrery::keyindex {

enum class TrainerKind { CpuF64, CpuF32, GramInt64, FpgaModel };
std::string_view name(TrainerKind kind);
std::optional<TrainerKind> find_trainer_kind(std::string_view name);

// What the trainings of a group leave for the next. A value; it fits the model that was trained with it.
struct Memo {
  FeatureMap map;
  BlockSums sums;
  std::vector<double> r;        // packed upper triangle: cpu-f64, unless `tree`
  std::vector<float> r_single;  // cpu-f32, fpga-model
  std::vector<int64_t> gram;    // gram-int64
  std::optional<RTree> tree;    // cpu-f64 with TrainOptions::block_tree
  uint64_t stale_rows = 0;      // of keys that left and still are in R

  bool empty() const { return r.empty() && r_single.empty() && gram.empty() && !tree; }
  size_t factor_bytes() const;
  size_t bytes() const { return factor_bytes() + sums.bytes(); }
};

enum class Deletes {
  Exact,  // R of the keys that are there: by subtraction (gram), by blocks (block_tree), else by full
          // training
  Lazy    // R keeps their rows, as in the paper, while z is that of the keys that are there
};

struct TrainOptions {
  size_t most_columns = 30;  // features; <= kMostColumns
  bool keep_memo = true;     // false: full training every time, nothing left for the next
  bool block_tree = false;   // cpu-f64: one R a block, merged up a tree; deletes refactor one block
  Deletes deletes = Deletes::Exact;
  int corrections =
      0;               // further corrected steps (conjugate gradients with R as preconditioner) over all rows
  bool bounds = true;  // false: the caller asks for them later
  std::shared_ptr<const PrefixCdf> cdf =
      {};  // given: the map with the narrower window is taken at each full training
};

struct TrainJob {
  std::span<const std::string_view> keys;  // the group now: sorted, distinct
  std::span<const uint32_t> inserted;      // ranks among them of those the memo does not know; ascending
  std::span<const RemovedKey> removed;     // those it knows and that are gone; ascending
  Memo memo = {};                          // empty: full training
  TrainOptions options = {};
};

enum class FullReason { None, NoMemo, NewColumns, Removed, NothingLeft };

struct TrainStats {
  bool incremental = false;
  FullReason reason = FullReason::None;
  uint64_t rows_factorized = 0;          // that went into a factor
  uint64_t rows_read_for_z = 0;          // of keys that were there before
  uint64_t columns_inserted = 0;         // without reading old keys
  uint64_t cycles = 0, bytes_moved = 0;  // fpga-model
  bool fell_back = false;                // fpga-model: computed on the processor
};

struct TrainResult {
  LinearModel model;
  Memo memo;
  TrainStats stats;
};

struct TrainerCounters {
  std::atomic<uint64_t> full{0}, incremental{0}, rows_factorized{0}, fallbacks{0}, cycles{0};
};

class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual TrainerKind kind() const = 0;
  // Trains on the calling thread. Thread-safe.
  TrainResult train(TrainJob job);
  // As train(); what job's spans show must live until the future is ready.
  std::future<TrainResult> submit(TrainJob job);
  const TrainerCounters& counters() const { return counters_; }

 protected:
  virtual TrainResult compute(TrainJob& job) = 0;

 private:
  TrainerCounters counters_;
};

std::unique_ptr<Trainer> make_trainer(TrainerKind kind);

}  // namespace orrery::keyindex

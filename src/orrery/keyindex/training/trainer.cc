#include "orrery/keyindex/training/trainer.h"

#include <algorithm>
#include <utility>

#include "orrery/base/error.h"
#include "orrery/keyindex/training/factor_trainers.h"

namespace orrery::keyindex {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"cpu-f64", "cpu-f32", "gram-int64", "fpga-model"};

// A key that the memo knows and that is still there: its bytes are those of all columns known to be constant.
const std::string_view* surviving(const TrainJob& job) {
  size_t i = 0;
  while (i < job.inserted.size() && job.inserted[i] == i) ++i;
  return i < job.keys.size() ? &job.keys[i] : nullptr;
}

// Whether the first `length` bytes are there and the same; most often the last ones tell.
bool agree(std::string_view a, std::string_view b, size_t length) {
  if (a.size() < length || b.size() < length || (length > 0 && a[length - 1] != b[length - 1])) return false;
  return a.substr(0, length) == b.substr(0, length);
}

// Whether two neighbours agree in all that the map knows of, and more columns are wanted.
bool needs_new_columns(const TrainJob& job) {
  const FeatureMap& map = job.memo.map;
  if (map.kind() == FeatureMap::Kind::Cdf || map.full(job.options.most_columns)) return false;
  for (uint32_t rank : job.inserted) {
    const std::string_view key = job.keys[rank];
    if (rank > 0 && agree(job.keys[rank - 1], key, map.known_end())) return true;
    if (rank + 1 < job.keys.size() && agree(key, job.keys[rank + 1], map.known_end())) return true;
  }
  return false;
}

std::vector<std::string_view> inserted_keys(const TrainJob& job) {
  std::vector<std::string_view> keys;
  keys.reserve(job.inserted.size());
  for (uint32_t rank : job.inserted) keys.push_back(job.keys[rank]);
  return keys;
}

std::vector<std::string_view> removed_keys(const TrainJob& job) {
  std::vector<std::string_view> keys;
  for (const RemovedKey& removed : job.removed) keys.push_back(removed.key);
  return keys;
}

}  // namespace

std::string_view name(TrainerKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

std::optional<TrainerKind> find_trainer_kind(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<TrainerKind>(found - kNames.begin());
}

size_t Memo::factor_bytes() const {
  return r.size() * sizeof(double) + r_single.size() * sizeof(float) + gram.size() * sizeof(int64_t) +
         (tree ? tree->bytes() : 0);
}

TrainResult Trainer::train(TrainJob job) {
  if (job.options.most_columns > kMostColumns)
    throw InputError("more than " + std::to_string(kMostColumns) + " feature columns were asked for");
  TrainResult result = compute(job);
  (result.stats.incremental ? counters_.incremental : counters_.full) += 1;
  counters_.rows_factorized += result.stats.rows_factorized;
  counters_.fallbacks += result.stats.fell_back;
  counters_.cycles += result.stats.cycles;
  return result;
}

std::future<TrainResult> Trainer::submit(TrainJob job) {
  std::promise<TrainResult> promise;
  try {
    promise.set_value(train(std::move(job)));
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
  return promise.get_future();
}

TrainResult FactorTrainer::compute(TrainJob& job) {
  TrainResult result;
  if (job.keys.empty()) return result;
  const FullReason reason = prepare(job, result.stats);
  if (reason != FullReason::None) {
    result.stats.reason = reason;
    train_in_full(job, result);
  } else {
    train_from_memo(job, result);
  }
  return result;
}

FullReason FactorTrainer::prepare(TrainJob& job, TrainStats& stats) const {
  if (!job.options.keep_memo || job.memo.empty()) return FullReason::NoMemo;
  if (!job.removed.empty() && job.options.deletes == Deletes::Exact && !takes_out(job.options))
    return FullReason::Removed;
  const std::string_view* reference = surviving(job);
  if (!reference) return FullReason::NothingLeft;
  if (needs_new_columns(job)) return FullReason::NewColumns;
  // A byte that all old keys share and a new one does not: a column of zeros so far, put into R, G and z as
  // such.
  for (size_t i = 0; i < job.inserted.size(); ++i) {
    constexpr size_t kAhead = 8;  // new keys lie anywhere: their bytes are asked for early
    if (i + kAhead < job.inserted.size()) __builtin_prefetch(job.keys[job.inserted[i + kAhead]].data());
    const uint32_t rank = job.inserted[i];
    for (uint32_t position : job.memo.map.differing(job.keys[rank], *reference)) {
      const size_t column = job.memo.map.insert(position, *reference);
      job.memo.sums.insert_zero_column(column);
      insert_zero_column(job.memo, column);
      ++stats.columns_inserted;
      if (job.memo.map.columns() <= job.options.most_columns + 1) continue;
      job.memo.map.truncate(job.options.most_columns);
      job.memo.sums.truncate(job.memo.map.columns());
      truncate(job.memo, job.memo.map.columns());
    }
  }
  return FullReason::None;
}

void FactorTrainer::finish(const TrainJob& job, FeatureMap map, std::vector<double> beta,
                           TrainResult& result) {
  beta[0] += (static_cast<double>(job.keys.size()) - 1) / 2;
  result.model = LinearModel(std::move(map), beta, job.keys.size());
  if (job.options.bounds) result.model.bound(job.keys);
}

void FactorTrainer::train_in_full(const TrainJob& job, TrainResult& result) {
  const auto train = [&](FeatureMap map, TrainResult& out) {
    const RowMatrix rows = rows_of(map, job.keys);
    Memo memo;
    if (job.options.keep_memo || needs_z()) memo.sums = BlockSums(rows, map.columns());
    std::vector<double> beta = factorize(rows, map.columns(), job.options, memo, out.stats);
    out.stats.rows_factorized += rows.rows();
    if (job.options.keep_memo) {
      memo.map = map;
      out.memo = std::move(memo);
    }
    finish(job, std::move(map), std::move(beta), out);
  };
  train(FeatureMap::of_bytes(job.keys, job.options.most_columns), result);
  if (!job.options.cdf) return;
  if (!job.options.bounds) result.model.bound(job.keys);
  TrainResult other;
  other.stats = result.stats;
  train(FeatureMap::of_cdf(job.keys, job.options.cdf), other);
  if (!job.options.bounds) other.model.bound(job.keys);
  if (other.model.window() < result.model.window()) {
    result = std::move(other);
  } else {
    result.stats = other.stats;
  }
}

void FactorTrainer::train_from_memo(TrainJob& job, TrainResult& result) {
  Memo& memo = job.memo;
  const RowMatrix added = rows_of(memo.map, inserted_keys(job)), taken = rows_of(memo.map, removed_keys(job));
  const BlockSums::Change change =
      memo.sums.apply(memo.map, job.keys, job.inserted, added, job.removed, taken);
  result.stats.incremental = true;
  result.stats.rows_read_for_z = change.rows_read;
  if (!takes_out(job.options)) memo.stale_rows += job.removed.size();
  std::vector<double> beta = refactorize(job, added, taken, change, result.stats);
  finish(job, memo.map, std::move(beta), result);
  result.memo = std::move(memo);
}

}  // namespace orrery::keyindex

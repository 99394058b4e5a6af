#include <algorithm>
#include <chrono>
#include <memory>

#include "orrery/keyindex/baselines/baseline_index.h"
#include "orrery/trace/twitter_cluster.h"
#include "orrery/validate/keyindex.h"
#include "orrery/validate/keyindex_change.h"

namespace orrery::validate {
namespace {

using keyindex::BaselineIndex;
using keyindex::BaselineOptions;
using keyindex::TrainerKind;
using keyindex::TrainOptions;
using report::number;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Microseconds a training, over all groups: in full without a memo, or from the memo.
double time_trainings(keyindex::Trainer& trainer, const std::vector<GroupChange>& changes,
                      const std::vector<keyindex::Memo>& memos, const TrainOptions& options) {
  std::vector<keyindex::Memo> copies = memos;  // outside the clock: a training uses its memo up
  copies.resize(changes.size());
  const auto start = Clock::now();
  for (size_t g = 0; g < changes.size(); ++g) train(trainer, changes[g], std::move(copies[g]), options);
  return std::chrono::duration<double>(Clock::now() - start).count() * 1e6 /
         static_cast<double>(changes.size());
}

struct Setting {
  size_t keys;
  double share, target;
};

struct Training {
  std::vector<GroupChange> changes;
  std::vector<keyindex::Memo> qr, gram;
};

// Groups whose change the memo can follow.
Training trainings(const trace::KeySet& keys, const Setting& setting) {
  constexpr size_t kGroups = 60;
  const auto qr = make_trainer(TrainerKind::CpuF64), gram = make_trainer(TrainerKind::GramInt64);
  Training out;
  for (size_t g = 0; g < kGroups; ++g) {
    GroupChange change = group_change(keys, setting.keys, setting.share, 0, g, kGroups);
    keyindex::Memo memo = train_before(*qr, change, {}).memo;
    if (!train(*qr, change, memo, {}).stats.incremental) continue;
    out.gram.push_back(train_before(*gram, change, {}).memo);
    out.qr.push_back(std::move(memo));
    out.changes.push_back(std::move(change));
  }
  return out;
}

// Inserts one index does in a second: half of the keys are there, the other half comes in random order.
struct Throughput {
  double rate = 0;
  keyindex::BaselineStats stats;
  uint64_t missing = 0;
};
using Make = std::unique_ptr<BaselineIndex> (*)(const BaselineOptions&);

Throughput insert_all(Make make, const BaselineOptions& options, std::span<const std::string_view> loaded,
                      std::span<const std::string_view> inserted) {
  const std::unique_ptr<BaselineIndex> index = make(options);
  index->bulk_load(loaded, std::vector<uint64_t>(loaded.size(), 1));
  const keyindex::BaselineStats before = index->stats();
  const auto start = Clock::now();
  for (std::string_view key : inserted) index->put(key, 2);
  Throughput out;
  out.rate =
      static_cast<double>(inserted.size()) / std::chrono::duration<double>(Clock::now() - start).count();
  out.stats = index->stats();
  out.stats.training -= before.training;
  out.stats.bounding -= before.bounding;
  out.stats.merging -= before.merging;
  out.stats.full -= before.full;
  for (std::string_view key : loaded) out.missing += index->get(key) != 1;
  for (std::string_view key : inserted) out.missing += index->get(key) != 2;
  return out;
}

// Keys of cluster 15: every request sets an object, nearly all of them new.
trace::KeySet cluster_keys() {
  constexpr uint64_t kRequests = 200'000;
  trace::TwitterStream stream(trace::find_twitter_cluster(15), kRequests, Seed{1});
  std::vector<std::string> made;
  for (uint64_t i = 0; i < kRequests; ++i) made.push_back(stream.key(stream.next().key));
  return {"cluster 15", {made.begin(), made.end()}, true};
}

}  // namespace

report::Table keyindex_training_speed(const std::vector<trace::KeySet>& sets, bool& all_met) {
  report::Table table{.title = "Time of a training, in full and from the memo, without and with the bounds",
                      .columns = {{"keys"},
                                  {"group", "keys"},
                                  {"new", "%"},
                                  {"columns"},
                                  {"full", "us"},
                                  {"memo", "us"},
                                  {"gram-int64", "us"},
                                  {"memo faster", "x"},
                                  {"gram faster", "x"},
                                  {"memo faster, with bounds", "x"},
                                  {"target", "x"}}};
  constexpr Setting kSettings[] = {{400, .1, 4}, {2000, .1, 8}, {2000, .01, 15}};
  for (const trace::KeySet& keys : sets) {
    for (const Setting& setting : kSettings) {
      const Training training = trainings(keys, setting);
      if (training.changes.empty()) continue;
      const auto qr = make_trainer(TrainerKind::CpuF64), gram = make_trainer(TrainerKind::GramInt64);
      TrainOptions full{.keep_memo = false, .bounds = false}, memo{.bounds = false},
          full_bounds{.keep_memo = false};
      std::vector<double> full_time, memo_time, gram_time, full_ratio, gram_ratio, bounds_ratio;
      for (int round = 0; round < kRounds; ++round) {
        full_time.push_back(time_trainings(*qr, training.changes, {}, full));
        memo_time.push_back(time_trainings(*qr, training.changes, training.qr, memo));
        gram_time.push_back(time_trainings(*gram, training.changes, training.gram, memo));
        full_ratio.push_back(full_time.back() / memo_time.back());
        gram_ratio.push_back(full_time.back() / gram_time.back());
        bounds_ratio.push_back(time_trainings(*qr, training.changes, {}, full_bounds) /
                               time_trainings(*qr, training.changes, training.qr, {}));
      }
      double columns = 0;
      for (const keyindex::Memo& memo_of : training.qr) columns += static_cast<double>(memo_of.map.columns());
      all_met = all_met && median(full_ratio) >= setting.target;
      table.rows.push_back({keys.name() + (keys.synthetic() ? " (synthetic)" : ""),
                            number(static_cast<double>(setting.keys)), number(100 * setting.share),
                            number(columns / static_cast<double>(training.qr.size())),
                            number(median(full_time)), number(median(memo_time)), number(median(gram_time)),
                            number(median(full_ratio)), number(median(gram_ratio)),
                            number(median(bounds_ratio)), number(setting.target)});
    }
  }
  table.notes.push_back(
      "Medians of seven interleaved rounds, one thread. Full and memo both include finding the columns, "
      "reading the "
      "keys and solving; both factorize by the same blocked Householder code.");
  return table;
}

report::Table keyindex_throughput(const std::vector<trace::KeySet>& sets, bool& all_met) {
  report::Table table{.title = "Inserts a second in two structures, full retraining against the memo",
                      .columns = {{"keys"},
                                  {"structure"},
                                  {"full", "k/s"},
                                  {"QR memo", "k/s"},
                                  {"gram memo", "k/s"},
                                  {"QR memo faster", "x"},
                                  {"gram memo faster", "x"},
                                  {"compactions"},
                                  {"still full, QR", "%"},
                                  {"training of full's time", "%"},
                                  {"bounds of full's time", "%"},
                                  {"keys missing"}}};
  std::vector<trace::KeySet> all;
  all.push_back(cluster_keys());
  for (const trace::KeySet& keys : sets) all.push_back(keys);
  constexpr std::pair<const char*, Make> kStructures[] = {{"SIndex-like", keyindex::make_sindex_like},
                                                          {"ALEX-like", keyindex::make_alex_like}};
  for (const trace::KeySet& keys : all) {
    std::vector<std::string_view> loaded, inserted;
    const size_t most = std::min<size_t>(keys.size(), 100'000);
    for (size_t i = 0; i < most; ++i) (i % 2 ? inserted : loaded).push_back(keys[i]);
    Random random(Seed{2});
    for (size_t i = inserted.size(); i > 1; --i) std::swap(inserted[i - 1], inserted[random.index(i)]);
    for (const auto& [name, make] : kStructures) {
      std::vector<double> qr_ratio, gram_ratio, rates[3];
      Throughput full, qr, gram;
      for (int round = 0; round < 3; ++round) {
        full = insert_all(make, {.trainer = TrainerKind::CpuF64, .memo = false}, loaded, inserted);
        qr = insert_all(make, {.trainer = TrainerKind::CpuF64}, loaded, inserted);
        gram = insert_all(make, {.trainer = TrainerKind::GramInt64}, loaded, inserted);
        rates[0].push_back(full.rate), rates[1].push_back(qr.rate), rates[2].push_back(gram.rate);
        qr_ratio.push_back(qr.rate / full.rate);
        gram_ratio.push_back(gram.rate / full.rate);
      }
      const uint64_t missing = full.missing + qr.missing + gram.missing;
      const double seconds = static_cast<double>(inserted.size()) / full.rate;
      all_met = all_met && missing == 0 && full.stats.compactions == qr.stats.compactions;
      table.rows.push_back(
          {keys.name() + (keys.synthetic() ? " (synthetic)" : ""), name, number(median(rates[0]) / 1e3),
           number(median(rates[1]) / 1e3), number(median(rates[2]) / 1e3), number(median(qr_ratio)),
           number(median(gram_ratio)), number(static_cast<double>(full.stats.compactions)),
           number(100.0 * static_cast<double>(qr.stats.full) / static_cast<double>(full.stats.full)),
           number(100 * full.stats.training / seconds), number(100 * full.stats.bounding / seconds),
           number(static_cast<double>(missing))});
    }
  }
  table.notes.push_back(
      "Half of up to 100,000 keys is loaded, the other half inserted in random order, one thread, medians of "
      "three "
      "interleaved runs; the compactions are the same. ALEX's search needs no bounds.");
  return table;
}

}  // namespace orrery::validate

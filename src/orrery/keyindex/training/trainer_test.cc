#include "orrery/keyindex/training/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <thread>

#include "orrery/base/error.h"
#include "orrery/keyindex/training/fpga_model.h"
#include "orrery/keyindex/training/gram.h"
#include "orrery/keyindex/training/test_keys.h"

namespace orrery::keyindex {
namespace {

constexpr TrainerKind kKinds[] = {TrainerKind::CpuF64, TrainerKind::CpuF32, TrainerKind::GramInt64,
                                  TrainerKind::FpgaModel};

std::vector<RemovedKey> removed_of(const Change& change) {
  std::vector<RemovedKey> removed;
  for (const auto& [rank, key] : change.removed) removed.push_back({rank, key});
  return removed;
}

struct Trained {
  TrainResult first, second, fresh;
};

// Trains on the keys before, then with the change from the memo, and afresh on the keys after.
Trained train_both(Trainer& trainer, const Change& change, const TrainOptions& options = {}) {
  Trained out;
  out.first =
      trainer.train({.keys = change.before, .inserted = {}, .removed = {}, .memo = {}, .options = options});
  const std::vector<RemovedKey> removed = removed_of(change);
  out.second = trainer.train({.keys = change.after,
                              .inserted = change.inserted,
                              .removed = removed,
                              .memo = out.first.memo,
                              .options = options});
  out.fresh =
      trainer.train({.keys = change.after, .inserted = {}, .removed = {}, .memo = {}, .options = options});
  return out;
}

void expect_members_found(const LinearModel& model, std::span<const std::string_view> keys) {
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto guess = static_cast<int64_t>(model.predict(keys[i])), rank = static_cast<int64_t>(i);
    if (model.most_error() >= model.least_error()) {
      ASSERT_LE(guess + model.least_error(), rank);
      ASSERT_GE(guess + model.most_error(), rank);
    }
    ASSERT_EQ(model.lower_bound(keys, keys[i]), i);
  }
}

Change change_of(std::vector<std::string> keys, double share, double gone, uint64_t seed) {
  Change change;
  change.all = std::move(keys);
  make_change(change, share, gone, seed);
  return change;
}

TEST(Trainer, from_the_memo_as_good_as_afresh_and_every_member_found) {
  for (TrainerKind kind : kKinds) {
    const std::unique_ptr<Trainer> trainer = make_trainer(kind);
    int incremental = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const Change change = change_of(name_like(440, seed), .1, 0, seed + 100);
      const Trained trained = train_both(*trainer, change);
      incremental += trained.second.stats.incremental;
      // Where the memo kept a map of fewer columns, or found another one, the fits differ: compare like with
      // like.
      if (!(trained.second.model.map().positions().size() == trained.fresh.model.map().positions().size()))
        continue;
      const double memo = trained.second.model.rms(change.after),
                   fresh = trained.fresh.model.rms(change.after);
      const double tolerance = kind == TrainerKind::FpgaModel ? 1e-3
                               : kind == TrainerKind::CpuF32  ? 1e-6
                                                              : 1e-9;
      EXPECT_NEAR(memo, fresh, tolerance * fresh) << name(kind) << " " << seed;
      expect_members_found(trained.second.model, change.after);
    }
    EXPECT_GT(incremental, 10) << name(kind);
  }
}

TEST(Trainer, squares_of_R_are_the_exact_gram_matrix) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Change change = change_of(name_like(2000, seed), .1, 0, seed);
    const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::CpuF64);
    const Trained trained = train_both(*trainer, change);
    const Memo& memo = trained.second.memo;
    const RowMatrix rows = rows_of(memo.map, change.after);
    Gram gram(memo.map.columns());
    gram.add(rows.data(), rows.rows(), rows.stride());
    const QrFactor<double> r(memo.map.columns(), memo.r);
    double error = 0, norm = 0;
    for (size_t i = 0; i < r.columns(); ++i) {
      for (size_t j = i; j < r.columns(); ++j) {
        double sum = 0;
        for (size_t k = 0; k <= i; ++k) sum += r.at(k, i) * r.at(k, j);
        error += std::pow(sum - static_cast<double>(gram.at(i, j)), 2);
        norm += std::pow(static_cast<double>(gram.at(i, j)), 2);
      }
    }
    EXPECT_LE(std::sqrt(error / norm), 1e-13);
  }
}

TEST(Trainer, z_by_changes_is_the_direct_product_bit_for_bit) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Change change =
        change_of(name_like(200 + 40 * seed, seed), seed % 3 ? .01 * seed : .9, .01 * (seed % 7), seed);
    if (change.before.empty()) continue;
    const FeatureMap map = FeatureMap::of_bytes(change.before, 30);
    BlockSums sums(rows_of(map, change.before), map.columns());
    std::vector<std::string_view> added, taken;
    for (uint32_t rank : change.inserted) added.push_back(change.after[rank]);
    for (const auto& [rank, key] : change.removed) taken.push_back(key);
    sums.apply(map, change.after, change.inserted, rows_of(map, added), removed_of(change),
               rows_of(map, taken));
    const BlockSums direct(rows_of(map, change.after), map.columns());
    EXPECT_TRUE(std::equal(sums.z().begin(), sums.z().end(), direct.z().begin())) << seed;
    EXPECT_EQ(sums.column_sums(), direct.column_sums()) << seed;
    EXPECT_EQ(sums.keys(), direct.keys());
  }
}

// Pitfall 2: as many features as before, but others.
TEST(Trainer, a_shorter_common_prefix_puts_a_column_in_and_reads_no_old_key) {
  for (TrainerKind kind : kKinds) {
    Change change;
    change.all = name_like(400, 3, "common/prefix/");
    change.before = views(change.all);
    const std::string newcomer = "common/prefiy";
    change.after = change.before;
    change.inserted = {static_cast<uint32_t>(change.after.size())};
    change.after.push_back(newcomer);
    const std::unique_ptr<Trainer> trainer = make_trainer(kind);
    const Trained trained = train_both(*trainer, change);
    EXPECT_TRUE(trained.second.stats.incremental);
    EXPECT_EQ(trained.second.stats.rows_factorized, 1u);
    EXPECT_GE(trained.second.stats.columns_inserted, 1u);
    const double memo = trained.second.model.rms(change.after), fresh = trained.fresh.model.rms(change.after);
    EXPECT_NEAR(memo, fresh, fresh * (kind == TrainerKind::FpgaModel ? 1e-2 : 1e-6)) << name(kind);
    if (kind == TrainerKind::CpuF64 || kind == TrainerKind::GramInt64) {
      EXPECT_NEAR(memo, fresh, 1e-9 * fresh);
    }
    expect_members_found(trained.second.model, change.after);
  }
}

// Pitfall 3: constant and doubled columns, fewer keys than columns; never NaN, never an endless search.
TEST(Trainer, columns_that_others_determine_are_skipped) {
  std::vector<std::string> doubled, few = name_like(5, 1), one = {"only"}, equal_bytes;
  for (const std::string& key : name_like(300, 2, "")) {
    std::string twice;
    for (char c : key) twice += {c, c};
    doubled.push_back(twice);
  }
  for (int i = 0; i < 300; ++i) equal_bytes.push_back(std::string(static_cast<size_t>(i), 'x'));
  for (TrainerKind kind : kKinds) {
    const std::unique_ptr<Trainer> trainer = make_trainer(kind);
    for (const std::vector<std::string>& keys : {doubled, few, one, equal_bytes}) {
      Change change = change_of(keys, .2, 0, 9);
      if (change.before.empty()) change.before = change.after, change.inserted.clear();
      const Trained trained = train_both(*trainer, change);
      for (const TrainResult* result : {&trained.second, &trained.fresh}) {
        for (double weight : result->model.beta()) EXPECT_TRUE(std::isfinite(weight)) << name(kind);
        expect_members_found(result->model, change.after);
      }
    }
  }
}

// Pitfall 5.
TEST(Trainer, exact_deletes_leave_what_a_fresh_fit_finds) {
  for (const bool tree : {false, true}) {
    const std::unique_ptr<Trainer> trainer =
        make_trainer(tree ? TrainerKind::CpuF64 : TrainerKind::GramInt64);
    for (double gone : {.05, .1, .15, .3}) {
      const Change change = change_of(name_like(900, 5), .05, gone, 6);
      const Trained trained = train_both(*trainer, change, {.most_columns = 14, .block_tree = tree});
      ASSERT_TRUE(trained.second.stats.incremental);
      // The same columns, fitted afresh through the other factor.
      const RowMatrix rows = rows_of(trained.second.memo.map, change.after);
      Gram gram(trained.second.memo.map.columns());
      gram.add(rows.data(), rows.rows(), rows.stride());
      std::vector<double> beta = gram.solve(BlockSums(rows, gram.columns()).centred_z());
      beta[0] += (static_cast<double>(change.after.size()) - 1) / 2;
      const LinearModel fresh(trained.second.memo.map, beta, change.after.size());
      EXPECT_NEAR(trained.second.model.rms(change.after), fresh.rms(change.after),
                  1e-9 * fresh.rms(change.after));
    }
  }
}

TEST(Trainer, a_lazy_delete_is_counted_and_corrected_steps_make_up_for_it) {
  const Change change = change_of(name_like(900, 5), .02, .3, 6);
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::CpuF64);
  const Trained lazy = train_both(*trainer, change, {.most_columns = 14, .deletes = Deletes::Lazy});
  const Trained corrected =
      train_both(*trainer, change, {.most_columns = 14, .deletes = Deletes::Lazy, .corrections = 8});
  EXPECT_EQ(lazy.second.memo.stale_rows, change.removed.size());
  const double fresh = lazy.fresh.model.rms(change.after);
  EXPECT_GT(lazy.second.model.rms(change.after), fresh * 1.01);
  EXPECT_NEAR(corrected.second.model.rms(change.after), fresh, fresh * 1e-6);
  expect_members_found(lazy.second.model, change.after);
}

// Pitfall 6.
TEST(Trainer, counters_tell_full_from_incremental_and_what_was_factorized) {
  const Change change = change_of(name_like(1000, 8), .1, 0, 4);
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::CpuF64);
  const Trained trained = train_both(*trainer, change, {.most_columns = 14});
  EXPECT_EQ(trained.first.stats.rows_factorized, change.before.size());
  EXPECT_EQ(trained.second.stats.rows_factorized, change.inserted.size());
  EXPECT_EQ(trainer->counters().full, 2u);
  EXPECT_EQ(trainer->counters().incremental, 1u);
  EXPECT_EQ(trainer->counters().rows_factorized,
            change.before.size() + change.inserted.size() + change.after.size());
  const TrainResult off = trainer->train({.keys = change.after,
                                          .inserted = change.inserted,
                                          .removed = {},
                                          .memo = trained.first.memo,
                                          .options = {.keep_memo = false}});
  EXPECT_FALSE(off.stats.incremental);
  EXPECT_TRUE(off.memo.empty());
}

TEST(Trainer, longer_shared_prefixes_ask_for_full_training) {
  Change change;
  change.all = name_like(400, 3);
  change.before = views(change.all);
  const std::string newcomer = change.all[200] + "and-much-more", next = newcomer + "!";
  change.after = change.before;
  change.after.insert(change.after.begin() + 201, {newcomer, next});
  change.inserted = {201, 202};
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::CpuF64);
  const Trained trained = train_both(*trainer, change);
  EXPECT_FALSE(trained.second.stats.incremental);
  EXPECT_EQ(trained.second.stats.reason, FullReason::NewColumns);
  EXPECT_NEAR(trained.second.model.rms(change.after), trained.fresh.model.rms(change.after), 1e-12);
}

// Pitfall 8.
TEST(Trainer, any_bytes_are_a_key) {
  std::set<std::string> keys = {
      "",     std::string(1, '\0'),  std::string(2, '\0'),    "a", std::string("a\0", 2),
      "\xff", std::string(300, 'q'), std::string(70'000, 'q')};
  Random random(Seed{1});
  while (keys.size() < 300) {
    std::string key(random.index(9), '\0');
    for (char& c : key) c = static_cast<char>(random.index(random.index(2) ? 256 : 3));
    keys.insert(key);
  }
  for (TrainerKind kind : kKinds) {
    const Change change = change_of({keys.begin(), keys.end()}, .1, .1, 2);
    const Trained trained = train_both(*make_trainer(kind), change);
    expect_members_found(trained.second.model, change.after);
    expect_members_found(trained.fresh.model, change.after);
  }
}

TEST(Trainer, the_narrower_of_bytes_and_rank_is_taken) {
  const std::vector<std::string> names = name_like(4000, 6);
  const std::vector<std::string_view> all = views(names);
  TrainOptions options;
  options.cdf = std::make_shared<const PrefixCdf>(all);
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::GramInt64);
  Change change;
  change.all.assign(names.begin() + 1000, names.begin() + 1440);
  make_change(change, .1, .1, 1);
  const Trained both = train_both(*trainer, change, options);
  const Trained bytes = train_both(*trainer, change, {});
  EXPECT_LE(both.fresh.model.window(), bytes.fresh.model.window());
  expect_members_found(both.second.model, change.after);
  if (both.first.memo.map.kind() == FeatureMap::Kind::Cdf) {
    EXPECT_TRUE(both.second.stats.incremental);
  }
}

TEST(Trainer, many_trainings_in_a_row_stay_exact) {
  const std::vector<std::string> all = name_like(1200, 12);
  Random random(Seed{3});
  std::vector<std::string_view> present, waiting = views(all);
  std::shuffle(waiting.begin(), waiting.end(), std::minstd_rand(1));
  const std::unique_ptr<Trainer> qr = make_trainer(TrainerKind::CpuF64),
                                 gram = make_trainer(TrainerKind::GramInt64);
  Memo qr_memo, gram_memo;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string_view> fresh;
    for (int i = 0; i < 40 && !waiting.empty(); ++i) fresh.push_back(waiting.back()), waiting.pop_back();
    std::sort(fresh.begin(), fresh.end());
    std::vector<std::string_view> merged;
    std::merge(present.begin(), present.end(), fresh.begin(), fresh.end(), std::back_inserter(merged));
    std::vector<uint32_t> inserted;
    for (std::string_view key : fresh)
      inserted.push_back(
          static_cast<uint32_t>(std::lower_bound(merged.begin(), merged.end(), key) - merged.begin()));
    TrainResult a = qr->train({.keys = merged,
                               .inserted = inserted,
                               .removed = {},
                               .memo = qr_memo,
                               .options = {.most_columns = 14}});
    TrainResult b = gram->train({.keys = merged,
                                 .inserted = inserted,
                                 .removed = {},
                                 .memo = gram_memo,
                                 .options = {.most_columns = 14}});
    EXPECT_NEAR(a.model.rms(merged), b.model.rms(merged), 1e-9 * (1 + b.model.rms(merged)));
    expect_members_found(a.model, merged);
    qr_memo = a.memo, gram_memo = b.memo, present = merged;
  }
  EXPECT_GT(qr->counters().incremental, 15u);
}

TEST(Trainer, asking_for_too_many_columns_is_refused) {
  const std::vector<std::string> keys = name_like(10, 1);
  EXPECT_THROW(make_trainer(TrainerKind::CpuF64)
                   ->train({.keys = views(keys),
                            .inserted = {},
                            .removed = {},
                            .memo = {},
                            .options = {.most_columns = 64}}),
               InputError);
}

TEST(Trainer, more_columns_than_the_accelerator_has_go_to_the_processor) {
  const trace::KeySet keys = trace::make_keys(trace::SyntheticKeys::Urls, 500, Seed{1});
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::FpgaModel);
  const std::vector<std::string_view> all = keys.views();
  const TrainResult wide = trainer->train(
      {.keys = all, .inserted = {}, .removed = {}, .memo = {}, .options = {.most_columns = 50}});
  EXPECT_TRUE(wide.stats.fell_back);
  EXPECT_EQ(wide.stats.cycles, 0u);
  EXPECT_EQ(trainer->counters().fallbacks, 1u);
  expect_members_found(wide.model, all);
  const TrainResult narrow =
      trainer->submit({.keys = all, .inserted = {}, .removed = {}, .memo = {}, .options = {}}).get();
  EXPECT_FALSE(narrow.stats.fell_back);
  EXPECT_GT(narrow.stats.cycles, 80'000u);
}

TEST(FpgaModel, cycles_are_those_of_the_formula) {
  const FpgaShape shape;
  EXPECT_EQ(unit_cycles(shape, 512), 90'538u);
  EXPECT_EQ(merge_cycles(shape, 2) - 2 * 128, 17'626u);
}

TEST(FpgaModel, its_R_is_near_the_exact_one) {
  const std::vector<std::string> keys = name_like(400, 4);
  const FeatureMap map = FeatureMap::of_bytes(views(keys), 14);
  const RowMatrix rows = rows_of(map, views(keys));
  const QrFactor<float> coarse = fpga_factor(QrFactor<float>(map.columns()), rows);
  const std::unique_ptr<Trainer> trainer = make_trainer(TrainerKind::CpuF64);
  const TrainResult exact = trainer->train(
      {.keys = views(keys), .inserted = {}, .removed = {}, .memo = {}, .options = {.most_columns = 14}});
  const QrFactor<double> r(map.columns(), exact.memo.r);
  double error = 0, norm = 0;
  for (size_t i = 0; i < r.columns(); ++i)
    for (size_t j = i; j < r.columns(); ++j) {
      error += std::pow(std::abs(r.at(i, j)) - std::abs(static_cast<double>(coarse.at(i, j))), 2);
      norm += r.at(i, j) * r.at(i, j);
    }
  EXPECT_LE(std::sqrt(error / norm), 1e-2);
  for (float x : {1e-6f, .3f, 1.f, 2.f, 3.999f, 1e7f})
    EXPECT_NEAR(table_square_root(x), std::sqrt(x), std::sqrt(x) / 512);
  EXPECT_EQ(table_square_root(0), 0);
}

TEST(RTree, splits_and_joins_hold_the_rows_they_should) {
  const std::vector<std::string> keys = name_like(600, 7);
  const FeatureMap map = FeatureMap::of_bytes(views(keys), 12);
  const RowMatrix rows = rows_of(map, views(keys));
  const auto factor = [&](size_t begin, size_t end) {
    QrFactor<double> r(map.columns());
    std::vector<double> storage((end - begin + 1) * r.stride() + 8);
    double* aligned = storage.data();
    while (reinterpret_cast<uintptr_t>(aligned) % 64) ++aligned;
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < map.columns(); ++j) aligned[(i - begin) * r.stride() + j] = rows.row(i)[j];
    r.add(aligned, end - begin);
    return r;
  };
  const auto expect_same = [](const QrFactor<double>& a, const QrFactor<double>& b) {
    for (size_t i = 0; i < a.columns(); ++i)
      for (size_t j = i; j < a.columns(); ++j)
        EXPECT_NEAR(std::abs(a.at(i, j)), std::abs(b.at(i, j)), 1e-9 * std::abs(b.at(0, 0)) * 600)
            << i << " " << j;
  };
  RTree tree(map.columns());
  for (size_t block = 0; block < 6; ++block) tree.insert(block, 100, factor(block * 100, block * 100 + 100));
  expect_same(tree.root(), factor(0, 600));
  RTree tail = tree.split(2);
  expect_same(tree.root(), factor(0, 200));
  expect_same(tail.root(), factor(200, 600));
  tail.erase(0);
  expect_same(tail.root(), factor(300, 600));
  const uint64_t before = tail.merges();
  tail.replace(1, 50, factor(400, 450));
  tail.root();
  EXPECT_LE(tail.merges() - before, 2u);  // the levels above one block
  tree.append(tail);
  EXPECT_EQ(tree.rows(), 450u);
}

}  // namespace
}  // namespace orrery::keyindex

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "orrery/base/error.h"
#include "orrery/keyindex/baselines/baseline_index.h"
#include "orrery/keyindex/training/grouping.h"
#include "orrery/keyindex/training/test_keys.h"

namespace orrery::keyindex {
namespace {

using Make = std::unique_ptr<BaselineIndex> (*)(const BaselineOptions&);
constexpr Make kMakers[] = {make_sindex_like, make_alex_like};

void load(BaselineIndex& index, std::map<std::string, uint64_t>& truth,
          const std::vector<std::string>& keys) {
  std::vector<std::string_view> views;
  std::vector<uint64_t> values;
  for (size_t i = 0; i < keys.size(); ++i) {
    truth[keys[i]] = i;
    views.push_back(keys[i]);
    values.push_back(i);
  }
  index.bulk_load(views, values);
}

std::vector<std::string> mixed_keys(size_t n, uint64_t seed) {
  Random random(Seed{seed});
  std::vector<std::string> keys = name_like(n, seed, "");
  for (size_t i = 0; i < n / 4; ++i) {
    std::string key(random.index(6), '\0');
    for (char& c : key) c = static_cast<char>(random.index(random.index(2) ? 256 : 2));
    keys.push_back(key);
    keys.push_back("deep/shared/prefix/of/paths/" + keys[random.index(n)]);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

TEST(Baselines, every_operation_is_that_of_a_map) {
  for (Make make : kMakers) {
    for (TrainerKind kind : {TrainerKind::CpuF64, TrainerKind::GramInt64}) {
      for (bool memo : {false, true}) {
        BaselineOptions options{.trainer = kind,
                                .memo = memo,
                                .check_members = true,
                                .most_columns = 12,
                                .deletes = kind == TrainerKind::CpuF64 ? Deletes::Lazy : Deletes::Exact,
                                .buffer_keys = 20,
                                .most_keys = 900};
        const std::unique_ptr<BaselineIndex> index = make(options);
        std::map<std::string, uint64_t> truth;
        const std::vector<std::string> keys = mixed_keys(6000, 1);
        std::vector<std::string> loaded;
        for (size_t i = 0; i < keys.size(); i += 3) loaded.push_back(keys[i]);
        load(*index, truth, loaded);
        Random random(Seed{2});
        for (int step = 0; step < 40'000; ++step) {
          const std::string& key = keys[random.index(keys.size())];
          const uint64_t what = random.index(100);
          if (what < 45) {
            ASSERT_EQ(index->put(key, step), truth.insert_or_assign(key, step).second) << step;
          } else if (what < 60) {
            ASSERT_EQ(index->remove(key), truth.erase(key) > 0) << step;
          } else if (what < 99) {
            const auto found = truth.find(key);
            ASSERT_EQ(index->get(key), found == truth.end() ? std::nullopt : std::optional(found->second))
                << step;
          } else {
            auto expected = truth.lower_bound(key);
            for (const auto& [k, v] : index->scan(key, 30)) {
              ASSERT_NE(expected, truth.end());
              ASSERT_EQ(k, expected->first);
              ASSERT_EQ(v, expected->second);
              ++expected;
            }
          }
        }
        const auto all = index->scan("", keys.size() + 1);
        ASSERT_EQ(all.size(), truth.size());
        const BaselineStats stats = index->stats();
        EXPECT_EQ(stats.lost_members, 0u);
        EXPECT_GT(stats.compactions, 10u);
        EXPECT_EQ(stats.memo_bytes > 0, memo);
        // A gapped node forgets its memo when a trained key leaves; here some key does from every node.
        if (make == make_sindex_like) {
          EXPECT_EQ(stats.incremental > 0, memo);
        }
      }
    }
  }
}

TEST(Baselines, the_memo_changes_no_answer_and_no_compaction) {
  for (Make make : kMakers) {
    uint64_t compactions[2], full[2];
    for (bool memo : {false, true}) {
      const std::unique_ptr<BaselineIndex> index =
          make({.trainer = TrainerKind::GramInt64, .memo = memo, .most_columns = 12});
      std::map<std::string, uint64_t> truth;
      const std::vector<std::string> keys = name_like(8000, 3);
      std::vector<std::string> half;
      for (size_t i = 0; i < keys.size(); i += 2) half.push_back(keys[i]);
      load(*index, truth, half);
      for (size_t i = 1; i < keys.size(); i += 2) index->put(keys[i * 7919 % keys.size() | 1], i);
      compactions[memo] = index->stats().compactions;
      full[memo] = index->stats().full;
    }
    EXPECT_EQ(compactions[0], compactions[1]);
    EXPECT_LT(full[1], full[0]);
  }
}

TEST(Baselines, an_empty_index_and_bad_loads) {
  for (Make make : kMakers) {
    const std::unique_ptr<BaselineIndex> index = make({});
    EXPECT_FALSE(index->get("a"));
    EXPECT_FALSE(index->remove("a"));
    EXPECT_TRUE(index->scan("", 10).empty());
    for (int i = 0; i < 5000; ++i) EXPECT_TRUE(index->put(std::to_string(i), i));
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(index->get(std::to_string(i)), i);
    const std::vector<std::string_view> wrong = {"b", "a"};
    EXPECT_THROW(index->bulk_load(wrong, std::vector<uint64_t>{1, 2}), InputError);
  }
}

// Pitfall 4: with barriers that do not wait, the sanitizers report this one.
TEST(SIndexLike, readers_and_writers_during_compactions_lose_nothing) {
  for (bool background : {false, true}) {
    const std::unique_ptr<BaselineIndex> index = make_sindex_like(
        {.trainer = TrainerKind::GramInt64, .buffer_keys = 8, .most_keys = 600, .background = background});
    std::map<std::string, uint64_t> truth;
    const std::vector<std::string> keys = name_like(6000, 5);
    std::vector<std::string> loaded;
    for (size_t i = 0; i < keys.size(); i += 3) loaded.push_back(keys[i]);
    load(*index, truth, loaded);
    std::atomic<bool> done{false};
    // The values of a key only grow, whoever reads.
    const auto write = [&](size_t residue) {
      for (uint64_t round = 1; round <= 3; ++round)
        for (size_t i = residue; i < keys.size(); i += 3) {
          index->put(keys[i], 1'000'000 * round + i);
          if (i % 5 == 0) index->remove(keys[i]);
          if (i % 10 == 0) index->put(keys[i], 1'000'000 * round + i);
        }
    };
    std::thread first(write, 1), second(write, 2);
    std::thread reader([&] {
      Random random(Seed{6});
      while (!done) {
        const size_t i = random.index(keys.size() / 3) * 3;
        EXPECT_TRUE(index->get(keys[i]).has_value()) << keys[i];
        const auto some = index->scan(keys[i], 20);
        for (size_t k = 1; k < some.size(); ++k) EXPECT_LT(some[k - 1].first, some[k].first);
      }
    });
    first.join();
    second.join();
    done = true;
    reader.join();
    for (size_t i = 0; i < keys.size(); ++i) {
      const std::optional<uint64_t> value = index->get(keys[i]);
      const bool gone = i % 3 != 0 && i % 5 == 0 && i % 10 != 0;
      EXPECT_EQ(value.has_value(), !gone) << i;
      if (value && i % 3 != 0) {
        EXPECT_EQ(*value, 3'000'000 + i);
      }
    }
  }
}

TEST(Grouping, groups_cover_the_keys_and_keep_their_least_size) {
  const std::vector<std::string> keys = name_like(20'000, 4);
  const std::vector<std::string_view> all = views(keys);
  const std::vector<size_t> starts = group_starts(all);
  ASSERT_EQ(starts.front(), 0u);
  for (size_t g = 1; g < starts.size(); ++g) EXPECT_GE(starts[g] - starts[g - 1], 400u);
  std::vector<std::string> digits;
  for (int i = 1000; i < 10'000; ++i) digits.push_back(std::to_string(i));
  EXPECT_EQ(group_starts(views(digits)).size(), 9u);  // three bytes tell a thousand of them apart
}

TEST(LearnedSearch, finds_what_the_plain_search_finds) {
  for (size_t n : {1u, 2u, 50u, 3000u}) {
    const std::vector<std::string> keys = name_like(n, 8, n % 2 ? "" : "some/prefix/");
    const std::vector<std::string_view> all = views(keys);
    for (bool with_cdf : {false, true}) {
      const LearnedSearch search(all, 4, with_cdf ? std::make_shared<const PrefixCdf>(all) : nullptr);
      EXPECT_LE(search.models(), 4u);
      Random random(Seed{1});
      for (int i = 0; i < 3000; ++i) {
        std::string key = keys[random.index(keys.size())];
        if (i % 3 == 1) key += 'a';
        if (i % 3 == 2 && !key.empty()) key[random.index(key.size())] ^= 1;
        const auto expected = std::upper_bound(all.begin(), all.end(), std::string_view(key)) - all.begin();
        ASSERT_EQ(search.upper_bound(key), static_cast<size_t>(expected)) << key;
      }
      EXPECT_EQ(search.upper_bound(""), all.front().empty() ? 1u : 0u);
      EXPECT_EQ(search.upper_bound("\xff\xff"), all.size());
    }
  }
  EXPECT_EQ(LearnedSearch().upper_bound("a"), 0u);
}

}  // namespace
}  // namespace orrery::keyindex

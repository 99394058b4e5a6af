#include "orrery/trace/key_chooser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "orrery/base/error.h"

namespace orrery::trace {
namespace {

std::vector<double> shares(KeyChooserOptions options, uint64_t items, int draws) {
  KeyChooser chooser(options, items, Seed{7});
  Random random(Seed{8});
  std::vector<double> share(items);
  for (int i = 0; i < draws; ++i) share[chooser.next(items, random)] += 1.0 / draws;
  return share;
}

TEST(Zipf, frequencies_are_those_of_the_law) {
  for (double skew : {0.0, .3, .99, 1.0, 1.5}) {
    constexpr int kItems = 50, kDraws = 400'000;
    Zipf zipf(skew, kItems);
    Random random(Seed{3});
    std::vector<double> seen(kItems);
    for (int i = 0; i < kDraws; ++i) seen[zipf(random)] += 1;
    double total = 0;
    for (int r = 0; r < kItems; ++r) total += std::pow(r + 1, -skew);
    for (int r = 0; r < kItems; ++r) {
      const double expected = kDraws * std::pow(r + 1, -skew) / total;
      EXPECT_NEAR(seen[r], expected, 5 * std::sqrt(expected)) << skew << " rank " << r;
    }
  }
}

TEST(Zipf, skews_that_make_no_sense_are_refused) {
  EXPECT_THROW(Zipf(-.1), InputError);
  EXPECT_THROW(Zipf(std::nan("")), InputError);
}

TEST(KeyChooser, scrambling_moves_popularity_and_keeps_it) {
  std::vector<double> plain = shares({.scrambled = false}, 1000, 200'000), mixed = shares({}, 1000, 200'000);
  EXPECT_EQ(std::max_element(plain.begin(), plain.end()), plain.begin());
  EXPECT_NE(plain, mixed);
  std::sort(plain.rbegin(), plain.rend());
  std::sort(mixed.rbegin(), mixed.rend());
  EXPECT_NEAR(plain[0], mixed[0], .005);
  EXPECT_NEAR(plain[10], mixed[10], .002);
}

TEST(KeyChooser, latest_prefers_the_newest_as_the_set_grows) {
  KeyChooser chooser({.distribution = KeyDistribution::Latest}, 100, Seed{1});
  Random random(Seed{2});
  for (uint64_t items : {100u, 1000u, 10'000u}) {
    int newest_tenth = 0;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t item = chooser.next(items, random);
      ASSERT_LT(item, items);
      newest_tenth += item >= items - items / 10;
    }
    EXPECT_GT(newest_tenth, 500);
  }
}

TEST(KeyChooser, hotspot_gives_the_hot_items_their_share) {
  const std::vector<double> share = shares({.distribution = KeyDistribution::Hotspot}, 1000, 200'000);
  double hot = 0;
  for (int i = 0; i < 200; ++i) hot += share[i];
  EXPECT_NEAR(hot, .8, .01);
}

TEST(KeyChooser, exponential_has_its_mean_and_stays_inside) {
  const std::vector<double> share =
      shares({.distribution = KeyDistribution::Exponential, .rate = 10}, 1000, 200'000);
  double mean = 0;
  for (int i = 0; i < 1000; ++i) mean += i * share[i];
  EXPECT_NEAR(mean, 100, 3);
}

TEST(KeyChooser, sequential_goes_round) {
  KeyChooser chooser({.distribution = KeyDistribution::Sequential}, 3, Seed{1});
  Random random(Seed{1});
  std::vector<uint64_t> seen;
  for (int i = 0; i < 7; ++i) seen.push_back(chooser.next(3, random));
  EXPECT_EQ(seen, (std::vector<uint64_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(Permute, is_a_permutation_of_any_size) {
  for (uint64_t n : {1u, 2u, 3u, 17u, 64u, 1000u}) {
    std::vector<bool> hit(n);
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t to = permute(i, n, Seed{5});
      ASSERT_LT(to, n);
      EXPECT_FALSE(hit[to]);
      hit[to] = true;
    }
  }
}

TEST(KeyDistribution, names_are_read_back) {
  for (int i = 0; i < 6; ++i) {
    const auto distribution = static_cast<KeyDistribution>(i);
    EXPECT_EQ(find_key_distribution(name(distribution)), distribution);
  }
  EXPECT_FALSE(find_key_distribution("zipf"));
}

}  // namespace
}  // namespace orrery::trace

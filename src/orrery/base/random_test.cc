#include "orrery/base/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace orrery {
namespace {

// The published sequence of SplitMix64 from seed 0: every machine and library must give it.
TEST(Random, is_splitmix64) {
  Random random(Seed{0});
  EXPECT_EQ(random.next(), 0xe220a8397b1dcdafull);
  EXPECT_EQ(random.next(), 0x6e789e6aa1b965f4ull);
  EXPECT_EQ(random.next(), 0x06c45d188009454full);
}

TEST(Random, derived_seeds_differ_and_repeat) {
  Seed seed{42};
  EXPECT_EQ(seed.derive(3).value, seed.derive(3).value);
  EXPECT_NE(seed.derive(3).value, seed.derive(4).value);
  EXPECT_NE(seed.derive(0).value, seed.value);
}

TEST(Random, index_is_even_over_its_range) {
  Random random(Seed{1});
  std::vector<int> count(10, 0);
  for (int i = 0; i < 100'000; ++i) ++count[random.index(10)];
  for (int c : count) EXPECT_NEAR(c, 10'000, 500);
}

TEST(Random, uniform_and_normal_have_their_moments) {
  Random random(Seed{2});
  double uniform = 0, normal = 0, square = 0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u;
    double z = random.normal();
    normal += z;
    square += z * z;
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.005);
  EXPECT_NEAR(normal / kDraws, 0, 0.01);
  EXPECT_NEAR(square / kDraws, 1, 0.02);
}

}  // namespace
}  // namespace orrery

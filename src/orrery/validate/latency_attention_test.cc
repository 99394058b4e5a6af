#include "orrery/validate/latency_attention.h"

#include <gtest/gtest.h>
#include <cstdlib>

#include "orrery/validate/latency_collectives.h"
#include "orrery/validate/latency_memory_bound.h"

namespace orrery::validate {
namespace {

TEST(LatencyScores, of_a_perfect_prediction_are_zero_and_of_a_doubled_one_a_hundred_percent) {
  std::vector<TimedRow> perfect, doubled;
  for (double t : {5e-6, 50e-6, 5e-4, 5e-3}) {
    perfect.push_back({t, t, .9 * t, 1.1 * t});
    doubled.push_back({2 * t, t, 1.8 * t, 2.2 * t});
  }
  LatencyScores p = score(perfect), d = score(doubled);
  EXPECT_EQ(p.mean, 0);
  EXPECT_EQ(p.coverage, 1);
  EXPECT_DOUBLE_EQ(p.rank, 1);
  EXPECT_DOUBLE_EQ(d.mean, 1);
  EXPECT_DOUBLE_EQ(d.weighted, 1);
  EXPECT_EQ(d.coverage, 0);
  for (double c : d.size_class) EXPECT_DOUBLE_EQ(c, 1);
  EXPECT_EQ(scores_table("t", {p, d}).rows.size(), 2u);
}

class Measured : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("ORRERY_DATA");
    if (folder == nullptr) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured rows";
    folder_ = folder;
  }
  std::string folder_;
};

TEST_F(Measured, attention_beats_both_baselines_by_half_and_its_band_covers) {
  for (const LatencyScores& s : evaluate_attention(folder_, 2)) {
    EXPECT_LT(s.mean, .11) << s.gpu << ' ' << s.what;
    EXPECT_GT(s.rank, .98);
    if (s.copied_from.empty()) {
      EXPECT_GT(s.coverage, .83) << s.gpu << ' ' << s.what;
      EXPECT_LT(s.coverage, .98) << s.gpu << ' ' << s.what;
    } else {
      EXPECT_LT(s.mean, .5 * std::min(s.copy, s.copy_scaled))
          << s.gpu << ' ' << s.what << " from " << s.copied_from;
    }
  }
}

TEST_F(Measured, layer_pieces_and_collectives_stay_within_their_figures) {
  for (const LatencyScores& s : evaluate_memory_bound(folder_, 2))
    EXPECT_LT(s.mean, .25) << s.gpu << ' ' << s.what;
  for (const LatencyScores& s : evaluate_collectives(folder_))
    if (s.setting.starts_with("held-out")) {
      EXPECT_LT(s.median, .2) << s.gpu << ' ' << s.what;
    }
}

}  // namespace
}  // namespace orrery::validate

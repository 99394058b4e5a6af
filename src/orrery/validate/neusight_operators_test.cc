#include "orrery/validate/neusight_operators.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "orrery/validate/neusight_faults.h"
#include "orrery/validate/neusight_paper.h"

namespace orrery::validate {
namespace {

using ByColumn = std::map<std::string, NeuSightScore>;
std::map<std::pair<std::string, std::string>, ByColumn> by_group(const std::vector<NeuSightScore>& scores) {
  std::map<std::pair<std::string, std::string>, ByColumn> groups;
  for (const NeuSightScore& score : scores) groups[{score.gpu, score.of_class}][score.predictor] = score;
  return groups;
}

// The straight lines have no freedom left, so the shipped errors must come out; the trained nets differ by
// their seed and size, so they must come near.
TEST(NeuSightOperators, refitted_baselines_err_as_the_shipped_ones_do) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  const auto groups =
      by_group(score_neusight_operators(data, neusight_paper_predictors(), NeuSightPass::Forward));
  int compared = 0;
  double ours = 0, shipped = 0;
  for (const auto& [key, columns] : groups) {
    ours += columns.at("NeuSight").weighted;
    shipped += columns.at("NeuSight, shipped").weighted;
    if (!columns.contains("Li, shipped")) continue;
    EXPECT_NEAR(columns.at("Li").weighted, columns.at("Li, shipped").weighted, 2e-3)
        << key.first << key.second;
    ++compared;
  }
  EXPECT_GT(compared, 40);
  EXPECT_NEAR(ours / shipped, 1, 0.2);
}

TEST(NeuSightOperators, kernels_are_scored_alike_on_any_number_of_threads) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  const std::vector<NeuSightPredictor> predictors = neusight_paper_predictors();
  const std::vector<NeuSightScore> one = score_neusight_kernels(data, predictors, 1),
                                   two = score_neusight_kernels(data, predictors, 2);
  ASSERT_EQ(one.size(), two.size());
  size_t rows = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].weighted, two[i].weighted);
    if (one[i].predictor == "NeuSight") rows += one[i].rows;
  }
  EXPECT_EQ(rows, 21878u);
  for (const report::Table& table : neusight_score_tables("kernels", one)) {
    EXPECT_EQ(table.columns.size(), 3 + predictors.size());
    EXPECT_EQ(table.rows.size() * predictors.size(), one.size());
  }
}

TEST(NeuSightOperators, errors_over_all_gpus_lie_between_those_of_the_classes) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  const std::vector<double> errors =
      weighted_errors_by_class(data, neusight_paper_predictors()[0], NeuSightPass::Forward, true);
  ASSERT_EQ(errors.size(), kNeuSightClassTitles.size() + 1);
  const auto [least, most] = std::minmax_element(errors.begin(), errors.end() - 1);
  EXPECT_GT(errors.back(), *least);
  EXPECT_LT(errors.back(), *most);
}

TEST(NeuSightFaults, table_shows_classes_and_both_kinds_of_gpus) {
  const report::Table table = neusight_change_table({{.fault = "as published",
                                                      .change = "",
                                                      .seen = {0, 0, 0, 0, 0, 0, .25},
                                                      .unseen = {.1, .2, .3, .4, .5, .6, .7}}});
  ASSERT_EQ(table.rows.size(), 1u);
  ASSERT_EQ(table.rows[0].size(), table.columns.size());
  EXPECT_EQ(report::show(table.rows[0][2]), "10.0");
  EXPECT_EQ(report::show(table.rows[0][8]), "25.0");
  EXPECT_EQ(report::show(table.rows[0][9]), "70.0");
}

}  // namespace
}  // namespace orrery::validate

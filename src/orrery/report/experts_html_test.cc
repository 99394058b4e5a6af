#include "orrery/report/experts_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"
#include "orrery/report/experts_page_json.h"

namespace orrery::report {
namespace {

using testing::HasSubstr;
using testing::Not;

// A report of the right shape with made-up figures: 16 layers of 64 experts on two nodes of eight GPUs.
ExpertsPage sample() {
  ExpertsPage report;
  report.routing = "examples/moe-routing.tsv.gz";
  report.model = "moe-routing";
  report.dispatch = "home";
  report.cluster = "two nodes of 8";
  report.command = "orrery plan experts examples/moe-routing.tsv.gz --gpus 16";
  report.layers = 16, report.experts = 64, report.top_k = 8, report.gpus = 16, report.gpus_per_node = 8,
  report.slots = 64;
  report.tokens = 26'624, report.steps = 26;
  for (int layer = 0; layer < report.layers; ++layer) {
    report.layer_ids.push_back(layer + 3);
    report.map.emplace_back();
    for (int slot = 0; slot < report.slots; ++slot)
      report.map.back().push_back((slot * 5 + layer) % report.experts);
  }
  struct Made {
    const char *name, *title;
    double unevenness, crossing;
  };
  for (auto [name, title, unevenness, crossing] :
       {Made{"joint", "This plan", .03, .81}, Made{"contiguous", "Expert e on GPU e / 4", .42, .93},
        Made{"lpt", "Heaviest expert first", .05, .93}, Made{"eplb", "DeepSeek's EPLB", .05, .92},
        Made{"two-stage", "MoETuner's two stages", .05, .90}}) {
    ExpertCandidate candidate{name, title, {}, 0, 0, {}, {}};
    candidate.figures = {1 + unevenness,
                         1 + 2 * unevenness,
                         1 / (1 + unevenness),
                         1 / (1 + 2 * unevenness),
                         4.1e9 * crossing,
                         2.9e8 * crossing,
                         crossing,
                         crossing * .55,
                         8e-3 * (1 + unevenness)};
    candidate.moved_experts = 900, candidate.moved_bytes = 900 * 12.6e6;
    for (int layer = 0; layer < report.layers; ++layer) {
      candidate.load.emplace_back();
      candidate.traffic.emplace_back();
      for (int gpu = 0; gpu < report.gpus; ++gpu) {
        double wave = std::sin(gpu * 1.7 + layer * .9) * unevenness;
        candidate.load.back().push_back(13'312 * (1 + wave));
        candidate.traffic.back().push_back(1.8e7 * crossing * (1 + wave / 2));
      }
    }
    report.candidates.push_back(candidate);
  }
  report.today = 1;
  report.objective_name = "distinct GPUs a token and layer";
  report.objective = 5.021, report.lower_bound = 4.81, report.gap = (5.021 - 4.81) / 5.021;
  report.proven_over = "maps of 4 experts a GPU within the load cap";
  report.stopped_because = "time limit";
  report.progress = {{.01, 5.4, kUnknown}, {.2, 5.2, 4.6}, {1, 5.05, 4.75}, {5, 5.021, 4.81}};
  for (double cap : {1.02, 1.05, 1.1, 1.2})
    report.sensitivity.push_back(
        {"load cap", cap, cap == 1.05, {cap - .02, cap, .95, .9, 3e9, 2e8, .9 - .4 * (cap - 1), .5, 8e-3}});
  for (double speed : {.5, 1., 2.})
    report.sensitivity.push_back(
        {"link speed", speed, speed == 1, {1.03, 1.06, .95, .9, 3e9, 2e8, .81, .5, 6e-3 + 2e-3 / speed}});
  report.phases = {{"prefill", "prefill", true, {.max_over_mean_load = 1.04, .balancedness = .8}},
                   {"prefill", "decode", true, {.max_over_mean_load = 1.31, .balancedness = .6}}};
  report.transfer = {{"prose",
                      "prose, later half",
                      {1.06, 1.1, .93, .9, 3e9, 2e8, .82, .5, 8e-3},
                      {1.4, 1.6, .7, .6, 3e9, 2e8, .93, .5, 9e-3}},
                     {"prose",
                      "code",
                      {1.62, 1.9, .6, .5, 3e9, 2e8, .88, .5, 1e-2},
                      {1.41, 1.6, .7, .6, 3e9, 2e8, .94, .5, 9e-3}}};
  report.verdict =
      "The plan evens the load to 1.03 of the mean (today 1.42) and sends 13 % fewer bytes between GPUs; no "
      "map can save more than a further 4 %.";
  report.warnings = {
      "plan made on prose gives max/mean 1.62 on code, more uneven than the contiguous map (1.41)"};
  report.assumptions = {"Tokens return to their home GPU after every layer."};
  report.sources = {"Link speeds: data/clusters/dgx-h100.yaml"};
  report.notes = {"26,624 tokens; sampling noise alone gives max/mean 1.02"};
  return report;
}

// Counts without tokens, one map, names that try to leave their place.
ExpertsPage bare() {
  ExpertsPage report;
  report.model = report.routing = report.verdict = "</script><img src=x>";
  report.candidates.push_back({"joint", "<b>", {}, kUnknown, kUnknown, {}, {}});
  report.candidates.back().figures.max_over_mean_load = 1.01;
  report.warnings = {"<script>alert(1)</script>"};
  return report;
}

TEST(ExpertsJson, what_others_read_stands_at_the_top) {
  auto root =
      nlohmann::json::parse(experts_page_json(sample(), {Seconds(2.5), "host", "2026-01-01T00:00:00Z"}));
  EXPECT_EQ(root["schema"], kExpertsPageSchema);
  EXPECT_EQ(root["map"].size(), 16u);
  EXPECT_EQ(root["map"][1][2], 11);
  for (const char* field :
       {"max_over_mean_load", "balancedness", "all_to_all_bytes", "cross_gpu_fraction", "lower_bound", "gap"})
    EXPECT_TRUE(root[field].is_number()) << field;
  EXPECT_EQ(root["run"]["seconds"], 2.5);
  EXPECT_EQ(root["max_over_mean_load"], root["candidates"][0]["max_over_mean_load"]);
  EXPECT_TRUE(root["candidates"][1]["today"]);
  EXPECT_TRUE(root["progress"][0]["bound"].is_null());
}

TEST(ExpertsHtml, sections_stand_in_the_order_of_a_decision) {
  std::string page = experts_html(sample(), {});
  size_t before = 0;
  for (const char* id : {"class=\"verdict\"", "id=\"plans\"", "id=\"load\"", "id=\"traffic\"", "id=\"bound\"",
                         "id=\"sensitivity\"", "id=\"transfer\"", "id=\"phases\"", "id=\"sources\""}) {
    size_t at = page.find(id);
    ASSERT_NE(at, std::string::npos) << id;
    EXPECT_GT(at, before) << id;
    before = at;
  }
  EXPECT_THAT(page, HasSubstr("runs today"));
}

TEST(ExpertsHtml, what_is_not_known_is_not_shown_and_nothing_leaves_its_place) {
  std::string page = experts_html(bare(), {});
  for (const char* absent : {"<img src=x", "<b>", "alert(1)</script>", "id=\"load\"", "id=\"transfer\"",
                             "id=\"phases\"", ">nan", "balancedness\""})
    EXPECT_THAT(page.substr(0, page.find("<script type=\"application/json\"")), Not(HasSubstr(absent)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(ExpertsSample, pages_are_written_where_asked) {
  const char* folder = std::getenv("ORRERY_SAMPLE_OUT");
  if (!folder) GTEST_SKIP() << "set ORRERY_SAMPLE_OUT to a folder to look at the page";
  write_file(std::string(folder) + "/experts.html",
             experts_html(sample(), {}, {.json_file = "experts.json", .map_file = "map.json"}));
  write_file(std::string(folder) + "/experts.json", experts_page_json(sample(), {}));
}

}  // namespace
}  // namespace orrery::report

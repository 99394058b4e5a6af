#include "orrery/trace/readers/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "orrery/base/error.h"

namespace orrery::trace {
namespace {

using testing::HasSubstr;

const std::string kTokens =
    "problem\ttoken\tlayer\texpert_1\texpert_2\tgate_1\n"
    "1\t0\t0\t3\t0\t.6\n1\t0\t1\t1\t2\t.6\n"
    "1\t1\t0\t2\t3\t.6\n1\t1\t1\t1\t0\t.6\n";

std::string refusal(const std::string& text, const std::string& path, const RoutingOptions& options = {}) {
  try {
    parse_routing(text, path, options);
  } catch (const InputError& wrong) {
    return wrong.what();
  }
  return "accepted";
}

TEST(RoutingReader, the_three_rules_weigh_transitions_as_they_say) {
  const RoutingProfile all = parse_routing(kTokens, "t.tsv", {});
  EXPECT_EQ(all.experts, 4);
  EXPECT_THAT(all.load[0], testing::ElementsAre(1, 0, 1, 2));
  EXPECT_EQ(all.transition[0][3 * 4 + 1], 1.F);  // twice at weight 1/2
  EXPECT_EQ(all.transition[0][0 * 4 + 2], .5F);
  const RoutingProfile ranked = parse_routing(kTokens, "t.tsv", {.rule = WeightRule::RankPaired});
  EXPECT_EQ(ranked.transition[0][3 * 4 + 1], 1.F);
  EXPECT_EQ(ranked.transition[0][0 * 4 + 2], 1.F);
  EXPECT_EQ(ranked.transition[0][0 * 4 + 1], 0.F);
  const RoutingProfile first = parse_routing(kTokens, "t.tsv", {.rule = WeightRule::Top1});
  EXPECT_THAT(first.load[1], testing::ElementsAre(0, 2, 0, 0));
  for (const RoutingProfile& p : {all, ranked, first}) {
    for (size_t i = 0; i < 4; ++i) {
      const float* row = p.transition[0].data() + i * 4;
      EXPECT_EQ(std::accumulate(row, row + 4, 0.F), static_cast<float>(p.load[0][i])) << name(p.rule);
    }
  }
}

const std::string kPhases =
    "problem\ttoken\tlayer\texpert_1\tstep\tphase\n"
    "1\t0\t0\t0\t7\tprefill\n1\t1\t0\t1\t7\tprefill\n2\t0\t0\t2\t7\tdecode\n"
    "1\t2\t0\t3\t8\tdecode\n2\t1\t0\t3\t8\tdecode\n";

TEST(RoutingReader, steps_and_phases_of_tokens_are_kept) {
  const RoutingProfile all = parse_routing(kPhases, "t.tsv", {.step_tokens = 2});
  ASSERT_TRUE(knows_phases(all));
  ASSERT_EQ(all.steps.size(), 2u);  // the recorded ones, not those of two tokens
  EXPECT_THAT(all.steps[0], testing::ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(all.steps[1], testing::ElementsAre(0, 0, 0, 2));
  const RoutingProfile decode = of_phase(all, Phase::Decode), prefill = of_phase(all, Phase::Prefill);
  EXPECT_EQ(prefill.tokens->tokens() + decode.tokens->tokens(), all.tokens->tokens());
  EXPECT_THAT(decode.load[0], testing::ElementsAre(0, 0, 1, 2));
  ASSERT_EQ(decode.steps.size(), 2u);
  EXPECT_THAT(decode.steps[0], testing::ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(prefill.load[0], testing::ElementsAre(1, 1, 0, 0));
  EXPECT_EQ(prefill.steps.size(), 1u);

  const RoutingProfile lines = parse_routing(
      R"({"layer": 0, "experts": [0], "token_idx": 0, "step": 1, "phase": "prefill"}
{"layer": 0, "experts": [1], "token_idx": 1, "step": 2, "phase": "decode"})",
      "t.jsonl", {});
  EXPECT_THAT(of_phase(lines, Phase::Decode).load[0], testing::ElementsAre(0, 1));
  EXPECT_FALSE(knows_phases(parse_routing(kTokens, "t.tsv", {})));
}

TEST(RoutingReader, a_phase_that_is_none_and_one_that_changes_are_named_with_their_line) {
  EXPECT_THAT(refusal("problem\ttoken\tlayer\texpert_1\tphase\n1\t0\t0\t0\tdecoding\n", "t.tsv"),
              HasSubstr("t.tsv:2:9: 'decoding' is no phase"));
  EXPECT_THAT(
      refusal("problem\ttoken\tlayer\texpert_1\tphase\n1\t0\t0\t0\tdecode\n1\t0\t1\t0\tprefill\n", "t.tsv"),
      HasSubstr("t.tsv:3: token 0 of problem 1 has another step or phase"));
  EXPECT_THAT(refusal(R"({"layer": 0, "experts": [0], "token_idx": 0, "phase": "x"})", "t.jsonl"),
              HasSubstr("'x' is no phase"));
}

TEST(SplitProfile, recorded_steps_are_not_cut_apart) {
  TokenTrace trace{2, 1, {0}, {}, {}, {}, {}};
  for (uint32_t t = 0; t < 100; ++t) {
    trace.choice.push_back(static_cast<uint16_t>(t % 2));
    trace.sequence.push_back(t);
    trace.step.push_back(t / 7);
  }
  EXPECT_EQ(split_point(trace, .2), 77u);  // 80 tokens, back to the border of step 11
  const ProfileParts parts =
      split_profile(profile_tokens(std::make_shared<TokenTrace>(trace), WeightRule::AllPairs, "s"), .2, 4);
  EXPECT_EQ(parts.planned.steps.size(), 11u);
  EXPECT_EQ(parts.later->steps.size(), 4u);
  for (uint64_t& step : trace.step) step = 3;
  EXPECT_EQ(split_point(trace, .2), 100u);  // one step: nothing is later
}

TEST(RoutingReader, wrong_rows_are_named_with_their_line) {
  EXPECT_THAT(refusal(kTokens, "t.tsv", {.experts = 3}), HasSubstr("t.tsv:2"));
  EXPECT_THAT(refusal("problem\ttoken\tlayer\texpert_1\texpert_2\n1\t0\t0\t3\t3\n", "t.tsv"),
              HasSubstr("t.tsv:2: expert 3 is chosen twice"));
  EXPECT_THAT(refusal("problem\ttoken\tlayer\texpert_1\n1\t0\t0\tx\n", "t.tsv"), HasSubstr("t.tsv:2:7"));
  EXPECT_THAT(refusal(kTokens + "1\t2\t0\t1\t2\t.5\n", "t.tsv"), HasSubstr("1 of 3 tokens lack a layer"));
  EXPECT_THAT(refusal("a\tb\n", "t.tsv"), HasSubstr("t.tsv:1:1: no routing file"));
  EXPECT_THAT(refusal("", "t.tsv"), HasSubstr("empty"));
  EXPECT_THAT(refusal("kind\tlayer_from\tlayer_to\texpert_from\texpert_to\tcount\ntopk\t0\t-\t0\t-\t5\n"
                      "topk\t0\t1\t0\t1\t4\ntopk\t1\t-\t1\t-\t5\n",
                      "c.tsv"),
              HasSubstr("sum to 4, its load is 5"));
}

TEST(RoutingReader, an_id_beyond_any_model_is_refused_before_its_tables_are_made) {
  EXPECT_THAT(refusal("problem\ttoken\tlayer\texpert_1\n1\t0\t0\t60000\n", "t.tsv"),
              HasSubstr("t.tsv:2: expert 60000 is outside 0..4095"));
  EXPECT_THAT(refusal("problem\ttoken\tlayer\texpert_1\n1\t0\t0\t1\n", "t.tsv", {.experts = 60000}),
              HasSubstr("14.4 GB"));
}

TEST(RoutingReader, counts_tell_loads_and_transitions_but_no_tokens) {
  const RoutingProfile p = parse_routing(
      "kind\tlayer_from\tlayer_to\texpert_from\texpert_to\tcount\ntopk\t0\t-\t0\t-\t5\ntopk\t7\t-\t1\t-\t5\n"
      "topk\t0\t7\t0\t1\t5\ntop1\t0\t-\t1\t-\t2\n",
      "c.tsv", {});
  EXPECT_THAT(p.layer_ids, testing::ElementsAre(0, 7));
  EXPECT_EQ(p.rule, WeightRule::RankPaired);
  EXPECT_EQ(p.transition[0][0 * 2 + 1], 5.F);
  EXPECT_EQ(p.tokens, nullptr);
  EXPECT_THAT(p.notes, testing::Contains(HasSubstr("not adjacent")));
}

TEST(RoutingReader, arrays_lines_and_engine_counts_are_read) {
  std::string npy("\x93NUMPY\x01\x00", 8);
  const std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n";
  npy += static_cast<char>(header.size());
  npy += '\0';
  npy += header;
  for (int v : {5, 0, 1, 2, 2, 3}) npy += std::string(reinterpret_cast<const char*>(&v), 4);
  const RoutingProfile array = parse_routing(npy, "t.npy", {});
  EXPECT_EQ(array.layers(), 3);
  EXPECT_EQ(array.experts, 6);
  EXPECT_EQ(array.transition[0][5 * 6 + 0], 1.F);
  EXPECT_THAT(refusal(npy.substr(0, npy.size() - 3), "t.npy"), HasSubstr("fewer elements"));

  const RoutingProfile lines = parse_routing(
      "{\"layer\": 0, \"experts\": [6, 5], \"token_idx\": 0}\n{\"layer\": 1, \"experts\": [1, 2], "
      "\"token_idx\": 0}\n",
      "t.jsonl", {});
  EXPECT_EQ(lines.layers(), 2);
  EXPECT_EQ(lines.load[0][6], 1);
  EXPECT_THAT(refusal("{\"layer\": 0, \"experts\": [6], \"token_idx\": 0}\n{\"layer\": 1}\n", "t.jsonl"),
              HasSubstr("t.jsonl:2"));

  const RoutingProfile counts =
      parse_routing("{\"logical_count\": [[[0, 0], [1, 2]], [[0, 0], [3, 0]]]}", "s.json", {});
  EXPECT_THAT(counts.layer_ids, testing::ElementsAre(1));
  EXPECT_THAT(counts.load[0], testing::ElementsAre(4, 2));
  ASSERT_EQ(counts.steps.size(), 2u);
  EXPECT_THAT(counts.steps[1], testing::ElementsAre(3, 0));
  EXPECT_THAT(refusal("{\"logical_count\": [[[0, 0], [1]]]}", "s.json"), HasSubstr("expected 2"));
}

TEST(Routing, coactivation_is_symmetric_and_counts_pairs) {
  const RoutingProfile p = parse_routing(kTokens, "t.tsv", {});
  const auto together = coactivation(*p.tokens);
  EXPECT_EQ(together[0][3 * 4 + 0], 1.F);
  EXPECT_EQ(together[0][0 * 4 + 3], 1.F);
  EXPECT_EQ(together[0][3 * 4 + 2], 1.F);
  EXPECT_EQ(together[0][0 * 4 + 2], 0.F);
}

TEST(Routing, synthetic_routing_is_seeded_skewed_and_remembers) {
  const SyntheticRouting options{.layers = 3, .experts = 32, .top_k = 4, .tokens = 4000};
  const TokenTrace a = synthesize_routing(options, Seed{5}), b = synthesize_routing(options, Seed{5});
  EXPECT_EQ(a.choice, b.choice);
  const RoutingProfile p = profile_tokens(std::make_shared<TokenTrace>(a), WeightRule::AllPairs, "s", 500);
  EXPECT_EQ(p.steps.size(), 8u);
  EXPECT_DOUBLE_EQ(p.total(1), 16000);
  EXPECT_GT(*std::max_element(p.load[0].begin(), p.load[0].end()), 1.5 * 16000 / 32);
}

}  // namespace
}  // namespace orrery::trace

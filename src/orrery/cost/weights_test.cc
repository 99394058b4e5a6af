#include "orrery/cost/weights.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"

namespace orrery::cost {
namespace {

constexpr const char* kText = R"({
  "format": "orrery-weights", "version": 1,
  "sections": {
    "gemm": {"provenance": {"gpus": ["L40S", "H100-SXM5-80GB"], "rows": 12, "seed": 3, "command": "orrery fit"},
             "parameters": {"trees": [[1, 2], "a } \" ] b"], "x": -1e-3}},
    "engine": {"parameters": {}}
  }
})";

TEST(Weights, cuts_sections_and_reads_their_provenance) {
  auto weights = Weights::parse(kText, "w.json");
  EXPECT_EQ(weights->parameters("gemm"), R"({"trees": [[1, 2], "a } \" ] b"], "x": -1e-3})");
  EXPECT_EQ(weights->provenance("gemm").rows, 12);
  EXPECT_EQ(weights->title(), "w.json, fitted on H100-SXM5-80GB, L40S");
  EXPECT_TRUE(weights->saw({"h100-sxm5-80gb"}));
  EXPECT_FALSE(weights->saw({"a100-sxm4-80gb"}));
  EXPECT_THROW(weights->parameters("attention"), InputError);
}

TEST(Weights, broken_files_are_refused) {
  for (const char* text :
       {"", "{", "[]", "{\"format\": \"orrery-weights\", \"sections\": {\"a\": {\"parameters\": [}}",
        "{\"format\": \"other\"}", "{\"format\": \"orrery-weights\", \"version\": 2}", "{\"x\": \"y"}) {
    EXPECT_THROW(Weights::parse(text, "w.json"), InputError) << text;
  }
}

}  // namespace
}  // namespace orrery::cost

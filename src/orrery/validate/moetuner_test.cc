#include "orrery/validate/moetuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "orrery/base/test_support.h"

namespace orrery::validate {
namespace {

using testing::HasSubstr;

TEST(MoeTuner, replayed_bytes_are_those_of_the_definitions) {
  const MoeTunerValidation result = validate_moetuner({.parts = {"replay"}}, {});
  ASSERT_EQ(result.checks.size(), 1u);
  EXPECT_TRUE(result.checks[0].met) << result.checks[0].seen;
}

TEST(MoeTuner, copies_keep_their_promises_on_real_counts) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of the measured data";
  const MoeTunerValidation result = validate_moetuner({.parts = {"copies"}, .data = data}, {});
  EXPECT_EQ(result.checks.size(), 4u);
  for (const MoeTunerCheck& check : result.checks)
    EXPECT_TRUE(check.met) << check.asked << ": " << check.seen;
  EXPECT_THAT(moetuner_markdown(result), HasSubstr("wikipedia"));
}

TEST(MoeTuner, parts_that_are_not_there_and_data_that_is_missing_are_refused) {
  EXPECT_THAT(error_of([] { validate_moetuner({.parts = {"relay"}}, {}); }), HasSubstr("'relay'"));
  EXPECT_THAT(error_of([] { validate_moetuner({.parts = {"copies"}}, {}); }), HasSubstr("$ORRERY_DATA"));
  EXPECT_THAT(error_of([] { validate_moetuner({.parts = {"copies"}, .data = "/nowhere"}, {}); }),
              HasSubstr("/nowhere"));
  EXPECT_THAT(error_of([] { validate_moetuner({.parts = {"trace"}, .examples = "/nowhere"}, {}); }),
              HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace orrery::validate

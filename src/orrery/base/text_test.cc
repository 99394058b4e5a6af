#include "orrery/base/text.h"

#include <gtest/gtest.h>

namespace orrery {
namespace {

TEST(Text, edit_distance_counts_the_changes) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("h100", "h200"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
}

TEST(Text, a_mistyped_word_gets_the_nearest_one_and_a_strange_one_the_list) {
  std::vector<std::string> known = {"h100-sxm", "h200-sxm", "l40s"};
  EXPECT_EQ(did_you_mean("H100-SMX", known), "; did you mean 'h100-sxm'?");
  EXPECT_EQ(did_you_mean("toaster", known), "; known are h100-sxm, h200-sxm, l40s");
  EXPECT_EQ(did_you_mean("x", std::span<const std::string>()), "");
  EXPECT_EQ(did_you_mean(std::string(100'000, 'q'), known), "; known are h100-sxm, h200-sxm, l40s");
  std::vector<std::string> many(50, "aaaaaaaaaa");
  EXPECT_EQ(did_you_mean("zzz", many), "");
}

TEST(Text, hostile_text_is_safe_to_print) {
  EXPECT_EQ(printable("a\x1b[2J\nb\x7f"), "a?[2J?b?");
  EXPECT_EQ(printable(std::string(200, 'x'), 10), "xxxxxxxxxx...");
}

TEST(Text, split_and_join_are_inverse) {
  for (std::string text : {"", "a", "a,b", ",", "a,,b,"}) {
    std::vector<std::string> parts = split(text, ',');
    EXPECT_EQ(join(parts, ","), text);
  }
  EXPECT_EQ(split("a,,b", ',').size(), 3u);
  EXPECT_EQ(lower_case("H100-SXM5"), "h100-sxm5");
}

}  // namespace
}  // namespace orrery

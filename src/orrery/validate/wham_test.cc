#include "orrery/validate/wham.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/validate/wham_timeloop.h"

namespace orrery::validate {
namespace {

std::string data() {
  const char* folder = std::getenv("ORRERY_DATA");
  return folder && file_exists(std::string(folder) + "/wham/timeloop-reference.csv") ? folder : "";
}

TEST(WhamValidation, a_mapping_is_read_as_timeloop_prints_it) {
  const auto mappings = parse_timeloop_mappings(
      "##### small\nDRAM [ Weights:8 (8) Inputs:4 (4) Outputs:2 (2) ] \n------\n| for P in [0:8)\n\n"
      "spatial [ ] \n---\n|   for M in [0:4) (Spatial-X)\n\nregs [ Weights:1 (1) ] \n|     << Compute >>\n",
      "m.txt", 2);
  ASSERT_EQ(mappings.size(), 1u);
  ASSERT_EQ(mappings[0].nest.levels.size(), 3u);
  EXPECT_TRUE(mappings[0].nest.levels[0].keeps[2]);
  EXPECT_FALSE(mappings[0].nest.levels[2].keeps[1]);
  EXPECT_TRUE(mappings[0].nest.levels[1].loops[0].spatial);
  EXPECT_EQ(mappings[0].nest.levels[0].loops[0].trips, 8);
  EXPECT_NE(error_of([] { parse_timeloop_mappings("| for P in [0:8)\n", "m.txt", 1); }).find("m.txt:1"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              parse_timeloop_mappings("##### a\nD [ ]\n| for X in [0:8)\n", "m.txt", 1);
            }).find("m.txt:3"),
            std::string::npos);
}

TEST(WhamValidation, counts_of_timeloop_mappings_give_its_energies_and_cycles) {
  if (data().empty()) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/timeloop-reference.csv";
  const std::vector<TimeloopDesign> designs = compare_with_timeloop(data());
  ASSERT_EQ(designs.size(), 3u);
  for (const TimeloopDesign& design : designs)
    EXPECT_EQ(design.our_cycles, design.their_cycles) << design.name;
  EXPECT_EQ(designs[0].name, "eyeriss_like");
  EXPECT_LT(std::abs(designs[0].our_microjoules / designs[0].their_microjoules - 1), .15);
  for (const TimeloopComponent& c : designs[0].components) {
    if (c.name == "DRAM" || c.name == "shared_glb" || c.name == "mac") {
      EXPECT_LT(std::abs(c.difference()), .10) << c.name;
    }
  }
}

TEST(WhamValidation, the_quick_parts_meet_what_is_asked) {
  if (data().empty()) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/timeloop-reference.csv";
  const WhamValidation result = validate_wham({.parts = {"cycles", "area"}, .data_folder = data()}, {});
  EXPECT_TRUE(result.all_met()) << wham_markdown(result);
}

TEST(WhamValidation, unknown_parts_and_missing_data_are_refused) {
  EXPECT_NE(error_of([] { validate_wham({.parts = {"cycle"}, .data_folder = "/x"}, {}); }).find("'cycles'"),
            std::string::npos);
  EXPECT_THROW(validate_wham({}, {}), NotFound);
}

}  // namespace
}  // namespace orrery::validate

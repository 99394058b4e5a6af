#include "orrery/cost/neusight/options.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

NeuSightOptions read(const std::string& yaml) {
  return read_neusight_options(parse_yaml(yaml, "preset.yaml"));
}

TEST(NeuSightOptions, survive_being_written) {
  for (const char* preset : {"neusight-paper", "neusight-corrected"}) {
    const std::string text = to_json(neusight_preset(preset));
    EXPECT_EQ(to_json(read_neusight_options(parse_json(text, "options.json"))), text) << preset;
  }
}

TEST(NeuSightOptions, the_corrected_preset_turns_every_switch) {
  const NeuSightOptions paper = neusight_preset("neusight-paper"),
                        corrected = neusight_preset("neusight-corrected");
  EXPECT_NE(paper.tile_search, corrected.tile_search);
  EXPECT_NE(paper.gigabyte, corrected.gigabyte);
  EXPECT_NE(paper.utilization, corrected.utilization);
  EXPECT_NE(paper.waves, corrected.waves);
  EXPECT_NE(paper.all_reduce, corrected.all_reduce);
  EXPECT_NE(paper.held_back, corrected.held_back);
  EXPECT_LT(corrected.memory_share, paper.memory_share);
  EXPECT_FALSE(corrected.leave_out.empty());
}

TEST(NeuSightOptions, refuse_what_they_do_not_know_with_its_place) {
  EXPECT_NE(error_of([] { read("tile_search: scalled"); }).find("preset.yaml:1:14"), std::string::npos);
  EXPECT_NE(error_of([] { read("tile_search: scalled"); }).find("did you mean 'scaled'"), std::string::npos);
  EXPECT_FALSE(error_of([] { read("tiles: scaled"); }).empty());
  EXPECT_FALSE(error_of([] { read("training: {width: 0}"); }).empty());
  EXPECT_FALSE(error_of([] { read("training: {nvidia: {conv: {batch: 1}}}"); }).empty());
  EXPECT_FALSE(error_of([] { read("devices: {X: {memory_gb: -1}}"); }).empty());
}

TEST(NeuSightDevice, stated_figures_come_before_the_catalogues) {
  const hardware::Device l4 = hardware::Catalogue::shipped().device("l4");
  EXPECT_EQ(neusight_device(l4, neusight_preset("neusight-paper")).multiprocessors, 60);
  EXPECT_EQ(neusight_device(l4, NeuSightOptions()).multiprocessors, 58);
  const NeuSightDevice mi100 =
      neusight_device(hardware::Catalogue::shipped().device("mi100"), NeuSightOptions());
  EXPECT_TRUE(mi100.amd);
  EXPECT_GT(mi100.matrix_gflops, 1.5 * mi100.vector_gflops);
}

}  // namespace
}  // namespace orrery::cost

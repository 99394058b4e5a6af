#include "orrery/cost/accelerator/loop_nest.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace orrery::cost {
namespace {

constexpr size_t kW = 0, kI = 1, kO = 2;

TEST(LoopNest, one_memory_reads_every_operand_of_every_multiplication) {
  LoopNest nest{{{"memory", {true, true, true}, {{LoopDim::M, 4}, {LoopDim::C, 3}, {LoopDim::P, 5}}}}, 1};
  LoopCounts counts = count_accesses(nest);
  EXPECT_EQ(counts.multiply_accumulates, 60);
  EXPECT_EQ(counts.cycles, 60);
  EXPECT_EQ(counts.levels[0].reads[kW], 60);
  EXPECT_EQ(counts.levels[0].reads[kI], 60);
  EXPECT_EQ(counts.levels[0].writes[kO], 60);
  EXPECT_EQ(counts.levels[0].reads[kO], 60 - 4 * 5) << "a first sum needs no read";
}

TEST(LoopNest, a_stationary_tile_is_loaded_once_and_a_moving_one_every_time) {
  // Weights stand over P; inputs are loaded again for every M, since M lies outside of P.
  LoopNest nest{{{"dram", {true, true, true}, {{LoopDim::M, 4}, {LoopDim::P, 5}}},
                 {"register", {true, true, false}, {}}},
                1};
  LoopCounts counts = count_accesses(nest);
  EXPECT_EQ(counts.levels[0].reads[kW], 4);
  EXPECT_EQ(counts.levels[0].reads[kI], 20);
  EXPECT_EQ(counts.levels[1].writes[kW], 4);
  EXPECT_EQ(counts.levels[1].reads[kW], 20);
  // The other order: inputs once for each P.
  nest.levels[0].loops = {{LoopDim::P, 5}, {LoopDim::M, 4}};
  counts = count_accesses(nest);
  EXPECT_EQ(counts.levels[0].reads[kW], 20);
  EXPECT_EQ(counts.levels[0].reads[kI], 5);
}

TEST(LoopNest, instances_share_one_read_and_add_their_sums) {
  // Four elements along C read different inputs and weights and make one sum; four along M share an input.
  LoopNest along_c{{{"buffer", {true, true, true}, {{LoopDim::P, 5}, {LoopDim::C, 4, true}}},
                    {"element", {true, true, true}, {}}},
                   1};
  LoopCounts c = count_accesses(along_c);
  EXPECT_EQ(c.cycles, 5);
  EXPECT_EQ(c.instances, 4);
  EXPECT_EQ(c.levels[0].reads[kI], 20);
  EXPECT_EQ(c.levels[0].writes[kO], 5) << "added on the way up";
  LoopNest along_m = along_c;
  along_m.levels[0].loops[1].dim = LoopDim::M;
  LoopCounts m = count_accesses(along_m);
  EXPECT_EQ(m.levels[0].reads[kI], 5) << "one read for all";
  EXPECT_EQ(m.levels[1].writes[kI], 20);
  EXPECT_EQ(m.levels[0].writes[kO], 20);
}

TEST(LoopNest, windows_of_an_image_overlap) {
  // Three outputs of a window of three at stride 2 touch seven columns.
  LoopNest nest{{{"dram", {true, true, true}, {{LoopDim::M, 2}}},
                 {"buffer", {false, true, false}, {{LoopDim::Q, 3}, {LoopDim::S, 3}}}},
                2};
  EXPECT_EQ(count_accesses(nest).levels[0].reads[kI], 7) << "M does not index it";
}

TEST(LoopNest, nests_that_keep_nothing_are_refused) {
  EXPECT_THROW(count_accesses({{{"dram", {true, true, false}, {}}}, 1}), std::invalid_argument);
  EXPECT_THROW(count_accesses({{{"dram", {true, true, true}, {{LoopDim::M, 0}}}}, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace orrery::cost

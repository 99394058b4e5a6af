#include "orrery/cost/accelerator/memory_tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "orrery/base/random.h"

namespace orrery::cost {
namespace {

using graph::GemmSize;

constexpr double kMebi = 1024.0 * 1024.0;

MatrixWork plain(const GemmSize& s) {
  auto d = [](int64_t v) { return static_cast<double>(v); };
  return {s, d(s.batch) * d(s.m) * d(s.k), d(s.batch) * d(s.k) * d(s.n), d(s.batch) * d(s.m) * d(s.n)};
}

TEST(TiledTraffic, equals_the_worked_example) {
  TiledTraffic f1 = tiled_traffic(plain({1, 4096, 11008, 4096}), {128, 128}, {32 * kMebi, 2, 4});
  EXPECT_EQ(f1.bytes, 371195904);
  EXPECT_EQ(f1.first_tile, 2 * (2048 * 128 + 128 * 3712));
  EXPECT_EQ(f1.lhs_passes, 3);
  EXPECT_EQ(f1.rhs_passes, 2);
  EXPECT_EQ(f1.out_passes, 1);
  graph::ConvolutionSize first{1, 3, 64, 224, 224, 7, 7, 2, 2, 3, 3, 1};
  MatrixWork work = matrix_work(graph::make(first, DataType::BF16)).front();
  EXPECT_EQ(work.size.m, 12544);
  TiledTraffic c1 = tiled_traffic(work, {128, 128}, {32 * kMebi, 2, 4});
  EXPECT_EQ(c1.bytes, 1925504);  // the image itself, not its unfolded patches
  EXPECT_EQ(c1.first_tile, 2 * (128 * 147 + 147 * 64));
}

// What a loop nest moves, by running it: an operand's tile is fetched whenever it differs from the one that
// is there; a tile of sums that leaves comes back.
double simulated(const GemmSize& s, const TiledTraffic& tile, const std::array<int, 3>& order,
                 TileMemory memory) {
  const int64_t sizes[] = {s.m, s.n, s.k}, tiles[] = {tile.tile_m, tile.tile_n, tile.tile_k};
  int64_t trips[3];
  for (int i = 0; i < 3; ++i) trips[i] = (sizes[i] + tiles[i] - 1) / tiles[i];
  auto extent = [&](int dim, int64_t at) {
    return static_cast<double>(std::min(tiles[dim], sizes[dim] - at * tiles[dim]));
  };
  int64_t there_a = -1, there_b = -1, there_c = -1;
  std::vector<int> visits(static_cast<size_t>(trips[0] * trips[1]));
  double bytes = 0;
  int64_t at[3];
  for (at[order[0]] = 0; at[order[0]] < trips[order[0]]; ++at[order[0]])
    for (at[order[1]] = 0; at[order[1]] < trips[order[1]]; ++at[order[1]])
      for (at[order[2]] = 0; at[order[2]] < trips[order[2]]; ++at[order[2]]) {
        int64_t a = at[0] * trips[2] + at[2], b = at[2] * trips[1] + at[1], c = at[0] * trips[1] + at[1];
        if (a != there_a) bytes += memory.operand_bytes * extent(0, at[0]) * extent(2, at[2]);
        if (b != there_b) bytes += memory.operand_bytes * extent(2, at[2]) * extent(1, at[1]);
        if (c != there_c) {
          double words = extent(0, at[0]) * extent(1, at[1]);
          bytes += visits[static_cast<size_t>(c)]++ ? words * 2 * memory.accumulator_bytes
                                                    : words * memory.operand_bytes;
        }
        there_a = a, there_b = b, there_c = c;
      }
  return bytes;
}

TEST(TiledTraffic, is_what_the_best_loop_order_moves) {
  Random random(Seed{3});
  std::array<int, 3> order = {0, 1, 2};
  for (int i = 0; i < 200; ++i) {
    auto size = [&](uint64_t most) { return static_cast<int64_t>(random.index(most)) + 1; };
    GemmSize s{1, size(600), size(600), size(600)};
    TileMemory memory{static_cast<double>(size(300000)) + 20000, 2, 4};
    TiledTraffic tiles = tiled_traffic(plain(s), {16, 32}, memory);
    double least = 1e300;
    std::sort(order.begin(), order.end());
    do least = std::min(least, simulated(s, tiles, order, memory));
    while (std::next_permutation(order.begin(), order.end()));
    EXPECT_NEAR(tiles.bytes, least, 1e-6 * least) << s.m << " " << s.n << " " << s.k;
  }
}

TEST(TiledTraffic, a_larger_buffer_never_moves_more_and_a_whole_fit_moves_each_tensor_once) {
  GemmSize s{1, 3000, 2000, 5000};
  double last = 1e300;
  for (double mebi = 0.25; mebi <= 1024; mebi *= 2) {
    double bytes = tiled_traffic(plain(s), {128, 128}, {mebi * kMebi, 2, 4}).bytes;
    EXPECT_LE(bytes, last);
    last = bytes;
  }
  EXPECT_EQ(last, 2.0 * (3000.0 * 5000 + 5000.0 * 2000 + 3000.0 * 2000));
}

}  // namespace
}  // namespace orrery::cost

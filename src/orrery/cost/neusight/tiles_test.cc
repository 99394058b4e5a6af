#include "orrery/cost/neusight/tiles.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "orrery/base/random.h"

namespace orrery::cost {
namespace {

using Search = NeuSightOptions::TileSearch;
using hardware::Architecture;

NeuSightDevice device(std::string name, double gflops, Architecture architecture) {
  NeuSightDevice d;
  d.name = std::move(name);
  d.memory_gb = 16;
  d.bandwidth_gb_s = 700;
  d.multiprocessors = 60;
  d.matrix_gflops = d.vector_gflops = gflops;
  d.l2_mb = 6;
  d.architecture = architecture;
  return d;
}
const std::vector<NeuSightDevice> kDevices = {device("old", 5000, Architecture::Pascal),
                                              device("new", 9000, Architecture::Ampere)};

std::vector<NeuSightTiles::Row> random_rows(size_t n) {
  Random random(Seed{1});
  constexpr double kSides[] = {32, 64, 128};
  std::vector<NeuSightTiles::Row> rows;
  for (size_t i = 0; i < n; ++i) {
    auto size = [&] { return 1. + static_cast<double>(random.index(1000)); };
    rows.push_back({static_cast<uint32_t>(random.index(2)),
                    neusight_product(NeuSightKind::Bmm, size(), size(), size(), size()),
                    {kSides[random.index(3)], kSides[random.index(3)]}});
  }
  return rows;
}

// The definition, over all rows.
NeuSightTile brute_force(const std::vector<NeuSightTiles::Row>& rows, const NeuSightOperator& op,
                         const NeuSightDevice& at) {
  double least = std::numeric_limits<double>::infinity();
  NeuSightTile tile;
  for (const NeuSightTiles::Row& row : rows) {
    const NeuSightDevice& d = kDevices[row.device];
    const double differences[] = {op.batch - row.op.batch, op.m - row.op.m, op.n - row.op.n, op.k - row.op.k,
                                  at.matrix_gflops - d.matrix_gflops};
    double sum = 0;
    for (double x : differences) sum += x * x;
    if (sum < least) {
      least = sum;
      tile = row.tile;
    }
  }
  return tile;
}

TEST(NeuSightTiles, unscaled_search_is_the_nearest_row_of_all) {
  const std::vector<NeuSightTiles::Row> rows = random_rows(400);
  const NeuSightTiles tiles(kDevices, rows);
  Random random(Seed{2});
  for (int i = 0; i < 200; ++i) {
    auto size = [&] { return 1. + static_cast<double>(random.index(1000)); };
    const NeuSightOperator op = neusight_product(NeuSightKind::Bmm, size(), size(), size(), size());
    const NeuSightDevice at = device("query", 5000 + 100 * i, Architecture::Volta);
    const NeuSightTile found = tiles.find(op, at, Search::Unscaled), expected = brute_force(rows, op, at);
    EXPECT_EQ(found.rows, expected.rows);
    EXPECT_EQ(found.columns, expected.columns);
  }
}

TEST(NeuSightTiles, the_peak_rate_swamps_the_shape_unless_sizes_are_scaled) {
  const NeuSightOperator same = neusight_product(NeuSightKind::Bmm, 8, 512, 512, 64);
  const NeuSightOperator other = neusight_product(NeuSightKind::Bmm, 8, 16, 16, 64);
  const NeuSightTiles tiles(kDevices, {{0, other, {32, 32}}, {1, same, {128, 128}}, {1, other, {64, 64}}});
  // A device of the newer make whose peak is near the old one's.
  const NeuSightDevice at = device("query", 5100, Architecture::Ada);
  EXPECT_EQ(tiles.find(same, at, Search::Unscaled).rows, 32);
  EXPECT_EQ(tiles.find(same, at, Search::Scaled).rows, 128);
}

TEST(NeuSightTiles, survive_being_written) {
  const NeuSightTiles tiles(kDevices, random_rows(300));
  const std::string text = tiles.to_json();
  const NeuSightTiles again = NeuSightTiles::from_json(parse_json(text, "tiles.json"));
  EXPECT_EQ(again.to_json(), text);
}

TEST(NeuSightTiles, softmax_takes_a_row_a_block_and_an_empty_table_the_usual_tiles) {
  const NeuSightTiles none;
  EXPECT_EQ(none.find(neusight_vector(NeuSightKind::Softmax, 10, 777), kDevices[0], Search::Unscaled).columns,
            777);
  EXPECT_GT(none.find(neusight_vector(NeuSightKind::Add, 10, 777), kDevices[0], Search::Scaled).columns, 0);
  EXPECT_GT(none.find(neusight_product(NeuSightKind::Bmm, 1, 1, 1, 1), kDevices[0], Search::Scaled).rows, 0);
}

TEST(NeuSightTiles, refuse_damaged_text) {
  const std::string text = NeuSightTiles(kDevices, random_rows(20)).to_json();
  auto damaged = [&](const std::string& what, const std::string& by) {
    std::string t = text;
    t.replace(t.find(what), what.size(), by);
    return t;
  };
  for (const std::string& t :
       {damaged("\"Pascal\"", "\"Pentium\""), damaged("\"bmm\"", "\"bnn\""),
        damaged("\"shapes\":\"", "\"shapes\":\"AAAA"), damaged("\"tile_of\":[\"", "\"tile_of\":[\"A"),
        damaged("\"tiles\":[[", "\"tiles\":[[1,")}) {
    EXPECT_THROW(NeuSightTiles::from_json(parse_json(t, "tiles.json")), InputError) << t.substr(0, 200);
  }
}

}  // namespace
}  // namespace orrery::cost

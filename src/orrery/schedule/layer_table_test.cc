#include "orrery/schedule/layer_table.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"
#include "orrery/base/random.h"

namespace orrery::schedule {
namespace {

LayerTable random_table(uint64_t seed, int layers, std::vector<int> widths, bool edges) {
  Random random(Seed{seed});
  LayerTable table;
  table.layers = layers;
  table.widths = widths;
  for (size_t i = 0; i < widths.size() * static_cast<size_t>(layers); ++i) {
    auto u = [&] { return random.uniform(); };
    table.at.push_back({Seconds(u() * 1e-3), Seconds(u() * 1e-3), Seconds(u() / 3), Bytes(u() * 1e9),
                        Bytes(u() * 1e11), Bytes(u() * 1e6), Joules(u()), u() > 0.5});
  }
  if (edges) {
    table.edges = {{0, 1}, {0, 2}, {1, 2}};
    for (size_t i = 0; i < 3 * widths.size(); ++i) table.edge_bytes.push_back(Bytes(random.uniform() * 1e7));
  }
  return table;
}

TEST(LayerTable, round_trips_through_csv_unchanged) {
  for (const LayerTable& table : {random_table(1, 3, {1, 2, 8}, true), random_table(2, 96, {1}, false),
                                  random_table(3, 3, {4}, true)}) {
    EXPECT_EQ(read_layer_table(write_layer_table(table), "t.csv"), table);
  }
}

TEST(LayerTable, a_missing_or_doubled_row_is_named) {
  std::string text = write_layer_table(random_table(1, 2, {1, 2}, false));
  std::string header = text.substr(0, text.find('\n') + 1),
              first = text.substr(header.size(), text.find('\n', header.size()) + 1 - header.size());
  EXPECT_THROW(read_layer_table(text.substr(0, text.rfind('\n', text.size() - 2) + 1), "t.csv"), InputError);
  EXPECT_THROW(read_layer_table(header + first + first, "t.csv"), InputError);
  EXPECT_THROW(read_layer_table("# edges (from>to:bytes at each width): 0>x:1\n" + text, "t.csv"),
               InputError);
}

}  // namespace
}  // namespace orrery::schedule

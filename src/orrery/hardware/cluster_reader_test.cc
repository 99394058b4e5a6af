#include "orrery/hardware/cluster_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"

namespace orrery::hardware {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  return orrery::error_of([&] { read_cluster(parse_yaml(text, "mine.yaml"), Catalogue::shipped()); });
}

TEST(ClusterReader, every_shipped_cluster_loads) {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(data_folder() + "/clusters")) {
    Cluster cluster = find_cluster(file.path().stem().string());
    EXPECT_EQ(cluster.name, file.path().stem().string());
    EXPECT_GT(cluster.ranks(), 0);
    ++count;
  }
  EXPECT_GE(count, 6);
}

TEST(ClusterReader, ranks_meet_at_the_level_that_joins_them) {
  Cluster cluster = find_cluster("dgx-h100-x4");
  ASSERT_EQ(cluster.ranks(), 32);
  EXPECT_EQ(cluster.device(31).name, "h100-sxm5-80gb");
  EXPECT_EQ(cluster.level_between(0, 7), 0);
  EXPECT_EQ(cluster.level_between(0, 8), 1);
  EXPECT_EQ(cluster.levels[0].per_device.value(), 450e9);
  EXPECT_EQ(cluster.levels[1].per_device.value(), 50e9);
}

TEST(ClusterReader, a_cluster_survives_the_way_through_a_file) {
  Cluster cluster = read_cluster(
      parse_yaml("name: two\ndevices:\n  - {device: a40, count: 2}\n  - {device: l40s, count: 2}\n"
                 "levels:\n  - {name: PCIe, fanout: 2, per_device: 32 GB/s, latency: 5 us, sharing: bus}\n"
                 "  - {name: IB, fanout: 2, per_device: 200 Gbit/s, sharing: pair}\n",
                 "two.yaml"),
      Catalogue::shipped());
  ASSERT_EQ(cluster.ranks(), 4);
  EXPECT_EQ(cluster.device(1).name, "a40");
  EXPECT_EQ(cluster.device(2).name, "l40s");
  EXPECT_EQ(cluster.levels[0].sharing, Sharing::Bus);
  EXPECT_DOUBLE_EQ(cluster.levels[0].latency.value(), 5e-6);
  EXPECT_EQ(cluster.levels[1].sharing, Sharing::Pair);
  EXPECT_EQ(cluster.levels[1].per_device.value(), 25e9);
}

TEST(ClusterReader, wrong_input_is_one_line_with_its_place) {
  std::string level = "levels:\n  - {name: a, fanout: 8, per_device: 1 GB/s}\n";
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: h10, count: 8}\n" + level),
              HasSubstr("mine.yaml:3:14: unknown GPU 'h10'"));
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: a40, count: 4}\n" + level),
              HasSubstr("join 8 devices, but 'devices' counts 4"));
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: a40, count: 0}\n" + level),
              HasSubstr("out of range"));
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: a40, count: 8}\nlevel: 3\n"),
              HasSubstr("did you mean 'levels'"));
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: a40, count: 8}\nlevels:\n  - {name: a, fanout: 8, "
                       "per_device: 1 GB}\n"),
              HasSubstr("expected a bandwidth"));
  EXPECT_THAT(error_of("name: x\ndevices:\n  - {device: a40, count: 8}\nlevels:\n  - {name: a, fanout: 8, "
                       "per_device: 1 GB/s, sharing: ring}\n"),
              HasSubstr("unknown sharing 'ring'"));
  EXPECT_NE(error_of("name: x\ndevices: []\nlevels: []\n"), "");
  EXPECT_THROW(find_cluster("dgx-h1000"), InputError);
}

}  // namespace
}  // namespace orrery::hardware

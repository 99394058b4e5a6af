#include "orrery/cost/collective_model.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "orrery/cost/fit/fit_collectives.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

hardware::LinkLevel nvlink(double gb) {
  return {.name = "NVLink",
          .fanout = 8,
          .per_device = BytesPerSecond(gb * 1e9),
          .latency = {},
          .sharing = hardware::Sharing::Port};
}

TEST(CollectiveModel, one_rank_and_no_bytes_are_free) {
  CollectiveModel model = CollectiveModel::shipped();
  EXPECT_EQ(model.price(Collective::AllReduce, 1e6, 1, nvlink(450), true).time.value(), 0);
  EXPECT_EQ(model.price(Collective::AllReduce, 0, 8, nvlink(450), true).time.value(), 0);
}

TEST(CollectiveModel, more_bytes_and_slower_links_are_never_faster) {
  CollectiveModel model = CollectiveModel::shipped();
  for (Collective kind : {Collective::AllReduce, Collective::AllGather, Collective::ReduceScatter,
                          Collective::AllToAll, Collective::SendReceive}) {
    for (bool direct : {false, true}) {
      double last = 0;
      for (double bytes = 1; bytes < 1e11; bytes *= 1.7) {
        double t = model.price(kind, bytes, 8, nvlink(400), direct).time.value();
        EXPECT_GE(t, last);
        EXPECT_LE(t, model.price(kind, bytes, 8, nvlink(100), direct).time.value());
        EXPECT_GE(model.price(kind, bytes, 8, nvlink(400), false).time.value(), t);
        last = t;
      }
    }
  }
}

TEST(CollectiveModel, an_engines_own_kernels_serve_small_messages_within_a_node) {
  CollectiveModel model = CollectiveModel::shipped();
  auto own = model.price(Collective::AllReduce, 64 * 8192 * 2, 8, nvlink(450), true);
  auto library = model.price(Collective::AllReduce, 64 * 8192 * 2, 8, nvlink(450), false);
  EXPECT_LT(own.time.value(), .7 * library.time.value());
  EXPECT_STREQ(own.algorithm, "two shots");
  EXPECT_STREQ(model.price(Collective::AllReduce, 16384, 8, nvlink(450), true).algorithm, "one shot");
}

TEST(CollectiveModel, ranks_across_nodes_pay_for_both_levels) {
  CollectiveModel model = CollectiveModel::shipped();
  hardware::Device h100 = hardware::Catalogue::shipped().device("h100-sxm5-80gb");
  hardware::Cluster cluster{
      .name = "two nodes", .kinds = {h100}, .kind_of_rank = std::vector<uint16_t>(16, 0), .levels = {}};
  cluster.levels = {nvlink(450),
                    {.name = "InfiniBand",
                     .fanout = 2,
                     .per_device = BytesPerSecond(50e9),
                     .latency = Seconds(2e-6),
                     .sharing = hardware::Sharing::Port}};
  double within = model.price(Collective::AllReduce, 1e9, 8, cluster, false).time.value();
  double across = model.price(Collective::AllReduce, 1e9, 16, cluster, false).time.value();
  EXPECT_EQ(within, model.price(Collective::AllReduce, 1e9, 8, cluster.levels[0], false).time.value());
  EXPECT_GT(across, within);
  EXPECT_LT(across, 3 * within);
}

TEST(CollectiveModel, what_exceeds_the_burst_travels_slower) {
  CollectiveModel model;
  hardware::LinkLevel ethernet{.name = "Ethernet",
                               .fanout = 2,
                               .per_device = BytesPerSecond(10e9),
                               .latency = Seconds(10e-6),
                               .sharing = hardware::Sharing::Port};
  hardware::LinkLevel lossy = ethernet;
  lossy.burst = Bytes(2e6);
  lossy.sustained = BytesPerSecond(2e9);
  auto time = [&](double bytes, const hardware::LinkLevel& level) {
    return model.price(Collective::SendReceive, bytes, 2, level, false).time.value();
  };
  EXPECT_EQ(time(2e6, lossy), time(2e6, ethernet));
  double share = model.constants().send_share;
  EXPECT_NEAR(time(12e6, lossy) - time(2e6, lossy), 10e6 / (share * 2e9), 1e-9);
}

TEST(CollectiveModel, the_share_of_a_link_knows_no_starts_and_no_ranks) {
  CollectiveModel rule = CollectiveModel::share_of_link();
  hardware::LinkLevel link{.name = "NVLink",
                           .fanout = 4,
                           .per_device = BytesPerSecond(450e9),
                           .latency = {},
                           .sharing = hardware::Sharing::Port};
  // 324 GB/s counted as GiB/s, three times the bytes.
  EXPECT_NEAR(rule.price(Collective::AllReduce, 1e9, 4, link, true).time.value(), 3e9 / (324 * 1073741824.0),
              1e-12);
  EXPECT_EQ(rule.price(Collective::AllReduce, 1e9, 4, link, true).time,
            rule.price(Collective::AllReduce, 1e9, 8, link, false).time);
  EXPECT_NEAR(rule.price(Collective::SendReceive, 1e9, 2, link, false).time.value(),
              1e9 / (324 * 1073741824.0), 1e-12);
}

TEST(CollectiveModel, weights_survive_their_file_and_damage_is_refused) {
  CollectiveModel model = CollectiveModel::shipped();
  EXPECT_EQ(CollectiveModel::from_json(model.to_json(), "w.json").to_json(), model.to_json());
  EXPECT_THROW(CollectiveModel::from_json("{}", "w.json"), InputError);
}

TEST(MeasuredCollectives, held_out_sizes_on_nvswitch_are_within_fifteen_percent_in_the_median) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured rows";
  auto curves = read_collectives(std::string(folder) + "/neusight/vidur_collectives.csv.zst");
  CollectiveModel model(fit_collectives(curves, ""));
  for (const CollectiveCurve& curve : curves) {
    if (!curve.system.ends_with("_dgx") || !curve.within_node()) continue;
    std::vector<double> error;
    for (size_t i = 1; i < curve.bytes.size(); i += 2)
      error.push_back(
          std::abs(model.price(curve.kind, curve.bytes[i], curve.ranks, link_of(curve), false).time.value() /
                       curve.seconds[i] -
                   1));
    std::nth_element(error.begin(), error.begin() + static_cast<long>(error.size() / 2), error.end());
    EXPECT_LT(error[error.size() / 2], .15) << curve.system << ' ' << curve.ranks;
  }
}

}  // namespace
}  // namespace orrery::cost

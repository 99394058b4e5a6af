#include "orrery/hardware/cluster.h"

#include <algorithm>

namespace orrery::hardware {

Cluster group_of(const Cluster& cluster, int ranks, int stride) {
  Cluster group;
  group.name = cluster.name;
  group.kinds = cluster.kinds;
  group.kind_of_rank.resize(static_cast<size_t>(ranks));
  for (int i = 0; i < ranks; ++i) {
    auto rank = static_cast<size_t>(i) * static_cast<size_t>(stride);
    if (rank < cluster.kind_of_rank.size())
      group.kind_of_rank[static_cast<size_t>(i)] = cluster.kind_of_rank[rank];
  }
  int64_t size = 1;
  int joined = 1;
  for (const LinkLevel& level : cluster.levels) {
    size *= level.fanout;
    auto members = static_cast<int>(std::clamp<int64_t>((size + stride - 1) / stride, 1, ranks));
    if (members > joined) {
      group.levels.push_back(level);
      group.levels.back().fanout = (members + joined - 1) / joined;
      joined = members;
    }
  }
  return group;
}

Cluster flat_cluster(const Device& device, int gpus) {
  Cluster cluster;
  cluster.name = std::to_string(gpus) + " x " + device.title;
  cluster.kinds = {device};
  cluster.kind_of_rank.assign(static_cast<size_t>(gpus), 0);
  LinkLevel level;
  level.fanout = gpus;
  const Gpu* gpu = device.gpu();
  if (gpu && gpu->link) {
    level.name = gpu->link->name;
    level.per_device = gpu->link->per_direction;
    level.latency = gpu->link->latency;
  } else {
    level.name = "PCIe";
    level.per_device = gpu ? gpu->pcie : BytesPerSecond(0);
    level.sharing = Sharing::Bus;
  }
  cluster.levels = {level};
  return cluster;
}

}  // namespace orrery::hardware

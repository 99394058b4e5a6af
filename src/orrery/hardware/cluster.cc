#include "orrery/hardware/cluster.h"

namespace orrery::hardware {

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

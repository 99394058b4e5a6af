// Devices joined by levels of links, innermost first. Bandwidth is per device and per direction, always.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/hardware/device.h"

namespace orrery::hardware {

enum class Sharing : uint8_t {
  Port,  // a device sends to all its peers through one port (switched: NVSwitch, InfiniBand)
  Pair,  // every pair has its own wire at `per_device` (point to point)
  Bus,   // all devices of the level share `per_device` (PCIe behind one switch)
};

struct LinkLevel {
  std::string name;
  int fanout = 1;  // how many of the level below are joined
  BytesPerSecond per_device;
  Seconds latency;
  Sharing sharing = Sharing::Port;
  // Networks that drop what their switches cannot hold: what of a message exceeds `burst` travels at
  // `sustained` instead of `per_device`. 0: no such limit.
  Bytes burst = {};
  BytesPerSecond sustained = {};
};

struct Cluster {
  std::string name;
  std::vector<Device> kinds;
  std::vector<uint16_t> kind_of_rank;  // index into kinds; its size is the number of ranks
  std::vector<LinkLevel> levels;       // the product of the fan-outs is the number of ranks

  int ranks() const { return static_cast<int>(kind_of_rank.size()); }
  const Device& device(int rank) const { return kinds[kind_of_rank[static_cast<size_t>(rank)]]; }
  // The level that two ranks talk over: the first at which they share a group.
  int level_between(int a, int b) const {
    int size = 1;
    for (size_t level = 0; level < levels.size(); ++level) {
      size *= levels[level].fanout;
      if (a / size == b / size) return static_cast<int>(level);
    }
    return static_cast<int>(levels.size());
  }
};

// The links among `ranks` ranks that stand `stride` apart, from rank 0 on: of a data-parallel group whose
// members lie behind each other's tensor-parallel groups. Levels that join none of them are left out.
Cluster group_of(const Cluster& cluster, int ranks, int stride);

// `gpus` devices of one kind in one node, joined by the device's own link, or PCIe where it has none.
Cluster flat_cluster(const Device& device, int gpus);

}  // namespace orrery::hardware

// Fits collective_model.h to measured collectives (vidur: all-reduce and send/receive by size, ranks and
// system; medians of rank 0 with outliers, and starts that depend on the host).
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/collective_model.h"

namespace orrery::cost {

// One curve over sizes.
struct CollectiveCurve {
  std::string system;  // "a100_dgx", "h100_pairwise_nvlink", ...
  Collective kind = Collective::AllReduce;
  int ranks = 2, per_node = 2;
  std::vector<double> bytes, seconds;  // ascending in bytes
  bool within_node() const { return per_node >= ranks; }
};

// Reads vidur_collectives.csv(.zst). Curves that repeat another's rows under a second name are dropped.
// Throws InputError.
std::vector<CollectiveCurve> read_collectives(const std::string& path);

// The link that a curve runs over, from device files: NVLink of the DGX systems and of the pairs, PCIe
// between pairs. A level of bandwidth 0 where nothing is published (the clouds' networks).
hardware::LinkLevel link_of(const CollectiveCurve& curve);

// Constants from the curves with a known link, without those of `leave_out` (a system; empty: none), on every
// second size, then a calibration of each switched link among them.
CollectiveConstants fit_collectives(const std::vector<CollectiveCurve>& curves, const std::string& leave_out);

// The link under the curves: bandwidth and latency such that the model fits their even-numbered sizes.
// `lossy`: a network between nodes, which gets a burst and a sustained bandwidth too where that lowers what
// is minimized by a tenth.
hardware::LinkLevel fit_link(const std::vector<const CollectiveCurve*>& curves,
                             const CollectiveConstants& constants, bool lossy = false);

}  // namespace orrery::cost

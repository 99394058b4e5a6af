// How long a collective takes over one level of links, or over a cluster's levels.
//
// With S bytes in the tensor (all-reduce: of every rank; all-gather, reduce-scatter: gathered; all-to-all: of
// every rank; send: moved) over n ranks, each rank's port carries, one way,
//   ring all-reduce 2 (n−1)/n · S   all-gather, reduce-scatter, all-to-all (n−1)/n · S   send S.
// Two protocols of the library (NCCL), the faster of which is taken:
//   low latency   t = start_low + hops · hop + wire / (share_low · bandwidth)      flags travel with the data
//   bulk          t = start_bulk + hops · hop + wire / (share_bulk · bandwidth)
// hops: 2 (n−1) for a ring, 2 · 2 log2 n (up and down two trees at once, which share the bytes) for a tree,
// whichever are fewer; both move the same bytes. Within a node an engine's
// own kernels read all peers' buffers at once, for messages up to 8 MB (vLLM's rule):
//   one shot      t = direct_start + (n−1) S / (direct_share · bandwidth)      two shots: 2 (n−1)/n · S and
//   one more barrier
// Ranks across nodes reduce within the node, between the nodes on 1/n of the bytes, and gather within the
// node.
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/operator_model.h"
#include "orrery/hardware/cluster.h"

namespace orrery::cost {

enum class Collective : uint8_t { AllReduce, AllGather, ReduceScatter, AllToAll, SendReceive };

// What was measured on a kind of link: known by its nominal bandwidth per device and direction.
struct LinkCalibration {
  double nominal = 0;  // bytes per second
  double factor = 1;   // of the bandwidth, on top of the shares
  double latency = 0;  // seconds, of every hop
};

// How a time is made of bytes.
enum class CollectiveRule : uint8_t {
  Fitted,       // the two protocols above
  ShareOfLink,  // NeuSight's (arXiv 2407.13853): `volume` times the bytes over `share` of the link, at which
                // its GB/s count as GiB/s; no start, no hops, whatever the number of ranks
};

struct CollectiveConstants {
  CollectiveRule rule = CollectiveRule::Fitted;
  double start_low = 12e-6, start_bulk = 40e-6;  // seconds
  double hop = 1.5e-6;
  double share_low = .25, share_bulk = .72;  // of the link's nominal bandwidth
  double send_start = 5e-6, send_share = .78;
  double direct_start = 5e-6, direct_barrier = 2e-6, direct_share = .7;
  double direct_most = 8.0 * 1024 * 1024;  // bytes
  std::vector<LinkCalibration> links;      // of switched links
};

struct CollectiveCost {
  Seconds time;
  double low = .7, high = 1.5;  // the 90 % band as factors on `time`
  Bytes wire;                   // of one rank, one way
  const char* algorithm = "";
};

class CollectiveModel {
 public:
  CollectiveModel() = default;
  explicit CollectiveModel(const CollectiveConstants& constants) : constants_(constants) {}
  static CollectiveModel shipped();        // data/weights/collectives.json
  static CollectiveModel ideal();          // nominal bandwidth, no starts: a bound
  static CollectiveModel share_of_link();  // CollectiveRule::ShareOfLink
  static CollectiveModel from_json(std::string text, const std::string& file);  // throws InputError
  std::string to_json() const;

  // `direct`: the engine's own kernels may be used. The level's latency, where it is known, is added to every
  // hop.
  CollectiveCost price(Collective kind, double bytes, int ranks, const hardware::LinkLevel& level,
                       bool direct) const;
  // The first `ranks` of a cluster, innermost level first.
  CollectiveCost price(Collective kind, double bytes, int ranks, const hardware::Cluster& cluster,
                       bool direct) const;
  const CollectiveConstants& constants() const { return constants_; }

 private:
  CollectiveConstants constants_;
};

Collective collective_of(graph::OperatorKind kind);  // of the link kinds; AllReduce for others

}  // namespace orrery::cost

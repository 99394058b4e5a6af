#include "orrery/cost/collective_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/cost/weights.h"

namespace orrery::cost {

namespace {

constexpr double kSameLink = .02;

// Bytes that cross one rank's port, one way, over the tensor's bytes.
double wire_share(Collective kind, double n) {
  if (kind == Collective::AllReduce) return 2 * (n - 1) / n;
  if (kind == Collective::SendReceive) return 1;
  return (n - 1) / n;
}

// What one rank gets of the level: a bus is shared by all, a pair's wire carries 1 / (n−1) of an all-to-all
// exchange.
double rank_bandwidth(const hardware::LinkLevel& level, Collective kind, double n) {
  double bandwidth = std::max(level.per_device.value(), 1.);
  if (level.sharing == hardware::Sharing::Bus && kind != Collective::SendReceive)
    return bandwidth / std::max(1., n / 2);
  return bandwidth;
}

// The bytes on the wire, at what the level gives one rank.
double wire_time(double wire, double bandwidth, const hardware::LinkLevel& level) {
  double burst = level.burst.value();
  if (burst <= 0 || wire <= burst || level.sustained.value() <= 0) return wire / bandwidth;
  return burst / bandwidth + (wire - burst) / (bandwidth * (level.sustained / level.per_device));
}

struct Field {
  const char* name;
  double CollectiveConstants::*value;
  double unit;
};
constexpr Field kFields[] = {
    {"start_low_us", &CollectiveConstants::start_low, 1e-6},
    {"start_bulk_us", &CollectiveConstants::start_bulk, 1e-6},
    {"hop_us", &CollectiveConstants::hop, 1e-6},
    {"share_low", &CollectiveConstants::share_low, 1},
    {"share_bulk", &CollectiveConstants::share_bulk, 1},
    {"send_start_us", &CollectiveConstants::send_start, 1e-6},
    {"send_share", &CollectiveConstants::send_share, 1},
    {"direct_start_us", &CollectiveConstants::direct_start, 1e-6},
    {"direct_barrier_us", &CollectiveConstants::direct_barrier, 1e-6},
    {"direct_share", &CollectiveConstants::direct_share, 1},
    {"direct_most_bytes", &CollectiveConstants::direct_most, 1},
};

// The authors' figures: 0.72 of half the link's total bandwidth, and three times the bytes for an all-reduce,
// which they wrote down for four GPUs.
constexpr double kNeusightShare = .72, kNeusightVolume = 3, kGibi = 1073741824;

CollectiveCost share_of_link(Collective kind, double bytes, const hardware::LinkLevel& level) {
  CollectiveCost cost;
  double volume = kind == Collective::SendReceive ? 1 : kNeusightVolume;
  cost.wire = Bytes(volume * bytes);
  cost.time = Seconds(volume * bytes / (kNeusightShare * level.per_device.value() / 1e9 * kGibi));
  cost.algorithm = "share of the link";
  return cost;
}

}  // namespace

CollectiveModel CollectiveModel::ideal() {
  CollectiveConstants c;
  c.start_low = c.start_bulk = c.hop = c.send_start = c.direct_start = c.direct_barrier = 0;
  c.share_low = c.share_bulk = c.send_share = c.direct_share = 1;
  return CollectiveModel(c);
}

CollectiveModel CollectiveModel::share_of_link() {
  CollectiveConstants c;
  c.rule = CollectiveRule::ShareOfLink;
  return CollectiveModel(c);
}

CollectiveCost CollectiveModel::price(Collective kind, double bytes, int ranks,
                                      const hardware::LinkLevel& level, bool direct) const {
  CollectiveCost cost;
  if (ranks <= 1 || bytes <= 0) return cost;
  const CollectiveConstants& c = constants_;
  if (c.rule == CollectiveRule::ShareOfLink) return cost::share_of_link(kind, bytes, level);
  double n = ranks, wire = wire_share(kind, n) * bytes, bandwidth = rank_bandwidth(level, kind, n);
  cost.wire = Bytes(wire);
  double latency = level.latency.value();
  if (level.sharing == hardware::Sharing::Port && kind != Collective::SendReceive) {
    for (const LinkCalibration& link : c.links) {
      if (std::abs(link.nominal / level.per_device.value() - 1) > kSameLink) continue;
      bandwidth *= link.factor;
      latency = std::max(latency, link.latency);
      cost.low = .75;
      cost.high = 1.35;
    }
  }
  double hop = c.hop + latency;
  if (kind == Collective::SendReceive) {
    cost.time = Seconds(c.send_start + latency + wire_time(wire, c.send_share * bandwidth, level));
    cost.algorithm = "send";
    return cost;
  }
  double passes = kind == Collective::AllReduce ? 2 : 1;
  double ring = n - 1, tree = 2 * std::ceil(std::log2(n));
  double hops = passes * std::min(ring, tree);
  double low = c.start_low + hops * hop + wire_time(wire, c.share_low * bandwidth, level);
  double bulk = c.start_bulk + hops * hop + wire_time(wire, c.share_bulk * bandwidth, level);
  double best = std::min(low, bulk);
  if (tree < ring) {
    cost.algorithm = low < bulk ? "tree, low latency" : "tree";
  } else {
    cost.algorithm = low < bulk ? "ring, low latency" : "ring";
  }
  if (direct && kind == Collective::AllReduce && bytes <= c.direct_most &&
      level.sharing == hardware::Sharing::Port) {
    double one = c.direct_start + latency + (n - 1) * bytes / (c.direct_share * bandwidth);
    double two = c.direct_start + c.direct_barrier + 2 * latency + wire / (c.direct_share * bandwidth);
    if (std::min(one, two) < best) {
      best = std::min(one, two);
      cost.algorithm = one < two ? "one shot" : "two shots";
    }
  }
  cost.time = Seconds(best);
  return cost;
}

CollectiveCost CollectiveModel::price(Collective kind, double bytes, int ranks,
                                      const hardware::Cluster& cluster, bool direct) const {
  CollectiveCost total;
  total.algorithm = "none";
  if (ranks <= 1 || cluster.levels.empty()) return total;
  if (kind == Collective::SendReceive) {
    size_t level = static_cast<size_t>(cluster.level_between(0, ranks - 1));
    return price(kind, bytes, 2, cluster.levels[std::min(level, cluster.levels.size() - 1)], direct);
  }
  int left = ranks;
  double part = bytes, time = 0, wire = 0;
  for (size_t i = 0; i < cluster.levels.size() && left > 1; ++i) {
    const hardware::LinkLevel& level = cluster.levels[i];
    bool last = i + 1 == cluster.levels.size() || left <= level.fanout;
    int here = last ? left : std::max(1, level.fanout);
    left = last ? 1 : (left + here - 1) / here;
    if (here <= 1) continue;
    CollectiveCost cost;
    if (last || kind != Collective::AllReduce) {
      cost = price(kind, part, here, level, direct && i == 0);
    } else {
      // Reduce-scatter on the way out, all-gather on the way back.
      cost = price(Collective::ReduceScatter, part, here, level, false);
      cost.time *= 2;
      cost.wire *= 2;
      part /= here;
    }
    time += cost.time.value();
    wire += cost.wire.value();
    total.algorithm = i == 0 && last ? cost.algorithm : "levels";
  }
  total.time = Seconds(time);
  total.wire = Bytes(wire);
  return total;
}

std::string CollectiveModel::to_json() const {
  nlohmann::ordered_json j;
  j["format"] = "orrery collective weights";
  j["version"] = 1;
  for (const Field& f : kFields) j[f.name] = rounded(constants_.*f.value / f.unit);
  for (const LinkCalibration& link : constants_.links)
    j["links"].push_back({{"nominal_gb_s", rounded(link.nominal / 1e9)},
                          {"factor", rounded(link.factor)},
                          {"latency_us", rounded(link.latency * 1e6)}});
  return j.dump(1) + "\n";
}

CollectiveModel CollectiveModel::from_json(std::string text, const std::string& file) {
  Node root = parse_json(std::move(text), file);
  if (root.at("format").as_string() != "orrery collective weights")
    root.at("format").fail("expected \"orrery collective weights\"");
  root.at("version").as_integer(1, 1);
  CollectiveConstants c;
  for (const Field& f : kFields) c.*f.value = root.at(f.name).as_number(1e-3, 1e12) * f.unit;
  if (const Node* links = root.find("links")) {
    for (const Node& link : links->items())
      c.links.push_back({link.at("nominal_gb_s").as_number(1e-3, 1e6) * 1e9,
                         link.at("factor").as_number(.05, 20),
                         link.at("latency_us").as_number(0, 1e4) * 1e-6});
  }
  return CollectiveModel(c);
}

CollectiveModel CollectiveModel::shipped() {
  std::string path = data_folder() + "/weights/collectives.json";
  return from_json(read_file(path), path);
}

Collective collective_of(graph::OperatorKind kind) {
  switch (kind) {
    case graph::OperatorKind::AllGather:
      return Collective::AllGather;
    case graph::OperatorKind::ReduceScatter:
      return Collective::ReduceScatter;
    case graph::OperatorKind::AllToAll:
      return Collective::AllToAll;
    case graph::OperatorKind::SendReceive:
      return Collective::SendReceive;
    default:
      return Collective::AllReduce;
  }
}

}  // namespace orrery::cost

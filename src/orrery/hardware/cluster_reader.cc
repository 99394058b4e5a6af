#include "orrery/hardware/cluster_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::hardware {
namespace {

constexpr int kMostRanks = 1 << 16;
constexpr std::array<std::string_view, 3> kSharing = {"port", "pair", "bus"};  // in the order of Sharing

LinkLevel read_level(const Node& node) {
  node.allow_only({"name", "fanout", "per_device", "latency", "sharing", "burst", "sustained"});
  LinkLevel level;
  level.name = node.at("name").text();
  level.fanout = static_cast<int>(node.at("fanout").as_integer(1, kMostRanks));
  level.per_device = BytesPerSecond(node.at("per_device").as_quantity(Unit::BytesPerSecond));
  if (!(level.per_device.value() > 0)) node.at("per_device").fail("a link's bandwidth must be above zero");
  if (node.find("burst") || node.find("sustained")) {
    level.burst = Bytes(node.at("burst").as_quantity(Unit::Bytes));
    level.sustained = BytesPerSecond(node.at("sustained").as_quantity(Unit::BytesPerSecond));
    if (!(level.sustained.value() > 0)) node.at("sustained").fail("a link's bandwidth must be above zero");
  }
  if (const Node* latency = node.find("latency")) {
    level.latency = Seconds(latency->as_quantity(Unit::Seconds));
    if (level.latency.value() < 0) latency->fail("a latency cannot be negative");
  }
  if (const Node* sharing = node.find("sharing")) {
    auto found = std::find(kSharing.begin(), kSharing.end(), sharing->as_string());
    if (found == kSharing.end()) {
      sharing->fail(fmt::format("unknown sharing '{}'{}", printable(sharing->text()),
                                did_you_mean(sharing->text(), kSharing)));
    }
    level.sharing = static_cast<Sharing>(found - kSharing.begin());
  }
  return level;
}

}  // namespace

Cluster read_cluster(const Node& root, const Catalogue& catalogue) {
  root.allow_only({"name", "devices", "levels", "sources"});
  Cluster cluster;
  cluster.name = root.at("name").text();
  const Node& devices = root.at("devices");
  for (const Node& row : devices.items()) {
    row.allow_only({"device", "count"});
    const Node& device = row.at("device");
    int64_t count = row.at("count").as_integer(1, kMostRanks);
    if (cluster.kind_of_rank.size() + static_cast<size_t>(count) > kMostRanks) {
      row.at("count").fail(fmt::format("a cluster has at most {} devices", kMostRanks));
    }
    try {
      cluster.kinds.push_back(catalogue.device(device.text()));
    } catch (const InputError& wrong) {
      if (wrong.place().line > 0) throw;  // inside the device's own file
      device.fail(wrong.what());
    }
    cluster.kind_of_rank.insert(cluster.kind_of_rank.end(), static_cast<size_t>(count),
                                static_cast<uint16_t>(cluster.kinds.size() - 1));
  }
  const Node& levels = root.at("levels");
  int64_t product = 1;
  for (const Node& node : levels.items()) {
    cluster.levels.push_back(read_level(node));
    product *= cluster.levels.back().fanout;
    if (product > kMostRanks)
      node.at("fanout").fail(fmt::format("the levels join more than {} devices", kMostRanks));
  }
  if (product != cluster.ranks()) {
    levels.fail(
        fmt::format("the fan-outs join {} devices, but 'devices' counts {}", product, cluster.ranks()));
  }
  return cluster;
}

Cluster find_cluster(std::string_view name_or_path, const Catalogue& catalogue) {
  std::string text(name_or_path);
  bool own = text.find('/') != std::string::npos || text.ends_with(".yaml") || text.ends_with(".yml");
  if (own) return read_cluster(read_document(text), catalogue);
  std::string folder = data_folder() + "/clusters";
  std::string path = folder + "/" + lower_case(text) + ".yaml";
  if (file_exists(path)) return read_cluster(read_document(path), catalogue);
  std::vector<std::string> known;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored))
    known.push_back(file.path().stem().string());
  throw InputError(fmt::format("unknown cluster '{}'{}", printable(text), did_you_mean(text, known)));
}

}  // namespace orrery::hardware

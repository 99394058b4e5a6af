#include "orrery/trace/twitter_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"

namespace orrery::trace {

std::vector<TwitterCluster> twitter_clusters() {
  const CsvTable table = read_csv(data_folder() + "/traces/twitter-clusters.csv");
  const auto share = [&](size_t row, const char* column) {
    const double value = table.number(row, table.at(column));
    if (!(value >= 0 && value <= 1)) table.fail(row, table.at(column), "a share outside 0 to 1");
    return value;
  };
  std::vector<TwitterCluster> clusters;
  for (size_t row = 0; row < table.rows(); ++row) {
    clusters.push_back({.cluster = static_cast<int>(table.integer(row, table.at("cluster"), 1, 1000)),
                        .key_bytes = static_cast<int>(table.integer(row, table.at("key_bytes"), 1, 250)),
                        .get = share(row, "get"),
                        .set = share(row, "set"),
                        .zipf_alpha = table.number(row, table.at("zipf_alpha")),
                        .one_hit_objects = share(row, "one_hit_objects"),
                        .first_requests = share(row, "first_requests")});
  }
  return clusters;
}

TwitterCluster find_twitter_cluster(int cluster) {
  std::string known;
  for (const TwitterCluster& row : twitter_clusters()) {
    if (row.cluster == cluster) return row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.cluster);
  }
  throw InputError(fmt::format("Twitter cluster {} is not known; expected one of {}", cluster, known));
}

TwitterStream::TwitterStream(const TwitterCluster& cluster, uint64_t requests, Seed seed)
    : cluster_(cluster),
      seed_(seed),
      one_timer_(cluster.one_hit_objects * cluster.first_requests),
      random_(seed.derive(0)),
      zipf_(cluster.zipf_alpha) {
  const double objects = cluster.first_requests * static_cast<double>(requests);
  const double returning = std::ceil((1 - cluster.one_hit_objects) * objects);
  set_before_.resize(std::max<uint64_t>(1, static_cast<uint64_t>(returning)));
  zipf_.resize(set_before_.size());
  next_one_timer_ = set_before_.size();
}

Operation TwitterStream::next() {
  const bool one_timer = random_.uniform() < one_timer_;
  const bool set = random_.uniform() * (cluster_.get + cluster_.set) < cluster_.set;
  Operation operation;
  operation.key = one_timer ? next_one_timer_++ : zipf_(random_);
  if (!set) return operation;
  const bool is_new = one_timer || !set_before_[operation.key];
  if (!one_timer) set_before_[operation.key] = true;
  operation.kind = is_new ? OperationKind::Insert : OperationKind::Update;
  return operation;
}

std::string TwitterStream::key(uint64_t object) const {
  const auto length = static_cast<size_t>(cluster_.key_bytes);
  // The identifier alone tells objects apart, so it comes whole: 16 hex digits of an invertible mix.
  std::string id = fmt::format("{:016x}", Seed::mix(object + seed_.derive(1).value));
  if (length <= 16) return id;
  const uint64_t owner = Seed::mix(object / 4 + seed_.derive(2).value) % 100'000'000;
  std::string front = fmt::format("c{}:user:{:08}:", cluster_.cluster, owner);
  front.resize(length - 16, 'o');
  return front + id;
}

}  // namespace orrery::trace

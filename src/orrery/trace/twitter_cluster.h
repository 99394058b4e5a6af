// Requests with the published statistics of Twitter's cache clusters (data/traces/twitter-clusters.csv). The
// traces are not public in a size that can be carried: everything made here is synthetic and says so.
//
// The model: of N requests, first_requests · N ask for an object that was never asked for before, and the
// share one_hit_objects of all objects is never asked for again. So a request is a one-timer with probability
// one_hit_objects · first_requests; otherwise it goes to a pool of the (1 - one_hit_objects) · first_requests
// · N objects that come back, by Zipf's law with the published skew. Where few requests come
// to an object of the pool, some of it is asked for once or never by chance: cluster 37 has 25 % one-hit
// objects here against 15 % published.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/trace/ycsb.h"

namespace orrery::trace {

struct TwitterCluster {
  int cluster = 0;
  int key_bytes = 0;  // mean
  double get = 0, set = 0, zipf_alpha = 0, one_hit_objects = 0, first_requests = 0;
};

// All clusters of the file shipped with Orrery; throws InputError for a malformed one.
std::vector<TwitterCluster> twitter_clusters();
TwitterCluster find_twitter_cluster(int cluster);  // throws InputError naming those that are known

class TwitterStream {
 public:
  TwitterStream(const TwitterCluster& cluster, uint64_t requests, Seed seed);
  // Read for a get; a set is an Insert where its object was never set before, else an Update. A get may ask
  // for an object that is not there. `key` numbers objects: below pool_size() those that come back.
  Operation next();
  uint64_t pool_size() const { return set_before_.size(); }
  // The bytes of object i: key_bytes long, a name space, an owner of several objects and an identifier.
  std::string key(uint64_t object) const;

 private:
  TwitterCluster cluster_;
  Seed seed_;
  double one_timer_ = 0;
  uint64_t next_one_timer_;
  std::vector<bool> set_before_;
  Random random_;
  Zipf zipf_;
};

}  // namespace orrery::trace

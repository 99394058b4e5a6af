// Single gets and inserts while the index grows by a quarter: models retrain, groups split, tables grow.
#include <algorithm>
#include <cstdio>

#include "bench/keyindex/workload.h"

namespace orrery::bench {
namespace {

void print(const char* what, const std::string& name, std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))] * 1e9;
  };
  std::printf("%-12s %-14s p50 %7.0f  p99 %7.0f  p99.9 %7.0f  most %9.0f ns\n", what, name.c_str(), at(.5),
              at(.99), at(.999), at(1));
}

}  // namespace

void compare_latencies(const Workload& workload, const Settings& settings, Random& random) {
  const Arena inserted(workload.to_insert),
      read(draw(workload.to_load, inserted.keys.size(), Popularity::Uniform, random));
  std::vector<double> clock;
  for (int i = 0; i < 100'000; ++i) {
    const double begin = now();
    clock.push_back(now() - begin);
  }
  print("the clock", "", clock);
  for (const std::string& name : settings.against) {
    const std::unique_ptr<Contestant> index = make_contestant(name);
    index->load(workload.to_load, workload.values);
    const Keys& keys = index->keeps_keys() ? inserted.keys : workload.to_insert;
    std::vector<double> inserts, gets;
    uint64_t sum = 0;
    const uint64_t value = 3;
    for (size_t i = 0; i < keys.size(); ++i) {
      const double begin = now();
      index->insert(&keys[i], &value, 1);
      const double middle = now();
      sum += index->get(&read.keys[i], 1);
      inserts.push_back(middle - begin);
      gets.push_back(now() - middle);
    }
    print("insert", name, inserts);
    print("get", name, gets);
    if (sum == 0) std::printf("NOTHING FOUND: %s\n", name.c_str());
  }
}

}  // namespace orrery::bench

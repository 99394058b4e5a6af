// Every operation in interleaved slices, the same keys for all, results compared.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/keyindex/workload.h"

namespace orrery::bench {
namespace {

enum Kind { Uniform, Zipf, Batch, Scan, Insert, Mixed };
constexpr const char* kNames[] = {"uniform get", "zipf get", "batch 16", "scan-50", "insert", "half put"};

// Median and 95 % interval (Student's t of the logarithms) of base / mine over the slices.
void print_ratio(const char* what, const std::string& name, const std::vector<double>& base,
                 const std::vector<double>& mine, double operations) {
  std::vector<double> ratio, logs;
  double mean = 0, total = 0, total_base = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    ratio.push_back(base[i] / mine[i]);
    logs.push_back(std::log(ratio.back()));
    mean += logs.back();
    total += mine[i];
    total_base += base[i];
  }
  mean /= static_cast<double>(logs.size());
  double variance = 0;
  for (double x : logs) variance += (x - mean) * (x - mean);
  const auto n = static_cast<double>(logs.size());
  constexpr double kStudent = 2.447;  // 97.5 % of t with six degrees of freedom: seven slices
  const double half = n > 1 ? kStudent * std::sqrt(variance / (n - 1) / n) : 0;
  std::sort(ratio.begin(), ratio.end());
  std::printf("%-12s %-14s x%6.2f  [%5.2f, %5.2f]  lowest %5.2f  total x%5.2f  %8.1f ns\n", what,
              name.c_str(), ratio[ratio.size() / 2], std::exp(mean - half), std::exp(mean + half),
              ratio.front(), total_base / total, total / (operations * n) * 1e9);
}

// One slice of operations on one index; returns what the reads sum to.
uint64_t work(Contestant& index, Kind kind, const Keys& keys, const Keys& for_good,
              const std::vector<uint64_t>& fresh) {
  const size_t count = keys.size();
  switch (kind) {
    case Uniform:
    case Zipf:
      return index.get(keys.data(), count);
    case Batch:
      return index.get_batch(keys.data(), count);
    case Scan:
      return index.can_scan() ? index.scan(keys.data(), count, 50) : 0;
    case Insert:
      // Those who do not keep keys get them where they lie for good.
      index.insert(index.keeps_keys() ? keys.data() : for_good.data(), fresh.data(), count);
      return 0;
    case Mixed: {  // YCSB's A: a read, a new value, in turn; the keys are there
      uint64_t sum = 0;
      for (size_t i = 0; i + 2 <= count; i += 2) {
        sum += index.get(&keys[i], 1);
        index.put(&keys[i + 1], &fresh[i], 1);
      }
      return sum;
    }
  }
  return 0;
}

}  // namespace

void compare_rates(const Workload& workload, const Settings& settings, Random& random) {
  std::vector<std::unique_ptr<Contestant>> contestants;
  for (const std::string& name : settings.against) contestants.push_back(make_contestant(name));
  for (auto& contestant : contestants) {
    const double begin = now();
    contestant->load(workload.to_load, workload.values);
    std::printf("%-14s loads %zu keys in %.2f s\n", contestant->name().c_str(), workload.to_load.size(),
                now() - begin);
  }
  for (Kind kind : {Uniform, Zipf, Batch, Scan, Insert, Mixed}) {
    std::vector<std::vector<double>> seconds(contestants.size());
    const size_t count = kind == Scan     ? settings.operations / 10
                         : kind == Insert ? workload.to_insert.size() / settings.slices
                                          : settings.operations;
    for (size_t slice = 0; slice < settings.slices; ++slice) {
      const auto first = workload.to_insert.begin() + static_cast<std::ptrdiff_t>(slice * count);
      const Keys for_good = kind == Insert ? Keys(first, first + static_cast<std::ptrdiff_t>(count)) : Keys();
      const Popularity popularity = kind == Zipf || kind == Mixed ? Popularity::Zipf : Popularity::Uniform;
      const Arena buffer(kind == Insert ? for_good : draw(workload.to_load, count, popularity, random));
      std::vector<uint64_t> sums(contestants.size()), fresh(count, slice);
      for (size_t turn = 0; turn < contestants.size(); ++turn) {
        const size_t c = (turn + slice) % contestants.size();
        const double begin = now();
        sums[c] = work(*contestants[c], kind, buffer.keys, for_good, fresh);
        seconds[c].push_back(now() - begin);
      }
      for (size_t c = 1; c < contestants.size(); ++c)
        if (sums[c] != sums[0] && contestants[c]->can_scan())
          std::printf("DIFFERENT RESULT: %s %s\n", kNames[kind], contestants[c]->name().c_str());
    }
    for (size_t c = 0; c < contestants.size(); ++c)
      if (kind != Scan || contestants[c]->can_scan())
        print_ratio(kNames[kind], contestants[c]->name(), seconds[0], seconds[c], static_cast<double>(count));
  }
}

}  // namespace orrery::bench

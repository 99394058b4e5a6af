// Every operation in interleaved slices, the same keys for all, results compared. Inserts change what they
// are timed on: the first fill the room that loading left, later ones split. So all of them make one pair, on
// indexes loaded anew for each, and of their slices only the lowest ratio is told.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/keyindex/workload.h"

namespace orrery::bench {
namespace {

enum Kind { Uniform, Zipf, Batch, Scan, Insert, Mixed };
constexpr const char* kNames[] = {"uniform get", "zipf get", "batch 16", "scan-50", "insert", "half put"};

// Median and 95 % interval (Student's t of the logarithms) of base / mine over the pairs. `lowest`: 0, or the
// lowest ratio of a part of a pair.
void print_ratio(const char* what, const std::string& name, const std::vector<double>& base,
                 const std::vector<double>& mine, double operations, double lowest = 0) {
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
  constexpr double kStudent = 2.447;  // 97.5 % of t with six degrees of freedom: seven pairs
  const double half = n > 1 ? kStudent * std::sqrt(variance / (n - 1) / n) : 0;
  std::sort(ratio.begin(), ratio.end());
  std::printf("%-12s %-14s x%6.2f  [%5.2f, %5.2f]  lowest %5.2f  total x%5.2f  %8.1f ns\n", what,
              name.c_str(), ratio[ratio.size() / 2], std::exp(mean - half), std::exp(mean + half),
              lowest > 0 ? lowest : ratio.front(), total_base / total, total / (operations * n) * 1e9);
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

using Contestants = std::vector<std::unique_ptr<Contestant>>;

Contestants load_all(const Workload& workload, const Settings& settings, bool tell) {
  Contestants contestants;
  for (const std::string& name : settings.against) contestants.push_back(make_contestant(name));
  for (auto& contestant : contestants) {
    const double begin = now();
    contestant->load(workload.to_load, workload.values);
    if (tell)
      std::printf("%-14s loads %zu keys in %.2f s\n", contestant->name().c_str(), workload.to_load.size(),
                  now() - begin);
  }
  return contestants;
}

// One slice of one kind on each in turn, `first` first; their seconds.
std::vector<double> one_slice(Contestants& contestants, Kind kind, const Keys& keys, const Keys& for_good,
                              size_t first) {
  std::vector<double> seconds(contestants.size());
  std::vector<uint64_t> sums(contestants.size()), fresh(keys.size(), first);
  for (size_t turn = 0; turn < contestants.size(); ++turn) {
    const size_t c = (turn + first) % contestants.size();
    const double begin = now();
    sums[c] = work(*contestants[c], kind, keys, for_good, fresh);
    seconds[c] = now() - begin;
  }
  for (size_t c = 1; c < contestants.size(); ++c)
    if (sums[c] != sums[0] && contestants[c]->can_scan())
      std::printf("DIFFERENT RESULT: %s %s\n", kNames[kind], contestants[c]->name().c_str());
  return seconds;
}

// Leaves indexes that hold all keys.
void compare_inserts(Contestants& contestants, const Workload& workload, const Settings& settings) {
  std::vector<std::vector<double>> seconds(contestants.size());  // of a pair
  std::vector<double> lowest(contestants.size(), HUGE_VAL);
  const size_t count = workload.to_insert.size() / settings.slices;
  for (size_t pair = 0; pair < settings.slices; ++pair) {
    if (pair > 0) {
      contestants.clear();
      contestants = load_all(workload, settings, false);
    }
    for (auto& all : seconds) all.push_back(0);
    for (size_t slice = 0; slice < settings.slices; ++slice) {
      const auto first = workload.to_insert.begin() + static_cast<std::ptrdiff_t>(slice * count);
      const Keys for_good(first, first + static_cast<std::ptrdiff_t>(count));
      const Arena buffer(for_good);
      const std::vector<double> taken = one_slice(contestants, Insert, buffer.keys, for_good, pair + slice);
      for (size_t c = 0; c < contestants.size(); ++c) {
        seconds[c].back() += taken[c];
        lowest[c] = std::min(lowest[c], taken[0] / taken[c]);
      }
    }
  }
  for (size_t c = 0; c < contestants.size(); ++c)
    print_ratio(kNames[Insert], contestants[c]->name(), seconds[0], seconds[c],
                static_cast<double>(count * settings.slices), lowest[c]);
}

}  // namespace

void compare_rates(const Workload& workload, const Settings& settings, Random& random) {
  Contestants contestants = load_all(workload, settings, true);
  for (Kind kind : {Uniform, Zipf, Batch, Scan, Insert, Mixed}) {
    if (kind == Insert) {
      compare_inserts(contestants, workload, settings);
      continue;
    }
    std::vector<std::vector<double>> seconds(contestants.size());
    const size_t count = kind == Scan ? settings.operations / 10 : settings.operations;
    for (size_t slice = 0; slice < settings.slices; ++slice) {
      const Popularity popularity = kind == Zipf || kind == Mixed ? Popularity::Zipf : Popularity::Uniform;
      const Arena buffer(draw(workload.to_load, count, popularity, random));
      const std::vector<double> taken = one_slice(contestants, kind, buffer.keys, {}, slice);
      for (size_t c = 0; c < contestants.size(); ++c) seconds[c].push_back(taken[c]);
    }
    for (size_t c = 0; c < contestants.size(); ++c)
      if (kind != Scan || contestants[c]->can_scan())
        print_ratio(kNames[kind], contestants[c]->name(), seconds[0], seconds[c], static_cast<double>(count));
  }
}

}  // namespace orrery::bench

// Side-by-side benchmark of string indexes: every operation in interleaved slices, the same keys for all,
// results compared. See docs/keyindex.md.
//   bench_keyindex KEYS.txt [--against btree,btree-string,...] [--limit N] [--slices 7] [--operations 200000]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "bench/keyindex/contestant.h"
#include "orrery/base/random.h"

using namespace orrery;
using namespace orrery::bench;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keys copied one after the other into memory of their own, in the order given.
struct Arena {
  std::string bytes;
  Keys keys;
  void fill(const Keys& from) {
    size_t total = 0;
    for (auto key : from) total += key.size();
    bytes.reserve(total);
    keys.reserve(from.size());
    for (auto key : from) {
      keys.push_back({bytes.data() + bytes.size(), key.size()});
      bytes += key;
    }
  }
};

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.index(i)]);
}

struct Series {
  std::vector<double> seconds;
};

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
  double n = static_cast<double>(logs.size());
  double half = n > 1 ? 2.447 * std::sqrt(variance / (n - 1) / n) : 0;
  std::sort(ratio.begin(), ratio.end());
  std::printf("%-12s %-14s x%6.2f  [%5.2f, %5.2f]  lowest %5.2f  total x%5.2f  %8.1f ns\n", what,
              name.c_str(), ratio[ratio.size() / 2], std::exp(mean - half), std::exp(mean + half),
              ratio.front(), total_base / total, total / (operations * n) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  std::string file, against = "btree";
  size_t limit = SIZE_MAX, slices = 7, operations = 200000;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    if (a == "--against")
      against = argv[++i];
    else if (a == "--limit")
      limit = std::stoull(argv[++i]);
    else if (a == "--slices")
      slices = std::stoull(argv[++i]);
    else if (a == "--operations")
      operations = std::stoull(argv[++i]);
    else
      file = a;
  }
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  Keys all;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    all.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() > limit) {  // every n-th
    Keys some;
    for (size_t i = 0; i < limit; ++i) some.push_back(all[i * all.size() / limit]);
    all = some;
  }
  Random random(Seed{1});
  Keys shuffled = all;
  shuffle(shuffled, random);
  Arena arena;  // where the keys lie for those who do not keep them
  arena.fill(shuffled);
  size_t loaded = all.size() * 4 / 5;
  Keys to_load(arena.keys.begin(), arena.keys.begin() + static_cast<std::ptrdiff_t>(loaded));
  Keys to_insert(arena.keys.begin() + static_cast<std::ptrdiff_t>(loaded), arena.keys.end());
  std::sort(to_load.begin(), to_load.end());
  std::vector<uint64_t> values(to_load.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = i * 7 + 1;

  std::vector<std::unique_ptr<Contestant>> contestants;
  for (size_t at = 0; at < against.size();) {
    size_t end = std::min(against.find(',', at), against.size());
    contestants.push_back(make_contestant(against.substr(at, end - at)));
    at = end + 1;
  }
  contestants.push_back(make_contestant("ours"));
  contestants.push_back(make_contestant("ours-tree"));
  for (auto& c : contestants) {
    double begin = now();
    c->load(to_load, values);
    std::printf("%-14s loads %zu keys in %.2f s\n", c->name().c_str(), to_load.size(), now() - begin);
  }

  std::vector<double> cdf(to_load.size());
  double sum = 0;
  for (size_t i = 0; i < cdf.size(); ++i) cdf[i] = sum += std::pow(static_cast<double>(i + 1), -0.99);
  std::vector<size_t> rank_to_key(to_load.size());
  for (size_t i = 0; i < rank_to_key.size(); ++i) rank_to_key[i] = i;
  shuffle(rank_to_key, random);
  auto queries = [&](bool zipf, size_t count) {
    Keys keys;
    for (size_t i = 0; i < count; ++i) {
      size_t k = random.index(to_load.size());
      if (zipf)
        k = rank_to_key[static_cast<size_t>(std::lower_bound(cdf.begin(), cdf.end(), random.uniform() * sum) -
                                            cdf.begin()) %
                        cdf.size()];
      keys.push_back(to_load[k]);
    }
    return keys;
  };
  enum Kind { Uniform, Zipf, Batch, Scan, Insert };
  const char* names[] = {"uniform get", "zipf get", "batch 16", "scan-50", "insert"};
  for (int kind : {Uniform, Zipf, Batch, Scan, Insert}) {
    std::vector<std::vector<double>> seconds(contestants.size());
    size_t count = kind == Scan ? operations / 10 : kind == Insert ? to_insert.size() / slices : operations;
    for (size_t slice = 0; slice < slices; ++slice) {
      Arena buffer;
      buffer.fill(kind == Insert ? Keys(to_insert.begin() + static_cast<std::ptrdiff_t>(slice * count),
                                        to_insert.begin() + static_cast<std::ptrdiff_t>((slice + 1) * count))
                                 : queries(kind == Zipf, count));
      std::vector<uint64_t> sums(contestants.size());
      std::vector<uint64_t> fresh(count, slice);
      for (size_t turn = 0; turn < contestants.size(); ++turn) {
        size_t c = (turn + slice) % contestants.size();
        double begin = now();
        switch (kind) {
          case Uniform:
          case Zipf:
            sums[c] = contestants[c]->get(buffer.keys.data(), count);
            break;
          case Batch:
            sums[c] = contestants[c]->get_batch(buffer.keys.data(), count);
            break;
          case Scan:
            sums[c] = contestants[c]->can_scan() ? contestants[c]->scan(buffer.keys.data(), count, 50) : 0;
            break;
          // Those who do not keep keys get them where they lie for good.
          case Insert:
            contestants[c]->insert(
                contestants[c]->keeps_keys() ? buffer.keys.data() : to_insert.data() + slice * count,
                fresh.data(), count);
            break;
        }
        seconds[c].push_back(now() - begin);
      }
      for (size_t c = 1; c < contestants.size(); ++c)
        if (sums[c] != sums[0] && contestants[c]->can_scan())
          std::printf("DIFFERENT RESULT: %s %s\n", names[kind], contestants[c]->name().c_str());
    }
    for (size_t c = 0; c < contestants.size(); ++c)
      if (kind != Scan || contestants[c]->can_scan())
        print_ratio(names[kind], contestants[c]->name(), seconds[0], seconds[c], static_cast<double>(count));
  }
}

// One thread and two at once, on the indexes that allow it.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <thread>

#include "bench/keyindex/workload.h"

namespace orrery::bench {
namespace {

// Operations a second of all threads together; each does `operations`.
double rate(size_t threads, size_t operations, const std::function<void(size_t)>& one) {
  const double begin = now();
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t) running.emplace_back([&one, t] { one(t); });
  for (std::thread& thread : running) thread.join();
  return static_cast<double>(threads * operations) / (now() - begin);
}

void print(const char* what, const std::string& name, std::vector<double> one, std::vector<double> two) {
  const auto median = [](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                     values.end());
    return values[values.size() / 2];
  };
  std::vector<double> ratio;
  for (size_t i = 0; i < one.size(); ++i) ratio.push_back(two[i] / one[i]);
  std::printf("%-12s %-14s one thread %6.2f M/s  two %6.2f M/s  x %4.2f\n", what, name.c_str(),
              median(one) / 1e6, median(two) / 1e6, median(ratio));
}

}  // namespace

void compare_threads(const Workload& workload, const Settings& settings, Random& random) {
  for (const std::string& name : settings.against) {
    const std::unique_ptr<Contestant> index = make_contestant(name);
    if (!index->has_threads()) continue;
    index->load(workload.to_load, workload.values);
    const Arena reads[2] = {Arena(draw(workload.to_load, settings.operations, Popularity::Uniform, random)),
                            Arena(draw(workload.to_load, settings.operations, Popularity::Uniform, random))};
    const std::vector<uint64_t> values(settings.operations, 9);
    const auto get = [&](size_t t) { index->get(reads[t].keys.data(), settings.operations); };
    const auto put = [&](size_t t) { index->put(reads[t].keys.data(), values.data(), settings.operations); };
    for (const auto& [what, one] :
         {std::pair<const char*, std::function<void(size_t)>>{"uniform get", get}, {"put", put}}) {
      std::vector<double> single, both;
      for (size_t slice = 0; slice < settings.slices; ++slice) {
        single.push_back(rate(1, settings.operations, one));
        both.push_back(rate(2, settings.operations, one));
      }
      print(what, name, single, both);
    }
    // Slices of new keys, by one thread or dealt out to two.
    std::vector<double> single, both;
    const size_t count = workload.to_insert.size() / (2 * settings.slices) / 2 * 2;
    const Arena fresh(workload.to_insert);
    for (size_t slice = 0; slice < 2 * settings.slices; ++slice) {
      const std::string_view* keys = fresh.keys.data() + slice * count;
      const size_t threads = slice % 2 + 1, each = count / threads;
      const std::vector<uint64_t> marks(each, 1);
      (threads == 1 ? single : both).push_back(rate(threads, each, [&](size_t t) {
        index->insert(keys + t * each, marks.data(), each);
      }));
    }
    print("insert", name, single, both);
  }
}

}  // namespace orrery::bench

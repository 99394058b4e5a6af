// Side-by-side benchmark of string indexes; see docs/keyindex.md.
//   bench_keyindex KEYS.txt [--against btree,btree-string,...] [--parts rates,latencies,threads,memory]
//                  [--limit N] [--slices 7] [--operations 200000]
#include <cstdio>
#include <string>

#include "bench/keyindex/workload.h"

using namespace orrery;
using namespace orrery::bench;

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

int main(int argc, char** argv) {
  std::string file, against = "btree", parts = "rates";
  size_t limit = SIZE_MAX;
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--against")
      against = value();
    else if (argument == "--parts")
      parts = value();
    else if (argument == "--limit")
      limit = std::stoull(value());
    else if (argument == "--slices")
      settings.slices = std::stoull(value());
    else if (argument == "--operations")
      settings.operations = std::stoull(value());
    else
      file = argument;
  }
  std::string text;
  const Keys sorted = read_sorted_lines(file, limit, text);
  if (sorted.size() < 100) {
    std::fprintf(stderr, "bench_keyindex: %s: fewer than 100 keys\n", file.c_str());
    return 2;
  }
  settings.against = split(against);
  settings.against.insert(settings.against.end(), {"ours", "ours-tree"});
  Random random(Seed{1});
  const Workload workload(sorted, .8, random);
  for (const std::string& part : split(parts)) {
    if (part == "rates") compare_rates(workload, settings, random);
    if (part == "latencies") compare_latencies(workload, settings, random);
    if (part == "threads") compare_threads(workload, settings, random);
    if (part == "memory") compare_memory(sorted, settings);
  }
}

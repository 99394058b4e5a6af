// Bytes a key beyond the key's own, value included, each index in a process of its own: what the allocator
// gave out, or the index says that it holds, and what is resident.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "bench/keyindex/workload.h"

namespace orrery::bench {
namespace {

double resident() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}
double allocated() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

struct Start {
  double resident, allocated;
};

void print(const char* when, const Contestant& index, const Start& start, size_t keys, double key_bytes) {
  const double own = index.keeps_keys() ? key_bytes : 0, each = 1 / static_cast<double>(keys);
  const double held = index.bytes() > 0 ? index.bytes() : allocated() - start.allocated;
  std::printf("%-22s %-14s %6.1f B a key held, %6.1f resident\n", when, index.name().c_str(),
              (held - own) * each, (resident() - start.resident - own) * each);
}

// Two thirds are loaded, the others inserted, then every fifth key leaves.
void churn(const std::string& name, const Workload& workload) {
  Keys every_fifth;
  double loaded_bytes = 0, left_bytes = 0;
  for (std::string_view key : workload.to_load) loaded_bytes += static_cast<double>(key.size());
  for (size_t i = 0; i < workload.arena.keys.size(); ++i) {
    const std::string_view key = workload.arena.keys[i];
    if (i % 5 == 0)
      every_fifth.push_back(key);
    else
      left_bytes += static_cast<double>(key.size());
  }
  const std::vector<uint64_t> values(workload.to_insert.size(), 1);
  malloc_trim(0);
  const Start start{resident(), allocated()};
  const std::unique_ptr<Contestant> index = make_contestant(name);
  index->load(workload.to_load, workload.values);
  print("after load", *index, start, workload.to_load.size(), loaded_bytes);
  index->insert(workload.to_insert.data(), values.data(), values.size());
  index->remove(every_fifth.data(), every_fifth.size());
  malloc_trim(0);
  print("+50 %, then -20 %", *index, start, workload.arena.keys.size() - every_fifth.size(), left_bytes);
}

}  // namespace

void compare_memory(const Keys& sorted, const Settings& settings) {
  Random random(Seed{2});
  const Workload workload(sorted, 2. / 3, random);
  for (const std::string& name : settings.against) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      churn(name, workload);
      std::fflush(stdout);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) std::printf("FAILED: %s\n", name.c_str());
  }
}

}  // namespace orrery::bench

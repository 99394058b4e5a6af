// What all parts of the benchmark work on: the keys of a file, four fifths to load, the rest to insert.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/keyindex/contestant.h"
#include "orrery/base/random.h"

namespace orrery::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keys copied one after the other into memory of their own, in the order given.
class Arena {
 public:
  Arena() = default;
  explicit Arena(const Keys& from);
  Keys keys;

 private:
  std::string bytes_;
};

struct Workload {
  Arena arena;                   // where the keys lie, shuffled, for those who do not keep them
  Keys to_load;                  // sorted
  Keys to_insert;                // shuffled
  std::vector<uint64_t> values;  // of to_load
  // `limit` keys of the file at most, evenly spread; `share` of them to load.
  Workload(const Keys& sorted, double share, Random& random);
};

// The distinct lines of a file, sorted; `text` holds their bytes. At most `limit`, evenly spread.
Keys read_sorted_lines(const std::string& file, size_t limit, std::string& text);

enum class Popularity { Uniform, Zipf };
// Keys of `from`; Zipf: skew .99, the popular ones anywhere.
Keys draw(const Keys& from, size_t count, Popularity popularity, Random& random);

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.index(i)]);
}

// The parts; each prints a table.
struct Settings {
  std::vector<std::string> against;  // the first is the unit
  size_t slices = 7, operations = 200'000;
};
void compare_rates(const Workload&, const Settings&, Random&);  // interleaved slices, ratios to the unit
void compare_latencies(const Workload&, const Settings&,
                       Random&);                                  // of single gets and inserts while it grows
void compare_threads(const Workload&, const Settings&, Random&);  // one thread and two
void compare_memory(const Keys& sorted, const Settings&);         // after load, and after keys came and went

}  // namespace orrery::bench

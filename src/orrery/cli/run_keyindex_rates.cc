#include <algorithm>
#include <chrono>
#include <ostream>

#include "orrery/base/error.h"
#include "orrery/cli/run_keyindex.h"
#include "orrery/keyindex/key_file.h"
#include "orrery/keyindex/string_index.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"

namespace orrery::cli {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.index(i)]);
}

// Latency of single operations; the clock's own part (20 to 30 ns) is in it.
struct Latencies {
  std::vector<float> nanoseconds;
  double at(double share) {
    auto nth = nanoseconds.begin() +
               static_cast<std::ptrdiff_t>(share * static_cast<double>(nanoseconds.size() - 1));
    std::nth_element(nanoseconds.begin(), nth, nanoseconds.end());
    return static_cast<double>(*nth);
  }
};

}  // namespace

int bench_key_index(const KeyIndexOptions& options, const Common& common) {
  keyindex::KeyFile file = keyindex::read_key_file(options.keys, options.null_separated);
  std::vector<std::string_view> keys = file.keys;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.size() < 10)
    throw InputError(Place{options.keys, 0, 0},
                     "has " + std::to_string(keys.size()) + " distinct keys; expected 10 or more to time");
  Random random(Seed{common.seed});
  std::vector<std::string_view> load, insert;  // four fifths are loaded, the rest inserted in random order
  for (std::string_view key : keys) (random.index(5) == 0 ? insert : load).push_back(key);
  shuffle(insert, random);
  std::vector<uint64_t> values(load.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = i;

  report::Table table;
  table.title = "The index on " + std::to_string(keys.size()) + " keys of " + options.keys;
  table.columns = {{"operation", ""}, {"rate", "million/s"}, {"p50", "ns"}, {"p99", "ns"}, {"p99.9", "ns"}};
  auto row = [&](const char* name, double operations, double seconds, Latencies* latencies) {
    std::vector<report::Cell> cells = {std::string(name), report::number(operations / seconds / 1e6)};
    for (double share : {0.5, 0.99, 0.999})
      cells.push_back(latencies && !latencies->nanoseconds.empty() ? report::number(latencies->at(share), 0)
                                                                   : report::Cell());
    table.rows.push_back(cells);
  };
  keyindex::StringIndex index({.point_table = !options.no_table});
  auto begin = Clock::now();
  index.bulk_load(load, values);
  row("sorted load", static_cast<double>(load.size()), seconds_since(begin), nullptr);
  double loaded_bytes = index.stats().bytes_per_key();

  size_t count = std::max<uint64_t>(options.operations, 16);
  std::string text;  // the queries one after the other, as they would arrive
  std::vector<size_t> ends;
  for (size_t i = 0; i < count; ++i) {
    text += load[random.index(load.size())];
    ends.push_back(text.size());
  }
  std::vector<std::string_view> queries;
  for (size_t i = 0; i < count; ++i) {
    size_t start = i ? ends[i - 1] : 0;
    queries.push_back(std::string_view(text).substr(start, ends[i] - start));
  }
  uint64_t missing = 0;
  begin = Clock::now();
  for (std::string_view key : queries) missing += !index.get(key).has_value();
  double seconds = seconds_since(begin);
  Latencies latencies;
  for (size_t i = 0; i < count / 4; ++i) {
    auto start = Clock::now();
    missing += !index.get(queries[i]).has_value();
    latencies.nanoseconds.push_back(static_cast<float>(seconds_since(start) * 1e9));
  }
  row("get", static_cast<double>(count), seconds, &latencies);
  std::vector<uint64_t> got(count);
  std::vector<uint8_t> found(count);
  begin = Clock::now();
  index.get_batch(queries, got, found);
  row("get, batches of 16", static_cast<double>(count), seconds_since(begin), nullptr);
  for (uint8_t one : found) missing += !one;
  begin = Clock::now();
  size_t scans = std::max<size_t>(count / 10, 1);
  uint64_t sum = 0;
  for (size_t i = 0; i < scans; ++i) {
    keyindex::Cursor cursor = index.scan(queries[i]);
    for (int k = 0; k < 50 && cursor.next(); ++k) sum += cursor.value() + cursor.key().size();
  }
  row("scan of 50", static_cast<double>(scans), seconds_since(begin), nullptr);
  latencies.nanoseconds.clear();
  begin = Clock::now();
  for (std::string_view key : insert) {
    auto start = Clock::now();
    index.insert(key, 1);
    latencies.nanoseconds.push_back(static_cast<float>(seconds_since(start) * 1e9));
  }
  row("insert", static_cast<double>(insert.size()), seconds_since(begin), &latencies);
  begin = Clock::now();
  for (size_t i = 0; i < insert.size(); ++i) index.remove(insert[i]);
  row("remove", static_cast<double>(insert.size()), seconds_since(begin), nullptr);
  if (missing) throw Error(std::to_string(missing) + " keys were not found");
  table.notes = {
      "Bytes a key beyond its own, value included: " + report::show(loaded_bytes, 1) + " after load, " +
          report::show(index.stats().bytes_per_key(), 1) + " at the end.",
      "Single latencies include the clock's own 20 to 30 ns. Sum of the scans, so that they are done: " +
          std::to_string(sum) + "."};
  *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
  return 0;
}

}  // namespace orrery::cli

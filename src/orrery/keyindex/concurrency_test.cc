// Threads: histories of operations on single keys are linearizable, scans show what was there throughout.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "orrery/base/random.h"
#include "orrery/keyindex/string_index.h"

namespace orrery::keyindex {
namespace {

enum class Kind { Get, Put, Insert, Remove };
struct Operation {
  Kind kind;
  size_t key;
  uint64_t value;       // written, or found
  bool answer;          // found, new, or removed
  uint64_t begin, end;  // by one counter for all threads
};

constexpr uint64_t kAbsent = UINT64_MAX;

// What the operation does to the key's value; false where its answer does not fit.
bool apply(const Operation& operation, uint64_t& state) {
  bool there = state != kAbsent;
  switch (operation.kind) {
    case Kind::Get:
      return operation.answer == there && (!there || operation.value == state);
    case Kind::Put:
      state = operation.value;
      return operation.answer == !there;
    case Kind::Insert:
      if (!there) state = operation.value;
      return operation.answer == !there;
    case Kind::Remove:
      state = kAbsent;
      return operation.answer == there;
  }
  return false;
}

// Whether some order of the operations, none moved out of its interval, explains all answers: follows all
// possible states from event to event, each with the running operations that have taken effect (Wing and
// Gong's search, by configurations).
bool linearizable(const std::vector<Operation>& history) {
  std::vector<std::pair<uint64_t, size_t>> events;  // time, operation; it begins at its first
  for (size_t i = 0; i < history.size(); ++i) {
    events.push_back({history[i].begin, i});
    events.push_back({history[i].end, i});
  }
  std::sort(events.begin(), events.end());
  using State = std::pair<uint64_t, std::set<size_t>>;
  std::set<State> states = {{kAbsent, {}}};
  std::set<size_t> running;
  for (auto [time, operation] : events) {
    if (running.insert(operation).second) continue;  // begins
    std::set<State> reached, seen;
    std::vector<State> open(states.begin(), states.end());
    while (!open.empty()) {
      State state = open.back();
      open.pop_back();
      if (!seen.insert(state).second) continue;
      if (state.second.count(operation)) {
        State without = state;
        without.second.erase(operation);
        reached.insert(without);
        continue;
      }
      for (size_t next : running) {
        if (state.second.count(next)) continue;
        State after = state;
        if (!apply(history[next], after.first)) continue;
        after.second.insert(next);
        open.push_back(after);
      }
    }
    running.erase(operation);
    if (reached.empty()) return false;
    states = std::move(reached);
  }
  return true;
}

TEST(linearizable_checker, tells_right_from_wrong) {
  EXPECT_TRUE(linearizable({{Kind::Put, 0, 5, true, 1, 4}, {Kind::Get, 0, 5, true, 2, 3}}));
  EXPECT_TRUE(linearizable({{Kind::Put, 0, 5, true, 1, 4}, {Kind::Get, 0, 0, false, 2, 3}}));
  EXPECT_FALSE(linearizable({{Kind::Put, 0, 5, true, 1, 2}, {Kind::Get, 0, 0, false, 3, 4}}));
  EXPECT_FALSE(linearizable(
      {{Kind::Put, 0, 5, true, 1, 8}, {Kind::Get, 0, 5, true, 2, 3}, {Kind::Get, 0, 0, false, 4, 5}}));
}

class Threads : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(point_table, Threads, ::testing::Bool());

#if defined(__SANITIZE_THREAD__)
constexpr int kRounds = 3, kSteps = 1500;
#else
constexpr int kRounds = 10, kSteps = 3000;
#endif

TEST_P(Threads, histories_of_single_keys_are_linearizable) {
  constexpr size_t kThreads = 4, kWatched = 40;
  for (int round = 0; round < kRounds; ++round) {
    StringIndex index({.point_table = GetParam()});
    std::vector<std::string> watched;
    for (size_t i = 0; i < kWatched; ++i)
      watched.push_back("key/" + std::to_string(i * 25) + (i % 2 ? "/long/shared/part" : ""));
    std::atomic<uint64_t> clock{1};
    std::vector<std::vector<Operation>> histories(kThreads);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        Random random(Seed{static_cast<uint64_t>(round)}.derive(t));
        for (int step = 0; step < kSteps; ++step) {
          // Neighbours come and go, so that the leaves of the watched keys split and merge.
          bool filling = step / 300 % 2 == 0;
          for (int i = 0; i < 3; ++i) {
            std::string neighbour =
                "key/" + std::to_string(random.index(1000)) + "+" + std::to_string(random.index(20));
            if (filling)
              index.put(neighbour, 1);
            else
              index.remove(neighbour);
          }
          Operation operation{
              static_cast<Kind>(random.index(4)), random.index(kWatched), random.next() >> 1, false, 0, 0};
          const std::string& key = watched[operation.key];
          operation.begin = clock.fetch_add(1);
          switch (operation.kind) {
            case Kind::Get: {
              auto value = index.get(key);
              operation.answer = value.has_value();
              operation.value = value.value_or(0);
              break;
            }
            case Kind::Put:
              operation.answer = index.put(key, operation.value);
              break;
            case Kind::Insert:
              operation.answer = index.insert(key, operation.value);
              break;
            case Kind::Remove:
              operation.answer = index.remove(key);
              break;
          }
          operation.end = clock.fetch_add(1);
          histories[t].push_back(operation);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    index.verify();
    for (size_t key = 0; key < kWatched; ++key) {
      std::vector<Operation> history;
      for (auto& all : histories)
        for (auto& operation : all)
          if (operation.key == key) history.push_back(operation);
      ASSERT_TRUE(linearizable(history)) << watched[key] << " in round " << round;
    }
  }
}

TEST_P(Threads, scans_show_all_that_stays_once_and_in_order) {
  StringIndex index({.point_table = GetParam()});
  constexpr size_t kStaying = 4000;
  auto name = [](size_t i) { return "stay/" + std::to_string(1000000 + i * 13); };
  for (size_t i = 0; i < kStaying; ++i) index.put(name(i), i);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (uint64_t t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      Random random(Seed{t});
      for (uint64_t step = 0; !stop.load(); ++step) {
        std::string key = "stay/" + std::to_string(1000000 + random.index(kStaying * 13)) + "x";
        if (step / 5000 % 2 == 0)
          index.put(key, 9);
        else
          index.remove(key);
      }
    });
  }
  for (int round = 0; round < kRounds * 6; ++round) {
    for (bool back : {false, true}) {
      size_t staying = 0;
      std::string last;
      Cursor cursor = back ? index.scan_back() : index.scan();
      for (bool first = true; cursor.next(); first = false) {
        if (!first) {
          ASSERT_TRUE(back ? cursor.key() < last : last < cursor.key()) << last << " then " << cursor.key();
        }
        last = cursor.key();
        if (last.back() == 'x') continue;
        ASSERT_EQ(last, name(back ? kStaying - 1 - staying : staying));
        ++staying;
      }
      ASSERT_EQ(staying, kStaying);
    }
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  index.verify();
}

TEST_P(Threads, values_are_never_torn) {
  StringIndex index({.point_table = GetParam()});
  for (int i = 0; i < 500; ++i) index.put("key" + std::to_string(i), 0);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t n = 1; !stop.load(); ++n)
      index.put("key" + std::to_string(n * 7 % 500), (n & 0xffffffff) * 0x100000001ull);
  });
  for (int i = 0; i < kSteps * 20; ++i) {
    auto value = index.get("key" + std::to_string(i % 500));
    ASSERT_TRUE(value && *value >> 32 == (*value & 0xffffffff));
  }
  stop = true;
  writer.join();
}

TEST_P(Threads, a_save_beside_writers_is_of_one_moment) {
  StringIndex index({.point_table = GetParam()});
  std::string path = ::testing::TempDir() + "orrery-keys-moment-" + std::to_string(GetParam());
  std::atomic<bool> stop{false};
  std::thread writer([&] {  // puts a counter into key after key: in any moment they are c or c - 1, in order
    for (uint64_t n = 1; !stop.load(); ++n)
      for (int key = 0; key < 300; ++key) index.put("key" + std::to_string(1000 + key), n);
  });
  for (int round = 0; round < 20; ++round) {
    index.save(path);
    StringIndex saved = StringIndex::load(path);
    saved.verify();
    Cursor cursor = saved.scan();
    uint64_t last = UINT64_MAX, first = 0;
    for (bool begun = false; cursor.next(); begun = true) {
      if (!begun) first = cursor.value();
      ASSERT_LE(cursor.value(), last);
      ASSERT_LE(first - cursor.value(), 1u);
      last = cursor.value();
    }
  }
  stop = true;
  writer.join();
  std::remove(path.c_str());
}

}  // namespace
}  // namespace orrery::keyindex

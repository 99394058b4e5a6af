// A StringIndex beside a std::map that is told the same: for tests and fuzzing. Header only, since only those
// use it.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "orrery/base/random.h"
#include "orrery/keyindex/string_index.h"

namespace orrery::keyindex::testing_support {

class Oracle {
 public:
  Oracle(IndexOptions options, uint64_t seed, std::string snapshot = {})
      : index(options), random_(Seed{seed}), snapshot_(std::move(snapshot)) {}

  // Mixed operations on keys that `make` draws, and on keys that are there; a full check now and then.
  template <class Make>
  void run(size_t operations, Make&& make, size_t check_every = 10000) {
    for (size_t i = 0; i < operations; ++i) {
      std::string key = random_.index(2) && !truth.empty() ? near(make(random_)) : make(random_);
      step(static_cast<unsigned>(random_.index(100)), key, random_.next());
      if ((i + 1) % check_every == 0) check_all();
    }
    check_all();
  }

  // One operation, chosen by `what` of 0 .. 99.
  void step(unsigned what, const std::string& key, uint64_t value) {
    if (what < 30) {
      auto [at, fresh] = truth.insert_or_assign(key, value);
      same(index.put(key, value), fresh, "put", key);
    } else if (what < 45) {
      same(index.insert(key, value), truth.emplace(key, value).second, "insert", key);
    } else if (what < 65) {
      same(index.remove(key), truth.erase(key) == 1, "remove", key);
    } else if (what < 85) {
      auto at = truth.find(key);
      auto got = index.get(key);
      same(got.has_value(), at != truth.end(), "get", key);
      if (got && *got != at->second) fail("get of the wrong value", key);
    } else if (what < 88) {
      auto at = truth.lower_bound(key);
      auto got = index.lower_bound(key);
      same(got.has_value(), at != truth.end(), "lower_bound", key);
      if (got && (got->first != at->first || got->second != at->second)) fail("lower_bound", key);
    } else if (what < 92) {
      Cursor cursor = index.scan(key);
      auto at = truth.lower_bound(key);
      for (size_t n = value % 100; n > 0; --n, ++at) {
        bool more = cursor.next();
        same(more, at != truth.end(), "scan", key);
        if (!more) break;
        if (cursor.key() != at->first || cursor.value() != at->second) fail("scan", key);
      }
    } else if (what < 95) {
      Cursor cursor = index.scan_back(key);
      auto at = truth.upper_bound(key);
      for (size_t n = value % 100; n > 0; --n) {
        bool more = cursor.next();
        same(more, at != truth.begin(), "scan_back", key);
        if (!more) break;
        --at;
        if (cursor.key() != at->first || cursor.value() != at->second) fail("scan_back", key);
      }
    } else if (what < 98) {
      std::string prefix = key.substr(0, value % (key.size() + 1));
      Cursor cursor = index.scan_prefix(prefix);
      auto at = truth.lower_bound(prefix);
      for (size_t n = 200; n > 0; --n, ++at) {
        bool more = cursor.next(), there = at != truth.end() && at->first.starts_with(prefix);
        same(more, there, "scan_prefix", prefix);
        if (!more) break;
        if (cursor.key() != at->first || cursor.value() != at->second) fail("scan_prefix", prefix);
      }
    } else if (!snapshot_.empty() && value % 64 == 0) {
      index.save(snapshot_);
      index = StringIndex::load(snapshot_);
    }
  }

  void check_all() {
    index.verify();
    if (index.size() != truth.size()) fail("size", std::to_string(index.size()));
    Cursor up = index.scan(), down = index.scan_back();
    for (auto& [key, value] : truth)
      if (!up.next() || up.key() != key || up.value() != value) fail("scan of all", key);
    if (up.next()) fail("scan of all shows more", std::string(up.key()));
    for (auto at = truth.rbegin(); at != truth.rend(); ++at)
      if (!down.next() || down.key() != at->first || down.value() != at->second)
        fail("scan_back of all", at->first);
    if (down.next()) fail("scan_back of all shows more", std::string(down.key()));
    for (auto& [key, value] : truth)
      if (index.get(key) != value) fail("get", key);
  }

  StringIndex index;
  std::map<std::string, uint64_t> truth;

 private:
  std::string near(const std::string& key) {
    auto at = truth.lower_bound(key);
    return at == truth.end() ? truth.begin()->first : at->first;
  }
  void same(bool got, bool expected, const char* what, const std::string& key) {
    if (got != expected) fail(what, key);
  }
  [[noreturn]] void fail(const std::string& what, const std::string& key) {
    throw std::runtime_error(what + " differs from the map at a key of " + std::to_string(key.size()) +
                             " bytes: '" + key.substr(0, 100) + "'");
  }
  Random random_;
  std::string snapshot_;
};

}  // namespace orrery::keyindex::testing_support

// The core workloads of YCSB (Cooper et al., SoCC 2010) as a stream of operations on numbered keys: [0,
// records) are loaded, each insert takes the next number. Which key a number stands for is the caller's: keys
// in a shuffled order give YCSB's hashed insertion.
#pragma once

#include <cstdint>
#include <string_view>

#include "orrery/trace/key_chooser.h"

namespace orrery::trace {

enum class OperationKind : uint8_t { Read, Update, Insert, Scan, ReadModifyWrite, Remove };
std::string_view name(OperationKind kind);

struct Operation {
  OperationKind kind = OperationKind::Read;
  uint32_t scan_length = 0;  // Scan only, >= 1
  uint64_t key = 0;
};

struct YcsbWorkload {
  uint64_t records = 1000, operations = 1000;
  // Shares of the operations; they are taken relative to their sum. `remove` is ours: YCSB has no removals.
  double read = .95, update = .05, insert = 0, scan = 0, read_modify_write = 0, remove = 0;
  KeyChooserOptions requests = {};
  uint32_t shortest_scan = 1, longest_scan = 100;
  bool zipfian_scans = false;  // lengths by Zipf .99, else uniform
};

// The six standard mixes:
//   A 50/50 read/update, B 95/5, C reads, all Zipf .99; D 95/5 read/insert, latest; E 95/5 scan/insert, scans
//   of 1 to 100; F 50/50 read/read-modify-write.
// `letter` in either case; throws InputError for others.
YcsbWorkload ycsb_workload(char letter, uint64_t records, uint64_t operations);

class OperationStream {
 public:
  OperationStream(const YcsbWorkload& workload,
                  Seed seed);  // throws InputError for shares or sizes that make no sense
  Operation next();
  uint64_t items() const { return items_; }  // records and those inserted so far

 private:
  YcsbWorkload workload_;
  double total_;
  uint64_t items_;
  Random mix_, keys_, lengths_;
  KeyChooser chooser_;
  Zipf scan_zipf_;
};

}  // namespace orrery::trace

#include "orrery/trace/ycsb.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "orrery/base/error.h"

namespace orrery::trace {
namespace {

const YcsbWorkload& checked(const YcsbWorkload& workload) {
  if (workload.records == 0) throw InputError("a workload of no records; expected at least one");
  if (workload.shortest_scan == 0 || workload.longest_scan < workload.shortest_scan)
    throw InputError("scan lengths of " + std::to_string(workload.shortest_scan) + " to " +
                     std::to_string(workload.longest_scan) + "; expected 1 or more, shortest first");
  double total = 0;
  for (double share : {workload.read, workload.update, workload.insert, workload.scan,
                       workload.read_modify_write, workload.remove}) {
    if (!(share >= 0) || !std::isfinite(share))
      throw InputError("a share of operations that is negative or no number");
    total += share;
  }
  if (!(total > 0)) throw InputError("all shares of operations are 0; expected one that is not");
  return workload;
}

}  // namespace

std::string_view name(OperationKind kind) {
  constexpr std::array<std::string_view, 6> kNames = {
      "read", "update", "insert", "scan", "read-modify-write", "remove"};
  return kNames[static_cast<size_t>(kind)];
}

YcsbWorkload ycsb_workload(char letter, uint64_t records, uint64_t operations) {
  YcsbWorkload workload{.records = records, .operations = operations, .read = 0, .update = 0};
  switch (letter) {
    case 'A':
    case 'a':
      workload.read = workload.update = .5;
      break;
    case 'B':
    case 'b':
      workload.read = .95, workload.update = .05;
      break;
    case 'C':
    case 'c':
      workload.read = 1;
      break;
    case 'D':
    case 'd':
      workload.read = .95, workload.insert = .05;
      workload.requests.distribution = KeyDistribution::Latest;
      break;
    case 'E':
    case 'e':
      workload.scan = .95, workload.insert = .05;
      break;
    case 'F':
    case 'f':
      workload.read = workload.read_modify_write = .5;
      break;
    default:
      throw InputError("YCSB workload '" + std::string(1, letter) + "' is not known; expected A to F");
  }
  return workload;
}

OperationStream::OperationStream(const YcsbWorkload& workload, Seed seed)
    : workload_(checked(workload)),
      total_(workload.read + workload.update + workload.insert + workload.scan + workload.read_modify_write +
             workload.remove),
      items_(workload.records),
      mix_(seed.derive(0)),
      keys_(seed.derive(1)),
      lengths_(seed.derive(2)),
      chooser_(workload.requests, workload.records, seed.derive(3)),
      scan_zipf_(.99, workload.longest_scan - workload.shortest_scan + 1) {}

Operation OperationStream::next() {
  const std::array<std::pair<OperationKind, double>, 6> shares = {{
      {OperationKind::Read, workload_.read},
      {OperationKind::Update, workload_.update},
      {OperationKind::Scan, workload_.scan},
      {OperationKind::ReadModifyWrite, workload_.read_modify_write},
      {OperationKind::Remove, workload_.remove},
      {OperationKind::Insert, workload_.insert},
  }};
  double draw = mix_.uniform() * total_;
  Operation operation;
  // Rounding may leave a remainder past the last share: it belongs to the last kind that occurs at all.
  for (const auto& [kind, share] : shares) {
    if (share <= 0) continue;
    operation.kind = kind;
    draw -= share;
    if (draw < 0) break;
  }
  if (operation.kind == OperationKind::Insert) {
    operation.key = items_++;
    return operation;
  }
  operation.key = chooser_.next(items_, keys_);
  if (operation.kind == OperationKind::Scan) {
    const uint64_t choices = workload_.longest_scan - workload_.shortest_scan + 1;
    const uint64_t extra = workload_.zipfian_scans ? scan_zipf_(lengths_) : lengths_.index(choices);
    operation.scan_length = static_cast<uint32_t>(workload_.shortest_scan + extra);
  }
  return operation;
}

}  // namespace orrery::trace

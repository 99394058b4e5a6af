// Latencies of every kernel of a study's workloads, by the sizes of cores that they depend on: one table an
// array, one for DRAM traffic a longer side and buffer, one a width of lanes. All searches read these and so
// price a kernel on a core once. Thread-safe; a table, once made, stays where it is.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "orrery/cost/accelerator/kernel_bill.h"
#include "orrery/explore/accelerator_plan.h"

namespace orrery::explore {

class LatencyTables {
 public:
  // Kernels of all workloads one after another; the study must outlive the tables.
  explicit LatencyTables(const AcceleratorStudy& study);

  struct ArraySize {
    int columns, rows;
    auto operator<=>(const ArraySize&) const = default;
  };
  struct TrafficSize {
    int side;
    int64_t global_buffer;
    auto operator<=>(const TrafficSize&) const = default;
  };
  // size kernels() each
  std::span<const cost::ArrayBill> array(ArraySize);
  std::span<const cost::TrafficBill> traffic(TrafficSize);
  std::span<const cost::VectorBill> vector(int lanes);
  // Cycles of kernels that wait for a link, 0 for all others.
  std::span<const double> link() const { return link_; }
  std::span<const cost::OperationBill> operations() const { return operations_; }

  size_t kernels() const { return kernels_.size(); }
  size_t first_kernel(size_t workload) const { return first_[workload]; }
  uint64_t made() const;  // tables

 private:
  template <class Key, class Bill>
  using Cache = std::map<Key, std::unique_ptr<std::vector<Bill>>>;
  template <class Key, class Bill, class Make>
  std::span<const Bill> find_or_make(Cache<Key, Bill>& cache, const Key& key, Make make);

  const AcceleratorStudy& study_;
  const hardware::Accelerator& chip_;
  std::vector<const graph::Kernel*> kernels_;
  std::vector<size_t> first_;
  std::vector<double> link_;
  std::vector<cost::OperationBill> operations_;
  mutable std::mutex mutex_;
  Cache<ArraySize, cost::ArrayBill> arrays_;
  Cache<TrafficSize, cost::TrafficBill> traffics_;
  Cache<int, cost::VectorBill> vectors_;
};

}  // namespace orrery::explore

#include "orrery/explore/latency_tables.h"

#include <array>

namespace orrery::explore {

LatencyTables::LatencyTables(const AcceleratorStudy& study) : study_(study), chip_(chip_of(study.base)) {
  const cost::AcceleratorModel model(study.options);
  for (const AcceleratorWorkload& workload : study.workloads) {
    first_.push_back(kernels_.size());
    for (const graph::Kernel& kernel : workload.graph.kernels) {
      kernels_.push_back(&kernel);
      operations_.push_back(cost::operation_bill(kernel, study.options));
      cost::OperatorCost cost;
      if (cost::on_a_link(kernel)) model.price({&kernel, 1}, study.base, {1, 1, 1}, {&cost, 1});
      link_.push_back(cost.time.value() * chip_.clock.value());
    }
  }
}

template <class Key, class Bill, class Make>
std::span<const Bill> LatencyTables::find_or_make(Cache<Key, Bill>& cache, const Key& key, Make make) {
  {
    std::lock_guard lock(mutex_);
    if (auto found = cache.find(key); found != cache.end()) return *found->second;
  }
  auto table = std::make_unique<std::vector<Bill>>();
  table->reserve(kernels_.size());
  for (const graph::Kernel* kernel : kernels_)
    table->push_back(cost::on_a_link(*kernel) ? Bill{} : make(*kernel));
  std::lock_guard lock(mutex_);
  return *cache.try_emplace(key, std::move(table)).first->second;  // another thread's, where it was first
}

std::span<const cost::ArrayBill> LatencyTables::array(ArraySize size) {
  return find_or_make(arrays_, size, [&](const graph::Kernel& kernel) {
    return cost::array_bill(kernel, {size.rows, size.columns}, 1, chip_.word_bytes(), study_.options);
  });
}

std::span<const cost::TrafficBill> LatencyTables::traffic(TrafficSize size) {
  const cost::TileMemory memory{static_cast<double>(size.global_buffer), chip_.word_bytes(),
                                chip_.accumulator_bits / 8.0};
  return find_or_make(traffics_, size, [&](const graph::Kernel& kernel) {
    return cost::traffic_bill(kernel, {size.side, size.side}, memory);
  });
}

std::span<const cost::VectorBill> LatencyTables::vector(int lanes) {
  return find_or_make(vectors_, lanes, [&](const graph::Kernel& kernel) {
    return cost::vector_bill(kernel, lanes, study_.options);
  });
}

uint64_t LatencyTables::made() const {
  std::lock_guard lock(mutex_);
  return arrays_.size() + traffics_.size() + vectors_.size();
}

}  // namespace orrery::explore

#include "orrery/cost/price_memo.h"

#include <vector>

#include "orrery/base/storage.h"

namespace orrery::cost {
namespace {

template <class T>
uint64_t fold(uint64_t seed, const T& value) {
  return hash_bytes({reinterpret_cast<const char*>(&value), sizeof value}, seed);
}

}  // namespace

uint64_t fingerprint(const hardware::Device& device) {
  uint64_t h = hash_bytes(device.name);
  for (double v :
       {device.memory.value(), device.memory_bandwidth.value(), device.tdp.value(), device.idle.value()})
    h = fold(h, v);
  h = hash_bytes(device.memory_type, h);
  if (const hardware::Gpu* gpu = device.gpu()) {
    h = fold(h, gpu->architecture);
    for (double v :
         {gpu->compute_capability, static_cast<double>(gpu->multiprocessors), static_cast<double>(gpu->lanes),
          gpu->boost_clock.value(), gpu->l2.value(), gpu->shared_memory.value(), gpu->registers.value(),
          gpu->achievable.memory_bandwidth.value(), gpu->pcie.value(), gpu->process_nm}) {
      h = fold(h, v);
    }
    h = fold(fold(h, gpu->peak), gpu->achievable.rate);
    for (const std::string* s : {&gpu->kernels.gemm, &gpu->kernels.attention, &gpu->kernels.fp8})
      h = hash_bytes(*s, h + 1);
    if (gpu->link) {
      for (double v : {gpu->link->per_direction.value(), static_cast<double>(gpu->link->peers),
                       gpu->link->latency.value()})
        h = fold(h, v);
    }
  } else if (const hardware::Accelerator* chip = device.accelerator()) {
    for (double v :
         {1.0 * chip->matrix_cores, 1.0 * chip->columns, 1.0 * chip->rows, 1.0 * chip->vector_cores,
          1.0 * chip->lanes, chip->matrix_buffer.value(), chip->vector_buffer.value(),
          chip->global_buffer.value(), chip->global_bytes_per_cycle, 1.0 * chip->word_bits,
          1.0 * chip->accumulator_bits, chip->clock.value(), 1.0 * chip->energy.word_bits,
          chip->energy.multiply_accumulate.value(), chip->energy.registers.value(),
          chip->energy.register_accesses, chip->energy.global_at_reference.value(),
          chip->energy.reference.value(), chip->energy.dram.value()}) {
      h = fold(h, v);
    }
  }
  return h;
}

void PriceMemo::price(const OperatorModel& model, std::span<const graph::Kernel> kernels,
                      const hardware::Device& device, Allotment allotment, std::span<OperatorCost> out) {
  uint64_t context = fold(fold(fold(fold(model.fingerprint(), fingerprint(device)), allotment.matrix_cores),
                               allotment.vector_cores),
                          allotment.buffer_share);
  std::vector<uint64_t> keys(kernels.size());
  std::vector<size_t> missing;
  {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < kernels.size(); ++i) {
      uint64_t key = context;
      for (const graph::OperatorShape& part : kernels[i].parts) key = key * 31 + graph::hash(part);
      keys[i] = key;
      auto [at, end] = entries_.equal_range(key);
      while (at != end && !(at->second.context == context && at->second.kernel == kernels[i])) ++at;
      if (at == end) {
        missing.push_back(i);
      } else {
        out[i] = at->second.cost;
      }
    }
  }
  if (missing.empty()) return;
  std::vector<graph::Kernel> asked;
  for (size_t i : missing) asked.push_back(kernels[i]);
  std::vector<OperatorCost> costs(asked.size());
  model.price(asked, device, allotment, costs);
  std::lock_guard lock(mutex_);
  if (entries_.size() + asked.size() > most_) entries_.clear();
  for (size_t j = 0; j < missing.size(); ++j) {
    out[missing[j]] = costs[j];
    entries_.emplace(keys[missing[j]], Entry{std::move(asked[j]), context, costs[j]});
  }
}

size_t PriceMemo::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace orrery::cost

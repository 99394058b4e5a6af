// Prices are pure, so each is computed once: a memo over (operator model, kernel, device, allotment).
// Thread-safe; a full memo is emptied rather than grown without end.
#pragma once

#include <mutex>
#include <unordered_map>

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

// Equal for devices whose prices are equal: a hash of every figure and name that an operator model may read.
uint64_t fingerprint(const hardware::Device&);

class PriceMemo {
 public:
  explicit PriceMemo(size_t most = size_t{1} << 20) : most_(most) {}
  // As OperatorModel::price; asks the model only for what is new.
  void price(const OperatorModel&, std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out);
  size_t size() const;

 private:
  struct Entry {
    graph::Kernel kernel;
    uint64_t context;
    OperatorCost cost;
  };
  mutable std::mutex mutex_;
  std::unordered_multimap<uint64_t, Entry> entries_;
  size_t most_;
};

}  // namespace orrery::cost

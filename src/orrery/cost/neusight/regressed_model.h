// What NeuSight and the predictors that it was compared with have in common: each operator is priced by a
// regressor of its class, all else by bytes over peak bandwidth, and a kernel is the sum.
#pragma once

#include <memory>

#include "orrery/cost/neusight/law.h"
#include "orrery/cost/operator_model.h"
#include "orrery/cost/weights.h"

namespace orrery::cost {

struct RegressedPrice {
  double seconds = 0, low = 1, high = 1;  // the 90 % band as factors, from rows held back in training
  bool compute_bound = false;
};

class RegressedModel : public OperatorModel {
 public:
  virtual RegressedPrice price(const NeuSightOperator&, const NeuSightDevice&) const = 0;
  // Throws InputError when the device is no GPU. Kernels that the method has no word for (another type than
  // FP32, convolutions, grouped products) get their roofline and are marked as not priced.
  void price(std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out) const final;
  // Seconds of an operator that only moves bytes, of an all-reduce (participants > 1: of `bytes` each) or of
  // a transfer between two.
  double memory_seconds(double bytes, const NeuSightDevice&) const;
  double link_seconds(const graph::OperatorShape&, const hardware::Gpu&) const;

  uint64_t fingerprint() const final { return weights_->fingerprint() ^ salt_; }
  const NeuSightOptions& options() const { return options_; }

 protected:
  // options: from the weights' section "options". salt: tells models of the same weights apart.
  RegressedModel(std::shared_ptr<const Weights> weights, uint64_t salt);
  std::shared_ptr<const Weights> weights_;
  NeuSightOptions options_;

 private:
  OperatorCost price_kernel(const graph::Kernel&, const hardware::Device&, const NeuSightDevice&) const;
  uint64_t salt_;
};

}  // namespace orrery::cost

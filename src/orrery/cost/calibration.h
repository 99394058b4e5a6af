// A device's own correction of an operator model, fitted on what its user measured: three log factors, for
// the compute-bound, the memory-bound and the remaining (launch, latency) share of a kernel's time,
//     time' = time · exp(compute·s_c + memory·s_m + fixed·s_f),   s_c + s_m + s_f = 1,
// so that kernels of every kind and law are corrected by few constants. Their prior is N(0, 0.15²): what
// leave-one-GPU-out errors of the laws scatter by; a few rows move them little.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

struct Calibration {
  double compute = 0, memory = 0, fixed = 0;  // log factors
  size_t rows = 0;
  double error_before = 0,
         error_after = 0;  // mean |predicted − measured|/measured; after: on rows held out, five-fold
  double band = 1;         // factor on the width of the model's log band: what the residuals still scatter by
};

struct Observation {
  OperatorCost predicted;
  Seconds measured;
};

// Shares of a predicted time, compute, memory and the rest; they add up to one.
std::array<double, 3> bound_shares(const OperatorCost& cost, const hardware::Device& device);

Calibration fit_calibration(std::span<const Observation> observations, const hardware::Device& device);

// The file that `orrery fit latency` writes and --weights reads beside whole weight files:
//   {"format": "orrery-calibration", "version": 1, "base": "default", "devices": {"l40s": {"compute": 0.03,
//   ...}}}
using Calibrations = std::map<std::string, Calibration>;  // by Device::name
std::string to_json(const Calibrations& calibrations);
Calibrations read_calibrations(const std::string& path);
bool is_calibration_file(const std::string& path);

// Another operator model with the corrections applied; devices without one pass unchanged.
class CalibratedModel final : public OperatorModel {
 public:
  CalibratedModel(std::shared_ptr<const OperatorModel> base, Calibrations calibrations);
  void price(std::span<const graph::Kernel> kernels, const hardware::Device& device, Allotment allotment,
             std::span<OperatorCost> out) const override;
  uint64_t fingerprint() const override { return fingerprint_; }
  std::string title() const override { return base_->title() + ", calibrated"; }

 private:
  std::shared_ptr<const OperatorModel> base_;
  Calibrations calibrations_;
  uint64_t fingerprint_;
};

}  // namespace orrery::cost

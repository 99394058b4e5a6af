// The default operator model of GPUs: hands each part of a kernel to the law that fits it and joins the
// parts.
//
//   matrix products   Gemm, GroupedGemm, Convolution (implicit GEMM)
//   attention         prefill and decode, flash
//   vector operators  by the traffic that remains when a kernel's inner tensors stay on chip
//   collectives       over the device's own link
//
// A kernel with a matrix part and epilogues costs the matrix part and the traffic that the epilogues add to
// it. Where no law is fitted the documented fallback holds: the roofline at the published achievable figures,
// or at usual shares of the data sheet's (matrix 0.72, memory 0.85, the middle of what microbenchmarks of
// data-centre GPUs report), with a wide band.
//
// Dynamic energy, of which nothing here has a measurement: arithmetic at the sustained rate of its type draws
// 90 % of what lies between idle and the power limit, memory traffic at full bandwidth 50 %, so a kernel's
// joules are 0.9·(TDP − idle)·flops/rate + 0.5·(TDP − idle)·bytes/bandwidth. Forecasts give it as a wide
// interval.
#pragma once

#include <memory>

#include "orrery/cost/operator_model.h"
#include "orrery/cost/weights.h"

namespace orrery::cost {

// Where a kernel stands, which decides what its time contains.
enum class Measured : uint8_t {
  InModel,    // one of a model's many: weights come from DRAM, the host's launch is the forecast's affair
  FromGraph,  // alone, repeated from a captured graph, a few buffers cycled: as serving microbenchmarks time
              // it
  Bracketed,  // one of a model's many, between two events of the stream, whose time it contains
  FromHost,   // alone, launched and timed from the host: the call costs its launch
};

class GpuModel final : public OperatorModel {
 public:
  explicit GpuModel(std::shared_ptr<const Weights> weights, Measured measured = Measured::InModel);
  // The same laws for another measurement; shares what is loaded.
  GpuModel(const GpuModel& other, Measured measured);
  ~GpuModel() override;
  // Throws InputError when the device is no GPU.
  void price(std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out) const override;
  uint64_t fingerprint() const override;
  std::string title() const override { return "default"; }

 private:
  struct Laws;
  class Pricer;
  std::shared_ptr<const Laws> laws_;
  std::shared_ptr<const Weights> weights_;
  Measured measured_;
};

}  // namespace orrery::cost

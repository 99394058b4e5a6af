// The predictor of Li, Sun and Jog ("Path Forward Beyond Simulators: Fast and Accurate GPU Execution Time
// Prediction for DNN Workloads", MICRO 2023) as NeuSight's authors ran it: a straight line a GPU and class,
//   time = a·work + c,   work = FLOP of products, bytes of vector operators,
// by least squares on measured rows. On a GPU without rows c = 0, and the rate 1/a is a straight line in
// memory bandwidth through the GPUs with rows.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "orrery/cost/neusight/regressed_model.h"

namespace orrery::cost {

struct WorkLine {
  double seconds_per_unit = 0, intercept = 0;  // s
};

// What the line is over.
double work_of(const NeuSightOperator&);

class LinearModel final : public RegressedModel {
 public:
  struct OfDevice {
    NeuSightDevice device;
    std::array<WorkLine, kNeuSightClasses> lines;  // seconds_per_unit 0: no rows
  };
  // weights: with sections "options" and "linear".
  explicit LinearModel(std::shared_ptr<const Weights> weights);
  using RegressedModel::price;
  RegressedPrice price(const NeuSightOperator&, const NeuSightDevice&) const override;
  std::string title() const override { return "linear"; }
  // The line of a class on a device: its own, or that of an unseen GPU.
  WorkLine line(NeuSightClass, const NeuSightDevice&) const;

  static std::string to_json(const std::vector<OfDevice>&);

 private:
  std::vector<OfDevice> devices_;
};

}  // namespace orrery::cost

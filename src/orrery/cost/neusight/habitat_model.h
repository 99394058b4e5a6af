// Habitat (Yu, Gao, Golikov, Pekhimenko, "Habitat: A Runtime-Based Computational Performance Predictor for
// Deep Neural Network Training", USENIX ATC 2021) as NeuSight's authors ran it: matrix products by a
// perceptron over [batch, m, k, n, bandwidth, memory, SMs, peak], standardized; vector operators by the time
// on a reference GPU (V100; P100 for the V100) times the ratio of bandwidths, and at memory bandwidth where
// there is no reference.
//
// Habitat measures the operator on the reference GPU; here that time is read off a curve through the
// reference's measured rows of the same operator, in logarithms over bytes moved.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "orrery/cost/neusight/regressed_model.h"
#include "orrery/learn/perceptron.h"

namespace orrery::cost {

struct HabitatNet {
  learn::Perceptron net;  // 8 → … → 1: milliseconds
  std::array<double, 8> mean{}, deviation{};
};

// Ascending in bytes; constant below the first, proportional to bytes above the last.
struct ReferenceCurve {
  std::vector<double> bytes, seconds;
  double at(double moved) const;
};

struct ReferenceGpu {
  std::string name;
  double bandwidth_gb_s = 0;
  std::map<std::string, ReferenceCurve> curves;  // by operator: "add"
};

std::array<double, 8> habitat_features(const NeuSightOperator&, const NeuSightDevice&);

class HabitatModel final : public RegressedModel {
 public:
  // weights: with sections "options" and "habitat".
  explicit HabitatModel(std::shared_ptr<const Weights> weights);
  using RegressedModel::price;
  RegressedPrice price(const NeuSightOperator&, const NeuSightDevice&) const override;
  std::string title() const override { return "habitat"; }

  static std::string to_json(const HabitatNet& bmm, const HabitatNet& linear,
                             const std::vector<ReferenceGpu>& references);

 private:
  HabitatNet bmm_, linear_;
  std::vector<ReferenceGpu> references_;  // in order of preference
};

}  // namespace orrery::cost

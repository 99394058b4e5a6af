// NeuSight's predictor: tile, waves, roofline, and a perceptron a class of operators for the utilization.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "orrery/cost/neusight/regressed_model.h"
#include "orrery/cost/neusight/tiles.h"
#include "orrery/learn/perceptron.h"

namespace orrery::cost {

struct NeuSightRegressor {
  learn::Perceptron net;  // 4 → … → 3: α, β, γ; β is not used
  int best_epoch = 0;
  int64_t rows = 0;            // trained on and held back
  double held_back_error = 0;  // mean, of the rows held back
  double low = 1, high = 1;    // measured / predicted there: the 5th and 95th percentile
};

// Parts of one make: NVIDIA's or AMD's.
struct NeuSightMake {
  std::array<std::optional<NeuSightRegressor>, kNeuSightClasses> regressors;
  NeuSightTiles tiles;
};

// Switches of the weights' own that training does not depend on.
struct PricingSwitches {
  NeuSightOptions::TileSearch tile_search = NeuSightOptions::TileSearch::Unscaled;
  double memory_share = 1;
};

class NeuSightModel final : public RegressedModel {
 public:
  // weights: with sections "options" and "neusight". pricing: in place of what the options say. Throws
  // InputError for weights that are none of this predictor's.
  explicit NeuSightModel(std::shared_ptr<const Weights> weights, std::optional<PricingSwitches> pricing = {});
  using RegressedModel::price;
  RegressedPrice price(const NeuSightOperator&, const NeuSightDevice&) const override;
  std::string title() const override { return "neusight"; }

  static std::string to_json(const NeuSightMake& nvidia, const NeuSightMake& amd);

 private:
  NeuSightMake nvidia_, amd_;
};

// data/weights/neusight-paper-split.json
std::string shipped_neusight_weights();

}  // namespace orrery::cost

// A column of the tables of `orrery validate neusight`: a way to price FP32 kernels.
//
// A table prices, with each column's operator model, the kernels that the column's dialect reads from a node
// of the authors' graphs. A predictor that learns is asked for one model a judged GPU, so that its weights
// can be those that saw no row of it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "orrery/cost/operator_model.h"
#include "orrery/validate/neusight_data.h"

namespace orrery::validate {

struct NeuSightPredictor {
  using Model = std::shared_ptr<const cost::OperatorModel>;
  std::string name;                                  // of the column: "paper, retrained", "ours"
  NeuSightDialect dialect = NeuSightDialect::Paper;  // whose kernels it prices
  // For rows of `gpu` (as the data names it): a kernel in a model, and one that was timed alone from the
  // host.
  std::function<Model(const std::string&gpu)> in_model, alone;
};

}  // namespace orrery::validate

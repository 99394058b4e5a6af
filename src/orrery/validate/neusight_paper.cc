#include "orrery/validate/neusight_paper.h"

#include "orrery/cost/neusight/habitat_model.h"
#include "orrery/cost/neusight/linear_model.h"
#include "orrery/cost/neusight/neusight_model.h"
#include "orrery/cost/roofline_model.h"

namespace orrery::validate {
namespace {

// A model that is the same for every GPU, alone and within a model.
NeuSightPredictor column(std::string name, NeuSightPredictor::Model model) {
  auto always = [model](const std::string&) { return model; };
  return {.name = std::move(name), .dialect = NeuSightDialect::Paper, .in_model = always, .alone = always};
}

}  // namespace

std::vector<NeuSightPredictor> neusight_paper_predictors(const std::string& file) {
  auto weights = cost::Weights::read(file.empty() ? cost::shipped_neusight_weights() : file);
  return {column("NeuSight", std::make_shared<cost::NeuSightModel>(weights)),
          column("roofline", std::make_shared<cost::RooflineModel>()),
          column("Habitat", std::make_shared<cost::HabitatModel>(weights)),
          column("Li", std::make_shared<cost::LinearModel>(weights))};
}

}  // namespace orrery::validate

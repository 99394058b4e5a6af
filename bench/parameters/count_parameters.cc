// Prints, as CSV, what Orrery counts for each shipped model: the half of the comparison that
// count_with_transformers.py reads.
#include <cstdio>

#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"

int main() {
  using namespace orrery::graph;
  std::printf("model,parameters,active,next_token,published_elements,weight_bytes\n");
  for (const std::string& name : shipped_models()) {
    ModelConfig model = find_model(name);
    ParameterCount count = parameter_count(model);
    std::printf("%s,%.0f,%.0f,%.0f,%.0f,%.0f\n", name.c_str(), count.total(), count.active,
                count.by_component[static_cast<size_t>(Component::NextToken)], published_elements(model),
                weight_bytes(model).total().value());
  }
}

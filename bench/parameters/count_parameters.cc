// Prints, as CSV, what Orrery counts for each model (names or paths; none: all shipped ones): the half of the
// comparisons in this folder that the Python scripts read.
#include <cstdio>
#include <string>
#include <vector>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"

int main(int count, char** arguments) try {
  using namespace orrery::graph;
  std::vector<std::string> names(arguments + 1, arguments + count);
  if (names.empty()) names = shipped_models();
  std::printf("model,parameters,active,next_token,published_elements,weight_bytes\n");
  for (const std::string& name : names) {
    ModelConfig model = find_model(name);
    ParameterCount counted = parameter_count(model);
    std::printf("%s,%.0f,%.0f,%.0f,%.0f,%.0f\n", name.c_str(), counted.total(), counted.active,
                counted.by_component[static_cast<size_t>(Component::NextToken)], published_elements(model),
                weight_bytes(model).total().value());
  }
  return 0;
} catch (const orrery::Error& wrong) {
  std::fprintf(stderr, "%s\n", wrong.what());
  return 2;
}

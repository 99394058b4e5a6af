#include "orrery/graph/readers/safetensors_index.h"

namespace orrery::graph {

double read_safetensors_total(const Node& document) {
  constexpr int64_t kMostBytes = int64_t{1} << 50;
  return static_cast<double>(document.at("metadata").at("total_size").as_integer(1, kMostBytes));
}

}  // namespace orrery::graph

// rooms: cost
// Any bytes as a SCALE-Sim topology: a graph that holds together and whose kernels have a price, or an
// InputError.
#include <cmath>
#include <cstdlib>
#include <string>

#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/graph/readers/scalesim_topology.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  std::string text(reinterpret_cast<const char*>(data), size);
  graph::is_scalesim_topology(text);
  try {
    graph::Graph graph = graph::parse_scalesim_topology(text, "net.csv");
    if (!graph::broken_invariant(graph).empty()) std::abort();
    hardware::Device device;
    device.memory_bandwidth = BytesPerSecond(1e12);
    device.architecture = hardware::Accelerator{};
    std::vector<cost::OperatorCost> costs(graph.kernels.size());
    cost::AcceleratorModel().price(graph.kernels, device, {}, costs);
    for (const cost::OperatorCost& cost : costs) {
      if (!(cost.cycles.value() > 0) || !std::isfinite(cost.cycles.value())) std::abort();
    }
  } catch (const InputError&) {
  }
  return 0;
}

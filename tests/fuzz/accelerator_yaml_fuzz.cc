// rooms: hardware
// Any bytes as an accelerator file: a chip with an area and a power that can be written and read again, or an
// InputError.
#include <cmath>
#include <cstdlib>
#include <string>

#include "orrery/base/document.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/accelerator_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  using namespace orrery::hardware;
  try {
    Node document = parse_yaml(std::string(reinterpret_cast<const char*>(data), size), "chip.yaml");
    if (!is_accelerator(document)) return 0;
    Device device = read_accelerator(document);
    const Accelerator& chip = *device.accelerator();
    SquareMetres core = core_area(chip, area_table(chip.area_table));
    Watts power = thermal_design_power(chip, device.memory_bandwidth, core).total();
    if (!(core.value() > 0) || !(power.value() > 0)) std::abort();
    Device again = read_accelerator(parse_yaml(accelerator_yaml(device), "again.yaml"));
    if (tuple_text(*again.accelerator()) != tuple_text(chip)) std::abort();
  } catch (const InputError&) {
  }
  return 0;
}

// One Device type for all that runs a graph. Models ask for the architecture they fit and say so when it is
// another.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/hardware/accelerator.h"
#include "orrery/hardware/gpu.h"

namespace orrery::hardware {

// What a device is made of, for embodied carbon: filled as far as it is known.
struct Part {
  std::string name, technology;
  SquareMetres area;  // dies
  Bytes capacity;     // memories
  int count = 1;
};
using BillOfMaterials = std::vector<Part>;

struct Price {
  Dollars purchase;       // 0 = not known
  DollarsPerSecond rent;  // 0 = not known
  std::string source;
};

// A published measurement and where it stands, for people: what, "2.97 TB/s", the key of its source, how it
// was taken.
struct MeasuredFigure {
  std::string what, value, source, condition;
};
struct Citation {
  std::string key, text;
};

struct Device {
  std::string name;   // as the catalogue files are named: "h100-sxm5-80gb"
  std::string title;  // as people write it: "H100-SXM5-80GB"
  std::vector<std::string> aliases;
  std::string vendor;
  Bytes memory;
  std::string memory_type;
  BytesPerSecond memory_bandwidth;  // data sheet
  Watts tdp, idle;                  // 0 = not known: no power cap is applied
  BillOfMaterials parts;
  Price price;
  std::variant<Gpu, Accelerator> architecture;
  std::vector<std::string> notes;  // what was derived rather than given, and what is missing
  std::vector<MeasuredFigure> measured;
  std::vector<Citation> sources;

  const Gpu* gpu() const { return std::get_if<Gpu>(&architecture); }
  const Accelerator* accelerator() const { return std::get_if<Accelerator>(&architecture); }
};

}  // namespace orrery::hardware

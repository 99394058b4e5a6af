// `orrery show accelerators`: published chips as designs of the template, what the area law and the power sum
// say of them, and what is published.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/cli/document_json.h"
#include "orrery/cli/options.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"

namespace orrery::cli {
namespace {

using hardware::Catalogue;
using hardware::Device;
using report::Cell;
using report::Table;

constexpr const char* kCalibrated = "tpuv2";  // whose published power sets the calibration factor

struct Facts {
  hardware::AreaBreakdown area;
  hardware::PowerBreakdown power;
};

Facts facts_of(const Device& device, double calibration) {
  const hardware::Accelerator& chip = *device.accelerator();
  Facts facts;
  facts.area = hardware::area(chip, hardware::area_table(chip.area_table));
  facts.power = hardware::thermal_design_power(chip, device.memory_bandwidth, facts.area.core(), calibration);
  return facts;
}

double calibration_of(const Device& device) {
  const hardware::Accelerator& chip = *device.accelerator();
  SquareMetres core = hardware::core_area(chip, hardware::area_table(chip.area_table));
  return hardware::power_calibration(chip, device.memory_bandwidth, core, device.tdp);
}

Cell known(double value, double scale, int decimals) {
  return value > 0 ? report::number(value / scale, decimals) : Cell{};
}

std::vector<Cell> row_of(const std::string& name, const Device& device, double calibration) {
  const hardware::Accelerator& chip = *device.accelerator();
  Facts plain = facts_of(device, 1), calibrated = facts_of(device, calibration);
  double peak = 2.0 * chip.matrix_cores * chip.matrix_elements() * chip.clock.value();
  double die = device.parts.empty() ? 0 : device.parts.front().area.value();
  return {name,
          hardware::tuple_text(chip),
          report::number(chip.clock.value() / 1e6, 0),
          report::number(peak / 1e12),
          report::number(device.memory_bandwidth.value() / 1e9),
          report::number(plain.area.core().value() * 1e6),
          known(die, 1e-6, report::kSignificant),
          report::number(plain.power.total().value()),
          report::number(calibrated.power.total().value()),
          known(device.tdp.value(), 1, report::kSignificant)};
}

Table overview(const Catalogue& catalogue) {
  Device reference = catalogue.device(kCalibrated);
  double calibration = calibration_of(reference);
  Table table;
  table.title = "Accelerators that Orrery knows, as designs of one template";
  table.columns = {{"name", ""},        {"design", ""},    {"clock", "MHz"}, {"peak", "TOP/s"},
                   {"DRAM", "GB/s"},    {"core", "mm2"},   {"die", "mm2"},   {"TDP", "W"},
                   {"calibrated", "W"}, {"published", "W"}};
  for (const auto& entry : catalogue.accelerators())
    table.rows.push_back(row_of(entry.name, catalogue.device(entry.name), calibration));
  table.notes = {
      "design: matrix cores x columns x rows, vector cores x lanes, global buffer. core: the template alone "
      "at 22 nm by "
      "the area law; die: published, at the chip's own node, with memory and link PHYs, control and clock "
      "tree.",
      "TDP: the sum of everything busy; calibrated: its dynamic part times " + report::show(calibration) +
          ", with which " + reference.title +
          " comes to its published power. Energies are those of 22 nm: newer nodes take less, int8 and "
          "edge designs have less around them.",
      "Your own: --device my-accelerator.yaml (docs/formats.md)."};
  return table;
}

struct Options {
  std::vector<std::string> names;
};

std::string path_of(const Catalogue& catalogue, const std::string& name) {
  for (const auto& entry : catalogue.accelerators()) {
    if (entry.name == catalogue.device(name).name) return entry.path;
  }
  throw InputError("'" + name + "' is no accelerator; 'orrery show accelerators' lists them");
}

}  // namespace

Action declare_show_accelerators(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->names, "The accelerators to show whole");
  add_json(app, common);
  return [&common, options] {
    const Catalogue& catalogue = Catalogue::shipped();
    for (const std::string& name : options->names) {
      std::string path = path_of(catalogue, name);
      *common.out << (common.json ? document_as_json(path) : read_file(path)) << "\n";
    }
    if (!options->names.empty()) return 0;
    Table table = overview(catalogue);
    *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
    return 0;
  };
}

}  // namespace orrery::cli

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/validate/wham_parts.h"
#include "orrery/validate/wham_timeloop.h"

namespace orrery::validate {
namespace {

using hardware::Device;

void timeloop(WhamWork& work) {
  const std::vector<TimeloopDesign> designs = compare_with_timeloop(work.request.data_folder);
  work.out.tables.push_back(timeloop_table(designs));
  for (const TimeloopDesign& design : designs) {
    if (design.name != "eyeriss_like") continue;
    constexpr double kComponent = .10, kTotal = .15;
    double worst = 0;
    for (const TimeloopComponent& c : design.components) {
      if (c.name == "DRAM" || c.name == "shared_glb" || c.name == "mac")
        worst = std::max(worst, std::abs(c.difference()));
    }
    const double total = design.our_microjoules / design.their_microjoules - 1;
    work.ask("12: Timeloop's eyeriss-like design: DRAM, global buffer, multiplier", "within 10 %",
             fmt::format("{:.1f} %", 100 * worst), worst <= kComponent);
    work.ask("12: its total", "within 15 %", fmt::format("{:+.1f} %", 100 * total),
             std::abs(total) <= kTotal);
  }
}

void eyeriss(WhamWork& work) {
  const CsvTable layers = read_csv(data_folder() + "/measured/eyeriss-alexnet.csv");
  constexpr double kClock = 200e6;
  report::Table table;
  table.title = "Eyeriss silicon, AlexNet at batch 4: every active element one multiplication a cycle";
  table.columns = {
      {"layer", ""}, {"active elements", ""}, {"measured", "ms"}, {"ours", "ms"}, {"difference", "%"}};
  double worst = 0;
  for (size_t row = 0; row < layers.rows(); ++row) {
    const double active = layers.number(row, layers.at("active_elements")),
                 measured = layers.number(row, layers.at("processing_ms")),
                 ours = 1e3 * layers.number(row, layers.at("multiply_accumulates")) / (active * kClock);
    worst = std::max(worst, std::abs(ours / measured - 1));
    table.rows.push_back({std::string(layers.cell(row, layers.at("layer"))), report::number(active, 0),
                          report::number(measured, 1), report::number(ours, 1),
                          report::number(100 * (ours / measured - 1), 1)});
  }
  table.notes = {
      "Always short: silicon also fills and drains its array. The numbers of active elements are measured, "
      "not ours: the template has no row-stationary dataflow. Chen et al., JSSC 2017, table V."};
  work.out.tables.push_back(std::move(table));
  work.ask("12: Eyeriss CONV1-5, latency from active elements", "within 25 %",
           fmt::format("{:.0f} %", 100 * worst), worst <= .25);
}

double node_of(const Device& device) {
  double nm = 0;
  if (!device.parts.empty()) {
    const std::string& text = device.parts.front().technology;
    std::from_chars(text.data(), text.data() + text.size(), nm);
  }
  return nm;
}

// Arithmetic and registers between 45 nm (2.0 pJ a multiply-accumulate of 16 bits) and 7 nm (0.59), large
// memories between 100 and 14 pJ an access (1 MiB, 64 bits); DRAM stays. N. Jouppi et al., ISCA 2021,
// table 2.
hardware::EnergyTable at_process(hardware::EnergyTable table, double nanometres) {
  const double span = std::log(45.0 / 7), ratio = nanometres / table.process_nm;
  const double logic = std::pow(ratio, std::log(2.0 / 0.59) / span),
               memory = std::pow(ratio, std::log(100.0 / 14) / span);
  table.multiply_accumulate *= logic;
  table.registers *= logic;
  table.global_at_reference *= memory;
  table.process_nm = nanometres;
  return table;
}

struct ChipPower {
  double node = 0, at22 = 0, at_node = 0, at_node_dynamic = 0, published = 0, core = 0, die = 0;
};

ChipPower power_of(const Device& device) {
  ChipPower p;
  p.node = node_of(device);
  p.published = device.tdp.value();
  p.die = device.parts.empty() ? 0 : device.parts.front().area.value();
  hardware::Accelerator chip = *device.accelerator();
  const hardware::AreaTable areas = hardware::area_table(chip.area_table);
  p.core = hardware::core_area(chip, areas).value();
  p.at22 =
      hardware::thermal_design_power(chip, device.memory_bandwidth, SquareMetres(p.core)).total().value();
  if (p.node > 0) {
    chip.energy = at_process(chip.energy, p.node);
    const SquareMetres core = hardware::core_area(chip, hardware::at_process(areas, p.node));
    const hardware::PowerBreakdown power =
        hardware::thermal_design_power(chip, device.memory_bandwidth, core);
    p.at_node = power.total().value();
    p.at_node_dynamic = power.dynamic().value();
  }
  return p;
}

// The factor on dynamic power with which one chip of a node comes to its published figure.
double factor_of(const ChipPower& p) {
  return (p.published - (p.at_node - p.at_node_dynamic)) / p.at_node_dynamic;
}

void published_chips(WhamWork& work) {
  const hardware::Catalogue& catalogue = hardware::Catalogue::shipped();
  struct Chip {
    const char *name, *factor_from;  // of the same node; "": none published beside it
  };
  constexpr Chip kChips[] = {
      {"tpuv1", ""}, {"tpuv4i", "tpuv4"}, {"tpuv2", "tpuv3"}, {"tpuv3", "tpuv2"}, {"tpuv4", "tpuv4i"}};
  report::Table table;
  table.title = "Published TPUs: thermal design power by the model";
  table.columns = {{"chip", ""},      {"node", "nm"},          {"cores", "mm2 at 22 nm"},
                   {"die", "mm2"},    {"22 nm energies", "W"}, {"at its node", "W"},
                   {"factor of", ""}, {"factor", ""},          {"calibrated", "W"},
                   {"published", "W"}};
  std::array<double, 4> plain{}, calibrated{};
  for (size_t i = 0; i < std::size(kChips); ++i) {
    const Chip& chip = kChips[i];
    const ChipPower p = power_of(catalogue.device(chip.name));
    const double factor = *chip.factor_from ? factor_of(power_of(catalogue.device(chip.factor_from))) : 1;
    const double total = p.at_node + (factor - 1) * p.at_node_dynamic;
    if (i < plain.size()) {
      plain[i] = p.at22;
      calibrated[i] = total;
    }
    table.rows.push_back({std::string(chip.name), report::number(p.node, 0), report::number(p.core * 1e6, 0),
                          report::number(p.die * 1e6, 0), report::number(p.at22, 0),
                          report::number(p.at_node, 0),
                          std::string(*chip.factor_from ? chip.factor_from : "-"), report::number(factor, 2),
                          report::number(total, 0), report::number(p.published, 0)});
  }
  table.notes = {
      "Above its idle power TPUv4i takes 1.7 pJ of dynamic power a multiplication at its peak, TPUv2 9.9: "
      "published "
      "tables of energies give a factor of 1.7 between their nodes, the rest is clock tree, margins and what "
      "the chip "
      "never runs at once. One factor for all nodes therefore puts TPUv4i above TPUv2; a chip calibrated by "
      "another "
      "of its own node, as here, is in order."};
  work.out.tables.push_back(std::move(table));
  const auto ordered = [](const std::array<double, 4>& w) {
    return w[0] < w[1] && w[1] < w[2] && w[2] < w[3];
  };
  work.ask("12: order of TDP v1 < v4i < v2 < v3, each by another chip of its node", "in order",
           fmt::format("{:.0f}, {:.0f}, {:.0f}, {:.0f} W", calibrated[0], calibrated[1], calibrated[2],
                       calibrated[3]),
           ordered(calibrated));
  work.ask("12: the same by 22 nm energies alone", "in order",
           fmt::format("{:.0f}, {:.0f}, {:.0f}, {:.0f} W", plain[0], plain[1], plain[2], plain[3]),
           ordered(plain));
}

}  // namespace

void validate_wham_energy(WhamWork& work) {
  timeloop(work);
  eyeriss(work);
  published_chips(work);
}

}  // namespace orrery::validate

#include "orrery/hardware/technology.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::hardware {
namespace {

constexpr double kKibi = 1024, kMebi = kKibi * kKibi;
constexpr double kSquareMicrometre = 1e-12, kSquareMillimetre = 1e-6;
constexpr double kLogicExponent = 2, kMemoryExponent = 1.6;
constexpr double kScalingStalls = 7;  // nm

double positive(const Node& node, Unit unit) {
  double value = node.as_quantity(unit);
  if (!(value > 0)) node.fail(fmt::format("'{}' must be above zero", printable(node.text())));
  return value;
}

double nanometres(const Node& root) {
  const Node& process = root.at("process");
  double nm = positive(process, Unit::Metres) * 1e9;
  if (nm > 1000) process.fail("a process above 1000 nm: is the unit right?");
  return nm;
}

void needs_sources(const Node& root) {
  if (root.at("sources").entries().empty()) root.at("sources").fail("expected at least one source");
}

CapacityTable read_capacities(const Node& map, double unit) {
  std::vector<CapacityTable::Point> points;
  for (const auto& [key, value] : map.entries()) {
    double capacity = 0;
    try {
      capacity = parse_quantity(key, Unit::None);
    } catch (const UnitError&) {
      value.fail(fmt::format("'{}' is no capacity; expected a number", printable(key)));
    }
    if (!(capacity > 0)) value.fail("a capacity must be above zero");
    if (!points.empty() && capacity * unit <= points.back().capacity.value())
      value.fail("capacities must ascend");
    points.push_back({Bytes(capacity * unit), SquareMetres(value.as_number(1e-3, 1e15) * kSquareMicrometre)});
  }
  if (points.size() < 2) map.fail("expected at least two capacities, to interpolate between");
  return CapacityTable(std::move(points));
}

bool is_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".yaml") || text.ends_with(".yml");
}

std::vector<std::string> shipped_tables(std::string_view kind) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& file : std::filesystem::directory_iterator(data_folder() + "/technologies", failure)) {
    if (file.path().extension() != ".yaml") continue;
    if (read_document(file.path().string()).at("kind").text() == kind)
      names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Node table_document(const std::string& name_or_path, std::string_view kind) {
  std::string path = is_path(name_or_path)
                         ? name_or_path
                         : fmt::format("{}/technologies/{}.yaml", data_folder(), name_or_path);
  if (!is_path(name_or_path) && !file_exists(path)) {
    throw InputError(fmt::format("there is no {} table '{}'; known are {}", kind, printable(name_or_path, 40),
                                 join(shipped_tables(kind), ", ")));
  }
  Node root = read_document(path);
  const Node& given = root.at("kind");
  if (given.text() != kind) {
    given.fail(
        fmt::format("expected a table of kind '{}'; known are {}", kind, join(shipped_tables(kind), ", ")));
  }
  return root;
}

}  // namespace

SquareMetres CapacityTable::area(Bytes capacity) const {
  auto above = std::lower_bound(points_.begin(), points_.end(), capacity,
                                [](const Point& p, Bytes c) { return p.capacity < c; });
  if (above != points_.end() && above->capacity == capacity) return above->area;
  above = std::clamp(above, points_.begin() + 1, points_.end() - 1);
  const Point &low = *(above - 1), &high = *above;
  double slope = std::log(high.area / low.area) / std::log(high.capacity / low.capacity);
  return low.area * std::pow(capacity / low.capacity, slope);
}

bool CapacityTable::holds(Bytes capacity) const {
  return std::any_of(points_.begin(), points_.end(), [&](const Point& p) { return p.capacity == capacity; });
}

SquareMetres AreaTable::element(int bits, Bytes registers) const {
  for (const Element& known : exact) {
    if (known.bits == bits && known.registers == registers) return known.area * logic_factor;
  }
  return (per_operand_bit * bits + per_register_byte * registers.value()) * logic_factor;
}

Joules EnergyTable::global_buffer(Bytes capacity) const {
  return reference.value() > 0 ? global_at_reference * std::sqrt(capacity / reference) : global_at_reference;
}

AreaTable read_area_table(const Node& root, const std::string& name) {
  root.allow_only({"kind", "process", "operand_bits", "processing_element", "buffer_um2", "global_buffer_um2",
                   "sources"});
  AreaTable table;
  table.name = name;
  table.process_nm = nanometres(root);
  table.operand_bits = static_cast<int>(root.at("operand_bits").as_integer(1, 64));
  const Node& element = root.at("processing_element");
  element.allow_only({"per_operand_bit", "per_register_byte", "exact"});
  table.per_operand_bit =
      SquareMetres(element.at("per_operand_bit").as_number(1e-6, 1e9) * kSquareMicrometre);
  table.per_register_byte =
      SquareMetres(element.at("per_register_byte").as_number(0, 1e9) * kSquareMicrometre);
  if (const Node* exact = element.find("exact")) {
    for (const Node& row : exact->items()) {
      if (row.items().size() != 3) row.fail("expected [bits, register bytes, um2]");
      table.exact.push_back({static_cast<int>(row.items()[0].as_integer(1, 64)),
                             Bytes(row.items()[1].as_number(0, 1e6)),
                             SquareMetres(row.items()[2].as_number(1e-6, 1e9) * kSquareMicrometre)});
    }
  }
  table.buffer = read_capacities(root.at("buffer_um2"), kKibi);
  table.global_buffer = read_capacities(root.at("global_buffer_um2"), kMebi);
  needs_sources(root);
  return table;
}

EnergyTable read_energy_table(const Node& root, const std::string& name) {
  root.allow_only({"kind", "process", "word_bits", "multiply_accumulate", "registers", "register_accesses",
                   "buffer", "global_buffer", "global_buffer_at", "dram", "leakage_W_per_mm2", "sources"});
  EnergyTable table;
  table.name = name;
  table.process_nm = nanometres(root);
  table.word_bits = static_cast<int>(root.at("word_bits").as_integer(1, 64));
  auto energy = [&](std::string_view key) { return Joules(positive(root.at(key), Unit::Joules)); };
  table.multiply_accumulate = energy("multiply_accumulate");
  table.registers = energy("registers");
  table.register_accesses = root.at("register_accesses").as_number(0, 100);
  table.buffer = energy("buffer");
  table.global_at_reference = energy("global_buffer");
  if (const Node* at = root.find("global_buffer_at")) table.reference = Bytes(positive(*at, Unit::Bytes));
  table.dram = energy("dram");
  table.leakage = root.at("leakage_W_per_mm2").as_number(0, 100) / kSquareMillimetre;
  needs_sources(root);
  return table;
}

AreaTable area_table(const std::string& name_or_path) {
  return read_area_table(table_document(name_or_path, "area"), name_or_path);
}

EnergyTable energy_table(const std::string& name_or_path) {
  return read_energy_table(table_document(name_or_path, "energy"), name_or_path);
}

AreaTable at_process(AreaTable table, double to) {
  if (!(to > 0 && to <= 1000))
    throw InputError(fmt::format("a process of {:g} nm; expected 1 to 1000 nm", to));
  if (to == table.process_nm) return table;
  double ratio = to / table.process_nm;
  table.logic_factor *= std::pow(ratio, kLogicExponent);
  table.memory_factor *= std::pow(ratio, kMemoryExponent);
  table.notes.push_back(
      fmt::format("areas of {} scaled from {:g} to {:g} nm: logic x{:.3g}, memories x{:.3g}", table.name,
                  table.process_nm, to, table.logic_factor, table.memory_factor));
  if (to < kScalingStalls)
    table.notes.push_back(
        "scaling has stalled below 7 nm: memories hardly shrink, so these areas are optimistic");
  table.process_nm = to;
  return table;
}

}  // namespace orrery::hardware

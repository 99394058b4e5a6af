#include "orrery/hardware/accelerator_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/text.h"
#include "orrery/hardware/technology.h"

namespace orrery::hardware {
namespace {

constexpr int64_t kMostCores = 4096, kMostSide = 65536;
constexpr double kMostBandwidth = 100e12, kMostClock = 10e9;
constexpr double kLeastBandwidth = 1e3, kLeastClock = 1e3, kLeastBuffer = 1024;
constexpr double kMebi = 1024.0 * 1024.0;

double positive(const Node& node, Unit unit, double most, std::string_view what, double least = 0) {
  double value = node.as_quantity(unit);
  if (!(value > 0)) node.fail(fmt::format("'{}' must be above zero", printable(node.text())));
  if (value < least) node.fail(fmt::format("'{}' is too small: is the unit right?", printable(node.text())));
  if (value > most)
    node.fail(fmt::format("'{}' is above {}: is the unit right?", printable(node.text()), what));
  return value;
}

class Reader {
 public:
  explicit Reader(const Node& root) : root_(root) {}

  Device read() {
    root_.allow_only({"name",
                      "aliases",
                      "matrix_cores",
                      "rows",
                      "columns",
                      "vector_cores",
                      "lanes",
                      "matrix_registers",
                      "vector_registers",
                      "matrix_buffer",
                      "vector_buffer",
                      "matrix_buffers",
                      "global_buffer",
                      "global_bandwidth",
                      "word_bits",
                      "accumulator_bits",
                      "clock",
                      "memory",
                      "memory_type",
                      "memory_bandwidth",
                      "area_table",
                      "energy_table",
                      "uncore",
                      "tdp",
                      "idle_power",
                      "process",
                      "die_area",
                      "sources"});
    read_identity();
    read_cores();
    read_buffers();
    read_memory();
    read_tables();
    read_chip();
    device_.architecture = chip_;
    return std::move(device_);
  }

 private:
  int count(std::string_view key, int64_t most) {
    return static_cast<int>(root_.at(key).as_integer(1, most));
  }

  void read_identity() {
    device_.title = root_.at("name").text();
    if (device_.title.empty()) root_.at("name").fail("expected the accelerator's name");
    device_.name = lower_case(device_.title);
    if (const Node* aliases = root_.find("aliases")) {
      for (const Node& alias : aliases->items()) device_.aliases.push_back(lower_case(alias.as_string()));
    }
    for (const auto& [key, value] : root_.at("sources").entries())
      device_.sources.push_back({key, value.as_string()});
    if (device_.sources.empty()) root_.at("sources").fail("expected at least one source");
  }

  void read_cores() {
    chip_.matrix_cores = count("matrix_cores", kMostCores);
    chip_.rows = count("rows", kMostSide);
    chip_.columns = count("columns", kMostSide);
    chip_.vector_cores = count("vector_cores", kMostCores);
    chip_.lanes = count("lanes", kMostSide);
    if (const Node* bits = root_.find("word_bits"))
      chip_.word_bits = static_cast<int>(bits->as_integer(1, 64));
    if (const Node* bits = root_.find("accumulator_bits"))
      chip_.accumulator_bits = static_cast<int>(bits->as_integer(chip_.word_bits, 128));
    chip_.clock = Hertz(positive(root_.at("clock"), Unit::Hertz, kMostClock, "10 GHz", kLeastClock));
  }

  void read_buffers() {
    auto size = [&](std::string_view key, Bytes& into) {
      if (const Node* node = root_.find(key)) into = Bytes(positive(*node, Unit::Bytes, 1e12, "1 TB"));
    };
    size("matrix_registers", chip_.matrix_registers);
    size("vector_registers", chip_.vector_registers);
    size("matrix_buffer", chip_.matrix_buffer);
    size("vector_buffer", chip_.vector_buffer);
    not_below_rule("matrix_buffer", chip_.matrix_buffer, derived_buffer(chip_.matrix_elements()));
    not_below_rule("vector_buffer", chip_.vector_buffer, derived_buffer(chip_.lanes));
    if (const Node* node = root_.find("matrix_buffers"))
      chip_.matrix_buffers = static_cast<int>(node->as_integer(1, 3));
    chip_.global_buffer = Bytes(positive(root_.at("global_buffer"), Unit::Bytes, 1e12, "1 TB", kLeastBuffer));
    if (const Node* node = root_.find("global_bandwidth"))  // a second, as data sheets give it
      chip_.global_bytes_per_cycle =
          positive(*node, Unit::BytesPerSecond, 1e15, "1000 TB/s") / chip_.clock.value();
  }

  void not_below_rule(std::string_view key, Bytes given, Bytes least) const {
    if (given.value() > 0 && given < least) {
      root_.at(key).fail(
          fmt::format("{} is below the {} that the core's elements need: give that, or leave it out",
                      format(given), format(least)));
    }
  }

  void read_memory() {
    device_.memory = Bytes(positive(root_.at("memory"), Unit::Bytes, 2e12, "2 TB"));
    if (const Node* type = root_.find("memory_type")) device_.memory_type = type->as_string();
    device_.memory_bandwidth = BytesPerSecond(positive(root_.at("memory_bandwidth"), Unit::BytesPerSecond,
                                                       kMostBandwidth, "100 TB/s", kLeastBandwidth));
  }

  void read_tables() {
    if (const Node* name = root_.find("area_table")) {
      chip_.area_table = name->as_string();
      known(*name, [&] { area_table(chip_.area_table); });
    }
    std::string energy = "wham-default";
    if (const Node* name = root_.find("energy_table")) energy = name->as_string();
    known(root_.find("energy_table") ? root_.at("energy_table") : root_,
          [&] { chip_.energy = energy_table(energy); });
  }

  template <class Read>
  static void known(const Node& name, Read read) {
    try {
      read();
    } catch (const InputError& wrong) {
      if (!wrong.place().file.empty()) throw;
      name.fail(wrong.what());
    }
  }

  void read_chip() {
    if (const Node* uncore = root_.find("uncore")) {
      uncore->allow_only({"area", "power"});
      if (const Node* area = uncore->find("area"))
        chip_.uncore.area = SquareMetres(positive(*area, Unit::SquareMetres, 0.1, "100,000 mm2"));
      if (const Node* power = uncore->find("power"))
        chip_.uncore.power = Watts(positive(*power, Unit::Watts, 1e5, "100 kW"));
    }
    if (const Node* tdp = root_.find("tdp")) device_.tdp = Watts(positive(*tdp, Unit::Watts, 1e5, "100 kW"));
    if (const Node* idle = root_.find("idle_power")) {
      device_.idle = Watts(positive(*idle, Unit::Watts, 1e5, "100 kW"));
      if (device_.tdp.value() > 0 && device_.idle >= device_.tdp) idle->fail("idle_power is not below tdp");
    }
    const Node *die = root_.find("die_area"), *process = root_.find("process");
    if (process) positive(*process, Unit::Metres, 1e-6, "1000 nm");
    if (die) {
      device_.parts.push_back({"die", process ? process->text() : "",
                               SquareMetres(positive(*die, Unit::SquareMetres, 0.1, "100,000 mm2")), Bytes(0),
                               1});
    }
  }

  const Node& root_;
  Device device_;
  Accelerator chip_;
};

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : printable(text, 1000)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

}  // namespace

bool is_accelerator(const Node& root) {
  return root.is_map() && root.find("matrix_cores") != nullptr;
}

Device read_accelerator(const Node& root) {
  return Reader(root).read();
}

std::string accelerator_yaml(const Device& device) {
  const Accelerator& chip = *device.accelerator();
  std::string text = fmt::format("name: {}\n", quoted(device.title.empty() ? device.name : device.title));
  auto line = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{}: {}\n", key, value);
  };
  line("matrix_cores", std::to_string(chip.matrix_cores));
  line("rows", std::to_string(chip.rows));
  line("columns", std::to_string(chip.columns));
  line("vector_cores", std::to_string(chip.vector_cores));
  line("lanes", std::to_string(chip.lanes));
  line("matrix_registers", fmt::format("{} B", chip.matrix_registers.value()));
  line("vector_registers", fmt::format("{} B", chip.vector_registers.value()));
  if (chip.matrix_buffer.value() > 0) line("matrix_buffer", fmt::format("{} B", chip.matrix_buffer.value()));
  if (chip.vector_buffer.value() > 0) line("vector_buffer", fmt::format("{} B", chip.vector_buffer.value()));
  line("matrix_buffers", std::to_string(chip.matrix_buffers));
  line("global_buffer", fmt::format("{} MiB", chip.global_buffer.value() / kMebi));
  line("global_bandwidth", fmt::format("{} B/s", chip.global_bytes_per_cycle * chip.clock.value()));
  line("word_bits", std::to_string(chip.word_bits));
  line("accumulator_bits", std::to_string(chip.accumulator_bits));
  line("clock", fmt::format("{} Hz", chip.clock.value()));
  line("memory", fmt::format("{} B", device.memory.value()));
  if (!device.memory_type.empty()) line("memory_type", quoted(device.memory_type));
  line("memory_bandwidth", fmt::format("{} B/s", device.memory_bandwidth.value()));
  line("area_table", quoted(chip.area_table));
  if (!chip.energy.name.empty()) line("energy_table", quoted(chip.energy.name));
  if (chip.uncore.area.value() > 0 || chip.uncore.power.value() > 0) {
    std::string area = fmt::format("area: {} mm2", chip.uncore.area.value() * 1e6);
    std::string power = fmt::format("power: {} W", chip.uncore.power.value());
    bool both = chip.uncore.area.value() > 0 && chip.uncore.power.value() > 0;
    line("uncore", fmt::format("{{{}}}", both                           ? area + ", " + power
                                         : chip.uncore.area.value() > 0 ? area
                                                                        : power));
  }
  text += "sources:\n";
  for (const Citation& source : device.sources) {
    text += fmt::format("  {}: {}\n", quoted(source.key), quoted(source.text));
  }
  if (device.sources.empty()) text += "  design: 'given as figures, without a source'\n";
  return text;
}

}  // namespace orrery::hardware

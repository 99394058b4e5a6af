#include "orrery/validate/wham_timeloop.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::validate {
namespace {

using cost::LoopDim;

constexpr int64_t kStride = 2;  // a 225 x 225 image for 112 x 112 outputs
constexpr size_t kOutputs = 2;

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin + 1);
}

// component -> quantity -> value, of one design.
using Quantities = std::map<std::string, std::map<std::string, double>>;

std::map<std::string, Quantities> read_reference(const std::string& file) {
  CsvTable table = read_csv(file);
  const int design = table.at("design"), component = table.at("component"), quantity = table.at("quantity"),
            value = table.at("value");
  std::map<std::string, Quantities> designs;
  for (size_t row = 0; row < table.rows(); ++row) {
    std::string name(table.cell(row, component));
    name = name.substr(0, name.find('['));
    std::string what(table.cell(row, quantity));
    if (what == "attr_technology") continue;  // a word
    designs[std::string(table.cell(row, design))][name][what] = table.number(row, value);
  }
  return designs;
}

double of(const Quantities& design, const std::string& component, const std::string& quantity,
          const std::string& file) {
  auto found = design.find(component);
  if (found != design.end()) {
    auto value = found->second.find(quantity);
    if (value != found->second.end()) return value->second;
  }
  throw InputError(Place{file, 0, 0}, "misses " + quantity + " of " + component);
}

// Energies are those of a row of the memory, which holds several words.
double energy_of_level(const cost::LevelAccesses& level, const Quantities& design, const std::string& file) {
  const double words =
      of(design, level.name, "attr_width", file) / of(design, level.name, "attr_datawidth", file);
  auto energy = [&](const char* action) {
    return of(design, level.name, std::string("energy_pJ_") + action, file) / words;
  };
  double picojoules = 0;
  for (size_t t = 0; t < cost::kLoopTensors; ++t) {
    picojoules += level.reads[t] * energy("read");
    picojoules += level.writes[t] * energy(t == kOutputs ? "update" : "write");
  }
  return picojoules;
}

}  // namespace

std::vector<TimeloopMapping> parse_timeloop_mappings(std::string_view text, const std::string& file,
                                                     int64_t stride) {
  std::vector<TimeloopMapping> mappings;
  int number = 0;
  auto fail = [&](const std::string& what) { throw InputError(Place{file, number, 1}, what); };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with("---")) continue;
    if (line.starts_with("#####")) {
      mappings.push_back({std::string(trimmed(line.substr(5))), {{}, stride}});
      continue;
    }
    if (mappings.empty()) fail("expected '##### design' before its levels");
    std::vector<cost::LoopLevel>& levels = mappings.back().nest.levels;
    if (line[0] != '|') {  // NAME [ Weights:864 (864) ... ]
      cost::LoopLevel level;
      level.name = std::string(trimmed(line.substr(0, line.find('['))));
      level.keeps = {line.find("Weights:") != line.npos, line.find("Inputs:") != line.npos,
                     line.find("Outputs:") != line.npos};
      levels.push_back(std::move(level));
      continue;
    }
    size_t at = line.find("for ");
    if (at == line.npos) continue;  // << Compute >>
    if (levels.empty()) fail("a loop before the first level");
    std::string_view loop = line.substr(at + 4);  // "P in [0:8) (Spatial-X)"
    constexpr std::string_view kDims = "CMPQRS";
    size_t dim = loop.empty() ? kDims.npos : kDims.find(loop[0]), colon = loop.find(':');
    if (dim == kDims.npos || colon == loop.npos) fail("expected 'for P in [0:8)'");
    int64_t trips = 0;
    std::from_chars(loop.data() + colon + 1, loop.data() + loop.size(), trips);
    if (trips < 1 || trips > (int64_t{1} << 31)) fail("expected 1 to 2^31 trips");
    levels.back().loops.push_back({static_cast<LoopDim>(dim), trips, loop.find("Spatial") != loop.npos});
  }
  return mappings;
}

std::vector<TimeloopDesign> compare_with_timeloop(const std::string& data_folder) {
  const std::string reference = data_folder + "/wham/timeloop-reference.csv",
                    mappings = data_folder + "/wham/timeloop-mappings.txt";
  const std::map<std::string, Quantities> theirs = read_reference(reference);
  std::vector<TimeloopDesign> designs;
  for (const TimeloopMapping& mapping : parse_timeloop_mappings(read_file(mappings), mappings, kStride)) {
    auto found = theirs.find(mapping.design);
    if (found == theirs.end()) continue;
    const Quantities& design = found->second;
    const cost::LoopCounts counts = cost::count_accesses(mapping.nest);
    TimeloopDesign compared;
    compared.name = mapping.design;
    compared.their_cycles = of(design, "summary", "cycles", reference);
    compared.our_cycles = counts.cycles;
    compared.their_microjoules = of(design, "summary", "energy_uJ", reference);
    double all = 0;
    for (size_t l = 0; l < counts.levels.size(); ++l) {
      const auto& keeps = mapping.nest.levels[l].keeps;
      if (!keeps[0] && !keeps[1] && !keeps[2]) continue;  // a network between instances
      const double energy = energy_of_level(counts.levels[l], design, reference);
      all += energy;
      compared.components.push_back({counts.levels[l].name,
                                     of(design, counts.levels[l].name, "fJ_per_compute", reference),
                                     1e3 * energy / counts.multiply_accumulates});
    }
    const double mac = of(design, "mac", "energy_pJ_compute", reference) * counts.multiply_accumulates;
    all += mac;
    compared.components.push_back(
        {"mac", of(design, "mac", "fJ_per_compute", reference), 1e3 * mac / counts.multiply_accumulates});
    compared.our_microjoules = all * 1e-6;
    designs.push_back(std::move(compared));
  }
  return designs;
}

report::Table timeloop_table(const std::vector<TimeloopDesign>& designs) {
  report::Table table;
  table.title =
      "Timeloop's energies: one convolution (C 3, M 32, 112 x 112, 3 x 3, stride 2), its own mappings and "
      "energies an access";
  table.columns = {
      {"design", ""}, {"component", ""}, {"Timeloop", "fJ/MAC"}, {"ours", "fJ/MAC"}, {"difference", "%"}};
  table.keys = 2;
  for (const TimeloopDesign& design : designs) {
    for (const TimeloopComponent& c : design.components)
      table.rows.push_back({design.name, c.name, report::number(c.theirs, 1), report::number(c.ours, 1),
                            report::number(100 * c.difference(), 1)});
    table.rows.push_back({design.name, "all, uJ", report::number(design.their_microjoules, 2),
                          report::number(design.our_microjoules, 2),
                          report::number(100 * (design.our_microjoules / design.their_microjoules - 1), 1)});
    table.rows.push_back({design.name, "cycles", report::number(design.their_cycles, 0),
                          report::number(design.our_cycles, 0),
                          report::number(100 * (design.our_cycles / design.their_cycles - 1), 1)});
  }
  return table;
}

}  // namespace orrery::validate

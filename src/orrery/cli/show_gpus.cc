#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/cli/document_json.h"
#include "orrery/cli/options.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"

namespace orrery::cli {
namespace {

using hardware::Catalogue;
using hardware::Device;
using hardware::Gpu;
using report::Cell;
using report::Table;

struct Options {
  std::vector<std::string> names;
  bool names_only = false;
};

constexpr double kHour = 3600;

Cell figure(double si, double scale, int decimals = report::kSignificant) {
  return si > 0 ? report::number(si / scale, decimals) : Cell{};
}

Table overview(const Catalogue& catalogue) {
  Table table;
  table.title = "GPUs that Orrery knows (dense peaks; achieved: published microbenchmarks)";
  table.columns = {{"name", ""},        {"memory", "GB"},  {"DRAM", "GB/s"}, {"achieved", ""},
                   {"bf16", "TFLOP/s"}, {"achieved", ""},  {"fp8", ""},      {"TDP", "W"},
                   {"rent", "$/h"},     {"checked on", ""}};
  for (const auto& entry : catalogue.entries()) {
    Device device = catalogue.device(entry.name);
    const Gpu* gpu = device.gpu();
    if (!gpu) continue;
    auto rate = [&](DataType type) { return figure(gpu->peak_rate(type).value(), 1e12); };
    table.rows.push_back(
        {entry.name, figure(device.memory.value(), 1e9, 0), figure(device.memory_bandwidth.value(), 1e9, 0),
         figure(gpu->achievable.memory_bandwidth.value(), 1e9, 0), rate(DataType::BF16),
         figure(gpu->achievable.rate[static_cast<size_t>(DataType::BF16)].value(), 1e12), rate(DataType::FP8),
         figure(device.tdp.value(), 1, 0), figure(device.price.rent.value() * kHour, 1, 2),
         catalogue.checked_on(entry.name).text()});
  }
  table.notes = {
      "Your own: --device my-gpu.yaml, with the fields that 'orrery show gpus NAME' names (docs/formats.md).",
      "checked on: what was measured on this GPU and compared with predictions made without its rows."};
  return table;
}

}  // namespace

Action declare_show_gpus(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->names, "The GPUs to show whole");
  app.add_flag("--names", options->names_only, "Names and aliases alone, one a line");
  add_json(app, common);
  return [&common, options] {
    const Catalogue& catalogue = Catalogue::shipped();
    if (options->names_only) {
      for (const auto& entry : catalogue.entries()) {
        *common.out << entry.name << "\n";
        for (const std::string& alias : entry.aliases) *common.out << alias << "\n";
      }
      return 0;
    }
    if (!options->names.empty()) {
      for (const std::string& name : options->names) {
        const std::string& path = catalogue.resolve(name).path;
        *common.out << (common.json ? document_as_json(path) : read_file(path)) << "\n";
      }
      return 0;
    }
    Table table = overview(catalogue);
    *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
    return 0;
  };
}

}  // namespace orrery::cli

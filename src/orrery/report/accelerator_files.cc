#include "orrery/report/accelerator_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "orrery/base/csv.h"
#include "orrery/cost/accelerator/matrix_work.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/accelerator_reader.h"
#include "orrery/report/perfetto.h"

namespace orrery::report {
namespace {

using explore::DesignPoint;

constexpr double kSquareMillimetres = 1e6;

struct Layer {
  int64_t m, n, k;
  auto operator<=>(const Layer&) const = default;
};

// Distinct products of a pass over every workload, and how often they run.
std::map<Layer, double> layers_of(const AcceleratorReport& report) {
  std::map<Layer, double> layers;
  for (const explore::AcceleratorWorkload& load : report.study.workloads) {
    for (const graph::Operator& op : load.graph.operators) {
      for (const graph::OperatorShape& part : load.graph.kernels[op.kernel].parts) {
        for (const cost::MatrixWork& work : cost::matrix_work(part))
          layers[{work.size.m, work.size.n, work.size.k}] += static_cast<double>(work.size.batch);
      }
    }
  }
  return layers;
}

}  // namespace

std::string designs_csv(const AcceleratorReport& report) {
  std::vector<std::string> head = {
      "matrix_cores",        "columns",       "rows",  "vector_cores", "lanes",
      "global_buffer_bytes", "core_area_mm2", "tdp_W", "objective",    "meets_throughput"};
  for (const explore::AcceleratorWorkload& load : report.study.workloads)
    head.push_back("makespan_" + load.name + "_s");
  std::string text = csv_row(head) + "\n";
  const hardware::Accelerator& base = *report.study.base.accelerator();
  const hardware::AreaTable areas = hardware::area_table(base.area_table);
  for (const explore::DesignRecord& record : report.plan.designs) {
    const DesignPoint& p = record.point;
    const hardware::Accelerator chip = explore::accelerator(p, base);
    const SquareMetres core = hardware::core_area(chip, areas);
    const Watts tdp = hardware::thermal_design_power(chip, report.study.base.memory_bandwidth, core,
                                                     report.study.power_calibration)
                          .total();
    std::vector<std::string> cells = {
        std::to_string(p.matrix_cores),
        std::to_string(p.columns),
        std::to_string(p.rows),
        std::to_string(p.vector_cores),
        std::to_string(p.lanes),
        std::to_string(p.global_buffer),
        fmt::format("{}", core.value() * kSquareMillimetres),
        fmt::format("{}", tdp.value()),
        std::isfinite(record.objective) ? fmt::format("{}", record.objective) : "",
        record.meets_throughput ? "true" : "false"};
    for (double seconds : record.makespans) cells.push_back(fmt::format("{}", seconds));
    text += csv_row(cells) + "\n";
  }
  return text;
}

std::string found_accelerator_yaml(const AcceleratorReport& report) {
  const explore::EvaluatedDesign& best = *report.plan.result.best;
  hardware::Device device = explore::device(best.point, report.study.base);
  device.name = device.title = "found-accelerator";
  device.aliases.clear();
  device.measured.clear();
  device.parts.clear();
  device.price = {};
  device.tdp = best.tdp;
  device.sources.insert(device.sources.begin(),
                        {"plan", report.command.empty() ? "orrery plan accelerator" : report.command});
  return hardware::accelerator_yaml(device);
}

ScaleSimExport scalesim_export(const AcceleratorReport& report) {
  const DesignPoint& p = report.plan.result.best->point;
  cost::Dataflow dataflow = report.study.options.dataflow;
  if (dataflow == cost::Dataflow::Best) dataflow = cost::Dataflow::WeightStationary;
  const int64_t third = std::max<int64_t>(1, p.global_buffer / 1024 / 3);
  ScaleSimExport out;
  out.configuration = fmt::format(
      "[general]\nrun_name = orrery\n\n[architecture_presets]\nArrayHeight: {}\nArrayWidth: "
      "{}\nIfmapSramSzkB: {}\n"
      "FilterSramSzkB: {}\nOfmapSramSzkB: {}\nIfmapOffset: 0\nFilterOffset: 10000000\nOfmapOffset: 20000000\n"
      "Dataflow: {}\nBandwidth: {}\nMemoryBanks: 1\nReadRequestBuffer: 32\nWriteRequestBuffer: 32\n\n"
      "[layout]\nIfmapCustomLayout: False\nFilterCustomLayout: False\nIfmapSRAMBankBandwidth: "
      "10\nIfmapSRAMBankNum: 10\n"
      "IfmapSRAMBankPort: 2\nFilterSRAMBankBandwidth: 10\nFilterSRAMBankNum: 10\nFilterSRAMBankPort: 2\n\n"
      "[sparsity]\nSparsitySupport: false\nSparseRep: ellpack_block\nOptimizedMapping: false\nBlockSize: 8\n"
      "RandomNumberGeneratorSeed: 40\n\n[run_presets]\nInterfaceBandwidth: CALC\nUseRamulatorTrace: False\n",
      p.rows, p.columns, third, third, third, cost::name(dataflow),
      std::max<int64_t>(1, static_cast<int64_t>(report.study.base.memory_bandwidth.value() /
                                                report.study.base.accelerator()->clock.value() /
                                                report.study.base.accelerator()->word_bytes())));
  out.topology = "Layer,M,N,K,\n";
  out.layout = "Layer name,";
  constexpr int kLayoutColumns = 19;
  for (int i = 0; i < kLayoutColumns; ++i) out.layout += fmt::format("c{},", i);
  out.layout += "\n";
  out.cycles = "layer,m,n,k,times_a_pass,reported_cycles\n";
  int number = 0;
  for (const auto& [layer, times] : layers_of(report)) {
    const cost::ArrayRun run = cost::run_on_array({1, layer.m, layer.n, layer.k}, {p.rows, p.columns},
                                                  cost::ArrayMode::ScaleSim, dataflow);
    out.topology += fmt::format("L{},{},{},{},\n", number, layer.m, layer.n, layer.k);
    out.layout += fmt::format("L{},", number);
    for (int i = 0; i < kLayoutColumns; ++i) out.layout += "1,";
    out.layout += "\n";
    out.cycles +=
        fmt::format("L{},{},{},{},{:.0f},{:.0f}\n", number, layer.m, layer.n, layer.k, times, run.cycles - 1);
    ++number;
  }
  return out;
}

std::string timeloop_architecture(const AcceleratorReport& report) {
  const hardware::Accelerator chip =
      explore::accelerator(report.plan.result.best->point, *report.study.base.accelerator());
  const double word = chip.word_bytes(), clock = chip.clock.value();
  constexpr int kGlobalWords = 32, kBufferWords = 4;  // words of a row
  const int64_t global_rows = static_cast<int64_t>(chip.global_buffer.value() / word) / kGlobalWords,
                buffer_rows = std::max<int64_t>(
                    1, static_cast<int64_t>(hardware::matrix_buffer(chip).value() / word) / kBufferWords),
                registers = std::max<int64_t>(1, static_cast<int64_t>(chip.matrix_registers.value() / word));
  return fmt::format(
      "# Timeloop 0.4; made by: {command}\n"
      "architecture:\n  version: 0.4\n  nodes:\n"
      "  - !Container\n    name: system\n    attributes: {{technology: \"22nm\", global_cycle_seconds: "
      "{cycle}}}\n"
      "  - !Component\n    name: DRAM\n    class: DRAM\n"
      "    attributes: {{type: \"HBM2\", width: 64, datawidth: {bits}, shared_bandwidth: {dram}}}\n"
      "  - !Container\n    name: chip\n"
      "  - !Component\n    name: global_buffer\n    class: SRAM\n"
      "    attributes: {{depth: {global_rows}, width: {global_width}, datawidth: {bits}, shared_bandwidth: "
      "{global}}}\n"
      "  - !Container\n    name: matrix_core\n    spatial: {{meshX: {cores}}}\n"
      "  - !Component\n    name: core_buffer\n    class: SRAM\n"
      "    attributes: {{depth: {buffer_rows}, width: {buffer_width}, datawidth: {bits}}}\n"
      "  - !Container\n    name: column\n    spatial: {{meshX: {columns}}}\n"
      "  - !Container\n    name: element\n    spatial: {{meshY: {rows}}}\n"
      "  - !Component\n    name: registers\n    class: regfile\n"
      "    attributes: {{depth: {registers}, width: {bits}, datawidth: {bits}}}\n"
      "  - !Component\n    name: mac\n    class: intmac\n"
      "    attributes: {{multiplier_width: {bits}, adder_width: {sums}}}\n",
      fmt::arg("command", report.command), fmt::arg("cycle", 1 / clock), fmt::arg("bits", chip.word_bits),
      fmt::arg("dram", report.study.base.memory_bandwidth.value() / clock / word),
      fmt::arg("global_rows", global_rows), fmt::arg("global_width", kGlobalWords * chip.word_bits),
      fmt::arg("global", chip.global_bytes_per_cycle / word), fmt::arg("cores", chip.matrix_cores),
      fmt::arg("buffer_rows", buffer_rows), fmt::arg("buffer_width", kBufferWords * chip.word_bits),
      fmt::arg("columns", chip.columns), fmt::arg("rows", chip.rows), fmt::arg("registers", registers),
      fmt::arg("sums", chip.accumulator_bits));
}

std::string accelerator_timeline(const AcceleratorReport& report) {
  std::vector<NamedTimeline> timelines;
  for (const explore::WorkloadSchedule& schedule : report.plan.schedules)
    timelines.push_back({schedule.workload, &schedule.timeline});
  return perfetto_json(timelines);
}

}  // namespace orrery::report

#include <fmt/format.h>

#include <cmath>
#include <sstream>

#include "orrery/base/csv.h"
#include "orrery/cost/accelerator/array_cycles.h"
#include "orrery/cost/accelerator/matrix_work.h"
#include "orrery/graph/readers/network.h"
#include "orrery/graph/readers/onnx.h"
#include "orrery/validate/wham_parts.h"

namespace orrery::validate {
namespace {

// MxNxK, or IHxIWxFHxFWxCxFILTERSxSTRIDE; SCALE-Sim rounds the output's sides up.
graph::GemmSize size_of(const CsvTable& runs, size_t row) {
  const int kind = runs.at("kind"), dims = runs.at("dims");
  std::vector<int64_t> d;
  std::istringstream text{std::string(runs.cell(row, dims))};
  for (std::string part; std::getline(text, part, 'x');) d.push_back(std::strtoll(part.c_str(), nullptr, 10));
  if (runs.cell(row, kind) == "gemm" && d.size() == 3) return {1, d[0], d[1], d[2]};
  if (d.size() != 7 || d[6] < 1) runs.fail(row, dims, "expected MxNxK, or IHxIWxFHxFWxCxFILTERSxSTRIDE");
  auto output = [&](int64_t image, int64_t window) { return (image - window + 2 * d[6] - 1) / d[6]; };
  return {1, output(d[0], d[2]) * output(d[1], d[3]), d[5], d[2] * d[3] * d[4]};
}

void scalesim(WhamWork& work) {
  const CsvTable runs = read_csv(work.request.data_folder + "/wham/scalesim.csv");
  struct Tally {
    int runs = 0, equal = 0, reads = 0, equal_reads = 0;
  };
  std::array<Tally, 3> tallies;
  for (size_t row = 0; row < runs.rows(); ++row) {
    if (runs.cell(row, runs.at("bandwidth_words_per_cycle")) != "calc") continue;
    const auto dataflow = cost::parse_dataflow(runs.cell(row, runs.at("dataflow")));
    if (!dataflow) runs.fail(row, runs.at("dataflow"), "expected ws, os or is");
    auto side = [&](const char* column) {
      return static_cast<int>(runs.integer(row, runs.at(column), 1, 1 << 20));
    };
    const cost::ArrayRun run = cost::run_on_array(size_of(runs, row), {side("rows"), side("cols")},
                                                  cost::ArrayMode::ScaleSim, *dataflow);
    Tally& tally = tallies[static_cast<size_t>(*dataflow)];
    ++tally.runs;
    tally.equal += run.cycles == runs.number(row, runs.at("cycles")) + 1;
    if (*dataflow == cost::Dataflow::InputStationary) continue;
    ++tally.reads;
    tally.equal_reads += run.lhs_reads == runs.number(row, runs.at("sram_ifmap_reads")) &&
                         run.rhs_reads == runs.number(row, runs.at("sram_filter_reads"));
  }
  report::Table table;
  table.title = "SCALE-Sim 3: recorded runs without stalls";
  table.columns = {
      {"dataflow", ""}, {"runs", ""}, {"cycles equal", ""}, {"reads compared", ""}, {"reads equal", ""}};
  Tally all;
  for (size_t d = 0; d < tallies.size(); ++d) {
    const Tally& t = tallies[d];
    table.rows.push_back({std::string(cost::name(static_cast<cost::Dataflow>(d))), report::number(t.runs, 0),
                          report::number(t.equal, 0), report::number(t.reads, 0),
                          report::number(t.equal_reads, 0)});
    all.runs += t.runs, all.equal += t.equal, all.reads += t.reads, all.equal_reads += t.equal_reads;
  }
  table.notes = {
      "SCALE-Sim reports the index of the last cycle, one less than ours. 30 random layers beside the "
      "program itself: bench/accelerator/compare_with_scalesim.py."};
  work.out.tables.push_back(std::move(table));
  work.ask("1: SCALE-Sim cycles", "all equal", fmt::format("{} of {}", all.equal, all.runs),
           all.equal == all.runs);
  work.ask("1: its reads of both operands, os and ws", "all equal",
           fmt::format("{} of {}", all.equal_reads, all.reads), all.equal_reads == all.reads);
}

void networks(WhamWork& work) {
  report::Table table;
  table.title = "Multiplications of one sample and weights, of published networks";
  table.columns = {{"network", ""},  {"form", ""},       {"multiply-adds", "G"},     {"published", "G"},
                   {"weights", "M"}, {"published", "M"}, {"training / forward", ""}, {"exact", ""}};
  bool all = true;
  auto digits = [](double a, double b) { return std::abs(a - b) <= 5e-4 * std::abs(b); };
  for (const WhamNetwork& network : kWhamNetworks) {
    const std::string path = work.request.data_folder + "/wham/onnx/" + network.file;
    graph::OnnxOptions options;
    options.fuse = false;
    const graph::OnnxModel forward = graph::read_onnx(path, options);
    options.train = true;
    const graph::OnnxModel trained = graph::read_onnx(path, options);
    double first = 0, weights = 0;  // of the first product; of convolutions and products alone
    for (const graph::Operator& op : forward.graph.operators) {
      const graph::OperatorShape& shape = forward.graph.kernels[op.kernel].parts[0];
      const double macs = graph::matrix_flops(shape).value() / 2;
      if (first == 0) first = macs;
      if (macs > 0 && op.inputs > 1)
        weights += forward.graph.tensors[forward.graph.inputs(op)[1]].bytes.value() /
                   bytes_per_element(DataType::FP32);
    }
    const double training = graph::matrix_flops(trained.graph).value() / 2;
    const bool exact = training == 3 * forward.multiply_adds - first &&
                       digits(forward.multiply_adds / 1e9, network.giga_multiply_adds) &&
                       digits(weights / 1e6, network.mega_weights);
    all = all && exact;
    table.rows.push_back({network.name, std::string("ONNX"), report::number(forward.multiply_adds / 1e9, 4),
                          report::number(network.giga_multiply_adds, 4), report::number(weights / 1e6, 3),
                          report::number(network.mega_weights, 3),
                          report::number(training / forward.multiply_adds, 3), exact ? "yes" : "NO"});
  }
  bool listed = true;
  for (const std::string& name : graph::shipped_networks()) {
    const Node root = read_document(*graph::find_network(name));
    const graph::Network forward = graph::read_network(root, {});
    const graph::Network trained = graph::read_network(root, {.train = true});
    const bool exact =
        forward.parameters == forward.published_parameters &&
        (forward.published_multiply_adds == 0 || forward.multiply_adds == forward.published_multiply_adds);
    listed = listed && exact;
    const double published = forward.published_multiply_adds;
    table.rows.push_back(
        {name, std::string("list of layers"), report::number(forward.multiply_adds / 1e9, 4),
         published > 0 ? report::number(published / 1e9, 4) : report::Cell{},
         report::number(forward.parameters / 1e6, 3), report::number(forward.published_parameters / 1e6, 3),
         report::number(graph::matrix_flops(trained.graph).value() / 2 / forward.multiply_adds, 3),
         exact ? "yes" : "NO"});
  }
  table.notes = {
      "Training multiplies three times but for the gradient of the image. Of ONNX graphs the weights of "
      "convolutions and products count, of lists of layers all parameters, to the last one."};
  work.out.tables.push_back(std::move(table));
  work.ask("3: seven ONNX networks, multiplications and weights", "4 digits; training exact",
           all ? "all" : "not all", all);
  work.ask("VGG-16, ResNeXt-101, MobileNet-v3, GNMT-4", "published counts", listed ? "equal" : "not equal",
           listed);
}

}  // namespace

void validate_wham_cycles(WhamWork& work) {
  scalesim(work);
  networks(work);
}

}  // namespace orrery::validate

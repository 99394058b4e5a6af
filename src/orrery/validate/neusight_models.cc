#include "orrery/validate/neusight_models.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/forecast.h"
#include "orrery/schedule/predictor.h"

namespace orrery::validate {
namespace {

// The kernels of a traced model in the order of a pass: forward, then backward with what it accumulates.
graph::Graph stream_of(const NeuSightGraph& traced, bool training) {
  graph::Graph graph;
  auto append = [&](const std::vector<graph::Kernel>& kernels, int times) {
    for (const graph::Kernel& kernel : kernels) {
      const auto known = std::find(graph.kernels.begin(), graph.kernels.end(), kernel);
      const auto id = static_cast<graph::KernelId>(known - graph.kernels.begin());
      if (known == graph.kernels.end()) graph.kernels.push_back(kernel);
      for (int i = 0; i < times; ++i) graph.operators.push_back({.kernel = id});
    }
  };
  constexpr size_t kEager = static_cast<size_t>(NeuSightDialect::Eager);
  for (size_t i = 0; i < traced.nodes.size(); ++i)
    append(traced.nodes[i].phases[kEager].forward, traced.times[i]);
  if (!training) return graph;
  for (size_t i = traced.nodes.size(); i-- > 0;) {
    append(traced.nodes[i].phases[kEager].backward, traced.times[i]);
    append(traced.nodes[i].phases[kEager].accumulate, traced.times[i]);
  }
  return graph;
}

schedule::Forecast forecast(const graph::Graph& graph, const hardware::Device& device,
                            const schedule::Predictor& predictor, bool derating) {
  schedule::ForecastOptions options;
  options.engine = predictor.engine(schedule::Driver::Framework, graph::Mode::Prefill);
  options.derating = derating;
  return schedule::forecast(graph, predictor.price(graph, device), device, options);
}

using Select = std::function<double(const NeuSightModelRow&)>;
struct Errors {
  double mean = 0, bias = 0;
  size_t rows = 0;
};
Errors errors(const std::vector<const NeuSightModelRow*>& rows, const Select& predicted) {
  Errors e;
  for (const NeuSightModelRow* row : rows) {
    const double error = predicted(*row) / row->measured - 1;
    if (!std::isfinite(error)) continue;
    e.mean += std::abs(error);
    e.bias += error;
    ++e.rows;
  }
  if (e.rows > 0) {
    e.mean /= static_cast<double>(e.rows);
    e.bias /= static_cast<double>(e.rows);
  } else {
    e.mean = e.bias = std::nan("");
  }
  return e;
}

}  // namespace

bool is_amd(const std::string& gpu) {
  return gpu.starts_with("MI");
}

std::vector<NeuSightModelRow> evaluate_neusight_models(const std::string& data_folder,
                                                       const NeuSightOurWeights& weights) {
  std::vector<NeuSightModelRow> rows;
  std::map<std::string, NeuSightGraph> graphs;
  std::map<std::string, schedule::Predictor> left_out;
  const schedule::Predictor paper(std::make_shared<cost::GpuModel>(weights.paper_split), weights.paper_split);
  for (const NeuSightMeasuredRun& measured : read_neusight_runs(data_folder)) {
    if (!measured.run.option.empty()) continue;
    const std::string workload = measured.run.workload();
    if (!graphs.contains(workload)) graphs.emplace(workload, read_neusight_graph(data_folder, workload));
    const graph::Graph graph = stream_of(graphs.at(workload), measured.run.mode == "training");
    const hardware::Device device = hardware::Catalogue::shipped().device(measured.run.gpu);
    if (!left_out.contains(measured.run.gpu)) {
      const auto own = weights.left_out(measured.run.gpu);
      left_out.emplace(measured.run.gpu, schedule::Predictor(std::make_shared<cost::GpuModel>(own), own));
    }
    NeuSightModelRow row{.run = measured.run, .measured = measured.total, .shipped = measured.shipped};
    const schedule::Forecast derated = forecast(graph, device, paper, true);
    row.ours = derated.time.value.value();
    row.low = derated.time.low.value();
    row.high = derated.time.high.value();
    row.rested = forecast(graph, device, paper, false).time.value.value();
    row.left_out = forecast(graph, device, left_out.at(measured.run.gpu), true).time.value.value();
    rows.push_back(std::move(row));
  }
  return rows;
}

report::Table neusight_models_table(const std::vector<NeuSightModelRow>& rows) {
  report::Table table;
  table.title = "Whole models in eager FP32 on one GPU: mean error of the iteration";
  table.keys = 2;
  table.columns = {{"GPU", ""},
                   {"mode", ""},
                   {"rows", ""},
                   {"NeuSight, shipped", "%"},
                   {"roofline, shipped", "%"},
                   {"Habitat, shipped", "%"},
                   {"Li, shipped", "%"},
                   {"ours", "%"},
                   {"bias", "%"},
                   {"without derating", "%"},
                   {"ours, GPU left out", "%"}};
  auto add = [&](const std::string& name, const std::string& mode,
                 const std::function<bool(const NeuSightModelRow&)>& in) {
    std::vector<const NeuSightModelRow*> chosen;
    for (const NeuSightModelRow& row : rows)
      if (in(row)) chosen.push_back(&row);
    if (chosen.empty()) return;
    auto percent = [&](const Select& of) { return report::number(100 * errors(chosen, of).mean, 1); };
    const Errors ours = errors(chosen, [](const auto& r) { return r.ours; });
    table.rows.push_back({name, mode, report::number(static_cast<double>(chosen.size()), 0),
                          percent([](const auto& r) { return r.shipped.neusight; }),
                          percent([](const auto& r) { return r.shipped.roofline; }),
                          percent([](const auto& r) { return r.shipped.habitat; }),
                          percent([](const auto& r) { return r.shipped.li; }),
                          report::number(100 * ours.mean, 1), report::number(100 * ours.bias, 1),
                          percent([](const auto& r) { return r.rested; }),
                          percent([](const auto& r) { return r.left_out; })});
  };
  std::vector<std::string> gpus;
  for (const NeuSightModelRow& row : rows)
    if (std::find(gpus.begin(), gpus.end(), row.run.gpu) == gpus.end()) gpus.push_back(row.run.gpu);
  for (const std::string& gpu : gpus) {
    for (const char* mode : {"inference", "training"})
      add(neusight_unseen(gpu) ? gpu + " (unseen)" : gpu, mode,
          [&](const auto& r) { return r.run.gpu == gpu && r.run.mode == mode; });
  }
  add("all NVIDIA", "", [](const auto& r) { return !is_amd(r.run.gpu); });
  add("NVIDIA, unseen", "", [](const auto& r) { return !is_amd(r.run.gpu) && neusight_unseen(r.run.gpu); });
  add("all AMD", "", [](const auto& r) { return is_amd(r.run.gpu); });
  table.notes = {
      "Ours: weights of the paper's split; AMD: MI100 and MI210's vector operators. Left out: weights of all "
      "kernels but the GPU's.",
      "Measured once each: rows of equal work differ by 5 to 10 %."};
  return table;
}

report::Table neusight_model_rows_table(const std::vector<NeuSightModelRow>& rows) {
  report::Table table;
  table.title = "Each whole model";
  table.keys = 3;
  table.columns = {{"GPU", ""},
                   {"model", ""},
                   {"mode", ""},
                   {"sequence", ""},
                   {"batch", ""},
                   {"measured", "ms"},
                   {"ours", "ms"},
                   {"error", "%"},
                   {"without derating", "%"},
                   {"GPU left out", "%"},
                   {"NeuSight, shipped", "%"}};
  for (const NeuSightModelRow& r : rows) {
    auto percent = [&](double predicted) { return report::number(100 * (predicted / r.measured - 1), 1); };
    table.rows.push_back(
        {r.run.gpu, r.run.model, r.run.mode, report::number(static_cast<double>(r.run.sequence), 0),
         report::number(static_cast<double>(r.run.batch), 0), report::number(1e3 * r.measured, 1),
         report::number(1e3 * r.ours, 1), percent(r.ours), percent(r.rested), percent(r.left_out),
         percent(r.shipped.neusight)});
  }
  return table;
}

}  // namespace orrery::validate

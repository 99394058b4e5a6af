#include "orrery/validate/neusight_distributed.h"

#include <fmt/format.h>

#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::validate {
namespace {

constexpr int64_t kMostTokens = 1 << 24, kMostBatch = 1 << 20;

// "pp4_1": stages _ micro-batches.
struct Stages {
  int stages = 1, micro_batches = 1;
};
Stages stages_of(const NeusightWorkload& workload) {
  if (!workload.option.starts_with("pp4_")) return {};
  return {4, std::max(1, std::atoi(workload.option.c_str() + 4))};
}

double error(Seconds predicted, Seconds measured) {
  return 100 * (predicted / measured - 1);
}

}  // namespace

schedule::IterationForecast forecast_neusight(const NeusightWorkload& workload,
                                              const hardware::Device& device,
                                              const schedule::Predictor& predictor,
                                              const cost::CollectiveModel& collectives) {
  graph::ModelConfig model = neusight_model(workload);
  graph::Workload work = neusight_run(workload);
  work.batch = workload.batch;  // of all devices together
  Stages pipeline = stages_of(workload);
  work.parallel.pipeline = pipeline.stages;
  int gpus = work.parallel.data * work.parallel.tensor * work.parallel.pipeline;
  return schedule::forecast_iteration(model, work, {.micro_batches = pipeline.micro_batches},
                                      hardware::flat_cluster(device, gpus), predictor,
                                      schedule::Driver::Framework, collectives);
}

std::vector<DistributedRow> evaluate_neusight_distributed(const std::string& data_folder,
                                                          const schedule::Predictor& predictor) {
  CsvTable table = read_csv(data_folder + "/neusight/end_to_end.csv");
  const int gpu = table.at("gpu"), model = table.at("model"), mode = table.at("mode"), seq = table.at("seq"),
            batch = table.at("batch"), option = table.at("option"), measured = table.at("latency_ms"),
            theirs = table.at("neusight_ms");
  const cost::CollectiveModel fitted = cost::CollectiveModel::shipped(),
                              rule = cost::CollectiveModel::share_of_link();
  std::vector<DistributedRow> rows;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (table.cell(i, option).empty()) continue;
    DistributedRow row;
    row.workload = {std::string(table.cell(i, model)), table.cell(i, mode) == "training",
                    table.integer(i, seq, 1, kMostTokens), table.integer(i, batch, 1, kMostBatch),
                    std::string(table.cell(i, option))};
    row.gpu = table.cell(i, gpu);
    row.measured = Seconds(table.number(i, measured) * 1e-3);
    row.theirs = Seconds(table.number(i, theirs) * 1e-3);
    const hardware::Device device = hardware::Catalogue::shipped().device(row.gpu);
    row.ours = forecast_neusight(row.workload, device, predictor, fitted);
    row.link_rule = forecast_neusight(row.workload, device, predictor, rule).time.value;
    rows.push_back(std::move(row));
  }
  return rows;
}

report::Table neusight_distributed_table(const std::vector<DistributedRow>& rows) {
  report::Table table;
  table.title = "Four GPUs, and fused inference";
  table.keys = 2;
  table.columns = {{"GPU"},         {"workload"},      {"measured", "ms"},       {"NeuSight", "ms"},
                   {"error", "%"},  {"ours", "ms"},    {"error", "%"},           {"bubble", "%"},
                   {"links", "ms"}, {"exposed", "ms"}, {"their link rule", "ms"}};
  double their_sum = 0, our_sum = 0;
  for (const DistributedRow& row : rows) {
    const auto& it = row.ours;
    Seconds links = it.tensor.total + it.pipeline.total + it.data.total;
    Seconds exposed = it.tensor.exposed + it.pipeline.exposed + it.data.exposed;
    double their_error = error(row.theirs, row.measured), our_error = error(it.time.value, row.measured);
    their_sum += std::abs(their_error);
    our_sum += std::abs(our_error);
    table.rows.push_back(
        {row.gpu, neusight_workload_name(row.workload), report::number(row.measured.value() * 1e3, 1),
         report::number(row.theirs.value() * 1e3, 1), report::number(their_error, 1),
         report::number(it.time.value.value() * 1e3, 1), report::number(our_error, 1),
         report::number(100 * it.bubble_share, 1), report::number(links.value() * 1e3, 1),
         report::number(exposed.value() * 1e3, 1), report::number(row.link_rule.value() * 1e3, 1)});
  }
  auto n = static_cast<double>(rows.size());
  table.notes.push_back(
      fmt::format("Mean absolute error: NeuSight {:.1f} %, ours {:.1f} %.", their_sum / n, our_sum / n));
  return table;
}

}  // namespace orrery::validate

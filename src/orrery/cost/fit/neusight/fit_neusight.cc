#include "orrery/cost/fit/neusight/fit_neusight.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/storage.h"
#include "orrery/learn/metrics.h"
#include "orrery/learn/perceptron_fit.h"

namespace orrery::cost {
namespace {

constexpr int kHeldBackShare = 5;  // one row in five

// The rows of a task as the net sees them.
struct Prepared {
  std::vector<float> features;
  std::vector<double> waves, ideal, measured;
  std::vector<uint32_t> training, held_back;  // of the task's rows
};

uint64_t shape_hash(const NeuSightOperator& op, Seed seed) {
  const double sizes[] = {static_cast<double>(op.kind), op.batch, op.m, op.n, op.k};
  return hash_bytes({reinterpret_cast<const char*>(sizes), sizeof sizes}, seed.value);
}

void split(const MeasuredOperators& measured, const NeuSightTask& task, const NeuSightOptions& options,
           Seed seed, Prepared& data) {
  const std::vector<uint32_t> order = learn::shuffled(task.rows.size(), seed);
  for (uint32_t i = 0; i < task.rows.size(); ++i) {
    const bool held = options.held_back == NeuSightOptions::HeldBack::Rows
                          ? i < task.rows.size() / kHeldBackShare
                          : shape_hash(measured.rows[task.rows[order[i]]].op, seed) % kHeldBackShare == 0;
    (held ? data.held_back : data.training).push_back(order[i]);
  }
  if (data.training.empty()) std::swap(data.training, data.held_back);
}

Prepared prepare(const MeasuredOperators& measured, const NeuSightTask& task, const NeuSightOptions& options,
                 Seed seed) {
  Prepared data;
  for (uint32_t row : task.rows) {
    const MeasuredOperator& m = measured.rows[row];
    const NeuSightGeometry g = neusight_geometry(m.op, m.tile, measured.devices[m.device], options);
    data.features.insert(data.features.end(), g.features.begin(), g.features.end());
    data.waves.push_back(g.waves);
    data.ideal.push_back(g.ideal);
    data.measured.push_back(m.seconds);
  }
  split(measured, task, options, seed, data);
  return data;
}

}  // namespace

bool neusight_learns_from(const NeuSightOperator& op) {
  switch (class_of(op.kind)) {
    case NeuSightClass::Vector:
      return op.m > 8192 && op.n > 512;
    case NeuSightClass::Softmax:
    case NeuSightClass::LayerNorm:
      return op.m > 4096 && op.n > 512;
    default:
      return true;
  }
}

std::vector<NeuSightTask> neusight_tasks(const MeasuredOperators& measured, const NeuSightOptions& options) {
  std::vector<NeuSightTask> tasks;
  for (bool amd : {false, true}) {
    for (size_t c = 0; c < kNeuSightClasses; ++c)
      tasks.push_back({.amd = amd, .of_class = static_cast<NeuSightClass>(c), .rows = {}});
  }
  for (uint32_t i = 0; i < measured.rows.size(); ++i) {
    const MeasuredOperator& row = measured.rows[i];
    const NeuSightDevice& device = measured.devices[row.device];
    if (row.tile.columns <= 0 || !neusight_learns_from(row.op)) continue;
    const NeuSightClass of_class = class_of(row.op.kind);
    const std::string group = device.name + " " + std::string(name(of_class));
    if (std::ranges::find(options.leave_out, group) != options.leave_out.end()) continue;
    tasks[static_cast<size_t>(of_class) + (device.amd ? kNeuSightClasses : 0)].rows.push_back(i);
  }
  std::erase_if(tasks, [](const NeuSightTask& task) { return task.rows.empty(); });
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const auto& a, const auto& b) { return a.rows.size() > b.rows.size(); });
  return tasks;
}

learn::PerceptronFitOptions net_training(const NeuSightOptions& options,
                                         const NeuSightOptions::Schedule& schedule, Seed seed,
                                         std::stop_token stop) {
  learn::PerceptronFitOptions training;
  training.epochs = options.epochs;
  training.batch = schedule.batch;
  training.learning_rate = schedule.learning_rate;
  training.cosine = options.cosine;
  training.seed = seed;
  training.stop = std::move(stop);
  return training;
}

NeuSightRegressor fit_neusight_regressor(const MeasuredOperators& measured, const NeuSightTask& task,
                                         const NeuSightOptions& options, Seed seed, std::stop_token stop) {
  const Prepared data = prepare(measured, task, options, seed.derive(0));
  const NeuSightOptions::Schedule& schedule =
      (task.amd ? options.amd : options.nvidia)[static_cast<size_t>(task.of_class)];
  std::vector<int> widths = {4};
  widths.insert(widths.end(), static_cast<size_t>(options.hidden_layers), options.width);
  widths.push_back(3);

  auto seconds = [&](size_t row, std::span<const float> out) {
    const double u = neusight_utilization(static_cast<double>(out[0]), static_cast<double>(out[2]),
                                          data.waves[row], options.utilization);
    return data.ideal[row] / std::max(u, kLeastUtilization);
  };
  auto error = [&](size_t row, std::span<const float> out) {
    return std::abs(seconds(row, out) / data.measured[row] - 1);
  };
  auto loss = [&](size_t row, std::span<const float> out, std::span<float> gradient) {
    const NeuSightLoss l =
        neusight_loss(static_cast<double>(out[0]), static_cast<double>(out[2]), data.waves[row],
                      data.ideal[row], data.measured[row], options.utilization);
    gradient[0] = static_cast<float>(l.by_alpha);
    gradient[2] = static_cast<float>(l.by_gamma);
    return l.value;
  };
  const learn::PerceptronFitOptions fit_options = net_training(options, schedule, seed.derive(1), stop);
  learn::PerceptronFit fit = learn::fit_perceptron(learn::Perceptron(widths, seed.derive(2)), data.features,
                                                   data.training, data.held_back, loss, error, fit_options);

  NeuSightRegressor regressor;
  regressor.net = std::move(fit.net);
  regressor.net.round_to_half();
  regressor.best_epoch = fit.best_epoch;
  regressor.rows = static_cast<int64_t>(task.rows.size());
  std::vector<double> ratios;
  std::array<float, 3> out;
  for (uint32_t row : data.held_back) {
    regressor.net.evaluate(1, std::span(data.features).subspan(size_t{4} * row, 4), out);
    const double predicted = seconds(row, out);
    ratios.push_back(data.measured[row] / predicted);
    regressor.held_back_error += std::abs(predicted / data.measured[row] - 1);
  }
  if (!ratios.empty()) {
    regressor.held_back_error /= static_cast<double>(ratios.size());
    regressor.low = learn::quantile(ratios, 0.05);
    regressor.high = learn::quantile(ratios, 0.95);
  }
  return regressor;
}

NeuSightTiles neusight_tiles(const MeasuredOperators& measured, const std::vector<NeuSightTask>& tasks,
                             bool amd) {
  std::vector<NeuSightDevice> devices;
  std::vector<uint32_t> place(measured.devices.size());
  for (size_t d = 0; d < measured.devices.size(); ++d) {
    if (measured.devices[d].amd != amd) continue;
    place[d] = static_cast<uint32_t>(devices.size());
    devices.push_back(measured.devices[d]);
  }
  std::vector<NeuSightTiles::Row> rows;
  for (const NeuSightTask& task : tasks) {
    if (task.amd != amd) continue;
    for (uint32_t i : task.rows) {
      const MeasuredOperator& m = measured.rows[i];
      rows.push_back({place[m.device], m.op, m.tile});
    }
  }
  return NeuSightTiles(std::move(devices), rows);
}

}  // namespace orrery::cost

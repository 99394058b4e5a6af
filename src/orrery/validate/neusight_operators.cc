#include "orrery/validate/neusight_operators.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "orrery/base/csv.h"
#include "orrery/base/threads.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/metrics.h"
#include "orrery/schedule/kernels.h"

namespace orrery::validate {
namespace {

constexpr double kLeastMeasured = 50e-6;  // s, of an operator of a model

// Predictions and measurements of one GPU and class, a column a predictor.
struct Group {
  std::vector<std::vector<double>> predicted, measured;
  std::vector<std::vector<double>> width;  // of the band, as a share of the prediction
  std::vector<size_t> covered;
  explicit Group(size_t columns = 0)
      : predicted(columns), measured(columns), width(columns), covered(columns) {}
  void add(size_t column, double prediction, double measurement) {
    if (!std::isfinite(prediction)) return;
    predicted[column].push_back(prediction);
    measured[column].push_back(measurement);
  }
};
using Groups = std::map<std::pair<std::string, size_t>, Group>;  // by GPU and class

size_t class_of_kernel(std::string_view op) {
  if (op == "linear" || op == "Linear") return 0;
  if (op == "bmm" || op == "BMM") return 1;
  if (op == "softmax" || op == "VECsoftmax") return 3;
  if (op == "ln" || op == "VECln") return 4;
  return 2;
}
size_t class_of_node(std::string_view kind) {
  const bool regressed = kind == "Linear" || kind == "BMM" || kind.starts_with("VEC");
  return regressed ? class_of_kernel(kind) : 5;
}

std::vector<NeuSightScore> scores_of(const Groups& groups, const std::vector<std::string>& columns) {
  std::vector<NeuSightScore> scores;
  for (const auto& [key, group] : groups) {
    for (size_t c = 0; c < columns.size(); ++c) {
      if (group.predicted[c].empty()) continue;
      NeuSightScore score;
      score.gpu = key.first;
      score.of_class = kNeuSightClassTitles[key.second];
      score.predictor = columns[c];
      score.unseen = neusight_unseen(key.first);
      score.rows = group.predicted[c].size();
      score.mean = learn::mean_absolute_error(group.predicted[c], group.measured[c]);
      score.median = learn::median_absolute_error(group.predicted[c], group.measured[c]);
      score.weighted = learn::weighted_absolute_error(group.predicted[c], group.measured[c]);
      score.bias = learn::bias(group.predicted[c], group.measured[c]);
      score.covered = static_cast<double>(group.covered[c]) / static_cast<double>(score.rows);
      score.width = learn::quantile(group.width[c], .5);
      scores.push_back(std::move(score));
    }
  }
  return scores;
}

double sum_of_prices(const cost::OperatorModel& model, const std::vector<graph::Kernel>& kernels,
                     const hardware::Device& device) {
  std::vector<cost::OperatorCost> costs(kernels.size());
  model.price(kernels, device, {}, costs);
  double sum = 0;
  for (const cost::OperatorCost& cost : costs) sum += cost.time.value();
  return sum;
}

struct Phase {
  double measured;
  const std::vector<graph::Kernel>* kernels[kNeuSightDialects];
  const NeuSightShipped* shipped;
};
Phase phase_of(const NeuSightNode& node, NeuSightPass pass) {
  const bool forward = pass == NeuSightPass::Forward;
  Phase phase{.measured = forward ? node.forward : node.backward,
              .kernels = {},
              .shipped = forward ? &node.shipped_forward : &node.shipped_backward};
  for (size_t d = 0; d < kNeuSightDialects; ++d)
    phase.kernels[d] = forward ? &node.phases[d].forward : &node.phases[d].backward;
  return phase;
}

report::Table table_of(const std::string& title, const std::vector<NeuSightScore>& scores,
                       const std::vector<std::string>& predictors, double NeuSightScore::*figure) {
  report::Table table;
  table.title = title;
  table.columns = {{"GPU"}, {"class"}, {"rows"}};
  table.keys = 2;
  for (const std::string& predictor : predictors) table.columns.push_back({predictor, "%"});
  for (size_t i = 0, end = 0; i < scores.size(); i = end) {
    std::vector<report::Cell> row(table.columns.size());
    row[0] = scores[i].gpu + (scores[i].unseen ? " (unseen)" : "");
    row[1] = scores[i].of_class;
    row[2] = report::number(static_cast<double>(scores[i].rows), 0);
    for (end = i; end < scores.size() && scores[end].gpu == scores[i].gpu &&
                  scores[end].of_class == scores[i].of_class;
         ++end) {
      const auto column = std::ranges::find(predictors, scores[end].predictor) - predictors.begin();
      row[static_cast<size_t>(column) + 3] = report::number(100 * scores[end].*figure, 1);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::vector<NeuSightScore> score_neusight_kernels(const std::string& data_folder,
                                                  std::span<const NeuSightPredictor> predictors,
                                                  int threads) {
  const CsvTable table = read_csv(data_folder + "/neusight/kernels_test_nvidia.csv.zst");
  const std::vector<graph::Kernel> kernels = schedule::read_kernels(table, schedule::KernelLayout::NeuSight);
  const int gpu = table.at("gpu"), op = table.at("op"), latency = table.at("latency_ms");
  std::map<std::string, std::vector<size_t>> rows;
  for (size_t row = 0; row < table.rows(); ++row) rows[std::string(table.cell(row, gpu))].push_back(row);

  constexpr size_t kChunk = 256;
  std::vector<std::string> names;
  for (const NeuSightPredictor& predictor : predictors) names.push_back(predictor.name);
  Groups groups;
  for (const auto& [title, of_gpu] : rows) {
    const hardware::Device device = hardware::Catalogue::shipped().device(title);
    std::vector<graph::Kernel> batch;
    for (size_t row : of_gpu) batch.push_back(kernels[row]);
    for (size_t c = 0; c < predictors.size(); ++c) {
      const NeuSightPredictor::Model model = predictors[c].alone(title);
      std::vector<cost::OperatorCost> costs(batch.size());
      parallel_for(batch.size(), kChunk, threads, [&](size_t begin, size_t end, size_t) {
        model->price(std::span(batch).subspan(begin, end - begin), device, {},
                     std::span(costs).subspan(begin, end - begin));
      });
      for (size_t i = 0; i < batch.size(); ++i) {
        const size_t row = of_gpu[i];
        auto [at, fresh] =
            groups.try_emplace({title, class_of_kernel(table.cell(row, op))}, predictors.size());
        const double measured = table.number(row, latency) / 1e3, time = costs[i].time.value();
        at->second.add(c, time, measured);
        at->second.width[c].push_back(static_cast<double>(costs[i].high) - static_cast<double>(costs[i].low));
        at->second.covered[c] += measured >= time * costs[i].low && measured <= time * costs[i].high;
      }
    }
  }
  return scores_of(groups, names);
}

std::vector<NeuSightScore> score_neusight_operators(const std::string& data_folder,
                                                    std::span<const NeuSightPredictor> predictors,
                                                    NeuSightPass pass) {
  std::vector<std::string> names;
  for (const NeuSightPredictor& predictor : predictors) names.push_back(predictor.name);
  for (const char* shipped : {"NeuSight, shipped", "roofline, shipped", "Habitat, shipped", "Li, shipped"})
    names.emplace_back(shipped);
  Groups groups;
  for (const NeuSightLabels& labels : read_neusight_labels(data_folder)) {
    const std::string& gpu = labels.run.gpu;
    const hardware::Device device = hardware::Catalogue::shipped().device(gpu);
    std::vector<NeuSightPredictor::Model> models;
    for (const NeuSightPredictor& predictor : predictors) models.push_back(predictor.in_model(gpu));
    for (const NeuSightNode& node : labels.nodes) {
      const Phase phase = phase_of(node, pass);
      if (phase.measured <= kLeastMeasured) continue;
      auto [at, fresh] = groups.try_emplace({gpu, class_of_node(node.kind)}, names.size());
      Group& group = at->second;
      for (size_t c = 0; c < predictors.size(); ++c) {
        const auto dialect = static_cast<size_t>(predictors[c].dialect);
        group.add(c, sum_of_prices(*models[c], *phase.kernels[dialect], device), phase.measured);
      }
      const double shipped[] = {phase.shipped->neusight, phase.shipped->roofline, phase.shipped->habitat,
                                phase.shipped->li};
      for (size_t s = 0; s < std::size(shipped); ++s)
        group.add(predictors.size() + s, shipped[s], phase.measured);
    }
  }
  return scores_of(groups, names);
}

std::vector<double> weighted_errors_by_class(const std::string& data_folder,
                                             const NeuSightPredictor& predictor, NeuSightPass pass,
                                             bool unseen) {
  constexpr size_t kClasses = kNeuSightClassTitles.size();
  std::array<double, kClasses + 1> off{}, measured{};
  for (const NeuSightLabels& labels : read_neusight_labels(data_folder)) {
    if (neusight_unseen(labels.run.gpu) != unseen) continue;
    const hardware::Device device = hardware::Catalogue::shipped().device(labels.run.gpu);
    const NeuSightPredictor::Model model = predictor.in_model(labels.run.gpu);
    for (const NeuSightNode& node : labels.nodes) {
      const Phase phase = phase_of(node, pass);
      if (phase.measured <= kLeastMeasured) continue;
      const auto& kernels = *phase.kernels[static_cast<size_t>(predictor.dialect)];
      const double miss = std::abs(sum_of_prices(*model, kernels, device) - phase.measured);
      for (size_t c : {class_of_node(node.kind), kClasses}) {
        off[c] += miss;
        measured[c] += phase.measured;
      }
    }
  }
  std::vector<double> errors;
  for (size_t c = 0; c <= kClasses; ++c) errors.push_back(measured[c] > 0 ? off[c] / measured[c] : 0);
  return errors;
}

std::vector<report::Table> neusight_band_tables(const std::vector<NeuSightScore>& scores,
                                                const std::vector<std::string>& predictors) {
  std::vector<NeuSightScore> chosen;
  for (const NeuSightScore& score : scores) {
    if (std::ranges::find(predictors, score.predictor) != predictors.end()) chosen.push_back(score);
  }
  return {table_of("Kernels timed alone, share within the 90 % band", chosen, predictors,
                   &NeuSightScore::covered),
          table_of("Kernels timed alone, median width of the 90 % band beside the forecast", chosen,
                   predictors, &NeuSightScore::width)};
}

std::vector<report::Table> neusight_score_tables(const std::string& title,
                                                 const std::vector<NeuSightScore>& scores) {
  std::vector<std::string> predictors;
  for (const NeuSightScore& score : scores) {
    if (std::ranges::find(predictors, score.predictor) == predictors.end())
      predictors.push_back(score.predictor);
  }
  return {table_of(title + ", error weighted by time", scores, predictors, &NeuSightScore::weighted),
          table_of(title + ", median error", scores, predictors, &NeuSightScore::median),
          table_of(title + ", mean error", scores, predictors, &NeuSightScore::mean)};
}

}  // namespace orrery::validate

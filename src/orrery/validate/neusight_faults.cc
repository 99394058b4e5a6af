#include "orrery/validate/neusight_faults.h"

#include <array>
#include <memory>

#include "orrery/cost/fit/neusight/train_neusight.h"
#include "orrery/cost/neusight/neusight_model.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/metrics.h"
#include "orrery/validate/neusight_operators.h"

namespace orrery::validate {
namespace {

using cost::NeuSightOptions;

struct Switch {
  const char *fault, *change;
  void (*turn)(NeuSightOptions&, const NeuSightOptions& corrected);
};

constexpr Switch kSwitches[] = {
    {"as published", "", [](NeuSightOptions&, const NeuSightOptions&) {}},
    {"nearest tile over raw sizes and device figures", "tile_search: scaled",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.tile_search = c.tile_search; }},
    {"bytes by 2^30 against GB/s", "gigabyte: decimal",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.gigabyte = c.gigabyte; }},
    {"utilization can fall to zero", "utilization: product",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.utilization = c.utilization; }},
    {"the last wave counts in full", "waves: partial",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.waves = c.waves; }},
    {"bytes move at peak bandwidth", "memory_share: 0.85",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.memory_share = c.memory_share; }},
    {"random rows held back", "held_back: shapes",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.held_back = c.held_back; }},
    {"slow rows learned from", "leave_out: [P4 linear]",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.leave_out = c.leave_out; }},
    {"device figures that are wrong", "devices: of the catalogue",
     [](NeuSightOptions& o, const NeuSightOptions& c) { o.devices = c.devices; }},
    {"all of them", "preset neusight-corrected", [](NeuSightOptions& o, const NeuSightOptions& c) { o = c; }},
};

// Switches that only matter when an operator is priced.
bool only_pricing(const Switch& change) {
  const std::string_view name = change.change;
  return name.starts_with("tile_search") || name.starts_with("memory_share");
}

// All GPUs of one kind as one group: errors by class.
NeuSightChange scored(const Switch& change, const std::string& data_folder,
                      std::shared_ptr<const cost::OperatorModel> model) {
  auto always = [model](const std::string&) { return model; };
  const NeuSightPredictor predictor{
      .name = "one", .dialect = NeuSightDialect::Paper, .in_model = always, .alone = always};
  NeuSightChange result{.fault = change.fault, .change = change.change, .seen = {}, .unseen = {}};
  for (bool unseen : {false, true}) {
    (unseen ? result.unseen : result.seen) =
        weighted_errors_by_class(data_folder, predictor, NeuSightPass::Forward, unseen);
  }
  return result;
}

}  // namespace

std::vector<NeuSightChange> neusight_changes(const std::string& data_folder, const RunContext& context) {
  const NeuSightOptions paper = cost::neusight_preset("neusight-paper"),
                        corrected = cost::neusight_preset("neusight-corrected");
  RunContext quiet = context;
  quiet.progress = nullptr;
  std::shared_ptr<const cost::Weights> published;
  std::vector<NeuSightChange> changes;
  for (const Switch& change : kSwitches) {
    if (context.stop.stop_requested()) throw Interrupted();
    if (context.progress) context.progress->note(change.fault);
    NeuSightOptions options = paper;
    change.turn(options, corrected);
    std::shared_ptr<const cost::Weights> weights = published;
    if (!only_pricing(change)) {
      weights = cost::train_neusight_switches(data_folder, cost::TrainingRows::PaperSplit, options, quiet);
      if (!published) published = weights;
    }
    changes.push_back(scored(change, data_folder,
                             std::make_shared<cost::NeuSightModel>(
                                 weights, cost::PricingSwitches{options.tile_search, options.memory_share})));
  }
  return changes;
}

report::Table neusight_change_table(const std::vector<NeuSightChange>& changes) {
  report::Table table;
  table.title =
      "Faults of the published NeuSight, each set right alone: error weighted by time, GPUs not trained on";
  table.columns = {{"fault"}, {"switch"}};
  for (const char* name : kNeuSightClassTitles) table.columns.push_back({name, "%"});
  table.columns.push_back({"all, trained on", "%"});
  table.columns.push_back({"all, not trained on", "%"});
  for (const NeuSightChange& change : changes) {
    std::vector<report::Cell> row = {change.fault, change.change};
    for (size_t c = 0; c + 1 < change.unseen.size(); ++c)
      row.push_back(report::number(100 * change.unseen[c], 1));
    row.push_back(report::number(100 * change.seen.back(), 1));
    row.push_back(report::number(100 * change.unseen.back(), 1));
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "Forward operators above 0.05 ms of the authors' models; the last change has all the others."};
  return table;
}

}  // namespace orrery::validate

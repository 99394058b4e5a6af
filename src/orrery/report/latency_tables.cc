#include "orrery/report/latency_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "orrery/report/latency_words.h"

namespace orrery::report {

using schedule::DeviceAnswer;
using schedule::LatencyReport;
using schedule::MemoryReport;
using schedule::PhaseForecast;

namespace {

constexpr double kMilli = 1e3, kMicro = 1e6;  // per second
constexpr double kGiga = 1e-9;
constexpr double kPercent = 100;

Cell milliseconds_cell(const Interval<Seconds>& time) {
  return number_with_margin(time.value.value() * kMilli, margin(time) * kMilli);
}

std::string checked_cell(const DeviceAnswer& answer) {
  return answer.checked_on + (answer.measured_in_weights ? " *" : "");
}

Cell context_by_batch(const DeviceAnswer& answer) {
  if (answer.memory.longest_context <= 0) return {};
  return tokens_label(answer.memory.longest_context) + " x " + show(static_cast<double>(answer.batch), 0);
}

std::vector<Cell> refusal(const LatencyReport& report, const DeviceAnswer& answer) {
  return {device_label(report, answer), std::string("NO"), why_not(report, answer)};
}

void push_costs(std::vector<Cell>& row, const DeviceAnswer& answer) {
  row.push_back(answer.dollars_per_million_tokens ? number(*answer.dollars_per_million_tokens) : Cell{});
  row.push_back(answer.joules_per_token
                    ? number_with_margin(answer.joules_per_token->value, margin(*answer.joules_per_token))
                    : Cell{});
}

std::vector<Cell> serving_row(const LatencyReport& report, const DeviceAnswer& answer) {
  std::vector<Cell> row = {device_label(report, answer), std::string("yes"), context_by_batch(answer)};
  row.push_back(answer.prefill ? milliseconds_cell(answer.ttft) : Cell{});
  row.push_back(answer.decode ? milliseconds_cell(answer.tpot) : Cell{});
  const Interval<double>& rate = answer.tokens_per_second_per_device;
  row.push_back(answer.decode ? number_with_margin(rate.value, margin(rate)) : Cell{});
  push_costs(row, answer);
  const PhaseForecast* phase = deciding_phase(report, answer);
  row.push_back(phase ? Cell(bound_label(answer, *phase)) : Cell{});
  row.push_back(checked_cell(answer));
  return row;
}

std::vector<Cell> single_mode_row(const LatencyReport& report, const DeviceAnswer& answer) {
  const PhaseForecast* phase = deciding_phase(report, answer);
  std::vector<Cell> row = {device_label(report, answer), std::string("yes")};
  if (!phase)
    return {device_label(report, answer), std::string("yes"), std::string("no forecast for this mode")};
  row.push_back(milliseconds_cell(phase->time));
  row.push_back(number(tokens_per_second(*phase)));
  row.push_back(number(phase->matrix_flops.value() * 1e-12));
  row.push_back(number(phase->flops_utilization * kPercent, 0));
  row.push_back(number(phase->bandwidth_utilization * kPercent, 0));
  push_costs(row, answer);
  row.push_back(bound_label(answer, *phase));
  row.push_back(checked_cell(answer));
  return row;
}

const std::optional<PhaseForecast>& forecast_of(const DeviceAnswer& answer, graph::Mode phase) {
  return phase == graph::Mode::Prefill  ? answer.prefill
         : phase == graph::Mode::Decode ? answer.decode
                                        : answer.train;
}

}  // namespace

Table decision_table(const LatencyReport& report) {
  Table table;
  if (report.serving) {
    table.columns = {{"GPU"},       {"fits"},   {"context x batch"}, {"TTFT", "ms"}, {"TPOT", "ms"},
                     {"tok/s/GPU"}, {"$/Mtok"}, {"J/tok"},           {"bound by"},   {"checked on"}};
  } else {
    // A graph from a file has samples, and knows of no tokens.
    const char* rate = report.config.towers.empty() ? "samples/s" : "tok/s";
    table.columns = {{"GPU"},   {"fits"},        {"time", "ms"},     {rate},
                     {"TFLOP"}, {"matrix", "%"}, {"bandwidth", "%"}, {"$/Mtok"},
                     {"J/tok"}, {"bound by"},    {"checked on"}};
  }
  bool marked = false;
  double confidence = 0;
  for (const DeviceAnswer& answer : report.devices) {
    if (!answer.memory.fits) {
      table.rows.push_back(refusal(report, answer));
      continue;
    }
    table.rows.push_back(report.serving ? serving_row(report, answer) : single_mode_row(report, answer));
    marked = marked || answer.measured_in_weights;
    if (const PhaseForecast* phase = deciding_phase(report, answer))
      confidence = std::max(confidence, phase->time.confidence);
  }
  if (confidence > 0)
    table.notes.push_back("± spans the " + show(confidence * kPercent, 0) + " % band of the forecast.");
  if (marked)
    table.notes.push_back("* kernels measured on this GPU are among those that the weights were fitted on.");
  return table;
}

Table stage_table(const std::string& device, const schedule::IterationForecast& it) {
  Table table;
  table.title = it.stages.size() > 1 ? fmt::format("Stages on {}, {} micro-batches of {}, {}", device,
                                                   it.micro_batches, it.micro_batch, name(it.schedule))
                                     : "One " + device;
  table.columns = {{"stage"},      {"layers"},    {"forward", "ms"}, {"backward", "ms"},
                   {"busy", "ms"}, {"idle", "%"}, {"kept"}};
  for (size_t s = 0; s < it.stages.size(); ++s) {
    const schedule::StageForecast& stage = it.stages[s];
    double busy = stage.busy.value(), last = 0;
    for (const schedule::StageForecast& other : it.stages) last = std::max(last, other.computed.value());
    table.rows.push_back({fmt::format("{}", s),
                          fmt::format("{}-{}", stage.first_layer, stage.first_layer + stage.layers - 1),
                          number(stage.forward.value() * kMilli), number(stage.backward.value() * kMilli),
                          number(busy * kMilli), number(last > 0 ? kPercent * (1 - busy / last) : 0, 1),
                          number(stage.kept, 0)});
  }
  if (it.stages.size() > 1) {
    table.notes.push_back(fmt::format("The pipeline stands idle for {} % of its time (bubble).",
                                      show(kPercent * it.bubble_share, 1)));
  }
  return table;
}

Table link_table(const schedule::IterationForecast& it) {
  Table table;
  table.title = "Links: " + it.link;
  table.columns = {{"for"}, {"carries", "GB"}, {"busy", "ms"}, {"exposed", "ms"}};
  const std::pair<const char*, const schedule::IterationForecast::Communication*> kinds[] = {
      {"tensor parallel", &it.tensor}, {"between stages", &it.pipeline}, {"gradients", &it.data}};
  for (const auto& [what, links] : kinds) {
    if (links->total.value() <= 0) continue;
    table.rows.push_back({std::string(what), number(links->bytes.value() * kGiga),
                          number(links->total.value() * kMilli), number(links->exposed.value() * kMilli)});
  }
  table.notes = {"exposed: what the iteration would be shorter by if these links were free."};
  return table;
}

Table memory_table(const LatencyReport& report) {
  Table table{.title = "Memory of one device", .columns = {{"component", "GB"}}};
  std::vector<std::string> components;  // in the order of their first appearance
  for (const DeviceAnswer& answer : report.devices) {
    table.columns.push_back({device_label(report, answer)});
    for (const schedule::MemoryRow& row : answer.memory.rows) {
      if (std::find(components.begin(), components.end(), row.component) == components.end())
        components.push_back(row.component);
    }
  }
  auto add = [&](const std::string& name, auto cell_of) {
    std::vector<Cell>& row = table.rows.emplace_back();
    row.push_back(name);
    for (const DeviceAnswer& answer : report.devices) row.push_back(cell_of(answer.memory));
  };
  auto gigabytes_cell = [](Bytes bytes) { return number(bytes.value() * kGiga); };
  for (const std::string& component : components) {
    add(component, [&](const MemoryReport& memory) -> Cell {
      for (const schedule::MemoryRow& row : memory.rows) {
        if (row.component == component) return gigabytes_cell(row.bytes);
      }
      return {};
    });
  }
  add("needed", [&](const MemoryReport& memory) { return gigabytes_cell(memory.needed); });
  add("available", [&](const MemoryReport& memory) { return gigabytes_cell(memory.available); });
  add("fits", [](const MemoryReport& memory) -> Cell { return std::string(memory.fits ? "yes" : "NO"); });
  add("longest context", [](const MemoryReport& memory) -> Cell {
    return memory.longest_context > 0 ? Cell(tokens_label(memory.longest_context)) : Cell{};
  });
  add("largest batch", [](const MemoryReport& memory) -> Cell {
    return memory.largest_batch > 0 ? Cell(number(static_cast<double>(memory.largest_batch), 0)) : Cell{};
  });
  add("smallest --tensor-parallel", [](const MemoryReport& memory) -> Cell {
    return memory.smallest_tensor_parallel > 0 ? Cell(number(memory.smallest_tensor_parallel, 0)) : Cell{};
  });
  return table;
}

Table class_table(const LatencyReport& report, graph::Mode phase) {
  Table table{.title = std::string("Time by class of operators: ") + mode_name(phase),
              .columns = {{"class", "ms"}}};
  std::vector<std::string> classes;
  for (const DeviceAnswer& answer : report.devices) {
    const auto& forecast = forecast_of(answer, phase);
    if (!forecast) continue;
    table.columns.push_back({device_label(report, answer)});
    for (const schedule::ClassTime& c : forecast->classes) {
      if (std::find(classes.begin(), classes.end(), c.name) == classes.end()) classes.push_back(c.name);
    }
  }
  for (const std::string& name : classes) {
    std::vector<Cell>& row = table.rows.emplace_back();
    row.push_back(name);
    for (const DeviceAnswer& answer : report.devices) {
      const auto& forecast = forecast_of(answer, phase);
      if (!forecast) continue;
      auto found = std::find_if(forecast->classes.begin(), forecast->classes.end(),
                                [&](const auto& c) { return c.name == name; });
      row.push_back(found == forecast->classes.end() ? Cell{} : number(found->time.value() * kMilli));
    }
  }
  return table;
}

Table operator_table(const PhaseForecast& phase, size_t most) {
  Table table{
      .title = std::string("Operators of ") + mode_name(phase.mode),
      .columns = {{"operator"}, {"kind"}, {"shape"}, {"count"}, {"each", "us"}, {"all", "ms"}, {"bound by"}}};
  for (size_t i = 0; i < std::min(most, phase.operators.size()); ++i) {
    const schedule::OperatorRow& op = phase.operators[i];
    double half = std::max(op.time.value() - op.low.value(), op.high.value() - op.time.value());
    table.rows.push_back({op.name, op.kind, op.shape, number(static_cast<double>(op.count), 0),
                          number_with_margin(op.time.value() * kMicro, half * kMicro),
                          number(op.time.value() * static_cast<double>(op.count) * kMilli),
                          std::string(op.priced ? cost::name(op.bound) : "not priced: bandwidth")});
  }
  return table;
}

}  // namespace orrery::report

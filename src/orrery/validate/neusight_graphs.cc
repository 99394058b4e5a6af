#include "orrery/validate/neusight_graphs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "orrery/base/csv.h"
#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/graph/model_catalogue.h"

namespace orrery::validate {
namespace {

using graph::TracedOperator;
using report::Cell;
using Operators = std::map<TracedOperator, int64_t>;

struct ModelName {
  std::string_view theirs, ours;
};
constexpr ModelName kModels[] = {
    {"bert", "bert-base"},       {"bert_large", "bert-large"}, {"gpt2_large", "gpt2-large"},
    {"gpt2_med", "gpt2-medium"}, {"gpt2_xl", "gpt2-xl"},       {"gpt3_13", "gpt3-13b"},
    {"gpt3_27", "gpt3-2.7b"},    {"gpt3_67", "gpt3-6.7b"},     {"gpt3_xl", "gpt3-2.9b"},
    {"opt_13", "opt-1.3b"},      {"switchxl4", "switch-xl-4"},
};

// Names in the files: the first node of the layer that was traced, and the first behind it.
struct LayerBounds {
  std::string_view first, behind;
};
constexpr LayerBounds kLayers[] = {
    {"transformer_h_0_ln_1", "transformer_ln_f"},
    {"model_decoder_layers_0_self_attn_layer_norm", "model_decoder_final_layer_norm"},
    {"bert_encoder_layer_0_attention_self_query", "bert_pooler_dense"},
};
constexpr std::string_view kNames[] = {"Linear",  "BMM",       "VECadd",          "VECaddu",    "VECmul",
                                       "VECmulu", "VECdiv",    "VECdivu",         "VECpow",     "VECpowu",
                                       "VECtanh", "VECrelu",   "VECgelu",         "VECsoftmax", "VECln",
                                       "MEM",     "ALLREDUCE", "ALLREDUCE_ASYNC", "SENDRECV"};

// [['Linear', (1024, 1280, 3840)], ['MEM', ((4,), (4, 8))], ...]
class OperatorList {
 public:
  OperatorList(const CsvTable& table, size_t row, int column)
      : table_(table), row_(row), column_(column), text_(table.cell(row, column)) {}

  template <class Take>
  void each(Take take) {
    while (true) {
      at_ = text_.find('\'', at_);
      if (at_ == std::string_view::npos) return;
      size_t end = text_.find('\'', at_ + 1);
      if (end == std::string_view::npos) fail();
      std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
      const auto* known = std::ranges::find(kNames, name);
      if (known == std::end(kNames)) fail();
      size_t next = std::min(text_.find('\'', end + 1), text_.size());
      std::vector<std::vector<int64_t>> shapes = numbers(text_.substr(end + 1, next - end - 1));
      at_ = next;
      TracedOperator op{*known, {}};
      if (*known == "MEM") {
        for (const auto& shape : shapes) {
          int64_t elements = 1;
          for (int64_t size : shape) elements *= size;
          op.dims[0] += elements;
        }
      } else {
        if (shapes.size() != 1 || shapes[0].size() > op.dims.size()) fail();
        std::ranges::copy(shapes[0], op.dims.begin());
      }
      take(op);
    }
  }

 private:
  [[noreturn]] void fail() const { table_.fail(row_, column_, "is no list of operators and their sizes"); }

  // The innermost brackets, each a list of numbers.
  std::vector<std::vector<int64_t>> numbers(std::string_view text) const {
    std::vector<std::vector<int64_t>> shapes;
    std::vector<int64_t> shape;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '(' || text[i] == '[') shape.clear();
      if ((text[i] == ')' || text[i] == ']') && !shape.empty()) {
        shapes.push_back(std::move(shape));
        shape.clear();
      }
      if (text[i] < '0' || text[i] > '9') continue;
      int64_t value = 0;
      auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), value);
      if (error != std::errc()) fail();
      i = static_cast<size_t>(end - text.data()) - 1;
      shape.push_back(value);
    }
    return shapes;
  }

  const CsvTable& table_;
  size_t row_;
  int column_;
  std::string_view text_;
  size_t at_ = 0;
};

bool is_dense(const NeusightWorkload& workload) {
  return workload.model != "switchxl4";
}

int64_t total(const Operators& operators) {
  int64_t count = 0;
  for (const auto& [op, times] : operators) count += times;
  return count;
}

int64_t count_of(const Operators& operators, std::string_view name) {
  int64_t count = 0;
  for (const auto& [op, times] : operators) count += op.name == name ? times : 0;
  return count;
}

}  // namespace

NeusightWorkload parse_neusight_workload(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('-', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  NeusightWorkload workload;
  auto size = [&](std::string_view text) {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : 0;
  };
  bool whole = parts.size() == 4 || parts.size() == 5;
  if (whole) {
    workload = {std::string(parts[0]), parts[1] == "train", size(parts[2]), size(parts[3]),
                parts.size() == 5 ? std::string(parts[4]) : ""};
    whole = (workload.training || parts[1] == "inf") && workload.sequence > 0 && workload.batch > 0;
  }
  if (!whole) {
    throw InputError(fmt::format("'{}' names no workload; expected MODEL-train|inf-SEQUENCE-BATCH[-OPTION]",
                                 printable(name, 60)));
  }
  return workload;
}

std::string neusight_workload_name(const NeusightWorkload& w) {
  return fmt::format("{}-{}-{}-{}{}{}", w.model, w.training ? "train" : "inf", w.sequence, w.batch,
                     w.option.empty() ? "" : "-", w.option);
}

graph::ModelConfig neusight_model(const NeusightWorkload& workload) {
  const auto* known = std::ranges::find(kModels, std::string_view(workload.model), &ModelName::theirs);
  if (known == std::end(kModels)) {
    throw InputError(fmt::format("'{}' is none of the measured models", printable(workload.model, 40)));
  }
  graph::ModelConfig model = graph::find_model(std::string(known->ours));
  model.type = DataType::FP32;
  model.tied_embeddings = false;
  // The divided vocabulary was rounded down where we pad it.
  if (workload.option == "tp4") model.vocabulary -= model.vocabulary % 4;
  if (model.family == "bert") {
    model.pooler = true;
    model.classes = 2;
    model.head = model.head_transform = model.head_bias = workload.training;
  }
  return model;
}

graph::Workload neusight_run(const NeusightWorkload& workload, const graph::EagerOptions& eager) {
  graph::Workload run;
  run.mode = workload.training ? graph::Mode::Train : graph::Mode::Prefill;
  run.batch = workload.batch;
  run.sequence = workload.sequence;
  run.attention = graph::AttentionKernel::Eager;
  run.fuse = false;
  run.last_token_only = false;
  run.optimizer = graph::Optimizer::None;
  run.loss = false;
  run.keep_cache = false;
  run.accumulate_gradients = workload.training;
  run.eager = eager;
  if (workload.option == "fusion") {
    bool theirs = eager.gradients == graph::GradientRules::PerOperator;
    (theirs ? run.eager.fuse_sole_consumers : run.fuse) = true;
  }
  run.eager.dropout = workload.training;  // models were measured in their training mode
  if (workload.option == "dp4") {
    run.parallel.data = 4;
    run.batch /= run.parallel.data;
  } else if (workload.option == "tp4") {
    run.parallel.tensor = 4;
  }
  return run;
}

std::vector<TracedGraph> read_traced_graphs(const std::string& data_folder) {
  CsvTable table = read_csv(data_folder + "/neusight/operator_graphs.csv.zst");
  const int of = table.at("workload"), name = table.at("Name"), kind = table.at("OpName");
  const int lists[] = {table.at("FwOps"), table.at("BwOps"), table.at("AccOps")};
  std::vector<TracedGraph> graphs;
  int64_t repeat = 1, layers = 1;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (graphs.empty() || table.cell(i, of) != table.cell(i - 1, of)) {
      graphs.push_back({parse_neusight_workload(table.cell(i, of)), {}, {}});
      const NeusightWorkload& workload = graphs.back().workload;
      bool whole = !is_dense(workload) || workload.option == "fusion";
      layers = whole ? 1 : neusight_model(workload).towers[0].layers;
      repeat = 1;
    }
    for (const LayerBounds& bounds : kLayers) {
      if (table.cell(i, name) == bounds.first) repeat = layers;
      if (table.cell(i, name) == bounds.behind) repeat = 1;
    }
    if (table.cell(i, kind) == "getitem") continue;
    std::vector<TracedOperator> parts;
    for (int column : lists) {
      OperatorList(table, i, column).each([&](const TracedOperator& op) {
        graphs.back().operators[op] += repeat;
        parts.push_back(op);
      });
    }
    if (table.cell(i, kind) == "fused" && parts.size() > 1) graphs.back().fused[parts] += repeat;
  }
  return graphs;
}

std::vector<GraphDifference> differences(const Operators& theirs, const Operators& ours) {
  std::vector<GraphDifference> found;
  auto count = [](const Operators& in, const TracedOperator& op) {
    auto it = in.find(op);
    return it == in.end() ? 0 : it->second;
  };
  std::set<TracedOperator> all;
  for (const auto* side : {&theirs, &ours}) {
    for (const auto& [op, times] : *side) all.insert(op);
  }
  for (const TracedOperator& op : all) {
    if (count(theirs, op) != count(ours, op)) found.push_back({op, count(theirs, op), count(ours, op)});
  }
  return found;
}

double product_flops(const Operators& operators, std::string_view name) {
  double sum = 0;
  for (const auto& [op, times] : operators) {
    if (op.name != name) continue;
    double product = 2 * static_cast<double>(times);
    for (int64_t size : op.dims) product *= static_cast<double>(std::max<int64_t>(1, size));
    sum += product;
  }
  return sum;
}

report::Table neusight_graph_table(const std::string& data_folder) {
  report::Table table;
  table.title = "Operator graphs: as traced by NeuSight's authors, and ours";
  table.columns = {{"workload"}, {"operators"}, {"ours"},          {"that differ"},
                   {"products"}, {"ours"},      {"FLOP", "TFLOP"}, {"ours", "TFLOP"}};
  for (const TracedGraph& traced : read_traced_graphs(data_folder)) {
    if (!traced.workload.option.empty()) continue;
    graph::Graph graph = graph::build_graph(neusight_model(traced.workload),
                                            neusight_run(traced.workload, graph::traced_with_faults()));
    Operators ours = graph::traced_operators(graph);
    const Operators* sides[] = {&traced.operators, &ours};
    std::vector<Cell> row = {neusight_workload_name(traced.workload)};
    if (is_dense(traced.workload)) {
      int64_t differ = 0;
      for (const GraphDifference& d : differences(traced.operators, ours))
        differ += std::abs(d.theirs - d.ours);
      for (int64_t count : {total(traced.operators), total(ours), differ})
        row.push_back(report::number(static_cast<double>(count), 0));
    } else {
      row.insert(row.end(), 3, Cell());
    }
    for (const Operators* side : sides)
      row.push_back(
          report::number(static_cast<double>(count_of(*side, "Linear") + count_of(*side, "BMM")), 0));
    for (const Operators* side : sides) {
      double flops = product_flops(*side, "Linear") + product_flops(*side, "BMM");
      row.push_back(report::number(flops * 1e-12, 4));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "Operators with their sizes, each layer counted as often as the model has it, without slices. Of "
      "Switch the "
      "products alone are compared, linear and batched together: its tracer took 11 of the batched ones for "
      "linear, and "
      "its masks depend on the sampled routing."};
  return table;
}

report::Table neusight_fault_table(const schedule::Predictor& predictor, const hardware::Device& device) {
  struct Fault {
    const char* name;
    const char* workload;
    bool graph::EagerOptions::*option;
  };
  const Fault faults[] = {
      {"needless_gradients", "gpt2_large-train-1024-4", &graph::EagerOptions::needless_gradients},
      {"norm_gradient_is_product", "gpt2_large-train-1024-4", &graph::EagerOptions::norm_gradient_is_product},
      {"bias_everywhere", "gpt2_large-train-1024-4", &graph::EagerOptions::bias_everywhere},
      {"pooler_relu", "bert_large-train-512-8", &graph::EagerOptions::pooler_relu},
      {"repeated_score_shapes", "gpt2_large-train-1024-4-tp4", &graph::EagerOptions::repeated_score_shapes},
      {"idle_dropout", "opt_13-train-2048-1", &graph::EagerOptions::idle_dropout},
      {"copies_as_written", "opt_13-train-2048-1", &graph::EagerOptions::copies_as_written},
      {"free_positions", "bert_large-train-512-8", &graph::EagerOptions::free_positions},
  };
  report::Table table;
  table.title = "What each habit and fault of the traced graphs costs, on " + device.title;
  table.keys = 2;
  table.columns = {{"option"}, {"workload"}, {"without", "ms"}, {"with", "ms"}, {"change", "%"}};
  auto time = [&](const NeusightWorkload& workload, const graph::EagerOptions& eager) {
    graph::Graph graph = graph::build_graph(neusight_model(workload), neusight_run(workload, eager));
    return predictor.forecast(graph, device, schedule::Driver::Framework, graph::Mode::Train, workload.batch)
        .time.value;
  };
  auto add = [&](const char* name, const NeusightWorkload& workload, const graph::EagerOptions& changed) {
    Seconds without = time(workload, {}), with = time(workload, changed);
    table.rows.push_back({std::string(name), neusight_workload_name(workload),
                          report::number(without.value() * 1e3, 2), report::number(with.value() * 1e3, 2),
                          report::number(100 * (with / without - 1), 2)});
  };
  for (const Fault& fault : faults) {
    graph::EagerOptions eager;
    eager.*fault.option = true;
    add(fault.name, parse_neusight_workload(fault.workload), eager);
  }
  add("gradients per operator", parse_neusight_workload("gpt2_large-train-1024-4"),
      {.gradients = graph::GradientRules::PerOperator});
  add("all of them", parse_neusight_workload("gpt2_large-train-1024-4"), graph::traced_with_faults());
  table.notes = {"Our graph, with one option of graph/workload.h changed at a time."};
  return table;
}

}  // namespace orrery::validate

#include "orrery/validate/neusight_data.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "orrery/base/csv.h"
#include "orrery/base/document.h"
#include "orrery/validate/python_literal.h"

namespace orrery::validate {
namespace {

using graph::Kernel;
using graph::OperatorKind;
using Shape = std::vector<int64_t>;
using Kernels = std::vector<Kernel>;

constexpr int64_t kMostElements = int64_t{1} << 50;

int64_t elements(const Shape& shape) {
  int64_t product = 1;
  for (int64_t size : shape) product = std::min(kMostElements, product * std::max<int64_t>(size, 0));
  return product;
}

Shape shape_of(const PythonLiteral& literal, const Place& place) {
  Shape shape;
  if (literal.kind == PythonLiteral::Kind::Integer) return {literal.integer};
  for (const PythonLiteral& item : literal.items) {
    if (item.kind != PythonLiteral::Kind::Integer || item.integer < 0 || item.integer > kMostElements)
      throw InputError(place, "expected sizes as whole numbers");
    shape.push_back(item.integer);
  }
  return shape;
}

std::vector<Shape> shapes_of(const std::string& text, const Place& place) {
  std::vector<Shape> shapes;
  if (text.empty()) return shapes;
  for (const PythonLiteral& item : parse_python_literal(text, place).items)
    shapes.push_back(shape_of(item, place));
  return shapes;
}

Kernel single(const graph::OperatorShape& part) {
  return Kernel{{part}};
}

Kernel vector(OperatorKind kind, int64_t rows, int64_t columns, int64_t inputs, int64_t outputs = 1,
              int64_t broadcast = 0) {
  return single(graph::make(
      kind,
      graph::VectorSize{
          .rows = rows, .columns = columns, .inputs = inputs, .broadcast = broadcast, .outputs = outputs},
      DataType::FP32));
}

// So many elements read or written, in one pass.
Kernel moved(int64_t count) {
  return vector(OperatorKind::Copy, 1, std::max<int64_t>(count, 1), 1, 0);
}

Kernel product(int64_t batch, int64_t m, int64_t k, int64_t n) {
  return single(
      graph::make(graph::GemmSize{.batch = batch, .m = m, .n = n, .k = k}, DataType::FP32, DataType::FP32));
}

struct VectorName {
  std::string_view name;
  OperatorKind kind;
  int64_t inputs;
};
constexpr VectorName kVectorNames[] = {
    {"VECadd", OperatorKind::Add, 2},      {"VECaddu", OperatorKind::Add, 1},
    {"VECmul", OperatorKind::Multiply, 2}, {"VECmulu", OperatorKind::Multiply, 1},
    {"VECpow", OperatorKind::Power, 2},    {"VECpowu", OperatorKind::Power, 1},
    {"VECdiv", OperatorKind::Divide, 2},   {"VECdivu", OperatorKind::Divide, 1},
    {"VECrelu", OperatorKind::Relu, 1},    {"VECgelu", OperatorKind::Gelu, 1},
    {"VECtanh", OperatorKind::Tanh, 1},    {"VECsoftmax", OperatorKind::Softmax, 1},
    {"VECln", OperatorKind::LayerNorm, 1},
};

// One entry of an operator list: [name, sizes]. Collectives are left to the graphs that split models.
void append_operator(const PythonLiteral& entry, const std::vector<Shape>* inputs, const Place& place,
                     Kernels* out) {
  if (entry.items.size() != 2 || entry.items[0].kind != PythonLiteral::Kind::Text)
    throw InputError(place, "expected operators as [name, sizes]");
  const std::string& name = entry.items[0].text;
  if (name == "MEM") {
    int64_t count = 0;
    for (const PythonLiteral& shape : entry.items[1].items) count += elements(shape_of(shape, place));
    if (count > 0) out->push_back(moved(count));
    return;
  }
  if (name.starts_with("ALLREDUCE") || name.starts_with("SENDRECV")) return;
  const Shape sizes = shape_of(entry.items[1], place);
  if (elements(sizes) <= 0) return;
  if (name == "Linear" && sizes.size() == 3) {
    out->push_back(product(1, sizes[0], sizes[1], sizes[2]));
  } else if (name == "BMM" && sizes.size() == 4) {
    out->push_back(product(sizes[0], sizes[1], sizes[2], sizes[3]));
  } else {
    const auto known = std::find_if(std::begin(kVectorNames), std::end(kVectorNames),
                                    [&](const VectorName& v) { return v.name == name; });
    if (known == std::end(kVectorNames) || sizes.size() != 2)
      throw InputError(place, "'" + name + "' is no operator that is known here");
    int64_t full = known->inputs, broadcast = 0;
    if (inputs && !inputs->empty()) {
      full = 0;
      for (const Shape& shape : *inputs) {
        const int64_t count = elements(shape);
        if (count >= sizes[0] * sizes[1]) {
          ++full;
        } else {
          broadcast += count;
        }
      }
      full = std::max<int64_t>(full, 1);
    }
    out->push_back(vector(known->kind, sizes[0], sizes[1], full, 1, broadcast));
  }
}

Kernels listed(const std::string& text, const std::vector<Shape>* inputs, const Place& place) {
  Kernels kernels;
  if (text.empty()) return kernels;
  for (const PythonLiteral& entry : parse_python_literal(text, place).items)
    append_operator(entry, inputs, place, &kernels);
  return kernels;
}

// A node that the authors fused is one kernel: it reads the inputs of the node, writes its output and does
// the arithmetic of all its operators; the last one says what it is.
Kernels fused(const Kernels& operators, const std::vector<Shape>& inputs, const Shape& output) {
  if (operators.empty()) return {};
  int64_t read = 0;
  for (const Shape& shape : inputs) read += elements(shape);
  const graph::OperatorShape& last = operators.back().parts.back();
  if (last.kind == OperatorKind::Copy) return {moved(read + elements(output))};
  Kernel kernel;
  for (const Kernel& one : operators) {
    graph::VectorSize size = graph::vector_size(one.parts.back());
    size.inputs = size.broadcast = size.outputs = 0;
    kernel.parts.push_back(graph::make(one.parts.back().kind, size, DataType::FP32));
  }
  graph::VectorSize size = graph::vector_size(last);
  size.inputs = 0;
  size.broadcast = read;
  kernel.parts.back() = graph::make(last.kind, size, DataType::FP32);
  return {std::move(kernel)};
}

// Operators of the backward pass count as many full tensors as their forward operator reads, scalars aside:
// the bytes of the shipped rooflines.
std::vector<Shape> gradient_inputs(const std::vector<Shape>& inputs) {
  const auto tensors =
      std::count_if(inputs.begin(), inputs.end(), [](const Shape& s) { return elements(s) > 1; });
  return std::vector<Shape>(static_cast<size_t>(std::max<ptrdiff_t>(tensors, 1)), Shape{kMostElements});
}

// What the rules of eager execution read of a node.
struct EagerNode {
  std::string_view kind, name;
  int64_t rows = 1, columns = 1, count = 1;  // of the output
  std::vector<Shape> inputs;
  const NeuSightPhases& paper;
  NeuSightPhases* eager;

  int64_t full_inputs() const {
    return std::count_if(inputs.begin(), inputs.end(), [&](const Shape& s) { return elements(s) >= count; });
  }
  Kernel pass(OperatorKind op, int64_t full, int64_t outputs = 1, int64_t broadcast = 0) const {
    return vector(op, rows, columns, full, outputs, broadcast);
  }
};

void eager_linear(EagerNode& n) {
  n.eager->backward = n.paper.backward;
  n.eager->backward.push_back(n.pass(OperatorKind::Reduce, 1, 0));  // the bias's gradient
}

// A product of four-dimensional tensors first makes permuted operands contiguous; scores already are.
void eager_batched(EagerNode& n) {
  Kernels forward;
  for (const Shape& shape : n.inputs) {
    if (shape.size() == 4 && shape[2] != shape[3])
      forward.push_back(vector(OperatorKind::Copy, 1, elements(shape), 1));
  }
  forward.insert(forward.end(), n.paper.forward.begin(), n.paper.forward.end());
  n.eager->forward = std::move(forward);
  n.eager->backward = n.paper.backward;
}

void eager_add(EagerNode& n) {  // an input of the output's size shares its gradient
  for (const Shape& shape : n.inputs) {
    if (elements(shape) < n.count && elements(shape) > 1 && shape.size() > 1)
      n.eager->backward.push_back(n.pass(OperatorKind::Reduce, 1, 0));
  }
}

void eager_multiply(EagerNode& n) {
  if (n.full_inputs() < 2) {
    n.eager->backward = {n.pass(OperatorKind::Multiply, 1)};
  } else {
    n.eager->backward = {n.pass(OperatorKind::Multiply, 2), n.pass(OperatorKind::Multiply, 2)};
  }
}

void eager_unary(EagerNode& n) {
  n.eager->backward = {n.pass(OperatorKind::Multiply, 2)};
}

void eager_power(EagerNode& n) {
  // Squares and cubes, which PyTorch multiplies out.
  n.eager->forward = {n.pass(OperatorKind::Multiply, 1)};
  n.eager->backward = {n.pass(OperatorKind::Multiply, 1), n.pass(OperatorKind::Multiply, 1),
                       n.pass(OperatorKind::Multiply, 2)};
}

void eager_softmax(EagerNode& n) {
  n.eager->backward = {n.pass(OperatorKind::Multiply, 2), n.pass(OperatorKind::Softmax, 2)};
}

void eager_norm(EagerNode& n) {  // of the input, then of gain and bias
  n.eager->backward = {n.pass(OperatorKind::LayerNorm, 2), n.pass(OperatorKind::Reduce, 2, 0)};
}

void eager_dropout(EagerNode& n) {
  const int64_t mask = std::max<int64_t>(1, n.count / 4);  // a byte an element
  n.eager->forward = {n.pass(OperatorKind::Dropout, 1, 1, mask)};
  n.eager->backward = {n.pass(OperatorKind::Copy, 0, 1, mask), n.pass(OperatorKind::Multiply, 1),
                       n.pass(OperatorKind::Multiply, 2)};
}

void eager_where(EagerNode& n) {
  const int64_t condition = n.inputs.empty() ? 0 : elements(n.inputs[0]) / 4;
  n.eager->forward = n.eager->backward = {n.pass(OperatorKind::Mask, 1, 1, condition)};
}

void eager_contiguous(EagerNode& n) {
  n.eager->backward = {};
}

void eager_embedding(EagerNode& n) {
  n.eager->forward = {n.pass(OperatorKind::Copy, 1)};
  n.eager->backward = n.paper.backward;
}

void eager_misc(EagerNode& n) {
  if (n.name.starts_with("max") && n.full_inputs() > 0) {  // of scores and the least number
    n.eager->forward = {n.pass(OperatorKind::Mask, 1)};
    n.eager->backward = {n.pass(OperatorKind::Mask, 1)};
  }
  if (n.name.starts_with("split") && !n.inputs.empty())  // gradients of the pieces are joined
    n.eager->backward = {vector(OperatorKind::Copy, 1, elements(n.inputs[0]), 1)};
}

void eager_getitem(EagerNode& n) {
  *n.eager = {};
}

struct EagerRule {
  std::string_view kind;
  void (*apply)(EagerNode&);
};
constexpr EagerRule kEagerRules[] = {
    {"Linear", eager_linear},
    {"BMM", eager_batched},
    {"VECadd", eager_add},
    {"VECaddu", eager_add},
    {"VECmul", eager_multiply},
    {"VECmulu", eager_multiply},
    {"VECdiv", eager_multiply},
    {"VECdivu", eager_multiply},
    {"VECpowu", eager_power},
    {"VECtanh", eager_unary},
    {"VECgelu", eager_unary},
    {"VECrelu", eager_unary},
    {"VECsoftmax", eager_softmax},
    {"VECln", eager_norm},
    {"dropout", eager_dropout},
    {"where", eager_where},
    {"contiguous", eager_contiguous},
    {"EMBEDDING", eager_embedding},
    {"misc", eager_misc},
    {"getitem", eager_getitem},
};

double seconds(const CsvTable& table, size_t row, int column) {
  return table.number_or(row, column, 0) * 1e-3;
}

struct ShippedColumns {
  int neusight, roofline, habitat, li;
  ShippedColumns(const CsvTable& table, const std::string& ending)
      : neusight(table.find("neusight" + ending)),
        roofline(table.find("roofline" + ending)),
        habitat(table.find("habitat" + ending)),
        li(table.find("li" + ending)) {}
  NeuSightShipped read(const CsvTable& table, size_t row) const {
    auto one = [&](int column) {
      return table.number_or(row, column, std::numeric_limits<double>::quiet_NaN()) * 1e-3;
    };
    return {one(neusight), one(roofline), one(habitat), one(li)};
  }
};

struct RunColumns {
  int gpu, model, mode, sequence, batch, option;
  explicit RunColumns(const CsvTable& table)
      : gpu(table.at("gpu")),
        model(table.at("model")),
        mode(table.at("mode")),
        sequence(table.at("seq")),
        batch(table.at("batch")),
        option(table.find("option")) {}
  NeuSightRun read(const CsvTable& table, size_t row) const {
    constexpr int64_t kMost = 1 << 24;
    NeuSightRun run;
    run.gpu = table.cell(row, gpu);
    run.model = table.cell(row, model);
    run.mode = table.cell(row, mode);
    run.option = table.cell(row, option);
    run.sequence = table.integer(row, sequence, 1, kMost);
    run.batch = table.integer(row, batch, 1, kMost);
    return run;
  }
};

// The layers of a model whose graph holds one of them.
int layers_of(const std::string& folder, const std::string& model) {
  const Node root = read_document(folder + "/neusight/model_configs.json");
  const Node& config = root.at(model);
  if (config.find("num_sparse_encoder_layers")) return 1;  // traced whole
  const Node* layers = config.find("n_layer");
  return static_cast<int>((layers ? *layers : config.at("num_hidden_layers")).as_integer(1, 1000));
}

// Names of nodes that belong to the layer that was traced.
bool in_layer(const std::string& name) {
  return name.find("_h_0_") != std::string::npos || name.find("layer_0_") != std::string::npos ||
         name.find("layers_0_") != std::string::npos;
}

}  // namespace

std::string NeuSightRun::workload() const {
  std::string name = model + (mode == "training" ? "-train-" : "-inf-") + std::to_string(sequence) + "-" +
                     std::to_string(batch);
  return option.empty() ? name : name + "-" + option;
}

bool neusight_unseen(const std::string& gpu) {
  return gpu == "A100-PCIe-80GB" || gpu == "L4" || gpu.starts_with("H100") || gpu == "A100-SXM4-40GB" ||
         gpu == "MI250";
}

NeuSightNode neusight_node(const std::string& name, const std::string& kind,
                           const std::string& forward_operators, const std::string& backward_operators,
                           const std::string& accumulate_operators, const std::string& input_shapes,
                           const std::string& output_shape, const Place& place) {
  NeuSightNode node;
  node.name = name;
  node.kind = kind;
  const std::vector<Shape> inputs = shapes_of(input_shapes, place);
  NeuSightPhases& paper = node.phases[static_cast<size_t>(NeuSightDialect::Paper)];
  const bool single_vector = kind.starts_with("VEC");
  paper.forward = listed(forward_operators, single_vector ? &inputs : nullptr, place);
  const bool shaped = !output_shape.empty() && output_shape != "[]";
  const Shape output = shaped ? shape_of(parse_python_literal(output_shape, place), place) : Shape{};
  if (kind == "fused") paper.forward = fused(paper.forward, inputs, output);
  const std::vector<Shape> as_many = gradient_inputs(inputs);
  paper.backward = listed(backward_operators, &as_many, place);
  paper.accumulate = listed(accumulate_operators, &as_many, place);
  NeuSightPhases& eager = node.phases[static_cast<size_t>(NeuSightDialect::Eager)];
  eager.forward = paper.forward;
  eager.accumulate = listed(accumulate_operators, nullptr, place);
  EagerNode rules{kind, name, 1, 1, std::max<int64_t>(1, elements(output)), inputs, paper, &eager};
  rules.columns = output.empty() ? 1 : std::max<int64_t>(1, output.back());
  rules.rows = std::max<int64_t>(1, rules.count / rules.columns);
  const auto rule = std::find_if(std::begin(kEagerRules), std::end(kEagerRules),
                                 [&](const EagerRule& r) { return r.kind == kind; });
  if (rule != std::end(kEagerRules)) {
    rule->apply(rules);
  } else {
    eager.backward = listed(backward_operators, nullptr, place);
  }
  if (backward_operators.empty() || backward_operators == "[]") {
    if (kind != "misc") eager.backward.clear();
  }
  return node;
}

std::vector<NeuSightLabels> read_neusight_labels(const std::string& data_folder) {
  const CsvTable table = read_csv(data_folder + "/neusight/node_labels.csv.zst");
  const RunColumns columns(table);
  const int node = table.at("node"), op = table.at("op"), fw = table.at("fw_ops"), bw = table.at("bw_ops"),
            acc = table.at("acc_ops"), inputs = table.at("input_shapes"), output = table.at("output_shape"),
            fw_ms = table.at("fw_ms"), bw_ms = table.at("bw_ms"), acc_ms = table.at("acc_ms");
  const ShippedColumns shipped_fw(table, "_fw_ms"), shipped_bw(table, "_bw_ms"),
      shipped_acc(table, "_acc_ms");
  std::vector<NeuSightLabels> labels;
  for (size_t i = 0; i < table.rows(); ++i) {
    const NeuSightRun run = columns.read(table, i);
    if (labels.empty() || labels.back().run != run) labels.push_back({run, {}});
    auto text = [&](int column) { return std::string(table.cell(i, column)); };
    NeuSightNode n = neusight_node(text(node), text(op), text(fw), text(bw), text(acc), text(inputs),
                                   text(output), table.place(i, fw));
    n.forward = seconds(table, i, fw_ms);
    n.backward = seconds(table, i, bw_ms);
    n.accumulate = seconds(table, i, acc_ms);
    n.shipped_forward = shipped_fw.read(table, i);
    n.shipped_backward = shipped_bw.read(table, i);
    n.shipped_accumulate = shipped_acc.read(table, i);
    labels.back().nodes.push_back(std::move(n));
  }
  return labels;
}

std::vector<NeuSightMeasuredRun> read_neusight_runs(const std::string& data_folder) {
  const CsvTable table = read_csv(data_folder + "/neusight/end_to_end.csv");
  const RunColumns columns(table);
  const int total = table.at("latency_ms"), fw = table.at("fw_ms"), bw = table.at("bw_ms");
  const ShippedColumns shipped(table, "_ms"), shipped_fw(table, "_fw_ms"), shipped_bw(table, "_bw_ms");
  std::vector<NeuSightMeasuredRun> runs;
  for (size_t i = 0; i < table.rows(); ++i) {
    runs.push_back({columns.read(table, i), seconds(table, i, total), seconds(table, i, fw),
                    seconds(table, i, bw), shipped.read(table, i), shipped_fw.read(table, i),
                    shipped_bw.read(table, i)});
  }
  return runs;
}

NeuSightGraph read_neusight_graph(const std::string& data_folder, const std::string& workload) {
  const CsvTable table = read_csv(data_folder + "/neusight/operator_graphs.csv.zst");
  const int named = table.at("workload"), name = table.at("Name"), op = table.at("OpName"),
            fw = table.at("FwOps"), bw = table.at("BwOps"), acc = table.at("AccOps"),
            inputs = table.at("InputShapes"), output = table.at("OutputShape"), next = table.at("Next");
  const int layers = workload.find("-fusion") != std::string::npos
                         ? 1
                         : layers_of(data_folder, workload.substr(0, workload.find('-')));
  const bool training = workload.find("-train-") != std::string::npos;
  NeuSightGraph graph;
  std::vector<int64_t> counts;
  std::vector<std::string> nexts;
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (table.cell(i, named) != workload) continue;
    auto text = [&](int column) { return std::string(table.cell(i, column)); };
    index[text(name)] = graph.nodes.size();
    graph.nodes.push_back(neusight_node(text(name), text(op), text(fw), text(bw), text(acc), text(inputs),
                                        text(output), table.place(i, fw)));
    if (!training) graph.nodes.back().phases[static_cast<size_t>(NeuSightDialect::Eager)].backward.clear();
    const std::string shape = text(output);
    counts.push_back(shape.empty() || shape == "[]"
                         ? 0
                         : elements(shape_of(parse_python_literal(shape, table.place(i, output)),
                                             table.place(i, output))));
    nexts.push_back(text(next));
  }
  if (graph.nodes.empty())
    throw InputError(Place{table.file(), 0, 0}, "holds no workload '" + workload + "'");
  // Gradients of a tensor with several consumers are added up.
  for (size_t i = 0; training && i < graph.nodes.size(); ++i) {
    if (counts[i] < 1024) continue;
    int consumers = 0;
    const std::string& text = nexts[i];
    for (size_t at = 0; (at = text.find('\'', at)) != std::string::npos;) {
      const size_t end = text.find('\'', at + 1);
      if (end == std::string::npos) break;
      const auto known = index.find(text.substr(at + 1, end - at - 1));
      if (known != index.end() && counts[known->second] >= 1024 &&
          !graph.nodes[known->second].name.starts_with("getattr") &&
          graph.nodes[known->second].kind != "output")
        ++consumers;
      at = end + 1;
    }
    for (int extra = 1; extra < consumers; ++extra)
      graph.nodes[i].phases[static_cast<size_t>(NeuSightDialect::Eager)].accumulate.push_back(
          vector(OperatorKind::Add, 1, counts[i], 2));
  }
  // The traced layer lies between the first and the last node of its name; in GPT and OPT its last node, the
  // second residual, and in BERT the last norm close it.
  size_t first = graph.nodes.size(), last = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!in_layer(graph.nodes[i].name)) continue;
    first = std::min(first, i);
    last = i;
  }
  if (layers > 1 && last < graph.nodes.size() && !graph.nodes[last].name.ends_with("LayerNorm") &&
      !graph.nodes[last].name.ends_with("layer_norm")) {
    for (size_t i = last; i < graph.nodes.size(); ++i) {  // up to the residual
      if (graph.nodes[i].kind == "VECadd") {
        last = i;
        break;
      }
    }
  }
  graph.times.assign(graph.nodes.size(), 1);
  for (size_t i = first; layers > 1 && i <= last; ++i) graph.times[i] = layers;
  return graph;
}

}  // namespace orrery::validate

#include "orrery/graph/readers/wham_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "orrery/base/text.h"
#include "orrery/graph/readers/wham_text_lines.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

constexpr double kMostElements = 1e12;

enum class Form : uint8_t { Convolution, Linear, Product, Elementwise, Rows, Pool, View, Weight, Source };
struct Row {
  std::string_view names;
  Form form;
  Kind kind = Kind::View;
};
// WHAM's operators; those that it runs on no core are views, or copies where bytes move.
constexpr Row kRows[] = {
    {"MkldnnConvolution CudnnConvolution ThnnConv2D", Form::Convolution},
    {"Linear", Form::Linear},
    {"Addmm Mm Bmm", Form::Product},
    {"Relu Neg MaskedFill Hardtanh", Form::Elementwise, Kind::Relu},
    {"Add Addcmul", Form::Elementwise, Kind::Add},
    {"Sub", Form::Elementwise, Kind::Subtract},
    {"Mul", Form::Elementwise, Kind::Multiply},
    {"Div", Form::Elementwise, Kind::Divide},
    {"Pow", Form::Elementwise, Kind::Power},
    {"Sqrt", Form::Elementwise, Kind::Sqrt},
    {"Tanh", Form::Elementwise, Kind::Tanh},
    {"Sigmoid", Form::Elementwise, Kind::Sigmoid},
    {"Silu", Form::Elementwise, Kind::Silu},
    {"Hardswish", Form::Elementwise, Kind::HardSwish},
    {"Hardsigmoid", Form::Elementwise, Kind::HardSigmoid},
    {"Erf", Form::Elementwise, Kind::Erf},
    {"Gelu", Form::Elementwise, Kind::Gelu},
    {"Sin", Form::Elementwise, Kind::Sin},
    {"Cos", Form::Elementwise, Kind::Cos},
    {"NativeDropout FusedDropout", Form::Elementwise, Kind::Dropout},
    {"NativeLayerNorm CudnnLayerNorm", Form::Rows, Kind::LayerNorm},
    {"NativeBatchNorm CudnnBatchNorm", Form::Rows, Kind::BatchNorm},
    {"Softmax", Form::Rows, Kind::Softmax},
    {"LogSoftmax", Form::Rows, Kind::Softmax},
    {"NllLoss", Form::Elementwise, Kind::Reduce},
    {"Mean", Form::Elementwise, Kind::Mean},
    {"Sum", Form::Elementwise, Kind::Reduce},
    {"MaxPool2DWithIndices AvgPool2D AdaptiveAveragePool2D AdaptiveAvgPool2D", Form::Pool},
    {"Embedding Gather Index Scatter Cat Stack Clone Copy CopySlices SWhere Expand PackPaddedSequence "
     "Revert_varlen",
     Form::Elementwise, Kind::Copy},
    {"View UnsafeView T Transpose Permute Unsqueeze Squeeze Alias Slice Select Split UnsafeSplit Unbind Norm",
     Form::View},
    {"AccumulateGrad", Form::Weight},
    {"source sink SOURCE SINK SRC SNK dummy", Form::Source},
};

const Row* row_of(std::string_view op) {
  for (const Row& row : kRows) {
    for (size_t at = 0; at < row.names.size();) {
      size_t end = std::min(row.names.find(' ', at), row.names.size());
      if (row.names.substr(at, end - at) == op) return &row;
      at = end + 1;
    }
  }
  return nullptr;
}

double count(const WhamShape& shape) {
  double all = 1;
  for (int64_t size : shape) all *= static_cast<double>(size);
  return all;
}

class Emitter {
 public:
  Emitter(const WhamGraph& lines, const WhamTextOptions& options)
      : lines_(lines), options_(options), values_(lines.nodes.size(), kNone), weight_(lines.nodes.size()) {}

  WhamTextModel run() {
    WhamTextModel model;
    check_operators(model.notes);
    std::vector<uint8_t> read(lines_.nodes.size());
    for (size_t v : lines_.order) {
      for (size_t p : lines_.nodes[v].predecessors) read[p] = 1;
      emit(v);
    }
    for (size_t v : lines_.order) {
      if (values_[v] != kNone && !weight_[v] && !read[v]) block_.outputs.push_back(values_[v]);
    }
    if (block_.forward.empty())
      throw InputError(Place{lines_.path, lines_.nodes[0].line, 1}, "no operator that computes anything");
    model.batch = batch_;
    model.parameters = parameters_;
    model.graph = single_block_graph(block_, options_);
    return model;
  }

 private:
  void check_operators(std::vector<std::string>& notes) const {
    std::vector<std::string> unknown;
    const WhamNode* first = nullptr;
    for (const WhamNode& node : lines_.nodes) {
      if (row_of(node.op) || std::ranges::find(unknown, node.op) != unknown.end()) continue;
      if (!first) first = &node;
      unknown.push_back(printable(node.op, 40));
    }
    if (!first) return;
    const std::string list = join(unknown, ", ");
    if (!options_.unknown_as_vector)
      lines_.fail(*first, first->op_column,
                  fmt::format("unknown operators: {}; --unknown vc:1 takes them as vector operators of one "
                              "cycle an element",
                              list));
    notes.push_back("taken as vector operators of one cycle an element: " + list);
  }

  WhamShape output(const WhamNode& node) const {
    std::vector<WhamShape> shapes = lines_.shapes(node, "output_act");
    auto found = node.fields.find("output_act");
    int column = found == node.fields.end() ? node.op_column : found->second.column;
    if (shapes.empty() || shapes[0].empty())
      lines_.fail(node, column,
                  fmt::format("'{}' has no output_act; expected the shape of its result", node.id));
    for (int64_t size : shapes[0]) {
      if (size < 1) lines_.fail(node, column, fmt::format("a size of {} in output_act", size));
    }
    if (count(shapes[0]) > kMostElements)
      lines_.fail(node, column, "output_act holds more than 10^12 elements");
    return shapes[0];
  }

  ValueId activation(const WhamShape& shape) { return block_.add_value(count(shape), options_.type); }
  ValueId weight(double elements) {
    ValueId id = block_.add_value(elements, options_.type, TensorKind::Weight);
    block_.values[id].trainable = options_.train;
    parameters_ += elements;
    return id;
  }
  ValueId source(double elements) { return block_.add_value(elements, options_.type, TensorKind::Input); }

  void step(const WhamNode& node, const OperatorShape& shape, std::vector<ValueId> inputs, ValueId out) {
    names_.push_back(node.op);
    Step step;
    step.name = names_.back();
    step.kernel.parts = {shape};
    step.inputs = std::move(inputs);
    step.outputs = {out};
    block_.forward.push_back(std::move(step));
  }

  // What the node reads of other operators; an input of the network where it reads none.
  std::vector<ValueId> inputs(size_t v, double elements) {
    std::vector<ValueId> found;
    for (size_t p : lines_.nodes[v].predecessors) {
      if (!weight_[p] && values_[p] != kNone && std::ranges::find(found, values_[p]) == found.end())
        found.push_back(values_[p]);
    }
    if (found.empty()) found.push_back(source(elements));
    return found;
  }

  void emit(size_t v) {
    const WhamNode& node = lines_.nodes[v];
    const Row* row = row_of(node.op);
    Form form = row ? row->form : Form::Elementwise;
    Kind kind = row ? row->kind : Kind::Relu;
    bool hangs_on_weights = !node.predecessors.empty() &&
                            std::ranges::all_of(node.predecessors, [&](size_t p) { return weight_[p] != 0; });
    if (form == Form::Weight || (form == Form::View && hangs_on_weights)) {
      weight_[v] = 1;
      return;
    }
    if (form == Form::Source &&
        (node.predecessors.empty() || node.fields.find("output_act") == node.fields.end())) {
      return;
    }
    WhamShape out = output(node);
    if (block_.forward.empty()) batch_ = out[0];
    switch (form) {
      case Form::Convolution:
        convolution(v, out);
        break;
      case Form::Linear:
      case Form::Product:
        product(v, out, form == Form::Linear);
        break;
      case Form::Pool:
        pool(v, out);
        break;
      case Form::View:
      case Form::Source:
        view(v, out);
        break;
      default:
        vector(v, out, kind);
    }
    epilogue(node, out, values_[v]);
  }

  std::vector<WhamShape> saved(const WhamNode& node, size_t least) const {
    std::vector<WhamShape> shapes = lines_.shapes(node, "saved_tensors");
    std::erase_if(shapes, [](const WhamShape& s) { return s.empty(); });
    if (shapes.size() < least) {
      auto found = node.fields.find("saved_tensors");
      lines_.fail(node, found == node.fields.end() ? node.op_column : found->second.column,
                  fmt::format("'{}' has {} saved_tensors; expected the shapes of its {} operands", node.id,
                              shapes.size(), least));
    }
    return shapes;
  }

  [[noreturn]] void mismatch(const WhamNode& node) const {
    auto found = node.fields.find("saved_tensors");
    lines_.fail(node, found == node.fields.end() ? node.op_column : found->second.column,
                fmt::format("the shapes of '{}' do not match: output_act {}, saved_tensors {}", node.id,
                            printable(node.fields.at("output_act").value, 60),
                            found == node.fields.end() ? "none" : printable(found->second.value, 60)));
  }

  void convolution(size_t v, const WhamShape& out) {
    const WhamNode& node = lines_.nodes[v];
    std::vector<WhamShape> operands = saved(node, 2);
    const WhamShape &x = operands[0], &w = operands[1];
    if (x.size() != 4 || w.size() != 4 || out.size() != 4) mismatch(node);
    for (const WhamShape* shape : {&x, &w}) {
      if (std::ranges::any_of(*shape, [](int64_t size) { return size < 1; })) mismatch(node);
    }
    if (lines_.first_number(node, "dilation", 1) > 1)
      lines_.fail(node, node.fields.at("dilation").column, "a dilation above 1 is not priced");
    ConvolutionSize c;
    c.batch = x[0];
    c.in_channels = x[1];
    c.out_channels = w[0];
    c.height = x[2];
    c.width = x[3];
    c.kernel_h = w[2];
    c.kernel_w = w[3];
    c.stride_h = c.stride_w = std::max<int64_t>(1, lines_.first_number(node, "stride", 1));
    c.pad_h = c.pad_w = lines_.first_number(node, "padding", 0);
    if (x[1] % w[1] != 0) mismatch(node);
    c.groups = x[1] / w[1];
    bool fits = w[0] % c.groups == 0 && c.pad_h < (int64_t{1} << 20) &&
                c.height + 2 * c.pad_h >= c.kernel_h && c.width + 2 * c.pad_w >= c.kernel_w &&
                out[0] == c.batch && out[1] == c.out_channels && out[2] == c.out_height() &&
                out[3] == c.out_width();
    if (!fits) mismatch(node);
    std::vector<ValueId> in = inputs(v, count(x));
    in.resize(1);
    in.push_back(weight(count(w)));
    if (lines_.shapes(node, "parameter").size() > 1) in.push_back(weight(static_cast<double>(w[0])));
    values_[v] = activation(out);
    step(node, make(c, options_.type), std::move(in), values_[v]);
  }

  void product(size_t v, const WhamShape& out, bool linear) {
    const WhamNode& node = lines_.nodes[v];
    std::vector<WhamShape> operands = saved(node, 2);
    const size_t first = operands.size() > 2 ? 1 : 0;
    const WhamShape &a = operands[first], &b = operands[first + 1];
    if (b.size() < 2 || a.empty()) mismatch(node);
    int64_t k = a.back(), n = linear ? b[b.size() - 2] : b.back(), over = linear ? b.back() : b[b.size() - 2];
    if (k < 1 || k != over || out.back() != n) mismatch(node);
    GemmSize size{.n = n, .k = k};
    const bool two_activations = node.op == "Bmm" || (node.op == "Mm" && b.size() > 2);
    if (two_activations) {
      if (out.size() < 3) mismatch(node);
      size.m = out[out.size() - 2];
      size.batch = static_cast<int64_t>(count(out)) / (size.m * n);
    } else {
      size.m = static_cast<int64_t>(count(out)) / n;
    }
    std::vector<ValueId> in = inputs(v, count(a));
    if (two_activations) {
      if (in.size() < 2) in.push_back(in[0]);  // both sides are views of one
      in.resize(2);
    } else {
      in.resize(1);
      in.push_back(weight(static_cast<double>(n) * static_cast<double>(k)));
      if (lines_.shapes(node, "parameter").size() > 1 || first == 1)
        in.push_back(weight(static_cast<double>(n)));
    }
    values_[v] = activation(out);
    step(node, make(size, options_.type, options_.type), std::move(in), values_[v]);
  }

  void pool(size_t v, const WhamShape& out) {
    const WhamNode& node = lines_.nodes[v];
    std::vector<WhamShape> operands = saved(node, 1);
    const WhamShape& x = operands[0];
    if (x.size() != 4 || out.size() != 4 || x[2] < out[2] || x[3] < out[3]) mismatch(node);
    int64_t kernel = lines_.first_number(node, "kernel", 0);
    if (kernel < 1) kernel = x[2] / out[2];
    OperatorShape shape{Kind::Pooling,
                        options_.type,
                        options_.type,
                        Pass::Forward,
                        {x[0], x[1], out[2], out[3], kernel, kernel, x[2], x[3]}};
    std::vector<ValueId> in = inputs(v, count(x));
    in.resize(1);
    values_[v] = activation(out);
    step(node, shape, std::move(in), values_[v]);
  }

  void view(size_t v, const WhamShape& out) {
    std::vector<ValueId> in = inputs(v, count(out));
    values_[v] = block_.add_view(block_.values[in[0]].storage, count(out));
    step(lines_.nodes[v], OperatorShape{}, {in[0]}, values_[v]);
  }

  void vector(size_t v, const WhamShape& out, Kind kind) {
    const WhamNode& node = lines_.nodes[v];
    double elements = count(out);
    std::vector<ValueId> in = inputs(v, elements);
    for (const WhamShape& shape : lines_.shapes(node, "parameter")) {
      if (!shape.empty() && traits(kind).passes > 0) in.push_back(weight(count(shape)));
    }
    values_[v] = activation(out);
    const OperatorShape shape = make(kind, size_of(kind, out, in), options_.type);
    step(node, shape, std::move(in), values_[v]);
  }

  VectorSize size_of(Kind kind, const WhamShape& out, const std::vector<ValueId>& in) const {
    double elements = count(out);
    int64_t columns = kind == Kind::BatchNorm && out.size() > 1 ? out[1] : out.back();
    VectorSize size{.rows = static_cast<int64_t>(elements) / columns, .columns = columns, .inputs = 0};
    if (kind == Kind::Mean || kind == Kind::Reduce) {
      double over = std::max(elements, block_.values[in[0]].elements);
      size.rows = static_cast<int64_t>(elements);
      size.columns = static_cast<int64_t>(over / elements);
    }
    for (ValueId value : in) {
      double of = block_.values[value].elements;
      if (block_.values[value].kind != TensorKind::Weight && of >= elements) {
        size.inputs += 1;
      } else {
        size.broadcast += static_cast<int64_t>(of);
      }
    }
    if (kind == Kind::Copy) size.inputs = 1, size.broadcast = 0;
    size.inputs = std::max<int64_t>(1, size.inputs);
    return size;
  }

  // The vector operators that run behind a product: "Relu ~~ [] ~~ [8, 64] ~~ Add ~~ ...".
  void epilogue(const WhamNode& node, const WhamShape& out, ValueId& value) {
    auto found = node.fields.find("fused_operators");
    if (found == node.fields.end()) return;
    std::vector<std::string> words;
    std::string_view rest = found->second.value;
    while (!rest.empty()) {
      size_t end = rest.find(" ~~ ");
      words.emplace_back(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 4);
    }
    for (size_t i = 0; i < words.size(); i += 3) {
      std::string name = words[i];
      name.erase(0, name.find_first_not_of(" \t"));
      name.erase(name.find_last_not_of(" \t\r") + 1);
      const Row* row = row_of(name);
      if (name.empty() || (row && row->form == Form::View)) continue;
      if (!row || (row->form != Form::Elementwise && row->form != Form::Rows))
        lines_.fail(node, found->second.column,
                    fmt::format("'{}' cannot be fused behind '{}'; expected a vector operator",
                                printable(name, 40), node.op));
      std::vector<ValueId> in = {value};
      ValueId next = activation(out);
      WhamNode part = node;
      part.op = name;
      step(part, make(row->kind, size_of(row->kind, out, in), options_.type), in, next);
      value = next;
    }
  }

  const WhamGraph& lines_;
  const WhamTextOptions& options_;
  Block block_;
  std::vector<ValueId> values_;
  std::vector<uint8_t> weight_;
  std::deque<std::string> names_;  // steps refer to them
  int64_t batch_ = 1;
  double parameters_ = 0;
};

}  // namespace

bool is_wham_text(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return false;
  return text.substr(begin, text.find('\n', begin) - begin).find(" -- ") != std::string_view::npos;
}

WhamTextModel parse_wham_text(std::string_view text, const std::string& path,
                              const WhamTextOptions& options) {
  WhamGraph lines = parse_wham_lines(text, path);
  return Emitter(lines, options).run();
}

}  // namespace orrery::graph

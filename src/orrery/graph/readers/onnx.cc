#include "orrery/graph/readers/onnx.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/graph/block.h"
#include "orrery/graph/readers/onnx_shapes.h"
#include "orrery/graph/single_block.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

// How a type of node becomes an operator.
enum class Form : uint8_t {
  View,         // free
  Elementwise,  // of the output's size
  Copy,         // moves its output
  Rows,         // over the last axis, or from `axis` on
  Channels,     // batch norm
  Reduction,    // over the axes that are gone
  Convolution,
  Product,
  MatMul,
  Pool,
  GlobalPool,
  LookUp,
  TopK,
};
struct Row {
  std::string_view types;
  Form form;
  Kind kind;
};
constexpr Row kForms[] = {
    {"Reshape Flatten Squeeze Unsqueeze Identity Dropout", Form::View, Kind::View},
    {"Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Clip Abs Sign Neg", Form::Elementwise, Kind::Relu},
    {"HardSwish", Form::Elementwise, Kind::HardSwish},
    {"HardSigmoid", Form::Elementwise, Kind::HardSigmoid},
    {"Sigmoid", Form::Elementwise, Kind::Sigmoid},
    {"Tanh Softplus Softsign Mish", Form::Elementwise, Kind::Tanh},
    {"Gelu FastGelu BiasGelu QuickGelu", Form::Elementwise, Kind::Gelu},
    {"Erf", Form::Elementwise, Kind::Erf},
    {"Exp Log", Form::Elementwise, Kind::Exp},
    {"Sin", Form::Elementwise, Kind::Sin},
    {"Cos", Form::Elementwise, Kind::Cos},
    {"Sqrt Reciprocal", Form::Elementwise, Kind::Sqrt},
    {"Add Sum Mean Max Min", Form::Elementwise, Kind::Add},
    {"Sub", Form::Elementwise, Kind::Subtract},
    {"Mul", Form::Elementwise, Kind::Multiply},
    {"Div Mod", Form::Elementwise, Kind::Divide},
    {"Pow", Form::Elementwise, Kind::Power},
    {"Where Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor Not Trilu Round Floor Ceil",
     Form::Elementwise, Kind::Mask},
    {"Transpose Concat Slice Split Pad Expand Tile Resize Upsample Cast DepthToSpace SpaceToDepth "
     "GatherElements ScatterND "
     "ScatterElements Scatter CumSum",
     Form::Copy, Kind::Copy},
    {"Softmax LogSoftmax Hardmax", Form::Rows, Kind::Softmax},
    {"LayerNormalization GroupNormalization InstanceNormalization LpNormalization MeanVarianceNormalization "
     "LRN",
     Form::Rows, Kind::LayerNorm},
    {"SimplifiedLayerNormalization RMSNormalization", Form::Rows, Kind::RmsNorm},
    {"BatchNormalization", Form::Channels, Kind::BatchNorm},
    {"ReduceMean", Form::Reduction, Kind::Mean},
    {"ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
     "ReduceLogSumExp ArgMax ArgMin",
     Form::Reduction, Kind::Reduce},
    {"Conv", Form::Convolution, Kind::Convolution},
    {"Gemm", Form::Product, Kind::Gemm},
    {"MatMul FusedMatMul", Form::MatMul, Kind::Gemm},
    {"MaxPool AveragePool LpPool", Form::Pool, Kind::Pooling},
    {"GlobalAveragePool GlobalMaxPool GlobalLpPool", Form::GlobalPool, Kind::Pooling},
    {"Gather", Form::LookUp, Kind::Embedding},
    {"TopK", Form::TopK, Kind::TopK},
};

const std::unordered_map<std::string_view, const Row*>& forms() {
  static const auto* table = [] {
    auto* map = new std::unordered_map<std::string_view, const Row*>();
    for (const Row& row : kForms) {
      std::string_view rest = row.types;
      while (!rest.empty()) {
        size_t end = std::min(rest.find(' '), rest.size());
        map->emplace(rest.substr(0, end), &row);
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
    return map;
  }();
  return *table;
}

bool is_floating(DataType type) {
  return type == DataType::FP32 || type == DataType::FP16 || type == DataType::BF16 || type == DataType::FP64;
}

class Emitter {
 public:
  Emitter(const OnnxFile& file, OnnxShapes shapes, const OnnxOptions& options)
      : file_(file), shapes_(std::move(shapes)), options_(options) {}

  OnnxModel run() {
    for (size_t i = 0; i < file_.nodes.size(); ++i) emit(file_.nodes[i], shapes_.rules[i]);
    for (const std::string& output : file_.outputs) {
      if (auto found = ids_.find(output); found != ids_.end() && !is_weight(found->second))
        block_.outputs.push_back(found->second);
    }
    OnnxModel model;
    model.name = file_.name;
    for (const Step& step : block_.forward) model.multiply_adds += matrix_flops(step.shape()).value() / 2;
    model.parameters = parameters_;
    model.notes = shapes_.notes;
    for (const auto& [type, left] : unpriced_) model.notes.push_back(note(type, left));
    model.graph = stamped();
    return model;
  }

 private:
  struct Unpriced {
    int count = 0;
    double bytes = 0;
    bool shapes_known = true;
  };

  static std::string note(const std::string& type, const Unpriced& left) {
    std::string times = left.count == 1 ? "1 time" : fmt::format("{} times", left.count);
    if (!left.shapes_known)
      return fmt::format("not priced: {} ({}, some without known sizes: left out)", printable(type, 60),
                         times);
    return fmt::format("not priced: {} ({}, {}): moved as bytes", printable(type, 60), times,
                       format(Bytes(left.bytes)));
  }

  const OnnxValue& value(const std::string& name) const { return shapes_.values.at(name); }
  const OnnxValue* input(const OnnxNode& node, size_t i) const {
    return i < node.inputs.size() && !node.inputs[i].empty() ? &value(node.inputs[i]) : nullptr;
  }
  bool is_weight(ValueId id) const { return block_.values[id].kind == TensorKind::Weight; }

  // The value of the block for a name; constants become weights when something reads them.
  ValueId id_of(const std::string& name, bool trained = true) {
    if (auto found = ids_.find(name); found != ids_.end()) return found->second;
    const OnnxValue& v = value(name);
    ValueId id = block_.add_value(v.known ? v.elements() : 0, v.type,
                                  v.constant ? TensorKind::Weight : TensorKind::Input);
    if (v.constant && is_floating(v.type) && trained && !v.shape.empty()) {
      block_.values[id].trainable = options_.train;
      parameters_ += v.elements();
    }
    ids_.emplace(name, id);
    return id;
  }

  ValueId output_of(const std::string& name) {
    const OnnxValue& v = value(name);
    ValueId id = block_.add_value(v.known ? v.elements() : 0, v.type);
    ids_.emplace(name, id);
    return id;
  }

  std::vector<ValueId> outputs_of(const OnnxNode& node) {
    std::vector<ValueId> ids;
    for (const std::string& name : node.outputs) {
      if (!name.empty() && value(name).known) ids.push_back(output_of(name));
    }
    return ids;
  }

  void step(const OnnxNode& node, const OperatorShape& shape, std::vector<ValueId> inputs,
            std::vector<ValueId> outputs) {
    Step step;
    step.name = names_.emplace_back(printable(node.type, 60));
    step.kernel.parts = {shape};
    step.inputs = std::move(inputs);
    step.outputs = std::move(outputs);
    block_.forward.push_back(std::move(step));
  }

  void emit(const OnnxNode& node, ShapeRule rule) {
    if (node.outputs.empty()) return;
    // What follows from the file alone is computed when the model is loaded.
    bool folded = std::ranges::all_of(node.outputs, [&](const std::string& name) {
      return name.empty() || value(name).constant || value(name).values.has_value();
    });
    if (folded || node.type == "Shape" || node.type == "Size" || node.type == "Range") return;
    auto row = forms().find(node.type);
    const OnnxValue* first = input(node, 0);
    bool sized = rule != ShapeRule::Unknown && !node.outputs[0].empty() && value(node.outputs[0]).known &&
                 first && first->known;
    if (row == forms().end() || !sized) {
      not_priced(node);
      return;
    }
    emit(node, *row->second);
  }

  void not_priced(const OnnxNode& node) {
    Unpriced& left = unpriced_[node.type];
    ++left.count;
    double bytes = 0, elements = 0;
    std::vector<ValueId> inputs;
    bool known = false;
    for (const std::string& name : node.inputs) {
      if (name.empty() || !value(name).known) continue;
      inputs.push_back(id_of(name, false));
      bytes += block_.values[inputs.back()].bytes().value();
      elements += block_.values[inputs.back()].elements;
    }
    std::vector<ValueId> outputs = outputs_of(node);
    for (ValueId id : outputs) {
      bytes += block_.values[id].bytes().value();
      known = true;
    }
    left.bytes += bytes;
    left.shapes_known = left.shapes_known && known;
    if (!known || elements == 0) return;
    double written = 0;
    for (ValueId id : outputs) written += block_.values[id].elements;
    VectorSize size{.rows = 1,
                    .columns = static_cast<int64_t>(written),
                    .inputs = 0,
                    .broadcast = static_cast<int64_t>(elements)};
    DataType type = block_.values[outputs[0]].type;
    step(node, make(Kind::Copy, size, type), std::move(inputs), std::move(outputs));
  }

  void emit(const OnnxNode& node, const Row& row) {
    switch (row.form) {
      case Form::View: {
        ValueId from = id_of(node.inputs[0]);
        if (block_.values[from].elements != value(node.outputs[0]).elements()) return not_priced(node);
        ids_.emplace(node.outputs[0], block_.add_view(from, value(node.outputs[0]).elements()));
        return;
      }
      case Form::Elementwise:
      case Form::Copy:
        return vector(node, row.kind, value(node.outputs[0]).shape);
      case Form::Rows:
        return rows(node, row.kind);
      case Form::Channels:
        return channels(node);
      case Form::Reduction:
        return reduction(node, row.kind);
      case Form::Convolution:
        return convolution(node);
      case Form::Product:
        return product(node);
      case Form::MatMul:
        return matmul(node);
      case Form::Pool:
      case Form::GlobalPool:
        return pool(node, row.form == Form::GlobalPool);
      case Form::LookUp:
        return look_up(node);
      case Form::TopK: {
        const OnnxValue &x = value(node.inputs[0]), &y = value(node.outputs[0]);
        int64_t columns = std::max<int64_t>(1, x.size(-1));
        OperatorShape shape{Kind::TopK,
                            x.type,
                            x.type,
                            Pass::Forward,
                            {static_cast<int64_t>(x.elements()) / columns, columns, y.size(-1)}};
        return step(node, shape, {id_of(node.inputs[0])}, outputs_of(node));
      }
    }
  }

  // All inputs of the node that hold data, and what reading them costs beside full-size ones.
  void vector(const OnnxNode& node, Kind kind, const std::vector<int64_t>& shape) {
    double elements = static_cast<double>(element_count(shape));
    int64_t columns = shape.empty() ? 1 : std::max<int64_t>(1, shape.back());
    VectorSize size{.rows = static_cast<int64_t>(elements) / columns, .columns = columns, .inputs = 0};
    bool moves = kind == Kind::Copy;
    std::vector<ValueId> inputs;
    for (const std::string& name : node.inputs) {
      if (name.empty() || !value(name).known || (moves && value(name).values)) continue;
      const OnnxValue& v = value(name);
      inputs.push_back(id_of(name, v.elements() > 1));
      if (moves) continue;
      if (v.elements() >= elements) {
        size.inputs += 1;
      } else if (v.elements() > 1) {
        size.broadcast += static_cast<int64_t>(v.elements());
      }
    }
    if (moves) size.inputs = 1;  // what leaves is read once, wherever it comes from
    std::vector<ValueId> outputs = outputs_of(node);
    if (elements == 0 || outputs.empty() || inputs.empty()) return;
    if (node.type == "Split") {
      double all = value(node.inputs[0]).elements();
      size = {.rows = 1, .columns = static_cast<int64_t>(all), .inputs = 1};
    }
    size.inputs = std::max<int64_t>(size.inputs, 1);
    step(node, make(kind, size, value(node.outputs[0]).type), std::move(inputs), std::move(outputs));
  }

  void rows(const OnnxNode& node, Kind kind) {
    const OnnxValue& x = value(node.inputs[0]);
    int64_t columns = std::max<int64_t>(1, x.size(-1));
    bool over_image = node.type == "InstanceNormalization" || node.type == "GroupNormalization";
    if (over_image && x.shape.size() > 2)
      columns = std::max<int64_t>(1, element_count({x.shape.begin() + 2, x.shape.end()}));
    std::vector<ValueId> inputs = {id_of(node.inputs[0])};
    VectorSize size{.rows = static_cast<int64_t>(x.elements()) / columns, .columns = columns};
    for (size_t i = 1; i < node.inputs.size() && kind != Kind::Softmax; ++i) {
      if (node.inputs[i].empty() || !value(node.inputs[i]).known) continue;
      inputs.push_back(id_of(node.inputs[i]));
      size.broadcast += static_cast<int64_t>(value(node.inputs[i]).elements());
    }
    std::vector<ValueId> outputs = {output_of(node.outputs[0])};
    step(node, make(kind, size, x.type), std::move(inputs), std::move(outputs));
  }

  void channels(const OnnxNode& node) {
    const OnnxValue& x = value(node.inputs[0]);
    int64_t width = std::max<int64_t>(1, x.size(1));
    std::vector<ValueId> inputs = {id_of(node.inputs[0])};
    for (size_t i = 1; i < std::min<size_t>(node.inputs.size(), 5); ++i) {
      if (!node.inputs[i].empty())
        inputs.push_back(id_of(node.inputs[i], i < 3));  // gain and shift are trained, mean and variance run
    }
    VectorSize size{
        .rows = static_cast<int64_t>(x.elements()) / width, .columns = width, .broadcast = 4 * width};
    std::vector<ValueId> outputs = {output_of(node.outputs[0])};
    step(node, make(Kind::BatchNorm, size, x.type), std::move(inputs), std::move(outputs));
  }

  void reduction(const OnnxNode& node, Kind kind) {
    double in = value(node.inputs[0]).elements(), out = std::max(1.0, value(node.outputs[0]).elements());
    if (in == 0) return;
    VectorSize size{.rows = static_cast<int64_t>(out), .columns = static_cast<int64_t>(in / out)};
    std::vector<ValueId> inputs = {id_of(node.inputs[0])}, outputs = {output_of(node.outputs[0])};
    step(node, make(kind, size, value(node.inputs[0]).type), std::move(inputs), std::move(outputs));
  }

  void convolution(const OnnxNode& node) {
    const OnnxValue &x = value(node.inputs[0]), &w = value(node.inputs[1]), &y = value(node.outputs[0]);
    size_t axes = x.shape.size() - 2;
    if (axes > 2 || y.elements() == 0) return not_priced(node);
    std::vector<int64_t> strides = node.integers("strides"), pads = node.integers("pads");
    strides.resize(axes, 1);
    pads.resize(2 * axes, 0);
    ConvolutionSize c;
    c.batch = x.shape[0];
    c.in_channels = x.shape[1];
    c.out_channels = y.shape[1];
    c.groups = std::max<int64_t>(1, node.integer("group", 1));
    // A one-dimensional one is an image of height 1.
    auto axis = [&](size_t i, int64_t& size, int64_t& kernel, int64_t& stride, int64_t& pad) {
      size = x.shape[2 + i];
      kernel = w.shape[2 + i];
      stride = strides[i];
      pad = pads[i] == pads[i + axes] && pads[i] >= 0 ? pads[i] : 0;
      // Uneven padding, automatic padding and dilation: the image that gives the same output without them.
      bool plain = size + 2 * pad >= kernel && (size + 2 * pad - kernel) / stride + 1 == y.shape[2 + i];
      if (!plain) {
        pad = 0;
        size = (y.shape[2 + i] - 1) * stride + kernel;
      }
    };
    if (axes == 2) axis(0, c.height, c.kernel_h, c.stride_h, c.pad_h);
    axis(axes - 1, c.width, c.kernel_w, c.stride_w, c.pad_w);
    std::vector<ValueId> inputs;
    for (const std::string& name : node.inputs) {
      if (!name.empty()) inputs.push_back(id_of(name));
    }
    std::vector<ValueId> outputs = {output_of(node.outputs[0])};
    step(node, make(c, x.type), std::move(inputs), std::move(outputs));
  }

  void product(const OnnxNode& node) {
    const OnnxValue &a = value(node.inputs[0]), &y = value(node.outputs[0]);
    int64_t k = node.integer("transA", 0) != 0 ? a.shape[0] : a.shape[1];
    if (y.elements() == 0 || k == 0) return;
    std::vector<ValueId> inputs = {id_of(node.inputs[0]), id_of(node.inputs[1])};
    if (input(node, 2)) inputs.push_back(id_of(node.inputs[2]));
    std::vector<ValueId> outputs = {output_of(node.outputs[0])};
    step(node, make(GemmSize{.m = y.shape[0], .n = y.shape[1], .k = k}, a.type, value(node.inputs[1]).type),
         std::move(inputs), std::move(outputs));
  }

  void matmul(const OnnxNode& node) {
    const OnnxValue &a = value(node.inputs[0]), &b = value(node.inputs[1]), &y = value(node.outputs[0]);
    if (y.elements() == 0 || a.size(-1) == 0) return;
    GemmSize size{.k = a.size(-1)};
    size.n = b.shape.size() == 1 ? 1 : b.size(-1);
    auto all = static_cast<int64_t>(y.elements());
    if (b.shape.size() <= 2) {  // one right side for all rows
      size.m = all / size.n;
    } else {
      size.m = a.shape.size() == 1 ? 1 : a.size(-2);
      size.batch = all / (size.m * size.n);
    }
    std::vector<ValueId> inputs = {id_of(node.inputs[0]), id_of(node.inputs[1])},
                         outputs = {output_of(node.outputs[0])};
    step(node, make(size, a.type, b.type), std::move(inputs), std::move(outputs));
  }

  void pool(const OnnxNode& node, bool global) {
    const OnnxValue &x = value(node.inputs[0]), &y = value(node.outputs[0]);
    if (x.shape.size() > 4 || y.elements() == 0 || x.elements() == 0) return not_priced(node);
    std::vector<int64_t> kernel =
        global ? std::vector<int64_t>(x.shape.begin() + 2, x.shape.end()) : node.integers("kernel_shape");
    auto at = [](const std::vector<int64_t>& v, size_t from_back) {
      return v.size() > from_back ? v[v.size() - 1 - from_back] : 1;
    };
    auto side = [&](const OnnxValue& v, int64_t axis) {
      return static_cast<int64_t>(v.shape.size()) + axis > 1 ? v.size(axis) : 1;
    };
    OperatorShape shape{Kind::Pooling,
                        x.type,
                        x.type,
                        Pass::Forward,
                        {x.shape[0], x.shape[1], side(y, -2), side(y, -1), at(kernel, 1), at(kernel, 0),
                         side(x, -2), side(x, -1)}};
    std::vector<ValueId> inputs = {id_of(node.inputs[0])}, outputs = {output_of(node.outputs[0])};
    step(node, shape, std::move(inputs), std::move(outputs));
  }

  void look_up(const OnnxNode& node) {
    const OnnxValue &table = value(node.inputs[0]), &y = value(node.outputs[0]);
    bool embeds = table.constant && table.shape.size() == 2 && node.integer("axis", 0) == 0;
    if (!embeds) return vector(node, Kind::Copy, y.shape);
    if (y.elements() == 0) return;
    VectorSize size{.rows = static_cast<int64_t>(y.elements()) / table.shape[1],
                    .columns = table.shape[1],
                    .broadcast = table.shape[0]};
    std::vector<ValueId> inputs = {id_of(node.inputs[0])}, outputs = {output_of(node.outputs[0])};
    if (input(node, 1) && value(node.inputs[1]).known && !value(node.inputs[1]).constant)
      inputs.push_back(id_of(node.inputs[1], false));
    step(node, make(Kind::Embedding, size, table.type), std::move(inputs), std::move(outputs));
  }

  Graph stamped() {
    DataType type = DataType::FP32;
    for (const Value& v : block_.values) {
      if (v.trainable) type = v.type;
    }
    return single_block_graph(
        block_,
        {.train = options_.train, .optimizer = options_.optimizer, .type = type, .fuse = options_.fuse});
  }

  const OnnxFile& file_;
  OnnxShapes shapes_;
  const OnnxOptions& options_;
  Block block_;
  std::unordered_map<std::string, ValueId> ids_;
  std::deque<std::string> names_;  // steps refer to them
  std::map<std::string, Unpriced> unpriced_;
  double parameters_ = 0;
};

}  // namespace

OnnxModel parse_onnx_model(std::string_view bytes, const std::string& path, const OnnxOptions& options) {
  for (const auto& [dim, size] : options.dims) {
    if (size < 1 || size > (int64_t{1} << 31))
      throw InputError(fmt::format("--dim {}={}: expected 1 to 2^31", printable(dim), size));
  }
  OnnxFile file = parse_onnx(bytes, path);
  if (options.batch < 0 || options.batch > (int64_t{1} << 31))
    throw InputError(fmt::format("a batch of {}: expected 1 to 2^31", options.batch));
  OnnxShapes shapes = infer_shapes(file, options.dims, path, options.batch);
  int64_t batch = 1;
  if (!file.inputs.empty()) {
    const std::vector<int64_t>& shape = shapes.values.at(file.inputs.front().name).shape;
    if (!shape.empty()) batch = shape.front();
  }
  OnnxModel model = Emitter(file, std::move(shapes), options).run();
  model.batch = batch;
  return model;
}

OnnxModel read_onnx(const std::string& path, const OnnxOptions& options) {
  constexpr uint64_t kMost = uint64_t{1} << 31;
  return parse_onnx_model(read_file(path, kMost), path, options);
}

}  // namespace orrery::graph

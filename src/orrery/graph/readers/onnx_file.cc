#include "orrery/graph/readers/onnx_file.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <queue>
#include <unordered_map>

#include "orrery/base/error.h"
#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

constexpr int kMostNodes = 200'000, kMostConstants = 500'000, kMostArity = 4096, kMostRank = 16;
constexpr int64_t kMostValues = 4096;

DataType data_type(int code) {
  switch (code) {
    case onnx::TensorProto::FLOAT:
      return DataType::FP32;
    case onnx::TensorProto::DOUBLE:
      return DataType::FP64;
    case onnx::TensorProto::FLOAT16:
      return DataType::FP16;
    case onnx::TensorProto::BFLOAT16:
      return DataType::BF16;
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return DataType::INT8;
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
      return DataType::FP16;  // two bytes, never multiplied
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
      return DataType::INT32;
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT64:
      return DataType::INT64;
    case onnx::TensorProto::BOOL:
      return DataType::Bool;
    default:
      return DataType::FP32;
  }
}

template <class T>
std::vector<double> unpack(const std::string& raw, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

// The numbers of a small tensor; nothing where they lie outside the file or have a type that steers no shape.
std::optional<std::vector<double>> values_of(const onnx::TensorProto& tensor, int64_t count) {
  if (count > kMostValues || tensor.data_location() == onnx::TensorProto::EXTERNAL) return std::nullopt;
  auto holds = [&](size_t width) { return tensor.raw_data().size() == static_cast<size_t>(count) * width; };
  auto copied = [&](const auto& field) -> std::optional<std::vector<double>> {
    if (field.size() != count) return std::nullopt;
    return std::vector<double>(field.begin(), field.end());
  };
  switch (tensor.data_type()) {
    case onnx::TensorProto::INT64:
      return holds(8) && count > 0 ? unpack<int64_t>(tensor.raw_data(), count) : copied(tensor.int64_data());
    case onnx::TensorProto::INT32:
      return holds(4) && count > 0 ? unpack<int32_t>(tensor.raw_data(), count) : copied(tensor.int32_data());
    case onnx::TensorProto::BOOL:
      return holds(1) && count > 0 ? unpack<int8_t>(tensor.raw_data(), count) : copied(tensor.int32_data());
    case onnx::TensorProto::FLOAT:
      return holds(4) && count > 0 ? unpack<float>(tensor.raw_data(), count) : copied(tensor.float_data());
    case onnx::TensorProto::DOUBLE:
      return holds(8) && count > 0 ? unpack<double>(tensor.raw_data(), count) : copied(tensor.double_data());
    default:
      return std::nullopt;
  }
}

OnnxTensor tensor_of(const onnx::TensorProto& proto, const std::string& file) {
  OnnxTensor tensor;
  tensor.name = proto.name();
  tensor.type = data_type(proto.data_type());
  if (proto.dims_size() > kMostRank) {
    throw InputError(fmt::format("{}: tensor '{}' has {} dimensions; expected at most {}", file,
                                 printable(tensor.name), proto.dims_size(), kMostRank));
  }
  tensor.shape.assign(proto.dims().begin(), proto.dims().end());
  try {
    tensor.values = values_of(proto, element_count(tensor.shape));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: tensor '{}': {}", file, printable(tensor.name), error.what()));
  }
  return tensor;
}

OnnxAttribute attribute_of(const onnx::AttributeProto& proto, const std::string& file) {
  OnnxAttribute attribute;
  attribute.name = proto.name();
  attribute.text = proto.s();
  attribute.integer = proto.i();
  attribute.number = static_cast<double>(proto.f());
  attribute.integers.assign(proto.ints().begin(), proto.ints().end());
  attribute.numbers.assign(proto.floats().begin(), proto.floats().end());
  if (proto.has_t()) attribute.tensor = tensor_of(proto.t(), file);
  return attribute;
}

OnnxValueInfo value_info_of(const onnx::ValueInfoProto& proto, const std::string& file) {
  OnnxValueInfo info;
  info.name = proto.name();
  const onnx::TypeProto_Tensor& type = proto.type().tensor_type();
  info.type = data_type(type.elem_type());
  if (!type.has_shape()) return info;
  if (type.shape().dim_size() > kMostRank) {
    throw InputError(fmt::format("{}: '{}' has {} dimensions; expected at most {}", file,
                                 printable(info.name), type.shape().dim_size(), kMostRank));
  }
  info.shape.emplace();
  for (const auto& dim : type.shape().dim()) {
    OnnxDimension d;
    if (dim.has_dim_value() && dim.dim_value() >= 0) d.size = dim.dim_value();
    if (dim.has_dim_param()) d.name = dim.dim_param();
    info.shape->push_back(d);
  }
  return info;
}

// Reads past one value of the wire format; false at the end, or where the bytes are none.
class Wire {
 public:
  explicit Wire(std::string_view bytes) : rest_(bytes) {}
  uint64_t field = 0;
  std::string_view content;  // of a length-delimited field

  bool next() {
    uint64_t key = 0, length = 0;
    content = {};
    if (rest_.empty() || !varint(key)) return false;
    field = key >> 3;
    switch (key & 7) {
      case 0:
        return varint(length);
      case 1:
        return skip(8);
      case 2:
        if (!varint(length) || length > rest_.size()) return false;
        content = rest_.substr(0, length);
        return skip(length);
      case 5:
        return skip(4);
      default:
        return false;
    }
  }

 private:
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  }
  bool skip(uint64_t bytes) {
    if (bytes > rest_.size()) return false;
    rest_.remove_prefix(bytes);
    return true;
  }
  std::string_view rest_;
};

// Nodes, their fields, tensors and described values of the graph, counted before they are parsed: an empty
// one takes two bytes of a file and two hundred of memory.
int64_t count_messages(std::string_view model) {
  constexpr uint64_t kGraph = 7, kNode = 1, kInitializer = 5, kInput = 11, kOutput = 12, kValueInfo = 13;
  int64_t messages = 0;
  for (Wire outer(model); outer.next();) {
    if (outer.field != kGraph) continue;
    for (Wire inner(outer.content); inner.next();) {
      messages += inner.field == kNode || inner.field == kInitializer || inner.field == kInput ||
                  inner.field == kOutput || inner.field == kValueInfo;
      if (inner.field != kNode) continue;
      for (Wire node(inner.content); node.next();) ++messages;
    }
  }
  return messages;
}

void check_count(const std::string& file, std::string_view what, int64_t count, int64_t most) {
  if (count > most) throw InputError(fmt::format("{}: {} {}; expected at most {}", file, count, what, most));
}

// Nodes behind all that they read (Kahn). Names that nothing defines, and cycles, are refused.
std::vector<OnnxNode> in_order(std::vector<OnnxNode> nodes, const OnnxFile& file, const std::string& path) {
  std::unordered_map<std::string_view, int64_t> producer;  // -1: from outside
  for (const OnnxTensor& constant : file.constants) producer.emplace(constant.name, -1);
  for (const OnnxValueInfo& input : file.inputs) producer.emplace(input.name, -1);
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].outputs) {
      if (!output.empty() && !producer.emplace(output, static_cast<int64_t>(i)).second) {
        throw InputError(fmt::format("{}: '{}' is defined twice, the second time by {}", path,
                                     printable(output), nodes[i].label()));
      }
    }
  }
  std::vector<std::vector<uint32_t>> readers(nodes.size());
  std::vector<uint32_t> waiting(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& input : nodes[i].inputs) {
      if (input.empty()) continue;
      auto found = producer.find(input);
      if (found == producer.end()) {
        throw InputError(fmt::format("{}: {} reads '{}', which nothing defines", path, nodes[i].label(),
                                     printable(input)));
      }
      if (found->second < 0) continue;
      readers[static_cast<size_t>(found->second)].push_back(static_cast<uint32_t>(i));
      ++waiting[i];
    }
  }
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>>
      ready;  // the file's order where it is one
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (waiting[i] == 0) ready.push(static_cast<uint32_t>(i));
  }
  std::vector<OnnxNode> ordered;
  ordered.reserve(nodes.size());
  std::vector<bool> done(nodes.size());
  while (!ready.empty()) {
    uint32_t i = ready.top();
    ready.pop();
    done[i] = true;
    for (uint32_t reader : readers[i]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
    ordered.push_back(std::move(nodes[i]));
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!done[i]) throw InputError(fmt::format("{}: {} is part of a cycle", path, nodes[i].label()));
  }
  return ordered;
}

OnnxNode node_of(const onnx::NodeProto& proto, const std::string& path) {
  OnnxNode node;
  node.type = proto.op_type();
  node.name = proto.name();
  check_count(path, "inputs of one node", proto.input_size(), kMostArity);
  check_count(path, "outputs of one node", proto.output_size(), kMostArity);
  check_count(path, "attributes of one node", proto.attribute_size(), kMostArity);
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const auto& attribute : proto.attribute()) node.attributes.push_back(attribute_of(attribute, path));
  return node;
}

}  // namespace

int64_t element_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t size : shape) {
    if (size < 0) throw InputError(fmt::format("a size of {}; expected 0 or more", size));
    empty = empty || size == 0;
    if (size > 0 && count > kMostElements / size) throw InputError("more than 2^50 elements");
    count *= std::max<int64_t>(size, 1);
  }
  return empty ? 0 : count;
}

const OnnxAttribute* OnnxNode::find(std::string_view attribute) const {
  auto found = std::ranges::find(attributes, attribute, &OnnxAttribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

int64_t OnnxNode::integer(std::string_view attribute, int64_t absent) const {
  const OnnxAttribute* found = find(attribute);
  return found ? found->integer : absent;
}

std::vector<int64_t> OnnxNode::integers(std::string_view attribute) const {
  const OnnxAttribute* found = find(attribute);
  return found ? found->integers : std::vector<int64_t>{};
}

std::string OnnxNode::label() const {
  std::string of = !name.empty() ? name : outputs.empty() ? std::string() : outputs[0];
  return fmt::format("{} '{}'", printable(type, 40), printable(of, 80));
}

OnnxFile parse_onnx(std::string_view bytes, const std::string& path) {
  constexpr size_t kMostBytes = (size_t{1} << 31) - 1;
  if (bytes.size() > kMostBytes) {
    throw InputError(fmt::format(
        "{}: {} bytes; expected less than 2 GiB: export the weights as external data", path, bytes.size()));
  }
  constexpr int64_t kMostMessages = 20 * kMostNodes;
  check_count(path, "nodes, tensors and attributes", count_messages(bytes), kMostMessages);
  google::protobuf::LogSilencer quiet;  // what is wrong is said below, once
  onnx::ModelProto model;
  if (bytes.empty() || !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw InputError(fmt::format(
        "{}: not a complete ONNX file; expected a serialized ModelProto: export or download it again", path));
  }
  const onnx::GraphProto& graph = model.graph();
  if (graph.node_size() == 0) throw InputError(fmt::format("{}: the model has no operators", path));
  check_count(path, "operators", graph.node_size(), kMostNodes);
  check_count(path, "initializers", int64_t{graph.initializer_size()} + graph.sparse_initializer_size(),
              kMostConstants);
  check_count(path, "inputs", graph.input_size(), kMostConstants);
  check_count(path, "described values", graph.value_info_size(), kMostConstants);
  OnnxFile file;
  file.name = graph.name();
  std::unordered_map<std::string_view, bool> initialized;
  for (const auto& constant : graph.initializer()) {
    file.constants.push_back(tensor_of(constant, path));
    initialized.emplace(constant.name(), true);
  }
  for (const auto& input : graph.input()) {
    if (!initialized.contains(input.name())) file.inputs.push_back(value_info_of(input, path));
  }
  for (const auto& value : graph.value_info()) file.hints.push_back(value_info_of(value, path));
  for (const auto& output : graph.output()) {
    file.hints.push_back(value_info_of(output, path));
    file.outputs.push_back(output.name());
  }
  std::vector<OnnxNode> nodes;
  nodes.reserve(static_cast<size_t>(graph.node_size()));
  for (const auto& node : graph.node()) nodes.push_back(node_of(node, path));
  file.nodes = in_order(std::move(nodes), file, path);
  return file;
}

}  // namespace orrery::graph

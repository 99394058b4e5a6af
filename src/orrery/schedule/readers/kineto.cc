// A trace of the PyTorch profiler (Kineto): Chrome trace events, times in microseconds. A "cpu_op" event
// carries the operator's name and input shapes, a "kernel" event the time on the GPU; both carry the
// "External id" of the operator that launched.
//
// Matrix products and flash attention become measured kernels; what else ran is counted in the notes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "orrery/base/text.h"
#include "orrery/schedule/measurements.h"

namespace orrery::schedule {
namespace {

using nlohmann::json;
using Dims = std::vector<int64_t>;

struct CpuOperator {
  std::string name;
  std::vector<Dims> shapes;
  std::string type;
  double gpu_time = 0;  // seconds, over all kernels that it launched
};

std::string text_of(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Keeps the two kinds of events that matter, so that a trace of hundreds of megabytes stays small in memory.
bool worth_keeping(const json& event) {
  std::string category = text_of(event, "cat");
  return category == "cpu_op" || category == "kernel";
}

std::vector<Dims> shapes_of(const json& arguments) {
  std::vector<Dims> shapes;
  auto found = arguments.find("Input Dims");
  if (found == arguments.end() || !found->is_array()) return shapes;
  for (const json& shape : *found) {
    Dims dims;
    for (const json& dim : shape) {
      if (dim.is_number_integer()) dims.push_back(dim.get<int64_t>());
    }
    shapes.push_back(std::move(dims));
  }
  return shapes;
}

std::string type_of(const json& arguments) {
  auto found = arguments.find("Input type");
  if (found == arguments.end() || !found->is_array()) return {};
  for (const json& type : *found) {
    if (type.is_string() && !type.get_ref<const std::string&>().empty() && type != "Scalar") return type;
  }
  return {};
}

std::optional<DataType> data_type(const std::string& c10_name) {
  if (c10_name == "c10::BFloat16") return DataType::BF16;
  if (c10_name == "c10::Half") return DataType::FP16;
  if (c10_name == "float") return DataType::FP32;
  if (c10_name == "c10::Float8_e4m3fn") return DataType::FP8;
  return std::nullopt;
}

bool positive(const graph::OperatorShape& shape, size_t dims) {
  return std::all_of(shape.dims.begin(), shape.dims.begin() + static_cast<ptrdiff_t>(dims),
                     [](int64_t d) { return d > 0; });
}

// The operator's shape, where it is one that is priced and its inputs are as PyTorch orders them.
std::optional<graph::OperatorShape> shape_of(const CpuOperator& op) {
  std::optional<DataType> type = data_type(op.type);
  if (!type) return std::nullopt;
  const auto& s = op.shapes;
  auto gemm = [&](size_t a, size_t b, size_t rank) -> std::optional<graph::OperatorShape> {
    if (s.size() <= b || s[a].size() != rank || s[b].size() != rank || s[a][rank - 1] != s[b][rank - 2])
      return std::nullopt;
    graph::GemmSize size{
        .batch = rank == 3 ? s[a][0] : 1, .m = s[a][rank - 2], .n = s[b][rank - 1], .k = s[a][rank - 1]};
    graph::OperatorShape shape = graph::make(size, *type, *type);
    return positive(shape, 4) ? std::optional(shape) : std::nullopt;
  };
  if (op.name == "aten::mm" || op.name == "aten::_scaled_mm") return gemm(0, 1, 2);
  if (op.name == "aten::addmm") return gemm(1, 2, 2);
  if (op.name == "aten::bmm") return gemm(0, 1, 3);
  if (op.name == "aten::_flash_attention_forward" && s.size() >= 3 && s[0].size() == 4 && s[1].size() == 4) {
    graph::AttentionSize size{.batch = s[0][0],
                              .query = s[0][1],
                              .cached = std::max<int64_t>(0, s[1][1] - s[0][1]),
                              .heads = s[0][2],
                              .kv_heads = s[1][2],
                              .head_dim = s[0][3]};
    if (size.batch > 0 && size.query > 0 && size.heads > 0 && size.kv_heads > 0 && size.head_dim > 0) {
      return graph::make(size, *type, *type);
    }
  }
  return std::nullopt;
}

std::string device_name(const json& root) {
  auto found = root.find("deviceProperties");
  if (found == root.end() || !found->is_array() || found->empty()) return {};
  return found->front().is_object() ? text_of(found->front(), "name") : "";
}

}  // namespace

Measurements read_kineto(const std::string& text, const std::string& file, const std::string& gpu) {
  json root;
  try {
    root = json::parse(text, [](int depth, json::parse_event_t event, json& value) {
      return !(depth == 2 && event == json::parse_event_t::object_end && value.contains("ph") &&
               !worth_keeping(value));
    });
  } catch (const json::parse_error& wrong) {
    std::string before = text.substr(0, wrong.byte > 0 ? wrong.byte - 1 : 0);
    size_t line_begin = before.rfind('\n') + 1;
    Place place{file, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
                static_cast<int>(before.size() - line_begin) + 1};
    throw InputError(place, "not valid JSON; the trace may have been cut while it was written", text);
  }
  auto events = root.find("traceEvents");
  if (events == root.end() || !events->is_array())
    throw InputError(Place{file, 1, 1}, "holds no traceEvents; expected a trace of the PyTorch profiler");

  std::unordered_map<int64_t, CpuOperator> operators;
  for (const json& event : *events) {
    if (!event.is_object() || text_of(event, "cat") != "cpu_op" || !event.contains("args") ||
        !event["args"].is_object())
      continue;
    const json& arguments = event["args"];
    auto id = arguments.find("External id");
    if (id == arguments.end() || !id->is_number_integer()) continue;
    operators[id->get<int64_t>()] = {text_of(event, "name"), shapes_of(arguments), type_of(arguments), 0};
  }
  size_t kernels = 0, orphans = 0;
  for (const json& event : *events) {
    if (!event.is_object() || text_of(event, "cat") != "kernel") continue;
    ++kernels;
    auto arguments = event.find("args");
    auto duration = event.find("dur");
    auto op = operators.end();
    if (arguments != event.end() && arguments->is_object()) {
      auto id = arguments->find("External id");
      if (id != arguments->end() && id->is_number_integer()) op = operators.find(id->get<int64_t>());
    }
    if (op == operators.end() || duration == event.end() || !duration->is_number()) {
      ++orphans;
      continue;
    }
    op->second.gpu_time += duration->get<double>() * 1e-6;
  }
  if (kernels == 0)
    throw InputError(Place{file, 1, 1}, "holds no GPU kernels; profile with ProfilerActivity.CUDA");

  Measurements result;
  std::string where = gpu.empty() ? device_name(root) : gpu;
  std::map<std::string, size_t> unused;
  for (const auto& [id, op] :
       std::map<int64_t, CpuOperator>(operators.begin(), operators.end())) {  // in the order of ids
    if (op.gpu_time <= 0) continue;
    if (std::optional<graph::OperatorShape> shape = shape_of(op)) {
      result.kernels.push_back({where, graph::Kernel{{*shape}}, Seconds(op.gpu_time), Place{file, 0, 0}});
    } else {
      ++unused[op.name];
    }
  }
  if (result.kernels.empty()) {
    throw InputError(Place{file, 1, 1},
                     "holds no matrix product or attention with its shapes; profile with record_shapes=True");
  }
  for (const auto& [name, count] : unused)
    result.notes.push_back(fmt::format("{} calls of {} are not used", count, printable(name)));
  if (orphans > 0)
    result.notes.push_back(fmt::format("{} of {} kernels belong to no recorded operator", orphans, kernels));
  return result;
}

}  // namespace orrery::schedule

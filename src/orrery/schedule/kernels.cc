#include "orrery/schedule/kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "orrery/base/text.h"
#include "orrery/base/threads.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::schedule {
namespace {

using graph::OperatorKind;

constexpr int64_t kMostSize = int64_t{1} << 40;
constexpr size_t kChunk = 1024;

// Names of vector operators as measurement scripts write them. scalar: the second input is one number.
struct VectorName {
  std::string_view name;
  OperatorKind kind;
  int64_t inputs;
};
constexpr VectorName kVectorNames[] = {
    {"add", OperatorKind::Add, 2},
    {"sub", OperatorKind::Subtract, 2},
    {"mul", OperatorKind::Multiply, 2},
    {"pow", OperatorKind::Power, 2},
    {"div", OperatorKind::Divide, 2},
    {"addu", OperatorKind::Add, 1},
    {"mulu", OperatorKind::Multiply, 1},
    {"powu", OperatorKind::Power, 1},
    {"divu", OperatorKind::Divide, 1},
    {"relu", OperatorKind::Relu, 1},
    {"gelu", OperatorKind::Gelu, 1},
    {"tanh", OperatorKind::Tanh, 1},
    {"silu", OperatorKind::Silu, 1},
    {"sigmoid", OperatorKind::Sigmoid, 1},
    {"sqrt", OperatorKind::Sqrt, 1},
    {"exp", OperatorKind::Exp, 1},
    {"copy", OperatorKind::Copy, 1},
    {"softmax", OperatorKind::Softmax, 1},
    {"ln", OperatorKind::LayerNorm, 1},
    {"layernorm", OperatorKind::LayerNorm, 1},
    {"layer_norm", OperatorKind::LayerNorm, 1},
    {"rmsnorm", OperatorKind::RmsNorm, 1},
    {"rms_norm", OperatorKind::RmsNorm, 1},
};

bool is_product_name(std::string_view op) {
  return op.empty() || op == "bmm" || op == "linear" || op == "gemm" || op == "matmul" || op == "mm";
}

// "VECadd" and "ADD" mean "add".
std::string plain_name(std::string_view op) {
  std::string name = lower_case(op);
  if (name.starts_with("vec")) name.erase(0, 3);
  return name;
}

struct Columns {
  explicit Columns(const CsvTable& t)
      : gpu(t.find("gpu")),
        op(t.find("op")),
        dtype(t.find("dtype")),
        b(t.find("b")),
        batch(t.find("batch")),
        m(t.find("m")),
        n(t.find("n")),
        k(t.find("k")),
        h(t.find("h")),
        phase(t.find("phase")),
        batch_size(t.find("batch_size")),
        input_length(t.find("input_length")),
        step(t.find("step")),
        heads(t.find("num_heads")),
        kv_heads(t.find("num_key_value_heads")),
        head_dim(t.find("head_dim")),
        in_channels(t.find("in_channels")),
        out_channels(t.find("out_channels")),
        kernel_size(t.find("kernel_size")),
        input_size(t.find("input_size")),
        stride(t.find("stride")),
        padding(t.find("padding")),
        kernel_width(t.find("kernel_width")),
        input_width(t.find("input_width")),
        groups(t.find("groups")) {}
  int gpu, op, dtype, b, batch, m, n, k, h, phase, batch_size, input_length, step, heads, kv_heads, head_dim,
      in_channels, out_channels, kernel_size, input_size, stride, padding, kernel_width, input_width, groups;
};

bool filled(const CsvTable& table, size_t row, int column) {
  std::string_view cell = table.cell(row, column);
  return !cell.empty() && cell != "0";
}

class RowReader {
 public:
  RowReader(const CsvTable& table, KernelLayout layout) : table_(table), columns_(table), layout_(layout) {}

  graph::OperatorShape shape(size_t row) const {
    const Columns& c = columns_;
    if (filled(table_, row, c.in_channels)) return convolution(row);
    if (filled(table_, row, c.heads)) return attention(row);
    std::string op = plain_name(table_.cell(row, c.op));
    if (is_product_name(op)) return product(row);
    return vector(row, op);
  }

 private:
  int64_t size(size_t row, int column, std::string_view name, int64_t low = 1) const {
    if (column < 0)
      table_.fail(row, std::max(0, columns_.gpu), fmt::format("this kind of row needs a column '{}'", name));
    return table_.integer(row, column, low, kMostSize);
  }

  DataType type(size_t row, DataType absent) const {
    std::string_view text = table_.cell(row, columns_.dtype);
    if (text.empty()) return absent;
    std::optional<DataType> type = parse_data_type(text);
    if (!type)
      table_.fail(
          row, columns_.dtype,
          fmt::format("'{}' is no data type; expected bf16, fp16, fp32, fp8, fp8_block, int8, int4, ...",
                      printable(text, 40)));
    return *type;
  }
  DataType usual_type() const { return layout_ == KernelLayout::NeuSight ? DataType::FP32 : DataType::BF16; }

  graph::OperatorShape product(size_t row) const {
    const Columns& c = columns_;
    graph::GemmSize size_of;
    int count = c.b >= 0 ? c.b : c.batch;
    size_of.batch = table_.integer_or(row, count, 1, 0, kMostSize);
    if (size_of.batch == 0) size_of.batch = 1;
    size_of.m = size(row, c.m, "m");
    size_of.n = size(row, c.n, "n");
    size_of.k = size(row, c.k, "k");
    if (layout_ == KernelLayout::NeuSight) std::swap(size_of.n, size_of.k);
    DataType stored = type(row, usual_type());
    // Weight-only formats ("int8_wo") compute in 16 bit.
    bool weight_only = stored == DataType::INT4 || stored == DataType::MXFP4 ||
                       lower_case(table_.cell(row, c.dtype)).ends_with("_wo");
    DataType computed = weight_only ? DataType::BF16 : stored;
    return graph::make(size_of, computed, stored);
  }

  graph::OperatorShape vector(size_t row, const std::string& op) const {
    auto known = std::find_if(std::begin(kVectorNames), std::end(kVectorNames),
                              [&](const VectorName& v) { return v.name == op; });
    if (known == std::end(kVectorNames)) {
      std::vector<std::string> names = {"bmm", "linear"};
      for (const VectorName& v : kVectorNames) names.emplace_back(v.name);
      table_.fail(row, columns_.op,
                  fmt::format("'{}' is no operator that can be priced; expected one of {}", printable(op, 40),
                              join(names, ", ")));
    }
    graph::VectorSize size_of;
    size_of.rows = size(row, columns_.b, "b");
    size_of.columns = size(row, columns_.h, "h");
    size_of.inputs = known->inputs;
    return graph::make(known->kind, size_of, type(row, usual_type()));
  }

  graph::OperatorShape attention(size_t row) const {
    const Columns& c = columns_;
    graph::AttentionSize a;
    a.batch = size(row, c.batch_size, "batch_size");
    a.heads = size(row, c.heads, "num_heads");
    a.kv_heads = filled(table_, row, c.kv_heads) ? size(row, c.kv_heads, "num_key_value_heads") : a.heads;
    a.head_dim = a.value_dim = size(row, c.head_dim, "head_dim");
    if (a.heads % a.kv_heads != 0)
      table_.fail(row, c.kv_heads, "num_key_value_heads does not divide num_heads");
    std::string phase = lower_case(table_.cell(row, c.phase));
    int64_t step = table_.integer_or(row, c.step, 0, 0, kMostSize);
    if (phase == "context" || phase == "prefill") {
      a.query = size(row, c.input_length, "input_length");
      a.cached = step;
    } else if (phase == "generation" || phase == "decode") {
      a.query = 1;
      a.cached = step;
    } else {
      table_.fail(
          row, c.phase,
          fmt::format("phase '{}'; expected context (prefill) or generation (decode)", printable(phase, 40)));
    }
    DataType t = type(row, DataType::BF16);
    return graph::make(a, bytes_per_element(t) < 2 ? DataType::BF16 : t, t);
  }

  graph::OperatorShape convolution(size_t row) const {
    const Columns& c = columns_;
    graph::ConvolutionSize s;
    s.batch = size(row, c.batch, "batch");
    s.in_channels = size(row, c.in_channels, "in_channels");
    s.out_channels = size(row, c.out_channels, "out_channels");
    s.height = size(row, c.input_size, "input_size");
    s.width = table_.integer_or(row, c.input_width, s.height, 1, kMostSize);
    s.kernel_h = size(row, c.kernel_size, "kernel_size");
    s.kernel_w = table_.integer_or(row, c.kernel_width, s.kernel_h, 1, kMostSize);
    s.groups = table_.integer_or(row, c.groups, 1, 1, kMostSize);
    if (s.in_channels % s.groups != 0 || s.out_channels % s.groups != 0)
      table_.fail(row, c.groups, "groups must divide in_channels and out_channels");
    s.stride_h = s.stride_w = table_.integer_or(row, c.stride, 1, 1, kMostSize);
    s.pad_h = s.pad_w = table_.integer_or(row, c.padding, 0, 0, kMostSize);
    if (s.kernel_h > s.height + 2 * s.pad_h || s.kernel_w > s.width + 2 * s.pad_w)
      table_.fail(row, c.kernel_size, "the kernel is larger than its padded input");
    return graph::make(s, type(row, DataType::FP32));
  }

  const CsvTable& table_;
  Columns columns_;
  KernelLayout layout_;
};

}  // namespace

std::optional<KernelLayout> parse_kernel_layout(std::string_view text) {
  if (text == "neusight") return KernelLayout::NeuSight;
  if (text == "mnk") return KernelLayout::Mnk;
  if (text == "auto") return KernelLayout::Auto;
  return std::nullopt;
}

KernelLayout detect_layout(const CsvTable& table) {
  if (table.find("h") >= 0 || table.find("in_channels") >= 0) return KernelLayout::NeuSight;
  int op = table.find("op"), m = table.find("m");
  for (size_t row = 0; op >= 0 && row < table.rows(); ++row) {
    std::string name = plain_name(table.cell(row, op));
    if (name == "bmm" || name == "linear") return KernelLayout::NeuSight;
  }
  if (m < 0 || table.rows() == 0) return KernelLayout::Mnk;
  if (table.find("dtype") >= 0) return KernelLayout::Mnk;
  throw InputError(Place{table.file(), 1, 1},
                   "whether n or k is the contraction cannot be told from these columns; say --layout "
                   "neusight (m×n times n×k) or --layout mnk (m×k "
                   "times k×n)");
}

std::vector<graph::Kernel> read_kernels(const CsvTable& table, KernelLayout layout) {
  if (layout == KernelLayout::Auto) layout = detect_layout(table);
  RowReader reader(table, layout);
  std::vector<graph::Kernel> kernels;
  for (size_t row = 0; row < table.rows(); ++row) kernels.push_back(graph::Kernel{{reader.shape(row)}});
  return kernels;
}

namespace {

// Devices are few: resolved once each, in order of appearance.
struct RowDevices {
  std::vector<hardware::Device> devices;
  std::vector<uint32_t> of_row;
};

RowDevices one_device(const CsvTable& table, const std::string& name) {
  return {{hardware::Catalogue::shipped().device(name)}, std::vector<uint32_t>(table.rows())};
}

RowDevices devices_of_rows(const CsvTable& table) {
  const int gpu = table.at("gpu");
  RowDevices found;
  std::unordered_map<std::string_view, uint32_t> index;
  found.of_row.resize(table.rows());
  for (size_t row = 0; row < table.rows(); ++row) {
    std::string_view name = table.cell(row, gpu);
    auto [at, fresh] = index.emplace(name, static_cast<uint32_t>(found.devices.size()));
    if (fresh) {
      try {
        found.devices.push_back(hardware::Catalogue::shipped().device(name));
      } catch (const InputError& e) {
        table.fail(row, gpu, e.what());
      }
    }
    found.of_row[row] = at->second;
  }
  return found;
}

}  // namespace

std::vector<KernelTimes> price_kernels(const CsvTable& table, KernelLayout layout, const Predictor& predictor,
                                       const RunContext& context, const std::string& device) {
  if (layout == KernelLayout::Auto) layout = detect_layout(table);
  RowReader reader(table, layout);
  const cost::Measured measured =
      layout == KernelLayout::NeuSight ? cost::Measured::FromHost : cost::Measured::FromGraph;
  const RowDevices asked = device.empty() ? devices_of_rows(table) : one_device(table, device);
  const std::vector<hardware::Device>& devices = asked.devices;

  std::vector<KernelTimes> times(table.rows());
  parallel_for(table.rows(), kChunk, context.threads, [&](size_t begin, size_t end, size_t) {
    if (context.stop.stop_requested()) throw Interrupted();
    std::vector<std::vector<size_t>> rows(devices.size());
    for (size_t row = begin; row < end; ++row) rows[asked.of_row[row]].push_back(row);
    std::vector<graph::Kernel> kernels(end - begin);
    for (size_t row = begin; row < end; ++row) kernels[row - begin].parts.push_back(reader.shape(row));
    for (size_t d = 0; d < devices.size(); ++d) {
      if (rows[d].empty()) continue;
      std::vector<graph::Kernel> batch;
      for (size_t row : rows[d]) batch.push_back(std::move(kernels[row - begin]));
      std::vector<cost::OperatorCost> costs(batch.size());
      predictor.kernel_model(devices[d], measured).price(batch, devices[d], {}, costs);
      for (size_t i = 0; i < batch.size(); ++i) {
        double ms = costs[i].time.value() * 1e3;
        times[rows[d][i]] = {ms, ms * static_cast<double>(costs[i].low),
                             ms * static_cast<double>(costs[i].high), costs[i].cycles.value()};
      }
    }
  });
  return times;
}

std::string write_kernels(const CsvTable& table, const std::vector<KernelTimes>& times) {
  const bool cycles = !times.empty() && std::all_of(times.begin(), times.end(),
                                                    [](const KernelTimes& t) { return t.cycles > 0; });
  std::vector<std::string_view> added = {"latency_ms", "low_ms", "high_ms"};
  if (cycles) added.push_back("cycles");
  std::vector<std::string> header;
  for (const std::string& column : table.columns()) {
    bool taken = std::find(added.begin(), added.end(), column) != added.end();
    header.push_back(taken ? "measured_" + column : column);
  }
  header.insert(header.end(), added.begin(), added.end());
  std::string text = csv_row(header) + "\n";
  text.reserve(table.rows() * 96);
  const int columns = static_cast<int>(table.columns().size());
  for (size_t row = 0; row < table.rows(); ++row) {
    for (int column = 0; column < columns; ++column) {
      std::string_view cell = table.cell(row, column);
      if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
        text += cell;
      } else {
        std::string quoted(cell);
        text += csv_row(std::span<const std::string>(&quoted, 1));
      }
      text += ',';
    }
    fmt::format_to(std::back_inserter(text), "{:.6g},{:.6g},{:.6g}", times[row].milliseconds, times[row].low,
                   times[row].high);
    if (cycles) fmt::format_to(std::back_inserter(text), ",{:.0f}", times[row].cycles);
    text += '\n';
  }
  return text;
}

}  // namespace orrery::schedule

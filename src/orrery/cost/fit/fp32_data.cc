#include "orrery/cost/fit/fp32_data.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "orrery/base/csv.h"
#include "orrery/graph/operator_shape.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

constexpr int64_t kMost = 1 << 26;
constexpr double kShortestLabel = 50e-6;  // s; below, a label is the host's time
constexpr double kWord = 4;

class DeviceIndex {
 public:
  explicit DeviceIndex(Fp32Data* data) : data_(data) {}
  size_t of(const CsvTable& table, size_t row, int column) {
    const std::string name(table.cell(row, column));
    auto [at, fresh] = index_.emplace(name, data_->devices.size());
    if (fresh) {
      try {
        data_->devices.push_back(hardware::Catalogue::shipped().device(name));
      } catch (const InputError& e) {
        table.fail(row, column, e.what());
      }
    }
    return at->second;
  }

 private:
  Fp32Data* data_;
  std::unordered_map<std::string, size_t> index_;
};

Fp32Call vector_call(std::string_view op, double rows, double columns) {
  Fp32Call call;
  call.rows = rows;
  call.columns = columns;
  const double tensors = op == "add" || op == "mul" || op == "div" || op == "pow" ? 2 : 1;
  call.read = kWord * tensors * rows * columns;
  call.written = kWord * rows * columns;
  if (op == "softmax") call.kernel = Fp32Class::Softmax;
  if (op == "ln") call.kernel = Fp32Class::LayerNorm;
  if (op == "tanh" || op == "gelu") call.heavy = 1;
  if (op == "pow" || op == "powu") call.heavy = 2;
  return call;
}

Fp32Call product_call(Fp32Class kernel, double batch, double m, double n, double k) {
  Fp32Call call;
  call.kernel = kernel;
  call.batch = batch;
  call.m = m;
  call.n = n;
  call.k = k;
  return call;
}

// Files name the contraction n and the output's columns k.
void read_kernels(const std::string& path, Fp32Source source, DeviceIndex& devices, Fp32Data* data) {
  const CsvTable table = read_csv(path);
  const int gpu = table.at("gpu"), op = table.at("op"), b = table.at("b"), m = table.at("m"),
            n = table.at("n"), k = table.at("k"), h = table.at("h"), ms = table.at("latency_ms");
  for (size_t i = 0; i < table.rows(); ++i) {
    Fp32Row row;
    row.gpu = devices.of(table, i, gpu);
    row.seconds = table.number(i, ms) * 1e-3;
    row.source = source;
    const std::string_view name = table.cell(i, op);
    const bool batched = name == "bmm", linear = name == "linear";
    if (batched || linear) {
      row.call = product_call(batched ? Fp32Class::Batched : Fp32Class::Linear,
                              batched ? static_cast<double>(table.integer(i, b, 1, kMost)) : 1,
                              static_cast<double>(table.integer(i, m, 1, kMost)),
                              static_cast<double>(table.integer(i, k, 1, kMost)),
                              static_cast<double>(table.integer(i, n, 1, kMost)));
    } else {
      row.call = vector_call(name, static_cast<double>(table.integer(i, b, 1, kMost)),
                             static_cast<double>(table.integer(i, h, 1, kMost)));
    }
    if (row.seconds > 0) data->rows.push_back(row);
  }
}

void read_convolutions(const std::string& path, DeviceIndex& devices, Fp32Data* data) {
  const CsvTable table = read_csv(path);
  const int gpu = table.at("gpu"), batch = table.at("batch"), in = table.at("in_channels"),
            out = table.at("out_channels"), window = table.at("kernel_size"), image = table.at("input_size"),
            stride = table.at("stride"), padding = table.at("padding"), ms = table.at("latency_ms");
  for (size_t i = 0; i < table.rows(); ++i) {
    graph::ConvolutionSize s;
    s.batch = table.integer(i, batch, 1, kMost);
    s.in_channels = table.integer(i, in, 1, kMost);
    s.out_channels = table.integer(i, out, 1, kMost);
    s.height = s.width = table.integer(i, image, 1, kMost);
    s.kernel_h = s.kernel_w = table.integer(i, window, 1, kMost);
    s.stride_h = s.stride_w = table.integer(i, stride, 1, kMost);
    s.pad_h = s.pad_w = table.integer(i, padding, 0, kMost);
    Fp32Row row;
    row.gpu = devices.of(table, i, gpu);
    row.seconds = table.number(i, ms) * 1e-3;
    row.source = Fp32Source::Convolution;
    if (s.kernel_h > s.height + 2 * s.pad_h || row.seconds <= 0) continue;
    fp32_call(graph::make(s, DataType::FP32), row.call);
    data->rows.push_back(row);
  }
}

// "[['Linear', (4096, 1024, 3072)]]": the name and sizes where it is one operator, else nothing.
bool single_operator(std::string_view text, std::string* name, std::vector<double>* sizes) {
  const size_t quote = text.find('\''), end = text.find('\'', quote + 1);
  if (quote == std::string_view::npos || end == std::string_view::npos ||
      text.find('\'', end + 1) != std::string_view::npos)
    return false;
  *name = text.substr(quote + 1, end - quote - 1);
  sizes->clear();
  for (size_t i = end; i < text.size();) {
    if (text[i] < '0' || text[i] > '9') {
      ++i;
      continue;
    }
    double value = 0;
    const auto parsed = std::from_chars(text.data() + i, text.data() + text.size(), value);
    if (parsed.ec != std::errc()) return false;
    sizes->push_back(value);
    i = static_cast<size_t>(parsed.ptr - text.data());
  }
  return true;
}

// Labelled batched products contain copies of permuted operands, and two-tensor operators may broadcast one:
// what such a label timed is not in the list.
bool two_tensors(std::string_view name) {
  return name == "VECadd" || name == "VECmul" || name == "VECdiv" || name == "VECpow";
}

void read_labels(const std::string& path, DeviceIndex& devices, Fp32Data* data) {
  const CsvTable table = read_csv(path);
  const int gpu = table.at("gpu"), ops = table.at("fw_ops"), ms = table.at("fw_ms");
  std::string name;
  std::vector<double> sizes;
  for (size_t i = 0; i < table.rows(); ++i) {
    Fp32Row row;
    row.gpu = devices.of(table, i, gpu);
    row.seconds = table.number_or(i, ms, 0) * 1e-3;
    row.source = Fp32Source::NodeLabels;
    if (row.seconds < kShortestLabel || !single_operator(table.cell(i, ops), &name, &sizes)) continue;
    if (name == "Linear" && sizes.size() == 3) {
      row.call = product_call(Fp32Class::Linear, 1, sizes[0], sizes[2], sizes[1]);
    } else if (name.starts_with("VEC") && sizes.size() == 2 && !two_tensors(name)) {
      row.call = vector_call(name.substr(3), sizes[0], sizes[1]);
    } else {
      continue;
    }
    data->rows.push_back(row);
  }
}

}  // namespace

Fp32Data read_fp32_data(const std::string& folder) {
  Fp32Data data;
  DeviceIndex devices(&data);
  read_kernels(folder + "/kernels_train_nvidia.csv.zst", Fp32Source::Train, devices, &data);
  read_kernels(folder + "/kernels_test_nvidia.csv.zst", Fp32Source::Test, devices, &data);
  read_kernels(folder + "/kernels_amd.csv.zst", Fp32Source::Amd, devices, &data);
  read_convolutions(folder + "/kernels_conv_nvidia.csv.zst", devices, &data);
  read_labels(folder + "/node_labels.csv.zst", devices, &data);
  return data;
}

bool learns_from(Fp32Purpose purpose, const Fp32Data& data, const Fp32Row& row) {
  const std::string& gpu = data.devices[row.gpu].name;
  if (row.source == Fp32Source::Train) return !(gpu == "p4" && row.call.kernel == Fp32Class::Linear);
  if (purpose == Fp32Purpose::All) return true;
  if (row.source == Fp32Source::Convolution) return gpu != "a100-pcie-80gb";
  return row.source == Fp32Source::Amd && (gpu == "mi100" || !is_product(row.call.kernel));
}

}  // namespace orrery::cost

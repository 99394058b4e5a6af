#include "orrery/cost/fit/fit_memory_bound.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {

namespace {

constexpr double kHalf = 2;          // bytes of an fp16 element
constexpr double kCellWeight = 1.2;  // of all rows of a GPU and class together, in units of a prior's
constexpr double kNoise = .11;       // of the log residual
constexpr double kRounding = 1e-6;   // of the recorded medians
constexpr size_t kPerClass = 3, kShared = 4;
constexpr size_t kConstants = kPerClass * kMemoryBoundClasses + kShared;
constexpr size_t kHostFloors = 2;  // layer norm and softmax of the host-timed file

MemoryBoundConstants unpack(std::span<const double> x) {
  MemoryBoundConstants c;
  for (size_t k = 0; k < kMemoryBoundClasses; ++k)
    c.of[k] = {x[kPerClass * k], x[kPerClass * k + 1], x[kPerClass * k + 2]};
  c.memory_share = x[kConstants - 4];
  c.cache_share = x[kConstants - 3];
  c.cache_capacity = x[kConstants - 2];
  c.order = x[kConstants - 1];
  return c;
}

size_t device_index(MemoryBoundData& data, std::vector<std::string>& names, const std::string& name,
                    const char* catalogue_name) {
  size_t index = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  if (index == names.size()) {
    names.push_back(name);
    data.devices.push_back(hardware::Catalogue::shipped().device(catalogue_name));
  }
  return index;
}

}  // namespace

MemoryBoundData read_memory_bound_data(const std::string& mlp_path, const std::string& vector_path) {
  MemoryBoundData data;
  std::vector<std::string> names;
  CsvTable table = read_csv(mlp_path);
  const int gpu = table.at("gpu"), heads = table.at("n_head"), kv_heads = table.at("n_kv_head"),
            width = table.at("n_embd"), inner = table.at("n_expanded_embd"),
            gated = table.at("use_gated_mlp"), tokens = table.at("num_tokens"),
            parallel = table.at("num_tensor_parallel_workers");
  const int emb = table.at("emb_ms"), norm1 = table.at("input_layernorm_ms"), rope = table.at("attn_rope_ms"),
            norm2 = table.at("post_attention_layernorm_ms"), act = table.at("mlp_act_ms"),
            add = table.at("add_ms");
  for (size_t i = 0; i < table.rows(); ++i) {
    // The names that the file uses, and the parts that its authors rented.
    std::string_view recorded = table.cell(i, gpu);
    const char* known = recorded == "a100"   ? "a100-sxm4-80gb"
                        : recorded == "a40"  ? "a40"
                        : recorded == "h100" ? "h100-sxm5-80gb"
                                             : nullptr;
    if (known == nullptr) table.fail(i, gpu, "expected a100, a40 or h100");
    size_t index = device_index(data, names, std::string(recorded), known);
    constexpr int64_t kMost = 1 << 24;
    double t = static_cast<double>(table.integer(i, tokens, 1, kMost)),
           tp = static_cast<double>(table.integer(i, parallel, 1, 1024));
    double h = static_cast<double>(table.integer(i, width, 1, kMost)),
           f = static_cast<double>(table.integer(i, inner, 1, kMost)) / tp;
    double q = static_cast<double>(table.integer(i, heads, 1, kMost)),
           kv = static_cast<double>(table.integer(i, kv_heads, 1, kMost));
    double rotated = h / q * std::ceil(q / tp + kv / tp);
    bool gate = table.cell(i, gated) == "True";
    auto piece = [&](int column, MemoryBoundClass kernel, double columns, double moved, bool row_blocks) {
      double seconds = table.number_or(i, column, 0) * 1e-3;
      if (seconds <= 0) return;
      data.rows.push_back({index,
                           {kernel, t, t * columns, moved * t * kHalf, t * columns * kHalf, row_blocks},
                           seconds,
                           false});
    };
    piece(norm1, MemoryBoundClass::Norm, h, 2 * h, true);
    piece(norm2, MemoryBoundClass::Norm, h, 2 * h, true);
    if (gate)
      piece(act, MemoryBoundClass::GatedActivation, f, 3 * f, true);
    else
      piece(act, MemoryBoundClass::Elementwise, f, 2 * f, false);
    piece(rope, MemoryBoundClass::Rope, rotated, 2 * rotated, true);
    piece(add, MemoryBoundClass::Elementwise, h, 3 * h, false);
    piece(emb, MemoryBoundClass::Embedding, h, 2 * h, false);
  }
  if (vector_path.empty()) return data;
  CsvTable vectors = read_csv(vector_path);
  const int v_gpu = vectors.at("gpu"), op = vectors.at("op"), rows = vectors.at("rows"),
            columns = vectors.at("columns"), rate = vectors.at("value");
  for (size_t i = 0; i < vectors.rows(); ++i) {
    if (vectors.cell(i, v_gpu) != "A100") continue;
    double r = vectors.number(i, rows), c = vectors.number(i, columns);
    auto kernel = vectors.cell(i, op) == "softmax" ? MemoryBoundClass::Softmax : MemoryBoundClass::LayerNorm;
    double seconds = r * c / (vectors.number(i, rate) * 1e9);
    data.rows.push_back({device_index(data, names, "a100", "a100-sxm4-80gb"),
                         {kernel, r, r * c, 2 * r * c * kHalf, r * c * kHalf, true},
                         seconds,
                         true});
  }
  return data;
}

MemoryBoundConstants fit_memory_bound(const MemoryBoundData& data, size_t leave_out,
                                      const MemoryBoundFitOptions& options) {
  std::vector<size_t> chosen;
  std::vector<double> weight;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    if (gpu == leave_out) continue;
    for (size_t kernel = 0; kernel < kMemoryBoundClasses; ++kernel) {
      std::vector<size_t> cell;
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (data.rows[i].gpu == gpu && static_cast<size_t>(data.rows[i].call.kernel) == kernel)
          cell.push_back(i);
      Random random(Seed{options.seed}.derive(hash_bytes(data.devices[gpu].name)).derive(kernel));
      size_t take = std::min(options.rows_per_cell, cell.size());
      for (size_t i = 0; i < take; ++i) {
        std::swap(cell[i], cell[i + random.index(cell.size() - i)]);
        chosen.push_back(cell[i]);
        // A median rounded to a microsecond says little about a call of two.
        double s = data.rows[cell[i]].seconds;
        weight.push_back(kCellWeight / static_cast<double>(take) * s * s /
                         (s * s + 25 * kRounding * kRounding));
      }
    }
  }
  MemoryBoundConstants start = default_memory_bound_constants();
  std::vector<learn::FitParameter> parameters;
  auto add = [&](const char* what, double prior, double spread) {
    parameters.push_back({.name = what, .prior = prior, .spread = spread});
  };
  for (const auto& kernel : start.of) {
    add("elements per clock", kernel.elements_per_clock, .7);
    add("passes", kernel.passes, .3);
    add("start", kernel.start, .4);
  }
  add("memory share", start.memory_share, .05);
  add("cache share", start.cache_share, .2);
  add("cache capacity", start.cache_capacity, .3);
  add("order", start.order, .2);
  for (size_t i = 0; i < kHostFloors; ++i) add("host floor", 20e-6, 1);
  std::vector<MemoryBoundDevice> devices;
  for (const auto& device : data.devices) devices.push_back(memory_bound_device(device));
  auto residuals = [&](std::span<const double> x, std::span<double> out) {
    const MemoryBoundModel model(unpack(x));
    for (size_t i = 0; i < out.size(); ++i) {
      const MemoryBoundRow& row = data.rows[chosen[i]];
      double t = model.price(row.call, devices[row.gpu], false).time.value();
      if (row.host_floor) t = std::max(t, x[kConstants + (row.call.kernel == MemoryBoundClass::Softmax)]);
      out[i] = std::log(t / row.seconds);
    }
  };
  learn::LeastSquaresOptions fit;
  fit.noise = kNoise;
  fit.prior_weight = options.prior_weight;
  fit.threads = options.threads;
  return unpack(learn::fit_least_squares(parameters, residuals, chosen.size(), weight, fit).value);
}

}  // namespace orrery::cost

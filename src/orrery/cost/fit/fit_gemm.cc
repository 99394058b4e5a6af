#include "orrery/cost/fit/fit_gemm.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/base/threads.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/boosted_trees_fit.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {
namespace {

constexpr size_t kEffects = 3;
constexpr double kTreeHuber = .3;
constexpr size_t kChunk = 2048;

GemmProduct product_of(const GemmData& data, const GemmRow& row) {
  const double bytes = bytes_per_element(data.type);
  return {.m = row.m,
          .n = row.n,
          .k = row.k,
          .weight_bytes = bytes,
          .activation_bytes = bytes,
          .output_bytes = bytes,
          .copies = data.copies};
}

GemmConstants constants_of(std::span<const double> values) {
  GemmConstants constants;
  std::copy_n(values.begin(), kGemmConstants, constants.value.begin());
  return constants;
}

GemmEffects effects_of(std::span<const double> values, size_t gpu) {
  const auto at = values.subspan(kGemmConstants + kEffects * gpu, kEffects);
  return {at[0], at[1], at[2]};
}

std::vector<size_t> draw(const std::vector<size_t>& from, size_t count, Seed seed) {
  std::vector<size_t> drawn = from;
  Random random(seed);
  count = std::min(count, drawn.size());
  for (size_t i = 0; i < count; ++i) std::swap(drawn[i], drawn[i + random.index(drawn.size() - i)]);
  drawn.resize(count);
  return drawn;
}

learn::BoostedTrees fit_residual(const GemmData& data, const std::vector<size_t>& rows, const GemmLaw& law,
                                 const GemmFitOptions& options) {
  std::vector<float> features(rows.size() * kGemmFeatures);
  std::vector<double> target(rows.size());
  parallel_for(rows.size(), kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t j = begin; j < end; ++j) {
      const GemmProduct product = product_of(data, data.rows[rows[j]]);
      const GemmParts parts = law(product);
      const GemmFeatures f = gemm_features(product, parts, law.device());
      std::copy(f.begin(), f.end(), features.begin() + static_cast<std::ptrdiff_t>(j * kGemmFeatures));
      target[j] = std::log(data.rows[rows[j]].seconds / parts.time);
    }
  });
  learn::BoostedTreesOptions trees;
  trees.loss = learn::TreeLoss::Huber;
  trees.huber_width = kTreeHuber;
  trees.trees = options.trees;
  trees.leaves = options.leaves;
  trees.learning_rate = options.learning_rate;
  trees.min_leaf_rows = 15;
  trees.l2 = 5;
  trees.row_share = .7;
  trees.column_share = .7;
  trees.seed = options.seed;
  trees.threads = options.threads;
  return learn::fit_boosted_trees({features, kGemmFeatures, target}, trees).model;
}

}  // namespace

GemmData read_gemm_data(const std::string& path, DataType type) {
  const CsvTable table(read_file(path), path);
  const int gpu = table.at("gpu"), dtype = table.at("dtype"), m = table.at("m"), n = table.at("n"),
            k = table.at("k"), latency = table.at("latency_ms");
  GemmData data;
  data.type = type;
  std::map<std::string, size_t, std::less<>> index;
  for (size_t i = 0; i < table.rows(); ++i) {
    const auto row_type = parse_data_type(table.cell(i, dtype));
    if (!row_type) table.fail(i, dtype, "is no data type; expected bfloat16, fp16, fp8, ...");
    if (*row_type != type) continue;
    const std::string name(table.cell(i, gpu));
    auto found = index.find(name);
    if (found == index.end()) {
      found = index.emplace(name, data.devices.size()).first;
      data.devices.push_back(hardware::Catalogue::shipped().device(name));
    }
    const auto size = [&](int column) {
      return static_cast<double>(table.integer(i, column, 1, int64_t{1} << 40));
    };
    GemmRow row{found->second, size(m), size(n), size(k), table.number(i, latency) * 1e-3};
    if (!(row.seconds > 0) || !std::isfinite(row.seconds))
      table.fail(i, latency, "is no time; expected milliseconds above 0");
    data.rows.push_back(row);
  }
  if (data.rows.empty()) throw InputError(path + ": holds no row of type " + std::string(name(type)));
  return data;
}

GemmModel fit_gemm_law(const GemmData& data, size_t leave_out, const std::vector<char>& use,
                       const GemmFitOptions& options) {
  const size_t gpus = data.devices.size();
  std::vector<std::vector<size_t>> of_gpu(gpus);
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (data.rows[i].gpu != leave_out && (use.empty() || use[i])) of_gpu[data.rows[i].gpu].push_back(i);
  }
  std::vector<GemmDevice> facts;
  std::vector<size_t> sample;
  for (size_t g = 0; g < gpus; ++g) {
    facts.push_back(gemm_device(data.devices[g], data.type, data.type));
    const Seed seed = Seed{options.seed}.derive(hash_bytes(data.devices[g].name));
    const auto drawn = draw(of_gpu[g], options.rows_per_gpu, seed);
    sample.insert(sample.end(), drawn.begin(), drawn.end());
  }

  std::vector<learn::FitParameter> parameters;
  for (const auto& row : gemm_constant_table()) {
    parameters.push_back({std::string(row.name), row.centre, row.spread, row.logarithmic});
  }
  for (const hardware::Device& device : data.devices) {
    for (const char* effect : {"rate", "launch", "bandwidth"}) {
      parameters.push_back({device.name + " " + effect, 1, options.effect_spread, true});
    }
  }
  const learn::ResidualFunction residuals = [&](std::span<const double> values, std::span<double> out) {
    const GemmConstants constants = constants_of(values);
    std::vector<GemmLaw> laws;
    for (size_t g = 0; g < gpus; ++g) laws.emplace_back(facts[g], constants, effects_of(values, g));
    for (size_t j = 0; j < sample.size(); ++j) {
      const GemmRow& row = data.rows[sample[j]];
      out[j] = std::log(laws[row.gpu](product_of(data, row)).time / row.seconds);
    }
  };
  learn::LeastSquaresOptions least_squares;
  least_squares.noise = options.noise;
  least_squares.huber = options.huber;
  least_squares.prior_weight = options.prior_weight;
  least_squares.iterations = options.iterations;
  least_squares.threads = options.threads;
  const learn::LeastSquaresFit fit =
      learn::fit_least_squares(parameters, residuals, sample.size(), {}, least_squares);

  GemmModel::Contents contents;
  contents.constants = constants_of(fit.value);
  for (size_t g = 0; g < gpus; ++g) {
    if (of_gpu[g].empty()) continue;
    MeasuredGpu gpu;
    gpu.name = data.devices[g].name;
    gpu.architecture = data.devices[g].gpu()->architecture;
    gpu.stacked_memory = stacked_memory(data.devices[g]);
    gpu.effects = effects_of(fit.value, g);
    const GemmLaw law(facts[g], contents.constants, gpu.effects);
    gpu.residual = fit_residual(data, of_gpu[g], law, options);
    contents.gpus.push_back(std::move(gpu));
  }
  return GemmModel(std::move(contents));
}

GemmLeftOut gemm_left_out(const GemmData& data, const GemmFitOptions& options) {
  GemmLeftOut result;
  result.predicted.resize(data.rows.size());
  result.law.resize(data.rows.size());
  result.features.resize(data.rows.size() * kGemmFeatures);
  for (size_t g = 0; g < data.devices.size(); ++g) {
    const GemmModel model = fit_gemm_law(data, g, {}, options);
    const GemmModel::Target target = model.target(data.devices[g], data.type, data.type);
    parallel_for(data.rows.size(), kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        if (data.rows[i].gpu != g) continue;
        const GemmProduct product = product_of(data, data.rows[i]);
        const GemmCost cost = model.price(product, target);
        result.predicted[i] = cost.time.value();
        result.law[i] = cost.parts.time;
        const GemmFeatures f = gemm_features(product, cost.parts, target.law.device());
        std::copy(f.begin(), f.end(),
                  result.features.begin() + static_cast<std::ptrdiff_t>(i * kGemmFeatures));
      }
    });
  }
  return result;
}

ErrorBand gemm_band(const GemmData& data, const GemmLeftOut& left_out, size_t skip,
                    const GemmFitOptions& options) {
  std::vector<double> residual(data.rows.size());
  std::vector<std::int32_t> device(data.rows.size());
  for (size_t i = 0; i < residual.size(); ++i) {
    residual[i] = std::log(data.rows[i].seconds / left_out.predicted[i]);
    device[i] = static_cast<std::int32_t>(data.rows[i].gpu);
  }
  const std::int32_t skipped = skip == kNoGpu ? -1 : static_cast<std::int32_t>(skip);
  return fit_error_band({left_out.features, kGemmFeatures, residual, device}, skipped, .9, options.seed,
                        options.threads);
}

GemmModel fit_gemm(const GemmData& data, const GemmFitOptions& options) {
  GemmModel::Contents contents = fit_gemm_law(data, kNoGpu, {}, options).contents();
  if (data.devices.size() > 1) contents.band = gemm_band(data, gemm_left_out(data, options), kNoGpu, options);
  return GemmModel(std::move(contents));
}

}  // namespace orrery::cost

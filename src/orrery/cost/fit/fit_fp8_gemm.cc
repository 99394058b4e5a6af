#include "orrery/cost/fit/fit_fp8_gemm.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/threads.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {
namespace {

struct Sample {
  Fp8Product product;
  const Fp8Device* device;
  double log_seconds;
};

std::vector<Sample> draw(std::span<const Fp8Row> rows, std::span<const Fp8Device* const> devices,
                         const Fp8FitOptions& options) {
  std::vector<std::vector<size_t>> of_gpu(devices.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (devices[static_cast<size_t>(rows[i].gpu)] != nullptr)
      of_gpu[static_cast<size_t>(rows[i].gpu)].push_back(i);
  }
  std::vector<Sample> samples;
  for (size_t g = 0; g < devices.size(); ++g) {
    std::vector<size_t>& all = of_gpu[g];
    Random random(Seed{options.seed}.derive(g));
    const size_t take = std::min(all.size(), static_cast<size_t>(options.rows_per_gpu));
    for (size_t i = 0; i < take; ++i) {
      std::swap(all[i], all[i + random.index(all.size() - i)]);
      const Fp8Row& row = rows[all[i]];
      samples.push_back({{.m = row.m, .n = row.n, .k = row.k, .weights = WeightState::Cycled},
                         devices[g],
                         std::log(row.seconds)});
    }
  }
  return samples;
}

}  // namespace

Fp8Measured read_fp8_rows(const std::string& path, DataType type) {
  const CsvTable table = read_csv(path);
  const int gpu = table.at("gpu");
  const int dtype = table.at("dtype");
  const int m = table.at("m");
  const int n = table.at("n");
  const int k = table.at("k");
  const int latency = table.at("latency_ms");
  constexpr int64_t kMost = int64_t{1} << 40;
  Fp8Measured measured;
  for (size_t r = 0; r < table.rows(); ++r) {
    if (parse_data_type(std::string(table.cell(r, dtype))) != type) continue;
    Fp8Row row;
    row.m = static_cast<double>(table.integer(r, m, 1, kMost));
    row.n = static_cast<double>(table.integer(r, n, 1, kMost));
    row.k = static_cast<double>(table.integer(r, k, 1, kMost));
    row.seconds = table.number(r, latency) * 1e-3;
    if (!(row.seconds > 0))
      table.fail(r, latency, "a latency of zero or less; expected milliseconds above 0");
    const std::string_view name = table.cell(r, gpu);
    size_t g = 0;
    while (g < measured.gpus.size() && measured.gpus[g] != name) ++g;
    if (g == measured.gpus.size()) measured.gpus.emplace_back(name);
    row.gpu = static_cast<int>(g);
    measured.rows.push_back(row);
  }
  return measured;
}

Fp8Constants fit_fp8_constants(std::span<const Fp8Row> rows, std::span<const Fp8Device* const> devices,
                               const Fp8FitOptions& options) {
  const std::vector<Sample> samples = draw(rows, devices, options);
  std::vector<learn::FitParameter> parameters;
  for (const Fp8ConstantTraits& row : fp8_constant_table()) {
    parameters.push_back({.name = std::string(row.name), .prior = row.centre, .spread = row.spread});
  }
  const auto gpus = static_cast<double>(std::count_if(
      devices.begin(), devices.end(), [](const Fp8Device* device) { return device != nullptr; }));
  const auto residuals = [&](std::span<const double> x, std::span<double> out) {
    Fp8Constants constants;
    std::copy(x.begin(), x.end(), constants.value.begin());
    constexpr size_t kChunk = 512;
    parallel_for(samples.size(), kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        out[i] = std::log(fp8_gemm_law(samples[i].product, *samples[i].device, constants).time) -
                 samples[i].log_seconds;
      }
    });
  };
  const std::vector<double> fitted =
      learn::fit_least_squares(
          parameters, residuals, samples.size(), {},
          {.noise = options.noise,
           .huber = options.huber_width / options.noise,
           .prior_weight = options.prior_weight * options.prior_weight * std::max(1.0, gpus),
           .iterations = options.iterations})
          .value;
  Fp8Constants constants;
  std::copy(fitted.begin(), fitted.end(), constants.value.begin());
  return constants;
}

}  // namespace orrery::cost

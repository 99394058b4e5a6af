#include "orrery/cost/fit/fit_fp8_gemm.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"

namespace orrery::cost {
namespace {

constexpr size_t kP = kFp8Constants;
using Vector = std::array<double, kP>;
using Matrix = std::array<Vector, kP>;

// Solves (A + damping · diag A) x = b for symmetric positive A by Cholesky; false where A is not positive.
bool solve(Matrix a, double damping, Vector b, Vector* x) {
  for (size_t i = 0; i < kP; ++i) a[i][i] *= 1 + damping;
  for (size_t i = 0; i < kP; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i][j];
      for (size_t l = 0; l < j; ++l) sum -= a[i][l] * a[j][l];
      if (i == j) {
        if (sum <= 0) return false;
        a[i][i] = std::sqrt(sum);
      } else {
        a[i][j] = sum / a[j][j];
      }
    }
  }
  for (size_t i = 0; i < kP; ++i) {
    for (size_t l = 0; l < i; ++l) b[i] -= a[i][l] * b[l];
    b[i] /= a[i][i];
  }
  for (size_t i = kP; i-- > 0;) {
    for (size_t l = i + 1; l < kP; ++l) b[i] -= a[l][i] * b[l];
    b[i] /= a[i][i];
  }
  *x = b;
  return true;
}

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

Fp8Constants constants_of(const Vector& logs) {
  Fp8Constants constants;
  for (size_t i = 0; i < kP; ++i) constants.value[i] = std::exp(logs[i]);
  return constants;
}

void log_residuals(const std::vector<Sample>& samples, const Vector& logs, std::vector<double>* out) {
  const Fp8Constants constants = constants_of(logs);
  out->resize(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    (*out)[i] = std::log(fp8_gemm_law(samples[i].product, *samples[i].device, constants).time) -
                samples[i].log_seconds;
  }
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

Fp8Fit fit_fp8_constants(std::span<const Fp8Row> rows, std::span<const Fp8Device* const> devices,
                         const Fp8FitOptions& options) {
  const std::vector<Sample> samples = draw(rows, devices, options);
  size_t gpus = 0;
  for (const Fp8Device* device : devices) gpus += device != nullptr ? 1 : 0;
  const double prior =
      options.prior_weight * options.prior_weight * static_cast<double>(std::max<size_t>(1, gpus));
  const double noise2 = options.noise * options.noise;
  const double width2 = options.huber_width * options.huber_width;

  Vector centre{};
  Vector spread{};
  for (size_t i = 0; i < kP; ++i) {
    centre[i] = std::log(fp8_constant_table()[i].centre);
    spread[i] = fp8_constant_table()[i].spread;
  }
  const auto loss = [&](const std::vector<double>& residuals, const Vector& logs) {
    double sum = 0;
    for (const double r : residuals) sum += 2 * width2 * (std::sqrt(1 + r * r / width2) - 1) / noise2;
    for (size_t i = 0; i < kP; ++i) sum += prior * std::pow((logs[i] - centre[i]) / spread[i], 2);
    return sum;
  };

  Vector logs = centre;
  std::vector<double> residuals;
  std::vector<double> shifted;
  log_residuals(samples, logs, &residuals);
  Fp8Fit fit;
  fit.loss = loss(residuals, logs);
  double damping = 1e-2;
  constexpr double kStep = 1e-3;
  for (; fit.iterations < options.iterations; ++fit.iterations) {
    // Rows weighted by the slope of the robust loss (iteratively reweighted least squares).
    std::vector<std::vector<double>> columns(kP);
    for (size_t i = 0; i < kP; ++i) {
      Vector at = logs;
      at[i] += kStep;
      log_residuals(samples, at, &shifted);
      columns[i].resize(samples.size());
      for (size_t r = 0; r < samples.size(); ++r) columns[i][r] = (shifted[r] - residuals[r]) / kStep;
    }
    Matrix normal{};
    Vector gradient{};
    std::vector<double> weight(samples.size());
    for (size_t r = 0; r < samples.size(); ++r)
      weight[r] = 1 / (noise2 * std::sqrt(1 + residuals[r] * residuals[r] / width2));
    for (size_t i = 0; i < kP; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (size_t r = 0; r < samples.size(); ++r) sum += weight[r] * columns[i][r] * columns[j][r];
        normal[i][j] = normal[j][i] = sum;
      }
      for (size_t r = 0; r < samples.size(); ++r) gradient[i] -= weight[r] * columns[i][r] * residuals[r];
      normal[i][i] += prior / (spread[i] * spread[i]);
      gradient[i] -= prior * (logs[i] - centre[i]) / (spread[i] * spread[i]);
    }
    double gained = 0;
    for (int attempt = 0; attempt < 8 && gained <= 0; ++attempt) {
      Vector step{};
      if (solve(normal, damping, gradient, &step)) {
        Vector at = logs;
        for (size_t i = 0; i < kP; ++i) at[i] += std::clamp(step[i], -1.0, 1.0);
        log_residuals(samples, at, &shifted);
        const double tried = loss(shifted, at);
        if (tried < fit.loss) {
          gained = fit.loss - tried;
          fit.loss = tried;
          logs = at;
          residuals = shifted;
          damping = std::max(damping / 5, 1e-6);
          continue;
        }
      }
      damping *= 5;
    }
    if (gained < 1e-5 * fit.loss) break;
  }
  fit.constants = constants_of(logs);
  return fit;
}

}  // namespace orrery::cost

#include "orrery/cost/error_band.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"

namespace orrery::cost {
namespace {

// Residuals whose size depends on the first feature: .03 below 0, .15 above.
struct Noise {
  std::vector<float> features;
  std::vector<double> residual;
  std::vector<std::int32_t> device;
};
Noise noise(int rows, uint64_t seed) {
  Random random(Seed{seed});
  Noise n;
  for (int i = 0; i < rows; ++i) {
    const float x = static_cast<float>(2 * random.uniform() - 1);
    n.features.insert(n.features.end(), {x, static_cast<float>(random.uniform())});
    n.residual.push_back(random.normal() * (x < 0 ? .03 : .15));
    n.device.push_back(i % 3);
  }
  return n;
}

TEST(ErrorBand, covers_what_it_promises_and_is_narrow_where_errors_are_small) {
  const Noise seen = noise(9000, 1), fresh = noise(4000, 2);
  const ErrorBand band = fit_error_band({seen.features, 2, seen.residual, seen.device}, -1, .9, 1, 1);
  int covered = 0;
  for (size_t i = 0; i < fresh.residual.size(); ++i) {
    const BandFactors f = band.factors(std::span(fresh.features).subspan(2 * i, 2));
    covered += std::exp(fresh.residual[i]) >= f.low && std::exp(fresh.residual[i]) <= f.high;
  }
  EXPECT_GE(covered / 4000.0, .9);  // three devices widen it
  EXPECT_LE(covered / 4000.0, .97);
  const float quiet[] = {-.5f, .5f}, loud[] = {.5f, .5f};
  EXPECT_LT(band.factors(quiet).high - band.factors(quiet).low, .2);
  EXPECT_GT(band.factors(loud).high - band.factors(loud).low, .35);
  EXPECT_GT(band.factors(loud, 2).high, band.factors(loud).high);
}

TEST(ErrorBand, a_skipped_device_does_not_count) {
  Noise rows = noise(6000, 3);
  Noise spoilt = rows;
  for (size_t i = 0; i < rows.residual.size(); ++i)
    if (rows.device[i] == 2) spoilt.residual[i] += 3;
  const ErrorBand a = fit_error_band({rows.features, 2, rows.residual, rows.device}, 2, .9, 1, 1);
  const ErrorBand b = fit_error_band({spoilt.features, 2, spoilt.residual, spoilt.device}, 2, .9, 1, 2);
  EXPECT_EQ(a.to_json(), b.to_json());
}

TEST(ErrorBand, reads_what_it_wrote) {
  const Noise rows = noise(3000, 4);
  const ErrorBand band = fit_error_band({rows.features, 2, rows.residual, rows.device}, -1, .9, 1, 1);
  const ErrorBand again = ErrorBand::from_json(parse_json(band.to_json(), "band.json"));
  EXPECT_EQ(again.to_json(), band.to_json());
  EXPECT_THROW(ErrorBand::from_json(parse_json(R"({"low": -1, "high": 1, "size": "trees1 x"})", "band.json")),
               Error);
  const float row[] = {0, 0};
  EXPECT_LT(ErrorBand().factors(row).low, .7);
}

}  // namespace
}  // namespace orrery::cost

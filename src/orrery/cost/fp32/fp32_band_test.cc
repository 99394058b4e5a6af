#include "orrery/cost/fp32/fp32_band.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "orrery/base/error.h"
#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_fp32_band.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

constexpr Fp32Known kAll = {true, true, true, true}, kNone = {};
constexpr Fp32Effects kPrior = {.06, .1, .06, .4};

double normal(Random& random) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.index(1'000'000)) / 1e6;
  return sum - 6;
}

// Rows of `gpus` GPUs whose bandwidth is off by N(0, spread) and which scatter by N(0, scatter).
std::vector<Fp32BandRow> rows(size_t gpus, double spread, double scatter, Random& random) {
  std::vector<Fp32BandRow> made;
  for (size_t gpu = 0; gpu < gpus; ++gpu) {
    const double off = spread * normal(random);
    for (int i = 0; i < 500; ++i) made.push_back({gpu, off + scatter * normal(random), 1, {0, 0, 1, 0}});
  }
  return made;
}

TEST(Fp32Band, holds_nine_in_ten_rows_of_gpus_that_it_never_saw) {
  Random random(Seed{5});
  double unseen = 0, measured = 0;
  constexpr int kTrials = 150;
  constexpr double kSpread = .06, kScatter = .03;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Fp32Band band = fit_fp32_band(rows(6, kSpread, kScatter, random), kPrior);
    auto within = [&](const std::vector<Fp32BandRow>& of, const Fp32Known& known) {
      double count = 0;
      for (const Fp32BandRow& row : of) {
        const BandFactors f = band.factors(row.elasticity, known);
        count += std::exp(row.residual) >= f.low && std::exp(row.residual) <= f.high;
      }
      return count / static_cast<double>(of.size());
    };
    unseen += within(rows(4, kSpread, kScatter, random), kNone) / kTrials;
    measured += within(rows(1, 0, kScatter, random), kAll) / kTrials;
  }
  EXPECT_NEAR(unseen, .9, .04);
  EXPECT_NEAR(measured, .9, .02);
}

TEST(Fp32Band, is_wider_by_each_factor_that_is_not_known) {
  Random random(Seed{6});
  const Fp32Band band = fit_fp32_band(rows(5, .1, .02, random), kPrior);
  const Fp32Elasticity even = {.3, .2, .4, .1};
  double last = 0;
  for (size_t unknown = 0; unknown <= kFp32Effects; ++unknown) {
    Fp32Known known = kAll;
    for (size_t f = 0; f < unknown; ++f) known[f] = false;
    const BandFactors f = band.factors(even, known);
    EXPECT_LE(f.low, 1);
    EXPECT_GE(f.high, 1);
    EXPECT_GT(f.high / f.low, last);
    last = f.high / f.low;
  }
}

TEST(Fp32Band, elasticities_are_those_of_the_law) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device device = fp32_device(hardware::Catalogue::shipped().device("a100-pcie-40gb"));
  Fp32Call call;
  for (double rows : {300., 40'000.}) {
    for (Fp32Class kernel : {Fp32Class::Elementwise, Fp32Class::LayerNorm, Fp32Class::Linear}) {
      call.kernel = kernel;
      call.rows = call.m = rows;
      call.columns = call.n = call.k = 1024;
      call.read = call.written = 4 * rows * 1024;
      for (Fp32Setting setting : {Fp32Setting::FromHost, Fp32Setting::InModel}) {
        const Fp32Parts parts = fp32_law(call, device, c, {}, setting);
        const Fp32Elasticity e = fp32_elasticity(parts, c, kernel);
        EXPECT_LE(std::accumulate(e.begin(), e.end(), 0.), 1 + 1e-9);
        // Of compute the rate does not tell a tile's prologue; the host's factor leaves the kernel's own
        // start.
        for (size_t f = 0; f < 3; ++f) {
          constexpr double kStep = 1e-4;
          Fp32Effects slower;
          slower.*kFp32EffectFields[f] = -kStep;
          const double by = std::log(fp32_law(call, device, c, slower, setting).time / parts.time) / kStep;
          if (by <= 1e-6) continue;
          EXPECT_NEAR(e[f], by, .15) << name(kernel) << " " << rows << " factor " << f;
        }
      }
    }
  }
}

TEST(Fp32Band, damaged_bands_are_refused) {
  const Fp32Band band;
  const std::string text = band.to_json();
  EXPECT_EQ(Fp32Band::from_json(parse_json(text, "x")).to_json(), text);
  EXPECT_THROW(Fp32Band::from_json(parse_json(R"({"scatter": [1, 1, 1]})", "x")), InputError);
  std::string upside_down = text;
  upside_down.replace(upside_down.find("-0.5"), 4, "+0.5");
  EXPECT_THROW(Fp32Band::from_json(parse_json(upside_down, "x")), InputError);
}

}  // namespace
}  // namespace orrery::cost

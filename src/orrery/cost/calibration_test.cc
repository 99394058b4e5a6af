#include "orrery/cost/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "orrery/base/random.h"
#include "orrery/base/storage.h"

namespace orrery::cost {
namespace {

hardware::Device device() {
  hardware::Device d;
  d.name = "test";
  d.memory_bandwidth = BytesPerSecond(1e12);
  return d;
}

OperatorCost cost(double time, double compute_share, double memory_share) {
  OperatorCost c;
  c.time = Seconds(time);
  c.compute = Seconds(time * compute_share);
  c.traffic[kDram] = Bytes(time * memory_share * 1e12);
  c.low = 0.8f;
  c.high = 1.25f;
  return c;
}

std::vector<Observation> planted(size_t rows) {
  Random random(Seed{7});
  std::vector<Observation> observations;
  for (size_t i = 0; i < rows; ++i) {
    OperatorCost predicted = cost(1e-5 * (1 + random.uniform()), random.uniform(), random.uniform());
    auto shares = bound_shares(predicted, device());
    double truth = std::exp(0.2 * shares[0] - 0.1 * shares[1] + 0.3 * shares[2] + 0.01 * random.normal());
    observations.push_back({predicted, predicted.time * truth});
  }
  return observations;
}

TEST(Calibration, planted_factors_come_back_and_the_held_out_error_falls) {
  Calibration fitted = fit_calibration(planted(500), device());
  EXPECT_NEAR(fitted.compute, 0.2, 0.02);
  EXPECT_NEAR(fitted.memory, -0.1, 0.02);
  EXPECT_NEAR(fitted.fixed, 0.3, 0.03);
  EXPECT_LT(fitted.error_after, 0.02);
  EXPECT_GT(fitted.error_before, 0.08);
}

TEST(Calibration, shares_add_up_to_one) {
  for (double c : {0.0, 0.3, 1.0}) {
    for (double m : {0.0, 0.5, 1.0}) {
      auto shares = bound_shares(cost(1e-4, c, m), device());
      EXPECT_NEAR(shares[0] + shares[1] + shares[2], 1, 1e-12);
    }
  }
}

TEST(Calibration, the_file_is_read_back_as_written_and_a_wrong_one_is_refused) {
  std::string path = testing::TempDir() + "calibration.json";
  Calibrations written = {{"test", fit_calibration(planted(50), device())}};
  write_file(path, to_json(written));
  EXPECT_TRUE(is_calibration_file(path));
  Calibrations read = read_calibrations(path);
  EXPECT_EQ(to_json(read), to_json(written));
  write_file(path, R"({"format": "orrery-calibration", "version": 1, "devices": {"x": {"compute": 99}}})");
  EXPECT_THROW(read_calibrations(path), InputError);
}

}  // namespace
}  // namespace orrery::cost

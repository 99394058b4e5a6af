#include "orrery/cost/neusight/law.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"

namespace orrery::cost {
namespace {

NeuSightDevice device(double memory_gb, double bandwidth, double multiprocessors, double gflops,
                      double l2_mb) {
  NeuSightDevice d;
  d.memory_gb = memory_gb;
  d.bandwidth_gb_s = bandwidth;
  d.multiprocessors = multiprocessors;
  d.matrix_gflops = d.vector_gflops = gflops;
  d.l2_mb = l2_mb;
  return d;
}
const NeuSightDevice kV100 = device(32, 900, 80, 14029, 6), kT4 = device(15, 320, 40, 8141, 4),
                     kA100 = device(40, 1555, 108, 19492, 40);

// Worked by hand from the equations, in the published program's units.
struct Worked {
  NeuSightOperator op;
  NeuSightTile tile;
  NeuSightDevice device;
  double alpha, gamma;
  double blocks, waves, intensity, gflops, x1, x2, x3, x4, u, milliseconds;
};
const Worked kWorked[] = {
    {neusight_product(NeuSightKind::Linear, 1, 4096, 3840, 1280),
     {64, 128},
     kV100,
     -1,
     2,
     1920,
     24,
     417.5361,
     14029,
     -3.063837,
     -3.537657,
     -4.138913,
     -1.723876,
     0.869591,
     3.300573},
    {neusight_product(NeuSightKind::Bmm, 80, 1024, 1024, 64),
     {64, 64},
     kT4,
     0,
     1.5,
     20480,
     512,
     30.542,
     8141,
     -8.600631,
     -7.415037,
     -4.0,
     -2.093109,
     0.816598,
     1.615154},
    {neusight_vector(NeuSightKind::LayerNorm, 4096, 1280),
     {1, 1280},
     kA100,
     -2,
     1,
     4096,
     38,
     0.805306,
     1252.2514,
     -14.520385,
     -10.525883,
     -9.997185,
     -9.997185,
     0.727922,
     0.034577},
};

TEST(NeuSightLaw, worked_examples_hold_to_a_millionth) {
  const NeuSightOptions options;
  for (const Worked& w : kWorked) {
    const NeuSightGeometry g = neusight_geometry(w.op, w.tile, w.device, options);
    EXPECT_EQ(g.blocks, w.blocks);
    EXPECT_EQ(g.waves, w.waves);
    EXPECT_NEAR(g.intensity, w.intensity, 1e-6 * w.intensity + 5e-5);  // as many digits as are written down
    EXPECT_NEAR(g.rate / 1e9, w.gflops, 5e-5);
    EXPECT_NEAR(g.features[0], w.x1, 1e-6);
    EXPECT_NEAR(g.features[1], w.x2, 1e-6);
    EXPECT_NEAR(g.features[2], w.x3, 1e-6);
    EXPECT_NEAR(g.features[3], w.x4, 1e-6);
    const double u = neusight_utilization(w.alpha, w.gamma, g.waves, options.utilization);
    EXPECT_NEAR(u, w.u, 1e-6);
    EXPECT_NEAR(1e3 * g.ideal / u, w.milliseconds, 1e-6);
  }
}

TEST(NeuSightLaw, decimal_gigabytes_lower_the_bandwidth_by_seven_percent) {
  NeuSightOptions options;
  const Worked& ln = kWorked[2];
  const double binary = neusight_geometry(ln.op, ln.tile, ln.device, options).ideal;
  options.gigabyte = NeuSightOptions::Gigabyte::Decimal;
  const double decimal = neusight_geometry(ln.op, ln.tile, ln.device, options).ideal;
  EXPECT_NEAR(decimal / binary, 1.073741824, 1e-9);
}

TEST(NeuSightLaw, a_partial_wave_costs_what_it_holds_but_never_less_than_one) {
  NeuSightOptions options;
  options.waves = NeuSightOptions::Waves::Partial;
  const Worked& ln = kWorked[2];
  EXPECT_NEAR(neusight_geometry(ln.op, ln.tile, ln.device, options).waves, 4096. / 108, 1e-9);
  const NeuSightOperator small = neusight_vector(NeuSightKind::LayerNorm, 3, 1280);
  EXPECT_EQ(neusight_geometry(small, {1, 1280}, ln.device, options).waves, 1);
}

TEST(NeuSightLaw, the_difference_can_leave_no_utilization_the_product_cannot) {
  using Form = NeuSightOptions::Utilization;
  EXPECT_LT(neusight_utilization(3, -3, 1, Form::Difference), 0);
  Random random(Seed{1});
  for (int i = 0; i < 1000; ++i) {
    const double alpha = 5 * random.normal(), gamma = 5 * random.normal(), waves = 1 + 100 * random.uniform();
    const double u = neusight_utilization(alpha, gamma, waves, Form::Product);
    EXPECT_GT(u, 0);
    EXPECT_LE(u, 1);
  }
}

TEST(NeuSightLoss, gradients_agree_with_finite_differences) {
  using Form = NeuSightOptions::Utilization;
  Random random(Seed{2});
  int compared = 0;
  for (int i = 0; i < 400; ++i) {
    const double alpha = 2 * random.normal(), gamma = 2 * random.normal(), waves = 1 + 10 * random.uniform();
    const double ideal = 1e-3, measured = 1e-3 * (1 + 9 * random.uniform()), step = 1e-6;
    for (Form form : {Form::Difference, Form::Product}) {
      if (neusight_utilization(alpha, gamma, waves, form) < 2 * kLeastUtilization) continue;
      auto at = [&](double a, double c) { return neusight_loss(a, c, waves, ideal, measured, form).value; };
      const NeuSightLoss loss = neusight_loss(alpha, gamma, waves, ideal, measured, form);
      EXPECT_NEAR(loss.by_alpha, (at(alpha + step, gamma) - at(alpha - step, gamma)) / (2 * step), 1e-6);
      EXPECT_NEAR(loss.by_gamma, (at(alpha, gamma + step) - at(alpha, gamma - step)) / (2 * step), 1e-6);
      ++compared;
    }
  }
  EXPECT_GT(compared, 500);
}

TEST(NeuSightLoss, pulls_a_utilization_that_is_gone_back_up) {
  const NeuSightLoss loss = neusight_loss(3, -3, 1, 1e-3, 2e-3, NeuSightOptions::Utilization::Difference);
  EXPECT_LT(loss.by_gamma, 0);
  EXPECT_GT(loss.by_alpha, 0);
}

}  // namespace
}  // namespace orrery::cost

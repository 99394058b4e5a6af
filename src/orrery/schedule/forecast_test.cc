#include "orrery/schedule/forecast.h"

#include <gtest/gtest.h>

#include <cmath>

namespace orrery::schedule {
namespace {

using graph::OperatorKind;

hardware::Device device(double tdp = 0) {
  hardware::Device d;
  d.name = "test";
  d.memory_bandwidth = BytesPerSecond(1e12);
  d.tdp = Watts(tdp);
  return d;
}

cost::OperatorCost cost_of(double seconds, cost::Bound bound = cost::Bound::Memory) {
  cost::OperatorCost c;
  c.time = Seconds(seconds);
  c.bound_by = bound;
  c.low = 0.8f;
  c.high = 1.25f;
  return c;
}

// A chain of `n` operators, alternating between a vector operator and a product; an all-reduce at the end of
// each pair where asked.
graph::Graph chain(int n, bool collectives = false) {
  graph::GraphBuilder builder;
  graph::TensorId x = builder.input(Bytes(1), graph::TensorKind::Input);
  for (int i = 0; i < n; ++i) {
    graph::OperatorShape shape =
        i % 2 ? graph::make(graph::GemmSize{1, 8, 8, 8}, DataType::BF16, DataType::BF16)
              : graph::make(OperatorKind::Relu, graph::VectorSize{8, 8}, DataType::BF16);
    x = builder.add(i % 2 ? "product" : "relu", i / 2, shape, std::span(&x, 1), Bytes(1));
    if (collectives && i % 2) {
      builder.add("reduce", i / 2, graph::make(OperatorKind::AllReduce, graph::CollectiveSize{64, 2}),
                  std::span(&x, 1), Bytes(1));
    }
  }
  return builder.take((n + 1) / 2);
}

TEST(Forecast, without_an_engine_is_the_sum_of_its_kernels) {
  graph::Graph graph = chain(10);
  std::vector<cost::OperatorCost> costs = {cost_of(1e-5), cost_of(3e-5)};
  ForecastOptions options;
  options.engine.replay = true;
  Forecast f = forecast(graph, costs, device(), options);
  EXPECT_NEAR(f.time.value.value(), 2e-4, 1e-12);
  EXPECT_NEAR(f.busy.value(), 2e-4, 1e-12);
  EXPECT_EQ(f.executions, (std::vector<double>{5, 5}));
  EXPECT_LT(f.time.low, f.time.value);
  EXPECT_GT(f.time.high, f.time.value);
}

TEST(Forecast, launches_hide_behind_long_kernels_and_rule_short_ones) {
  graph::Graph graph = chain(100);
  ForecastOptions options;
  options.engine.launch = microseconds(6);
  std::vector<cost::OperatorCost> fast = {cost_of(1e-6), cost_of(1e-6)},
                                  slow = {cost_of(1e-4), cost_of(1e-4)};
  EXPECT_NEAR(forecast(graph, fast, device(), options).time.value.value(), 100 * 6e-6 + 1e-6, 1e-9);
  EXPECT_NEAR(forecast(graph, slow, device(), options).time.value.value(), 6e-6 + 100 * 1e-4, 1e-9);
}

TEST(Forecast, collectives_that_overlap_hide_behind_compute_and_never_make_it_faster_than_either) {
  graph::Graph graph = chain(20, true);
  std::vector<cost::OperatorCost> costs = {cost_of(1e-5), cost_of(1e-5), cost_of(1.5e-5, cost::Bound::Link)};
  ForecastOptions options;
  options.engine.replay = true;
  double serial = forecast(graph, costs, device(), options).time.value.value();
  options.overlap_collectives = true;
  double overlapped = forecast(graph, costs, device(), options).time.value.value();
  EXPECT_NEAR(serial, 20e-5 + 15e-5, 1e-12);
  EXPECT_NEAR(overlapped, 20e-5 + 1.5e-5, 1e-12);  // the last one has nothing to hide behind
}

TEST(Forecast, sustained_load_stretches_arithmetic_until_the_power_fits) {
  graph::Graph graph = chain(2);
  std::vector<cost::OperatorCost> costs = {cost_of(1e-3), cost_of(3e-3, cost::Bound::Compute)};
  costs[1].energy = Joules(0.54);  // 180 W over 3 ms
  ForecastOptions options;
  options.engine.replay = true;
  Forecast cool = forecast(graph, costs, device(200), options),
           hot = forecast(graph, costs, device(100), options);
  EXPECT_EQ(cool.derating, 1);
  EXPECT_NEAR(hot.time.value.value(), 0.54 / 90, 1e-9);  // idle takes a tenth of the limit
  EXPECT_LE(hot.energy.value.value(), 100 * hot.time.value.value() * (1 + 1e-9));
}

TEST(Forecast, kernels_that_power_holds_may_draw_what_the_others_leave) {
  graph::Graph graph = chain(10);
  ForecastOptions options;
  options.engine.replay = true;
  auto time = [&](double light) {
    std::vector<cost::OperatorCost> costs = {cost_of(light), cost_of(3e-5, cost::Bound::Power)};
    costs[1].sustained = Seconds(4e-5);
    return forecast(graph, costs, device(100), options).time.value.value();
  };
  EXPECT_NEAR(time(0), 5 * 4e-5, 1e-12);              // products alone: at the power's pace
  EXPECT_NEAR(time(1e-3), 5 * (3e-5 + 1e-3), 1e-12);  // much light work: none is held
  EXPECT_GT(time(1e-5), 5 * (3e-5 + 1e-5));
  EXPECT_LT(time(1e-5), 5 * (4e-5 + 1e-5));
}

TEST(Forecast, a_layers_timeline_holds_its_operators_in_order) {
  graph::Graph graph = chain(10);
  std::vector<cost::OperatorCost> costs = {cost_of(1e-5), cost_of(3e-5)};
  ForecastOptions options;
  options.engine.replay = true;
  options.timeline_layer = 2;
  Timeline layer = forecast(graph, costs, device(), options).layer;
  ASSERT_EQ(layer.events.size(), 2u);
  EXPECT_EQ(layer.names[layer.events[1].name], "product");
  EXPECT_EQ(layer.events[0].start.value(), 0);
  EXPECT_NEAR(layer.events[1].start.value(), 1e-5, 1e-12);
}

TEST(Bands, of_one_kernel_is_its_own_and_of_many_is_narrower_but_never_nothing) {
  BandTerm one{Law::Matrix, 1, 0.8, 1.25};
  Band same = combine(std::vector<BandTerm>{one}, 0.6, 0.15);
  EXPECT_NEAR(same.low, 0.8, 1e-9);
  EXPECT_NEAR(same.high, 1.25, 1e-9);
  Band many = combine(std::vector<BandTerm>(1000, one), 0.6, 0.15);
  EXPECT_GT(many.low, 0.8);
  EXPECT_NEAR(std::log(many.high), std::sqrt(0.6) * std::log(1.25),
              1e-3);  // what is common to a law does not average out
  std::vector<BandTerm> laws;
  for (Law law : {Law::Matrix, Law::Attention, Law::Vector}) laws.push_back({law, 1, 0.8, 1.25});
  EXPECT_LT(combine(laws, 0.6, 0.15).high, combine(std::vector<BandTerm>(3, one), 0.6, 0.15).high);
}

}  // namespace
}  // namespace orrery::schedule

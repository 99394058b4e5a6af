#include "orrery/schedule/engine_step.h"

#include <gtest/gtest.h>

#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::schedule {
namespace {

EngineStep engine() {
  return EngineStep(std::make_shared<Predictor>(), graph::find_model("llama-3.1-8b"),
                    hardware::Catalogue::shipped().device("h100-sxm"));
}

double ms(const EngineStep& step, std::vector<StepGroup> groups) {
  return step.forecast(groups).time.value.value() * 1e3;
}

TEST(EngineStep, a_step_that_only_decodes_is_the_decode_phase) {
  Predictor predictor;
  hardware::Device device = hardware::Catalogue::shipped().device("h100-sxm");
  graph::ModelConfig model = graph::find_model("llama-3.1-8b");
  graph::Workload workload;
  workload.mode = graph::Mode::Decode;
  workload.batch = 64;
  workload.sequence = 1500;
  double phase = predictor.phase(model, workload, device, Driver::Serving, false).time.value.value() * 1e3;
  EXPECT_NEAR(ms(engine(), {{64, 1, 1500}}), phase, 1e-6 * phase);
}

TEST(EngineStep, a_chunk_costs_more_than_decoding_and_less_than_two_steps) {
  EngineStep step = engine();
  double decode = ms(step, {{32, 1, 1000}}), chunk = ms(step, {{1, 2000, 0}}),
         mixed = ms(step, {{32, 1, 1000}, {1, 2000, 0}});
  EXPECT_GT(mixed, chunk);
  EXPECT_GT(mixed, decode);
  EXPECT_LT(mixed, chunk + decode);  // the weights are read once
}

TEST(EngineStep, groups_that_add_up_cost_what_their_union_costs) {
  EngineStep step = engine();
  double one = ms(step, {{64, 1, 1000}}), two = ms(step, {{32, 1, 1000}, {32, 1, 1000}});
  EXPECT_GE(two, one);
  EXPECT_LT(two, 1.1 * one);
}

}  // namespace
}  // namespace orrery::schedule

#include "orrery/explore/pipeline_designs.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"
#include "orrery/explore/test_workloads.h"

namespace orrery::explore {
namespace {

PipelineStudy study_of(std::vector<PipelineModel> models) {
  PipelineStudy study;
  study.models = std::move(models);
  study.base = random_study(1);
  study.base.limits.area = SquareMetres(100e-6);
  study.base.space = power_of_two_space(32, 256, 3, 3);
  return study;
}

PipelineModel model(const std::string& name, int stages, int64_t sequence) {
  PipelineRequest request;
  request.model = name;
  request.stages = stages;
  request.sequence = sequence;
  return pipeline_of_model(request);
}

TEST(PipelineDesigns, stages_hold_every_forward_and_backward_product) {
  PipelineModel pipeline = model("gpt2", 4, 128);
  double flops = 0;
  int stages = 0;
  for (const PipelineStage& stage : pipeline.stages) {
    EXPECT_EQ(graph::broken_invariant(stage.forward.graph), "");
    EXPECT_EQ(graph::broken_invariant(stage.backward.graph), "");
    flops += stage.copies *
             (graph::matrix_flops(stage.forward.graph) + graph::matrix_flops(stage.backward.graph)).value();
    stages += stage.copies;
  }
  PipelineModel whole = model("gpt2", 1, 128);
  EXPECT_EQ(stages, 4);
  EXPECT_EQ(pipeline.stages.size(), 3u);  // first, two equal ones, last
  EXPECT_EQ(flops, (graph::matrix_flops(whole.stages[0].forward.graph) +
                    graph::matrix_flops(whole.stages[0].backward.graph))
                       .value());
}

// The release divides by 1 x (1024 x 3), a slip for 1024 cubed.
TEST(PipelineDesigns, a_link_of_four_gibibytes_a_second_carries_them) {
  const PipelineModel pipeline = model("gpt2", 2, 128);
  const double activation = 128.0 * 768 * 2;
  EXPECT_DOUBLE_EQ(pipeline.stages[0].transfer.value(), activation / (4.0 * 1024 * 1024 * 1024));
}

TEST(PipelineDesigns, mosaic_is_no_worse_than_individual_and_that_no_worse_than_common) {
  for (int stages : {2, 4}) {
    for (AcceleratorObjective objective :
         {AcceleratorObjective::PerformancePerTdp, AcceleratorObjective::Throughput}) {
      PipelineStudy study = study_of({model("gpt2", stages, 128), model("bert-base", stages, 128)});
      study.base.objective = objective;
      PipelinePlan plan = plan_pipelines(study, {});
      for (size_t m = 0; m < study.models.size(); ++m) {
        EXPECT_GE(plan.mosaic[m].objective, plan.individual[m].objective);
        EXPECT_GE(plan.individual[m].objective, plan.common[m].objective);
        EXPECT_EQ(plan.mosaic[m].stages.size(), static_cast<size_t>(stages));
        for (const DesignPoint& stage : plan.common[m].stages) EXPECT_EQ(stage, plan.common[0].stages[0]);
      }
      study.top = SIZE_MAX;
      PipelinePlan all = plan_pipelines(study, {});
      RecordProperty(std::to_string(stages) + std::string(name(objective)),
                     std::to_string(plan.mosaic_objective / all.mosaic_objective) + " " +
                         std::to_string(plan.individual_objective / plan.common_objective) + " " +
                         std::to_string(plan.mosaic_objective / plan.individual_objective));
      EXPECT_GE(plan.mosaic_objective, 0.995 * all.mosaic_objective);
      EXPECT_GE(plan.common_objective, 0.995 * all.common_objective);
    }
  }
}

TEST(PipelineDesigns, more_candidates_are_no_worse) {
  PipelineStudy study = study_of({model("gpt2", 3, 64), model("bert-base", 4, 128)});
  double before = 0;
  for (size_t top : {1, 2, 3, 5, 7, 10, 15, 20, 50, 100}) {
    study.top = top;
    const double found = plan_pipelines(study, {}).mosaic_objective;
    EXPECT_GE(found, before * (1 - 1e-9)) << top;
    before = found;
  }
}

TEST(PipelineDesigns, closed_form_equals_the_simulation_of_equal_stages_and_is_near_for_unlike_ones) {
  Random random(Seed{3});
  double worst = 0;
  for (int i = 0; i < 200; ++i) {
    const size_t stages = 1 + random.index(8);
    const bool equal = i % 2 == 0;
    std::vector<schedule::StageCost> costs;
    for (size_t s = 0; s < stages; ++s) {
      const double f = equal && s > 0 ? costs[0].forward.value() : 1 + (equal ? 1 : 0.1) * random.uniform();
      costs.push_back({Seconds(f), Seconds(2 * f), Seconds(0), Seconds(0)});
    }
    schedule::PipelineOptions options;
    options.micro_batches = 8 + static_cast<int>(random.index(32));
    const double simulated = schedule::run_pipeline(costs, options).time.value();
    const double closed =
        closed_form_time(costs, std::vector<Seconds>(stages), options.micro_batches).value();
    if (equal) {
      EXPECT_NEAR(simulated / closed, 1, 1e-12);
    } else {
      worst = std::max(worst, std::abs(simulated / closed - 1));
    }
  }
  RecordProperty("worst_unlike", std::to_string(worst));
  EXPECT_LE(worst, 0.05);
}

TEST(PipelineDesigns, refuse_what_makes_no_sense) {
  PipelineStudy study = study_of({});
  EXPECT_NE(error_of([&] { plan_pipelines(study, {}); }).find("model"), std::string::npos);
  study = study_of({model("gpt2", 2, 64)});
  study.base.limits.area = SquareMetres(1e-6);
  EXPECT_NE(error_of([&] { plan_pipelines(study, {}); }).find("limits"), std::string::npos);
  EXPECT_NE(error_of([] { model("gpt2", 99, 64); }).find("99 stages"), std::string::npos);
}

}  // namespace
}  // namespace orrery::explore

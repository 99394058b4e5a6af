#include "orrery/schedule/iteration.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/hardware/cluster_reader.h"

namespace orrery::schedule {
namespace {

const Predictor& predictor() {
  static const Predictor shipped;
  return shipped;
}

hardware::Cluster h100s(int gpus) {
  return hardware::flat_cluster(hardware::Catalogue::shipped().device("h100-sxm5-80gb"), gpus);
}

graph::ModelConfig gpt2() {
  graph::ModelConfig model = graph::find_model("gpt2-large");
  run_as(model, DataType::FP32);
  return model;
}

graph::Workload train(int64_t batch, graph::Parallelism parallel = {}) {
  graph::Workload work;
  work.mode = graph::Mode::Train;
  work.batch = batch;
  work.sequence = 1024;
  work.attention = graph::AttentionKernel::Eager;
  work.fuse = work.loss = false;
  work.optimizer = graph::Optimizer::Adam;
  work.parallel = parallel;
  return work;
}

IterationForecast run(const graph::Workload& work, const IterationOptions& options = {}, int gpus = 16) {
  return forecast_iteration(gpt2(), work, options, h100s(gpus), predictor());
}

TEST(Iteration, one_device_takes_the_plain_forecast) {
  graph::Workload work = train(2);
  IterationForecast one = run(work);
  hardware::Device device = h100s(1).device(0);
  Forecast plain =
      predictor().forecast(graph::build_graph(gpt2(), work), device, Driver::Framework, work.mode, 2);
  EXPECT_NEAR(one.time.value / plain.time.value, 1, 1e-12);
  EXPECT_NEAR(one.time.low / plain.time.low, 1, 1e-9);
  EXPECT_EQ(one.bubble_share, 0);
  EXPECT_EQ(one.data.exposed.value() + one.tensor.exposed.value() + one.pipeline.exposed.value(), 0);
}

TEST(Iteration, equal_stages_take_the_closed_form) {
  // Without embedding and head stages of equal layers are equal: compare against the sum over stages.
  IterationForecast whole = run(train(8, {.pipeline = 4}), {.micro_batches = 8});
  double longest = 0;
  for (const StageForecast& s : whole.stages) longest = std::max(longest, (s.forward + s.backward).value());
  EXPECT_GE(whole.time.value.value(), 8 * longest);
  double inner = (whole.stages[1].forward + whole.stages[1].backward).value();
  EXPECT_NEAR((whole.stages[2].forward + whole.stages[2].backward).value() / inner, 1, 1e-9);
  EXPECT_GT(whole.bubble_share, 0);
  EXPECT_EQ(whole.stages[0].kept, 4);
  EXPECT_EQ(whole.stages[3].kept, 1);
  IterationForecast all_ahead =
      run(train(8, {.pipeline = 4}), {.micro_batches = 8, .schedule = PipelineSchedule::GPipe});
  EXPECT_EQ(all_ahead.stages[0].kept, 8);
}

TEST(Iteration, one_micro_batch_runs_through_the_stages_like_one_device) {
  IterationForecast one = run(train(4)), staged = run(train(4, {.pipeline = 4}));
  double compute = 0;
  for (const StageForecast& s : staged.stages) compute += (s.forward + s.backward).value();
  double alone = (one.stages[0].forward + one.stages[0].backward).value();
  EXPECT_NEAR(compute / alone, 1, 1e-9);
  EXPECT_NEAR(staged.bubble_share, .75, .01);
  EXPECT_GT(staged.pipeline.exposed.value(), 0);
  EXPECT_NEAR(staged.pipeline.exposed.value(), 2 * 3 * staged.pipeline.total.value() / 2, 1e-6);
}

TEST(Iteration, gradients_hide_behind_the_backward_pass) {
  IterationForecast hidden = run(train(16, {.data = 4}));
  IterationForecast bare = run(train(16, {.data = 4}), {.overlap_gradients = false});
  EXPECT_LT(hidden.time.value, bare.time.value);
  EXPECT_GE(bare.data.exposed.value(), bare.data.total.value() * (1 - 1e-9));
  EXPECT_LT(hidden.data.exposed, hidden.data.total);
  // What is reduced is what the model has.
  double weights = graph::parameter_count(gpt2()).total() * 4;
  EXPECT_NEAR(hidden.data.bytes.value() / weights, 1, 1e-6);
  // The link is not faster than what it carries.
  EXPECT_GE(hidden.time.value, hidden.data.total);
}

TEST(Iteration, the_last_gradients_to_be_ready_are_never_hidden) {
  IterationForecast views = run(train(16, {.data = 4}), {.bucket_copies = false});
  EXPECT_GT(views.data.exposed.value(), 0);  // the embedding's
  IterationForecast copies = run(train(16, {.data = 4}));
  EXPECT_GT(copies.time.value, views.time.value);
}

TEST(Iteration, widths_combine) {
  IterationForecast all =
      run(train(16, {.data = 2, .tensor = 2, .pipeline = 2}), {.micro_batches = 4, .timeline = true});
  EXPECT_EQ(all.stages.size(), 2u);
  EXPECT_EQ(all.micro_batch, 2);
  EXPECT_GT(all.tensor.total.value(), 0);
  EXPECT_GT(all.pipeline.total.value(), 0);
  EXPECT_GT(all.data.total.value(), 0);
  // Filling and draining the pipeline repeats each stage's collectives once more.
  EXPECT_LE(all.tensor.exposed.value(), all.tensor.total.value() * (4 + 2 - 1) / 4 * 1.01);
  // Every replica computes its share: the products of all devices are those of one.
  graph::Workload alone = train(16);
  double flops = graph::matrix_flops(graph::build_graph(gpt2(), alone)).value();
  EXPECT_NEAR(all.flops.value() / flops, 1, .01);  // the padded vocabulary
  // Two stages of four micro-batches, a forward and a backward each, the reductions and the optimizer.
  EXPECT_EQ(all.timeline.lanes.size(), 4u);
  int tasks = 0;
  for (const Event& event : all.timeline.events) {
    EXPECT_LT(event.lane, all.timeline.lanes.size());
    EXPECT_LT(event.name, all.timeline.names.size());
    EXPECT_LE((event.start + event.duration).value(), all.time.value.value() * (1 + 1e-9));
    tasks += all.timeline.names[event.name].starts_with("forward");
  }
  EXPECT_EQ(tasks, 8);
}

TEST(Iteration, more_micro_batches_shrink_the_bubble) {
  double before = 1;
  for (int m : {1, 2, 4, 8, 16}) {
    IterationForecast it = run(train(16, {.pipeline = 4}), {.micro_batches = m});
    EXPECT_LT(it.bubble_share, before);
    before = it.bubble_share;
  }
}

TEST(Iteration, a_slower_link_is_never_faster) {
  hardware::Cluster fast = hardware::find_cluster("dgx-h100-x4");
  hardware::Cluster slow = fast;
  for (hardware::LinkLevel& level : slow.levels) level.per_device = level.per_device * .5;
  graph::Workload work = train(32, {.data = 16, .tensor = 2});
  IterationForecast a = forecast_iteration(gpt2(), work, {}, fast, predictor());
  IterationForecast b = forecast_iteration(gpt2(), work, {}, slow, predictor());
  EXPECT_GE(b.time.value, a.time.value);
  EXPECT_GT(b.data.total, a.data.total);
}

TEST(Iteration, prefill_runs_through_stages_too) {
  graph::Workload work = train(8, {.pipeline = 4});
  work.mode = graph::Mode::Prefill;
  IterationForecast it = run(work, {.micro_batches = 4});
  for (const StageForecast& s : it.stages) {
    EXPECT_EQ(s.backward.value(), 0);
    EXPECT_GT(s.forward.value(), 0);
  }
  EXPECT_GT(it.bubble_share, .2);
}

TEST(Iteration, what_cannot_be_divided_is_refused) {
  EXPECT_THROW(run(train(6, {.data = 4})), InputError);
  EXPECT_THROW(run(train(4), {.micro_batches = 3}), InputError);
  EXPECT_THROW(run(train(4, {.data = 4}), {}, 2), InputError);
  EXPECT_THROW(run(train(64, {.pipeline = 37}), {}, 64), InputError);
  EXPECT_THROW(
      forecast_iteration(graph::find_model("t5-small"), train(4, {.pipeline = 2}), {}, h100s(4), predictor()),
      InputError);
}

TEST(DivideLayers, earlier_stages_take_the_rest) {
  EXPECT_EQ(divide_layers(10, 4), (std::vector<int>{0, 3, 6, 8, 10}));
  EXPECT_EQ(divide_layers(8, 1), (std::vector<int>{0, 8}));
}

TEST(GroupOf, members_that_stand_apart_meet_on_outer_levels) {
  hardware::Cluster cluster = hardware::find_cluster("dgx-h100-x4");
  hardware::Cluster within = hardware::group_of(cluster, 4, 2);  // ranks 0, 2, 4, 6: one node
  ASSERT_EQ(within.levels.size(), 1u);
  EXPECT_EQ(within.levels[0].fanout, 4);
  hardware::Cluster across = hardware::group_of(cluster, 4, 8);  // a rank a node
  ASSERT_EQ(across.levels.size(), 1u);
  EXPECT_EQ(across.levels[0].name, "InfiniBand NDR");
  hardware::Cluster both = hardware::group_of(cluster, 16, 2);
  ASSERT_EQ(both.levels.size(), 2u);
  EXPECT_EQ(both.levels[0].fanout, 4);
  EXPECT_EQ(both.levels[1].fanout, 4);
}

}  // namespace
}  // namespace orrery::schedule

#include "orrery/schedule/predictor.h"

#include <gtest/gtest.h>

#include "orrery/base/storage.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::schedule {
namespace {

graph::Graph decode(int64_t batch) {
  graph::Workload w;
  w.mode = graph::Mode::Decode;
  w.batch = batch;
  w.sequence = 1000;
  return graph::build_graph(graph::find_model("llama-3.1-8b"), w);
}

double ms(const Predictor& predictor, const char* device) {
  return predictor
             .forecast(decode(16), hardware::Catalogue::shipped().device(device), Driver::Serving,
                       graph::Mode::Decode, 16)
             .time.value.value() *
         1e3;
}

TEST(Predictor, a_file_of_corrections_changes_the_device_that_it_names) {
  std::string file = ::testing::TempDir() + "mine.json";
  write_file(file, R"({"format": "orrery-calibration", "version": 1, "base": "default",
    "devices": {"l40s": {"compute": 0, "memory": 0.2, "fixed": 0, "rows": 40, "error_before": 0.2, "error_after": 0.05, "band": 1}}})");
  Predictor shipped, mine("default", file);
  EXPECT_GT(ms(mine, "l40s"), 1.1 * ms(shipped, "l40s"));
  EXPECT_EQ(ms(mine, "h100-sxm"), ms(shipped, "h100-sxm"));
  EXPECT_EQ(mine.weights_title(), "mine.json, correcting " + shipped.weights_title() + " for l40s");
}

TEST(Predictor, an_accelerator_is_priced_by_folds) {
  hardware::Device chip;
  chip.name = "array";
  chip.memory_bandwidth = BytesPerSecond(1.2e12);
  chip.architecture = hardware::Accelerator{};
  Predictor predictor;
  EXPECT_EQ(predictor.model(chip).title(), "fold");
  EXPECT_GT(predictor.forecast(decode(1), chip, Driver::Serving, graph::Mode::Decode, 1).time.value.value(),
            0);
}

TEST(Predictor, int4_weights_are_read_as_four_bits_and_fp8_is_faster_where_units_exist) {
  graph::ModelConfig wide = graph::find_model("llama-3.1-8b"), narrow = wide, fp8 = wide;
  run_as(narrow, DataType::INT4);
  run_as(fp8, DataType::FP8);
  graph::Workload w;
  w.mode = graph::Mode::Decode;
  w.sequence = 100;
  Predictor predictor;
  auto time = [&](const graph::ModelConfig& model, const char* device) {
    return predictor.phase(model, w, hardware::Catalogue::shipped().device(device), Driver::Serving, false)
        .time.value.value();
  };
  for (const char* device : {"h100-sxm", "l40s", "rtx-4090"}) {
    EXPECT_LT(time(fp8, device), 0.8 * time(wide, device)) << device;
    EXPECT_LT(time(narrow, device), 0.6 * time(wide, device)) << device;
  }
}

// What people run, on what they run it on: nothing throws, nothing is free, every kernel is priced or said
// not to be.
TEST(Predictor, every_shipped_model_is_forecast_on_every_shipped_gpu) {
  Predictor predictor;
  std::vector<hardware::Device> devices;
  for (const hardware::CatalogueEntry& entry : hardware::Catalogue::shipped().entries())
    devices.push_back(hardware::Catalogue::shipped().device(entry.name));
  for (const std::string& name : graph::shipped_models()) {
    graph::ModelConfig model = graph::find_model(name);
    for (graph::Mode mode : {graph::Mode::Prefill, graph::Mode::Train}) {
      graph::Workload w;
      w.mode = mode;
      w.sequence = 256;
      graph::Graph graph = graph::build_graph(model, w);
      for (const hardware::Device& device : devices) {
        Forecast f = predictor.forecast(graph, device, Driver::Framework, mode, 1);
        ASSERT_GT(f.time.value.value(), 1e-5) << name << " on " << device.name;
        ASSERT_LT(f.time.low, f.time.value) << name << " on " << device.name;
        ASSERT_GT(f.time.high, f.time.value) << name << " on " << device.name;
        ASSERT_LT(f.time.value.value(), 3600) << name << " on " << device.name;
      }
    }
  }
}

// Published methods are sums of FP32 kernels; what they have no word for is said.
TEST(Predictor, published_predictors_forecast_fp32_models_as_the_sum_of_their_kernels) {
  graph::ModelConfig model = graph::find_model("gpt2-large");
  run_as(model, DataType::FP32);
  graph::Workload w;
  w.mode = graph::Mode::Prefill;
  w.sequence = 512;
  w.attention = graph::AttentionKernel::Eager;
  w.fuse = false;
  const graph::Graph graph = graph::build_graph(model, w);
  for (const char* name : {"neusight", "linear", "habitat"}) {
    const Predictor predictor(name);
    EXPECT_TRUE(predictor.weights().has(name));  // its own, not those of the default laws
    for (const char* gpu : {"l4", "h100-sxm5-80gb", "mi210"}) {
      const hardware::Device device = hardware::Catalogue::shipped().device(gpu);
      const std::vector<cost::OperatorCost> costs = predictor.price(graph, device);
      double sum = 0;
      for (const graph::Operator& op : graph.operators) sum += costs[op.kernel].time.value();
      for (const cost::OperatorCost& cost : costs) EXPECT_TRUE(cost.priced) << name;
      const Forecast f = predictor.forecast(graph, device, Driver::Framework, w.mode, 1);
      EXPECT_NEAR(f.time.value.value() / sum, 1, 1e-6) << name << " on " << gpu;
    }
  }
  EXPECT_THROW(Predictor("neusight", cost::Weights::shipped_path()), InputError);
}

}  // namespace
}  // namespace orrery::schedule

// How fast forecasts are. The figures asked for: a GPT-3 175B training forecast under 1 ms once loaded;
// 10,000 forecasts of distinct (model, batch, sequence, GPU) under 10 s on one core, 1 ms each. Both include
// building the operator graph.
#include <benchmark/benchmark.h>

#include <array>

#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {
namespace {

graph::Workload training(int64_t batch, int64_t sequence, int tensor) {
  graph::Workload w;
  w.mode = graph::Mode::Train;
  w.batch = batch;
  w.sequence = sequence;
  w.parallel.tensor = tensor;
  return w;
}

void gpt3_training(benchmark::State& state) {
  Predictor predictor;
  graph::ModelConfig model = graph::find_model("gpt3-175b");
  hardware::Device device = hardware::Catalogue::shipped().device("h100-sxm");
  graph::Workload w = training(1, 2048, 8);
  for (auto _ : state) {
    Forecast f = predictor.forecast(graph::build_graph(model, w), device, Driver::Framework, w.mode, w.batch);
    benchmark::DoNotOptimize(f.time.value);
  }
}
BENCHMARK(gpt3_training)->Unit(benchmark::kMillisecond);

void gpt3_training_of_a_built_graph(benchmark::State& state) {
  Predictor predictor;
  graph::Workload w = training(1, 2048, 8);
  graph::Graph graph = graph::build_graph(graph::find_model("gpt3-175b"), w);
  hardware::Device device = hardware::Catalogue::shipped().device("h100-sxm");
  for (auto _ : state)
    benchmark::DoNotOptimize(
        predictor.forecast(graph, device, Driver::Framework, w.mode, w.batch).time.value);
}
BENCHMARK(gpt3_training_of_a_built_graph)->Unit(benchmark::kMillisecond);

// Every forecast is one that was not asked before.
void distinct_forecasts(benchmark::State& state) {
  Predictor predictor;
  std::vector<graph::ModelConfig> models;
  for (const char* name : {"llama-3.1-8b", "llama-3.1-70b", "qwen3-32b", "mixtral-8x7b", "gpt2-large"})
    models.push_back(graph::find_model(name));
  std::vector<hardware::Device> devices;
  for (const char* name :
       {"h100-sxm", "a100-sxm4-80gb", "l40s", "rtx-4090", "h200-sxm", "b200-sxm", "mi300x", "l4"}) {
    devices.push_back(hardware::Catalogue::shipped().device(name));
  }
  int64_t n = 0;
  for (auto _ : state) {
    graph::Workload w;
    w.mode = n % 2 ? graph::Mode::Decode : graph::Mode::Prefill;
    w.batch = 1 + n / 80 % 256;
    w.sequence = 100 + n % 40 + n / 40;
    const graph::ModelConfig& model = models[static_cast<size_t>(n / 2) % models.size()];
    const hardware::Device& device = devices[static_cast<size_t>(n / 10) % devices.size()];
    Forecast f = predictor.forecast(graph::build_graph(model, w), device, Driver::Serving, w.mode, w.batch);
    benchmark::DoNotOptimize(f.time.value);
    ++n;
  }
}
BENCHMARK(distinct_forecasts)->Unit(benchmark::kMillisecond)->Iterations(10000);

}  // namespace
}  // namespace orrery::schedule

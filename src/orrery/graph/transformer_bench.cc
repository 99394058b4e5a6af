// Building graphs: what a forecast pays before it prices. Asked: GPT-3 175B training with pricing under 1 ms.
#include <benchmark/benchmark.h>

#include "orrery/graph/liveness.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {
namespace {

void build(benchmark::State& state, const char* name, Mode mode, bool fuse) {
  ModelConfig model = find_model(name);
  Workload work;
  work.mode = mode;
  work.sequence = 2048;
  work.fuse = fuse;
  work.attention = fuse ? AttentionKernel::Flash : AttentionKernel::Eager;
  size_t operators = 0;
  for (auto _ : state) {
    work.batch = work.batch % 64 + 1;
    Graph graph = build_graph(model, work);
    operators = graph.operators.size();
    benchmark::DoNotOptimize(operators);
  }
  state.counters["operators"] = static_cast<double>(operators);
}
BENCHMARK_CAPTURE(build, gpt3_175b_train, "gpt3-175b", Mode::Train, true);
BENCHMARK_CAPTURE(build, gpt3_175b_train_eager, "gpt3-175b", Mode::Train, false);
BENCHMARK_CAPTURE(build, llama_8b_decode, "llama-3.1-8b", Mode::Decode, true);
BENCHMARK_CAPTURE(build, llama_8b_prefill, "llama-3.1-8b", Mode::Prefill, true);
BENCHMARK_CAPTURE(build, deepseek_v3_decode, "deepseek-v3", Mode::Decode, true);

void live(benchmark::State& state) {
  Workload work;
  work.mode = Mode::Train;
  work.sequence = 2048;
  Graph graph = build_graph(find_model("gpt3-175b"), work);
  for (auto _ : state) benchmark::DoNotOptimize(peak_of_live_activations(graph));
}
BENCHMARK(live);

}  // namespace
}  // namespace orrery::graph

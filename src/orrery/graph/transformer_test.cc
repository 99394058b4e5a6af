#include "orrery/graph/transformer.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"

namespace orrery::graph {
namespace {

bool decodes(const ModelConfig& model) {
  return model.towers.back().role == TowerRole::Decoder;
}

std::vector<Workload> workloads(const ModelConfig& model) {
  std::vector<Workload> all;
  for (Mode mode : {Mode::Prefill, Mode::Decode, Mode::Train}) {
    if (mode == Mode::Decode && !decodes(model)) continue;
    for (bool fuse : {true, false}) {
      for (AttentionKernel kernel : {AttentionKernel::Flash, AttentionKernel::Eager}) {
        Workload w;
        w.mode = mode;
        w.batch = 2;
        w.sequence = 48;
        w.fuse = fuse;
        w.attention = kernel;
        all.push_back(w);
      }
    }
  }
  return all;
}

TEST(Transformer, every_shipped_model_keeps_the_invariants_in_every_mode) {
  for (const std::string& name : shipped_models()) {
    ModelConfig model = find_model(name);
    for (Workload work : workloads(model)) {
      for (int width : {1, 2}) {
        work.parallel.tensor = width;
        Graph graph;
        try {
          graph = build_graph(model, work);
        } catch (const InputError& error) {
          EXPECT_GT(width, 1) << name << ": " << error.what();
          continue;
        }
        EXPECT_EQ(broken_invariant(graph), "")
            << name << " mode " << static_cast<int>(work.mode) << " fuse " << work.fuse;
        EXPECT_GT(matrix_flops(graph).value(), 0);
      }
    }
  }
}

TEST(Transformer, weights_of_the_graph_are_those_of_the_model) {
  for (const std::string& name : shipped_models()) {
    ModelConfig model = find_model(name);
    model.quantization.reset();
    Workload work;
    work.batch = 2;
    work.sequence = 16;
    double expected = weight_bytes(model, work.parallel).total().value();
    EXPECT_EQ(bytes_of(build_graph(model, work), TensorKind::Weight).value(), expected) << name;
  }
}

}  // namespace
}  // namespace orrery::graph

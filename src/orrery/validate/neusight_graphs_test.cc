#include "orrery/validate/neusight_graphs.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace orrery::validate {
namespace {

TEST(NeusightGraphs, dense_models_have_the_traced_operators_equally_often) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the traced graphs: set ORRERY_DATA";
  int compared = 0;
  for (const TracedGraph& traced : read_traced_graphs(folder)) {
    bool plain = traced.workload.option.empty() || traced.workload.option == "dp4" || traced.workload.option == "tp4";
    if (traced.workload.model == "switchxl4" || !plain) continue;
    auto ours = graph::traced_operators(graph::build_graph(
        neusight_model(traced.workload), neusight_run(traced.workload, graph::traced_with_faults())));
    std::string name = neusight_workload_name(traced.workload);
    for (const GraphDifference& d : differences(traced.operators, ours)) {
      // One reduction for each parameter there (and that of the embedding of another size), for each block here.
      if (traced.workload.option == "dp4" && d.op.name.starts_with("ALLREDUCE")) continue;
      ADD_FAILURE() << name << " " << graph::to_string(d.op) << ": theirs " << d.theirs << ", ours " << d.ours;
    }
    for (std::string_view product : {"Linear", "BMM"})
      EXPECT_EQ(product_flops(traced.operators, product), product_flops(ours, product)) << name;
    ++compared;
  }
  EXPECT_GE(compared, 20);
}

}  // namespace
}  // namespace orrery::validate

#include "orrery/validate/neusight_graphs.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <map>

#include "orrery/hardware/catalogue.h"

namespace orrery::validate {
namespace {

TEST(NeusightGraphs, dense_models_have_the_traced_operators_equally_often) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the traced graphs: set ORRERY_DATA";
  int compared = 0;
  for (const TracedGraph& traced : read_traced_graphs(folder)) {
    bool plain =
        traced.workload.option.empty() || traced.workload.option == "dp4" || traced.workload.option == "tp4";
    if (traced.workload.model == "switchxl4" || !plain) continue;
    auto ours = graph::traced_operators(graph::build_graph(
        neusight_model(traced.workload), neusight_run(traced.workload, graph::traced_with_faults())));
    std::string name = neusight_workload_name(traced.workload);
    for (const GraphDifference& d : differences(traced.operators, ours)) {
      // One reduction for each parameter there (and that of the embedding of another size), for each block
      // here.
      if (traced.workload.option == "dp4" && d.op.name.starts_with("ALLREDUCE")) continue;
      ADD_FAILURE() << name << " " << graph::to_string(d.op) << ": theirs " << d.theirs << ", ours "
                    << d.ours;
    }
    for (std::string_view product : {"Linear", "BMM"})
      EXPECT_EQ(product_flops(traced.operators, product), product_flops(ours, product)) << name;
    ++compared;
  }
  EXPECT_GE(compared, 20);
}

TEST(NeusightGraphs, fused_graphs_join_the_same_operators) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the traced graphs: set ORRERY_DATA";
  int compared = 0;
  for (const TracedGraph& traced : read_traced_graphs(folder)) {
    if (traced.workload.option != "fusion") continue;
    graph::Graph ours = graph::build_graph(neusight_model(traced.workload),
                                           neusight_run(traced.workload, graph::traced_with_faults()));
    EXPECT_EQ(graph::broken_invariant(ours), "");
    // Inputs that are handed over change an operator's name: groups are known by their length and their
    // result.
    std::map<std::pair<size_t, std::array<int64_t, 4>>, int64_t> groups;
    for (const graph::Operator& op : ours.operators) {
      const auto& parts = ours.kernels[op.kernel].parts;
      if (parts.size() > 1) ++groups[{parts.size(), graph::traced_operator(parts.back()).dims}];
    }
    for (const auto& [parts, times] : traced.fused) groups[{parts.size(), parts.back().dims}] -= times;
    int64_t differ = 0;
    for (const auto& [group, times] : groups) differ += std::abs(times);
    // The addition that ends GPT-2's last layer runs with the norm behind it there; here each layer is a
    // block.
    bool gpt2 = traced.workload.model == "gpt2_large";
    EXPECT_EQ(differ, gpt2 ? 1 : 0) << neusight_workload_name(traced.workload);
    ++compared;
  }
  EXPECT_EQ(compared, 4);
}

TEST(NeusightGraphs, faults_have_a_table_of_their_effects) {
  report::Table table =
      neusight_fault_table(schedule::Predictor(), hardware::Catalogue::shipped().device("h100-sxm5-80gb"));
  EXPECT_EQ(table.rows.size(), 10u);
}

}  // namespace
}  // namespace orrery::validate

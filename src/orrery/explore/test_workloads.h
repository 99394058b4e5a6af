// Small workloads and studies for the tests of this room.
#pragma once

#include "orrery/base/random.h"
#include "orrery/explore/accelerator_plan.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::explore {

// A random graph of products and vector operators; each reads up to two of the eight results before it. Every
// third product has an epilogue.
inline graph::Graph random_operators(Random& random, size_t operators) {
  graph::GraphBuilder builder;
  std::vector<graph::TensorId> made = {builder.input(Bytes(1024), graph::TensorKind::Input)};
  auto size = [&](uint64_t most) { return static_cast<int64_t>(1) << random.index(most); };
  for (size_t i = 0; i < operators; ++i) {
    std::vector<graph::TensorId> inputs;
    for (size_t n = 1 + random.index(2); n-- > 0;)
      inputs.push_back(made[made.size() - 1 - random.index(std::min<size_t>(made.size(), 8))]);
    graph::Kernel kernel;
    const int64_t rows = 3 * size(8), columns = 5 * size(7);
    const auto kind = random.index(2) ? graph::OperatorKind::Gelu : graph::OperatorKind::Add;
    const graph::OperatorShape vector =
        graph::make(kind, {.rows = rows, .columns = columns, .inputs = 1}, DataType::BF16);
    if (random.index(2)) {
      kernel.parts = {
          graph::make(graph::GemmSize{size(3), rows, columns, 7 * size(7)}, DataType::BF16, DataType::BF16)};
      if (random.index(3) == 0) kernel.parts.push_back(vector);
    } else {
      kernel.parts = {vector};
    }
    const Bytes out(2.0 * static_cast<double>(rows * columns));
    graph::OperatorId op = builder.add("op", 0, kernel, inputs, std::span<const Bytes>(&out, 1));
    made.push_back(builder.graph().outputs(builder.graph().operators[op])[0]);
  }
  return builder.take(1);
}

inline AcceleratorStudy random_study(uint64_t seed, size_t workloads = 1, size_t operators = 60) {
  Random random(Seed{seed});
  AcceleratorStudy study;
  study.base = hardware::Catalogue::shipped().device("tpuv2");
  for (size_t w = 0; w < workloads; ++w)
    study.workloads.push_back({"random " + std::to_string(w), random_operators(random, operators), 4});
  study.space = power_of_two_space(16, 128, 4, 3);
  study.limits.area = SquareMetres(80e-6);
  return study;
}

}  // namespace orrery::explore

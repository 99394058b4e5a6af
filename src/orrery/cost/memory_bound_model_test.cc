#include "orrery/cost/memory_bound_model.h"

#include <gtest/gtest.h>
#include <cmath>
#include <cstdlib>

#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_memory_bound.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

MemoryBoundDevice device(const char* name) {
  return memory_bound_device(hardware::Catalogue::shipped().device(name));
}

TEST(MemoryBoundModel, large_adds_run_at_the_achievable_bandwidth_and_small_ones_at_the_launch) {
  MemoryBoundModel model = MemoryBoundModel::shipped();
  MemoryBoundDevice h100 = device("h100-sxm5-80gb");
  MemoryBoundCall large{.elements = 1e9, .bytes = 6e9, .written = 2e9};
  EXPECT_NEAR(model.price(large, h100, true).time.value(), 6e9 / h100.memory_bandwidth,
              .1 * 6e9 / h100.memory_bandwidth);
  EXPECT_EQ(model.price(large, h100, true).bound_by, Bound::Memory);
  MemoryBoundCall small{.elements = 100, .bytes = 600};
  EXPECT_LT(model.price(small, h100, false).time.value(), 5e-6);
  EXPECT_EQ(model.price(small, h100, false).bound_by, Bound::Launch);
}

TEST(MemoryBoundModel, more_work_is_never_faster_and_never_beats_the_bandwidth) {
  MemoryBoundModel model = MemoryBoundModel::shipped();
  for (const char* name : {"a100-sxm4-80gb", "rtx-4090", "b200-sxm-180gb"}) {
    MemoryBoundDevice d = device(name);
    Random random(Seed{2});
    for (int i = 0; i < 20000; ++i) {
      MemoryBoundCall call;
      call.kernel = static_cast<MemoryBoundClass>(random.index(kMemoryBoundClasses));
      call.row_blocks = random.index(2) == 0;
      call.rows = std::floor(std::exp2(random.uniform() * 16));
      call.elements = call.rows * std::floor(std::exp2(random.uniform() * 16));
      call.bytes = call.elements * (2 + 4 * random.uniform());
      for (bool cold : {false, true}) {
        double t = model.price(call, d, cold).time.value();
        MemoryBoundCall rows = call, columns = call;
        rows.rows *= 2;
        for (MemoryBoundCall* twice : {&rows, &columns}) {
          twice->elements *= 2;
          twice->bytes *= 2;
          EXPECT_GE(model.price(*twice, d, cold).time.value(), t);
        }
        if (cold) {
          EXPECT_GE(t, call.bytes / d.memory_peak);
        }
      }
    }
  }
}

TEST(MemoryBoundModel, every_vector_operator_is_priced_and_nothing_else) {
  MemoryBoundModel model = MemoryBoundModel::shipped();
  MemoryBoundDevice d = device("l40s");
  for (size_t k = 0; k < graph::kOperatorKinds; ++k) {
    graph::OperatorShape shape;
    shape.kind = static_cast<graph::OperatorKind>(k);
    shape.dims.fill(64);
    MemoryBoundCall call;
    bool vector = graph::traits(shape.kind).engine == graph::Engine::Vector;
    EXPECT_EQ(memory_bound_call(shape, call), vector);
    if (!vector) continue;
    double t = model.price(call, d, true).time.value();
    EXPECT_TRUE(std::isfinite(t) && t > 0) << graph::traits(shape.kind).name;
  }
  graph::OperatorShape absurd =
      graph::make(graph::OperatorKind::RmsNorm, graph::VectorSize{int64_t{1} << 60, int64_t{1} << 60, 1, 0},
                  DataType::BF16);
  MemoryBoundCall call;
  ASSERT_TRUE(memory_bound_call(absurd, call));
  EXPECT_TRUE(std::isfinite(model.price(call, d, true).time.value()));
}

TEST(MemoryBoundModel, weights_survive_their_file_and_damage_is_refused) {
  MemoryBoundModel model = MemoryBoundModel::shipped();
  EXPECT_EQ(MemoryBoundModel::from_json(model.to_json(), "w.json").to_json(), model.to_json());
  EXPECT_THROW(MemoryBoundModel::from_json("{}", "w.json"), InputError);
}

TEST(MeasuredMemoryBound, layer_pieces_of_a_gpu_left_out_are_predicted_within_a_fifth) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured rows";
  MemoryBoundData data = read_memory_bound_data(std::string(folder) + "/neusight/vidur_fp16_mlp.csv.zst", "");
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    MemoryBoundModel model(fit_memory_bound(data, gpu, {}));
    MemoryBoundDevice d = memory_bound_device(data.devices[gpu]);
    double error = 0, rows = 0;
    for (const MemoryBoundRow& row : data.rows) {
      if (row.gpu != gpu || row.seconds < 10e-6) continue;  // the file rounds to a microsecond
      error += std::abs(model.price(row.call, d, false).time.value() / row.seconds - 1);
      ++rows;
    }
    EXPECT_LT(error / rows, .2) << data.devices[gpu].name;
  }
}

}  // namespace
}  // namespace orrery::cost

// Seven networks from the ONNX project as training graphs, on cores of four shapes: what the toy graphs of
// cores_test.cc cannot show. Needs the folder wham/onnx of ORRERY_DATA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "orrery/base/storage.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/graph/readers/onnx.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/cores/mirror_conflicts.h"

namespace orrery::schedule {
namespace {

constexpr const char* kNetworks[] = {"bvlc_alexnet", "vgg19",        "resnet50",   "squeezenet",
                                     "inception_v1", "inception_v2", "densenet121"};

graph::OnnxOptions unfused(bool train) {
  graph::OnnxOptions options;
  options.train = train;
  options.fuse = false;
  return options;
}

std::string path_of(const std::string& network) {
  const char* data = std::getenv("ORRERY_DATA");
  return data ? std::string(data) + "/wham/onnx/light_" + network + ".onnx" : "";
}

TEST(RealGraphs, train_with_three_products_a_layer_but_no_gradient_of_the_image) {
  if (!file_exists(path_of(kNetworks[0]))) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/onnx";
  for (const std::string network : kNetworks) {
    graph::OnnxModel forward = graph::read_onnx(path_of(network), unfused(false));
    graph::OnnxModel trained = graph::read_onnx(path_of(network), unfused(true));
    double first = 0;
    for (const graph::Operator& op : forward.graph.operators) {
      first = graph::matrix_flops(forward.graph.kernels[op.kernel].parts[0]).value() / 2;
      if (first > 0) break;
    }
    EXPECT_EQ(graph::matrix_flops(trained.graph).value() / 2, 3 * forward.multiply_adds - first) << network;
  }
}

TEST(RealGraphs, mirror_conflicts_end_near_the_critical_path_in_at_most_twelve_schedules) {
  if (!file_exists(path_of(kNetworks[0]))) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/onnx";
  struct Shape {
    int columns, rows, lanes;
  };
  int most = 0;
  double worst = 1;
  for (const std::string network : kNetworks) {
    graph::OnnxOptions options;
    options.train = true;
    options.optimizer = graph::Optimizer::Sgd;
    graph::OnnxModel model = graph::read_onnx(path_of(network), options);
    for (Shape shape : {Shape{128, 128, 128}, Shape{64, 64, 64}, Shape{128, 128, 256}, Shape{32, 32, 32}}) {
      hardware::Device device = hardware::Catalogue::shipped().device("tpuv2");
      auto& chip = std::get<hardware::Accelerator>(device.architecture);
      chip.columns = shape.columns;
      chip.rows = shape.rows;
      chip.lanes = shape.lanes;
      std::vector<cost::OperatorCost> costs(model.graph.kernels.size());
      cost::AcceleratorModel().price(model.graph.kernels, device, {1, 1, 1}, costs);
      TaskGraph tasks = task_graph(model.graph, costs, chip.clock);
      ListScheduler scheduler(tasks);
      ConflictResolution found = resolve_mirror_conflicts(scheduler, [](CoreCounts) { return true; });
      const CoreStep& last = found.kept.back();
      double ratio =
          static_cast<double>(last.makespan) / static_cast<double>(scheduler.criticality().critical_path);
      EXPECT_LE(ratio, 1.01) << network << " " << shape.columns;
      EXPECT_LE(found.schedules(), 12) << network << " " << shape.columns;
      EXPECT_EQ(broken_schedule(tasks, scheduler.schedule(last.counts)), "");
      most = std::max(most, found.schedules());
      worst = std::max(worst, ratio);
      std::string key = network + "_" + std::to_string(shape.columns) + "_" + std::to_string(shape.lanes);
      double gain = static_cast<double>(found.kept.front().makespan) / static_cast<double>(last.makespan);
      RecordProperty(key, std::to_string(gain) + " with " + std::to_string(last.counts.matrix) + " matrix, " +
                              std::to_string(last.counts.vector) + " vector");
    }
  }
  RecordProperty("most_schedules", most);
  RecordProperty("worst_over_critical_path", std::to_string(worst));
}

}  // namespace
}  // namespace orrery::schedule

#include "orrery/cost/fit/neusight/train_neusight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/cost/fit/neusight/fit_baselines.h"
#include "orrery/cost/neusight/habitat_model.h"
#include "orrery/cost/neusight/linear_model.h"
#include "orrery/cost/neusight/neusight_model.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

constexpr const char* kHeader = "gpu,op,b,m,n,k,h,latency_ms,tile_a,tile_b\n";
constexpr const char* kSmall =  // with the form that leaves no operator free, however little the nets know
    "utilization: product\n"
    "training: {width: 8, hidden_layers: 2, epochs: 3, nvidia: {bmm: {batch: 8}, linear: {batch: 8}}}\n";
constexpr double kSecondsPerFlop = 1e-13, kSecondsPerByte = 2e-12, kCall = 3e-5;

std::string row(const std::string& gpu, const std::string& op, double b, double m, double n, double k,
                double h, double seconds, const std::string& tiles) {
  std::string text = gpu + "," + op;
  for (double x : {b, m, n, k, h}) text += "," + std::to_string(static_cast<int64_t>(x));
  return text + "," + std::to_string(1e3 * seconds) + "," + tiles + "\n";
}

// Rows on two NVIDIA GPUs and one of AMD whose times are straight lines in their work.
void write_rows(const TemporaryFolder& folder) {
  std::string nvidia = kHeader, amd = kHeader;
  for (int i = 1; i <= 40; ++i) {
    for (const char* gpu : {"V100-PCIe-32GB", "P100-PCIe-16GB", "MI100"}) {
      std::string& to = std::string(gpu) == "MI100" ? amd : nvidia;
      const double m = 64. * i, rows = 9000. + 100 * i;
      to += row(gpu, "bmm", 4, m, 100, m, 0, 8 * m * m * 100 * kSecondsPerFlop + kCall, "64,64");
      to += row(gpu, "linear", 1, m, 100, m, 0, 2 * m * m * 100 * kSecondsPerFlop + kCall, "128,32");
      to += row(gpu, "add", rows, 0, 0, 0, 1000, 12 * rows * 1000 * kSecondsPerByte + kCall, "512,0");
      to += row(gpu, "softmax", rows, 0, 0, 0, 1000, 8 * rows * 1000 * kSecondsPerByte + kCall, "1000,0");
      to += row(gpu, "ln", rows, 0, 0, 0, 1000, 8 * rows * 1000 * kSecondsPerByte + kCall, "1000,0");
    }
  }
  std::filesystem::create_directories(folder.file("neusight"));
  write_file(folder.file("neusight/kernels_train_nvidia.csv.zst"), nvidia);
  write_file(folder.file("neusight/kernels_amd.csv.zst"), amd);
  write_file(folder.file("small.yaml"), kSmall);
}

std::string train(const TemporaryFolder& folder, int threads, uint64_t seed = 1) {
  RunContext context;
  context.threads = threads;
  context.seed = Seed{seed};
  return train_neusight(
      {.measured = folder.path(), .preset = folder.file("small.yaml"), .output = folder.path()}, context);
}

TEST(TrainNeuSight, same_seed_same_file_on_one_thread_and_on_two) {
  const TemporaryFolder folder("train_neusight");
  write_rows(folder);
  const std::string one = read_file(train(folder, 1)), two = read_file(train(folder, 2));
  EXPECT_EQ(one, two);
  EXPECT_NE(one, read_file(train(folder, 2, 2)));
}

TEST(TrainNeuSight, the_file_says_what_it_saw_and_all_three_predictors_price_from_it) {
  const TemporaryFolder folder("train_neusight_models");
  write_rows(folder);
  auto weights = Weights::read(train(folder, 2));
  EXPECT_EQ(weights->provenance("neusight").rows, 3 * 5 * 40);
  EXPECT_EQ(weights->provenance("neusight").gpus.size(), 3u);
  EXPECT_NE(weights->provenance("neusight").command.find("--rows paper-split"), std::string::npos);

  const std::vector<graph::Kernel> kernels = {
      {{graph::make(graph::GemmSize{.m = 512, .n = 512, .k = 512}, DataType::FP32, DataType::FP32)}},
      {{graph::make(graph::OperatorKind::Copy, graph::VectorSize{.rows = 512, .columns = 512},
                    DataType::FP32)}},
      {{graph::make(graph::GemmSize{.m = 512, .n = 512, .k = 512}, DataType::BF16, DataType::BF16)}}};
  const NeuSightModel neusight(weights);
  const LinearModel linear(weights);
  const HabitatModel habitat(weights);
  for (const char* gpu : {"v100-pcie-32gb", "h100-sxm5-80gb", "mi100"}) {
    const hardware::Device device = hardware::Catalogue::shipped().device(gpu);
    for (const OperatorModel* model :
         {static_cast<const OperatorModel*>(&neusight), static_cast<const OperatorModel*>(&linear),
          static_cast<const OperatorModel*>(&habitat)}) {
      std::vector<OperatorCost> costs(kernels.size());
      model->price(kernels, device, {}, costs);
      EXPECT_TRUE(costs[0].priced && costs[1].priced);
      EXPECT_FALSE(costs[2].priced);  // 16 bits are not of these methods
      for (const OperatorCost& cost : costs) EXPECT_GT(cost.time.value(), 0);
    }
  }
}

TEST(TrainNeuSight, wrong_rows_are_refused_with_their_place_and_nothing_is_written) {
  const TemporaryFolder folder("train_neusight_wrong");
  write_rows(folder);
  write_file(folder.file("neusight/kernels_amd.csv.zst"),
             std::string(kHeader) + "MI100,conv,1,1,1,1,0,1,0,0\n");
  EXPECT_NE(error_of([&] { train(folder, 1); }).find("kernels_amd.csv.zst:2:7"), std::string::npos);
  EXPECT_FALSE(file_exists(folder.file("small-paper-split.json")));
}

TEST(FitLines, recover_the_lines_that_made_the_rows) {
  const TemporaryFolder folder("fit_lines");
  write_rows(folder);
  const NeuSightOptions options;
  const MeasuredOperators measured =
      read_measured_operators({folder.file("neusight/kernels_train_nvidia.csv.zst")}, options);
  for (const LinearModel::OfDevice& d : fit_lines(measured, neusight_tasks(measured, options))) {
    for (NeuSightClass c : {NeuSightClass::Bmm, NeuSightClass::Vector}) {
      const WorkLine line = d.lines[static_cast<size_t>(c)];
      const double per_unit = c == NeuSightClass::Bmm ? kSecondsPerFlop : kSecondsPerByte;
      EXPECT_NEAR(line.seconds_per_unit / per_unit, 1, 1e-4);
      EXPECT_NEAR(line.intercept / kCall, 1, 1e-2);
    }
  }
}

// The coefficients that NeuSight's authors fitted, on the GPUs with rows and on those without.
TEST(FitLines, agree_with_the_published_coefficients) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  const std::string folder = std::string(data) + "/neusight/";
  const NeuSightOptions options = neusight_preset("neusight-paper");
  const MeasuredOperators measured =
      read_measured_operators({folder + "kernels_train_nvidia.csv.zst"}, options);
  const std::string lines = LinearModel::to_json(fit_lines(measured, neusight_tasks(measured, options)));
  const LinearModel model(Weights::parse(
      "{\"format\":\"orrery-weights\",\"version\":1,\"sections\":{\"options\":{\"parameters\":" +
          to_json(options) + "},\"linear\":{\"parameters\":" + lines + "}}}",
      "lines.json"));
  const CsvTable published = read_csv(folder + "li_coefficients.csv");
  for (size_t i = 0; i < published.rows(); ++i) {
    const std::string op_class(published.cell(i, published.at("op_class")));
    const hardware::Device device =
        hardware::Catalogue::shipped().device(published.cell(i, published.at("gpu")));
    for (size_t c = 0; c < kNeuSightClasses; ++c) {
      const auto of_class = static_cast<NeuSightClass>(c);
      if (name(of_class) != (op_class == "elem" ? "vec" : op_class)) continue;
      const WorkLine line = model.line(of_class, neusight_device(device, options));
      EXPECT_NEAR(line.seconds_per_unit / published.number(i, published.at("seconds_per_unit")), 1, 1e-5);
      EXPECT_NEAR(line.intercept, published.number(i, published.at("intercept_s")), 1e-7);
    }
  }
}

}  // namespace
}  // namespace orrery::cost

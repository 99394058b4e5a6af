#include "orrery/schedule/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "orrery/base/storage.h"

namespace orrery::schedule {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<double> run(const std::string& rows) {
  std::vector<double> ms;
  CsvTable table("gpu,model,mode,seq,batch,option,dtype\n" + rows, "runs.csv");
  for (const KernelTimes& t : forecast_runs(table, Predictor(), {})) {
    EXPECT_LT(t.low, t.milliseconds);
    EXPECT_GT(t.high, t.milliseconds);
    ms.push_back(t.milliseconds);
  }
  return ms;
}

TEST(Runs, options_order_as_they_should) {
  std::vector<double> t =
      run("h100-sxm,gpt2-large,inference,1024,4,,\n"
          "h100-sxm,gpt2-large,inference,1024,4,fusion,\n"
          "h100-sxm,gpt2-large,inference,1024,4,,bf16\n"
          "h100-sxm,gpt2-large,training,1024,4,,\n"
          "h100-sxm,gpt2-large,training,1024,4,dp4,\n"
          "h100-sxm,gpt2-large,training,1024,4,tp4,\n"
          "h100-sxm,gpt2-large,training,1024,4,pp4_1,\n"
          "h100-sxm,gpt2-large,training,1024,4,pp4_4,\n");
  EXPECT_LT(t[1], t[0]);
  EXPECT_LT(t[2], t[0] / 2);
  EXPECT_GT(t[3], 2 * t[0]);
  EXPECT_LT(t[4], t[3] / 2);
  EXPECT_LT(t[5], t[3] / 2);
  EXPECT_GT(t[6], t[3]);  // one micro-batch passes all stages, and is sent between them
  EXPECT_LT(t[7], t[6]);
}

TEST(Runs, what_cannot_be_forecast_is_named_with_its_place) {
  auto fails = [](const std::string& row, const std::string& says) {
    EXPECT_THAT([&] { run(row); }, ThrowsMessage<InputError>(HasSubstr(says)));
  };
  fails("h100-sxm,gpt2-large,dreaming,1024,4,,\n", "runs.csv:2:21: mode 'dreaming'");
  fails("h100-sxm,gpt2-large,inference,1024,4,qp4,\n", "option 'qp4'");
  fails("h100-sxm,gpt2-large,training,1024,3,dp4,\n", "does not divide");
  fails("h100-sxm,no-such-model,inference,1024,3,,\n", "no-such-model");
  fails("h100-sxm,gpt2-large,inference,0,3,,\n", "column 'seq'");
}

// FP32 models of the study that these rows come from: a first figure, its reproduction has a validation of
// its own.
TEST(MeasuredRuns, whole_models_in_fp32_are_within_a_third) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  CsvTable table = read_csv(std::string(data) + "/neusight/end_to_end.csv");
  std::vector<KernelTimes> times = forecast_runs(table, Predictor(), {});
  double error = 0;
  int latency = table.at("latency_ms");
  for (size_t row = 0; row < table.rows(); ++row) {
    double ratio = times[row].milliseconds / table.number(row, latency);
    error += std::abs(ratio - 1);
    if (std::getenv("ORRERY_SHOW")) {
      std::printf("%-16s %-12s %-10s %5s %3s %-7s %9.1f %9.1f %+6.1f %%\n",
                  std::string(table.cell(row, 0)).c_str(), std::string(table.cell(row, 1)).c_str(),
                  std::string(table.cell(row, 2)).c_str(), std::string(table.cell(row, 3)).c_str(),
                  std::string(table.cell(row, 4)).c_str(), std::string(table.cell(row, 5)).c_str(),
                  table.number(row, latency), times[row].milliseconds, 100 * (ratio - 1));
    }
  }
  EXPECT_LT(error / static_cast<double>(table.rows()), 0.33);
}

}  // namespace
}  // namespace orrery::schedule

#include "orrery/schedule/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>

#include "orrery/base/storage.h"

namespace orrery::schedule {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<KernelTimes> price(const std::string& text, KernelLayout layout = KernelLayout::Auto,
                               int threads = 1) {
  RunContext context;
  context.threads = threads;
  return price_kernels(CsvTable(text, "k.csv"), layout, Predictor(), context);
}

TEST(Kernels, layouts_disagree_on_which_size_is_the_contraction) {
  const std::string rows = "gpu,op,dtype,b,m,n,k\nv100-pcie-32gb,gemm,fp32,1,4096,512,8192\n";
  double contracts_n = price(rows, KernelLayout::NeuSight)[0].milliseconds;  // 4096×8192 results, 512 deep
  double contracts_k =
      price("gpu,op,dtype,b,m,n,k\nv100-pcie-32gb,gemm,fp32,1,4096,8192,512\n", KernelLayout::Mnk)[0]
          .milliseconds;
  EXPECT_NEAR(contracts_n - contracts_k, 0.05, 0.02);  // equal but for the host's call
}

TEST(Kernels, layout_is_detected_where_the_columns_decide_it) {
  auto detect = [](const char* text) { return detect_layout(CsvTable(text, "k.csv")); };
  EXPECT_EQ(detect("gpu,op,b,m,n,k,h\nT4,bmm,1,2,3,4,0\n"), KernelLayout::NeuSight);
  EXPECT_EQ(detect("gpu,op,b,m,n,k\nT4,linear,1,2,3,4\n"), KernelLayout::NeuSight);
  EXPECT_EQ(detect("gpu,dtype,kernel,m,n,k\nL40S,fp8,x,2,3,4\n"), KernelLayout::Mnk);
  EXPECT_EQ(detect("gpu,phase,batch_size,input_length,step,num_heads,num_key_value_heads,head_dim\n"),
            KernelLayout::Mnk);
  EXPECT_THROW(detect("gpu,m,n,k\nL40S,2,3,4\n"), InputError);
}

TEST(Kernels, every_row_comes_back_in_order_with_its_unknown_columns) {
  const std::string text =
      "note,gpu,op,b,m,n,k,h,latency_ms\n"
      "\"a,b\",T4,linear,1,512,512,512,0,0.5\n"
      ",P4,add,4096,0,0,0,1024,0.4\n"
      "z,A100-PCIe-80GB,softmax,4096,0,0,0,1024,0.3\n";
  CsvTable table(text, "k.csv");
  std::string out = write_kernels(table, price_kernels(table, KernelLayout::Auto, Predictor(), {}));
  CsvTable again(out, "out.csv");
  ASSERT_EQ(again.rows(), 3u);
  EXPECT_EQ(again.cell(0, again.at("note")), "a,b");
  EXPECT_EQ(again.cell(2, again.at("measured_latency_ms")), "0.3");
  for (size_t row = 0; row < 3; ++row) {
    double low = again.number(row, again.at("low_ms")), ms = again.number(row, again.at("latency_ms")),
           high = again.number(row, again.at("high_ms"));
    EXPECT_GT(low, 0);
    EXPECT_LE(low, ms);
    EXPECT_LE(ms, high);
  }
}

TEST(Kernels, rows_of_each_kind_are_priced) {
  const std::string header =
      "gpu,op,dtype,b,m,n,k,h,phase,batch_size,input_length,step,num_heads,num_key_value_heads,head_dim,"
      "batch,in_channels,"
      "out_channels,kernel_size,input_size,stride,padding\n";
  std::vector<KernelTimes> times = price(header +
                                             "h100-sxm5-80gb,,bf16,,128,4096,4096,,,,,,,,,,,,,,,\n"
                                             "h100-sxm5-80gb,,,,,,,,context,4,1024,0,32,8,128,,,,,,,\n"
                                             "h100-sxm5-80gb,,fp8,,,,,,generation,64,1,4095,32,8,128,,,,,,,\n"
                                             "h100-sxm5-80gb,rms_norm,bf16,4096,,,,4096,,,,,,,,,,,,,,\n"
                                             "h100-sxm5-80gb,,fp32,,,,,,,,,,,,,8,64,128,3,56,1,1\n",
                                         KernelLayout::Mnk);
  for (const KernelTimes& t : times) EXPECT_GT(t.milliseconds, 0.001);
}

TEST(Kernels, what_cannot_be_priced_is_named_with_its_place) {
  auto fails = [](const std::string& text, const std::string& says) {
    EXPECT_THAT([&] { price(text); }, ThrowsMessage<InputError>(HasSubstr(says))) << text;
  };
  const std::string header = "gpu,op,b,m,n,k,h\n";
  fails(header + "T4,linear,1,2,3,4,0\nT4,conv3d,1,2,3,4,0\n", "k.csv:3:4");
  fails(header + "T4,linear,1,0,3,4,0\n", "k.csv:2:13");
  fails(header + "T4,linear,1,-2,3,4,0\n", "'-2' in column 'm'");
  fails(header + "T5,linear,1,2,3,4,0\n", "T5");
  fails("op,b,m,n,k,h\nlinear,1,2,3,4,0\n", "'gpu'");
  fails(
      "gpu,phase,batch_size,input_length,step,num_heads,num_key_value_heads,head_dim\nL40S,context,1,64,0,8,"
      "3,64\n",
      "does not divide");
}

TEST(Kernels, times_do_not_depend_on_the_number_of_threads) {
  std::string text = "gpu,op,b,m,n,k,h\n";
  for (int i = 1; i < 5000; ++i)
    text += "T4,bmm," + std::to_string(1 + i % 7) + "," + std::to_string(i) + ",64," + std::to_string(2 * i) +
            ",0\n";
  std::vector<KernelTimes> one = price(text, KernelLayout::Auto, 1), two = price(text, KernelLayout::Auto, 2);
  for (size_t i = 0; i < one.size(); ++i) ASSERT_EQ(one[i].milliseconds, two[i].milliseconds);
}

// What the laws of FP32 reach on GPUs that they never saw; `orrery validate` has the whole table.
TEST(MeasuredKernels, fp32_products_of_unseen_gpus_are_priced_within_a_third) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  CsvTable table = read_csv(std::string(data) + "/neusight/kernels_test_nvidia.csv.zst");
  std::vector<KernelTimes> times = price_kernels(table, KernelLayout::Auto, Predictor(), {});
  std::map<std::string, std::array<double, 2>> sums;
  int latency = table.at("latency_ms"), gpu = table.at("gpu"), op = table.at("op");
  for (size_t row = 0; row < table.rows(); ++row) {
    auto& s = sums[std::string(table.cell(row, gpu)) + " " + std::string(table.cell(row, op))];
    s[0] += 1;
    s[1] += std::abs(times[row].milliseconds / table.number(row, latency) - 1);
  }
  for (const char* key : {"A100-PCIe-80GB linear", "A100-PCIe-80GB bmm", "L4 linear", "L4 bmm",
                          "A100-PCIe-80GB add", "L4 softmax"}) {
    EXPECT_LT(sums[key][1] / sums[key][0], 0.33) << key;
  }
}

TEST(Kernels, on_an_accelerator_every_row_has_its_cycles) {
  CsvTable table(
      "m,n,k,batch,dtype,in_channels,out_channels,kernel_size,input_size,input_width,stride,padding,groups\n"
      "12544,64,147,1,bf16,,,,,,,,\n"
      "7,9,11,3,bf16,,,,,,,,\n"
      ",,,1,,32,32,3,10,12,1,0,32\n",
      "rows.csv");
  cost::AcceleratorOptions serial = cost::scalesim_options(cost::Dataflow::WeightStationary);
  std::vector<KernelTimes> times =
      price_kernels(table, KernelLayout::Mnk, Predictor("default", {}, serial), {}, "tpuv2-vpu");
  // Shares of two cores: 6272 rows; two of three products; 16 of 32 groups.
  EXPECT_EQ(times[0].cycles, 2 * (382 + 6272));
  EXPECT_EQ(times[1].cycles, 2 * (382 + 7));
  EXPECT_EQ(times[2].cycles, 16 * (382 + 80));
  std::string written = write_kernels(table, times);
  EXPECT_NE(written.find("latency_ms,low_ms,high_ms,cycles\n"), std::string::npos);
  EXPECT_NE(written.find(",13308\n"), std::string::npos) << written;
}

}  // namespace
}  // namespace orrery::schedule

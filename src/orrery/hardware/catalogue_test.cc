#include "orrery/hardware/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/hardware/prices.h"

namespace orrery::hardware {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::string& name) {
  return orrery::error_of([&] { Catalogue::shipped().resolve(name); });
}

TEST(Catalogue, names_as_people_drivers_and_clouds_write_them) {
  const std::pair<const char*, const char*> cases[] = {
      {"h100-sxm5-80gb", "h100-sxm5-80gb"},
      {"H100-SXM5-80GB", "h100-sxm5-80gb"},
      {"h100", "h100-sxm5-80gb"},
      {"H100 SXM", "h100-sxm5-80gb"},
      {"h100_sxm5", "h100-sxm5-80gb"},
      {"h100sxm", "h100-sxm5-80gb"},
      {"NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"},
      {"nvidia/h100 sxm5 80 GB", "h100-sxm5-80gb"},
      {"H100-80GB", "h100-sxm5-80gb"},
      {"NVIDIA H100 PCIe", "h100-pcie-80gb"},
      {"h100pcie", "h100-pcie-80gb"},
      {"H100 PCIe 80GB", "h100-pcie-80gb"},
      {"NVIDIA H100 NVL", "h100-nvl-94gb"},
      {"h100nvl", "h100-nvl-94gb"},
      {"NVIDIA H200", "h200-sxm-141gb"},
      {"h200-sxm", "h200-sxm-141gb"},
      {"H200 SXM5 141GB", "h200-sxm-141gb"},
      {"NVIDIA H200 NVL", "h200-nvl-141gb"},
      {"NVIDIA GH200 480GB", "gh200-96gb"},
      {"GH200 144GB HBM3e", "gh200-144gb"},
      {"NVIDIA H20", "h20-96gb"},
      {"H800", "h800-sxm5-80gb"},
      {"NVIDIA B200", "b200-sxm-180gb"},
      {"GB200", "gb200-186gb"},
      {"GB200-NVL72", "gb200-186gb"},
      {"b300", "b300-sxm-288gb"},
      {"GB300", "gb300-288gb"},
      {"a100", "a100-sxm4-80gb"},
      {"NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"},
      {"A100 80GB", "a100-sxm4-80gb"},
      {"a100-sxm", "a100-sxm4-80gb"},
      {"NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"},
      {"A100-40GB", "a100-sxm4-40gb"},
      {"NVIDIA A100-PCIE-40GB", "a100-pcie-40gb"},
      {"A100 40GB PCIe", "a100-pcie-40gb"},
      {"NVIDIA A100 80GB PCIe", "a100-pcie-80gb"},
      {"a100-pcie", "a100-pcie-80gb"},
      {"NVIDIA A40", "a40"},
      {"NVIDIA A10", "a10"},
      {"NVIDIA A10G", "a10g"},
      {"NVIDIA A30", "a30"},
      {"NVIDIA RTX A6000", "rtx-a6000"},
      {"A6000", "rtx-a6000"},
      {"RTX A6000 48GB", ""},
      {"NVIDIA GeForce RTX 3090", "rtx-3090"},
      {"GeForce RTX 4090", "rtx-4090"},
      {"rtx4090", "rtx-4090"},
      {"4090", "rtx-4090"},
      {"NVIDIA GeForce RTX 5090", "rtx-5090"},
      {"NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"},
      {"RTX 6000 Ada", "rtx-6000-ada"},
      {"NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000-blackwell-workstation"},
      {"NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-blackwell-server"},
      {"rtx pro 6000", "rtx-pro-6000-blackwell-workstation"},
      {"NVIDIA L40S", "l40s"},
      {"L40", "l40"},
      {"nvidia-l4", "l4"},
      {"Tesla T4", "t4"},
      {"Tesla V100-PCIE-32GB", "v100-pcie-32gb"},
      {"V100", "v100-pcie-32gb"},
      {"Tesla V100-SXM2-32GB", "v100-sxm2-32gb"},
      {"Tesla P100-PCIE-16GB", "p100-pcie-16gb"},
      {"P4", "p4"},
      {"AMD Instinct MI100", "mi100"},
      {"mi210", "mi210"},
      {"AMD Instinct MI250X", "mi250x"},
      {"MI250", "mi250"},
      {"AMD Instinct MI300X OAM", "mi300x"},
      {"mi300x", "mi300x"},
      {"MI325X", "mi325x"},
      {"Instinct MI355X", "mi355x"},
      {"MI350X", "mi350x"},
  };
  for (const auto& [name, expected] : cases) {
    if (!*expected) {
      EXPECT_NE(error_of(name), "") << name;
      continue;
    }
    ASSERT_EQ(error_of(name), "") << name;
    EXPECT_EQ(Catalogue::shipped().resolve(name).name, expected) << name;
  }
}

TEST(Catalogue, a_name_that_means_several_lists_them) {
  std::string error = error_of("rtx 6000");
  EXPECT_THAT(error, HasSubstr("rtx-6000-ada"));
  EXPECT_THAT(error, HasSubstr("rtx-pro-6000-blackwell-server"));
}

TEST(Catalogue, an_unknown_name_suggests_the_nearest) {
  EXPECT_THAT(error_of("h10"), HasSubstr("did you mean 'h100'"));
  EXPECT_THAT(error_of("mi300z"), HasSubstr("did you mean 'mi300"));
  EXPECT_THAT(error_of("rtx-4080-super"), HasSubstr("unknown GPU 'rtx-4080-super'"));
  EXPECT_NE(error_of(""), "");
  EXPECT_NE(error_of("nvidia"), "");
  EXPECT_NE(error_of(std::string(1 << 20, 'h')), "");
}

TEST(Catalogue, no_two_gpus_share_a_name) {
  std::map<std::vector<std::string>, std::string> seen;
  for (const CatalogueEntry& entry : Catalogue::shipped().entries()) {
    std::vector<std::string> names = entry.aliases;
    names.push_back(entry.name);
    for (const std::string& name : names) {
      std::vector<std::string> tokens = name_tokens(name);
      std::sort(tokens.begin(), tokens.end());
      auto [at, fresh] = seen.emplace(tokens, entry.name);
      EXPECT_TRUE(fresh || at->second == entry.name)
          << name << " means " << at->second << " and " << entry.name;
    }
  }
}

class ShippedGpu : public ::testing::TestWithParam<CatalogueEntry> {};

TEST_P(ShippedGpu, is_consistent) {
  Device device = Catalogue::shipped().device(GetParam().name);
  const Gpu& gpu = *device.gpu();
  EXPECT_EQ(device.name, GetParam().name);
  EXPECT_TRUE(device.notes.empty()) << device.notes.front();  // nothing left to the family
  EXPECT_GT(device.tdp.value(), 0);

  double lanes = 2.0 * gpu.lanes * gpu.multiprocessors * gpu.boost_clock.value();
  EXPECT_NEAR(gpu.peak_rate(DataType::FP32).value() / lanes, 1, 0.05);

  // Dense operations per clock and multiprocessor are a power of two, or three times one (Blackwell Ultra's
  // FP4).
  for (DataType type :
       {DataType::TF32, DataType::FP16, DataType::BF16, DataType::FP8, DataType::INT8, DataType::MXFP4}) {
    double per_clock = gpu.flops_per_clock(type);
    if (per_clock <= 0) continue;
    double power = std::exp2(std::round(std::log2(per_clock)));
    double three = 1.5 * std::exp2(std::round(std::log2(per_clock / 1.5)));
    EXPECT_TRUE(std::abs(per_clock / power - 1) < 0.04 || std::abs(per_clock / three - 1) < 0.04)
        << name(type) << " " << per_clock;
  }
  EXPECT_LE(gpu.achievable.memory_bandwidth, device.memory_bandwidth);
}

TEST_P(ShippedGpu, has_a_source_for_every_figure) {
  Node root = read_document(GetParam().path);
  Device device = Catalogue::shipped().device(GetParam().name);
  std::set<std::string> keys, used = {"datasheet", "architecture"};
  for (const Citation& citation : device.sources) {
    keys.insert(citation.key);
    EXPECT_GT(citation.text.size(), 20u) << citation.key;
  }
  EXPECT_TRUE(keys.count("datasheet"));     // of all that is not measured
  EXPECT_TRUE(keys.count("architecture"));  // shared memory, registers, compute capability
  for (const MeasuredFigure& figure : device.measured) {
    EXPECT_FALSE(figure.source.empty()) << figure.what;
    EXPECT_FALSE(figure.condition.empty()) << figure.what;
    used.insert(figure.source);
  }
  for (const std::string& key : keys) {
    bool cited_in_text =
        key == "ao-4002";  // backs three fields of the B200, whose data sheet gives two values
    EXPECT_TRUE(used.count(key) || cited_in_text) << key << " is cited by nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedGpu, ::testing::ValuesIn(Catalogue::shipped().entries()),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Catalogue, holds_every_gpu_of_the_measurements) {
  for (const char* gpu :
       {"P4", "P100-PCIe-16GB", "V100-PCIe-32GB", "T4", "A100-PCIe-40GB", "A100-PCIe-80GB", "A100-SXM4-40GB",
        "A100-SXM4-80GB", "L4", "H100-SXM5-80GB", "MI100", "MI210", "MI250", "L40S", "A40"}) {
    EXPECT_EQ(Catalogue::shipped().device(gpu).title, gpu);
  }
}

TEST(Catalogue, prices_are_medians_of_dated_lists) {
  std::set<std::string> names;
  for (const CatalogueEntry& entry : Catalogue::shipped().entries()) names.insert(entry.name);
  for (const ListPrice& price : read_list_prices(data_folder() + "/prices/gpus.yaml")) {
    EXPECT_TRUE(names.count(price.device)) << price.device;
    EXPECT_TRUE(price.rent.value() > 0 || price.purchase.value() > 0) << price.device;
  }
  Price h100 = price_of("h100-sxm5-80gb", data_folder());
  EXPECT_NEAR(h100.rent.value() * 3600, 4.14, 0.01);  // of 3.20, 3.99, 4.29 and 6.88
  EXPECT_THAT(h100.source, HasSubstr("median"));
  EXPECT_EQ(price_of("p4", data_folder()).rent.value(), 0);
  EnergyPrice energy = read_energy_price(data_folder() + "/prices/energy.yaml");
  EXPECT_GT(energy.per_kilowatt_hour.value(), 0.02);
  EXPECT_GE(energy.overhead, 1);
}

TEST(Catalogue, says_what_a_device_was_checked_on) {
  std::string folder = ::testing::TempDir() + "orrery_checked_on";
  std::filesystem::create_directories(folder + "/gpus");
  std::filesystem::create_directories(folder + "/accelerators");
  std::filesystem::create_directories(folder + "/weights");
  std::ofstream(folder + "/weights/provenance.yaml")
      << "gpus:\n  - {name: A100-SXM4-80GB, kernels: [bf16, fp16]}\n  - {name: rtx-4090, models: "
         "[llama-3.1-8b]}\n";
  Catalogue catalogue(folder);
  EXPECT_EQ(catalogue.checked_on("a100-sxm4-80gb").text(), "kernels");
  EXPECT_EQ(catalogue.checked_on("a100-sxm4-80gb").data_types, (std::vector<std::string>{"bf16", "fp16"}));
  EXPECT_EQ(catalogue.checked_on("rtx-4090").text(), "models");
  EXPECT_EQ(catalogue.checked_on("h100-sxm5-80gb").text(), "none");
}

}  // namespace
}  // namespace orrery::hardware

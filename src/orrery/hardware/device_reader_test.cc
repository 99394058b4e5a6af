#include "orrery/hardware/device_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/hardware/cluster_reader.h"

namespace orrery::hardware {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = read_families(data_folder() + "/families.yaml");
  return kFamilies;
}

Device read(const std::string& text) {
  return read_device(parse_yaml(text, "mine.yaml"), families());
}

// The first line of the error that a text brings; empty when it is read.
std::string error_of(const std::string& text) {
  const std::string what = orrery::error_of([&] { read(text); });
  return what.substr(0, what.find('\n'));
}

// A short file, with one line replaced or added: `field: value`.
std::string with(const std::string& field, const std::string& line) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"name", "name: My-Card"},
      {"architecture", "architecture: Ada"},
      {"memory", "memory: 48 GB"},
      {"memory_bandwidth", "memory_bandwidth: 864 GB/s"},
      {"l2_cache", "l2_cache: 96 MB"},
      {"streaming_multiprocessors", "streaming_multiprocessors: 142"},
      {"boost_clock", "boost_clock: 2520 MHz"}};
  std::string text;
  bool placed = false;
  for (auto& [key, value] : lines) {
    if (key == field) {
      value = line;
      placed = true;
    }
    if (!value.empty()) text += value + "\n";
  }
  return placed ? text : text + line + "\n";
}

TEST(DeviceReader, a_handful_of_fields_is_enough_and_the_rest_is_named) {
  Device device = read(
      "name: My-Card\narchitecture: Hopper\nmemory: 80 GB\nmemory_bandwidth: 3.35 TB/s\n"
      "streaming_multiprocessors: 132\nboost_clock: 1830 MHz\n");
  const Gpu& gpu = *device.gpu();
  EXPECT_EQ(device.name, "my-card");
  EXPECT_EQ(device.vendor, "NVIDIA");
  EXPECT_EQ(gpu.lanes, 128);
  EXPECT_DOUBLE_EQ(gpu.compute_capability, 9.0);
  EXPECT_NEAR(gpu.peak_rate(DataType::BF16).value(), 989.4e12, 0.1e12);
  EXPECT_NEAR(gpu.peak_rate(DataType::FP8Block).value(), 1978.9e12, 0.2e12);
  EXPECT_NEAR(gpu.peak_rate(DataType::FP32).value(), 61.8e12, 0.1e12);
  EXPECT_EQ(gpu.peak_rate(DataType::NVFP4).value(), 0);
  EXPECT_EQ(gpu.kernels.attention, "flash-attention-3");
  EXPECT_NEAR(gpu.l2.value(), 50e6, 0.1e6);
  std::string notes;
  for (const std::string& note : device.notes) notes += note + "\n";
  for (const char* what :
       {"l2_cache is", "lanes_per_sm is 128", "tdp is not given: no power cap", "peak rates", "hopper"}) {
    EXPECT_THAT(notes, HasSubstr(what));
  }
}

TEST(DeviceReader, the_clock_follows_from_the_fp32_peak) {
  Device device = read(with("boost_clock", "peak: {fp32: 91.6 TFLOP/s, bf16: 362 TFLOP/s}"));
  EXPECT_NEAR(device.gpu()->boost_clock.value(), 2520e6, 2e6);
  EXPECT_EQ(device.gpu()->peak_rate(DataType::FP8).value(), 0);  // rates are given, and fp8 is not among them
}

TEST(DeviceReader, memory_tells_the_two_amperes_apart) {
  std::string text = with("architecture", "architecture: Ampere");
  EXPECT_EQ(read(text + "memory_type: HBM2e\n").gpu()->lanes, 64);
  EXPECT_EQ(read(text + "memory_type: GDDR6\n").gpu()->lanes, 128);
}

TEST(DeviceReader, gigabytes_are_not_gibibytes) {
  EXPECT_EQ(read(with("memory", "memory: 48 GB")).memory.value(), 48e9);
  EXPECT_EQ(read(with("memory", "memory: 48 GiB")).memory.value(), 48.0 * 1073741824);
}

TEST(DeviceReader, wrong_input_is_one_line_with_its_place) {
  struct Case {
    std::string field, line, expected;
  };
  const Case cases[] = {
      {"memory", "memory: 48", "mine.yaml:3:9: '48' has no unit"},
      {"memory", "memory: 48 GHz", "mine.yaml:3:9: unit 'GHz' does not fit here; expected a size"},
      {"memory", "memory: 48 MB", "is not the memory of a GPU"},
      {"memory", "memory: -48 GB", "must be above zero"},
      {"memory", "memory: lots", "'lots' is not a number with a unit"},
      {"memory", "memory: [48 GB]", "expected a quantity, found a list"},
      {"memory", "", "field 'memory' is missing"},
      {"memory_bandwidth", "memory_bandwidth: 864 TB/s", "above 20 TB/s"},
      {"memory_bandwidth", "memory_bandwidth: 0 GB/s", "must be above zero"},
      {"memory_bandwidth", "memory_bandwidth: nan GB/s", "is not a number"},
      {"memory_bandwidth", "memory_bandwidth: 1e400 GB/s", "is not a number"},
      {"memory_bandwith", "memory_bandwith: 864 GB/s",
       "unknown field 'memory_bandwith'; did you mean 'memory_bandwidth'?"},
      {"l2_cache", "l2_cache: 96 GB", "MB is meant?"},
      {"last_level_cache", "last_level_cache: 256 GB", "MB is meant?"},
      {"streaming_multiprocessors", "streaming_multiprocessors: 0", "out of range"},
      {"streaming_multiprocessors", "streaming_multiprocessors: 142.5", "expected a whole number"},
      {"streaming_multiprocessors", "streaming_multiprocessors: many", "expected a number"},
      {"architecture", "architecture: Adda", "unknown architecture 'Adda'; did you mean 'Ada'?"},
      {"architecture", "architecture: ada", "did you mean 'Ada'?"},
      {"boost_clock", "boost_clock: 2520 W", "unit 'W' does not fit here; expected a clock"},
      {"boost_clock", "", "field 'boost_clock' is missing; add it, or peak.fp32"},
      {"tensor_clock", "tensor_clock: 3000 MHz", "tensor_clock is above boost_clock"},
      {"peak", "peak: {fp32: 183 TFLOP/s}", "2.00 times 2 x 128 lanes x 142 multiprocessors x 2.52 GHz"},
      {"peak", "peak: {fp32: 91.6 TFLOP/s, fp8: 1466 TFLOP/s}", "2.0 times the dense rate of a Ada part"},
      {"peak", "peak: {bfloat: 362 TFLOP/s}", "unknown field 'bfloat'"},
      {"peak", "peak: {bf16: 362 GB/s}", "expected a rate such as"},
      {"peak", "peak: 362 TFLOP/s", "expected a map"},
      {"tdp", "tdp: 350", "has no unit; expected a power"},
      {"tdp", "tdp: 0 W", "must be above zero"},
      {"idle_power", "tdp: 350 W\nidle_power: 400 W", "idle_power is not below tdp"},
      {"idle_power", "idle_power: {value: 40 W, source: blog}", "'blog' is not among 'sources'"},
      {"idle_power", "idle_power: {watts: 40 W}", "unknown field 'watts'"},
      {"process", "process: 4 mm", "unit 'mm' does not fit here"},
      {"link", "link: {name: NVLink, per_direction: 450 GB/s}", "field 'peers' is missing"},
      {"link", "link: {name: NVLink, per_direction: 450 GB/s, peers: 1}", "out of range"},
      {"link", "link: {name: NVLink, per_direction: 450 GB, peers: 8}", "expected a bandwidth"},
      {"achievable", "achievable: {memory_bandwidth: 900 GB/s}",
       "900 GB/s is above memory_bandwidth of 864 GB/s"},
      {"achievable", "achievable: {l2_bandwidth: 90 GB/s}", "below memory_bandwidth"},
      {"achievable", "achievable: {bf16: 600 TFLOP/s}", "is one of them with sparsity?"},
      {"achievable", "achievable: {fp4: 600 TFLOP/s}", "peak has no fp4"},
      {"achievable", "achievable: {bf16: {value: 250 TFLOP/s, source: blog}}",
       "'blog' is not among 'sources'"},
      {"achievable", "achievable: {bf16: {source: blog}}", "field 'value' is missing"},
      {"kernels", "kernels: {gem: x}", "unknown field 'gem'"},
      {"name", "name:", "field 'name' is missing"},
      {"aliases", "aliases: card", "expected a list"},
  };
  for (const Case& wrong : cases) {
    std::string error = error_of(with(wrong.field, wrong.line));
    EXPECT_THAT(error, HasSubstr(wrong.expected)) << wrong.line;
    EXPECT_THAT(error, StartsWith("mine.yaml:")) << wrong.line;
  }
}

TEST(DeviceReader, hostile_files_are_refused) {
  for (const char* text :
       {"", "[]", "42", "~", "name: {}", "a: &x [*x]", "name: x\nname: y", "\t", "{", "- - - -"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
  EXPECT_NE(error_of(std::string(100000, '[')), "");
}

// The example under `heading`.
std::string documented_example(const std::string& heading) {
  std::string page = read_file(ORRERY_SOURCE_DIR "/docs/formats.md");
  size_t begin = page.find("```yaml\n", page.find("\n## " + heading + "\n")) + 8;
  return page.substr(begin, page.find("```", begin) - begin);
}

TEST(DeviceReader, the_documented_examples_load) {
  Device device = read(documented_example("A device file"));
  EXPECT_EQ(device.name, "my-hopper");
  EXPECT_FALSE(device.notes.empty());
  Node rack = parse_yaml(documented_example("A cluster file"), "formats.md");
  Cluster cluster = read_cluster(rack, Catalogue::shipped());
  EXPECT_EQ(cluster.ranks(), 16);
}

}  // namespace
}  // namespace orrery::hardware

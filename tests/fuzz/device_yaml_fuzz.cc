// rooms: hardware
// Whatever the bytes, reading a device or a cluster either succeeds with sound numbers or throws InputError.
//   build/fuzz/bin/device_yaml_fuzz new-corpus/ data/gpus/ data/clusters/ -dict=tests/fuzz/device_yaml.dict
//   -max_total_time=600
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "orrery/base/document.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/hardware/cluster_reader.h"
#include "orrery/hardware/device_reader.h"
#include "orrery/hardware/family.h"

using namespace orrery;

namespace {

void require(bool sound) {
  if (!sound) std::abort();
}

void check(const hardware::Device& device) {
  require(!device.name.empty());
  require(std::isfinite(device.memory_bandwidth.value()) && device.memory_bandwidth.value() > 0);
  require(device.memory.value() > 0);
  const auto* gpu = std::get_if<hardware::Gpu>(&device.architecture);
  if (!gpu) return;
  require(gpu->multiprocessors > 0 && gpu->lanes > 0);
  require(std::isfinite(gpu->boost_clock.value()) && gpu->boost_clock.value() > 0);
  double fp32 = gpu->peak_rate(DataType::FP32).value();
  require(std::isfinite(fp32) && fp32 > 0);
}

template <typename Read>
void attempt(Read read) {
  try {
    read();
  } catch (const InputError& error) {
    require(error.what()[0] != '\0');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<hardware::Family> families =
      hardware::read_families(ORRERY_SOURCE_DIR "/data/families.yaml");
  static const hardware::Catalogue& catalogue = hardware::Catalogue::shipped();
  std::string text(reinterpret_cast<const char*>(data), size);
  attempt([&] {
    Node root = parse_yaml(text, "fuzz.yaml");
    attempt([&] { check(hardware::read_device(root, families)); });
    attempt([&] {
      hardware::Cluster cluster = hardware::read_cluster(root, catalogue);
      require(!cluster.name.empty());
    });
  });
  return 0;
}

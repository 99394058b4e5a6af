#include "orrery/hardware/device_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::hardware {
namespace {

// Bounds that no part comes near: a figure beyond is a unit mistake.
constexpr double kLargestBandwidth = 20e12;
constexpr double kLargestL2 = 1e9;
constexpr double kSmallestMemory = 1e9, kLargestMemory = 2e12;
constexpr double kFp32Slack = 1.05;
constexpr double kSparseRatio = 1.9;  // a rate this far above the family's is the one with 2:4 sparsity
constexpr double kMeasuredSlack =
    1.3;  // cards run above the clock of their rating, by up to 22 % in the shipped files

double positive(const Node& node, Unit unit) {
  double value = node.as_quantity(unit);
  if (!(value > 0)) node.fail(fmt::format("'{}' must be above zero", printable(node.text())));
  return value;
}

std::string join_keys(const std::vector<std::string_view>& keys) {
  std::vector<std::string> words(keys.begin(), keys.end());
  return join(words, ", ");
}

class Reader {
 public:
  Reader(const Node& root, const std::vector<Family>& families) : root_(root), families_(families) {}

  Device read() {
    root_.allow_only({"name",
                      "aliases",
                      "vendor",
                      "architecture",
                      "compute_capability",
                      "devices_per_package",
                      "memory",
                      "memory_type",
                      "memory_bandwidth",
                      "l2_cache",
                      "last_level_cache",
                      "streaming_multiprocessors",
                      "lanes_per_sm",
                      "shared_memory_per_sm",
                      "registers_per_sm",
                      "boost_clock",
                      "tensor_clock",
                      "peak",
                      "tdp",
                      "idle_power",
                      "process",
                      "link",
                      "pcie",
                      "achievable",
                      "kernels",
                      "sources"});
    read_identity();
    read_memory();
    read_multiprocessors();
    read_peaks();
    read_sources();
    read_power_and_links();
    read_achievable();
    read_kernels();
    device_.architecture = gpu_;
    return std::move(device_);
  }

 private:
  void derived(const std::string& what) {
    device_.notes.push_back(fmt::format("{}, from the {} family", what, family_->name));
  }

  void read_identity() {
    device_.title = root_.at("name").text();
    if (device_.title.empty()) root_.at("name").fail("expected the GPU's name");
    device_.name = lower_case(device_.title);
    if (const Node* aliases = root_.find("aliases")) {
      for (const Node& alias : aliases->items()) {
        if (alias.text().empty()) alias.fail("expected a name");
        device_.aliases.push_back(lower_case(alias.text()));
      }
    }
    const Node& architecture = root_.at("architecture");
    auto parsed = parse_architecture(architecture.as_string());
    if (!parsed) {
      std::vector<std::string_view> known;
      for (size_t i = 0; i < kArchitectures; ++i) known.push_back(name(static_cast<Architecture>(i)));
      architecture.fail(fmt::format("unknown architecture '{}'{}", printable(architecture.text()),
                                    did_you_mean(architecture.text(), known)));
    }
    gpu_.architecture = *parsed;
    const Node* capability = root_.find("compute_capability");
    const Node* memory_type = root_.find("memory_type");
    if (memory_type) device_.memory_type = memory_type->as_string();
    double given = capability ? capability->as_number(1, 99) : 0;
    family_ = &family_of(families_, gpu_.architecture, given, device_.memory_type);
    gpu_.compute_capability = given > 0 ? given : family_->compute_capability;
    const Node* vendor = root_.find("vendor");
    device_.vendor = vendor ? vendor->as_string() : family_->compute_capability > 0 ? "NVIDIA" : "AMD";
    if (const Node* devices = root_.find("devices_per_package")) devices->as_integer(1, 16);
  }

  void read_memory() {
    const Node& memory = root_.at("memory");
    device_.memory = Bytes(positive(memory, Unit::Bytes));
    if (device_.memory.value() < kSmallestMemory || device_.memory.value() > kLargestMemory) {
      memory.fail(fmt::format("'{}' is not the memory of a GPU; expected 1 GB to 2 TB: is the unit right?",
                              memory.text()));
    }
    const Node& bandwidth = root_.at("memory_bandwidth");
    device_.memory_bandwidth = BytesPerSecond(positive(bandwidth, Unit::BytesPerSecond));
    if (device_.memory_bandwidth.value() > kLargestBandwidth) {
      bandwidth.fail(
          fmt::format("'{}' is above 20 TB/s, which no GPU has: is the unit right?", bandwidth.text()));
    }
  }

  Bytes cache(const Node& node) {
    Bytes size(positive(node, Unit::Bytes));
    if (size.value() > kLargestL2)
      node.fail(fmt::format("a cache of '{}' is above 1 GB: MB is meant?", node.text()));
    return size;
  }

  void read_multiprocessors() {
    gpu_.multiprocessors = static_cast<int>(root_.at("streaming_multiprocessors").as_integer(1, 100000));
    gpu_.lanes = family_->lanes;
    if (const Node* lanes = root_.find("lanes_per_sm")) {
      gpu_.lanes = static_cast<int>(lanes->as_integer(1, 1024));
    } else {
      derived(fmt::format("lanes_per_sm is {}", gpu_.lanes));
    }
    gpu_.shared_memory = family_->shared_memory;
    gpu_.registers = family_->registers;
    if (const Node* shared = root_.find("shared_memory_per_sm"))
      gpu_.shared_memory = Bytes(positive(*shared, Unit::Bytes));
    if (const Node* registers = root_.find("registers_per_sm"))
      gpu_.registers = Bytes(positive(*registers, Unit::Bytes));
    if (const Node* l2 = root_.find("l2_cache")) {
      gpu_.l2 = cache(*l2);
    } else {
      gpu_.l2 = family_->l2_per_multiprocessor * gpu_.multiprocessors;
      derived(fmt::format("l2_cache is {}", format(gpu_.l2)));
    }
    if (const Node* last = root_.find("last_level_cache")) gpu_.l2 = std::max(gpu_.l2, cache(*last));
    gpu_.process_nm = family_->process_nm;
    if (const Node* process = root_.find("process")) {
      gpu_.process_nm = positive(*process, Unit::Metres) * 1e9;
      if (gpu_.process_nm > 1000) process->fail("a process above 1000 nm: is the unit right?");
    }
  }

  void read_peaks() {
    const Node* peaks = root_.find("peak");
    const Node* fp32 = peaks ? peaks->find("fp32") : nullptr;
    double lane_flops = 2.0 * gpu_.lanes * gpu_.multiprocessors;
    if (const Node* clock = root_.find("boost_clock")) {
      gpu_.boost_clock = Hertz(positive(*clock, Unit::Hertz));
    } else if (fp32) {
      gpu_.boost_clock = Hertz(positive(*fp32, Unit::FlopsPerSecond) / lane_flops);
      device_.notes.push_back(fmt::format("boost_clock is {}, from peak.fp32",
                                          format_quantity(gpu_.boost_clock.value(), Unit::Hertz)));
    } else {
      root_.fail("field 'boost_clock' is missing; add it, or peak.fp32, from which it follows");
    }
    const Node* tensor = root_.find("tensor_clock");
    gpu_.tensor_clock = tensor ? Hertz(positive(*tensor, Unit::Hertz)) : gpu_.boost_clock;
    if (tensor && gpu_.tensor_clock > gpu_.boost_clock) tensor->fail("tensor_clock is above boost_clock");

    double fp32_limit = lane_flops * gpu_.boost_clock.value();
    if (fp32) {
      double rate = positive(*fp32, Unit::FlopsPerSecond);
      if (rate > fp32_limit * kFp32Slack) {
        fp32->fail(fmt::format(
            "{} is {:.2f} times 2 x {} lanes x {} multiprocessors x {} = {}; a rate of the matrix units "
            "(tf32, fp32_matrix) or one with sparsity?",
            fp32->text(), rate / fp32_limit, gpu_.lanes, gpu_.multiprocessors,
            format_quantity(gpu_.boost_clock.value(), Unit::Hertz), format(FlopsPerSecond(fp32_limit))));
      }
      set_peak(DataType::FP32, rate);
    } else {
      set_peak(DataType::FP32, fp32_limit);
      device_.notes.push_back(
          fmt::format("peak.fp32 is {}, from lanes and clock", format(FlopsPerSecond(fp32_limit))));
    }
    if (peaks) {
      check_rate_keys(*peaks);
      for (const auto& [key, value] : peaks->entries()) {
        if (key != "fp32" && !value.is_null()) read_peak(key, value);
      }
    }
    if (peaks && peaks->entries().size() > (fp32 ? 1u : 0u)) return;
    // Nothing but FP32 is given: the matrix rates follow from the family.
    for (size_t i = 0; i < kDataTypes; ++i) {
      if (family_->flops_per_clock[i] > 0)
        set_peak(static_cast<DataType>(i), family_rate(family_->flops_per_clock[i]));
    }
    gpu_.matrix_fp32 = FlopsPerSecond(family_rate(family_->matrix_fp32_per_clock));
    derived("peak rates of the matrix units are derived; GeForce, L40 and A10G have half of the 16-bit ones");
  }

  double family_rate(double flops_per_clock) const {
    return flops_per_clock * gpu_.multiprocessors * gpu_.tensor_clock.value();
  }
  void set_peak(DataType type, double rate) { gpu_.peak[static_cast<size_t>(type)] = FlopsPerSecond(rate); }

  void read_peak(const std::string& key, const Node& value) {
    double rate = positive(value, Unit::FlopsPerSecond);
    double of_family = key == "fp32_matrix" ? family_->matrix_fp32_per_clock : 0;
    for (DataType type : types_of_rate(key, gpu_.architecture)) {
      set_peak(type, rate);
      of_family = family_->flops_per_clock[static_cast<size_t>(type)];
    }
    if (key == "fp32_matrix") gpu_.matrix_fp32 = FlopsPerSecond(rate);
    if (of_family > 0 && rate > kSparseRatio * family_rate(of_family)) {
      value.fail(
          fmt::format("{} is {:.1f} times the dense rate of a {} part with {} multiprocessors ({}); figures "
                      "with sparsity "
                      "do not belong here: give the dense one",
                      value.text(), rate / family_rate(of_family), name(gpu_.architecture),
                      gpu_.multiprocessors, format(FlopsPerSecond(family_rate(of_family)))));
    }
  }

  void check_rate_keys(const Node& map, std::initializer_list<std::string_view> more = {}) {
    std::vector<std::string_view> known = rate_keys();
    known.insert(known.end(), more.begin(), more.end());
    for (const auto& [key, value] : map.entries()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string guess = did_you_mean(key, known);
      value.fail(fmt::format("unknown field '{}'{}", printable(key),
                             guess.empty() ? "; known are " + join_keys(known) : guess));
    }
  }

  void read_power_and_links() {
    if (const Node* tdp = root_.find("tdp")) {
      device_.tdp = Watts(positive(*tdp, Unit::Watts));
    } else {
      device_.notes.push_back("tdp is not given: no power cap is applied");
    }
    if (const Node* idle = root_.find("idle_power")) {
      const Node& value = measured("idle_power", *idle);
      device_.idle = Watts(positive(value, Unit::Watts));
      if (device_.tdp.value() > 0 && device_.idle >= device_.tdp) value.fail("idle_power is not below tdp");
    }
    gpu_.pcie = family_->pcie;
    if (const Node* pcie = root_.find("pcie")) {
      gpu_.pcie = BytesPerSecond(positive(*pcie, Unit::BytesPerSecond));
    } else {
      derived(fmt::format("pcie is {} per direction", format(gpu_.pcie)));
    }
    if (const Node* link = root_.find("link")) {
      link->allow_only({"name", "per_direction", "peers", "latency"});
      PeerLink peer;
      peer.name = link->at("name").as_string();
      peer.per_direction = BytesPerSecond(positive(link->at("per_direction"), Unit::BytesPerSecond));
      if (peer.per_direction.value() > kLargestBandwidth)
        link->at("per_direction").fail("above 20 TB/s: is the unit right?");
      peer.peers = static_cast<int>(link->at("peers").as_integer(2, 100000));
      if (const Node* latency = link->find("latency"))
        peer.latency = Seconds(positive(*latency, Unit::Seconds));
      gpu_.link = peer;
    }
  }

  void read_sources() {
    const Node* sources = root_.find("sources");
    if (!sources) return;
    for (const auto& [key, value] : sources->entries()) device_.sources.push_back({key, value.as_string()});
  }

  void read_achievable() {
    const Node* achievable = root_.find("achievable");
    if (!achievable) return;
    check_rate_keys(*achievable,
                    {"memory_bandwidth", "memory_read_bandwidth", "l2_bandwidth", "link_bandwidth"});
    for (const auto& [key, entry] : achievable->entries()) {
      const Node& value = measured(key, entry);
      if (key.ends_with("_bandwidth")) {
        set_achievable_bandwidth(key, value);
      } else {
        set_achievable_rate(key, value);
      }
    }
  }

  // A measured figure is a plain value, or {value, source, condition}; it is listed among the device's.
  const Node& measured(const std::string& what, const Node& entry) {
    const Node* value = &entry;
    MeasuredFigure figure{what, "", "", ""};
    if (entry.is_map()) {
      entry.allow_only({"value", "source", "condition"});
      value = &entry.at("value");
      if (const Node* source = entry.find("source")) figure.source = known_source(*source);
      if (const Node* condition = entry.find("condition")) figure.condition = condition->as_string();
    }
    figure.value = value->text();
    device_.measured.push_back(figure);
    return *value;
  }

  std::string known_source(const Node& source) {
    std::vector<std::string> keys;
    for (const Citation& citation : device_.sources) keys.push_back(citation.key);
    if (std::find(keys.begin(), keys.end(), source.as_string()) == keys.end()) {
      source.fail(fmt::format("'{}' is not among 'sources'{}", printable(source.text()),
                              did_you_mean(source.text(), keys)));
    }
    return source.text();
  }

  void set_achievable_bandwidth(const std::string& key, const Node& value) {
    BytesPerSecond bandwidth(positive(value, Unit::BytesPerSecond));
    auto at_most = [&](BytesPerSecond limit, const char* what) {
      if (bandwidth > limit)
        value.fail(fmt::format("{} is above {} of {}", value.text(), what, format(limit)));
    };
    if (key == "memory_bandwidth") {
      at_most(device_.memory_bandwidth, "memory_bandwidth");
      gpu_.achievable.memory_bandwidth = bandwidth;
    } else if (key == "memory_read_bandwidth") {
      at_most(device_.memory_bandwidth, "memory_bandwidth");
      gpu_.achievable.memory_read_bandwidth = bandwidth;
    } else if (key == "l2_bandwidth") {
      if (bandwidth < device_.memory_bandwidth)
        value.fail(fmt::format("{} is below memory_bandwidth", value.text()));
      gpu_.achievable.l2_bandwidth = bandwidth;
    } else {
      // An all-reduce in the switch moves more than the ports carry: its bus bandwidth may exceed them by a
      // little.
      at_most((gpu_.link ? gpu_.link->per_direction : gpu_.pcie) * kMeasuredSlack,
              "1.3 times the link's bandwidth");
      gpu_.achievable.link_bandwidth = bandwidth;
    }
  }

  void set_achievable_rate(const std::string& key, const Node& value) {
    double rate = positive(value, Unit::FlopsPerSecond);
    double peak = key == "fp32_matrix" ? gpu_.matrix_fp32.value() : 0;
    std::vector<DataType> types = types_of_rate(key, gpu_.architecture);
    for (DataType type : types) peak = gpu_.peak_rate(type).value();
    if (!(peak > 0)) value.fail(fmt::format("peak has no {}, so that none can be achieved", key));
    if (rate > peak * kMeasuredSlack) {
      value.fail(fmt::format("{} is {:.2f} times the peak of {}: is one of them with sparsity?", value.text(),
                             rate / peak, format(FlopsPerSecond(peak))));
    }
    for (DataType type : types) gpu_.achievable.rate[static_cast<size_t>(type)] = FlopsPerSecond(rate);
  }

  void read_kernels() {
    gpu_.kernels = family_->kernels;
    const Node* kernels = root_.find("kernels");
    if (!kernels) return;
    kernels->allow_only({"gemm", "attention", "fp8"});
    if (const Node* gemm = kernels->find("gemm")) gpu_.kernels.gemm = gemm->as_string();
    if (const Node* attention = kernels->find("attention")) gpu_.kernels.attention = attention->as_string();
    if (const Node* fp8 = kernels->find("fp8")) gpu_.kernels.fp8 = fp8->as_string();
  }

  const Node& root_;
  const std::vector<Family>& families_;
  const Family* family_ = nullptr;
  Device device_;
  Gpu gpu_;
};

}  // namespace

Device read_device(const Node& root, const std::vector<Family>& families) {
  return Reader(root, families).read();
}

Device read_device(const std::string& path) {
  return read_device(read_document(path), read_families(data_folder() + "/families.yaml"));
}

}  // namespace orrery::hardware

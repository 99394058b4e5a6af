#include "orrery/schedule/latency.h"

#include <gtest/gtest.h>

#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::schedule {
namespace {

using graph::Mode;

LatencyRequest request(const std::string& model, std::initializer_list<const char*> devices) {
  LatencyRequest r;
  r.model = graph::find_model(model);
  for (const char* name : devices) r.devices.push_back(hardware::Catalogue::shipped().device(name));
  return r;
}

double sum_of_classes(const PhaseForecast& phase) {
  double total = 0;
  for (const ClassTime& c : phase.classes) total += c.time.value();
  return total;
}

TEST(Latency, classes_of_a_phase_add_up_to_its_time) {
  LatencyRequest r = request("llama-3.1-8b", {"h100-sxm", "rtx-4090"});
  for (const DeviceAnswer& a : predict_latency(r, {}).devices) {
    for (const auto* phase : {&a.prefill, &a.decode}) {
      EXPECT_NEAR(sum_of_classes(**phase), (*phase)->time.value.value(), 1e-9);
      double share = 0;
      for (const ClassTime& c : (*phase)->classes) share += c.share;
      EXPECT_NEAR(share, 1, 1e-9);
      EXPECT_NEAR((*phase)->device_busy.value() + (*phase)->overhead.value(), (*phase)->time.value.value(),
                  1e-9);
    }
  }
}

TEST(Latency, more_batch_or_context_never_makes_a_step_faster) {
  LatencyRequest r = request("llama-3.1-8b", {"h100-sxm", "l40s", "rtx-4090", "a100-sxm4-80gb", "mi300x"});
  for (const DeviceAnswer& a : predict_latency(r, {}).devices) {
    for (const auto* curve : {&a.over_batch, &a.over_context}) {
      ASSERT_GE(curve->size(), 3u);
      for (size_t i = 1; i < curve->size(); ++i) {
        EXPECT_GT((*curve)[i].x, (*curve)[i - 1].x);
        // A law's choice of tiles may gain a little with a fuller tile; a doubling of work never pays.
        EXPECT_GE((*curve)[i].time.value.value(), (*curve)[i - 1].time.value.value() * 0.97)
            << a.device.name << " at " << (*curve)[i].x;
      }
    }
  }
}

TEST(Latency, twice_the_bandwidth_at_most_halves_a_step) {
  LatencyRequest r = request("llama-3.1-8b", {"h100-sxm"});
  r.devices.push_back(r.devices[0]);
  hardware::Device& fast = r.devices[1];
  fast.memory_bandwidth *= 2;
  auto& gpu = std::get<hardware::Gpu>(fast.architecture);
  gpu.achievable.memory_bandwidth *= 2;
  gpu.achievable.memory_read_bandwidth *= 2;
  r.mode = Mode::Decode;
  for (int64_t batch : {1, 16, 64}) {
    r.batch = batch;
    LatencyReport report = predict_latency(r, {});
    double slow = report.devices[0].tpot.value.value(), quick = report.devices[1].tpot.value.value();
    EXPECT_LT(quick, slow);
    EXPECT_GE(quick, slow / 2);
  }
}

TEST(Latency, a_wider_tensor_parallel_group_holds_less_each_and_talks) {
  LatencyRequest r = request("llama-3.1-70b", {"h100-sxm"});
  DeviceAnswer one = predict_latency(r, {}).devices[0];
  EXPECT_FALSE(one.memory.fits);
  r.parallel.tensor = 4;
  DeviceAnswer four = predict_latency(r, {}).devices[0];
  r.parallel.tensor = 8;
  DeviceAnswer eight = predict_latency(r, {}).devices[0];
  EXPECT_TRUE(four.memory.fits);
  EXPECT_GT(eight.batch, four.batch / 2);
  EXPECT_LT(eight.ttft.value, four.ttft.value);
  EXPECT_GT(eight.ttft.value.value(), four.ttft.value.value() / 2);
  auto talks = [](const DeviceAnswer& a) {
    for (const ClassTime& c : a.decode->classes) {
      if (c.name == "collectives") return c.time.value();
    }
    return 0.0;
  };
  EXPECT_GT(talks(four), 0);
}

TEST(Latency, what_does_not_fit_says_what_would) {
  LatencyRequest r = request("gpt3-175b", {"h200-sxm"});
  DeviceAnswer a = predict_latency(r, {}).devices[0];
  EXPECT_FALSE(a.memory.fits);
  EXPECT_GT(a.memory.needed, a.memory.available);
  EXPECT_EQ(a.memory.smallest_devices, 3);
  EXPECT_EQ(a.memory.smallest_tensor_parallel, 4);
}

TEST(Latency, nonsense_is_refused_and_long_sequences_are_warned_of) {
  LatencyRequest r = request("gpt2", {"h100-sxm"});
  r.prompt = 5000;
  EXPECT_FALSE(predict_latency(r, {}).warnings.empty());
  r.prompt = -1;
  EXPECT_THROW(predict_latency(r, {}), InputError);
  r.prompt = 64;
  r.predictor = "oracle";
  EXPECT_THROW(predict_latency(r, {}), InputError);
  r.predictor = "default";
  r.devices.clear();
  EXPECT_THROW(predict_latency(r, {}), InputError);
}

TEST(Latency, the_roofline_is_a_bound_for_large_work) {
  LatencyRequest r = request("llama-3.1-8b", {"h100-sxm", "l40s", "b200-sxm", "mi300x"});
  LatencyReport real = predict_latency(r, {});
  r.predictor = "roofline";
  LatencyReport bound = predict_latency(r, {});
  for (size_t i = 0; i < r.devices.size(); ++i) {
    EXPECT_LT(bound.devices[i].ttft.value, real.devices[i].ttft.value);
    EXPECT_LT(bound.devices[i].tpot.value, real.devices[i].tpot.value);
  }
}

}  // namespace
}  // namespace orrery::schedule

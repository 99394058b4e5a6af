#include "orrery/validate/latency_speed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/kernels.h"
#include "orrery/schedule/predictor.h"

namespace orrery::validate {
namespace {

using Clock = std::chrono::steady_clock;
using graph::Mode;
using schedule::Predictor;

// Wall and processor time since it was made.
class Stopwatch {
 public:
  double wall() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double processor() const { return processor_now() - processor_; }

 private:
  static double processor_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  Clock::time_point start_ = Clock::now();
  double processor_ = processor_now();
};

double forecast(const Predictor& predictor, const graph::ModelConfig& model, const hardware::Device& device,
                Mode mode, int64_t batch, int64_t sequence) {
  graph::Workload work;
  work.mode = mode;
  work.batch = batch;
  work.sequence = sequence;
  const schedule::Driver driver =
      mode == Mode::Train ? schedule::Driver::Framework : schedule::Driver::Serving;
  return predictor.forecast(graph::build_graph(model, work), device, driver, mode, batch).time.value.value();
}

SpeedResult training_forecast() {
  constexpr int kRuns = 101;
  const Predictor predictor;
  const graph::ModelConfig model = graph::find_model("gpt3-175b");
  const hardware::Device device = hardware::Catalogue::shipped().device("h100-sxm5-80gb");
  forecast(predictor, model, device, Mode::Train, 1, 2048);  // loads the laws
  std::vector<double> seconds;
  const Stopwatch all;
  for (int run = 0; run < kRuns; ++run) {
    const Stopwatch one;
    forecast(predictor, model, device, Mode::Train, run + 2, 2048);
    seconds.push_back(one.wall());
  }
  const double processor = all.processor() / kRuns;
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return {"one GPT-3 175B training iteration", seconds[kRuns / 2], 1e-3, processor};
}

SpeedResult distinct_forecasts() {
  constexpr int kForecasts = 10'000;
  const char* const models[] = {"llama-3.1-8b", "llama-3.1-70b", "qwen2.5-7b", "mixtral-8x7b", "gpt3-175b"};
  const char* const gpus[] = {"a100-sxm4-80gb", "h100-sxm5-80gb", "h200-sxm-141gb", "l40s", "rtx-4090"};
  constexpr size_t kModels = std::size(models), kGpus = std::size(gpus);
  std::vector<graph::ModelConfig> configs;
  std::vector<hardware::Device> devices;
  for (const char* name : models) configs.push_back(graph::find_model(name));
  for (const char* name : gpus) devices.push_back(hardware::Catalogue::shipped().device(name));
  const Predictor predictor;
  forecast(predictor, configs[0], devices[0], Mode::Decode, 1, 1024);  // loads the laws
  // 20 batches x 20 sequences of each pair of model and GPU; every second one a prefill.
  const Stopwatch watch;
  for (int i = 0; i < kForecasts; ++i) {
    const size_t pair = static_cast<size_t>(i) % (kModels * kGpus);
    const int rest = i / static_cast<int>(kModels * kGpus);
    const int64_t batch = 1 + rest % 20 * 3, sequence = 128 + rest / 20 * 96;
    forecast(predictor, configs[pair % kModels], devices[pair / kModels],
             rest % 2 ? Mode::Prefill : Mode::Decode, batch, sequence);
  }
  return {"10,000 forecasts, one thread", watch.wall(), 10, watch.processor()};
}

SpeedResult kernel_rows(const RunContext& context) {
  constexpr int kRows = 300'000;
  const char* const gpus[] = {"A100-SXM4-80GB", "H100-SXM5-80GB", "L40S"};
  const int contractions[] = {64, 128, 512, 1024, 2048, 4096, 5120, 8192, 14336, 16384};
  std::string text =
      "gpu,dtype,m,n,k,phase,batch_size,input_length,step,num_heads,num_key_value_heads,head_dim\n";
  text.reserve(size_t{kRows} * 48);
  for (int i = 0; i < kRows; ++i) {
    const char* gpu = gpus[i % 3];
    if (i % 4 == 3) {
      const bool prefill = i % 8 == 3;
      const int length = 1 + i / 8 % 4096, batch = 1 + i / 1024 % 64;
      text += fmt::format("{},bfloat16,,,,{},{},{},{},32,8,128\n", gpu, prefill ? "context" : "generation",
                          batch, prefill ? length : 1, prefill ? 0 : length);
    } else {
      text += fmt::format("{},bfloat16,{},{},{},,,,,,,\n", gpu, 1 + i % 4099, 64 * (1 + i / 7 % 200),
                          contractions[i / 11 % 10]);
    }
  }
  const Predictor predictor;
  const Stopwatch watch;
  const CsvTable table(std::move(text), "kernels.csv");
  const std::string written = schedule::write_kernels(
      table, schedule::price_kernels(table, schedule::KernelLayout::Mnk, predictor, context));
  const double seconds = watch.wall(), processor = watch.processor();
  if (std::count(written.begin(), written.end(), '\n') != kRows + 1)
    throw Error("rows were lost while they were priced");
  return {"300,000 rows of kernels", seconds, 3, processor};
}

SpeedResult command(const std::string& program) {
  constexpr int kRuns = 7;
  double best = std::numeric_limits<double>::infinity(), processor = 0;
  for (int run = 0; run < kRuns; ++run) {
    const char* arguments[] = {
        program.c_str(), "predict", "latency",         "llama-3.1-8b", "--device", "h200-sxm,l40s,rtx-4090",
        "--prompt",      "2048",    "--output-tokens", "256",          nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    const Stopwatch watch;
    const int failure =
        posix_spawn(&child, program.c_str(), &actions, nullptr, const_cast<char* const*>(arguments), environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    rusage used{};
    if (failure != 0 || wait4(child, &status, 0, &used) != child || status != 0) {
      throw Error("'" + program + " predict latency' did not run");
    }
    if (watch.wall() >= best) continue;
    best = watch.wall();
    auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    processor = seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  return {"the command `orrery predict latency`", best, 0.1, processor};
}

}  // namespace

std::vector<SpeedResult> measure_speed(const std::string& program, const RunContext& context) {
  std::vector<SpeedResult> results = {training_forecast(), distinct_forecasts(), kernel_rows(context)};
  if (!program.empty()) results.push_back(command(program));
  return results;
}

}  // namespace orrery::validate

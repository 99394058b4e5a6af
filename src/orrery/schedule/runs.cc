#include "orrery/schedule/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "orrery/base/text.h"
#include "orrery/base/threads.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/iteration.h"

namespace orrery::schedule {
namespace {

using graph::Mode;

constexpr int64_t kMostTokens = int64_t{1} << 24, kMostBatch = int64_t{1} << 20;
constexpr int kMostDevices = 1024;

struct RunOption {
  bool fusion = false;
  int data = 1, tensor = 1, stages = 1, micro_batches = 1;
};

// The number that `text` begins with; 0 when it has none. What follows it stays in `text`.
int leading_number(std::string_view& text) {
  int value = 0;
  auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || value < 1 || value > kMostDevices) return 0;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  return value;
}

bool read_option(std::string_view word, RunOption& option) {
  if (word.empty() || word == "none") return true;
  if (word == "fusion" || word == "fused") return option.fusion = true;
  std::string_view rest = word.substr(std::min<size_t>(2, word.size()));
  if (word.starts_with("dp")) return (option.data = leading_number(rest)) > 0 && rest.empty();
  if (word.starts_with("tp")) return (option.tensor = leading_number(rest)) > 0 && rest.empty();
  if (!word.starts_with("pp")) return false;
  option.stages = leading_number(rest);
  if (option.stages > 0 && rest.starts_with('_')) {
    rest.remove_prefix(1);
    option.micro_batches = leading_number(rest);
  }
  return option.stages > 0 && option.micro_batches > 0 && rest.empty();
}

struct Band3 {
  double low = 0, value = 0, high = 0;
};

class RunForecaster {
 public:
  RunForecaster(const CsvTable& table, const Predictor& predictor)
      : table_(table),
        predictor_(predictor),
        gpu_(table.at("gpu")),
        model_(table.at("model")),
        mode_(table.at("mode")),
        seq_(table.at("seq")),
        batch_(table.at("batch")),
        option_(table.find("option")),
        dtype_(table.find("dtype")) {
    for (size_t row = 0; row < table.rows(); ++row) {
      remember(devices_, row, gpu_,
               [](const std::string& name) { return hardware::Catalogue::shipped().device(name); });
      remember(models_, row, model_, [](const std::string& name) { return graph::find_model(name); });
    }
  }

  KernelTimes forecast(size_t row) const {
    try {
      return to_milliseconds(run(row));
    } catch (const InputError& e) {
      if (!e.place().file.empty()) throw;
      table_.fail(row, model_, e.what());
    }
  }

 private:
  template <class Value, class Find>
  void remember(std::map<std::string, Value, std::less<>>& known, size_t row, int column, Find find) {
    std::string name(table_.cell(row, column));
    if (known.contains(name)) return;
    try {
      known.emplace(name, find(name));
    } catch (const InputError& e) {
      table_.fail(row, column, e.what());
    }
  }

  static KernelTimes to_milliseconds(const Band3& s) { return {s.value * 1e3, s.low * 1e3, s.high * 1e3}; }

  Band3 run(size_t row) const {
    const hardware::Device& device = devices_.find(table_.cell(row, gpu_))->second;
    graph::ModelConfig model = models_.find(table_.cell(row, model_))->second;
    DataType type = DataType::FP32;
    if (std::string_view text = table_.cell(row, dtype_); !text.empty()) {
      std::optional<DataType> parsed = parse_data_type(text);
      if (!parsed) table_.fail(row, dtype_, fmt::format("'{}' is no data type", printable(text, 40)));
      type = *parsed;
    }
    run_as(model, type);
    RunOption option;
    for (const std::string& word : split(table_.cell(row, option_), '+')) {
      if (!read_option(word, option)) {
        table_.fail(row, option_,
                    fmt::format("option '{}'; expected fusion, dpN, tpN, ppN_M or several joined by '+'",
                                printable(word, 40)));
      }
    }
    std::string mode = lower_case(table_.cell(row, mode_));
    graph::Workload w;
    Driver driver = Driver::Framework;
    w.attention =
        bytes_per_element(type) >= 4 ? graph::AttentionKernel::Eager : graph::AttentionKernel::Flash;
    w.fuse = option.fusion;
    w.last_token_only = w.loss = w.keep_cache = false;
    w.optimizer = graph::Optimizer::None;
    if (mode == "training" || mode == "train") {
      w.mode = Mode::Train;
      w.eager.dropout = true;
    } else if (mode == "prefill" || mode == "decode") {
      w.mode = mode == "decode" ? Mode::Decode : Mode::Prefill;
      w.last_token_only = w.fuse = w.keep_cache = true;
      driver = Driver::Serving;
    } else if (mode != "inference") {
      table_.fail(
          row, mode_,
          fmt::format("mode '{}'; expected inference, training, prefill or decode", printable(mode, 40)));
    }
    const bool encoder = std::none_of(model.towers.begin(), model.towers.end(), [](const graph::Tower& t) {
      return t.role == graph::TowerRole::Decoder;
    });
    if (mode == "inference" && encoder)
      model.head = false;  // its users read the pooled output, not a vocabulary
    w.batch = table_.integer(row, batch_, 1, kMostBatch);
    w.sequence = table_.integer(row, seq_, 1, kMostTokens);
    w.parallel.tensor = option.tensor;
    if (option.data == 1 && option.stages == 1) return phase(model, w, device, driver);
    return spread(model, w, device, driver, option);
  }

  Band3 phase(const graph::ModelConfig& model, const graph::Workload& w, const hardware::Device& device,
              Driver driver) const {
    Interval<Seconds> t =
        predictor_.forecast(graph::build_graph(model, w), device, driver, w.mode, w.batch).time;
    return {t.low.value(), t.value.value(), t.high.value()};
  }

  // The batch is that of all devices together, which form one node. Replicas of an inference serve a part
  // each.
  Band3 spread(const graph::ModelConfig& model, graph::Workload w, const hardware::Device& device,
               Driver driver, const RunOption& option) const {
    w.parallel.data = option.data;
    w.parallel.pipeline = option.stages;
    IterationOptions options;
    options.micro_batches = option.micro_batches;
    hardware::Cluster node = hardware::flat_cluster(device, option.data * option.tensor * option.stages);
    Interval<Seconds> t = forecast_iteration(model, w, options, node, predictor_, driver).time;
    return {t.low.value(), t.value.value(), t.high.value()};
  }

  const CsvTable& table_;
  const Predictor& predictor_;
  int gpu_, model_, mode_, seq_, batch_, option_, dtype_;
  std::map<std::string, hardware::Device, std::less<>> devices_;
  std::map<std::string, graph::ModelConfig, std::less<>> models_;
};

}  // namespace

std::vector<KernelTimes> forecast_runs(const CsvTable& table, const Predictor& predictor,
                                       const RunContext& context) {
  RunForecaster forecaster(table, predictor);
  std::vector<KernelTimes> times(table.rows());
  parallel_for(table.rows(), 1, context.threads, [&](size_t begin, size_t end, size_t) {
    if (context.stop.stop_requested()) throw Interrupted();
    for (size_t row = begin; row < end; ++row) times[row] = forecaster.forecast(row);
  });
  return times;
}

}  // namespace orrery::schedule

// One phase of one model on one device: graph, prices, forecast, and the figures that people read. What
// predict_latency, batch files and validations share. Thread-safe; prices are remembered over calls.
#pragma once

#include <memory>
#include <string>

#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/cost/gpu_model.h"
#include "orrery/cost/price_memo.h"
#include "orrery/cost/weights.h"
#include "orrery/schedule/forecast.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::schedule {

// Who drives the device: decides launches, gaps and the time between iterations.
enum class Driver : uint8_t {
  Framework,  // eager execution of a deep-learning framework: every kernel is launched by the host
  Serving,    // a serving engine: captured graphs for decoding, compiled pieces for prefill, a scheduler
              // between steps
};

// The names that --predictor takes.
std::vector<std::string> predictor_names();

// What a graph is a phase of, for the report and the engine's terms.
struct PhaseOf {
  graph::Mode mode = graph::Mode::Prefill;
  int64_t batch = 1, sequence = 1;
  DataType type = DataType::BF16;  // whose peak the utilization is a share of
};

class Predictor {
 public:
  // predictor: one of predictor_names(). weights: a file, empty = shipped. Throws InputError for an unknown
  // name or a bad file.
  // `accelerators`: how devices of systolic arrays are priced.
  explicit Predictor(const std::string& predictor = "default", const std::string& weights = {},
                     const cost::AcceleratorOptions& accelerators = {});
  // With an operator model of one's own (leave-one-out fits); engine terms from the weights.
  Predictor(std::shared_ptr<const cost::OperatorModel> model, std::shared_ptr<const cost::Weights> weights,
            const cost::AcceleratorOptions& accelerators = {});

  const std::string& name() const { return name_; }
  const cost::Weights& weights() const { return *weights_; }
  // "default.json, fitted on A100-SXM4-80GB, L40S", "mine.json, correcting default.json for l40s"
  const std::string& weights_title() const { return weights_title_; }
  const cost::OperatorModel& model(
      const hardware::Device&) const;  // accelerators are priced by the fold model
  // For kernels that were timed alone.
  const cost::OperatorModel& kernel_model(const hardware::Device&, cost::Measured) const;
  EngineTerms engine(Driver, graph::Mode) const;

  // How much the errors of different laws have in common (forecast.h).
  double across_laws() const { return across_laws_; }

  // One price per kernel of the graph.
  std::vector<cost::OperatorCost> price(const graph::Graph&, const hardware::Device&) const;
  // Time only: for sweeps.
  Forecast forecast(const graph::Graph&, const hardware::Device&, Driver, graph::Mode,
                    int64_t sequences) const;
  Forecast forecast(const graph::Graph&, std::span<const cost::OperatorCost>, const hardware::Device&, Driver,
                    graph::Mode, int64_t sequences) const;
  // Everything of a phase; timeline: of a layer in the middle.
  PhaseForecast phase(const graph::Graph&, const PhaseOf&, const hardware::Device&, Driver, bool timeline,
                      Forecast* forecast = nullptr) const;
  PhaseForecast phase(const graph::ModelConfig&, const graph::Workload&, const hardware::Device&, Driver,
                      bool timeline, Forecast* forecast = nullptr) const;

 private:
  void correct(const std::string& calibration_file);
  std::string name_, weights_title_;
  std::shared_ptr<const cost::Weights> weights_;
  std::shared_ptr<const cost::OperatorModel> model_, from_graph_, from_host_, fold_;
  std::shared_ptr<cost::PriceMemo> memo_;
  EngineTerms eager_, serving_prefill_, serving_decode_;
  double within_law_ = 0.3, across_laws_ = 0.18;
};

// Makes a model run in another type: 16 or 32 bits are the whole model's; a narrower one is that of the
// linears' weights, and of their inputs where matrix units take it (INT4 weights are unpacked to 16 bits).
void run_as(graph::ModelConfig& model, DataType type);

// The class of a kernel in reports: "linear", "attention", "experts", "norms and elementwise", ...
std::string_view operator_class(const graph::Kernel&);
// "m=2048 n=28672 k=4096 bf16"
std::string describe(const graph::Kernel&);

}  // namespace orrery::schedule

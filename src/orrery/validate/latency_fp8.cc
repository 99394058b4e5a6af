#include "orrery/validate/latency_fp8.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "orrery/cost/fit/fit_fp8_model.h"

namespace orrery::validate {
namespace {

using cost::Fp8GemmModel;
using cost::Fp8Measured;
using cost::Fp8Price;
using cost::Fp8Row;

// Arithmetic at peak or compulsory traffic at nominal bandwidth: activations of 16 bits in and out, weights
// of 8.
double speed_of_light(const Fp8Row& row, const hardware::Device& device) {
  const double flops = 2 * row.m * row.n * row.k / device.gpu()->peak_rate(DataType::FP8).value();
  const double bytes = 2 * row.m * row.k + row.n * row.k + 2 * row.m * row.n;
  return std::max(flops, bytes / device.memory_bandwidth.value());
}

class Evaluation {
 public:
  Evaluation(const std::string& data_folder, const hardware::Catalogue& catalogue, int threads)
      : catalogue_(catalogue), threads_(threads) {
    const std::string path = data_folder + "/neusight/tensorcore_gemm.csv.zst";
    fp8_ = cost::read_fp8_rows(path, DataType::FP8);
    block_ = cost::read_fp8_rows(path, DataType::FP8Block);
  }

  std::vector<LatencyScores> run() {
    std::vector<LatencyScores> scores;
    for (const std::string& left_out : fp8_.gpus) {
      const Fp8GemmModel model = fit([&](const std::string& gpu, const Fp8Row&) { return gpu != left_out; });
      scores.push_back(
          named(score(price(model, fp8_, DataType::FP8, left_out, -1)), left_out, "fp8", "GPU left out"));
      baselines(left_out, &scores.back());
      scores.push_back(named(score(price(model, block_, DataType::FP8Block, left_out, -1)), left_out,
                             "fp8_block", "GPU left out"));
    }
    std::map<std::string, std::vector<TimedRow>> folds;
    for (int fold = 0; fold < cost::kFp8Folds; ++fold) {
      const Fp8GemmModel model =
          fit([&](const std::string&, const Fp8Row& row) { return cost::fp8_fold(row.n, row.k) != fold; });
      for (const std::string& gpu : fp8_.gpus) {
        const auto part = price(model, fp8_, DataType::FP8, gpu, fold);
        folds[gpu].insert(folds[gpu].end(), part.begin(), part.end());
        const auto block = price(model, block_, DataType::FP8Block, gpu, fold);
        folds[gpu + "/block"].insert(folds[gpu + "/block"].end(), block.begin(), block.end());
      }
    }
    for (const std::string& gpu : fp8_.gpus) {
      scores.push_back(named(score(folds[gpu]), gpu, "fp8", "families left out"));
      scores.push_back(named(score(folds[gpu + "/block"]), gpu, "fp8_block", "families left out"));
    }
    return scores;
  }

 private:
  Fp8GemmModel fit(const std::function<bool(const std::string&, const Fp8Row&)>& keep) const {
    cost::Fp8ModelOptions options;
    options.threads = threads_;
    return cost::fit_fp8_model(
        fp8_, block_, [this](const std::string& gpu) { return catalogue_.device(gpu); }, keep, options);
  }

  // fold -1: all rows of the GPU.
  std::vector<TimedRow> price(const Fp8GemmModel& model, const Fp8Measured& measured, DataType type,
                              const std::string& gpu, int fold) const {
    std::vector<TimedRow> out;
    std::vector<cost::Fp8Product> products;
    for (const Fp8Row& row : measured.rows) {
      if (measured.gpus[static_cast<size_t>(row.gpu)] != gpu ||
          (fold >= 0 && cost::fp8_fold(row.n, row.k) != fold))
        continue;
      out.push_back({.measured = row.seconds});
      products.push_back({.m = row.m, .n = row.n, .k = row.k, .weights = cost::WeightState::Cycled});
    }
    std::vector<Fp8Price> prices(products.size());
    model.price(products, type, model.target(catalogue_.device(gpu)), cost::Launch::Eager, prices);
    for (size_t i = 0; i < out.size(); ++i) {
      out[i].predicted = prices[i].time.value();
      out[i].low = prices[i].low * out[i].predicted;
      out[i].high = prices[i].high * out[i].predicted;
    }
    return out;
  }

  static LatencyScores named(LatencyScores scores, const std::string& gpu, const char* type,
                             const char* setting) {
    scores.gpu = gpu;
    scores.what = std::string(type) + " GEMM";
    scores.setting = setting;
    return scores;
  }

  // The best source of each baseline, on the shapes that both GPUs have.
  void baselines(const std::string& target, LatencyScores* scores) const {
    const hardware::Device device = catalogue_.device(target);
    for (size_t g = 0; g < fp8_.gpus.size(); ++g) {
      if (fp8_.gpus[g] == target) continue;
      const hardware::Device source = catalogue_.device(fp8_.gpus[g]);
      std::map<std::tuple<double, double, double>, double> seconds;
      for (const Fp8Row& row : fp8_.rows) {
        if (row.gpu == static_cast<int>(g)) seconds[{row.m, row.n, row.k}] = row.seconds;
      }
      double copy = 0, scaled = 0, rows = 0;
      for (const Fp8Row& row : fp8_.rows) {
        if (fp8_.gpus[static_cast<size_t>(row.gpu)] != target) continue;
        const auto found = seconds.find({row.m, row.n, row.k});
        if (found == seconds.end()) continue;
        copy += std::abs(found->second / row.seconds - 1);
        scaled += std::abs(
            found->second * speed_of_light(row, device) / speed_of_light(row, source) / row.seconds - 1);
        ++rows;
      }
      if (rows == 0) continue;
      if (scores->copied_from.empty() ||
          std::min(copy, scaled) / rows < std::min(scores->copy, scores->copy_scaled)) {
        scores->copy = copy / rows;
        scores->copy_scaled = scaled / rows;
        scores->copied_from = fp8_.gpus[g];
      }
    }
  }

  const hardware::Catalogue& catalogue_;
  int threads_;
  Fp8Measured fp8_, block_;
};

}  // namespace

std::vector<LatencyScores> evaluate_fp8(const std::string& data_folder, const hardware::Catalogue& catalogue,
                                        int threads) {
  return Evaluation(data_folder, catalogue, threads).run();
}

std::vector<report::Table> fp8_tables(const std::vector<LatencyScores>& scores) {
  report::Table table = scores_table("FP8 products, quantization included", scores);
  table.notes = {"Families left out: four folds of (n, k), the GPU's other rows in the fit.",
                 "fp8_block was measured with each call launched by the host: 60 to 340 us of host time, of "
                 "which a GPU left out "
                 "shows nothing."};
  return {table};
}

}  // namespace orrery::validate

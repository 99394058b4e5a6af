#include "orrery/validate/neusight_ours.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/base/threads.h"
#include "orrery/cost/fit/fit_fp32.h"
#include "orrery/cost/gpu_model.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::validate {
namespace {

using cost::Weights;
using WeightsPtr = std::shared_ptr<const Weights>;

// Fits without one GPU. Only the judged part is left out: an A100 in another board stays, as a user has it.
class LeftOut {
 public:
  LeftOut(const std::string& folder, const RunContext& context)
      : data_(cost::read_fp32_data(folder + "/neusight")) {
    options_.threads = context.threads > 0 ? context.threads : hardware_threads();
  }

  WeightsPtr weights(const std::string& gpu) {
    const std::string name = hardware::Catalogue::shipped().device(gpu).name;
    std::scoped_lock lock(mutex_);
    if (left_out_.empty()) left_out_ = cost::fp32_left_out(data_, cost::Fp32Purpose::All, options_);
    WeightsPtr& known = known_[name];
    if (!known) {
      const auto at = std::find_if(data_.devices.begin(), data_.devices.end(),
                                   [&](const hardware::Device& d) { return d.name == name; });
      const auto index = static_cast<size_t>(at - data_.devices.begin());
      if (index == data_.devices.size() || left_out_[index].contents().gpus.empty()) {
        throw InputError("no measured FP32 row is of " + gpu);
      }
      known = weights_with_fp32(
          cost::with_bands(left_out_[index], data_, cost::Fp32Purpose::All, left_out_, {name}, options_)
              .to_json());
    }
    return known;
  }

 private:
  const cost::Fp32Data data_;
  cost::Fp32FitOptions options_;
  std::mutex mutex_;
  std::vector<cost::Fp32Model> left_out_;
  std::map<std::string, WeightsPtr> known_;
};

NeuSightPredictor column(std::string name, std::function<WeightsPtr(const std::string&)> weights) {
  auto as = [weights](cost::Measured measured) {
    return [weights, measured](const std::string& gpu) -> NeuSightPredictor::Model {
      return std::make_shared<cost::GpuModel>(weights(gpu), measured);
    };
  };
  return {std::move(name), NeuSightDialect::Eager, as(cost::Measured::Bracketed),
          as(cost::Measured::FromHost)};
}

}  // namespace

WeightsPtr weights_with_fp32(const std::string& fp32) {
  using json = nlohmann::ordered_json;
  json root = json::parse(read_file(Weights::shipped_path()));
  json& section = root.at("sections").at("fp32");
  section.erase("file");
  section["parameters"] = json::parse(fp32);
  return Weights::parse(root.dump(), Weights::shipped_path());
}

NeuSightOurWeights neusight_our_weights(const std::string& data_folder, const RunContext& context) {
  auto left_out = std::make_shared<LeftOut>(data_folder, context);
  return {weights_with_fp32(read_file(orrery::data_folder() + "/weights/fp32-paper-split.json")),
          [left_out](const std::string& gpu) { return left_out->weights(gpu); }};
}

std::vector<NeuSightPredictor> neusight_our_predictors(const NeuSightOurWeights& weights) {
  return {column("ours", [paper = weights.paper_split](const std::string&) { return paper; }),
          column("ours, left out", weights.left_out)};
}

}  // namespace orrery::validate

#include "orrery/cost/fit/train_weights.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "orrery/base/storage.h"
#include "orrery/base/threads.h"
#include "orrery/cost/fit/fit_attention.h"
#include "orrery/cost/fit/fit_collectives.h"
#include "orrery/cost/fit/fit_fp32.h"
#include "orrery/cost/fit/fit_fp8_model.h"
#include "orrery/cost/fit/fit_gemm.h"
#include "orrery/cost/fit/fit_memory_bound.h"
#include "orrery/cost/weights.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

using nlohmann::ordered_json;

constexpr const char* kCommand = "orrery fit latency --train MEASURED --output data/weights";

struct FittedLaw {
  std::string law, json;  // json: of the law's file, LAW.json
  size_t rows = 0;
  std::set<std::string> gpus;
};

std::set<std::string> titles(const std::vector<hardware::Device>& devices) {
  std::set<std::string> names;
  for (const hardware::Device& device : devices) names.insert(device.title);
  return names;
}

FittedLaw fit_attention_law_file(const std::string& folder, const RunContext& context) {
  AttentionData data = read_attention_data(folder + "/attention.csv.zst");
  AttentionFitOptions options;
  options.seed = context.seed.value;
  options.threads = context.threads > 0 ? context.threads : hardware_threads();
  return {"attention", fit_attention(data, options).to_json(), data.rows.size(), titles(data.devices)};
}

FittedLaw fit_gemm_file(const std::string& folder, const RunContext& context) {
  GemmData data = read_gemm_data(folder + "/tensorcore_gemm.csv.zst", DataType::BF16);
  GemmFitOptions options;
  options.seed = context.seed.value;
  options.threads = context.threads > 0 ? context.threads : hardware_threads();
  return {"gemm", fit_gemm(data, options).to_json(), data.rows.size(), titles(data.devices)};
}

FittedLaw fit_fp8_file(const std::string& folder, const RunContext& context) {
  std::string path = folder + "/tensorcore_gemm.csv.zst";
  Fp8Measured fp8 = read_fp8_rows(path, DataType::FP8), block = read_fp8_rows(path, DataType::FP8Block);
  Fp8ModelOptions options;
  options.law.seed = context.seed.value;
  options.threads = context.threads > 0 ? context.threads : hardware_threads();
  auto device_of = [](const std::string& gpu) { return hardware::Catalogue::shipped().device(gpu); };
  auto all = [](const std::string&, const Fp8Row&) { return true; };
  Fp8GemmModel model = fit_fp8_model(fp8, block, device_of, all, options);
  return {
      "fp8_gemm", model.to_json(), fp8.rows.size() + block.rows.size(), {fp8.gpus.begin(), fp8.gpus.end()}};
}

FittedLaw fit_memory_bound_file(const std::string& folder, const RunContext& context) {
  MemoryBoundData data =
      read_memory_bound_data(folder + "/vidur_fp16_mlp.csv.zst", folder + "/llmcompass_vector_fp16.csv");
  MemoryBoundFitOptions options;
  options.seed = context.seed.value;
  options.threads = context.threads > 0 ? context.threads : hardware_threads();
  MemoryBoundModel model(fit_memory_bound(data, data.devices.size(), options));
  return {"memory_bound", model.to_json(), data.rows.size(), titles(data.devices)};
}

FittedLaw fit_collectives_file(const std::string& folder, const RunContext&) {
  std::vector<CollectiveCurve> curves = read_collectives(folder + "/vidur_collectives.csv.zst");
  size_t rows = 0;
  for (const CollectiveCurve& curve : curves) rows += curve.bytes.size();
  return {"collectives", CollectiveModel(fit_collectives(curves, "")).to_json(), rows, {}};
}

FittedLaw fit_fp32_file(const std::string& folder, const RunContext& context) {
  const int threads = context.threads > 0 ? context.threads : hardware_threads();
  Fp32Weights weights = fit_fp32_weights(folder, Fp32Purpose::All, context.seed.value, threads);
  return {"fp32", std::move(weights.json), weights.rows, std::move(weights.gpus)};
}

void make_folder(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) throw InputError(Place{path, 0, 0}, "cannot be made: " + failure.message());
}

// default.json again, with what the laws saw this time.
std::string with_provenance(const std::vector<FittedLaw>& laws, uint64_t seed) {
  ordered_json root = ordered_json::parse(read_file(Weights::shipped_path()));
  for (const FittedLaw& law : laws) {
    ordered_json& provenance = root.at("sections").at(law.law).at("provenance");
    if (!law.gpus.empty()) provenance["gpus"] = law.gpus;
    provenance["rows"] = law.rows;
    provenance["seed"] = seed;
    provenance["command"] = kCommand;
  }
  return root.dump(1) + "\n";
}

}  // namespace

void train_weights(const std::string& measured_folder, const std::string& output_folder,
                   const RunContext& context) {
  using Fit = FittedLaw (*)(const std::string&, const RunContext&);
  constexpr Fit kFits[] = {fit_collectives_file, fit_memory_bound_file, fit_attention_law_file,
                           fit_fp8_file,         fit_gemm_file,         fit_fp32_file};
  std::vector<FittedLaw> laws;
  for (Fit fit : kFits) {
    if (context.stop.stop_requested()) throw Interrupted();
    laws.push_back(fit(measured_folder + "/neusight", context));
    if (context.progress) context.progress->advance();
  }
  make_folder(output_folder);
  for (const FittedLaw& law : laws) write_file(output_folder + "/" + law.law + ".json", law.json);
  write_file(output_folder + "/default.json", with_provenance(laws, context.seed.value));
}

std::string train_fp32(const std::string& measured_folder, bool paper_split, const std::string& output_folder,
                       const RunContext& context) {
  const int threads = context.threads > 0 ? context.threads : hardware_threads();
  const Fp32Purpose purpose = paper_split ? Fp32Purpose::PaperSplit : Fp32Purpose::All;
  const Fp32Weights weights =
      fit_fp32_weights(measured_folder + "/neusight", purpose, context.seed.value, threads);
  make_folder(output_folder);
  const std::string file = paper_split ? "fp32-paper-split.json" : "fp32.json";
  write_file(output_folder + "/" + file, weights.json);
  if (!paper_split) return output_folder + "/" + file;
  ordered_json root = ordered_json::parse(read_file(Weights::shipped_path()));
  ordered_json& section = root.at("sections").at("fp32");
  section["provenance"]["gpus"] = weights.gpus;
  section["provenance"]["rows"] = weights.rows;
  section["provenance"]["seed"] = context.seed.value;
  section["provenance"]["command"] =
      "orrery fit latency --train MEASURED --method fp32 --rows paper-split --output data/weights";
  section["file"] = file;
  write_file(output_folder + "/paper-split.json", root.dump(1) + "\n");
  return output_folder + "/" + file + " and paper-split.json";
}

}  // namespace orrery::cost

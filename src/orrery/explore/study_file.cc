#include "orrery/explore/study_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/explore/accelerator_search.h"
#include "orrery/explore/workload_graph.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/readers/graph_file.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::explore {
namespace {

constexpr int64_t kMostSize = int64_t{1} << 31;
constexpr int kMostWorkloads = 64, kMostCores = 4096, kMostSide = 4096, kMostTop = 1000;
constexpr double kSquareMillimetre = 1e-6;

std::string word_of(const Node& node, std::initializer_list<std::string_view> known) {
  const std::string& word = node.as_string();
  std::vector<std::string_view> words(known);
  if (std::ranges::find(words, word) == words.end())
    node.fail(fmt::format("'{}' is not known; expected {}{}", printable(word, 40), fmt::join(words, ", "),
                          words.size() > 4 ? did_you_mean(word, words) : ""));
  return word;
}

void set_word(const Node& map, std::string_view key, std::string& value,
              std::initializer_list<std::string_view> known) {
  if (const Node* node = map.find(key)) value = word_of(*node, known);
}

// A name of a shipped thing, or a path: as it is where it is there, else from the study's folder.
std::string located(const std::string& name, const std::string& folder) {
  bool path = name.find('/') != std::string::npos || name.find('.') != std::string::npos;
  if (!path || folder.empty() || name[0] == '/' || file_exists(name)) return name;
  std::string beside = folder + "/" + name;
  return file_exists(beside) ? beside : name;
}

WorkloadSpec workload_spec(const Node& node, const std::string& folder) {
  node.allow_only({"model", "batch", "sequence", "mode", "optimizer", "recompute", "attention", "dtype",
                   "dims", "weight", "least_throughput", "unknown"});
  WorkloadSpec spec;
  spec.model = located(node.at("model").as_string(), folder);
  if (const Node* n = node.find("batch")) spec.batch = n->as_integer(1, kMostSize);
  if (const Node* n = node.find("sequence")) spec.sequence = n->as_integer(1, kMostSize);
  set_word(node, "mode", spec.mode, {"train", "inference"});
  set_word(node, "optimizer", spec.optimizer, {"none", "sgd", "momentum", "adam", "mixed-adam"});
  set_word(node, "recompute", spec.recompute, {"none", "selective", "full"});
  set_word(node, "attention", spec.attention, {"eager", "flash"});
  set_word(node, "unknown", spec.unknown, {"vc:1", ""});
  if (const Node* n = node.find("dtype")) {
    if (!parse_data_type(n->as_string())) n->fail("unknown type; expected bf16, fp16, fp32, fp8, ...");
    spec.type = n->as_string();
  }
  if (const Node* dims = node.find("dims")) {
    for (const auto& [name, size] : dims->entries()) spec.dims[name] = size.as_integer(1, kMostSize);
  }
  if (const Node* n = node.find("weight")) spec.weight = n->as_number(1e-9, 1e9);
  if (const Node* n = node.find("least_throughput")) {
    spec.least_is_reference = n->is_string() && n->as_string() == "reference";
    if (!spec.least_is_reference) spec.least_throughput = n->as_number(0, 1e18);
  }
  return spec;
}

void read_limits(const Node& node, StudySpec& spec) {
  node.allow_only({"area", "power", "of"});
  if (const Node* n = node.find("area")) {
    spec.area = n->as_quantity(Unit::SquareMetres);
    spec.area_at = n->place();
    if (!(spec.area > 0)) n->fail("an area of nothing; expected one such as 200 mm2");
  }
  if (const Node* n = node.find("power")) {
    spec.power = n->as_quantity(Unit::Watts);
    spec.power_at = n->place();
    if (!(spec.power > 0)) n->fail("a power of nothing; expected one such as 280 W");
  }
  if (const Node* n = node.find("of")) spec.whole_chip = word_of(*n, {"cores", "chip"}) == "chip";
}

void read_space(const Node& node, StudySpec& spec) {
  node.allow_only({"grid", "least", "most", "matrix_cores", "vector_cores", "global_buffer"});
  set_word(node, "grid", spec.grid, {"powers-of-two", "step-16", "phaze"});
  if (const Node* n = node.find("least")) spec.least = static_cast<int>(n->as_integer(2, kMostSide));
  if (const Node* n = node.find("most")) spec.most = static_cast<int>(n->as_integer(2, kMostSide));
  if ((spec.least & (spec.least - 1)) != 0)
    node.at("least").fail(fmt::format("{} is no power of two; expected 2, 4, 8, ...", spec.least));
  if (spec.least > spec.most)
    node.fail(fmt::format("sides from {} to {}: a space without designs; expected least <= most", spec.least,
                          spec.most));
  if (const Node* n = node.find("matrix_cores"))
    spec.matrix_cores = static_cast<int>(n->as_integer(1, kMostCores));
  if (const Node* n = node.find("vector_cores"))
    spec.vector_cores = static_cast<int>(n->as_integer(1, kMostCores));
  if (const Node* n = node.find("global_buffer")) {
    spec.global_buffers.clear();
    auto add = [&](const Node& size) {
      double bytes = size.as_quantity(Unit::Bytes);
      if (!(bytes >= 1024) || bytes > 1e15) size.fail("expected a buffer of 1 KiB to 1 PB");
      spec.global_buffers.push_back(static_cast<int64_t>(bytes));
    };
    if (n->is_list()) {
      for (const Node& size : n->items()) add(size);
    } else {
      add(*n);
    }
    std::ranges::sort(spec.global_buffers);
    if (spec.global_buffers.empty()) n->fail("no buffer; expected one such as 32 MiB, or a list");
  }
}

void read_costs(const Node& node, StudySpec& spec) {
  node.allow_only({"array", "dataflow", "vector", "pack_groups", "backward", "fuse"});
  set_word(node, "array", spec.array, {"pipelined", "scalesim"});
  set_word(node, "dataflow", spec.dataflow, {"best", "ws", "os", "is"});
  set_word(node, "vector", spec.vector_costs, {"revised", "released"});
  set_word(node, "backward", spec.backward, {"split", "lumped"});
  if (const Node* n = node.find("pack_groups")) spec.pack_groups = n->as_bool();
  if (const Node* n = node.find("fuse")) spec.fuse = n->as_bool();
}

graph::Optimizer optimizer_of(const std::string& name) {
  constexpr std::pair<std::string_view, graph::Optimizer> kOptimizers[] = {
      {"none", graph::Optimizer::None},
      {"sgd", graph::Optimizer::Sgd},
      {"momentum", graph::Optimizer::Momentum},
      {"adam", graph::Optimizer::Adam},
      {"mixed-adam", graph::Optimizer::MixedAdam}};
  for (const auto& [known, value] : kOptimizers) {
    if (known == name) return value;
  }
  throw InputError("optimizer '" + printable(name) + "' is not known");
}

AcceleratorWorkload build_workload(const WorkloadSpec& spec, std::vector<std::string>& notes) {
  AcceleratorWorkload load;
  load.weight = spec.weight;
  load.least_throughput = spec.least_throughput;
  load.samples = static_cast<double>(spec.batch);
  const bool train = spec.mode == "train";
  const DataType type = parse_data_type(spec.type).value_or(DataType::BF16);
  if (graph::is_graph_file(spec.model)) {
    graph::GraphFile file = graph::read_graph_file(
        spec.model, {.dims = spec.dims,
                     .batch = graph::is_operator_list(spec.model) || spec.batch > 1 ? spec.batch : 0,
                     .train = train,
                     .optimizer = optimizer_of(spec.optimizer),
                     .type = type,
                     .unknown_as_vector = !spec.unknown.empty()});
    for (std::string& note : file.notes) notes.push_back(file.name + ": " + note);
    if (train && graph::is_operator_list(spec.model))
      notes.push_back(file.name + ": a list of operators is run as it stands, without gradients");
    load.name = file.name;
    load.graph = std::move(file.graph);
    load.samples = static_cast<double>(file.batch);
    return load;
  }
  graph::ModelConfig model = graph::find_model(spec.model);
  model.type = type;
  model.quantization.reset();
  graph::Workload work;
  work.mode = train ? graph::Mode::Train : graph::Mode::Prefill;
  work.batch = spec.batch;
  work.sequence = spec.sequence;
  work.attention = spec.attention == "flash" ? graph::AttentionKernel::Flash : graph::AttentionKernel::Eager;
  work.optimizer = optimizer_of(spec.optimizer);
  work.recompute = spec.recompute == "full"        ? graph::Recompute::Full
                   : spec.recompute == "selective" ? graph::Recompute::Selective
                                                   : graph::Recompute::None;
  work.keep_cache = false;
  work.last_token_only = false;
  load.name = model.name;
  load.graph = graph::build_graph(model, work);
  return load;
}

AcceleratorSpace space_of(const StudySpec& spec, SquareMetres area_limit) {
  AcceleratorSpace space = spec.grid == "phaze" ? phaze_space(area_limit)
                           : spec.grid == "step-16"
                               ? step_16_space(spec.matrix_cores, spec.vector_cores, spec.global_buffers[0])
                               : power_of_two_space(spec.least, spec.most, spec.matrix_cores,
                                                    spec.vector_cores, spec.global_buffers[0]);
  if (spec.grid != "phaze") space.global_buffers = spec.global_buffers;
  return space;
}

hardware::Device accelerator_named(const std::string& name, const char* role) {
  hardware::Device device = hardware::Catalogue::shipped().device(name);
  const hardware::Accelerator* chip = device.accelerator();
  if (!chip)
    throw InputError(fmt::format("{} '{}' is no accelerator; 'orrery show accelerators' lists them", role,
                                 printable(name, 60)));
  if (chip->energy.name.empty())
    throw InputError(
        fmt::format("{} '{}' has no energies: its power is not known; expected energy_set in its file", role,
                    printable(name, 60)));
  return device;
}

double calibration_of(const std::string& name) {
  if (name == "none") return 1;
  const hardware::Device device = accelerator_named(name, "calibrate:");
  if (!(device.tdp.value() > 0))
    throw InputError("calibrate: '" + printable(name, 60) +
                     "' has no published power; expected a chip with a tdp");
  const hardware::Accelerator& chip = *device.accelerator();
  return hardware::power_calibration(chip, device.memory_bandwidth,
                                     hardware::core_area(chip, hardware::area_table(chip.area_table)),
                                     device.tdp);
}

struct Price {
  hardware::AreaBreakdown area;
  hardware::PowerBreakdown power;
};
Price price_of(const DesignPoint& point, const AcceleratorStudy& study) {
  const hardware::Accelerator chip = accelerator(point, *study.base.accelerator());
  Price price;
  price.area = hardware::area(chip, hardware::area_table(chip.area_table));
  price.power = hardware::thermal_design_power(chip, study.base.memory_bandwidth, price.area.core(),
                                               study.power_calibration);
  return price;
}

// The limits that were not given are the reference's own.
void set_limits(const StudySpec& spec, AcceleratorStudy& study, std::vector<std::string>& notes) {
  study.limits.whole_chip = spec.whole_chip;
  study.limits.area = SquareMetres(spec.area);
  study.limits.power = Watts(spec.power);
  if (!study.reference) return;
  const Price price = price_of(*study.reference, study);
  if (spec.area == 0) {
    study.limits.area = spec.whole_chip ? price.area.chip() : price.area.core();
    notes.push_back(fmt::format("no area was given: {:.1f} mm2, the reference's own",
                                study.limits.area.value() / kSquareMillimetre));
  }
  if (spec.power == 0) {
    study.limits.power = price.power.total();
    notes.push_back(
        fmt::format("no power was given: {:.0f} W, the reference's own", study.limits.power.value()));
  }
}

[[noreturn]] void refuse(const Place& place, const std::string& message) {
  if (place.file.empty()) throw InputError(message);
  throw InputError(place, message);
}

// The least of the space must fit; what fills the budget is said.
void check_limits(const StudySpec& spec, const AcceleratorStudy& study) {
  const AcceleratorSpace& s = study.space;
  const DesignPoint least{s.matrix_cores.front(),
                          s.columns.front(),
                          s.rows.front(),
                          s.vector_cores.front(),
                          s.lanes_equal_columns ? s.columns.front() : s.lanes.front(),
                          s.global_buffers.front()};
  const Price price = price_of(least, study);
  const double area = (study.limits.whole_chip ? price.area.chip() : price.area.core()).value();
  if (study.limits.area.value() > 0 && area > study.limits.area.value()) {
    const std::pair<const char*, double> parts[] = {
        {"the matrix cores", price.area.matrix_cores.value()},
        {"the vector cores", price.area.vector_cores.value()},
        {"the global buffer", price.area.global_buffer.value()},
        {"the uncore", study.limits.whole_chip ? price.area.uncore.value() : 0}};
    auto most = std::ranges::max_element(parts, {}, &std::pair<const char*, double>::second);
    refuse(spec.area_at,
           fmt::format("no feasible design: an area of {:.4g} mm2 is below the smallest design {} of {:.4g} "
                       "mm2, {:.4g} of it {}; the least that would do is {:.4g} mm2 (--area)",
                       study.limits.area.value() / kSquareMillimetre, tuple_text(least),
                       area / kSquareMillimetre, most->second / kSquareMillimetre, most->first,
                       area / kSquareMillimetre * 1.0001));
  }
  const double power = price.power.total().value();
  if (study.limits.power.value() > 0 && power > study.limits.power.value())
    refuse(spec.power_at,
           fmt::format("no feasible design: a power of {:.4g} W is below the {:.4g} W of the smallest design "
                       "{}, of which DRAM takes {:.4g} and the uncore {:.4g}; the least that would do is "
                       "{:.4g} W (--power)",
                       study.limits.power.value(), power, tuple_text(least), price.power.dram.value(),
                       price.power.uncore.value(), power * 1.0001));
}

}  // namespace

StudySpec read_study_spec(const Node& root, const std::string& folder) {
  root.allow_only({"workloads", "base", "reference", "objective", "limits", "space", "calibrate", "costs",
                   "top", "search", "name"});
  StudySpec spec;
  const Node& loads = root.at("workloads");
  if (loads.items().empty() || loads.items().size() > kMostWorkloads)
    loads.fail(fmt::format("{} workloads; expected 1 to {}", loads.items().size(), kMostWorkloads));
  for (const Node& load : loads.items()) spec.workloads.push_back(workload_spec(load, folder));
  if (const Node* n = root.find("base")) spec.base = located(n->as_string(), folder);
  if (const Node* n = root.find("reference")) spec.reference = located(n->as_string(), folder);
  if (const Node* n = root.find("calibrate")) spec.calibrate = located(n->as_string(), folder);
  set_word(root, "objective", spec.objective, {"throughput", "perf-per-tdp", "edp"});
  if (const Node* n = root.find("limits")) read_limits(*n, spec);
  if (const Node* n = root.find("space")) read_space(*n, spec);
  if (const Node* n = root.find("costs")) read_costs(*n, spec);
  if (const Node* n = root.find("top")) spec.top = static_cast<int>(n->as_integer(1, kMostTop));
  for (size_t i = 0; i < spec.workloads.size(); ++i) {
    if (spec.workloads[i].least_is_reference && spec.reference == "none")
      loads.items()[i]
          .at("least_throughput")
          .fail("'reference' needs a reference; expected one, such as tpuv2");
  }
  return spec;
}

BuiltStudy build_study(const StudySpec& spec) {
  BuiltStudy built;
  AcceleratorStudy& study = built.study;
  study.base = accelerator_named(spec.base, "base:");
  study.power_calibration = calibration_of(spec.calibrate);
  study.objective = *parse_accelerator_objective(spec.objective);
  if (*cost::parse_array_mode(spec.array) == cost::ArrayMode::ScaleSim)
    study.options = cost::scalesim_options(cost::Dataflow::Best);
  study.options.dataflow = *cost::parse_dataflow(spec.dataflow);
  study.options.vector = *cost::parse_vector_costs(spec.vector_costs);
  study.options.pack_groups = spec.pack_groups;
  study.top = static_cast<size_t>(spec.top);
  if (spec.reference != "none")
    study.reference = design_point(*accelerator_named(spec.reference, "reference:").accelerator());
  for (const WorkloadSpec& load : spec.workloads)
    study.workloads.push_back(build_workload(load, built.notes));
  WorkloadGraphOptions form;
  form.words = std::nullopt;  // the workloads say their own
  form.fuse_products = spec.fuse;
  form.backward = spec.backward == "lumped" ? BackwardForm::Lumped : BackwardForm::Split;
  for (AcceleratorWorkload& load : study.workloads) load.graph = workload_graph(std::move(load.graph), form);
  set_limits(spec, study, built.notes);
  study.space = space_of(spec, study.limits.area);
  check_limits(spec, study);
  // Needs the whole study: what the reference does is what is asked.
  for (size_t i = 0; i < spec.workloads.size(); ++i) {
    if (!spec.workloads[i].least_is_reference) continue;
    AcceleratorStudy alone = study;
    for (AcceleratorWorkload& load : alone.workloads) load.least_throughput = 0;
    study.workloads[i].least_throughput =
        evaluate_design(alone, *study.reference).workloads[i].throughput * (1 - 1e-12);
  }
  return built;
}

}  // namespace orrery::explore

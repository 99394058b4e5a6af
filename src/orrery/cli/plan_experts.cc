// `orrery plan experts`: which expert lives on which GPU.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/cluster_reader.h"
#include "orrery/place/experts_groups.h"
#include "orrery/place/experts_report.h"
#include "orrery/report/experts_html.h"
#include "orrery/report/experts_page_of.h"
#include "orrery/report/experts_report.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::cli {
namespace {

struct Options {
  std::string routing, cluster, model, dispatch = "home", transitions = "all-pairs", current,
                                       bottleneck = "port", format = "sglang", phase = "all";
  std::vector<std::string> profiles;
  int gpus = 0, experts = 0, expert_groups = 1, redundant = 0, cut_rounds = 0, most_moved = 100;
  int64_t step_tokens = 256;
  bool pareto = false;
  double max_load = 1.05, time = 0, hold_out = .2, bound_time = 3, balance_weight = -1;
};

place::Dispatch dispatch_of(const std::string& name) {
  for (const auto d :
       {place::Dispatch::Home, place::Dispatch::Stay, place::Dispatch::Naive, place::Dispatch::Replicated}) {
    if (name == place::name(d)) return d;
  }
  throw InputError("--dispatch '" + printable(name) + "': expected home, stay, naive or replicated");
}

trace::WeightRule rule_of(const std::string& name) {
  for (const auto r : {trace::WeightRule::AllPairs, trace::WeightRule::RankPaired, trace::WeightRule::Top1}) {
    if (name == trace::name(r)) return r;
  }
  throw InputError("--transitions '" + printable(name) + "': expected all-pairs, rank-paired or top1");
}

// What the map is made for, and that every recording tells its phases then.
place::MapFor map_for(const std::string& phase, const std::vector<trace::RoutingProfile>& profiles,
                      const std::vector<std::string>& files) {
  place::MapFor chosen = place::MapFor::All;
  for (const auto m : {place::MapFor::Prefill, place::MapFor::Decode, place::MapFor::Both}) {
    if (phase == place::name(m)) chosen = m;
  }
  for (size_t p = 0; p < profiles.size() && chosen != place::MapFor::All; ++p) {
    if (!trace::knows_phases(profiles[p]))
      throw InputError(
          Place{files[p]},
          std::string("does not tell prefill from decode, so --phase cannot choose; ") + trace::kTellPhases);
  }
  return chosen;
}

void read_cluster_into(place::ExpertRequest& request, const Options& o) {
  if (o.cluster.empty() == (o.gpus == 0)) throw InputError("expected one of --cluster FILE and --gpus N");
  place::RankGrid& grid = request.problem.grid;
  if (o.cluster.empty()) {
    grid = {o.gpus, o.gpus, 1, 1};
    return;
  }
  const hardware::Cluster cluster = hardware::find_cluster(o.cluster);
  grid.ranks = cluster.ranks();
  grid.ranks_per_node = cluster.levels[0].fanout;
  place::LinkSpeeds& links = request.hardware.links;
  links.inside = cluster.levels[0].per_device.value();
  links.between = cluster.levels.back().per_device.value();
  if (cluster.levels[0].latency.value() > 0) links.inside_latency = cluster.levels[0].latency.value();
  if (cluster.levels.back().latency.value() > 0)
    links.between_latency = cluster.levels.back().latency.value();
  grid.inside = 1;
  grid.between = grid.nodes() > 1 ? std::max(1.0, links.inside / links.between) : 1;
  const hardware::Device& device = cluster.device(0);
  request.hardware.memory = device.memory.value();
  request.hardware.memory_bandwidth = device.memory_bandwidth.value();
  if (device.gpu()) request.hardware.flops_per_second = device.gpu()->peak_rate(DataType::BF16).value();
}

// The model's experts: their number where --experts does not tell it, and their shape.
int read_model_into(place::ExpertRequest& request, const Options& o) {
  if (o.model.empty()) return o.experts;
  const graph::ModelConfig model = graph::find_model(o.model);
  for (const graph::Tower& tower : model.towers) {
    if (!tower.moe) continue;
    request.hardware.hidden = tower.hidden;
    request.hardware.feed_forward = tower.moe->feed_forward;
    request.hardware.bytes_per_element = bytes_per_element(model.type);
    return tower.moe->experts;
  }
  throw InputError("model '" + printable(o.model) + "' has no experts; expected a mixture-of-experts model");
}

void check_memory(const place::ExpertRequest& request, const Options& o) {
  const place::ExpertHardware& on = request.hardware;
  const trace::RoutingProfile& first = request.profiles[0];
  const int slots = std::max(first.experts, request.problem.slots);
  const double needed =
      static_cast<double>(slots) / request.problem.grid.ranks * first.layers() * on.expert_bytes();
  if (on.memory > 0 && needed > on.memory)
    throw NotFound(
        fmt::format("no plan fits: {:.1f} GB of expert weights a rank, a {} rank has {:.1f} GB; more ranks, "
                    "fewer --redundant, or a narrower type",
                    needed / 1e9, o.cluster, on.memory / 1e9));
}

// The map in the form of an engine, and how that engine is told of it.
struct MapFile {
  trace::ExpertMapForm form;
  const char *name, *use;
};
const MapFile& map_file(const std::string& format) {
  static const MapFile kFiles[] = {
      {trace::ExpertMapForm::Sglang, "physical_to_logical_map.json", "SGLang: --init-expert-location"},
      {trace::ExpertMapForm::Vllm, "initial_expert_map.json",
       "vLLM, as vllm-project/vllm#49572 proposes: eplb_config.initial_expert_map_path"},
      {trace::ExpertMapForm::Ascend, "expert_map.json", "vllm-ascend: expert_map_path"}};
  for (const MapFile& file : kFiles) {
    if (trace::name(file.form) == format) return file;
  }
  throw InputError("--format '" + printable(format) + "': expected sglang, vllm or ascend");
}

// All layers of the model, those without experts too, where it is known.
int model_layers(const Options& o) {
  if (o.model.empty()) return 0;
  int layers = 0;
  for (const graph::Tower& tower : graph::find_model(o.model).towers) {
    if (tower.moe) layers = tower.layers;
  }
  return layers;
}

void write_folder(const place::ExpertReport& report, const std::vector<std::string>& files,
                  const std::string& text, const report::RunInfo& run, const Options& o,
                  const Common& common) {
  const MapFile& map = map_file(o.format);
  const std::filesystem::path folder(common.output);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw InputError(Place{common.output, 0, 0}, "cannot be made: " + failure.message());
  write_file(folder / "plan.json", text + "\n");
  write_file(folder / map.name, trace::write_expert_map(place::map_of(report.ours.plan), map.form,
                                                        report.ours.plan.layer_ids, model_layers(o)));
  write_file(folder / "report.html", report::experts_html(report::experts_page(report, files), run,
                                                          {.json_file = "plan.json", .map_file = map.name}));
  *common.err << "wrote " << (folder / "report.html").string() << ", plan.json"
              << " and " << map.name << " (" << map.use << ")\n";
}

int plan(const Options& o, const Common& common) {
  const auto started = std::chrono::steady_clock::now();
  place::ExpertRequest request;
  request.command = common.command_line;
  read_cluster_into(request, o);
  const int experts = read_model_into(request, o);
  std::vector<std::string> files{o.routing};
  files.insert(files.end(), o.profiles.begin(), o.profiles.end());
  for (const std::string& file : files)
    request.profiles.push_back(
        trace::read_routing(file, {.experts = experts,
                                   .rule = rule_of(o.transitions),
                                   .step_tokens = static_cast<size_t>(o.step_tokens)}));
  request.map_for = map_for(o.phase, request.profiles, files);
  place::ExpertProblem& problem = request.problem;
  problem.dispatch = dispatch_of(o.dispatch);
  problem.max_load = o.max_load;
  problem.slots = o.redundant > 0 ? request.profiles[0].experts + o.redundant : 0;
  problem.groups = o.expert_groups;
  problem.bound_time = Seconds(o.bound_time);
  request.front = o.pareto;
  if (o.balance_weight >= 0) problem.balance_weight = o.balance_weight;
  problem.cut_rounds = o.cut_rounds;
  request.explore = !common.output.empty();
  request.hold_out = o.hold_out;
  request.step_tokens = static_cast<size_t>(o.step_tokens);
  request.most_moved_percent = o.most_moved;
  request.hardware.bottleneck = o.bottleneck == "pair" ? place::Bottleneck::Pair : place::Bottleneck::Port;
  check_memory(request, o);
  if (!o.current.empty() && o.most_moved < 100 && place::groups_matter(problem))
    throw InputError(
        "--most-moved below 100 changes the running map swap by swap, which may cut --expert-groups; "
        "expected "
        "one of the two");
  if (!o.current.empty())
    request.current = place::read_current_map(o.current, request.profiles[0], problem.grid.ranks);
  RunContext context = common.context();
  if (o.time > 0) context.time = Seconds(o.time);
  const place::ExpertReport report = place::report_experts(std::move(request), context);
  const report::RunInfo run = report::run_info(
      Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()));
  const std::string text = report::experts_json(report, files, run);
  if (!common.output.empty()) write_folder(report, files, text, run, o, common);
  *common.out << (common.json ? text + "\n" : report::experts_text(report, common.style()));
  return report.search.stop == solve::Stop::Interrupted ? 130 : 0;
}

}  // namespace

Action declare_plan_experts(CLI::App& app, Common& common) {
  auto o = std::make_shared<Options>();
  app.add_option(
         "ROUTING,--routing", o->routing,
         "What the engine recorded: TSV of tokens or counts, JSONL, .npy, logical_count JSON; .gz too")
      ->required();
  app.add_option("--cluster", o->cluster, "A cluster by name or file, such as dgx-h100");
  app.add_option("--gpus", o->gpus, "GPUs joined alike, in place of a cluster")->check(CLI::Range(1, 65536));
  app.add_option("--model", o->model, "The model, for its number of experts, bytes and seconds");
  app.add_option("--experts", o->experts, "Experts a layer [the model's, or one more than the largest seen]")
      ->check(CLI::Range(1, 65535));
  app.add_option(
         "--expert-groups", o->expert_groups,
         "Groups of consecutive experts that the router limits a token to some of (DeepSeek): each is "
         "kept whole on one node")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--dispatch", o->dispatch,
                 "Where a token goes: home (back after each layer: vLLM, SGLang, Megatron, DeepSpeed), stay "
                 "(with its "
                 "expert), naive (home, a copy for every choice), replicated (all-reduce after the experts)")
      ->check(CLI::IsMember({"home", "stay", "naive", "replicated"}))
      ->capture_default_str();
  app.add_option("--transitions", o->transitions,
                 "How k choices make transitions: all-pairs (weight 1/k), rank-paired, top1")
      ->check(CLI::IsMember({"all-pairs", "rank-paired", "top1"}))
      ->capture_default_str();
  app.add_option("--profile", o->profiles,
                 "Further routing of the same model that the load cap must hold for too");
  app.add_option(
         "--phase", o->phase,
         "Tokens to plan for: prefill, decode, both (one map whose load cap holds in each phase; the maps "
         "are compared), all (as recorded)")
      ->check(CLI::IsMember({"all", "prefill", "decode", "both"}))
      ->capture_default_str();
  app.add_option("--current", o->current,
                 "The map that runs today, in any of the forms that --format writes");
  app.add_option("--most-moved", o->most_moved,
                 "Percent of slots that may fetch another expert than --current has")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--redundant", o->redundant, "Extra slots for copies, over all ranks")
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--max-load", o->max_load, "Largest load of a rank, of the mean; LPT's where that is above")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_option(
         "--balance-weight", o->balance_weight,
         "Percent of traffic that one percent of waiting for the fullest rank, step by step, is worth "
         "[the least with which later steps wait no longer than under LPT]")
      ->check(CLI::Range(0.0, 1e6));
  app.add_flag("--pareto", o->pareto,
               "Also what other weights of balance give, up to the most balanced plan");
  app.add_option("--step-tokens", o->step_tokens, "Tokens of a step, for balancedness and seconds")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  app.add_option("--hold-out", o->hold_out,
                 "Last share of the recording that is planned without and tested on")
      ->check(CLI::Range(0.0, .9))
      ->capture_default_str();
  app.add_option("--bottleneck", o->bottleneck, "What limits the all-to-all: port (switched links) or pair")
      ->check(CLI::IsMember({"port", "pair"}))
      ->capture_default_str();
  app.add_option("--time", o->time,
                 "Seconds of annealing at most, all tried plans together; the bound apart "
                 "[a fixed amount of work]")
      ->check(CLI::PositiveNumber);
  app.add_option("--bound-time", o->bound_time, "Seconds for the lower bound")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--cut-rounds", o->cut_rounds, "Rounds of transitivity rows that tighten the bound (slow)")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--output", common.output, "A folder for plan.json, report.html and the map");
  app.add_option("--format", o->format, "Whose map is written: sglang, vllm or ascend")
      ->check(CLI::IsMember({"sglang", "vllm", "ascend"}))
      ->capture_default_str();
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, o] { return plan(*o, common); };
}

}  // namespace orrery::cli

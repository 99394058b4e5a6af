// Checks against optima: all placements, integer programs, the chain program.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_search.h"
#include "orrery/solve/linear_program.h"
#include "orrery/validate/moetuner.h"

namespace orrery::validate {
namespace {

using place::RankGrid;

constexpr double kExact = 1e-9;

// The first layers of a profile.
trace::RoutingProfile first_layers(const trace::RoutingProfile& whole, size_t layers) {
  trace::RoutingProfile part = whole;
  part.layer_ids.resize(layers);
  part.load.resize(layers);
  part.transition.resize(layers - 1);
  part.steps.clear();
  part.tokens = nullptr;
  return part;
}

place::ExpertProblem stay_problem(const trace::RoutingProfile& profile, const RankGrid& grid) {
  place::ExpertProblem problem;
  problem.profiles = {&profile};
  problem.grid = grid;
  problem.dispatch = place::Dispatch::Stay;
  return problem;
}

// All ways to put 8 experts on 4 ranks, two each, in two layers: the least cost within the caps.
double least_of_all(const solve::CoupledLayers& chain) {
  std::vector<std::vector<int>> all;
  std::vector<int> place{0, 0, 1, 1, 2, 2, 3, 3};
  do all.push_back(place);
  while (std::next_permutation(place.begin(), place.end()));
  auto within = [&](const std::vector<int>& candidate, int layer) {
    solve::Placement one(static_cast<size_t>(chain.layers()), candidate);
    return solve::cap_violation(chain, one, layer) <= 0;
  };
  double least = solve::kUnbounded;
  std::vector<std::vector<int>> afters;
  for (const std::vector<int>& after : all) {
    if (within(after, 1)) afters.push_back(after);
  }
  for (const std::vector<int>& before : all) {
    if (!within(before, 0)) continue;
    double to[8][4] = {};  // what expert j costs on rank h
    for (size_t i = 0; i < 8; ++i) {
      for (size_t j = 0; j < 8; ++j) {
        for (int h = 0; h < 4; ++h)
          to[j][h] += static_cast<double>(chain.coupling[0][i * 8 + j]) * chain.distance(before[i], h);
      }
    }
    for (const std::vector<int>& after : afters) {
      double cost = 0;
      for (size_t j = 0; j < 8; ++j) cost += to[j][after[j]];
      least = std::min(least, cost);
    }
  }
  return least;
}

void chain_program(const MoeTunerPart& part) {
  report::Table table{
      .title =
          "Mixtral-8x7B-Instruct, 418 recorded tokens, 32 layers, 4 ranks: exact chain program, and "
          "annealing without it",
      .columns = {{"problem"},
                  {"links"},
                  {"transitions"},
                  {"two-stage"},
                  {"exact"},
                  {"annealed above", "%"},
                  {"exact", "s"},
                  {"two layers: chain - all placements"}}};
  double slowest = 0, worst_two = 0, worst_annealed = 0;
  std::vector<double> above;
  for (const char* name : {"humaneval1", "gsm8k0"}) {
    for (const trace::WeightRule rule : {trace::WeightRule::AllPairs, trace::WeightRule::Top1}) {
      const trace::RoutingProfile profile = mixtral_tokens(part, name, rule);
      for (const RankGrid& grid : {RankGrid{4, 4, 1, 1}, RankGrid{4, 2, 1, 9}}) {
        place::ExpertProblem problem = stay_problem(profile, grid);
        solve::SearchResult<place::ExpertPlan> exact;
        RunContext one = part.context;
        one.threads = 1;
        const double seconds = processor_seconds_of([&] { exact = place::plan_experts(problem, one); });
        slowest = std::max(slowest, seconds);
        const trace::RoutingProfile two = first_layers(profile, 2);
        const place::ExpertProblem small = stay_problem(two, grid);
        const double difference =
            std::abs(place::plan_experts(small, one).objective - least_of_all(place::coupled_problem(small)));
        worst_two = std::max(worst_two, difference);
        problem.exact = false;
        problem.bound = false;
        double worst = 0;
        for (uint64_t seed = 1; seed <= 5; ++seed) {
          one.seed = Seed{seed};
          above.push_back(100 * (place::plan_experts(problem, one).objective / exact.objective - 1));
          worst = std::max(worst, above.back());
        }
        worst_annealed = std::max(worst_annealed, worst);
        table.rows.push_back(
            {std::string(name), std::string(grid.nodes() > 1 ? "2 x 2, 1 and 9" : "4 alike"),
             std::string(trace::name(rule)),
             report::number(
                 place::crossing_figures(place::two_stage_plan(problem.profiles, grid), profile, grid).cost,
                 4),
             report::number(exact.objective, 4), report::number(worst, 2), report::number(seconds, 3),
             report::number(difference, 12)});
      }
    }
  }
  std::nth_element(above.begin(), above.begin() + static_cast<ptrdiff_t>(above.size() / 2), above.end());
  const double median = above[above.size() / 2];
  part.result.tables.push_back(std::move(table));
  part.check("1 exactness", "two layers: equal to all placements to 1e-9", fmt::format("{:.1e}", worst_two),
             worst_two <= kExact);
  part.check("1 exactness", "32 layers, 4 ranks, one core: <= 2 s, gap 0", fmt::format("{:.2f} s", slowest),
             slowest <= 2);
  part.check("5 annealing", "<= 0.5 % above the exact chain, any case and seed",
             fmt::format("{:.2f} %", worst_annealed), worst_annealed <= .5);
  part.check("5 annealing", "median <= 0.1 % over seeds", fmt::format("{:.3f} %", median), median <= .1);
}

// The least cost of ILP2 with alike links and the sum of crossings, strong linearization (Adams and Johnson),
// without its whole numbers: no integer solution is below, so a map that reaches it is the program's optimum.
double least_of_program(const std::vector<std::vector<double>>& flow, int ranks) {
  solve::LinearProgram program;
  const size_t layers = flow.size() + 1;
  auto y = [&](size_t l, int c, int g) { return static_cast<int>(l) * ranks * ranks + c * ranks + g; };
  for (size_t l = 0; l < layers; ++l) {
    // Ranks are alike: the first layer keeps its names.
    for (int c = 0; c < ranks; ++c) {
      for (int g = 0; g < ranks; ++g)
        program.add_column(l == 0 && c == g ? 1 : 0, l == 0 && c != g ? 0 : 1, 0, true);
    }
  }
  for (size_t l = 0; l < layers; ++l) {
    for (int a = 0; a < ranks; ++a) {
      std::vector<solve::Term> row, column;
      for (int b = 0; b < ranks; ++b) {
        row.push_back({y(l, a, b), 1});
        column.push_back({y(l, b, a), 1});
      }
      program.add_row(1, 1, row);
      program.add_row(1, 1, column);
    }
  }
  for (size_t l = 0; l + 1 < layers; ++l) {
    const int first = static_cast<int>(program.columns.size());
    auto q = [&](int c, int g, int d, int h) { return first + ((c * ranks + g) * ranks + d) * ranks + h; };
    for (int c = 0; c < ranks; ++c) {
      for (int g = 0; g < ranks; ++g) {
        for (int d = 0; d < ranks; ++d) {
          for (int h = 0; h < ranks; ++h)
            program.add_column(
                0, 1,
                g == h
                    ? 0
                    : flow[l][static_cast<size_t>(c) * static_cast<size_t>(ranks) + static_cast<size_t>(d)]);
        }
      }
    }
    for (int c = 0; c < ranks; ++c) {
      for (int g = 0; g < ranks; ++g) {
        for (int d = 0; d < ranks; ++d) {
          // Given c on g: d is on one rank, and rank d holds one cluster; and the same seen from the next
          // layer.
          std::vector<solve::Term> rank_of_d{{y(l, c, g), -1}},
              cluster_on_d = rank_of_d, rank_before{{y(l + 1, c, g), -1}}, cluster_before = rank_before;
          for (int k = 0; k < ranks; ++k) {
            rank_of_d.push_back({q(c, g, d, k), 1});
            cluster_on_d.push_back({q(c, g, k, d), 1});
            rank_before.push_back({q(d, k, c, g), 1});
            cluster_before.push_back({q(k, d, c, g), 1});
          }
          for (const auto& row : {rank_of_d, cluster_on_d, rank_before, cluster_before})
            program.add_row(0, 0, row);
        }
      }
    }
  }
  return solve::LinearSolver(program).solve().bound;
}

void matching(const MoeTunerPart& part) {
  Random random(part.context.seed.derive(2));
  double worst = 0;
  for (int instance = 0; instance < 20; ++instance) {
    const int ranks = 3 + static_cast<int>(random.index(4)), layers = 2 + static_cast<int>(random.index(4));
    trace::RoutingProfile profile;
    profile.experts = ranks;
    profile.top_k = 1;
    for (int l = 0; l < layers; ++l) {
      profile.layer_ids.push_back(l);
      profile.load.emplace_back(ranks, 1.0);
      if (l + 1 == layers) continue;
      profile.transition.emplace_back();
      for (int k = 0; k < ranks * ranks; ++k)
        profile.transition.back().push_back(static_cast<float>(random.index(100)));
    }
    std::vector<std::vector<double>> flow;
    double total = 0;
    for (const std::vector<float>& w : profile.transition) {
      flow.emplace_back(w.begin(), w.end());
      for (double v : flow.back()) total += v;
    }
    const std::vector<const trace::RoutingProfile*> profiles{&profile};
    const RankGrid grid = uniform_grid(ranks);
    const double ours =
        place::crossing_figures(place::two_stage_plan(profiles, grid), profile, grid).cost * total;
    worst = std::max(worst, std::abs(ours - least_of_program(flow, ranks)));
  }
  part.check(
      "2 matching",
      "20 uniform instances, ranks <= 6, layers <= 5: equal to the optimum of the strong integer program",
      fmt::format("largest difference {:.1e} transitions", worst), worst < 1e-6);
  // One expert a rank: clusters are aggregated.
  trace::RoutingProfile large;
  large.experts = 64;
  large.top_k = 1;
  for (int l = 0; l < 58; ++l) {
    large.layer_ids.push_back(l);
    large.load.emplace_back(64, 1.0);
    if (l == 57) continue;
    large.transition.emplace_back();
    for (int k = 0; k < 64 * 64; ++k)
      large.transition.back().push_back(static_cast<float>(random.index(1000)));
  }
  const std::vector<const trace::RoutingProfile*> profiles{&large};
  const double seconds = processor_seconds_of([&] { place::two_stage_plan(profiles, uniform_grid(64)); });
  part.check("2 matching", "64 ranks, 58 layers: <= 100 ms", fmt::format("{:.0f} ms", 1e3 * seconds),
             seconds <= .1);
}

// The bound of small random instances is never above their optimum.
void bounds(const MoeTunerPart& part) {
  size_t above = 0;
  for (uint64_t k = 0; k < 1000; ++k) {
    const auto tokens = std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
        {.layers = 3, .experts = 6, .top_k = 1 + static_cast<int>(k % 2), .tokens = 60},
        part.context.seed.derive(k)));
    const trace::RoutingProfile profile =
        trace::profile_tokens(tokens, trace::WeightRule::AllPairs, "synthetic");
    place::ExpertProblem problem =
        stay_problem(profile, k % 4 < 2 ? RankGrid{3, 3, 1, 1} : RankGrid{2, 1, 1, 4});
    const double optimum = place::plan_experts(problem, part.context).objective;
    problem.exact = false;
    problem.sweeps = 8;
    problem.restarts = 1;
    above += place::plan_experts(problem, part.context).bound > optimum * (1 + 1e-6);
  }
  part.check("6 bound", "1,000 random small instances: never above the optimum",
             fmt::format("{} above", above), above == 0);
}

}  // namespace

void moetuner_exact(const MoeTunerPart& part) {
  chain_program(part);
  matching(part);
  bounds(part);
}

}  // namespace orrery::validate

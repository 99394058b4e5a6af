#include "orrery/solve/coupled_bound.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <numeric>

#include "orrery/base/threads.h"
#include "orrery/solve/linear_program.h"

namespace orrery::solve {
namespace {

using Clock = std::chrono::steady_clock;

// The step from one layer to the next at one level.
struct Step {
  const std::vector<float>* weight;
  size_t from, to;              // items of the two layers
  size_t block_from, block_to;  // items of a group
  double total = 0;
};

LinearProgram matching_program(const CoupledLayers& problem, size_t l, const Step& step, int group) {
  LinearProgram program;
  for (float w : *step.weight) program.add_column(0, 1, -static_cast<double>(w));
  auto column = [&](size_t i, size_t j) { return static_cast<int>(i * step.to + j); };
  auto add = [&](bool of_rows, size_t fixed, double low, double high, auto&& factor) {
    std::vector<Term> terms;
    for (size_t k = 0; k < (of_rows ? step.to : step.from); ++k)
      terms.push_back({of_rows ? column(fixed, k) : column(k, fixed), factor(k)});
    program.add_row(low, high, std::move(terms));
  };
  const auto one = [](size_t) { return 1.0; };
  for (size_t i = 0; i < step.from; ++i)
    add(true, i, static_cast<double>(step.block_to), static_cast<double>(step.block_to), one);
  for (size_t j = 0; j < step.to; ++j)
    add(false, j, static_cast<double>(step.block_from), static_cast<double>(step.block_from), one);
  const double groups = problem.places / group;
  for (size_t p = 0; p < problem.load.size(); ++p) {
    for (const bool of_rows : {true, false}) {
      const size_t layer = of_rows ? l + 1 : l;
      const std::vector<double>& load = problem.load[p][layer];
      const double cap = problem.cap[p][layer] * group;
      const double total = std::accumulate(load.begin(), load.end(), 0.0);
      if (total <= 0 || cap >= total) continue;
      const double scale = groups / total;  // loads near 1 keep the program well scaled
      for (size_t k = 0; k < (of_rows ? step.from : step.to); ++k)
        add(of_rows, k, (total - (groups - 1) * cap) * scale, cap * scale * (1 + 1e-9),
            [&](size_t e) { return load[e] * scale; });
    }
  }
  return program;
}

// The transitivity rows that the solution breaks most.
std::vector<LinearProgram::Row> broken_rows(const std::vector<double>& z, const Step& step, size_t most) {
  struct Candidate {
    double excess;
    int columns[4];
  };
  std::vector<Candidate> found;
  const size_t n = step.to;
  for (size_t a = 0; a < step.from; ++a) {
    for (size_t b = 0; b < step.from; ++b) {
      if (a == b) continue;
      // Best three j of z_a + z_b, best three j' of z_a − z_b.
      size_t sum[3], difference[3];
      auto keep = [](size_t(&best)[3], size_t j, auto&& value) {
        for (size_t k = 0; k < 3; ++k) {
          if (best[k] == SIZE_MAX || value(j) > value(best[k])) {
            for (size_t q = 2; q > k; --q) best[q] = best[q - 1];
            best[k] = j;
            return;
          }
        }
      };
      std::fill(sum, sum + 3, SIZE_MAX);
      std::fill(difference, difference + 3, SIZE_MAX);
      const double *za = z.data() + a * n, *zb = z.data() + b * n;
      for (size_t j = 0; j < n; ++j) {
        keep(sum, j, [&](size_t k) { return za[k] + zb[k]; });
        keep(difference, j, [&](size_t k) { return za[k] - zb[k]; });
      }
      for (size_t j : sum) {
        for (size_t q : difference) {
          if (j == SIZE_MAX || q == SIZE_MAX || j == q) continue;
          const double excess = za[j] + zb[j] + za[q] - zb[q] - 2;
          if (excess > 1e-4)
            found.push_back({excess,
                             {static_cast<int>(a * n + j), static_cast<int>(b * n + j),
                              static_cast<int>(a * n + q), static_cast<int>(b * n + q)}});
        }
      }
    }
  }
  const size_t count = std::min(most, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(count), found.end(),
                    [](const Candidate& x, const Candidate& y) { return x.excess > y.excess; });
  std::vector<LinearProgram::Row> rows;
  for (size_t k = 0; k < count; ++k) {
    const int* c = found[k].columns;
    rows.push_back({-kUnbounded, 2, {{c[0], 1}, {c[1], 1}, {c[2], 1}, {c[3], -1}}});
  }
  return rows;
}

// The most weight that the step can keep inside groups: by program, and by prices where that is cut off.
double most_kept(const CoupledLayers& problem, size_t l, const Step& step, int group,
                 const CoupledBoundOptions& options, double seconds) {
  double kept = matching_price_bound(*step.weight, static_cast<int>(step.from), static_cast<int>(step.to),
                                     static_cast<int>(step.block_from), static_cast<int>(step.block_to));
  if (static_cast<int>(std::max(step.from, step.to)) > options.largest_program) return kept;
  const auto began = Clock::now();
  auto left = [&] { return seconds - std::chrono::duration<double>(Clock::now() - began).count(); };
  if (left() <= 0) return kept;
  LinearSolver solver(matching_program(problem, l, step, group));
  const int fixed_rows = solver.rows();
  LinearSolution solution = solver.solve(Seconds(left()));
  if (solution.bound > -kUnbounded && solution.bound < kUnbounded) kept = std::min(kept, -solution.bound);
  for (int round = 0; round < options.cut_rounds && !solution.value.empty() && left() > 0; ++round) {
    const std::vector<LinearProgram::Row> rows =
        broken_rows(solution.value, step, static_cast<size_t>(options.cuts));
    if (rows.empty()) break;
    solver.drop_slack_rows(fixed_rows);
    solver.add_rows(rows);
    solution = solver.solve(Seconds(std::max(.05, left())));
    if (solution.bound > -kUnbounded && solution.bound < kUnbounded) kept = std::min(kept, -solution.bound);
  }
  return kept;
}

}  // namespace

double matching_price_bound(const std::vector<float>& weight, int items, int others, int block_of_items,
                            int block_of_others) {
  const auto n = static_cast<size_t>(items), m = static_cast<size_t>(others);
  const auto per_row = static_cast<size_t>(block_of_others), per_column = static_cast<size_t>(block_of_items);
  std::vector<double> u(n, 0), v(m, 0), line;
  // For fixed v the best u_i is the block-th largest of w_ij − v_j, and the other way round. A step half way
  // to it keeps the alternation from stalling in a corner.
  auto value = [&] {
    double sum = 0;
    for (double x : u) sum += x * static_cast<double>(per_row);
    for (double x : v) sum += x * static_cast<double>(per_column);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < m; ++j)
        sum += std::max(0.0, static_cast<double>(weight[i * m + j]) - u[i] - v[j]);
    }
    return sum;
  };
  auto middle = [&](size_t block) {  // between the block-th and the next largest
    std::nth_element(line.begin(), line.begin() + static_cast<ptrdiff_t>(block - 1), line.end(),
                     std::greater<>());
    const double at = line[block - 1];
    if (block == line.size()) return at;
    return .5 * (at + *std::max_element(line.begin() + static_cast<ptrdiff_t>(block), line.end()));
  };
  double best = value();
  for (int sweep = 0; sweep < 40; ++sweep) {
    for (size_t i = 0; i < n; ++i) {
      line.resize(m);
      for (size_t j = 0; j < m; ++j) line[j] = static_cast<double>(weight[i * m + j]) - v[j];
      u[i] = middle(per_row);
    }
    for (size_t j = 0; j < m; ++j) {
      line.resize(n);
      for (size_t i = 0; i < n; ++i) line[i] = static_cast<double>(weight[i * m + j]) - u[i];
      v[j] = middle(per_column);
    }
    const double now = value();
    const bool gained = now < best * (1 - 1e-5);
    best = std::min(best, now);
    if (!gained && sweep > 4) break;
  }
  return best;
}

double coupled_lower_bound(const CoupledLayers& problem, const CoupledBoundOptions& options,
                           const RunContext& context) {
  struct Part {
    size_t layer;
    const DistanceLevel* level;
    double bound = 0;
  };
  std::vector<Part> parts;
  for (size_t l = 0; l + 1 < problem.items.size(); ++l) {
    for (const DistanceLevel& level : problem.levels) {
      if (level.step > 0 && level.group < problem.places) parts.push_back({l, &level});
    }
  }
  const auto began = Clock::now();
  std::atomic<size_t> done{0};
  parallel_for(parts.size(), 1, context.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t k = begin; k < end; ++k) {
      Part& part = parts[k];
      const auto& weight = problem.coupling[part.layer];
      const auto from = static_cast<size_t>(problem.items[part.layer]),
                 to = static_cast<size_t>(problem.items[part.layer + 1]);
      const auto groups = static_cast<size_t>(problem.places / part.level->group);
      Step step{&weight, from, to, from / groups, to / groups};
      for (float w : weight) step.total += static_cast<double>(w);
      const double spent = std::chrono::duration<double>(Clock::now() - began).count();
      const double share = (options.limit.value() - spent) / static_cast<double>(parts.size() - done.load());
      const double kept = most_kept(problem, part.layer, step, part.level->group, options,
                                    context.stop.stop_requested() ? 0 : share);
      part.bound = part.level->step * std::max(0.0, step.total - kept);
      ++done;
    }
  });
  double bound = 0;
  for (const Part& part : parts) bound += part.bound;
  return bound;
}

}  // namespace orrery::solve

#include "orrery/place/experts_paper.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace orrery::place {
namespace {

using solve::kUnbounded;
using solve::LinearProgram;
using solve::Term;

int chosen_of(const std::vector<double>& value, int first, int count) {
  return static_cast<int>(std::max_element(value.begin() + first, value.begin() + first + count) -
                          (value.begin() + first));
}

// The columns of ILP2 and the rows that tie products to their factors.
class RankColumns {
 public:
  RankColumns(LinearProgram& program, size_t layers, size_t ranks)
      : program_(program), layers_(layers), ranks_(ranks) {
    for (size_t k = 0; k < layers * ranks * ranks; ++k) program.add_column(0, 1, 0, true);
  }
  int y(size_t l, size_t c, size_t g) const { return static_cast<int>((l * ranks_ + c) * ranks_ + g); }
  int q(size_t l, size_t c, size_t g, size_t d, size_t h) const {
    return first_product_ + static_cast<int>((((l * ranks_ + c) * ranks_ + g) * ranks_ + d) * ranks_ + h);
  }
  void add_assignments(const std::vector<std::vector<double>>& size) {
    double total = 0;
    for (const std::vector<double>& of_layer : size)
      total += std::accumulate(of_layer.begin(), of_layer.end(), 0.0);
    for (size_t l = 0; l < layers_; ++l) {
      for (size_t a = 0; a < ranks_; ++a) {
        std::vector<Term> of_cluster, of_rank;
        for (size_t b = 0; b < ranks_; ++b) {
          of_cluster.push_back({y(l, a, b), 1});
          of_rank.push_back({y(l, b, a), 1});
        }
        program_.add_row(1, 1, std::move(of_cluster));
        program_.add_row(1, 1, std::move(of_rank));
      }
    }
    const double share = total / static_cast<double>(ranks_);
    for (size_t g = 0; g < ranks_; ++g) {
      std::vector<Term> memory;
      for (size_t l = 0; l < layers_; ++l) {
        for (size_t c = 0; c < ranks_; ++c) memory.push_back({y(l, c, g), size[l][c]});
      }
      program_.add_row(share, share, std::move(memory));
    }
  }
  void add_products(Linearization linearization) {
    first_product_ = static_cast<int>(program_.columns.size());
    const size_t n = ranks_;
    for (size_t k = 0; k < (layers_ - 1) * n * n * n * n; ++k) program_.add_column(0, 1, 0);
    for (size_t l = 0; l + 1 < layers_; ++l) {
      for (size_t c = 0; c < n; ++c) {
        for (size_t g = 0; g < n; ++g) {
          for (size_t d = 0; d < n; ++d) {
            if (linearization == Linearization::Strong) {
              tie(y(l, c, g), [&](size_t h) { return q(l, c, g, d, h); });
              tie(y(l, c, g), [&](size_t h) { return q(l, c, g, h, d); });
              tie(y(l + 1, c, g), [&](size_t h) { return q(l, d, h, c, g); });
              tie(y(l + 1, c, g), [&](size_t h) { return q(l, h, d, c, g); });
              continue;
            }
            for (size_t h = 0; h < n; ++h)
              program_.add_row(-1, kUnbounded,
                               {{q(l, c, g, d, h), 1}, {y(l, c, g), -1}, {y(l + 1, d, h), -1}});
          }
        }
      }
    }
  }

 private:
  template <class Product>
  void tie(int factor, Product&& product) {
    std::vector<Term> terms{{factor, -1}};
    for (size_t h = 0; h < ranks_; ++h) terms.push_back({product(h), 1});
    program_.add_row(0, 0, std::move(terms));
  }
  LinearProgram& program_;
  size_t layers_, ranks_;
  int first_product_ = 0;
};

}  // namespace

ClusterProgram cluster_by_program(const std::vector<double>& load, int clusters, bool equal_sizes,
                                  const solve::IntegerOptions& options) {
  const auto n = static_cast<int>(load.size());
  const double total = std::accumulate(load.begin(), load.end(), 0.0), mean = total / clusters;
  const double scale = mean > 0 ? 1 / mean : 1;
  LinearProgram program;
  for (int k = 0; k < n * clusters; ++k) program.add_column(0, 1, 0, true);
  for (int c = 0; c < clusters; ++c) {
    const int delta = program.add_column(0, kUnbounded, 1);
    std::vector<Term> members, over, under;
    for (int i = 0; i < n; ++i) {
      const double share = load[static_cast<size_t>(i)] * scale;
      members.push_back({i * clusters + c, 1});
      over.push_back({i * clusters + c, -share});
      under.push_back({i * clusters + c, share});
    }
    over.push_back({delta, 1});
    under.push_back({delta, 1});
    program.add_row(-mean * scale, kUnbounded, std::move(over));
    program.add_row(mean * scale, kUnbounded, std::move(under));
    const double size = static_cast<double>(n) / clusters;
    program.add_row(equal_sizes ? size : 1, equal_sizes ? size : kUnbounded, std::move(members));
  }
  for (int i = 0; i < n; ++i) {
    std::vector<Term> one;
    for (int c = 0; c < clusters; ++c) one.push_back({i * clusters + c, 1});
    program.add_row(1, 1, std::move(one));
  }
  const solve::LinearSolution solution = solve::solve_integer(program, options);
  ClusterProgram result;
  result.bound = solution.bound / scale;
  result.optimal = solution.status == solve::LinearStatus::Optimal;
  if (solution.value.empty()) return result;
  std::vector<double> carried(static_cast<size_t>(clusters), 0);
  for (int i = 0; i < n; ++i) {
    result.cluster_of.push_back(chosen_of(solution.value, i * clusters, clusters));
    carried[static_cast<size_t>(result.cluster_of.back())] += load[static_cast<size_t>(i)];
  }
  for (double v : carried) result.deviation += std::abs(v - mean);
  return result;
}

double rank_program_cost(const std::vector<std::vector<double>>& flow, const RankGrid& grid,
                         LinkObjective objective, const std::vector<std::vector<int>>& rank_of) {
  const auto n = static_cast<size_t>(grid.ranks);
  double cost = 0;
  for (size_t l = 0; l < flow.size(); ++l) {
    double largest = 0;
    for (size_t c = 0; c < n; ++c) {
      for (size_t d = 0; d < n; ++d) {
        const double pair = grid.distance(rank_of[l][c], rank_of[l + 1][d]) * flow[l][c * n + d];
        largest = std::max(largest, pair);
        if (objective == LinkObjective::Sum) cost += pair;
      }
    }
    if (objective == LinkObjective::LargestPair) cost += largest;
  }
  return cost;
}

RankProgram rank_by_program(const std::vector<std::vector<double>>& flow,
                            const std::vector<std::vector<double>>& size, const RankGrid& grid,
                            Linearization linearization, LinkObjective objective,
                            const solve::IntegerOptions& options) {
  const auto n = static_cast<size_t>(grid.ranks);
  const size_t layers = flow.size() + 1;
  LinearProgram program;
  RankColumns columns(program, layers, n);
  columns.add_assignments(size);
  columns.add_products(linearization);
  double largest = 0;
  for (const std::vector<double>& of_step : flow) {
    for (double v : of_step) largest = std::max(largest, v);
  }
  const double scale = largest > 0 ? 1 / largest : 1;
  for (size_t l = 0; l + 1 < layers; ++l) {
    const int tau = objective == LinkObjective::LargestPair ? program.add_column(0, kUnbounded, 1) : -1;
    for (size_t g = 0; g < n; ++g) {
      for (size_t h = 0; h < n; ++h) {
        if (g == h) continue;
        const double distance = grid.distance(static_cast<int>(g), static_cast<int>(h)) * scale;
        std::vector<Term> pair;
        for (size_t c = 0; c < n; ++c) {
          for (size_t d = 0; d < n; ++d) {
            const int q = columns.q(l, c, g, d, h);
            if (tau < 0) {
              program.columns[static_cast<size_t>(q)].cost = distance * flow[l][c * n + d];
            } else {
              pair.push_back({q, -distance * flow[l][c * n + d]});
            }
          }
        }
        if (tau < 0) continue;
        pair.push_back({tau, 1});
        program.add_row(0, kUnbounded, std::move(pair));
      }
    }
  }
  const solve::LinearSolution solution = solve::solve_integer(program, options);
  RankProgram result;
  result.bound = solution.bound / scale;
  result.optimal = solution.status == solve::LinearStatus::Optimal;
  if (solution.value.empty()) return result;
  for (size_t l = 0; l < layers; ++l) {
    result.rank_of.emplace_back();
    for (size_t c = 0; c < n; ++c)
      result.rank_of.back().push_back(chosen_of(solution.value, columns.y(l, c, 0), grid.ranks));
  }
  result.cost = rank_program_cost(flow, grid, objective, result.rank_of);
  return result;
}

}  // namespace orrery::place

// MoETuner's two integer programs (arXiv 2502.06643), literally, for comparison: the planner needs neither,
// since the second is a chain of matchings where links are alike and the first ignores who follows whom.
//
// ILP1, for each layer, u[i][c] = expert i is in cluster c, n̄ the mean load of a cluster:
//   min Σ_c δ_c,   δ_c >= ±(Σ_i n_i u[i][c] − n̄),   Σ_c u[i][c] = 1,   Σ_i u[i][c] >= 1
// ILP2, y_l[c][g] = cluster c of layer l is on rank g, V_l[c][c'] transitions between clusters, s_l[c]
// experts:
//   min Σ_l τ_l,   τ_l >= d(g, h) Σ_{c,c'} V_l[c][c'] y_l[c][g] y_{l+1}[c'][h]   for g ≠ h
//   Σ_g y_l[c][g] = 1,   Σ_c y_l[c][g] = 1,   Σ_l Σ_c s_l[c] y_l[c][g] = Σ_l Σ_c s_l[c] / G
// Products become q >= y + y' − 1 (Naive), or rows that fix the sums of q over either end (Strong: Adams and
// Johnson), whose linear relaxation is far tighter.
#pragma once

#include <vector>

#include "orrery/place/experts_plan.h"
#include "orrery/solve/linear_program.h"

namespace orrery::place {

struct ClusterProgram {
  std::vector<int> cluster_of;  // [expert]; empty when none was found in time
  double deviation = 0;         // Σ_c |load − mean|
  double bound = 0;
  bool optimal = false;
};
// equal_sizes: as many experts in each cluster, which the paper does not ask and its second program then
// needs.
ClusterProgram cluster_by_program(const std::vector<double>& load, int clusters, bool equal_sizes,
                                  const solve::IntegerOptions& options);

enum class Linearization : uint8_t { Naive, Strong };
enum class LinkObjective : uint8_t { LargestPair, Sum };  // τ of the paper, or the sum over pairs
struct RankProgram {
  std::vector<std::vector<int>> rank_of;  // [layer][cluster]; empty when none was found in time
  double cost = 0, bound = 0;
  bool optimal = false;
};
// flow[l][c * G + c'] from clusters of layer l to those of l + 1; size[l][c] experts.
RankProgram rank_by_program(const std::vector<std::vector<double>>& flow,
                            const std::vector<std::vector<double>>& size, const RankGrid& grid,
                            Linearization linearization, LinkObjective objective,
                            const solve::IntegerOptions& options);
// What rank_by_program minimizes, of any ranks of clusters.
double rank_program_cost(const std::vector<std::vector<double>>& flow, const RankGrid& grid,
                         LinkObjective objective, const std::vector<std::vector<int>>& rank_of);

}  // namespace orrery::place

// What a plan moves when the recorded tokens pass through it: bytes between ranks, counted token by token,
// so that a reported figure is never the proxy that was optimized.
//
//   home        a token's vector goes from its home rank to every distinct other rank that holds a choice of
//               it, and a partial sum comes back. Across nodes it travels once a node and is spread inside
//               (DeepEP): `network` counts that.
//   naive       the same for every choice, without removing doubles
//   stay        the token moves from the rank of its last layer's first choice to the distinct ranks of its
//               choices; the rank of its first choice sums what the others return
//   replicated  every rank has every token; sums are formed by an all-reduce of all ranks, whatever the plan
// A copy on the rank where the token stands is preferred, then one on its node, then by the token's number.
#pragma once

#include "orrery/place/experts_search.h"

namespace orrery::place {

struct Replay {
  size_t tokens = 0;
  int ranks = 0;
  // Bytes from rank g to h, g * ranks + h, both ways of all layers together; zero on the diagonal.
  std::vector<double> pair;
  std::vector<std::vector<double>> layer_pair;  // the same of each layer
  double total = 0;                             // Σ pair
  double cross_node = 0;                        // of it between nodes, pair by pair
  double network = 0;         // between nodes when sent once a node (home); else as cross_node
  double distinct_ranks = 0;  // mean number of ranks that a token's choices lie on, a layer
};

// bytes_per_token: d_model · bytes of an element. Home rank of a token: its sequence modulo the ranks.
Replay replay_tokens(const trace::TokenTrace& tokens, const ExpertPlan& plan, Dispatch dispatch,
                     const RankGrid& grid, double bytes_per_token);

// Seconds of one layer's dispatch and combine for `tokens` of the replay's tokens, when each rank's port (or
// each pair's wire) is the limit: the largest of bytes over bandwidth, inside and between nodes.
struct LinkSpeeds {
  double inside = 450e9, between = 50e9;  // bytes per second of a rank's port, one way
  double inside_latency = 5e-6, between_latency = 15e-6;
};
enum class Bottleneck : uint8_t { Port, Pair };
double all_to_all_seconds(const std::vector<double>& pair, double share, const RankGrid& grid,
                          const LinkSpeeds& links, Bottleneck bottleneck);

}  // namespace orrery::place

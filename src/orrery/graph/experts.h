// How tokens fall on experts when nothing is known of the router: each token picks `experts_per_token`
// distinct experts uniformly and independently of the others.
#pragma once

#include <cstdint>

namespace orrery::graph {

// The expected number of experts that at least one of `tokens` picks: E · (1 − (1 − k/E)^T).
double expected_active_experts(int64_t tokens, int64_t experts, int64_t experts_per_token);

// The expected number of tokens of the fullest expert. One expert's load is Binomial(T, k/E); the largest of
// E independent ones has the expectation Σ_{t≥0} (1 − F(t)^E). The loads sum to T·k, so they are correlated
// by −1/(E − 1), which spreads their maximum by √(E/(E − 1)) about the mean (exact for normal loads); and it
// is never below ⌈T·k/E⌉. Within 1 % of simulated routing where T·k/E ≥ 8, within 5 % below.
double expected_fullest_expert(int64_t tokens, int64_t experts, int64_t experts_per_token);

}  // namespace orrery::graph

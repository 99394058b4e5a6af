// How tensor and expert parallelism divide a layer over the devices of one group: a table of rules over the
// roles of its products (Shoeybi et al. 2019, Megatron-LM, arXiv 1909.08053, section 3), and the checks that
// sizes divide.
//
// The vocabulary is padded to a multiple of the width, as Megatron and vLLM do; fewer key-value heads than
// devices are replicated; every other size must divide.
#pragma once

#include <cstdint>
#include <string_view>

#include "orrery/graph/model_config.h"

namespace orrery::graph {

enum class ProductRole : uint8_t {
  Replicated,  // every device computes all of it
  Column,      // outputs divided: needs the whole input, gives its share of the outputs
  Row,         // contraction divided: takes a share of the input, partial sums are reduced over the group
  Vocabulary,  // as Column, over the padded vocabulary
};

struct SplitRule {
  ProductRole role;
  bool outputs, contraction;  // which size is divided
  bool reduce_output;         // forward: all-reduce of the output
  bool reduce_gradient;  // backward: all-reduce of the input's gradient, once for all products that share the
                         // input
};
const SplitRule& split_rule(ProductRole role);

// The share of one device.
struct Share {
  int tensor = 1;
  int64_t heads = 0, kv_heads = 0;  // attention heads of this device
  int64_t feed_forward = 0;         // dense layers
  int64_t experts = 0;              // routed experts that live here
  int64_t expert_feed_forward = 0;  // width of one expert here
  int64_t shared_feed_forward = 0;
  int expert_groups = 1;   // devices that exchange tokens (all-to-all); 1: tokens are already here
  double expert_rows = 1;  // (token, expert) pairs computed here, over all pairs of this device's tokens
};

// Throws InputError, naming the size and the nearest widths that divide it, when the tower cannot be divided
// as asked.
Share share_of(const ModelConfig& model, const Tower& tower, const Parallelism& parallel);

// ceil(vocabulary / width): what one device holds of the padded vocabulary.
int64_t vocabulary_share(int64_t vocabulary, int width);

}  // namespace orrery::graph

// A convolutional or recurrent network as a list of its layers: what data/models/vgg-16.yaml holds.
//
//   network: tiny
//   input: {channels: 3, height: 224, width: 224}
//   layers:
//     - {conv: 64, kernel: 7, stride: 2, activation: relu}        # norm: none, bias, pad, groups, count
//     - {pool: max, kernel: 3, stride: 2, pad: 1}                 # or average, with height and width
//     - {bottleneck: 256, width: 256, groups: 32, count: 3}       # 1×1, 3×3 in groups, 1×1, and a residual
//     - {inverted_residual: 24, expand: 64, kernel: 3, stride: 2, squeeze: 0, activation: relu}
//     - {linear: 1000}                                            # bias: true, activation: none
//
//   input: {tokens: 50, vocabulary: 32320, width: 1024}           # embeds; the decoder shares the table
//   layers:                                                       # the encoder
//     - {lstm: 1024, bidirectional: true}
//     - {lstm: 1024, residual: true, count: 2}
//   decoder:                                                      # tokens as many; teacher forcing
//     - {lstm: 1024}
//     - {attention: 1024}                                         # over what the encoder returns
//     - {lstm: 1024, context: true}                               # beside what attention found
//     - {linear: 32320}
//
// A `count` of residual bottlenecks takes the stride in the first. `published` (parameters, multiply_adds of
// a sample) and `sources` are facts for people and tests. Errors: InputError with file:line:column for an
// unknown layer or field, sizes that do not divide or fit, a residual between unlike shapes, images where
// rows stand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/graph/graph.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

struct NetworkOptions {
  int64_t batch = 1;
  DataType type = DataType::BF16;
  bool train = false;
  Optimizer optimizer = Optimizer::MixedAdam;
  bool fuse = true;
};

struct Network {
  std::string name;
  Graph graph;
  double parameters = 0;
  double multiply_adds = 0;                                      // of one forward pass over the batch
  double published_parameters = 0, published_multiply_adds = 0;  // 0: not given; of one sample
};

// Whether a YAML document describes such a network.
bool is_network(const Node& root);
Network read_network(const Node& root, const NetworkOptions& options);

// data/models/NAME.yaml, or a path to such a file; nothing where neither is there.
std::optional<std::string> find_network(const std::string& name_or_path);
std::vector<std::string> shipped_networks();

}  // namespace orrery::graph

// One table of a model's layers for everything that places layers on devices, whoever filled it: a GPU
// forecast, an accelerator scheduler, a measured profile, a case of reference. Times are of one micro-batch
// on one device at a tensor-parallel width.
//
// As CSV (write_layer_table): `# widths` and `# edges` stand in comment lines before the header, then a row a
// width and layer:
//   width,layer,forward_s,backward_s,recompute_s,weights_bytes,activations_bytes,boundary_bytes,energy_j,tensor_split
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "orrery/base/units.h"

namespace orrery::schedule {

struct LayerProfile {
  Seconds forward, backward,
      recompute;      // recompute: of the forward in the backward, where activations are dropped
  Bytes weights;      // parameters, without optimizer state
  Bytes activations;  // kept for the backward, of one micro-batch
  Bytes boundary;     // what the next layer is sent
  Joules energy;
  bool tensor_split = false;  // whether the layer is cut over the width, or repeated on each device
  bool operator==(const LayerProfile&) const = default;
};

struct LayerTable {
  int layers = 0;
  std::vector<int> widths;                    // tensor-parallel widths, ascending
  std::vector<LayerProfile> at;               // [width][layer], widths.size() × layers
  std::vector<std::array<int32_t, 2>> edges;  // from layer, to layer; empty: a chain
  std::vector<Bytes> edge_bytes;              // [width][edge], widths.size() × edges.size()

  const LayerProfile& profile(size_t width, int layer) const {
    return at[width * static_cast<size_t>(layers) + static_cast<size_t>(layer)];
  }
  bool operator==(const LayerTable&) const = default;
};

// Every figure with as many digits as it takes to read it back unchanged.
std::string write_layer_table(const LayerTable&);
// Throws InputError with the place for a row that is missing, stands twice or makes no sense.
LayerTable read_layer_table(std::string text, const std::string& file);

}  // namespace orrery::schedule

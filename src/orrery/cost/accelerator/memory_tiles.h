// How often a matrix product reads its operands from DRAM when tiles of it pass through the global buffer.
//
// A tile of tm × tn × tk must fit with its operands double-buffered: 2·b·(tm·tk + tk·tn) + a·tm·tn ≤
// capacity, b bytes an operand and a an accumulator. For a loop order, loops of one trip are dropped; an
// operand is then moved once for every trip of the loops outside its innermost relevant loop that do not
// index it. Partial sums go out and come back at accumulator width on every pass after the first. The least
// traffic over all six orders and tiles that are multiples of the array (or whole), then the smallest first
// load.
#pragma once

#include <optional>

#include "orrery/cost/accelerator/array_cycles.h"
#include "orrery/cost/accelerator/matrix_work.h"

namespace orrery::cost {

struct TiledTraffic {
  double bytes = 0;       // over DRAM, the whole batch
  double first_tile = 0;  // bytes of the first operand tiles: nothing computes before they are in
  int64_t tile_m = 0, tile_n = 0, tile_k = 0;
  double lhs_passes = 1, rhs_passes = 1, out_passes = 1;
};

struct TileMemory {
  double capacity = 0;  // bytes of the global buffer that this product has
  double operand_bytes = 2, accumulator_bytes = 4;
};

// Where not even one array's tile fits, the smallest tile is taken as it is.
TiledTraffic tiled_traffic(const MatrixWork&, Array, TileMemory);

// Of one tile, in its best loop order; none where it does not fit.
std::optional<TiledTraffic> traffic_of_tile(const MatrixWork&, int64_t m, int64_t n, int64_t k, TileMemory);

}  // namespace orrery::cost

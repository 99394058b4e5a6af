#include "orrery/cost/accelerator/memory_tiles.h"

#include <algorithm>
#include <array>
#include <vector>

namespace orrery::cost {
namespace {

enum Loop : size_t { kM, kN, kK };
using Trips = std::array<double, 3>;

constexpr std::array<std::array<Loop, 3>, 6> kOrders = {
    {{kM, kN, kK}, {kM, kK, kN}, {kN, kM, kK}, {kN, kK, kM}, {kK, kM, kN}, {kK, kN, kM}}};

// Times that an operand without the index `absent` is moved: the trips of `absent` when, in this order, its
// loop lies outside the innermost loop that indexes the operand and makes more than one trip.
double passes(const std::array<Loop, 3>& order, const Trips& trips, Loop absent) {
  size_t innermost = 0, at = 0;
  bool indexed = false;
  for (size_t level = 0; level < 3; ++level) {
    if (order[level] == absent) {
      at = level;
    } else if (trips[order[level]] > 1) {
      innermost = level;
      indexed = true;
    }
  }
  return indexed && at < innermost ? trips[absent] : 1;
}

// Tile sizes worth trying along one dimension: for growing numbers of trips the smallest multiple of `unit`
// that makes no more. Trips beyond a dozen only matter at the smallest tile.
std::vector<int64_t> candidates(int64_t size, int64_t unit) {
  constexpr std::array<int64_t, 11> kTrips = {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 48};
  std::vector<int64_t> tiles = {size};
  int64_t units = (size + unit - 1) / unit;
  for (int64_t trips : kTrips) {
    if (trips >= units) break;
    tiles.push_back(std::min(size, (units + trips - 1) / trips * unit));
  }
  tiles.push_back(std::min(size, unit));
  std::sort(tiles.begin(), tiles.end());
  tiles.erase(std::unique(tiles.begin(), tiles.end()), tiles.end());
  return tiles;
}

double trips(int64_t size, int64_t tile) {
  return static_cast<double>((size + tile - 1) / tile);
}

class Scan {
 public:
  Scan(const MatrixWork& work, TileMemory memory) : work_(work), memory_(memory) {}

  bool fits(int64_t m, int64_t n, int64_t k) const {
    double operands = 2 * memory_.operand_bytes * d(k) * (d(m) + d(n));
    return operands + memory_.accumulator_bytes * d(m) * d(n) <= memory_.capacity;
  }

  void offer(int64_t m, int64_t n, int64_t k) {
    const graph::GemmSize& s = work_.size;
    const Trips loops = {trips(s.m, m), trips(s.n, n), trips(s.k, k)};
    double first = memory_.operand_bytes * d(k) * (d(m) + d(n));
    for (const auto& order : kOrders) {
      TiledTraffic traffic{
          0, first, m, n, k, passes(order, loops, kN), passes(order, loops, kM), passes(order, loops, kK)};
      traffic.bytes = memory_.operand_bytes *
                          (work_.lhs_words * traffic.lhs_passes + work_.rhs_words * traffic.rhs_passes) +
                      work_.out_words *
                          (memory_.operand_bytes + (traffic.out_passes - 1) * 2 * memory_.accumulator_bytes);
      if (!found_ || traffic.bytes < best_.bytes ||
          (traffic.bytes == best_.bytes && first < best_.first_tile)) {
        best_ = traffic;
        found_ = true;
      }
    }
  }

  bool found() const { return found_; }
  const TiledTraffic& best() const { return best_; }

 private:
  static double d(int64_t v) { return static_cast<double>(v); }
  const MatrixWork& work_;
  TileMemory memory_;
  TiledTraffic best_;
  bool found_ = false;
};

}  // namespace

TiledTraffic tiled_traffic(const MatrixWork& work, Array array, TileMemory memory) {
  const graph::GemmSize& s = work.size;
  const int64_t unit = std::max(array.rows, array.columns);
  const std::vector<int64_t> ms = candidates(s.m, unit), ns = candidates(s.n, unit),
                             ks = candidates(s.k, unit);
  Scan scan(work, memory);
  for (int64_t m : ms) {
    for (int64_t n : ns) {
      for (int64_t k : ks) {
        if (!scan.fits(m, n, k)) break;
        scan.offer(m, n, k);
      }
    }
  }
  if (!scan.found()) scan.offer(ms.front(), ns.front(), ks.front());
  return scan.best();
}

std::optional<TiledTraffic> traffic_of_tile(const MatrixWork& work, int64_t m, int64_t n, int64_t k,
                                            TileMemory memory) {
  Scan scan(work, memory);
  if (!scan.fits(m, n, k)) return std::nullopt;
  scan.offer(m, n, k);
  return scan.best();
}

}  // namespace orrery::cost
